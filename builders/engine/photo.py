"""All views of one photo: which part of it each view needs, and the calls that make them.

A preprocessing that cuts the centre needs only the blocks under it and the pixels that its filter reaches: the rest is
never made. Arrays in, arrays out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from builders.engine.layout import SLACK, STRIPE, Frame, load
from builders.engine.quantise import tables
from builders.engine.render import AS_IT_IS, RESIZED, SHARPENED, Columns, finish, render
from builders.engine.request import Request
from builders.engine.resample import BILINEAR, SUPPORT, Weights, vertical_first, weights
from builders.engine.sharpen import MAX_FACTOR
from builders.resize_crop import ResizeCrop

MAX_SIDE = 65_500
"""libjpeg's JPEG_MAX_DIMENSION; Pillow's error is the one to raise above it."""

SPARE_COLUMNS = 96
"""Columns that a view gathers before the oldest are dropped."""

Preparation = Callable[[Image.Image], np.ndarray]
"""What an encoder does to a picture: a ``ResizeCrop``, which is carried out here, or anything else, which is called."""

Planner = Callable[[int, int], Preparation]
"""(width, height) of a processed photo -> what is done to it."""


def takes(request: Request, photo: tuple[int, int]) -> bool:
    """Whether the engine makes this view of a photo of this (width, height); Pillow makes the others.

    >>> takes(Request(95, "4:4:4", 2, (300, 200), 2), (300, 200)), takes(Request(95, "4:4:4", 1.5, (9, 9), 2), (9, 9))
    (True, False)
    """
    whole = float(request.sharpness).is_integer() and abs(request.sharpness) <= MAX_FACTOR
    sizes = (*photo, *request.size)
    if not whole or request.subsampling not in ("4:2:0", "4:4:4") or not 1 <= request.quality <= 100:
        return False
    if min(sizes) < 1 or max(sizes) > MAX_SIDE or int(request.quality) != request.quality:
        return False
    if request.size == photo:
        return True
    return request.sharpness == 1 and request.resample in SUPPORT and not vertical_first(photo, request.size)


def pictures(photo: np.ndarray, requests: Sequence[Request]) -> list[np.ndarray]:
    """The pixels of each view: uint8 [height, width, 3], as ``photo`` is. ``takes`` allows every request."""
    return [made[0] for made in _Photo(photo, requests, []).made()]


def preprocessed(photo: np.ndarray, requests: Sequence[Request], planners: Sequence[Planner]) -> list[list[np.ndarray]]:
    """Each view after each preprocessing: [request][preprocessing], uint8 [height, width, 3]."""
    return _Photo(photo, requests, planners).made()


class _Range(NamedTuple):
    """Columns or rows that something needs; ``last`` is one past the last."""

    first: int
    last: int

    def union(self, other: _Range) -> _Range:
        return _Range(min(self.first, other.first), max(self.last, other.last))

    def aligned(self, margin: int, size: int) -> _Range:
        """Widened by ``margin`` and to whole stripes, within 0..size."""
        first = max(self.first - margin, 0) // STRIPE * STRIPE
        return _Range(first, min(size, -(-(self.last + margin) // STRIPE) * STRIPE))


@dataclass(frozen=True)
class _Plan:
    """A preprocessing of pictures of one size, with its weights."""

    crop: ResizeCrop
    horizontal: Weights
    vertical: Weights

    @property
    def columns(self) -> _Range:
        """Columns of the resized picture that are kept."""
        return _Range(max(self.crop.after.left, 0), min(self.crop.after.right, self.crop.size[0]))

    @property
    def rows(self) -> _Range:
        return _Range(max(self.crop.after.top, 0), min(self.crop.after.bottom, self.crop.size[1]))

    @property
    def empty(self) -> bool:
        return self.columns.first >= self.columns.last or self.rows.first >= self.rows.last


@dataclass(frozen=True)
class _Group:
    """Views that come from one encode: the same transformation and so the same size."""

    kind: int
    factor: int
    size: tuple[int, int]
    horizontal: Weights
    vertical: Weights
    requests: tuple[int, ...]
    preparations: tuple[_Plan | Preparation, ...]

    @property
    def plans(self) -> list[_Plan]:
        """The preparations that are carried out here."""
        return [p for p in self.preparations if isinstance(p, _Plan)]

    @property
    def whole(self) -> bool:
        """Whether the whole picture is made, since somebody else goes on with it."""
        return len(self.plans) < max(1, len(self.preparations)) or all(p.empty for p in self.plans)

    def needed(self) -> tuple[_Range, _Range]:
        """Columns and rows of the transformed picture."""
        if self.whole:
            return _Range(0, self.size[0]), _Range(0, self.size[1])
        across = [inputs(p.horizontal, p.columns) for p in self.plans if not p.empty]
        down = [inputs(p.vertical, p.rows) for p in self.plans if not p.empty]
        return _union(across), _union(down)


def inputs(table: Weights, outputs: _Range) -> _Range:
    """What a range of outputs is made of."""
    part = slice(outputs.first, outputs.last)
    return _Range(int(table.first[part].min()), int((table.first[part] + table.number[part]).max()))


def _union(ranges: Sequence[_Range]) -> _Range:
    total = ranges[0]
    for other in ranges[1:]:
        total = total.union(other)
    return total


class _Photo:
    """One photo on its way through the engine."""

    def __init__(self, photo: np.ndarray, requests: Sequence[Request], planners: Sequence[Planner]) -> None:
        self.pixels = np.ascontiguousarray(photo).reshape(-1)
        self.pixels.flags.writeable = False  # one type for the compiler, whatever the caller has
        self.height, self.width = photo.shape[:2]
        self.requests, self.planners = requests, planners
        self.groups = self._grouped()

    def made(self) -> list[list[np.ndarray]]:
        """For each request, its views: the whole picture if there is no preprocessing."""
        views: list[list[np.ndarray]] = [[] for _ in self.requests]
        if not self.groups:
            return views
        loaded, frames = self._frames()
        columns = -(-(loaded.right - loaded.left) // STRIPE) * STRIPE
        planes = _buffer("photo", columns * 24 * loaded.lanes + SLACK)
        load(self.pixels, loaded, planes)
        for group, frame in zip(self.groups, frames, strict=True):
            for request, arrays in zip(group.requests, self._render(group, planes, loaded, frame), strict=True):
                views[request] = arrays
        return views

    def _grouped(self) -> list[_Group]:
        own = (self.width, self.height)
        members: dict[tuple[int, int, tuple[int, int], int], list[int]] = {}
        for i, request in enumerate(self.requests):
            sharpened = request.size == own and request.sharpness != 1 and min(own) >= 3
            kind = SHARPENED if sharpened else AS_IT_IS if request.size == own else RESIZED
            resample = request.resample if kind == RESIZED else BILINEAR
            key = (kind, int(request.sharpness) if sharpened else 1, request.size, resample)
            members.setdefault(key, []).append(i)
        return [self._group(*key, requests) for key, requests in members.items()]

    def _group(self, kind: int, factor: int, size: tuple[int, int], resample: int, requests: list[int]) -> _Group:
        horizontal = weights(self.width, size[0], resample)
        vertical = weights(self.height, size[1], resample)
        preparations = tuple(_prepared(planner(*size)) for planner in self.planners)
        return _Group(kind, factor, size, horizontal, vertical, tuple(requests), preparations)

    def _frames(self) -> tuple[Frame, list[Frame]]:
        """What is loaded of the photo, and the frame of each group."""
        sharpens = any(group.kind == SHARPENED for group in self.groups)
        # The triangle filter reaches one pixel; sharpening spoils the outermost block, since the row beyond is missing.
        margin = 1 + STRIPE if sharpens else 1
        across, down, parts = [], [], []
        for group in self.groups:
            width, height = group.size
            x, y = group.needed()
            if group.kind == RESIZED:
                x, y = x.aligned(1, width), y.aligned(1, height)
                across.append(inputs(group.horizontal, x).aligned(0, self.width))
                down.append(inputs(group.vertical, y).aligned(0, self.height))
            else:
                x, y = x.aligned(1, width), y.aligned(margin, height)
                across.append(x.aligned(STRIPE, self.width) if sharpens else x)
                down.append(y)
            parts.append((x, y))
        x, y = _union(across), _union(down)
        loaded = _frame(self.width, self.height, x, y)
        frames = [
            _frame(*group.size, part[0], part[1] if group.kind == RESIZED else y)
            for group, part in zip(self.groups, parts, strict=True)
        ]
        return loaded, frames

    def _render(self, group: _Group, planes: np.ndarray, loaded: Frame, frame: Frame) -> list[list[np.ndarray]]:
        chosen = [self.requests[i] for i in group.requests]
        qualities = tuple(dict.fromkeys(int(r.quality) for r in chosen))
        kinds = list(dict.fromkeys((qualities.index(int(r.quality)), r.subsampling == "4:2:0") for r in chosen))
        wanted = np.zeros(2 * len(qualities), np.uint8)
        for quality, half in kinds:
            wanted[2 * quality + half] = 1
        columns, starts, total = _columns(group.plans)
        column = 24 * frame.lanes
        capacity = columns.reach + SPARE_COLUMNS
        result_size = total * column
        shape = (frame.bottom - frame.top, frame.right - frame.left, 3)
        image_size = int(np.prod(shape)) if group.whole else 0
        images = np.empty(image_size * len(kinds), np.uint8)
        results = _buffer("results", result_size * len(kinds) + SLACK)
        render(
            group.kind,
            planes,
            loaded,
            frame,
            group.horizontal,
            group.vertical,
            group.factor,
            tables(qualities),
            wanted,
            columns,
            _buffer("windows", len(kinds) * capacity * column + SLACK),
            capacity,
            results,
            result_size,
            images,
            image_size,
        )
        order = sorted(kinds)
        arrays = []
        for r in chosen:
            view = order.index((qualities.index(int(r.quality)), r.subsampling == "4:2:0"))
            picture = images[view * image_size : (view + 1) * image_size].reshape(shape) if group.whole else None
            arrays.append(self._finished(group, frame, results, view * result_size, starts, picture))
        return arrays

    def _finished(
        self,
        group: _Group,
        frame: Frame,
        results: np.ndarray,
        start: int,
        starts: Sequence[int],
        picture: np.ndarray | None,
    ) -> list[np.ndarray]:
        """One view after each preprocessing; ``picture`` is all of it, where that was made."""
        if not group.preparations:
            return [_made(picture)]
        arrays, places = [], iter(starts)
        for preparation in group.preparations:
            if isinstance(preparation, _Plan):
                arrays.append(_completed(preparation, frame, results, start + next(places) * 24 * frame.lanes))
            else:
                arrays.append(preparation(Image.fromarray(_made(picture))))
        return arrays


def _made(picture: np.ndarray | None) -> np.ndarray:
    assert picture is not None
    return picture


def _prepared(preparation: Preparation) -> _Plan | Preparation:
    """With its weights, if it is carried out here."""
    if not isinstance(preparation, ResizeCrop):
        return preparation
    before, after = preparation.before.size, preparation.size
    if before != after and (preparation.resample not in SUPPORT or vertical_first(before, after)):
        return preparation
    return _plan(preparation)


def _plan(crop: ResizeCrop) -> _Plan:
    width, height = crop.before.size
    horizontal = weights(width, crop.size[0], crop.resample)
    vertical = weights(height, crop.size[1], crop.resample)
    return _Plan(
        crop,
        horizontal._replace(first=horizontal.first + crop.before.left),
        vertical._replace(first=vertical.first + crop.before.top),
    )


def _frame(width: int, height: int, x: _Range, y: _Range) -> Frame:
    rows_of_blocks = -(-(y.last - y.first) // 8)
    return Frame(width, height, x.first, y.first, x.last, y.last, -(-rows_of_blocks // STRIPE) * STRIPE)


def _columns(plans: Sequence[_Plan]) -> tuple[Columns, list[int], int]:
    """The columns of all plans in one list, the first column of each plan in the results, and their number."""
    parts, starts, total, shift, values = [], [], 0, 0, [np.zeros(0, np.int32)]
    for plan in plans:
        starts.append(total)
        if plan.empty:
            continue
        out = np.arange(*plan.columns)
        table = plan.horizontal
        place = total + out - plan.columns.first
        parts.append(np.stack([table.first[out], table.number[out], shift + out * table.taps, place]))
        values.append(table.values)
        shift += len(table.values)
        total += -(-len(out) // STRIPE) * STRIPE
    if not parts:
        none = np.zeros(0, np.int64)
        return Columns(none, none, none, none, values[0], 0), starts, 0
    rows = np.concatenate(parts, axis=1).astype(np.int64)
    rows = rows[:, np.argsort(rows[0] + rows[1], kind="stable")]
    ends = rows[0] + rows[1]
    earliest = np.minimum.accumulate(rows[0][::-1])[::-1]  # of the columns still to come
    first, count, start, place = (np.ascontiguousarray(row) for row in rows)
    return Columns(first, count, start, place, np.concatenate(values), int((ends - earliest).max())), starts, total


def _completed(plan: _Plan, frame: Frame, results: np.ndarray, start: int) -> np.ndarray:
    """The vertical pass, into a picture whose uncovered part is black."""
    after, columns, rows = plan.crop.after, plan.columns, plan.rows
    width, height = after.size
    inside = not plan.empty and (rows.last - rows.first, columns.last - columns.first) == (height, width)
    image = (np.empty if inside else np.zeros)(height * width * 3, np.uint8)
    if not plan.empty:
        to = ((rows.first - after.top) * width + columns.first - after.left) * 3
        finish(
            results,
            start,
            frame,
            columns.last - columns.first,
            plan.vertical,
            rows.first,
            rows.last,
            image,
            to,
            3 * width,
        )
    return image.reshape(height, width, 3)


_own = threading.local()


def _buffer(name: str, size: int) -> np.ndarray:
    """Memory of this thread that is used again: fresh memory costs more than the work on it."""
    held: np.ndarray | None = getattr(_own, name, None)
    if held is None or len(held) < size:
        held = np.empty(size + size // 4, np.uint8)
        setattr(_own, name, held)
    return held
