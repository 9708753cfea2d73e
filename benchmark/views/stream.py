"""Between the loaders and the encoders: workers only read and decode, views are made on the encoders' device.

``view_stream`` is ``iterate_views`` with a choice of who makes the views; what comes out is equal bit for bit. Whatever
the device cannot do, a worker does as ever: other recipes, preprocessings that are not ``Pixels``, photos too large for
the device's memory, sizes that Pillow refuses.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.compute import out_of_memory
from benchmark.encoders import Pixels
from benchmark.views.loading import PhotoViews, iterate_views
from benchmark.views.on_device.self_test import equals_pillow
from benchmark.views.on_device.views import BYTES_PER_PIXEL, possible, torch_views
from benchmark.views.views import DecodedPhoto, Preprocess, ProcessingViews, ViewRecipe, Views
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS, decode_rgb, process_by_pillow

WINDOW = 128
"""Photos gathered to find some of about one size, where memory holds their views."""
WINDOW_BYTES = 1 << 28
"""Bound on their decoded pixels."""
BUCKETS = 6
"""Photos share a batch if their sides round to the same of so many steps from one power of two to the next: a photo
then leaves at most about 12 % of a side of its batch empty."""
MEMORY_SHARE = 0.25
"""Of the free memory of a GPU that views may take, half in the making and half made; encoders need the rest."""
HOST_BYTES = 1 << 30
"""The same where the device is the CPU."""


def view_stream(
    photos: PhotoSet,
    indices: Sequence[int],
    recipe: ViewRecipe,
    preprocesses: Sequence[Preprocess],
    *,
    workers: int = 0,
    way: str = "auto",
    homes: Sequence[torch.device] = (),
) -> Iterator[PhotoViews]:
    """Views of the photos at ``indices``, in that order, made by workers or on a device.

    Args:
        photos, indices, recipe, preprocesses, workers: as in ``iterate_views``.
        way: see ``RunOptions.views``.
        homes: where each preprocessing's encoders want their views; the first CUDA device among them makes all.
    """
    device = chosen_device(way, recipe, preprocesses, homes)
    pixels = [p for p in preprocesses if isinstance(p, Pixels)]
    if device is None or not isinstance(recipe, ProcessingViews):
        return iterate_views(photos, indices, recipe, preprocesses, workers=workers)
    half = _memory(device) // 2
    pixels_at_once = max(1, half // BYTES_PER_PIXEL)
    views_bytes = len(recipe.names) * sum(p(Image.new("RGB", (512, 512))).nbytes for p in pixels)
    window = min(WINDOW, max(1, half // views_bytes))
    decoded = DecodedPhotos(recipe, len(pixels), pixels_at_once)
    stream = iterate_views(photos, indices, decoded, pixels, workers=workers)
    return _Maker(photos.ids, recipe, pixels, device, homes, pixels_at_once).made(_windows(stream, window))


def chosen_device(
    way: str, recipe: ViewRecipe, preprocesses: Sequence[Preprocess], homes: Sequence[torch.device]
) -> torch.device | None:
    """The device that shall make the views; None for the workers. Says so where a device fails its self-test."""
    if way == "cpu" or type(recipe) is not ProcessingViews or not all(type(p) is Pixels for p in preprocesses):
        return None
    device = next((home for home in homes if home.type == "cuda"), None)
    if device is None and way == "device":
        device = homes[0] if homes else torch.device("cpu")
    if device is not None and not equals_pillow(device):
        print(f"camtrace: views made on {device} differ from Pillow's; workers make them instead", file=sys.stderr)
        return None
    return device


@dataclass(frozen=True)
class DecodedPhotos:
    """What workers do for a device: the photo alone, or its views where the device cannot make them."""

    recipe: ProcessingViews
    preprocesses: int
    """How many there are. Asked for fewer, a worker is finding out which of them fails on a photo: Pillow's job."""
    largest: int
    """Pixels of the largest photo that the device takes."""

    @property
    def kind(self) -> str:
        return self.recipe.kind

    @property
    def names(self) -> tuple[str, ...]:
        return self.recipe.names

    def settings(self) -> dict[str, Any]:
        return self.recipe.settings()

    def view_keys(self) -> dict[str, dict[str, Any]]:
        return self.recipe.view_keys()

    def only(self, names: Sequence[str]) -> ProcessingViews:
        """Made by Pillow: a worker is finding out which views fail on a photo."""
        return self.recipe.only(names)

    def merged(self, other: DecodedPhotos) -> DecodedPhotos:
        return replace(self, recipe=self.recipe.merged(other.recipe))

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[Views] | DecodedPhoto:
        photo = decode_rgb(data, upright=self.recipe.upright)
        plans = [pixels.plan for pixels in preprocesses if isinstance(pixels, Pixels)]
        fits = photo.width * photo.height <= self.largest and len(plans) == self.preprocesses
        if fits and possible(photo.width, photo.height, photo_id, self.names, plans, self.recipe.seed):
            return DecodedPhoto(np.array(photo))
        return self.recipe.make(data, photo_id, preprocesses)


