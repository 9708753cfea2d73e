"""Pillow's ``ImageEnhance.Sharpness`` for whole factors: pixels move away from, or towards, a 3 x 3 smoothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.views.device.tables import Tables

WEIGHTS = 13
"""Sum of ``ImageFilter.SMOOTH``: eight ones around a five."""


@dataclass(frozen=True)
class Insides:
    """Table of the numbers of columns and rows of each photo within its border."""

    sizes: tuple[tuple[int, int], ...]
    """(width, height) of the photos."""

    def arrays(self) -> Sequence[np.ndarray]:
        return (np.array(self.sizes)[:, None, None] - 2,)

    def on_device(self, *arrays: Tensor) -> Tensor:
        """int64 [n, 1, 1, 2]."""
        return arrays[0]


def sharpened(
    rgb: Tensor, factor: int, sizes: Sequence[tuple[int, int]] | None = None, tables: Tables | None = None
) -> Tensor:
    """smooth + factor * (photo - smooth), clamped: uint8 [n, 3, h, w] -> the same shape.

    The smoothing of a pixel is its weighted sum / 13, rounded (13 is odd: there are no halves). Border pixels, and
    photos under 3 pixels on a side, stay.

    Args:
        rgb: each photo in the upper left corner.
        factor: 1 changes nothing.
        sizes: (width, height) of each photo; by default all are w x h.
        tables: of ``sharpening_needs``; by default each is sent when it is read.

    >>> photo = torch.full((1, 3, 3, 3), 100, dtype=torch.uint8)
    >>> photo[..., 1, 1] = 113
    >>> sharpened(photo, 2)[0, 0].tolist()
    [[100, 100, 100], [100, 121, 100], [100, 100, 100]]
    """
    values = rgb.short()
    rows = values[..., :-2, :] + values[..., 1:-1, :] + values[..., 2:, :]
    inner = values[..., 1:-1, 1:-1]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * inner
    smooth = torch.div(2 * total + WEIGHTS, 2 * WEIGHTS, rounding_mode="trunc")
    changed = (smooth + factor * (inner - smooth)).clamp_(0, 255).to(torch.uint8)
    if sizes is not None and len(set(sizes)) > 1:
        most = (tables or Tables(rgb.device))[Insides(tuple(sizes))]
        changed = torch.where(_inside(most, changed), changed, rgb[..., 1:-1, 1:-1])
    result = rgb.clone()
    result[..., 1:-1, 1:-1] = changed
    return result


def sharpening_needs(sizes: Sequence[tuple[int, int]]) -> Iterator[Insides]:
    """Tables of ``sharpened``."""
    if len(set(sizes)) > 1:
        yield Insides(tuple(sizes))


def _inside(most: Tensor, inner: Tensor) -> Tensor:
    """bool [n, 1, h - 2, w - 2]: which pixels within the border of the canvas are within that of their photo."""
    row, column = (torch.arange(side, device=inner.device) for side in inner.shape[-2:])
    return (column < most[..., 0, None]) & (row[:, None] < most[..., 1, None])
