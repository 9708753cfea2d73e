"""Plans of preprocessings: needed pixels, and the order in which columns can be made. Cached for each size."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from builders.pixels.engine.columns import Columns
from builders.pixels.engine.filters import SUPPORT, Weights, weights
from builders.pixels.engine.layout import STRIPE
from builders.pixels.requests import ResizeCrop, vertical_first


class Range(NamedTuple):
    """Columns or rows; ``last`` is one past the last."""

    first: int
    last: int

    def aligned(self, margin: int, size: int) -> Range:
        """Widened by ``margin`` and to whole stripes, within 0..size."""
        first = max(self.first - margin, 0) // STRIPE * STRIPE
        return Range(first, min(size, -(-(self.last + margin) // STRIPE) * STRIPE))


def union(ranges: Iterable[Range]) -> Range:
    """The smallest range that contains all of them."""
    firsts, lasts = zip(*ranges, strict=True)
    return Range(min(firsts), max(lasts))


def inputs(table: Weights, outputs: Range) -> Range:
    """Inputs of a range of outputs."""
    part = slice(outputs.first, outputs.last)
    return Range(int(table.first[part].min()), int((table.first[part] + table.number[part]).max()))


@dataclass(frozen=True)
class CropPlan:
    """A preprocessing of pictures of one size, with its weights."""

    crop: ResizeCrop
    horizontal: Weights
    vertical: Weights
    start: int
    """First column among the results of its view."""

    @property
    def columns(self) -> Range:
        """Columns of the resized picture inside the crop."""
        return Range(max(self.crop.after.left, 0), min(self.crop.after.right, self.crop.size[0]))

    @property
    def rows(self) -> Range:
        return Range(max(self.crop.after.top, 0), min(self.crop.after.bottom, self.crop.size[1]))

    @property
    def empty(self) -> bool:
        return self.columns.first >= self.columns.last or self.rows.first >= self.rows.last


@dataclass(frozen=True)
class CropPlans:
    """The preprocessings that views of one size share."""

    each: tuple[CropPlan, ...]
    columns: Columns
    width: int
    """Columns of the results of a view."""
    across: Range | None
    """Needed columns of the picture; ``None`` if the crops are outside it."""
    down: Range | None
    """Needed rows."""


def can_plan(crop: ResizeCrop) -> bool:
    """True if the engine carries it out; Pillow does the others."""
    before, after = crop.before.size, crop.size
    return before == after or (crop.resample in SUPPORT and not vertical_first(before, after))


@functools.lru_cache(maxsize=128)
def plans(crops: tuple[ResizeCrop, ...]) -> CropPlans:
    """The plans of some crops of pictures of one size."""
    each, width = [], 0
    for crop in crops:
        plan = _plan(crop, width)
        each.append(plan)
        width += 0 if plan.empty else -(-(plan.columns.last - plan.columns.first) // STRIPE) * STRIPE
    filled = [plan for plan in each if not plan.empty]
    across = union(inputs(p.horizontal, p.columns) for p in filled) if filled else None
    down = union(inputs(p.vertical, p.rows) for p in filled) if filled else None
    return CropPlans(tuple(each), _columns(filled), width, across, down)


def _plan(crop: ResizeCrop, start: int) -> CropPlan:
    width, height = crop.before.size
    horizontal = weights(width, crop.size[0], crop.resample)
    vertical = weights(height, crop.size[1], crop.resample)
    return CropPlan(
        crop,
        horizontal._replace(first=horizontal.first + crop.before.left),
        vertical._replace(first=vertical.first + crop.before.top),
        start,
    )


def _columns(each: list[CropPlan]) -> Columns:
    """The columns of all plans, those that need the fewest columns of the picture first."""
    parts, values, shift = [np.zeros((4, 0), np.int64)], [np.zeros(0, np.int32)], 0
    for plan in each:
        out, table = np.arange(*plan.columns), plan.horizontal
        place = plan.start + out - plan.columns.first
        parts.append(np.stack([table.first[out], table.number[out], shift + out * table.taps, place]))
        values.append(table.values)
        shift += len(table.values)
    rows = np.concatenate(parts, axis=1).astype(np.int64)
    rows = rows[:, np.argsort(rows[0] + rows[1], kind="stable")]
    earliest = np.minimum.accumulate(rows[0][::-1])[::-1]  # of this column and all later ones
    first, number, start, place = (np.ascontiguousarray(row) for row in rows)
    reach = int((first + number - earliest).max(initial=0))
    return Columns(first, number, start, place, np.concatenate(values), reach)
