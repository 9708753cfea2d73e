"""Pillow's 8-bit resampling (Resample.c): weights in double precision, rounded to 22 bits; bytes between the passes."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from builders.kernels import entry_point, jit
from builders.pixels.engine.lanes import LANES, Index, Lanes, Memory, constant, counted, kernel, variable
from builders.pixels.engine.layout import STRIPE, Frame

MAX_FACTOR = 64
"""Largest |factor| of sharpening: 64 * 255 fits 16 bits. Whole factors only: Pillow's float32 is exact for them."""


def blended(around: Any, centre: Any, factor: Any) -> Any:
    """``around`` is the sum of nine pixels. SMOOTH weighs the centre 5, the others 1, of 13, rounded to the nearest.

    13 is odd, so there are no ties, and (2 S + 13) / 26 in whole numbers is what Pillow's float arithmetic gives.
    """
    smooth = ((around + centre * 4) * 2 + 13) // 26
    return smooth + (centre - smooth) * factor


@kernel
def _sharpened(source: Memory, column: Index, above: Index, below: Index, factor: Index, target: Memory) -> None:
    total = None
    for pixels in (source, source.at(column * -1), source.at(column)):
        three = pixels.load(16) + pixels.at(above).load(16) + pixels.at(below).load(16)
        total = three if total is None else total + three
    target.store(blended(total, source.load(16), factor.every(16)).clip(0, 255))


@jit
def sharpen_stripe(photo: np.ndarray, loaded: Frame, x: int, factor: int, tile: np.ndarray) -> None:
    """The stripe at column ``x`` of the loaded frame; the picture's outermost rows and columns are unchanged."""
    lanes = loaded.lanes
    plane, column = 8 * lanes, 24 * lanes
    rows = loaded.bottom - loaded.top
    for i in range(STRIPE):
        here = min(x + i, loaded.width - 1)
        source = (here - loaded.left) * column
        for colour in range(3):
            a, b = source + colour * plane, i * column + colour * plane
            if here == 0 or here == loaded.width - 1 or here == loaded.left or here == loaded.right - 1:
                for k in range(plane):
                    tile[b + k] = photo[a + k]
                continue
            for phase in range(8):
                above = -lanes if phase > 0 else 7 * lanes - 1
                below = lanes if phase < 7 else 1 - 7 * lanes
                for lane in range(0, lanes, LANES):
                    at = phase * lanes + lane
                    _sharpened(photo, a + at, column, above, below, factor, tile, b + at)
            tile[b] = photo[a]
            last = ((rows - 1) & 7) * lanes + ((rows - 1) >> 3)
            for row in range(rows - 1, (rows + 15) & ~15):
                tile[b + (row & 7) * lanes + (row >> 3)] = photo[a + last]


PRECISION = 22
"""Resample.c: PRECISION_BITS = 32 - 8 - 2."""

