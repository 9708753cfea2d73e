"""Chroma at half size, as libjpeg makes it (``jcsample.c``) and undoes it with its triangle filter (``jdsample.c``)."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.torch_views.blocks import replicate_to

SMALLEST_FANCY = 3
"""Chroma columns from which the triangle filter is used; narrower planes are replicated."""


def halve(planes: Tensor) -> Tensor:
    """Means of 2 x 2 pixels, uint8 [..., h, w] -> uint8 [..., ceil(h/2), m] with m = 8 * ceil(w/16).

    Rounds a half down in even columns and up in odd ones. The last row and the last column are repeated at full
    size first, the column as far as the codec's blocks go: columns that repeat it are made here.
    """
    height, width = planes.shape[-2:]
    full = replicate_to(planes, height + height % 2, -(-width // 16) * 16).short()
    pairs = full[..., 0::2, :] + full[..., 1::2, :]
    columns = torch.arange(pairs.shape[-1] // 2, device=planes.device)
    bias = (1 + columns % 2).short()
    return ((pairs[..., 0::2] + pairs[..., 1::2] + bias) >> 2).to(torch.uint8)


def double(planes: Tensor, height: int, width: int) -> Tensor:
    """uint8 [..., ceil(height/2), ceil(width/2)] -> uint8 [..., height, width].

    Each new row is 3/4 of the near and 1/4 of the far old row, each new column likewise; a far one outside the
    picture is the near one.
    """
    if planes.shape[-1] < SMALLEST_FANCY:
        return planes.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., :height, :width]
    near = planes.short()
    above = torch.cat((near[..., :1, :], near[..., :-1, :]), -2)
    below = torch.cat((near[..., 1:, :], near[..., -1:, :]), -2)
    rows = torch.stack((3 * near + above, 3 * near + below), -2).flatten(-3, -2)[..., :height, :]
    left = torch.cat((rows[..., :1], rows[..., :-1]), -1)
    right = torch.cat((rows[..., 1:], rows[..., -1:]), -1)
    columns = torch.stack(((3 * rows + left + 8) >> 4, (3 * rows + right + 7) >> 4), -1)
    return columns.flatten(-2, -1)[..., :width].to(torch.uint8)
