"""Planes <-> 8 x 8 blocks, with the two places in a block as leading axes.

``[8, 8, planes, n, rows, columns]`` makes one coefficient of all blocks contiguous, so that a one-dimensional DCT along
either side of the blocks is one product of an 8 x 8 matrix with a long one.
"""

from __future__ import annotations

import torch
from torch import Tensor

SIDE = 8
"""Pixels on one side of a block."""


def to_blocks(planes: Tensor) -> Tensor:
    """uint8 [p, n, h, w] -> float64 [8, 8, p, n, ceil(h/8), ceil(w/8)], minus 128; the last row and column repeated."""
    height, width = (-(-side // SIDE) * SIDE for side in planes.shape[-2:])
    tiled = replicate_to(planes, height, width).unflatten(-1, (-1, SIDE)).unflatten(-3, (-1, SIDE))
    return tiled.permute(3, 5, 0, 1, 2, 4).to(torch.float64, memory_format=torch.contiguous_format).sub_(128)


def from_blocks(blocks: Tensor) -> Tensor:
    """float64 [8, 8, p, n, rows, columns] + 128, clamped -> uint8 [p, n, 8 * rows, 8 * columns]."""
    pixels = (blocks + 128).clamp_(0, 255).to(torch.uint8)
    return pixels.permute(2, 3, 4, 0, 5, 1).flatten(-2).flatten(-3, -2)


def replicate_to(planes: Tensor, height: int, width: int) -> Tensor:
    """Repeat the last row and column of [..., h, w] until it is [..., height, width]."""
    for dim, wanted in ((-2, height), (-1, width)):
        if planes.shape[dim] != wanted:
            places = torch.arange(wanted, device=planes.device).clamp_(max=planes.shape[dim] - 1)
            planes = planes.index_select(dim, places)
    return planes
