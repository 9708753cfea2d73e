"""Tables of numbers that the host computes for a batch and sends to a GPU in one copy that does not block.

Each step of the work describes the tables that it reads as ``Need`` objects, which follow from sizes alone. All needs
of a batch are therefore known before its first kernel. The function ``..._needs`` of a step lists its needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

ALIGNMENT = 16
"""A table begins at a multiple of this many bytes; no number is longer."""

Read = TypeVar("Read", covariant=True)


class Need(Protocol[Read]):
    """A table that a step reads. It is hashable; equal tables are sent once per batch."""

    def arrays(self) -> Sequence[np.ndarray]:
        """The arrays that the host computes and sends."""
        ...

    def on_device(self, *arrays: Tensor) -> Read:
        """The table, made from the arrays on their device."""
        ...


class Tables:
    """The tables of one batch on its device.

    >>> from benchmark.views.device.dct import Places
    >>> tables = Tables(torch.device("cpu"), [Places((3, 1), 4)])
    >>> tables[Places((3, 1), 4)].tolist()
    [[0, 1, 2, 2], [0, 0, 0, 0]]
    """

    def __init__(self, device: torch.device, needs: Iterable[Need[Any]] = ()) -> None:
        """Send all needs in one copy. A table that is not among them is sent when it is read."""
        self._device = device
        arrays = {need: need.arrays() for need in dict.fromkeys(needs)}
        on_device = iter(sent(device, *(array for of_need in arrays.values() for array in of_need)))
        self._sent = {need: [next(on_device) for _ in of_need] for need, of_need in arrays.items()}
        self._made: dict[Need[Any], Any] = {}

    def __getitem__(self, need: Need[Read]) -> Read:
        if need not in self._made:
            arrays = self._sent.pop(need, None) or sent(self._device, *need.arrays())
            self._made[need] = need.on_device(*arrays)
        made: Read = self._made[need]
        return made


def sent(device: torch.device, *arrays: np.ndarray) -> tuple[Tensor, ...]:
    """Arrays as tensors on a device. For a GPU, all arrays are copied from one piece of pinned memory in one copy that
    does not block; from ordinary memory, each copy would make the host wait for the GPU.

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
    on_device = host.to(device, non_blocking=True)
    return tuple(
        on_device[start : start + math.prod(array.shape) * array.itemsize]
        .view(torch.from_numpy(array[:0]).dtype)
        .reshape(array.shape)
        for array, start in zip(arrays, starts, strict=False)
    )
