"""Pillow's ``ImageEnhance.Sharpness``: a blend of the picture with its 3 x 3 smoothing (Filter.c, Blend.c)."""

from __future__ import annotations

from typing import Any

import numpy as np

from builders.pixels.engine.compiled import jit
from builders.pixels.engine.lanes import LANES, Index, Memory, kernel
from builders.pixels.engine.layout import STRIPE, Frame

MAX_FACTOR = 64
"""Largest |factor| taken: 64 * 255 fits 16 bits. Whole factors only: Pillow's float32 is exact for them."""


def blended(around: Any, centre: Any, factor: Any) -> Any:
    """``around`` is the sum of nine pixels. SMOOTH weighs the centre 5, the others 1, of 13, rounded to the nearest.

    13 is odd, so there are no ties, and (2 S + 13) / 26 in whole numbers is what Pillow's float arithmetic gives.
    """
    smooth = ((around + centre * 4) * 2 + 13) // 26
    return smooth + (centre - smooth) * factor


@kernel
def _sharpened(source: Memory, column: Index, above: Index, below: Index, factor: Index, target: Memory) -> None:
    total = None
    for place in (source, source.at(column * -1), source.at(column)):
        three = place.load(16) + place.at(above).load(16) + place.at(below).load(16)
        total = three if total is None else total + three
    target.store(blended(total, source.load(16), factor.every(16)).clip(0, 255))


@jit
def sharpen_stripe(photo: np.ndarray, loaded: Frame, x: int, factor: int, tile: np.ndarray) -> None:
    """The stripe at column ``x`` of the loaded frame; the picture's outermost rows and columns stay as they are."""
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
