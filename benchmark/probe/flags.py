"""What the host must know of fits on a GPU, which of them still move, read without keeping the GPU idle."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch
from torch import Tensor

from benchmark.compute import uploaded

LATE_BELOW = 1 << 30
"""Multiply-adds of a step up to which flags are read a step late. An estimate (no card has measured it): some 50
microseconds of a large GPU, about what it idles while it waits for the host; longer steps are not made in vain."""


class Flags:
    """Flags of one step after the other, on the host.

    On a GPU each read makes the host wait for all work before it, and then the GPU for the host. Read ``late``, the
    flags of a step come back while the next one computes. How late follows from the work, never from the time it takes,
    so that runs are alike.

    >>> flags = Flags(torch.device("cpu"), work=1000)
    >>> flags.read(torch.tensor([True, False]))
    tensor([ True, False])
    """

    def __init__(self, device: torch.device, work: int) -> None:
        """``work``: multiply-adds of a step."""
        self.late = device.type == "cuda" and work <= LATE_BELOW
        self._coming: deque[tuple[Tensor, Any]] = deque()

    def read(self, flags: Tensor) -> Tensor | None:
        """The flags, or those of the step before; ``None`` while these are on their way."""
        if not self.late:
            return flags.cpu()
        here = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
        here.copy_(flags, non_blocking=True)
        self._coming.append((here, torch.cuda.current_stream(flags.device).record_event()))
        if len(self._coming) == 1:
            return None
        known, arrived = self._coming.popleft()
        arrived.synchronize()
        return known

    def forget(self) -> None:
        """Those on their way, because the steps to come are for other fits."""
        self._coming.clear()


def rectangle(active: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """The training sets and the strengths that hold every active fit, from flags [G, L] of the host, on a device."""
    rows, columns = active.any(1).nonzero()[:, 0], active.any(0).nonzero()[:, 0]
    there = uploaded(torch.cat([rows, columns]), device)
    return there[: len(rows)], there[len(rows) :]
