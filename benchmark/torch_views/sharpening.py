"""Pillow's ``ImageEnhance.Sharpness`` for whole factors: away from, or towards, a 3 x 3 smoothing."""

from __future__ import annotations

import torch
from torch import Tensor

WEIGHTS = 13
"""Sum of ``ImageFilter.SMOOTH``: eight ones around a five."""


def sharpened(rgb: Tensor, factor: int) -> Tensor:
    """uint8 [n, 3, h, w] -> smooth + factor * (photo - smooth), clamped, the same shape.

    The smoothing of a pixel is its weighted sum / 13, rounded (13 is odd: there are no halves). Border pixels, and
    photos under 3 pixels on a side, stay.

    >>> photo = torch.full((1, 3, 3, 3), 100, dtype=torch.uint8)
    >>> photo[..., 1, 1] = 113
    >>> sharpened(photo, 2)[0, 0].tolist()
    [[100, 100, 100], [100, 121, 100], [100, 100, 100]]
    """
    if min(rgb.shape[-2:]) < 3:
        return rgb
    values = rgb.short()
    rows = values[..., :-2, :] + values[..., 1:-1, :] + values[..., 2:, :]
    inner = values[..., 1:-1, 1:-1]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] + 4 * inner
    smooth = torch.div(2 * total + WEIGHTS, 2 * WEIGHTS, rounding_mode="trunc")
    result = rgb.clone()
    result[..., 1:-1, 1:-1] = (smooth + factor * (inner - smooth)).clamp_(0, 255).to(torch.uint8)
    return result
