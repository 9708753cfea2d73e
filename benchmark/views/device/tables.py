"""Tables of numbers that the host makes for a batch, sent to a GPU together and without waiting for it.

Each step of the work names what it reads as a ``Need``, which follows from sizes alone, so that all needs of a batch
are known before its first kernel. A function ``..._needs`` beside a step lists its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

ALIGNMENT = 16
"""Bytes at a multiple of which a table begins: no number is longer."""

Read = TypeVar("Read", covariant=True)


class Need(Protocol[Read]):
    """A table that a step reads. Hashable: equal ones are sent and made once for a batch."""

    def arrays(self) -> Sequence[np.ndarray]:
        """What the host works out."""
        ...

    def there(self, *arrays: Tensor) -> Read:
        """What the step reads, made on the device of these arrays."""
        ...


class Tables:
    """The tables of one batch on its device.

    >>> from benchmark.views.device.dct import Places
    >>> tables = Tables(torch.device("cpu"), [Places((3, 1), 4)])
    >>> tables[Places((3, 1), 4)].tolist()
    [[0, 1, 2, 2], [0, 0, 0, 0]]
    """

    def __init__(self, device: torch.device, needs: Iterable[Need[Any]] = ()) -> None:
        """Send what is needed in one copy. What is asked for besides takes a copy of its own, and is as right."""
        self._device = device
        arrays = {need: need.arrays() for need in dict.fromkeys(needs)}
        there = iter(sent(device, *(array for of_need in arrays.values() for array in of_need)))
        self._sent = {need: [next(there) for _ in of_need] for need, of_need in arrays.items()}
        self._made: dict[Need[Any], Any] = {}

    def __getitem__(self, need: Need[Read]) -> Read:
        if need not in self._made:
            arrays = self._sent.pop(need, None) or sent(self._device, *need.arrays())
            self._made[need] = need.there(*arrays)
        made: Read = self._made[need]
        return made


def sent(device: torch.device, *arrays: np.ndarray) -> tuple[Tensor, ...]:
    """Arrays as tensors on a device. On their way to a GPU they share one piece of pinned memory and one copy, for
    which nobody waits: from ordinary memory each would be a copy of its own and make the host wait for the GPU.

    >>> sent(torch.device("cpu"), np.arange(3), np.array([True]))
    (tensor([0, 1, 2]), tensor([True]))
    """
    if device.type != "cuda" or not arrays:
        return tuple(torch.from_numpy(array).to(device) for array in arrays)
    starts = [0]
    for array in arrays:
        starts.append(starts[-1] + -(-array.nbytes // ALIGNMENT) * ALIGNMENT)
    host = torch.empty(max(ALIGNMENT, starts[-1]), dtype=torch.uint8, pin_memory=True)
    for array, start in zip(arrays, starts, strict=False):
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        host[start : start + array.nbytes] = torch.from_numpy(flat)
    there = host.to(device, non_blocking=True)
    return tuple(
        there[start : start + math.prod(array.shape) * array.itemsize]
        .view(torch.from_numpy(array[:0]).dtype)
        .reshape(array.shape)
        for array, start in zip(arrays, starts, strict=False)
    )
