"""Which source pixels make a target pixel of Pillow's resize, and with which weights (``Resample.c``), in numpy.

Weights are 22-bit integers. Every operation is in double and in Pillow's order, so they are the same integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PRECISION_BITS = 22
"""Fraction bits of a weight: 32 less 8 of a pixel, less 2 for the overshoot of a filter."""
TILE = 32
"""Target pixels that one dense product makes: little waste beside the band, enough work for a matrix product."""


@dataclass(frozen=True)
class Axis:
    """One axis of one photo: ``length`` pixels from ``start`` on, resized to ``target``, of which some are wanted."""

    start: int
    length: int
    target: int
    first: int
    """First target pixel wanted. Pixels wanted outside 0..target-1 are black."""
    size: int
    """Target pixels wanted."""


@dataclass(frozen=True)
class Band:
    """The map along one axis for b photos, in dense tiles along its diagonal."""

    places: Tensor
    """int64 [b, tiles * span]: source pixels that the tiles read."""
    weights: Tensor
    """float64 [b, tiles, TILE, span]: weights / 2**22; 0 where a target pixel does not use a source pixel."""
    size: int
    """Target pixels; those of the last tile beyond are no part of the result."""


@lru_cache(maxsize=16)
def band(axes: tuple[Axis, ...], extent: int, resample: int, device: torch.device) -> Band:
    """Stack the maps of several photos, all of the same ``size``. Processings that keep a size share them.

    Args:
        axes: one per photo, or one for all.
        extent: pixels along this axis in the tensor to be resized.
        resample: Pillow's number of the filter; see ``FILTERS``.
        device: where the map shall be.
    """
    made = [_wanted(axis, resample) for axis in axes]
    first = np.stack([begins for begins, _ in made])
    count = max(weights.shape[1] for _, weights in made)
    weights = np.zeros((*first.shape, count))
    for photo, (_, own) in enumerate(made):
        weights[photo, :, : own.shape[1]] = own
    starts = first.reshape(len(axes), -1, TILE).min(2)
    offsets = first - starts.repeat(TILE, 1)
    span = int(offsets.max()) + count
    places = np.minimum(starts[..., None] + np.arange(span), extent - 1).reshape(len(axes), -1)
    columns = torch.from_numpy(offsets).to(device)[..., None] + torch.arange(count, device=device)
    dense = torch.zeros((*first.shape, span), dtype=torch.float64, device=device)
    dense.scatter_(2, columns, torch.from_numpy(weights).to(device))  # few of them travel, zeros are made there
    return Band(torch.from_numpy(places).to(device), dense.unflatten(1, (-1, TILE)), axes[0].size)


@lru_cache(maxsize=4096)
def _wanted(axis: Axis, resample: int) -> tuple[np.ndarray, np.ndarray]:
    """First source pixel int64 [rows] and weights / 2**22 [rows, taps] of the pixels wanted, up to whole tiles."""
    first, weights = taps(axis.length, axis.target, resample)
    wanted = axis.first + np.arange(-(-axis.size // TILE) * TILE)
    rows = wanted.clip(0, axis.target - 1)  # what is beyond the size wanted is cut off later
    kept = weights[rows] * 2.0**-PRECISION_BITS
    kept[wanted != rows] = 0
    return axis.start + first[rows], kept


@lru_cache(maxsize=1024)
def taps(length: int, target: int, resample: int) -> tuple[np.ndarray, np.ndarray]:
    """First source pixel int64 [target] and weights float64 [target, taps], whole numbers that sum to about 2**22.

    >>> first, weights = taps(4, 2, Image.Resampling.BOX)
    >>> first.tolist(), weights.tolist()
    ([0, 2], [[2097152.0, 2097152.0], [2097152.0, 2097152.0]])
    """
    support, function = FILTERS[resample]
    scale = length / target
    stretch = max(1.0, scale)
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum(0, (centre - support * stretch + 0.5).astype(np.int64))
    last = np.minimum(length, (centre + support * stretch + 0.5).astype(np.int64))
    count = last - first
    tap = np.arange(count.max())
    weights = function((tap + first[:, None] - centre[:, None] + 0.5) * (1.0 / stretch))
    weights[tap >= count[:, None]] = 0
    total = np.zeros(target)
    for column in weights.T:  # in Pillow's order: a sum of numpy's would round elsewhere
        total += column
    weights = np.divide(weights, total[:, None], out=weights, where=total[:, None] != 0)
    return first, np.trunc(weights * 2**PRECISION_BITS + np.where(weights < 0, -0.5, 0.5))


def _box(x: np.ndarray) -> np.ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bilinear(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _bicubic(x: np.ndarray) -> np.ndarray:
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3), 0.0)


def _sinc(x: np.ndarray) -> np.ndarray:
    angle = x * math.pi
    sine = np.fromiter(map(math.sin, angle.ravel()), np.float64, angle.size)  # the C library's; numpy has its own
    return np.divide(sine.reshape(x.shape), angle, out=np.ones_like(x), where=x != 0)


FILTERS: dict[int, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    Image.Resampling.BOX: (0.5, _box),
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.BICUBIC: (2.0, _bicubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}
"""Support in source pixels (before stretching) and shape of each filter, by Pillow's number."""
