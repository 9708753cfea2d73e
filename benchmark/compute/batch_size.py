"""The batch that fits: halved where memory runs out, and remembered for the rest of a pass.

An embedding does not depend on the batch that its view was in, beyond float rounding: tests hold encoders to 1e-5.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable

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

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """[n, ...] -> [n, dimension].

        Raises:
            EncoderError: not even one view fits.
        """
        parts: list[torch.Tensor] = []
        done = 0
        while done < len(batch):
            part = batch[done : done + self.views]
            embeddings = self._try(part)
            if embeddings is not None:
                parts.append(embeddings)
                done += len(part)
                continue
            if len(part) == 1:
                raise EncoderError(
                    f"{self.name}: the memory does not hold the forward pass of one view; use another --device, "
                    "fewer encoders at a time (sweep --together) or a smaller encoder"
                )
            self.views = len(part) // 2
            print(f"camtrace: {self.name}: {len(part)} views do not fit, {self.views} at a time now", file=sys.stderr)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _try(self, part: torch.Tensor) -> torch.Tensor | None:
        """The embeddings, or None if memory ran out; by then the error is gone, with the tensors of its frames."""
        try:
            return self._embed(part)
        except Exception as error:
            if not out_of_memory(error):
                raise
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


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
