"""All views of many photos at once, on any device, with exactly Pillow's pixels.

Photo -> processings -> encoders' resize and crop, in batches that stay on the device. Steps that views share are done
once: one colour conversion, one forward DCT for each chroma mode, one luminance for each quality. The tables that the
host computes for a batch follow from its sizes and are sent in one copy, before the first kernel.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.views.device.jpeg import round_trip_needs, round_trips
from benchmark.views.device.resize import FILTERS, Axis, Resize, resize_needs, resized
from benchmark.views.device.sharpening import sharpened, sharpening_needs
from benchmark.views.device.tables import Need, Tables
from benchmark.views.recipe import ORIGINAL
from builders.errors import PhotoError
from builders.pixels import (
    ALL_PROCESSINGS,
    BUILT_IN_PROCESSINGS,
    Processing,
    Rectangle,
    ResizeCrop,
    process_by_pillow,
    request,
)

DevicePlan = Callable[[int, int], ResizeCrop | None]
"""(width, height) of a picture -> its resize and crop; ``Pixels.plan`` of an encoder's preprocessing."""

Size = tuple[int, int]
"""(width, height)."""

LONGEST_SIDE = 65_500
"""Largest side of a JPEG file in pixels (libjpeg's ``JPEG_MAX_DIMENSION``)."""

BYTES_PER_PIXEL = 640
"""Peak memory of all 14 processings per pixel of a photo. Resizing by 2 needs it, with four pixels for each."""


def torch_views(
    photos: Tensor,
    ids: Sequence[str],
    names: Sequence[str],
    plans: Sequence[DevicePlan],
    *,
    sizes: Sequence[Size] | None = None,
    seed: int = 0,
    photos_at_once: int | None = None,
) -> list[Tensor]:
    """Views of photos, equal in every pixel to ``process`` followed by the preprocessing.

    Args:
        photos: uint8 [n, height, width, 3], RGB, on the device that does the work, which must support float64.
            Smaller photos are in the upper left corner.
        ids: identities of the photos, which decide random scales.
        names: of processings, in ``ALL_PROCESSINGS``, or ``ORIGINAL``.
        plans: one per preprocessing.
        sizes: (width, height) of each photo; by default all fill the tensor.
        seed: of the random scale.
        photos_at_once: largest batch, which bounds memory; a photo takes ``BYTES_PER_PIXEL``.

    Returns:
        uint8 [n, views, height, width, 3] per plan, on the device of ``photos``.

    Raises:
        ValueError: ``possible`` is False for a photo.

    >>> photos = torch.full((2, 40, 30, 3), 128, dtype=torch.uint8)
    >>> whole = (0, 0, 30, 40)
    >>> plan = lambda width, height: ResizeCrop((width, height), whole, (8, 8), 3, (0, 0, 8, 8))
    >>> torch_views(photos, ["a", "b"], ["jpeg-q95-420", "sharpening-x4"], [plan])[0].shape
    torch.Size([2, 2, 8, 8, 3])
    """
    if unknown := [name for name in _processed(names) if not makes(ALL_PROCESSINGS[name])]:
        raise ValueError(f"no device makes {', '.join(unknown)}")
    sizes = sizes or [(photos.shape[2], photos.shape[1])] * len(photos)
    chunk = photos_at_once or len(photos)
    if len(photos) > chunk:
        parts = [slice(start, start + chunk) for start in range(0, len(photos), chunk)]
        made = [torch_views(photos[p], ids[p], names, plans, sizes=sizes[p], seed=seed) for p in parts]
        return [torch.cat(views) for views in zip(*made, strict=True)]
    sources = _sources(tuple(sizes), ids, names, seed)
    tables = Tables(photos.device, _needs(sources, photos.shape[1], photos.shape[2], plans))
    views: list[dict[str, Tensor]] = [{} for _ in plans]
    planes = photos.permute(0, 3, 1, 2).contiguous()
    for source in sources:
        resizes = [source.resizes_of(plan) for plan in plans]
        for name, processed in zip(source.names, source.made(planes, tables), strict=True):
            for of_plan, resize in zip(views, resizes, strict=True):
                of_plan[name] = resized(processed, resize, tables)
    return [torch.stack([of_plan[name] for name in names], 1).permute(0, 1, 3, 4, 2).contiguous() for of_plan in views]


def possible(
    width: int, height: int, photo_id: str, names: Sequence[str], plans: Sequence[DevicePlan], seed: int = 0
) -> bool:
    """Whether ``torch_views`` can make these views of a photo; if not, Pillow makes them or raises an error."""
    processings = [ALL_PROCESSINGS[name] for name in _processed(names)]
    if not all(map(makes, processings)):
        return False
    sizes = {request(processing, (width, height), photo_id, seed).size for processing in processings}
    if ORIGINAL in names:
        sizes.add((width, height))
    if any(min(size) < 1 or max(size) > LONGEST_SIDE for size in sizes):
        return False
    try:
        made = [plan(*size) for plan in plans for size in sizes]
    except PhotoError:
        return False
    return all(plan is not None and plan.resample in FILTERS and not any(plan.fill) for plan in made)


def makes(processing: Processing) -> bool:
    """Whether a device can make a processing: a whole factor of sharpness, a known filter, a baseline JPEG file."""
    known = processing.sharpness == int(processing.sharpness) and processing.resample in FILTERS
    jpeg = processing.is_plain_jpeg and processing.subsampling in ("4:2:0", "4:4:4")
    return known and jpeg and processing.is_one_stage


