"""libjpeg's accurate integer DCT ("islow") as products of small integer matrices, exact in float64.

Each of the one-dimensional passes is a linear map with integer constants of 13 bits (Loeffler, Ligtenberg and
Moschytz, ICASSP 1989; libjpeg ``jfdctint.c``, ``jidctint.c``) and one rounding at the end. Sums of such products stay
under 2**53, so float64 holds them exactly whatever the order of the additions, and adding half a unit before ``floor``
rounds as the shift of an integer does. A product is one kernel on a GPU; the butterflies are fifty. Factors in
float64 are never rounded, while TF32, which an encoder's thread may switch on, would round those in float32.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from benchmark.views.device.tables import Tables

SIDE = 8
"""Pixels on one side of a block."""


@dataclass(frozen=True)
class Places:
    """Table of the indices that extend an axis: photos repeat their last pixel."""

    lengths: tuple[int, ...]
    """Pixels of the photos along the axis; a single number if they are equal."""
    wanted: int
    """Pixels after the extension."""

    def arrays(self) -> Sequence[np.ndarray]:
        return (np.minimum(np.arange(self.wanted), np.array(self.lengths)[:, None] - 1),)

    def on_device(self, *arrays: Tensor) -> Tensor:
        """int64 [1 or n, wanted]."""
        return arrays[0]


def to_blocks(planes: Tensor, heights: Sequence[int], widths: Sequence[int], tables: Tables) -> Tensor:
    """uint8 [p, n, h, w] -> float64 [8, 8, p, n, rows, columns]; each photo is extended to whole blocks."""
    whole = extended(planes, heights, widths, *_in_blocks(heights, widths), tables)
    tiled = whole.unflatten(-1, (-1, SIDE)).unflatten(-3, (-1, SIDE))
    return tiled.permute(3, 5, 0, 1, 2, 4).to(torch.float64, memory_format=torch.contiguous_format)


def block_needs(heights: Sequence[int], widths: Sequence[int]) -> Iterator[Places]:
    """Tables of ``to_blocks``."""
    return extension_needs(heights, widths, *_in_blocks(heights, widths))


def from_blocks(blocks: Tensor) -> Tensor:
    """uint8 [8, 8, p, n, rows, columns] -> [p, n, 8 * rows, 8 * columns]."""
    return blocks.permute(2, 3, 4, 0, 5, 1).flatten(-2).flatten(-3, -2)


def extended(
    planes: Tensor, heights: Sequence[int], widths: Sequence[int], height: int, width: int, tables: Tables
) -> Tensor:
    """Crop or extend planes [p, n, h, w] to [p, n, height, width]; smaller photos repeat their last pixels.

    >>> tables = Tables(torch.device("cpu"))
    >>> extended(torch.arange(6).reshape(1, 2, 1, 3), (1, 1), (3, 2), 1, 4, tables).tolist()
    [[[[0, 1, 2, 2]], [[3, 4, 4, 4]]]]
    """
    for dim, lengths, wanted in ((2, heights, height), (3, widths, width)):
        places = _places(lengths, wanted)
        planes = planes.narrow(dim, 0, wanted) if places is None else gathered(planes, tables[places], dim, photos=1)
    return planes


def extension_needs(heights: Sequence[int], widths: Sequence[int], height: int, width: int) -> Iterator[Places]:
    """Tables of ``extended``."""
    return (places for places in (_places(heights, height), _places(widths, width)) if places is not None)


def gathered(planes: Tensor, places: Tensor, dim: int, *, photos: int) -> Tensor:
    """Select ``places`` along ``dim``: int64 [1, m] for all photos, or [n, m], a row per photo on axis ``photos``."""
    if len(places) == 1:
        return planes.index_select(dim, places[0])
    index = [1] * planes.ndim
    index[photos], index[dim] = places.shape
    shape = list(planes.shape)
    shape[dim] = places.shape[1]
    return planes.gather(dim, places.reshape(index).expand(shape))


def _in_blocks(heights: Sequence[int], widths: Sequence[int]) -> tuple[int, int]:
    """Height and width in whole blocks that contain all photos."""
    height, width = (-(-max(sides) // SIDE) * SIDE for sides in (heights, widths))
    return height, width


def _places(lengths: Sequence[int], wanted: int) -> Places | None:
    """None if every photo is long enough."""
    if min(lengths) >= wanted:
        return None
    return Places(tuple(lengths[:1] if len(set(lengths)) == 1 else lengths), wanted)


ONE = 1 << 13
"""1 in the fixed point of the constants."""

FORWARD_SHIFTS = (11, 15)
"""Bits dropped after the passes along rows and along columns: 13 - 2 and 13 + 2, with 2 extra bits in between."""

INVERSE_SHIFTS = (11, 18)
"""The same along columns and along rows; 3 bits more undo the scale of 8."""

LEVEL_SHIFT = 128
"""Subtracted from pixels before the transform, added after its inverse."""


def forward_dct(blocks: Tensor) -> Tensor:
    """float64 [8, 8, ...] (row, column of a block first), pixels 0..255 -> float32, whole: 8 times the true DCT.

    The level shift is applied to the constant coefficient only: the other rows of the matrix sum to 0.

    >>> bright = torch.full((8, 8, 1), 138.0, dtype=torch.float64)
    >>> forward_dct(bright)[0, 0].item(), forward_dct(bright).count_nonzero().item()
    (640.0, 1)
    """
    rows, columns = (_matrix(shift, False, blocks.device) for shift in FORWARD_SHIFTS)
    exact = _along_height(columns, _rounded(_along_width(rows, blocks)))
    result = _rounded(exact).float()  # below 2**14, which float32 represents exactly
    result[0, 0] -= 64 * LEVEL_SHIFT
    return result


def inverse_dct(coefficients: Tensor) -> Tensor:
    """float64 [8, 8, ...], dequantised integers (the true DCT) -> pixels, uint8, clamped."""
    columns, rows = (_matrix(shift, True, coefficients.device) for shift in INVERSE_SHIFTS)
    exact = _along_width(rows, _rounded(_along_height(columns, coefficients)))
    return exact.add_(LEVEL_SHIFT + 0.5).clamp_(0, 255).to(torch.uint8)  # which drops the fraction


def integer_dct() -> np.ndarray:
    """The exact map of a forward pass before rounding, int64 [8, 8]; its transpose is the map of the inverse.

    >>> integer_dct()[1].tolist()
    [11363, 9633, 6437, 2260, -2260, -6437, -9633, -11363]
    """
    return np.stack(_butterflies(np.eye(8, dtype=np.int64)))


def _butterflies(x: np.ndarray) -> list[np.ndarray]:
    """The flow graph of ``jfdctint.c``; its constants are round(c * 8192) of the c in the comments."""
    sums = [x[i] + x[7 - i] for i in range(4)]
    d4, d5, d6, d7 = (x[3 - i] - x[4 + i] for i in range(4))
    even0, even3 = sums[0] + sums[3], sums[0] - sums[3]
    even1, even2 = sums[1] + sums[2], sums[1] - sums[2]
    shared = 4433 * (even2 + even3)  # 0.541196100
    five = 9633 * (d4 + d5 + d6 + d7)  # 1.175875602
    z1 = -7373 * (d4 + d7)  # 0.899976223
    z2 = -20995 * (d5 + d6)  # 2.562915447
    z3 = -16069 * (d4 + d6) + five  # 1.961570560
    z4 = -3196 * (d5 + d7) + five  # 0.390180644
    return [
        ONE * (even0 + even1),
        12299 * d7 + z1 + z4,  # 1.501321110
        shared + 6270 * even3,  # 0.765366865
        25172 * d6 + z2 + z3,  # 3.072711026
        ONE * (even0 - even1),
        16819 * d5 + z2 + z4,  # 2.053119869
        shared - 15137 * even2,  # 1.847759065
        2446 * d4 + z1 + z3,  # 0.298631336
    ]


@cache
def _matrix(shift: int, inverse: bool, device: torch.device) -> Tensor:
    """The map of a pass divided by its shift, a power of two: float64 [8, 8]."""
    exact = integer_dct().T if inverse else integer_dct()
    return torch.from_numpy(exact * 2.0**-shift).to(device)


def _along_height(matrix: Tensor, blocks: Tensor) -> Tensor:
    return (matrix @ blocks.reshape(8, -1)).reshape(blocks.shape)


def _along_width(matrix: Tensor, blocks: Tensor) -> Tensor:
    return torch.matmul(matrix, blocks.reshape(8, 8, -1)).reshape(blocks.shape)


def _rounded(values: Tensor) -> Tensor:
    return values.add_(0.5).floor_()
