"""The 8 x 8 transforms of libjpeg's ``islow`` method: Loeffler, Ligtenberg and Moschytz with 13-bit constants.

Formulas: libjpeg 6b, jfdctint.c and jidctint.c, which libjpeg-turbo repeats bit for bit. The shortcuts of the C code
for blocks of zeros give the same numbers as the full transform.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from builders.kernels import jit
from builders.pixels.engine.lanes import LANES, Index, Memory, kernel
from builders.pixels.headers.jpeg_quality import scaled_tables


class Tables(NamedTuple):
    """For each quality the table of luminance, then of chrominance; horizontal frequencies first."""

    reciprocal: np.ndarray
    """float32 [qualities * 2 * 64]: 1 / (8 q)."""
    offset: np.ndarray
    """float32: 0.5, and half of the distance between two quotients."""
    step: np.ndarray
    """int32: q."""


@functools.lru_cache(maxsize=64)
def tables(qualities: Sequence[int]) -> Tables:
    """The tables of a tuple of qualities."""
    in_order = [table for quality in qualities for table in scaled_tables(min(max(quality, 1), 100))]
    return tables_of_steps(np.concatenate([np.reshape(table, (8, 8)).T.ravel() for table in in_order]))


def tables_of_steps(steps: np.ndarray) -> Tables:
    """``Tables`` of given steps q."""
    reciprocal, offset = 1 / (8 * steps), 0.5 + 1 / (16 * steps)
    return Tables(reciprocal.astype(np.float32), offset.astype(np.float32), steps.astype(np.int32))


DCT_BITS = 13
"""Fraction bits of the constants."""

PASS_BITS = 2
"""Fraction bits that stay between the two passes."""

C0_298, C0_390, C0_541, C0_765, C0_899, C1_175 = 2446, 3196, 4433, 6270, 7373, 9633

C1_501, C1_847, C1_961, C2_053, C2_562, C3_072 = 12299, 15137, 16069, 16819, 20995, 25172
"""jfdctint.c: FIX_0_298631336 and so on, that is round(0.298631336 * 2**13) ..."""


def forward_1d(x: Sequence[Any], shift: int) -> list[Any]:
    """Eight samples -> eight coefficients times 2**(13 - shift) * sqrt(8), rounded half up. Integers of any kind."""
    half = 1 << (shift - 1)
    s0, s1, s2, s3 = x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]
    d0, d1, d2, d3 = x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]
    even0, even1, even2, even3 = s0 + s3, s1 + s2, s1 - s2, s0 - s3
    rotated = (even2 + even3) * C0_541 + half
    z1, z2, z3, z4 = d3 + d0, d2 + d1, d3 + d1, d2 + d0
    z5 = (z3 + z4) * C1_175 + half
    z1, z2, z3, z4 = z1 * C0_899, z2 * C2_562, z5 - z3 * C1_961, z5 - z4 * C0_390
    return [
        _scaled(even0 + even1, shift),
        (d0 * C1_501 - z1 + z4) >> shift,
        (rotated + even3 * C0_765) >> shift,
        (d1 * C3_072 - z2 + z3) >> shift,
        _scaled(even0 - even1, shift),
        (d2 * C2_053 - z2 + z4) >> shift,
        (rotated - even2 * C1_847) >> shift,
        (d3 * C0_298 - z1 + z3) >> shift,
    ]


def inverse_1d(x: Sequence[Any], shift: int) -> list[Any]:
    """Eight coefficients -> eight samples times 2**(13 - shift) * sqrt(8), rounded half up. Integers of any kind."""
    half = 1 << (shift - 1)
    rotated = (x[2] + x[6]) * C0_541
    low, high = rotated - x[6] * C1_847, rotated + x[2] * C0_765
    sum04, difference04 = (x[0] + x[4]) * (1 << DCT_BITS) + half, (x[0] - x[4]) * (1 << DCT_BITS) + half
    even = [sum04 + high, difference04 + low, difference04 - low, sum04 - high]
    z1, z2, z3, z4 = x[7] + x[1], x[5] + x[3], x[7] + x[3], x[5] + x[1]
    z5 = (z3 + z4) * C1_175
    z1, z2, z3, z4 = z1 * C0_899, z2 * C2_562, z5 - z3 * C1_961, z5 - z4 * C0_390
    odd = [
        x[1] * C1_501 - z1 + z4,
        x[3] * C3_072 - z2 + z3,
        x[5] * C2_053 - z2 + z4,
        x[7] * C0_298 - z1 + z3,
    ]
    return [(e + o) >> shift for e, o in zip(even, odd, strict=True)] + [
        (e - o) >> shift for e, o in zip(even[::-1], odd[::-1], strict=True)
    ]


def _scaled(x: Any, shift: int) -> Any:
    """``(x * 2**13 + half) >> shift`` with fewer operations."""
    by = shift - DCT_BITS
    return x * (1 << -by) if by <= 0 else (x + (1 << (by - 1))) >> by


@kernel
def _forward_rows(samples: Memory, column: Index, work: Memory) -> None:
    rows = forward_1d([samples.at(column * k).load() - 128 for k in range(8)], DCT_BITS - PASS_BITS)
    for k, lanes in enumerate(rows):
        work.at(k * 8 * LANES).store(lanes)


@kernel
def _forward_columns(work: Memory, coefficients: Memory, row: Index) -> None:
    columns = forward_1d([work.at(k * LANES).load() for k in range(8)], DCT_BITS + PASS_BITS)
    for k, lanes in enumerate(columns):
        coefficients.at(row * k).store(lanes)


@kernel
def _requantised_columns(
    coefficients: Memory, row: Index, reciprocal: Memory, offset: Memory, step: Memory, work: Memory
) -> None:
    """Quantise, dequantise and transform down the columns: one column of eight steps."""
    values = []
    for k in range(8):
        rounded = coefficients.at(row * k).load().rounded_quotient(reciprocal.at(k).every(), offset.at(k).every())
        values.append(rounded * step.at(k).every())
    for k, lanes in enumerate(inverse_1d(values, DCT_BITS - PASS_BITS)):
        work.at(k * LANES).store(lanes)


@kernel
def _inverse_rows(work: Memory, samples: Memory, column: Index) -> None:
    rows = inverse_1d([work.at(k * 8 * LANES).load() for k in range(8)], DCT_BITS + PASS_BITS + 3)
    for k, lanes in enumerate(rows):
        samples.at(column * k).store((lanes + 128).clip(0, 255))


@jit
def forward(samples, start, columns, lanes, coefficients, to, work):  # type: ignore[no-untyped-def]
    """Samples uint8 [columns, 8, lanes] -> coefficients times 8, int16 [columns / 8, 8 (across), 8 (down), lanes]."""
    for left in range(0, columns, 8):
        for lane in range(0, lanes, LANES):
            at = left * 8 * lanes + lane
            for y in range(8):
                _forward_rows(samples, start + at + y * lanes, 8 * lanes, work, y * LANES)
            for u in range(8):
                _forward_columns(work, u * 8 * LANES, coefficients, to + at + u * 8 * lanes, lanes)


@jit
def inverse(coefficients, start, columns, lanes, tables, table, samples, to, work):  # type: ignore[no-untyped-def]
    """Coefficients as ``forward`` leaves them -> samples uint8 [columns, 8, lanes] after one quantisation table."""
    for left in range(0, columns, 8):
        for lane in range(0, lanes, LANES):
            at = left * 8 * lanes + lane
            for u in range(8):
                t = table + u * 8
                source = start + at + u * 8 * lanes
                reciprocals, offsets, steps = tables.reciprocal, tables.offset, tables.step
                _requantised_columns(
                    coefficients, source, lanes, reciprocals, t, offsets, t, steps, t, work, u * 8 * LANES
                )
            for y in range(8):
                _inverse_rows(work, y * LANES, samples, to + at + y * lanes, 8 * lanes)
