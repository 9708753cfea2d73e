"""RGB <-> YCbCr of JFIF in libjpeg's 16-bit fixed point (jccolor.c, jdcolor.c)."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders.kernels import jit
from builders.pixels.engine.lanes import LANES, Index, Memory, kernel

_EVEN = list(range(0, 2 * LANES, 2))

_ODD = list(range(1, 2 * LANES, 2))


@kernel
def _averaged(left: Memory, right: Memory, lanes: Index, bias: Index, target: Memory, four_phases: Index) -> None:
    """``2 * LANES`` times 2 x 2 pixels: ``left`` and ``right`` point at two columns, rows are ``lanes`` apart."""
    means = []
    for half in (0, LANES):
        a, b = left.at(half), right.at(half)
        total = a.load(16) + b.load(16) + a.at(lanes).load(16) + b.at(lanes).load(16)
        means.append((total + bias.every(16)) >> 2)
    target.store(means[0].shuffled(means[1], _EVEN))
    target.at(four_phases).store(means[0].shuffled(means[1], _ODD))


@jit
def downsample(full: np.ndarray, start: int, lanes: int, half: np.ndarray, to: int, half_lanes: int, rows: int) -> None:
    """Chroma [16, 8, lanes] -> [8, 8, half_lanes]; rows past the last of ``rows`` repeat it to the end of the block.

    The rounding bias is 1, 2, 1, 2, ... along a row (jcsample.c).
    """
    for column in range(8):
        source = start + 2 * column * 8 * lanes
        target = to + column * 8 * half_lanes
        for k in range(4):
            for lane in range(0, half_lanes, LANES):
                a = source + 2 * k * lanes + 2 * lane
                b = a + 8 * lanes
                _averaged(full, a, full, b, lanes, 1 + column % 2, half, target + k * half_lanes + lane, 4 * half_lanes)
        last = half[target + ((rows - 1) & 7) * half_lanes + ((rows - 1) >> 3)]
        for row in range(rows, (rows + 7) & ~7):
            half[target + (row & 7) * half_lanes + (row >> 3)] = last


@jit
def extend(half: np.ndarray, start: int, half_lanes: int, rows: int) -> None:
    """Repeat the first and the last row of a chroma column outside it, where ``upsample`` reads them.

    Row -1 is read one lane before phase 7: the last lane of phase 6, which no picture fills.
    """
    half[start + 7 * half_lanes - 1] = half[start]
    last = half[start + ((rows - 1) & 7) * half_lanes + ((rows - 1) >> 3)]
    half[start + (rows & 7) * half_lanes + (rows >> 3)] = last


@kernel
def _triangle(
    left: Memory,
    near: Memory,
    right: Memory,
    lanes: Index,
    above: Index,
    below: Index,
    target: Memory,
    target_lanes: Index,
) -> None:
    """Phases k and k + 4 of one chroma column and its neighbours -> two columns of two rows."""
    for further in (0, 1):  # the row itself weighs 3, the row before or after it 1; the same across
        results: list[list[Any]] = []
        for four in (0, 4):
            far = (lanes * -1 if four else above, below if four else lanes)[further]
            sums = []
            for column in (left, near, right):
                place = column.at(lanes * four)
                sums.append(place.load(16) * 3 + place.at(far).load(16))
            results.append([(sums[1] * 3 + sums[0] + 8) >> 4, (sums[1] * 3 + sums[2] + 7) >> 4])
        for side in (0, 1):
            first, second = results[0][side].interleaved(results[1][side])
            place = target.at(target_lanes * (8 * side + further))
            place.store(first)
            place.at(LANES).store(second)


@jit
def upsample(
    half: np.ndarray, left: int, near: int, right: int, half_lanes: int, full: np.ndarray, to: int, lanes: int
) -> None:
    """One chroma column [8, half_lanes] and its neighbours at ``left`` and ``right`` -> two columns [2, 8, lanes]."""
    for k in range(4):
        above = -half_lanes if k > 0 else 7 * half_lanes - 1
        below = half_lanes if k < 3 else 1 - 7 * half_lanes
        for lane in range(0, lanes // 2, LANES):
            a = k * half_lanes + lane
            b = to + 2 * k * lanes + 2 * lane
            _triangle(half, left + a, half, near + a, half, right + a, half_lanes, above, below, full, b, lanes)


@jit
def replicate(half: np.ndarray, start: int, half_lanes: int, full: np.ndarray, to: int, lanes: int) -> None:
    """``upsample`` without a filter, as libjpeg does for pictures of at most two chroma columns."""
    for column in range(2):
        for row in range(16 * min(half_lanes, lanes // 2)):
            value = half[start + ((row >> 1) & 7) * half_lanes + (row >> 4)]
            full[to + (column * 8 + (row & 7)) * lanes + (row >> 3)] = value


COLOUR_BITS = 16

COLOUR_HALF = 1 << (COLOUR_BITS - 1)

CENTRE = 128 << COLOUR_BITS
"""Chroma is stored around 128. jccolor.c adds ``COLOUR_HALF - 1`` to it, not ``COLOUR_HALF``: it cannot reach 256."""


def to_ycc(r: Any, g: Any, b: Any) -> tuple[Any, Any, Any]:
    """0..255 in, 0..255 out.

    jccolor.c weighs (r, g, b) by (19595, 38470, 7471) for Y, (-11059, -21709, 32768) for Cb and (32768, -27439, -5329)
    for Cr: 0.299, 0.587 and so on times 2**16. Each row sums to 2**16 or 0, so that g can be taken out.
    """
    red, blue = r - g, b - g
    y = g + ((red * 19595 + blue * 7471 + COLOUR_HALF) >> COLOUR_BITS)
    cb = (blue * 32768 - red * 11059 + (CENTRE + COLOUR_HALF - 1)) >> COLOUR_BITS
    cr = (red * 32768 - blue * 5329 + (CENTRE + COLOUR_HALF - 1)) >> COLOUR_BITS
    return y, cb, cr


def to_rgb(y: Any, cb: Any, cr: Any) -> tuple[Any, Any, Any]:
    """0..255 in; the result is not yet clipped.

    jdcolor.c has r = y + 1.402 cr, g = y - 0.34414 cb - 0.71414 cr, b = y + 1.772 cb around 128, in 2**16ths: 91881,
    -22554, -46802 and 116130. Whole multiples of 2**16 are taken out, which leaves factors of 16 bits.
    """
    blue, red = cb - 128, cr - 128
    r = y + red + ((red * (91881 - 65536) + COLOUR_HALF) >> COLOUR_BITS)
    g = y - red + ((red * (65536 - 46802) - blue * 22554 + COLOUR_HALF) >> COLOUR_BITS)
    b = y + blue + blue + ((blue * (116130 - 131072) + COLOUR_HALF) >> COLOUR_BITS)
    return r, g, b


@kernel
def rgb_to_ycc(rgb: Memory, channel: Index, ycc: Memory, plane: Index) -> None:
    """``LANES`` pixels; ``channel`` and ``plane`` are the distances between the three colours."""
    converted = to_ycc(rgb.load(), rgb.at(channel).load(), rgb.at(channel * 2).load())
    for k, lanes in enumerate(converted):
        ycc.at(plane * k).store(lanes)


@kernel
def ycc_to_rgb(y: Memory, cb: Memory, cr: Memory, rgb: Memory, channel: Index) -> None:
    """``LANES`` pixels; ``channel`` is the distance between the three colours of the result."""
    for k, lanes in enumerate(to_rgb(y.load(), cb.load(), cr.load())):
        rgb.at(channel * k).store(lanes.clip(0, 255))
