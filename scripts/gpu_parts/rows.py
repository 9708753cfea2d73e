"""What the parts hand back, and how they tell time on a device that works on its own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import torch


class Row(NamedTuple):
    """One figure."""

    part: str
    what: str
    value: float
    unit: str
    note: str = ""
    wrong: bool = False
    """Whether the figure means that the check failed."""


LIMIT_S = 20.0
"""No further round is begun after so long, so that the whole stays under ten minutes on slow machines."""


def seconds(device: torch.device, *work: Callable[[], object], rounds: int = 3) -> list[float]:
    """Median seconds of each piece of work over interleaved rounds, after one to warm up."""
    times: list[list[float]] = [[] for _ in work]
    until = time.perf_counter() + LIMIT_S
    for i in range(rounds + 1):
        if i > 1 and time.perf_counter() > until:
            break
        for one, found in zip(work, times, strict=True):
            started = time.perf_counter()
            one()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if i:
                found.append(time.perf_counter() - started)
    return [statistics.median(found) for found in times]
