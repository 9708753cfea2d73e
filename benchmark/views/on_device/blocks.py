"""Planes <-> 8 x 8 blocks, with the two places in a block as leading axes.

``[8, 8, planes, n, rows, columns]`` makes one coefficient of all blocks contiguous, so that a one-dimensional DCT along
either side of the blocks is one product of an 8 x 8 matrix with a long one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.views.on_device.tables import sent

SIDE = 8
"""Pixels on one side of a block."""


def to_blocks(planes: Tensor, heights: Sequence[int], widths: Sequence[int]) -> Tensor:
    """uint8 [p, n, h, w] -> float64 [8, 8, p, n, rows, columns]; each photo continued to whole blocks."""
    height, width = (-(-max(sides) // SIDE) * SIDE for sides in (heights, widths))
    tiled = extended(planes, heights, widths, height, width).unflatten(-1, (-1, SIDE)).unflatten(-3, (-1, SIDE))
    return tiled.permute(3, 5, 0, 1, 2, 4).to(torch.float64, memory_format=torch.contiguous_format)


def from_blocks(blocks: Tensor) -> Tensor:
    """uint8 [8, 8, p, n, rows, columns] -> [p, n, 8 * rows, 8 * columns]."""
    return blocks.permute(2, 3, 4, 0, 5, 1).flatten(-2).flatten(-3, -2)


def extended(planes: Tensor, heights: Sequence[int], widths: Sequence[int], height: int, width: int) -> Tensor:
    """Cut or continue planes [p, n, h, w] to [p, n, height, width]: photos shorter than that repeat their last pixels.

    >>> extended(torch.arange(6).reshape(1, 2, 1, 3), (1, 1), (3, 2), 1, 4).tolist()
    [[[[0, 1, 2, 2]], [[3, 4, 4, 4]]]]
    """
    for dim, lengths, wanted in ((2, heights, height), (3, widths, width)):
        if min(lengths) >= wanted:
            planes = planes.narrow(dim, 0, wanted)
            continue
        count = 1 if len(set(lengths)) == 1 else len(lengths)
        last = np.array(lengths[:count])[:, None] - 1
        (places,) = sent(planes.device, np.minimum(np.arange(wanted), last))
        planes = gathered(planes, places, dim, photos=1)
    return planes


def gathered(planes: Tensor, places: Tensor, dim: int, *, photos: int) -> Tensor:
    """Pick ``places`` along an axis: int64 [1, m], the same for all photos, or [n, m] along the axis ``photos``."""
    if len(places) == 1:
        return planes.index_select(dim, places[0])
    index = [1] * planes.ndim
    index[photos], index[dim] = places.shape
    shape = list(planes.shape)
    shape[dim] = places.shape[1]
    return planes.gather(dim, places.reshape(index).expand(shape))
