"""Which source pixels make a target pixel of Pillow's resize, and with which weights (``Resample.c``), in numpy.

Weights are 22-bit integers. Every operation is in double and in Pillow's order, so they are the same integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

PRECISION_BITS = 22
"""Fraction bits of a weight: 32 less 8 of a pixel, less 2 for the overshoot of a filter."""
UNDECIDED = 1e-7
"""Nearness of a weight to a half at which the last bit of a sine could decide its rounding (2**22 * 2**-52 = 1e-9)."""
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


@dataclass(frozen=True)
class Bands:
    """The maps of several photos along one axis, all of the same ``size``. Processings that keep a size share them."""

    axes: tuple[Axis, ...]
    """One per photo, or one for all."""
    extent: int
    """Pixels along this axis in the tensor to be resized."""
    resample: int
    """Pillow's number of the filter; see ``FILTERS``."""

    def arrays(self) -> Sequence[np.ndarray]:
        return _packed(self)

    def there(self, *arrays: Tensor) -> Band:
        """Few weights travel, zeros are made on the device."""
        offsets, weights, places = arrays
        span = places.shape[1] // (offsets.shape[1] // TILE)
        columns = offsets[..., None] + torch.arange(weights.shape[2], device=weights.device)
        dense = torch.zeros((*offsets.shape, span), dtype=torch.float64, device=weights.device)
        dense.scatter_(2, columns, weights)
        dense *= 2.0**-PRECISION_BITS
        return Band(places, dense.unflatten(1, (-1, TILE)), self.axes[0].size)


@lru_cache(maxsize=32)
def _packed(bands: Bands) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 [b, r], a target pixel's first place in the span of its tile; float64 [b, r, taps], its weights; int64
    [b, tiles * span], the source pixels that the tiles read. Batches of photos of one size ask again."""
    axes = bands.axes
    lengths, targets, cuts, begins = (np.array([[a.length, a.target, a.first, a.start] for a in axes]).T)[..., None]
    wanted = cuts + np.arange(-(-axes[0].size // TILE) * TILE)
    rows = wanted.clip(0, targets - 1)  # what is beyond the size wanted is cut off later
    first, weights = taps(lengths, targets, rows, bands.resample)
    weights[wanted != rows] = 0
    first += begins
    starts = first.reshape(len(axes), -1, TILE).min(2)
    offsets = first - starts.repeat(TILE, 1)
    span = int(offsets.max()) + weights.shape[2]
    places = np.minimum(starts[..., None] + np.arange(span), bands.extent - 1).reshape(len(axes), -1)
    return offsets, weights, places


def taps(lengths: np.ndarray, targets: np.ndarray, rows: np.ndarray, resample: int) -> tuple[np.ndarray, np.ndarray]:
    """First source pixel and weights of target pixels of b photos.

    Args:
        lengths, targets: pixels before and after the resize, int [b, 1].
        rows: target pixels wanted, int [b, r].
        resample: Pillow's number of the filter.

    Returns:
        int64 [b, r] and float64 [b, r, taps], whole numbers that sum to about 2**22.

    >>> first, weights = taps(np.array([[4]]), np.array([[2]]), np.array([[0, 1]]), Image.Resampling.BOX)
    >>> first.tolist(), weights.tolist()
    ([[0, 2]], [[[2097152.0, 2097152.0], [2097152.0, 2097152.0]]])
    """
    support, function = FILTERS[resample]
    scale = lengths / targets
    stretch = np.maximum(1.0, scale)
    centre = (rows + 0.5) * scale
    first = np.maximum(0, (centre - support * stretch + 0.5).astype(np.int64))
    last = np.minimum(lengths, (centre + support * stretch + 0.5).astype(np.int64))
    count = last - first
    tap = np.arange(count.max())
    distances = (tap + first[..., None] - centre[..., None] + 0.5) * (1.0 / stretch)[..., None]
    beyond = tap >= count[..., None]
    exact = _shares(function(distances), beyond) * 2**PRECISION_BITS
    if function is _lanczos and (np.abs(np.abs(exact) % 1 - 0.5) < UNDECIDED).any():
        exact = _shares(_lanczos(distances, _c_sine), beyond) * 2**PRECISION_BITS
    return first, np.trunc(exact + np.where(exact < 0, -0.5, 0.5))


def _shares(weights: np.ndarray, beyond: np.ndarray) -> np.ndarray:
    """Divided by their sum, which is taken in Pillow's order: a sum of numpy's would round elsewhere."""
    weights[beyond] = 0
    total = np.zeros(weights.shape[:-1])
    for tap in range(weights.shape[-1]):
        total += weights[..., tap]
    return weights / np.where(total == 0, 1, total)[..., None]


def _box(x: np.ndarray) -> np.ndarray:
    return ((x > -0.5) & (x <= 0.5)).astype(np.float64)


def _bilinear(x: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - np.abs(x))


def _bicubic(x: np.ndarray) -> np.ndarray:
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: np.ndarray, sine: Callable[[np.ndarray], np.ndarray] = np.sin) -> np.ndarray:
    def sinc(x: np.ndarray) -> np.ndarray:
        angle = x * math.pi
        return np.divide(sine(angle), angle, out=np.ones_like(x), where=x != 0)

    return np.where((x >= -3.0) & (x < 3.0), sinc(x) * sinc(x / 3), 0.0)


def _c_sine(x: np.ndarray) -> np.ndarray:
    """The C library's, as Pillow has it, one by one; numpy's own, faster, may differ in the last bit."""
    return np.fromiter(map(math.sin, x.ravel()), np.float64, x.size).reshape(x.shape)


FILTERS: dict[int, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    Image.Resampling.BOX: (0.5, _box),
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.BICUBIC: (2.0, _bicubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}
"""Support in source pixels (before stretching) and shape of each filter, by Pillow's number."""
