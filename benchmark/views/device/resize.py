"""Pillow's 8-bit resize, with a crop before and after it, of many photos at once, each with different sizes.

Products of bytes and 22-bit weights sum exactly in float64, so a resize is two passes of small dense matrix products.
Pillow rounds to bytes between the passes; which axis comes first depends on the photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.views.device.dct import gathered
from benchmark.views.device.tables import Need, Tables
from builders.pixels import vertical_first

PRECISION_BITS = 22
"""Fraction bits of a weight: 32 less 8 of a pixel, less 2 for the overshoot of a filter."""

UNDECIDED = 1e-7
"""Distance of a weight from a half within which the last bit of a sine may change its rounding (2**-30 = 1e-9)."""

TILE = 32
"""Target pixels of one dense product: few zeros outside the band, enough work for a matrix product."""


@dataclass(frozen=True)
class Axis:
    """Resize along an axis of a photo: ``length`` pixels from ``start`` become ``target`` pixels; ``size`` are used."""

    start: int
    length: int
    target: int
    first: int
    """First target pixel that is used. Used pixels outside 0..target-1 are black."""
    size: int
    """Number of target pixels that are used."""


@dataclass(frozen=True)
class Band:
    """The linear map along one axis for b photos, as dense tiles along its diagonal."""

    places: Tensor
    """int64 [b, tiles * span], the source pixels that the tiles read."""
    weights: Tensor
    """float64 [b, tiles, TILE, span], weights / 2**22; 0 if a target pixel does not use a source pixel."""
    size: int
    """Number of target pixels; further pixels of the last tile are not part of the result."""


@dataclass(frozen=True)
class Bands:
    """Table of the maps of several photos along one axis, with equal ``size``. Processings of one size share it."""

    axes: tuple[Axis, ...]
    """Per photo, or a single one for all photos."""
    extent: int
    """Pixels along this axis in the tensor that is resized."""
    resample: int
    """Pillow's number of the filter; see ``FILTERS``."""

    def arrays(self) -> Sequence[np.ndarray]:
        return _packed(self)

    def on_device(self, *arrays: Tensor) -> Band:
        """Only the weights are sent; zeros are made on the device."""
        offsets, weights, places = arrays
        span = places.shape[1] // (offsets.shape[1] // TILE)
        columns = offsets[..., None] + torch.arange(weights.shape[2], device=weights.device)
        dense = torch.zeros((*offsets.shape, span), dtype=torch.float64, device=weights.device)
        dense.scatter_(2, columns, weights)
        dense *= 2.0**-PRECISION_BITS
        return Band(places, dense.unflatten(1, (-1, TILE)), self.axes[0].size)


