"""The exact engine on one photo: which views it can make (Pillow makes the others), and these, whole or preprocessed.

A preprocessing that crops the centre needs only the blocks under the crop and the pixels that its filter reaches: the
rest is not computed. Arrays in, arrays out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from builders.pixels.engine.columns import Output, finish
from builders.pixels.engine.dct import tables
from builders.pixels.engine.filters import BILINEAR, MAX_FACTOR, SUPPORT, weights
from builders.pixels.engine.layout import SLACK, STRIPE, Frame, load_frame
from builders.pixels.engine.plan import CropPlan, CropPlans, Range, can_plan, inputs, plans, union
from builders.pixels.engine.render import AS_IT_IS, RESIZED, SHARPENED, Transformation, render_views
from builders.pixels.requests import EngineRequest, Planner, Preparation, ResizeCrop, ViewArrays, vertical_first

MAX_JPEG_SIDE = 65_500
"""libjpeg's JPEG_MAX_DIMENSION; larger pictures are left to Pillow, which raises."""

MAX_BUFFER_BYTES = 256 * 2**20
"""Larger buffers, for photos of some 80 megapixels, are released after use."""


def takes(request: EngineRequest, photo: tuple[int, int]) -> bool:
    """True if the engine makes this view of a photo of this (width, height); Pillow makes the others.

    >>> takes(EngineRequest(95, "4:4:4", 2, (300, 200), 2), (300, 200))
    True
    >>> takes(EngineRequest(95, "4:4:4", 1.5, (9, 9), 2), (9, 9))
    False
    """
    if not request.baseline_jpeg:
        return False
    whole = float(request.sharpness).is_integer() and abs(request.sharpness) <= MAX_FACTOR
    sizes = (*photo, *request.size)
    if not whole or request.subsampling not in ("4:2:0", "4:4:4") or not 1 <= request.quality <= 100:
        return False
    if min(sizes) < 1 or max(sizes) > MAX_JPEG_SIDE or int(request.quality) != request.quality:
        return False
    if request.size == photo:
        return True
    return request.sharpness == 1 and request.resample in SUPPORT and not vertical_first(photo, request.size)


def pictures(photo: np.ndarray, requests: Sequence[EngineRequest]) -> list[np.ndarray]:
    """The pixels of each view: uint8 [height, width, 3], as ``photo``. ``takes`` is true for every request."""
    return list(preprocessed(photo, requests, [lambda width, height: _whole])[0])


def preprocessed(photo: np.ndarray, requests: Sequence[EngineRequest], planners: Sequence[Planner]) -> list[ViewArrays]:
    """For each preprocessing, each view after it: uint8 [height, width, 3] where carried out here."""
    return _Photo(photo, requests, planners).views()


def _whole(picture: Image.Image) -> np.ndarray:
    """The preparation that changes nothing. The engine's own bytes take its place: no picture is made and copied."""
    return np.array(picture)


@dataclass(frozen=True)
class _Group:
    """Views of the same encode: the same transformation, so the same size."""

    transformation: Transformation
    size: tuple[int, int]
    requests: tuple[int, ...]
    preparations: tuple[Preparation, ...]
    plans: CropPlans
    """Plans of the preparations that the engine carries out."""

    @property
    def whole(self) -> bool:
        """True if the whole picture is made, for a preparation outside the engine."""
        return len(self.plans.each) < len(self.preparations)

    def needed(self) -> tuple[Range, Range]:
        """Needed columns and rows of the transformed picture."""
        if self.whole:
            return Range(0, self.size[0]), Range(0, self.size[1])
        return self.plans.across or Range(0, 1), self.plans.down or Range(0, 1)


