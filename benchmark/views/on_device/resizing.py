"""Pillow's 8-bit resize, with a crop before and after it, of many photos at once: each with its own sizes.

Products of bytes and 22-bit weights sum exactly in float64, so a resize is two rounds of small dense matrix products.
Pillow rounds to bytes between the rounds; which axis comes first is decided photo by photo.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.views.on_device.blocks import gathered
from benchmark.views.on_device.tables import Need, Tables
from benchmark.views.on_device.taps import Axis, Band, Bands
from builders.pixels import vertical_first


@dataclass(frozen=True)
class Resize:
    """How one photo is resized and cropped."""

    horizontal: Axis
    vertical: Axis
    resample: int
    """Pillow's number of the filter."""

    @property
    def vertical_first(self) -> bool:
        """Pillow's order of the two passes."""
        before, after = (self.horizontal.length, self.vertical.length), (self.horizontal.target, self.vertical.target)
        return vertical_first(before, after)


@dataclass(frozen=True)
class Members:
    """The photos of a batch that a pass is for."""

    chosen: tuple[int, ...]

    def arrays(self) -> Sequence[np.ndarray]:
        return (np.array(self.chosen, dtype=np.int64),)

    def there(self, *arrays: Tensor) -> Tensor:
        return arrays[0]


def resized(planes: Tensor, resizes: Sequence[Resize], tables: Tables | None = None) -> Tensor:
    """uint8 [n, 3, h, w] -> uint8 [n, 3, vertical.size, horizontal.size].

    Args:
        planes: photos, each in the upper left corner of its plane.
        resizes: one per photo, with the same filter and the same sizes wanted.
        tables: those of ``resize_needs``; by default each is sent when it is read.
    """
    tables = tables or Tables(planes.device)
    parts = _parts(resizes)
    if len(set(resizes)) == 1:
        folded = planes.reshape(1, -1, *planes.shape[-2:])
        return _two_passes(folded, resizes[:1], tables).unflatten(1, (-1, 3))[0]
    if len(parts) == 1:
        return _two_passes(planes, resizes, tables)
    result = planes.new_empty((len(resizes), 3, resizes[0].vertical.size, resizes[0].horizontal.size))
    for chosen in parts:
        places = tables[Members(chosen)]
        result[places] = _two_passes(planes[places], [resizes[i] for i in chosen], tables)
    return result


def resize_needs(resizes: Sequence[Resize], height: int, width: int) -> Iterator[Need[Any]]:
    """Of ``resized`` for planes of this height and width."""
    parts = _parts(resizes)
    for chosen in parts:
        if len(parts) > 1:
            yield Members(chosen)
        yield from _bands([resizes[i] for i in chosen], height, width)


def _parts(resizes: Sequence[Resize]) -> list[tuple[int, ...]]:
    """The photos of a pass: one for all that are alike, else those of one order together."""
    if len(set(resizes)) == 1:
        return [(0,)]
    first = [one.vertical_first for one in resizes]
    return [tuple(i for i, one in enumerate(first) if one == order) for order in sorted(set(first))]


def _bands(resizes: Sequence[Resize], height: int, width: int) -> tuple[Bands, Bands]:
    """Along the height and along the width."""
    resample = resizes[0].resample
    rows = Bands(tuple(r.vertical for r in resizes), height, resample)
    return rows, Bands(tuple(r.horizontal for r in resizes), width, resample)


def _two_passes(planes: Tensor, resizes: Sequence[Resize], tables: Tables) -> Tensor:
    """uint8 [b, c, h, w], one resize for each of the b."""
    rows, columns = (tables[bands] for bands in _bands(resizes, *planes.shape[-2:]))
    if resizes[0].vertical_first:
        return _along_width(_along_height(planes, rows), columns)
    return _along_height(_along_width(planes, columns), rows)


def _along_width(planes: Tensor, columns: Band) -> Tensor:
    b, c, h, _ = planes.shape
    _, tiles, tile, span = columns.weights.shape
    read = gathered(planes, columns.places, 3, photos=0).reshape(b, c * h, tiles, span).transpose(1, 2)
    made = _to_bytes(read.double() @ columns.weights.mT)
    return made.transpose(1, 2).reshape(b, c, h, tiles * tile)[..., : columns.size]


def _along_height(planes: Tensor, rows: Band) -> Tensor:
    b, c, _, w = planes.shape
    _, tiles, tile, span = rows.weights.shape
    read = gathered(planes, rows.places, 2, photos=0).reshape(b, c, tiles, span, w)
    made = _to_bytes(rows.weights[:, None] @ read.double())
    return made.reshape(b, c, tiles * tile, w)[..., : rows.size, :]


def _to_bytes(values: Tensor) -> Tensor:
    return values.add_(0.5).clamp_(0, 255).to(torch.uint8)  # which drops the fraction