@lru_cache(maxsize=32)
def _packed(bands: Bands) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """int64 [b, r], the first index of a target pixel in the span of its tile; float64 [b, r, taps], its weights; int64
    [b, tiles * span], the source pixels that the tiles read. Cached for batches of photos of one size."""
    axes = bands.axes
    lengths, targets, cuts, begins = (np.array([[a.length, a.target, a.first, a.start] for a in axes]).T)[..., None]
    wanted = cuts + np.arange(-(-axes[0].size // TILE) * TILE)
    rows = wanted.clip(0, targets - 1)  # pixels beyond the used size are cut off later
    first, weights = taps(lengths, targets, rows, bands.resample)
    weights[wanted != rows] = 0
    first += begins
    starts = first.reshape(len(axes), -1, TILE).min(2)
    offsets = first - starts.repeat(TILE, 1)
    span = int(offsets.max()) + weights.shape[2]
    places = np.minimum(starts[..., None] + np.arange(span), bands.extent - 1).reshape(len(axes), -1)
    return offsets, weights, places


def taps(lengths: np.ndarray, targets: np.ndarray, rows: np.ndarray, resample: int) -> tuple[np.ndarray, np.ndarray]:
    """First source pixel and weights of the target pixels of b photos.

    Args:
        lengths, targets: pixels before and after the resize, int [b, 1].
        rows: target pixels, int [b, r].
        resample: Pillow's number of the filter.

    Returns:
        First source pixels, int64 [b, r], and weights, float64 [b, r, taps], whole numbers that sum to about 2**22.

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
    """Weights divided by their sum, which is taken in Pillow's order: numpy would sum, and round, in another order."""
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
    """Sine of the C library, which Pillow uses; numpy's is faster but may differ in the last bit."""
    return np.fromiter(map(math.sin, x.ravel()), np.float64, x.size).reshape(x.shape)


FILTERS: dict[int, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    Image.Resampling.BOX: (0.5, _box),
    Image.Resampling.BILINEAR: (1.0, _bilinear),
    Image.Resampling.BICUBIC: (2.0, _bicubic),
    Image.Resampling.LANCZOS: (3.0, _lanczos),
}
"""Support in source pixels (before stretching) and shape of each filter, by Pillow's number."""


@dataclass(frozen=True)
class Resize:
    """How one photo is resized and cropped."""

    horizontal: Axis
    vertical: Axis
    resample: int
    """Pillow's number of the filter."""

    @property
    def vertical_first(self) -> bool:
        """Pillow's order of the two passes."""
        before, after = (self.horizontal.length, self.vertical.length), (self.horizontal.target, self.vertical.target)
        return vertical_first(before, after)


@dataclass(frozen=True)
class Members:
    """Table of the photos of a batch that are resized together."""

    chosen: tuple[int, ...]
    """Indices in the batch."""

    def arrays(self) -> Sequence[np.ndarray]:
        return (np.array(self.chosen, dtype=np.int64),)

    def on_device(self, *arrays: Tensor) -> Tensor:
        return arrays[0]


def resized(planes: Tensor, resizes: Sequence[Resize], tables: Tables | None = None) -> Tensor:
    """uint8 [n, 3, h, w] -> uint8 [n, 3, vertical.size, horizontal.size].

    Args:
        planes: photos, each in the upper left corner of its plane.
        resizes: one per photo, with the same filter and equal used sizes.
        tables: of ``resize_needs``; by default each is sent when it is read.
    """
    tables = tables or Tables(planes.device)
    parts = _parts(resizes)
    if len(set(resizes)) == 1:
        folded = planes.reshape(1, -1, *planes.shape[-2:])
        return _two_passes(folded, resizes[:1], tables).unflatten(1, (-1, 3))[0]
    if len(parts) == 1:
        return _two_passes(planes, resizes, tables)
    result = planes.new_empty((len(resizes), 3, resizes[0].vertical.size, resizes[0].horizontal.size))
    for chosen in parts:
        places = tables[Members(chosen)]
        result[places] = _two_passes(planes[places], [resizes[i] for i in chosen], tables)
    return result


def resize_needs(resizes: Sequence[Resize], height: int, width: int) -> Iterator[Need[Any]]:
    """Tables of ``resized`` for planes of this height and width."""
    parts = _parts(resizes)
    for chosen in parts:
        if len(parts) > 1:
            yield Members(chosen)
        yield from _bands([resizes[i] for i in chosen], height, width)


def _parts(resizes: Sequence[Resize]) -> list[tuple[int, ...]]:
    """Indices of photos that are resized together: a single one if all resizes are equal, else those of each order."""
    if len(set(resizes)) == 1:
        return [(0,)]
    orders = [resize.vertical_first for resize in resizes]
    return [tuple(i for i, other in enumerate(orders) if other == order) for order in sorted(set(orders))]


def _bands(resizes: Sequence[Resize], height: int, width: int) -> tuple[Bands, Bands]:
    """The maps along the height and along the width."""
    resample = resizes[0].resample
    rows = Bands(tuple(r.vertical for r in resizes), height, resample)
    return rows, Bands(tuple(r.horizontal for r in resizes), width, resample)


def _two_passes(planes: Tensor, resizes: Sequence[Resize], tables: Tables) -> Tensor:
    """Resize planes uint8 [b, c, h, w], with one resize for each of the b."""
    rows, columns = (tables[bands] for bands in _bands(resizes, *planes.shape[-2:]))
    if resizes[0].vertical_first:
        return _along_width(_along_height(planes, rows), columns)
    return _along_height(_along_width(planes, columns), rows)


def _along_width(planes: Tensor, columns: Band) -> Tensor:
    b, c, h, _ = planes.shape
    _, tiles, tile, span = columns.weights.shape
    read = gathered(planes, columns.places, 3, photos=0).reshape(b, c * h, tiles, span).transpose(1, 2)
    made = _to_bytes(read.double() @ columns.weights.mT)
    return made.transpose(1, 2).reshape(b, c, h, tiles * tile)[..., : columns.size]


def _along_height(planes: Tensor, rows: Band) -> Tensor:
    b, c, _, w = planes.shape
    _, tiles, tile, span = rows.weights.shape
    read = gathered(planes, rows.places, 2, photos=0).reshape(b, c, tiles, span, w)
    made = _to_bytes(rows.weights[:, None] @ read.double())
    return made.reshape(b, c, tiles * tile, w)[..., : rows.size, :]


def _to_bytes(values: Tensor) -> Tensor:
    return values.add_(0.5).clamp_(0, 255).to(torch.uint8)  # which drops the fraction