class _Maker:
    """Turns decoded photos into views, a window at a time; the batch shrinks for good where memory runs out."""

    def __init__(
        self,
        ids: Sequence[str],
        recipe: ProcessingViews,
        preprocesses: Sequence[Pixels],
        device: torch.device,
        homes: Sequence[torch.device],
        pixels_at_once: int,
    ) -> None:
        self._ids = ids
        self._recipe = recipe
        self._preprocesses = preprocesses
        self._device = device
        self._homes = homes or [device] * len(preprocesses)
        self._pixels_at_once = pixels_at_once

    def made(self, windows: Iterable[list[PhotoViews]]) -> Iterator[PhotoViews]:
        for window in windows:
            groups: dict[tuple[int, ...], list[int]] = {}
            for place, photo in enumerate(window):
                if photo.decoded is not None:
                    groups.setdefault(_bucket(photo), []).append(place)
            for places in groups.values():
                self._make(window, sorted(places, key=lambda place: _size(window[place])))
            yield from window

    def _make(self, window: list[PhotoViews], places: Sequence[int]) -> None:
        """Replace decoded photos of about one size by their views."""
        done = 0
        width, height = (max(sides) for sides in zip(*(_size(window[place]) for place in places), strict=True))
        while done < len(places):
            part = places[done : done + max(1, self._pixels_at_once // (height * width))]
            started = time.perf_counter()
            views = self._try([window[place] for place in part])
            if views is None and len(part) > 1:
                self._pixels_at_once = len(part) // 2 * height * width
                continue
            if views is None:
                views = self._by_pillow(window[part[0]])
            seconds = (time.perf_counter() - started) / len(part)
            for row, place in enumerate(part):
                arrays = tuple(of_plan[row] for of_plan in views)
                took = window[place].seconds + seconds
                window[place] = replace(window[place], arrays=arrays, decoded=None, seconds=took)
            done += len(part)

    def _try(self, photos: Sequence[PhotoViews]) -> list[torch.Tensor] | None:
        """[n, views, ...] per preprocessing, each where it is wanted; None if memory ran out."""
        try:
            sizes = [_size(photo) for photo in photos]
            ids = [self._ids[photo.index] for photo in photos]
            plans = [pixels.plan for pixels in self._preprocesses]
            with torch.inference_mode():
                there = _canvas(photos, sizes).to(self._device)
                made = torch_views(there, ids, self._recipe.names, plans, sizes=sizes, seed=self._recipe.seed)
            return [views.to(home) for views, home in zip(made, self._homes, strict=True)]
        except Exception as error:
            if not out_of_memory(error):
                raise
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _by_pillow(self, photo: PhotoViews) -> list[torch.Tensor]:
        image = Image.fromarray(_pixels(photo).numpy())
        photo_id, seed = self._ids[photo.index], self._recipe.seed
        images = [process_by_pillow(image, PROCESSINGS[name], photo_id, seed) for name in self._recipe.names]
        return [torch.from_numpy(np.stack([p(view) for view in images]))[None] for p in self._preprocesses]


def _windows(stream: Iterable[PhotoViews], most: int) -> Iterator[list[PhotoViews]]:
    waiting = iter(stream)
    while first := next(waiting, None):
        window, size = [first], _held_bytes(first)
        for photo in itertools.islice(waiting, most - 1):
            window.append(photo)
            size += _held_bytes(photo)
            if size > WINDOW_BYTES:
                break
        yield window


def _held_bytes(photo: PhotoViews) -> int:
    held = photo.decoded if photo.decoded is not None else photo.arrays[0] if photo.arrays else None
    return 0 if held is None else held.nbytes


def _pixels(decoded: PhotoViews) -> torch.Tensor:
    assert decoded.decoded is not None
    return decoded.decoded


def _size(decoded: PhotoViews) -> tuple[int, int]:
    """(width, height)."""
    height, width, _ = _pixels(decoded).shape
    return width, height


def _bucket(decoded: PhotoViews) -> tuple[int, ...]:
    return tuple(round(math.log2(side) * BUCKETS) for side in _size(decoded))


def _canvas(photos: Sequence[PhotoViews], sizes: Sequence[tuple[int, int]]) -> torch.Tensor:
    """uint8 [n, height, width, 3]; smaller photos in the upper left corner."""
    if len(set(sizes)) == 1:
        return torch.stack([_pixels(photo) for photo in photos])
    width, height = (max(sides) for sides in zip(*sizes, strict=True))
    canvas = torch.zeros((len(photos), height, width, 3), dtype=torch.uint8)
    for place, photo, size in zip(canvas, photos, sizes, strict=True):
        place[: size[1], : size[0]] = _pixels(photo)
    return canvas


def _memory(device: torch.device) -> int:
    if device.type != "cuda":
        return HOST_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return int(free * MEMORY_SHARE)
