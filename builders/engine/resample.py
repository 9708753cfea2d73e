"""Pillow's 8-bit resampling (Resample.c): weights in double precision, rounded to 22 bits; bytes between the passes."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import __version__ as pillow_version

from builders.engine.compiled import entry_point, jit
from builders.engine.lanes import LANES, Index, Lanes, Memory, constant, counted, kernel

PRECISION = 22
"""Resample.c: PRECISION_BITS = 32 - 8 - 2."""

BOX, BILINEAR, BICUBIC, LANCZOS = (
    int(f)
    for f in (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
)
SUPPORT = {BOX: 0.5, BILINEAR: 1.0, BICUBIC: 2.0, LANCZOS: 3.0}
"""Half width of each filter, in pixels of the coarser grid."""

BICUBIC_A = -0.5

SHORTER_FIRST = int(pillow_version.split(".")[0]) >= 13
"""Since 13.0 Pillow begins with the vertical pass where that saves more; before, always with the horizontal."""


class Weights(NamedTuple):
    """One axis of a resize: output i is the weighted sum of ``number[i]`` inputs from ``first[i]`` on."""

    first: np.ndarray
    """int64 [out]."""
    number: np.ndarray
    """int64 [out]."""
    values: np.ndarray
    """int32 [out * taps], times 2**22."""
    taps: int


def vertical_first(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether the installed Pillow resizes (width, height) ``before`` to ``after`` along the height first."""
    saved = before[1] - after[1]
    return SHORTER_FIRST and saved > 0 and saved > 2 * (before[0] - after[0])


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


def _weighted(vectors: int):  # type: ignore[no-untyped-def]
    def weighted_sum(source: Memory, distance: Index, values: Memory, count: Index, target: Memory) -> None:
        half = constant(source, 1 << (PRECISION - 1))
        with counted(count, *[half] * vectors) as (k, sums):
            place = source.at(k.times(distance))
            weight = values.at(k).every()
            for j, variable in enumerate(sums):
                product = place.at(j * LANES).load() * weight
                source.builder.store((Lanes(source.builder, source.builder.load(variable)) + product).value, variable)
        for j, variable in enumerate(sums):
            total = Lanes(source.builder, source.builder.load(variable))
            target.at(j * LANES).store((total >> PRECISION).clip(0, 255))

    return kernel(weighted_sum)


weighted_64 = _weighted(4)
"""64 bytes of the result; ``distance`` lies between the inputs of one sum."""
weighted_48 = _weighted(3)
"""48 bytes of the result."""


@jit
def across(planes: np.ndarray, start: int, lanes: int, table: Weights, i: int, target: np.ndarray, to: int) -> None:
    """Output column ``i`` of the horizontal pass. ``start``: where column 0 of the input would be."""
    column, plane = 24 * lanes, 8 * lanes
    source = start + table.first[i] * column
    for at in range(0, 3 * plane, 4 * LANES):
        weighted_64(planes, source + at, column, table.values, i * table.taps, table.number[i], target, to + at)
