"""Quantisation tables of a JPEG quality, in the form in which the transforms use them.

libjpeg divides coefficients that are 8 times too large by 8 q and rounds half away from zero. In float32,
``int(|x| * (1 / (8 q)) + (0.5 + 1 / (16 q)))`` is the same for every |x| < 2**14 and q 1..255 (its test tries all).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from builders.pixels.jpeg_quality import scaled_tables


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
    written = [table for quality in qualities for table in scaled_tables(min(max(quality, 1), 100))]
    return tables_of_steps(np.concatenate([np.reshape(table, (8, 8)).T.ravel() for table in written]))


def tables_of_steps(steps: np.ndarray) -> Tables:
    """The same from the steps q themselves."""
    reciprocal, offset = 1 / (8 * steps), 0.5 + 1 / (16 * steps)
    return Tables(reciprocal.astype(np.float32), offset.astype(np.float32), steps.astype(np.int32))
