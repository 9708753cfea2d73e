"""From one colour per pixel to three: two linear methods that cameras of two ages use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from builders.simcams.optics import bayer_sites

Padded = np.ndarray
"""A mosaic with two mirrored pixels on every side; mirroring about the edge pixel keeps the Bayer phase."""


def demosaic(mosaic: np.ndarray, pattern: str, method: str) -> np.ndarray:
    """Colour planes float32 [3, height, width] of a mosaic float32 [height, width]. Overshoots are kept, not cut.

    Args:
        mosaic: both sides even, at least 4.
        pattern: ``RGGB``, ``BGGR``, ``GRBG`` or ``GBRG``.
        method: a name in ``METHODS``.

    >>> demosaic(np.full((4, 4), 0.5, np.float32), "RGGB", "malvar").round(3).min()
    np.float32(0.5)
    """
    if mosaic.shape[0] % 2 or mosaic.shape[1] % 2:
        raise ValueError(f"a Bayer mosaic has even sides, not {mosaic.shape}")
    green_at, along_at, across_at, opposite_at = METHODS[method]
    padded = np.pad(mosaic.astype(np.float32, copy=False), 2, mode="reflect")
    planes = np.empty((3, *mosaic.shape), np.float32)
    sites = bayer_sites(pattern)
    for row, column, colour in sites:
        view = _Site(padded, row, column, mosaic.shape)
        at = (slice(row, None, 2), slice(column, None, 2))
        planes[colour][at] = view(0, 0)
        if colour == 1:
            in_row = next(c for r, k, c in sites if r == row and k != column)
            planes[in_row][at] = along_at(view)
            planes[2 - in_row][at] = across_at(view)
        else:
            planes[1][at] = green_at(view)
            planes[2 - colour][at] = opposite_at(view)
    return planes


class _Site:
    """Neighbours of all pixels at one Bayer site, by offset: ``site(dy, dx)``."""

    def __init__(self, padded: Padded, row: int, column: int, shape: tuple[int, ...]) -> None:
        self.padded, self.row, self.column, self.shape = padded, row, column, shape

    def __call__(self, dy: int, dx: int) -> np.ndarray:
        top, left = 2 + self.row + dy, 2 + self.column + dx
        return self.padded[top : top + self.shape[0] - self.row : 2, left : left + self.shape[1] - self.column : 2]

    def horizontal(self, d: int) -> np.ndarray:
        return self(0, -d) + self(0, d)

    def vertical(self, d: int) -> np.ndarray:
        return self(-d, 0) + self(d, 0)

    def cross(self, d: int) -> np.ndarray:
        return self.horizontal(d) + self.vertical(d)

    def diagonal(self) -> np.ndarray:
        return self(-1, -1) + self(-1, 1) + self(1, -1) + self(1, 1)


Estimate = Callable[[_Site], np.ndarray]

_BILINEAR: tuple[Estimate, ...] = (
    lambda s: s.cross(1) / 4,
    lambda s: s.horizontal(1) / 2,
    lambda s: s.vertical(1) / 2,
    lambda s: s.diagonal() / 4,
)

_MALVAR: tuple[Estimate, ...] = (
    lambda s: (4 * s(0, 0) + 2 * s.cross(1) - s.cross(2)) / 8,
    lambda s: (5 * s(0, 0) + 4 * s.horizontal(1) - s.horizontal(2) + s.vertical(2) / 2 - s.diagonal()) / 8,
    lambda s: (5 * s(0, 0) + 4 * s.vertical(1) - s.vertical(2) + s.horizontal(2) / 2 - s.diagonal()) / 8,
    lambda s: (6 * s(0, 0) + 2 * s.diagonal() - 1.5 * s.cross(2)) / 8,
)

METHODS: Mapping[str, tuple[Estimate, ...]] = MappingProxyType({"bilinear": _BILINEAR, "malvar": _MALVAR})
"""Estimates of green at red/blue, of a colour at green with that colour along the row, the same across the rows, and
of red at blue / blue at red. ``malvar``: the four 5 x 5 filters of Malvar, He and Cutler, "High-quality linear
interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004, figure 2."""