BOX, BILINEAR, BICUBIC, LANCZOS = (
    int(f)
    for f in (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
)

SUPPORT = {BOX: 0.5, BILINEAR: 1.0, BICUBIC: 2.0, LANCZOS: 3.0}
"""Half width of each filter, in pixels of the coarser grid."""

BICUBIC_A = -0.5


class Weights(NamedTuple):
    """One axis of a resize: output i is the weighted sum of ``number[i]`` inputs from ``first[i]`` on."""

    first: np.ndarray
    """int64 [out]."""
    number: np.ndarray
    """int64 [out]."""
    values: np.ndarray
    """int32 [out * taps], times 2**22."""
    taps: int


@functools.lru_cache(maxsize=128)
def weights(before: int, after: int, resample: int) -> Weights:
    """The weights of one axis; an axis of unchanged size is copied.

    >>> weights(4, 2, BOX).values.reshape(2, -1)[0, :2] / 2**22
    array([0.5, 0.5])
    """
    if before == after:
        places = np.arange(after, dtype=np.int64)
        return Weights(places, np.ones(after, np.int64), np.full(after, 1 << PRECISION, np.int32), 1)
    support = SUPPORT[resample] * max(1.0, before / after)
    taps = math.ceil(support) * 2 + 1
    first, count = np.empty(after, np.int64), np.empty(after, np.int64)
    values = np.zeros(after * taps, np.int32)
    _fill(before, after, resample, SUPPORT[resample], first, count, values, taps)
    return Weights(first, count, values, taps)


@jit
def _filter(resample: int, x: float) -> float:
    if resample == BOX:
        return 1.0 if -0.5 < x <= 0.5 else 0.0
    if resample == LANCZOS:
        return _sinc(x) * _sinc(x / 3) if -3.0 <= x < 3.0 else 0.0
    x = abs(x)
    if resample == BILINEAR:
        return 1.0 - x if x < 1.0 else 0.0
    if x < 1.0:
        return ((BICUBIC_A + 2.0) * x - (BICUBIC_A + 3.0)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * BICUBIC_A if x < 2.0 else 0.0


@jit
def _sinc(x: float) -> float:
    if x == 0.0:
        return 1.0
    x = x * math.pi
    return math.sin(x) / x


@entry_point
def _fill(
    before: int,
    after: int,
    resample: int,
    support: float,
    first: np.ndarray,
    number: np.ndarray,
    values: np.ndarray,
    taps: int,
) -> None:
    scale = before / after
    stretch = max(scale, 1.0)
    support = support * stretch
    inverse = 1.0 / stretch
    exact = np.zeros(taps, np.float64)
    for i in range(after):
        centre = (i + 0.5) * scale
        low = max(int(centre - support + 0.5), 0)
        high = min(int(centre + support + 0.5), before)
        total = 0.0
        for k in range(high - low):
            exact[k] = _filter(resample, (k + low - centre + 0.5) * inverse)
            total += exact[k]
        for k in range(high - low):
            weight = exact[k] / total if total != 0.0 else exact[k]
            values[i * taps + k] = int(weight * (1 << PRECISION) + (0.5 if weight >= 0 else -0.5))
        first[i], number[i] = low, high - low


def _add_weighted(sums: list[Any], source: Memory, distance: Index, values: Memory, number: Index) -> None:
    """Add to ``sums``, variables for ``LANES`` bytes each."""
    build = source.builder
    with counted(number) as k:
        inputs, weight = source.at(k.times(distance)), values.at(k).every()
        for j, part in enumerate(sums):
            total = Lanes(build, build.load(part)) + inputs.at(j * LANES).load() * weight
            build.store(total.value, part)


def _store_sums(sums: list[Any], target: Memory) -> None:
    for j, part in enumerate(sums):
        total = Lanes(target.builder, target.builder.load(part))
        target.at(j * LANES).store((total >> PRECISION).clip(0, 255))


@kernel
def weighted_48(source: Memory, distance: Index, values: Memory, number: Index, target: Memory) -> None:
    """48 bytes of the result; ``distance``: between the inputs of a sum."""
    sums = [variable(constant(source, 1 << (PRECISION - 1))) for _ in range(3)]
    _add_weighted(sums, source, distance, values, number)
    _store_sums(sums, target)


@kernel
def weighted_64(
    source: Memory, number: Index, rest: Memory, number_of_rest: Index, distance: Index, values: Memory, target: Memory
) -> None:
    """64 bytes of the result, whose inputs may continue at another address."""
    sums = [variable(constant(source, 1 << (PRECISION - 1))) for _ in range(4)]
    _add_weighted(sums, source, distance, values, number)
    _add_weighted(sums, rest, distance, values.at(number), number_of_rest)
    _store_sums(sums, target)


@jit
def across(planes: np.ndarray, start: int, lanes: int, table: Weights, i: int, target: np.ndarray, to: int) -> None:
    """Output column ``i`` of the horizontal pass. ``start``: where column 0 of the input would be."""
    column = 24 * lanes
    source = start + table.first[i] * column
    for at in range(0, column, 4 * LANES):
        here, number = source + at, table.number[i]
        weighted_64(planes, here, number, planes, here, 0, column, table.values, i * table.taps, target, to + at)
