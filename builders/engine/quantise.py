"""Quantisation tables of a JPEG quality, in the form in which the transforms use them.

libjpeg divides coefficients that are 8 times too large by 8 q and rounds half away from zero. In float32,
``int(|x| * (1 / (8 q)) + (0.5 + 1 / (16 q)))`` is the same for every |x| < 2**14 and q 1..255 (its test tries all).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""ITU-T T.81, table K.1; rows are vertical frequencies."""

CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
"""ITU-T T.81, table K.2."""


class Tables(NamedTuple):
    """For each quality its table of luminance, then of chrominance; horizontal frequencies first."""

    reciprocal: np.ndarray
    """float32 [qualities * 2 * 64]: 1 / (8 q)."""
    offset: np.ndarray
    """float32: 0.5, and half of the distance between two quotients."""
    step: np.ndarray
    """int32: q."""


@functools.lru_cache(maxsize=64)
def tables(qualities: Sequence[int]) -> Tables:
    """The tables of a tuple of qualities."""
    steps = np.concatenate([_scaled(base, q).T.ravel() for q in qualities for base in (LUMINANCE, CHROMINANCE)])
    return tables_of_steps(steps)


def tables_of_steps(steps: np.ndarray) -> Tables:
    """The same from the steps q themselves."""
    reciprocal, offset = 1 / (8 * steps), 0.5 + 1 / (16 * steps)
    return Tables(reciprocal.astype(np.float32), offset.astype(np.float32), steps.astype(np.int32))


def _scaled(base: Sequence[Sequence[int]], quality: int) -> np.ndarray:
    """jcparam.c, jpeg_quality_scaling and jpeg_add_quant_table with force_baseline."""
    quality = min(max(quality, 1), 100)
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(base, np.int64) * percent + 50) // 100, 1, 255)
