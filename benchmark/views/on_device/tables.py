"""Tables of numbers that the host makes for a batch, sent to a GPU without waiting for it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

ALIGNMENT = 16
"""Bytes at a multiple of which a table begins: no number is longer."""


def sent(device: torch.device, *arrays: np.ndarray) -> tuple[Tensor, ...]:
    """Arrays as tensors on a device. On their way to a GPU they share one piece of pinned memory and one copy, for
    which nobody waits: from ordinary memory each would be a copy of its own and make the host wait for the GPU.

    >>> sent(torch.device("cpu"), np.arange(3), np.array([True]))
    (tensor([0, 1, 2]), tensor([True]))
    """
    if device.type != "cuda":
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
