"""Work that plans with a number of bytes, tried again with half of them where memory runs out; and where it can run."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

from benchmark.compute.batch_size import out_of_memory
from builders.errors import EncoderError
from builders.outside import readable_line

Answer = TypeVar("Answer")

LEAST_BYTES = 1 << 20
"""Planned with no less: work that does not end with so much has another trouble than the plan."""


def with_less_memory(what: str, work: Callable[[int], Answer], memory_bytes: int) -> Answer:
    """``work(memory_bytes)``; where memory runs out, again with half, and so on.

    Args:
        what: for the notice, such as ``kNN``.
        work: plans with so many bytes. It begins anew each time, but for what it keeps itself.
        memory_bytes: of the first try.

    Raises:
        EncoderError: memory runs out with ``LEAST_BYTES`` too.

    >>> tried = []
    >>> def work(memory_bytes):
    ...     tried.append(memory_bytes)
    ...     if memory_bytes > 30 << 20:
    ...         raise MemoryError
    ...     return "done"
    >>> with_less_memory("example", work, 100 << 20), [bytes_ >> 20 for bytes_ in tried]
    ('done', [100, 50, 25])
    """
    while True:
        try:
            return work(memory_bytes)
        except Exception as error:
            if not out_of_memory(error):
                raise
            reason = readable_line(error)
        if memory_bytes <= LEAST_BYTES:
            raise EncoderError(f"{what}: memory runs out however small its parts are ({reason}); use --device cpu")
        memory_bytes = max(LEAST_BYTES, memory_bytes // 2)
        print(f"camtrace: {what}: memory ran out, again with {memory_bytes >> 20} MiB at a time", file=sys.stderr)
        free_cached()


def free_cached() -> None:
    """Give back what gone tensors held; called when the error that brought them up is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def exact_device(device: str | torch.device) -> torch.device:
    """Where float64 and reductions of int64 are right: not on Apple's MPS, which lacks the first and has computed the
    second wrongly (pytorch issues 187976 and 191104); there the CPU does this work.

    >>> exact_device("mps"), exact_device("cuda:1")
    (device(type='cpu'), device(type='cuda', index=1))
    """
    where = torch.device(device)
    return torch.device("cpu") if where.type == "mps" else where
