"""RGB <-> YCbCr as libjpeg computes it: 16-bit fixed point, in 32-bit integers.

Constants are round(c * 2**16) of the JFIF matrix (libjpeg-turbo ``jccolext.c``, ``jdcolor.c``). Both directions are
elementwise, so they run anywhere in one pass over the pixels when compiled.
"""

from __future__ import annotations

import torch
from torch import Tensor

HALF = 1 << 15
"""One half in 16-bit fixed point: added before the shift, it rounds."""
CHROMA_BIAS = (128 << 16) + HALF - 1
"""Centre of chroma plus one half, less one unit: libjpeg's own way to keep the largest value at 255."""


def rgb_to_ycc(rgb: Tensor) -> Tensor:
    """uint8 [n, 3, h, w] -> uint8 [3, n, h, w]: all luminances, then all Cb, then all Cr.

    >>> rgb_to_ycc(torch.tensor([200, 30, 90], dtype=torch.uint8).reshape(1, 3, 1, 1)).flatten().tolist()
    [88, 129, 208]
    """
    r, g, b = rgb.int().unbind(1)
    y = (19595 * r + 38470 * g + 7471 * b + HALF) >> 16
    cb = (-11059 * r - 21709 * g + 32768 * b + CHROMA_BIAS) >> 16
    cr = (32768 * r - 27439 * g - 5329 * b + CHROMA_BIAS) >> 16
    return torch.stack((y, cb, cr)).to(torch.uint8)


def ycc_to_rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    """Three uint8 [n, h, w] -> uint8 [n, 3, h, w], clamped to 0..255.

    >>> y, cb, cr = (torch.full((1, 1, 1), v, dtype=torch.uint8) for v in (88, 129, 208))
    >>> ycc_to_rgb(y, cb, cr).flatten().tolist()
    [200, 31, 90]
    """
    light, blue, red = y.int(), cb.int() - 128, cr.int() - 128
    r = light + ((91881 * red + HALF) >> 16)
    g = light + ((-22554 * blue - 46802 * red + HALF) >> 16)
    b = light + ((116130 * blue + HALF) >> 16)
    return torch.stack((r, g, b), dim=1).clamp_(0, 255).to(torch.uint8)
