"""Planes <-> 8 x 8 blocks, with the two places in a block as leading axes.

``[8, 8, planes, n, rows, columns]`` makes one coefficient of all blocks contiguous, so that a one-dimensional DCT along
either side of the blocks is one product of an 8 x 8 matrix with a long one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.views.on_device.tables import Tables

SIDE = 8
"""Pixels on one side of a block."""


@dataclass(frozen=True)
class Places:
    """Where along an axis the pixels of a longer one are read: photos repeat their last."""

    lengths: tuple[int, ...]
    """Of the photos; one if all are alike."""
    wanted: int

    def arrays(self) -> Sequence[np.ndarray]:
        return (np.minimum(np.arange(self.wanted), np.array(self.lengths)[:, None] - 1),)

    def there(self, *arrays: Tensor) -> Tensor:
        """int64 [1 or n, wanted]."""
        return arrays[0]


def to_blocks(planes: Tensor, heights: Sequence[int], widths: Sequence[int], tables: Tables) -> Tensor:
    """uint8 [p, n, h, w] -> float64 [8, 8, p, n, rows, columns]; each photo continued to whole blocks."""
    whole = extended(planes, heights, widths, *_in_blocks(heights, widths), tables)
    tiled = whole.unflatten(-1, (-1, SIDE)).unflatten(-3, (-1, SIDE))
    return tiled.permute(3, 5, 0, 1, 2, 4).to(torch.float64, memory_format=torch.contiguous_format)


def block_needs(heights: Sequence[int], widths: Sequence[int]) -> Iterator[Places]:
    """Of ``to_blocks``."""
    return extension_needs(heights, widths, *_in_blocks(heights, widths))


def from_blocks(blocks: Tensor) -> Tensor:
    """uint8 [8, 8, p, n, rows, columns] -> [p, n, 8 * rows, 8 * columns]."""
    return blocks.permute(2, 3, 4, 0, 5, 1).flatten(-2).flatten(-3, -2)


def extended(
    planes: Tensor, heights: Sequence[int], widths: Sequence[int], height: int, width: int, tables: Tables
) -> Tensor:
    """Cut or continue planes [p, n, h, w] to [p, n, height, width]: photos shorter than that repeat their last pixels.

    >>> tables = Tables(torch.device("cpu"))
    >>> extended(torch.arange(6).reshape(1, 2, 1, 3), (1, 1), (3, 2), 1, 4, tables).tolist()
    [[[[0, 1, 2, 2]], [[3, 4, 4, 4]]]]
    """
    for dim, lengths, wanted in ((2, heights, height), (3, widths, width)):
        places = _places(lengths, wanted)
        planes = planes.narrow(dim, 0, wanted) if places is None else gathered(planes, tables[places], dim, photos=1)
    return planes


def extension_needs(heights: Sequence[int], widths: Sequence[int], height: int, width: int) -> Iterator[Places]:
    """Of ``extended``."""
    return (found for found in (_places(heights, height), _places(widths, width)) if found is not None)


def gathered(planes: Tensor, places: Tensor, dim: int, *, photos: int) -> Tensor:
    """Pick ``places`` along an axis: int64 [1, m], the same for all photos, or [n, m] along the axis ``photos``."""
    if len(places) == 1:
        return planes.index_select(dim, places[0])
    index = [1] * planes.ndim
    index[photos], index[dim] = places.shape
    shape = list(planes.shape)
    shape[dim] = places.shape[1]
    return planes.gather(dim, places.reshape(index).expand(shape))


def _in_blocks(heights: Sequence[int], widths: Sequence[int]) -> tuple[int, int]:
    """Height and width of whole blocks that hold all photos."""
    height, width = (-(-max(sides) // SIDE) * SIDE for sides in (heights, widths))
    return height, width


def _places(lengths: Sequence[int], wanted: int) -> Places | None:
    """``None`` where every photo is long enough."""
    if min(lengths) >= wanted:
        return None
    return Places(tuple(lengths[:1] if len(set(lengths)) == 1 else lengths), wanted)
