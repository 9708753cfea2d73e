"""libjpeg's accurate integer DCT ("islow") as products of small integer matrices, exact in float64.

Each of its one-dimensional passes is a linear map with integer constants of 13 bits (Loeffler, Ligtenberg and
Moschytz, ICASSP 1989; libjpeg ``jfdctint.c``, ``jidctint.c``) and one rounding at the end. Sums of such products stay
under 2**53, so float64 holds them exactly whatever the order of the additions, and adding half a unit before ``floor``
rounds as the shift of an integer does. A product is one kernel on a GPU; the butterflies are fifty. No setting rounds
the factors of float64, while TF32, which an encoder's thread may switch on, would round those of float32.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

ONE = 1 << 13
"""1 in the fixed point of the constants."""
FORWARD_SHIFTS = (11, 15)
"""Bits dropped after the passes along rows and along columns: 13 less and plus the 2 that are kept between them."""
INVERSE_SHIFTS = (11, 18)
"""The same along columns and along rows; 3 bits more undo the scale of 8."""
LEVEL_SHIFT = 128
"""Subtracted from pixels before the transform, added after its inverse."""


def forward_dct(blocks: Tensor) -> Tensor:
    """float64 [8, 8, ...] (row, column of a block first), pixels 0..255 -> float32, whole: 8 times the true DCT.

    The level shift is made on the constant coefficient, which alone shows it: the other rows of the matrix sum to 0.

    >>> bright = torch.full((8, 8, 1), 138.0, dtype=torch.float64)
    >>> forward_dct(bright)[0, 0].item(), forward_dct(bright).count_nonzero().item()
    (640.0, 1)
    """
    rows, columns = (_matrix(shift, False, blocks.device) for shift in FORWARD_SHIFTS)
    exact = _along_height(columns, _rounded(_along_width(rows, blocks)))
    result = _rounded(exact).float()  # under 2**14: it fits, in half the memory
    result[0, 0] -= 64 * LEVEL_SHIFT
    return result


def inverse_dct(coefficients: Tensor) -> Tensor:
    """float64 [8, 8, ...], dequantised integers (the true DCT) -> pixels, uint8, clamped."""
    columns, rows = (_matrix(shift, True, coefficients.device) for shift in INVERSE_SHIFTS)
    exact = _along_width(rows, _rounded(_along_height(columns, coefficients)))
    return exact.add_(LEVEL_SHIFT + 0.5).clamp_(0, 255).to(torch.uint8)  # which drops the fraction


def integer_dct() -> np.ndarray:
    """The exact map of one forward pass before rounding, int64 [8, 8]; its transpose is that of the inverse.

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
    """The map of a pass with its shift, a power of two, already divided out: float64 [8, 8]."""
    exact = integer_dct().T if inverse else integer_dct()
    return torch.from_numpy(exact * 2.0**-shift).to(device)


def _along_height(matrix: Tensor, blocks: Tensor) -> Tensor:
    return (matrix @ blocks.reshape(8, -1)).reshape(blocks.shape)


def _along_width(matrix: Tensor, blocks: Tensor) -> Tensor:
    return torch.matmul(matrix, blocks.reshape(8, 8, -1)).reshape(blocks.shape)


def _rounded(values: Tensor) -> Tensor:
    return values.add_(0.5).floor_()