@dataclass(frozen=True)
class _Source:
    """The photos before the encode, sharpened and resized or not, which some processings share."""

    names: list[str]
    """Names of the processings."""
    sharpness: int
    resizes: list[Resize] | None
    """Per photo; None if they are not resized."""
    before: tuple[Size, ...]
    """Sizes of the photos."""
    sizes: tuple[Size, ...]
    """Sizes of the encoded pictures."""

    @property
    def canvas(self) -> Size:
        """(width, height) that contains all encoded pictures."""
        width, height = (max(sides) for sides in zip(*self.sizes, strict=True))
        return width, height

    def made(self, photos: Tensor, tables: Tables) -> list[Tensor]:
        """Per name, uint8 [n, 3, largest height, largest width], from photos [n, 3, h, w] in the upper left corner;
        pixels beyond the size of a photo are never used."""
        if self.names == [ORIGINAL]:
            width, height = self.canvas
            return [photos[:, :, :height, :width].contiguous()]
        if self.sharpness != 1:
            photos = sharpened(photos, self.sharpness, self.before, tables)
        if self.resizes is not None:
            photos = resized(photos, self.resizes, tables)
        wanted = [(ALL_PROCESSINGS[name].quality, ALL_PROCESSINGS[name].subsampling) for name in self.names]
        return round_trips(photos, wanted, self.sizes, tables)

    def resizes_of(self, plan: DevicePlan) -> list[Resize]:
        """The resize and crop that a plan gives each photo."""
        by_size = {size: _planned(plan, size) for size in set(self.sizes)}
        return [by_size[size] for size in self.sizes]


def _sources(sizes: tuple[Size, ...], ids: Sequence[str], names: Sequence[str], seed: int) -> list[_Source]:
    """Processings grouped by their picture before the encode."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in _processed(names):
        p = ALL_PROCESSINGS[name]
        groups.setdefault((p.sharpness, p.scale, p.resample if p.scale != 1 else None), []).append(name)
    sources = [_Source([ORIGINAL], 1, None, sizes, sizes)] if ORIGINAL in names else []
    for group in groups.values():
        p = ALL_PROCESSINGS[group[0]]
        source = _Source(group, int(p.sharpness), None, sizes, sizes)
        if p.scale != 1:
            pairs = zip(sizes, ids, strict=True)
            after = tuple(request(p, size, photo_id, seed).size for size, photo_id in pairs)
            width, height = (max(sides) for sides in zip(*after, strict=True))
            resizes = [
                Resize(Axis(0, old[0], new[0], 0, width), Axis(0, old[1], new[1], 0, height), int(p.resample))
                for old, new in zip(sizes, after, strict=True)
            ]
            source = _Source(group, int(p.sharpness), resizes, sizes, after)
        sources.append(source)
    return sources


def _processed(names: Sequence[str]) -> list[str]:
    return [name for name in names if name != ORIGINAL]


def _needs(sources: Sequence[_Source], height: int, width: int, plans: Sequence[DevicePlan]) -> Iterator[Need[Any]]:
    """The tables of a batch on a canvas of this size, in the order of the work."""
    for source in sources:
        if source.sharpness != 1:
            yield from sharpening_needs(source.before)
        if source.resizes is not None:
            yield from resize_needs(source.resizes, height, width)
        if source.names != [ORIGINAL]:
            yield from round_trip_needs({ALL_PROCESSINGS[name].subsampling for name in source.names}, source.sizes)
        for plan in plans:
            yield from resize_needs(source.resizes_of(plan), *reversed(source.canvas))


def _planned(plan: DevicePlan, size: Size) -> Resize:
    made = plan(*size)
    if made is None:
        raise ValueError(f"no plan for pictures of {size[0]} x {size[1]}")
    left, top, right, bottom = made.before
    return Resize(
        Axis(left, right - left, made.size[0], made.after[0], made.after[2] - made.after[0]),
        Axis(top, bottom - top, made.size[1], made.after[1], made.after[3] - made.after[1]),
        made.resample,
    )


SIZES = ((23, 71), (48, 32), (3, 5))
"""(width, height): tall, where the order of a resize's passes matters; of whole blocks; too narrow for the filters."""


@cache
def equals_pillow(device: torch.device) -> bool:
    """Self-test, once per device: compare all processings that a device can make, of a few pictures, with Pillow's."""
    ids = ("one", "two")
    names = tuple(name for name, processing in BUILT_IN_PROCESSINGS.items() if makes(processing))
    for width, height in SIZES:
        photos = np.stack([_picture(width, height, photo_id) for photo_id in ids])
        try:
            made = torch_views(torch.from_numpy(photos).to(device), ids, names, [_plan])[0].cpu().numpy()
        except (RuntimeError, TypeError):  # an operation that this device does not have, such as float64 on MPS
            return False
        for photo, photo_id, views in zip(photos, ids, made, strict=True):
            for name, view in zip(names, views, strict=True):
                image = process_by_pillow(Image.fromarray(photo), BUILT_IN_PROCESSINGS[name], photo_id)
                if not np.array_equal(view, _plan(*image.size)(image)):
                    return False
    return True


def _plan(width: int, height: int) -> ResizeCrop:
    """A bicubic resize that shrinks the height more than the width, and a crop."""
    whole = Rectangle(0, 0, width, height)
    return ResizeCrop((width, height), whole, (20, 16), int(Image.Resampling.BICUBIC), Rectangle(1, 0, 19, 16))


def _picture(width: int, height: int, seed: str) -> np.ndarray:
    """Noise of full amplitude next to smooth ramps, uint8 [height, width, 3]."""
    noise = np.frombuffer(hashlib.shake_256(seed.encode()).digest(width * height * 3), np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], -1)
    rough = (x + y) % 7 < 3
    return np.where(rough[..., None], noise.reshape(height, width, 3), ramp).astype(np.uint8)
