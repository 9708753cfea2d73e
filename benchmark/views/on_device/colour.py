"""RGB <-> YCbCr as libjpeg computes it: 16-bit fixed point, in 32-bit integers.

Constants are round(c * 2**16) of the JFIF matrix (libjpeg-turbo ``jccolext.c``, ``jdcolor.c``). Both directions are
elementwise; on a GPU they cost memory traffic alone, so sums are made in place and bytes are read as bytes.
"""

from __future__ import annotations

from torch import Tensor

HALF = 1 << 15
"""One half in 16-bit fixed point: added before the shift, it rounds."""
CHROMA_BIAS = (128 << 16) + HALF - 1
"""Centre of chroma plus one half, less one unit: libjpeg's own way to keep the largest value at 255."""


def rgb_to_ycc(rgb: Tensor) -> Tensor:
    """uint8 [n, 3, h, w] -> uint8 [3, n, h, w]: all luminances, then all Cb, then all Cr.

    >>> import torch
    >>> rgb_to_ycc(torch.tensor([200, 30, 90], dtype=torch.uint8).reshape(1, 3, 1, 1)).flatten().tolist()
    [88, 129, 208]
    """
    r, g, b = rgb.unbind(1)
    ycc = rgb.new_empty((3, *r.shape))
    ycc[0] = r.int().mul_(19595).add_(g, alpha=38470).add_(b, alpha=7471).add_(HALF) >> 16
    ycc[1] = r.int().mul_(-11059).add_(g, alpha=-21709).add_(b, alpha=32768).add_(CHROMA_BIAS) >> 16
    ycc[2] = r.int().mul_(32768).add_(g, alpha=-27439).add_(b, alpha=-5329).add_(CHROMA_BIAS) >> 16
    return ycc


def ycc_to_rgb(y: Tensor, cb: Tensor, cr: Tensor) -> Tensor:
    """Three uint8 [n, h, w] -> uint8 [n, 3, h, w], clamped to 0..255.

    >>> import torch
    >>> y, cb, cr = (torch.full((1, 1, 1), v, dtype=torch.uint8) for v in (88, 129, 208))
    >>> ycc_to_rgb(y, cb, cr).flatten().tolist()
    [200, 31, 90]
    """
    rgb = y.new_empty((y.shape[0], 3, *y.shape[1:]))
    rgb[:, 0] = _centred(cr, 91881).add_(HALF).bitwise_right_shift_(16).add_(y).clamp_(0, 255)
    greens = _centred(cb, -22554).add_(_centred(cr, -46802))
    rgb[:, 1] = greens.add_(HALF).bitwise_right_shift_(16).add_(y).clamp_(0, 255)
    rgb[:, 2] = _centred(cb, 116130).add_(HALF).bitwise_right_shift_(16).add_(y).clamp_(0, 255)
    return rgb


def _centred(chroma: Tensor, factor: int) -> Tensor:
    """factor * (chroma - 128), int32."""
    return chroma.int().sub_(128).mul_(factor)
