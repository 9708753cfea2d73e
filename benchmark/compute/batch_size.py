"""The batch that fits: halved where memory runs out, and remembered for the rest of a pass.

An embedding does not depend on the batch that its view was in, beyond float rounding: tests hold encoders to 1e-5.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Protocol

import torch

from builders.errors import EncoderError

MESSAGES = (
    "out of memory",  # CUDA, MPS
    "not enough memory",  # DefaultCPUAllocator: can't allocate memory: you tried to allocate N bytes
    "DefaultCPUAllocator",
    "can't allocate memory",
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)
"""Parts of what torch's RuntimeErrors say when memory runs out; only CUDA's allocator has a class of its own."""


class Started(Protocol):
    """Work on its way: called, it waits and gives the embeddings."""

    def __call__(self) -> torch.Tensor: ...


REFUSALS = 3
"""Batches of a size that fitted before and do not now, one after the other, until the size is given up for good."""


class FittingBatch:
    """``Encoder.embed`` in pieces that fit into memory.

    >>> embed = FittingBatch("flat", lambda batch: batch.flatten(1).float(), 2)
    >>> embed(torch.zeros(5, 4, 3)).shape
    torch.Size([5, 12])
    """

    def __init__(self, name: str, embed: Callable[[torch.Tensor], torch.Tensor], views: int) -> None:
        self.name = name
        self.views = views
        """Views per forward pass: what was asked for until memory runs out, then what worked."""
        self._embed = embed
        self._worked = 0
        self._refused = 0

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """[n, ...] -> [n, dimension].

        Raises:
            EncoderError: not even one view fits.
        """
        return self.start(batch)()

    def start(self, batch: torch.Tensor, beside: torch.Tensor | None = None) -> Started:
        """The same, begun: an ``embed`` that has ``start`` itself (a network's) goes on while others work.

        A size that never fitted is halved for the rest of the pass. One that did fit before is halved for the batch at
        hand alone: somebody else took memory for a moment; after ``REFUSALS`` in a row it is given up too.

        ``beside`` [n, ...] is handed to ``start`` with the views, cut as they are.
        """
        parts: list[Started] = []
        done, views = 0, self.views
        while done < len(batch):
            part = batch[done : done + views]
            started = self._try(part, beside[done : done + views] if beside is not None else None)
            if started is not None:
                parts.append(started)
                done += len(part)
                self._worked = max(self._worked, len(part))
                if len(part) == self.views:
                    self._refused = 0
                continue
            if len(part) == 1:
                raise EncoderError(
                    f"{self.name}: the memory does not hold the forward pass of one view; use another --device, "
                    "fewer encoders at a time (sweep --together) or a smaller encoder"
                )
            parts = [_waited_for(one) for one in parts]  # what is on its way holds memory
            views = len(part) // 2
            self._refused += 1
            if len(part) > self._worked or self._refused >= REFUSALS:
                self.views, self._worked, self._refused = views, 0, 0
                print(f"camtrace: {self.name}: {len(part)} views do not fit, {views} at a time now", file=sys.stderr)
        return parts[0] if len(parts) == 1 else lambda: torch.cat([part() for part in parts])

    def _try(self, part: torch.Tensor, beside: torch.Tensor | None) -> Started | None:
        """The embeddings, or None if memory ran out; by then the error is gone, with the tensors of its frames."""
        try:
            start = getattr(self._embed, "start", None)
            if beside is not None and start is not None:
                return start(part, beside)
            return start(part) if start is not None else _there(self._embed(part))
        except Exception as error:
            if not out_of_memory(error):
                raise
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def _there(embeddings: torch.Tensor) -> Started:
    return lambda: embeddings


def _waited_for(started: Started) -> Started:
    return _there(started())


def out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that caused it, says that memory ran out.

    >>> out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    True
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError | torch.cuda.OutOfMemoryError):
            return True
        if isinstance(cause, RuntimeError) and any(message in str(cause) for message in MESSAGES):
            return True
        cause = cause.__cause__
    return False
