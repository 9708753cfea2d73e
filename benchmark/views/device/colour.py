"""Colour conversion and chroma subsampling as in libjpeg: ``jcsample.c``, and the triangle filter of ``jdsample.c``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.views.device.dct import extended, extension_needs
from benchmark.views.device.tables import Need, Tables

HALF = 1 << 15
"""One half in 16-bit fixed point: added before the shift, it rounds."""

CHROMA_BIAS = (128 << 16) + HALF - 1
"""Centre of chroma plus one half, less one unit, as in libjpeg, so that the largest value is 255."""


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


SMALLEST_FANCY = 3
"""Chroma columns from which the triangle filter is used; narrower planes are replicated."""


@dataclass(frozen=True)
class Narrow:
    """Table of the photos that have too few columns of chroma for the triangle filter."""

    columns: tuple[int, ...]
    """Per photo, the columns of chroma."""

    def arrays(self) -> Sequence[np.ndarray]:
        return (np.array(self.columns)[:, None, None] < SMALLEST_FANCY,)

    def on_device(self, *arrays: Tensor) -> Tensor:
        """bool [n, 1, 1]."""
        return arrays[0]


def halve(planes: Tensor, heights: Sequence[int], widths: Sequence[int], tables: Tables) -> Tensor:
    """Means of 2 x 2 pixels, uint8 [p, n, h, w] -> uint8 [p, n, ceil(h/2), 8 * ceil(w/16)].

    A half is rounded down in even columns and up in odd ones. Before, each photo's last row and column are repeated at
    full size. The result contains the repeated columns up to the end of the codec's blocks, but not the rows.
    """
    full = extended(planes, heights, widths, *_in_pairs(heights, widths), tables).short()
    pairs = full[..., 0::2, :] + full[..., 1::2, :]
    columns = torch.arange(pairs.shape[-1] // 2, device=planes.device)
    bias = (1 + columns % 2).short()
    return ((pairs[..., 0::2] + pairs[..., 1::2] + bias) >> 2).to(torch.uint8)


def halve_needs(heights: Sequence[int], widths: Sequence[int]) -> Iterator[Need[Any]]:
    """Tables of ``halve``."""
    return extension_needs(heights, widths, *_in_pairs(heights, widths))


def halved(heights: Sequence[int], widths: Sequence[int]) -> tuple[list[int], list[int]]:
    """Heights and widths of the photos in the result of ``halve``, whose columns are complete, unlike its rows."""
    return [(height + 1) // 2 for height in heights], [_in_pairs(heights, widths)[1] // 2] * len(widths)


def double(planes: Tensor, heights: Sequence[int], widths: Sequence[int], tables: Tables) -> Tensor:
    """uint8 [p, n, ...] of at least half the size -> uint8 [p, n, max(heights), max(widths)].

    Each new row is 3/4 of the nearer and 1/4 of the farther old row, and each new column likewise. Outside the photo's
    chroma, the farther row or column is the nearer one.
    """
    rows, columns = _chroma_sizes(heights, widths)
    near = extended(planes, rows, columns, max(rows), max(columns), tables)
    cut = (..., slice(max(heights)), slice(max(widths)))
    narrow = [count < SMALLEST_FANCY for count in columns]
    if not any(narrow):
        return _triangle(near)[cut]
    plain = near.repeat_interleave(2, -2).repeat_interleave(2, -1)[cut]
    if all(narrow):
        return plain
    return torch.where(tables[Narrow(tuple(columns))], plain, _triangle(near)[cut])


def double_needs(heights: Sequence[int], widths: Sequence[int]) -> Iterator[Need[Any]]:
    """Tables of ``double``."""
    rows, columns = _chroma_sizes(heights, widths)
    yield from extension_needs(rows, columns, max(rows), max(columns))
    if min(columns) < SMALLEST_FANCY <= max(columns):
        yield Narrow(tuple(columns))


def _in_pairs(heights: Sequence[int], widths: Sequence[int]) -> tuple[int, int]:
    """The largest height as whole pairs of rows, the largest width as whole pairs of blocks."""
    return -(-max(heights) // 2) * 2, -(-max(widths) // 16) * 16


def _chroma_sizes(heights: Sequence[int], widths: Sequence[int]) -> tuple[list[int], list[int]]:
    rows, columns = ([(side + 1) // 2 for side in sides] for sides in (heights, widths))
    return rows, columns


def _triangle(planes: Tensor) -> Tensor:
    near = planes.short()
    above = torch.cat((near[..., :1, :], near[..., :-1, :]), -2)
    below = torch.cat((near[..., 1:, :], near[..., -1:, :]), -2)
    rows = torch.stack((3 * near + above, 3 * near + below), -2).flatten(-3, -2)
    left = torch.cat((rows[..., :1], rows[..., :-1]), -1)
    right = torch.cat((rows[..., 1:], rows[..., -1:]), -1)
    return torch.stack(((3 * rows + left + 8) >> 4, (3 * rows + right + 7) >> 4), -1).flatten(-2, -1).to(torch.uint8)