class _Photo:
    """A photo, its requests, and their groups."""

    def __init__(self, photo: np.ndarray, requests: Sequence[EngineRequest], planners: Sequence[Planner]) -> None:
        self.pixels = np.ascontiguousarray(photo).reshape(-1)
        self.pixels.flags.writeable = False  # a single type for the compiler
        self.height, self.width = photo.shape[:2]
        self.requests, self.planners = requests, planners
        self.groups = self._grouped()

    def views(self) -> list[ViewArrays]:
        """For each preprocessing, the views in the order of the requests."""
        views = [self._allocate(k) for k in range(len(self.planners))]
        if not self.groups or not self.planners:
            return views
        loaded, frames = self._frames()
        columns = -(-(loaded.right - loaded.left) // STRIPE) * STRIPE
        planes = _buffer("photo", columns * 24 * loaded.lanes + SLACK)
        load_frame(self.pixels, loaded, planes)
        for group, frame in zip(self.groups, frames, strict=True):
            self._render(group, planes, loaded, frame, views)
        return views

    def _allocate(self, k: int) -> ViewArrays:
        """Memory for the views of a preprocessing."""
        sizes = {p.after.size if isinstance(p, ResizeCrop) and _by_engine(p) else None for p in self._preparations(k)}
        if len(sizes) == 1 and (size := sizes.pop()):
            return np.empty((len(self.requests), size[1], size[0], 3), np.uint8)
        return [np.empty(0)] * len(self.requests)

    def _preparations(self, k: int) -> list[Preparation]:
        return [group.preparations[k] for group in self.groups]

    def _grouped(self) -> list[_Group]:
        photo = (self.width, self.height)
        members: dict[tuple[int, int, tuple[int, int], int], list[int]] = {}
        for i, request in enumerate(self.requests):
            sharpened = request.size == photo and request.sharpness != 1 and min(photo) >= 3
            kind = SHARPENED if sharpened else AS_IT_IS if request.size == photo else RESIZED
            resample = request.resample if kind == RESIZED else BILINEAR
            key = (kind, int(request.sharpness) if sharpened else 1, request.size, resample)
            members.setdefault(key, []).append(i)
        return [self._group(*key, requests) for key, requests in members.items()]

    def _group(self, kind: int, factor: int, size: tuple[int, int], resample: int, requests: list[int]) -> _Group:
        horizontal = weights(self.width, size[0], resample)
        vertical = weights(self.height, size[1], resample)
        preparations = tuple(planner(*size) for planner in self.planners)
        crops = tuple(p for p in preparations if _by_engine(p))
        return _Group(
            Transformation(kind, factor, horizontal, vertical), size, tuple(requests), preparations, plans(crops)
        )

    def _frames(self) -> tuple[Frame, list[Frame]]:
        """The loaded part of the photo, and the frame of each group."""
        sharpens = any(group.transformation.kind == SHARPENED for group in self.groups)
        # The triangle filter reaches one pixel; sharpening makes the outermost block invalid: it lacks the row beyond.
        margin = 1 + STRIPE if sharpens else 1
        across, down, parts = [], [], []
        for group in self.groups:
            width, height = group.size
            x, y = group.needed()
            if group.transformation.kind == RESIZED:
                x, y = x.aligned(1, width), y.aligned(1, height)
                across.append(inputs(group.transformation.horizontal, x).aligned(0, self.width))
                down.append(inputs(group.transformation.vertical, y).aligned(0, self.height))
            else:
                x, y = x.aligned(1, width), y.aligned(margin, height)
                across.append(x.aligned(STRIPE, self.width) if sharpens else x)
                down.append(y)
            parts.append((x, y))
        x, y = union(across), union(down)
        loaded = _frame(self.width, self.height, x, y)
        frames = [
            _frame(*group.size, part[0], part[1] if group.transformation.kind == RESIZED else y)
            for group, part in zip(self.groups, parts, strict=True)
        ]
        return loaded, frames

    def _render(self, group: _Group, planes: np.ndarray, loaded: Frame, frame: Frame, views: list[ViewArrays]) -> None:
        """Write the views of a group into ``views``."""
        requests = [self.requests[i] for i in group.requests]
        qualities = tuple(dict.fromkeys(int(r.quality) for r in requests))
        kinds = [(qualities.index(int(r.quality)), r.subsampling == "4:2:0") for r in requests]
        order = sorted(set(kinds))
        wanted = np.zeros((len(qualities), 2), np.uint8)
        for quality, half in order:
            wanted[quality, int(half)] = 1
        column = 24 * frame.lanes
        capacity = -(-group.plans.columns.reach // STRIPE) * STRIPE + STRIPE
        result_size = group.plans.width * column
        shape = (frame.bottom - frame.top, frame.right - frame.left, 3)
        image_size = int(np.prod(shape)) if group.whole else 0
        output = Output(
            _buffer("windows", len(order) * capacity * column + SLACK),
            capacity,
            _buffer("results", len(order) * result_size + SLACK),
            result_size,
            np.empty(image_size * len(order), np.uint8),
            image_size,
        )
        render_views(
            group.transformation, planes, loaded, frame, tables(qualities), wanted, group.plans.columns, output
        )
        for request, kind in zip(group.requests, kinds, strict=True):
            view = order.index(kind)
            pixels = output.images[view * image_size : (view + 1) * image_size].reshape(shape) if group.whole else None
            _finish(group, frame, output, view, pixels, views, request)


def _finish(
    group: _Group,
    frame: Frame,
    output: Output,
    view: int,
    pixels: np.ndarray | None,
    views: list[ViewArrays],
    request: int,
) -> None:
    """Write a view after each preprocessing into ``views``; ``pixels``: the whole picture, if it was made."""
    picture: Image.Image | None = None
    plans = iter(group.plans.each)
    for arrays, preparation in zip(views, group.preparations, strict=True):
        if not _by_engine(preparation):
            assert pixels is not None
            if preparation is _whole:
                arrays[request] = pixels
                continue
            picture = picture or Image.fromarray(pixels)
            arrays[request] = preparation(picture)
            continue
        plan = next(plans)
        width, height = plan.crop.after.size
        if isinstance(arrays, list):
            arrays[request] = np.empty((height, width, 3), np.uint8)
        _complete(plan, frame, output, view, arrays[request])


def _complete(plan: CropPlan, frame: Frame, output: Output, view: int, image: np.ndarray) -> None:
    """The vertical pass, into ``image``; pixels outside the resized picture get the plan's colour."""
    after, columns, rows = plan.crop.after, plan.columns, plan.rows
    width = after.size[0]
    n_columns, n_rows = columns.last - columns.first, rows.last - rows.first
    if plan.empty or (n_columns, n_rows) != after.size:
        image[:] = plan.crop.fill
    if not plan.empty:
        start = view * output.result_size + plan.start * 24 * frame.lanes
        to = ((rows.first - after.top) * width + columns.first - after.left) * 3
        flat = image.reshape(-1)
        finish(output.results, start, frame, n_columns, plan.vertical, rows.first, rows.last, flat, to, 3 * width)


def _by_engine(preparation: Preparation) -> bool:
    """True if the engine carries it out."""
    return isinstance(preparation, ResizeCrop) and can_plan(preparation)


def _frame(width: int, height: int, x: Range, y: Range) -> Frame:
    rows_of_blocks = -(-(y.last - y.first) // 8)
    return Frame(width, height, x.first, y.first, x.last, y.last, -(-rows_of_blocks // STRIPE) * STRIPE)


_buffers = threading.local()


def _buffer(name: str, size: int) -> np.ndarray:
    """Reused memory of this thread: allocating it anew costs more than the work on it."""
    if size > MAX_BUFFER_BYTES:
        return np.empty(size, np.uint8)
    buffer: np.ndarray | None = getattr(_buffers, name, None)
    if buffer is None or len(buffer) < size:
        buffer = np.empty(min(size + size // 4, MAX_BUFFER_BYTES), np.uint8)
        setattr(_buffers, name, buffer)
    return buffer
