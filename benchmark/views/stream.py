"""Between the loaders and the encoders: workers only read and decode, views are made on the encoders' device.

``view_stream`` is ``iterate_views`` with a choice of who makes the views; what comes out is equal bit for bit. Whatever
the device cannot do, a worker does as ever: other recipes, preprocessings that are not ``Pixels``, photos too large for
the device's memory, sizes that Pillow refuses.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.compute import free_cached, free_on_gpu, out_of_memory
from benchmark.encoders import Pixels
from benchmark.views.choose import chosen_maker
from benchmark.views.device.views import BYTES_PER_PIXEL, possible, torch_views
from benchmark.views.loading import iterate_views
from benchmark.views.recipe import ORIGINAL, DecodedPhoto, PhotoViews, Preprocess, ProcessingViews, ViewRecipe, Views
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, decode_rgb, process_by_pillow

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
    gathers: Sequence[int] = (),
) -> Generator[PhotoViews, None, None]:
    """Views of the photos at ``indices``, in that order, made by workers or on a device.

    Args:
        photos, indices, recipe, preprocesses, workers, gathers: as in ``iterate_views``.
        way: see ``RunOptions.views``.
        homes: where each preprocessing's encoders want their views; the first CUDA device among them makes all.
    """
    device = chosen_maker(way, recipe, preprocesses, homes, workers).device
    pixels = [p for p in preprocesses if isinstance(p, Pixels)]
    if device is None or not isinstance(recipe, ProcessingViews):
        pin = any(home.type == "cuda" for home in homes)
        return iterate_views(photos, indices, recipe, preprocesses, workers=workers, gathers=gathers, pin=pin)
    half = _memory(device) // 2
    pixels_at_once = max(1, half // BYTES_PER_PIXEL)
    views_bytes = len(recipe.names) * sum(p(Image.new("RGB", (512, 512))).nbytes for p in pixels)
    window = min(WINDOW, max(1, half // views_bytes))
    decoded = DecodedPhotos(recipe, len(pixels), pixels_at_once)
    stream = iterate_views(
        photos, indices, decoded, pixels, workers=workers, gathers=gathers, held=window, decodes=True
    )
    return _Maker(photos.ids, recipe, pixels, device, homes, pixels_at_once).made(_windows(stream, window))


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
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def made(self, windows: Iterable[list[PhotoViews]]) -> Generator[PhotoViews, None, None]:
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
            found = self._try([window[place] for place in part])
            if found is None and len(part) > 1:
                self._pixels_at_once = len(part) // 2 * height * width
                continue
            views, there = found or (self._by_pillow(window[part[0]]), None)
            seconds = (time.perf_counter() - started) / len(part)
            for row, place in enumerate(part):
                arrays = tuple(of_plan[row] for of_plan in views)
                took = window[place].seconds + seconds
                window[place] = replace(window[place], arrays=arrays, decoded=None, seconds=took, there=there)
            done += len(part)

    def _try(self, photos: Sequence[PhotoViews]) -> tuple[list[torch.Tensor], Any] | None:
        """[n, views, ...] per preprocessing, each where it is wanted, and the event after which they are there (None
        on a CPU); None if memory ran out."""
        try:
            with torch.inference_mode(), _on(self._stream):
                return self._made(photos)
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_cached()
        return None

    def _made(self, photos: Sequence[PhotoViews]) -> tuple[list[torch.Tensor], Any]:
        sizes = [_size(photo) for photo in photos]
        ids = [self._ids[photo.index] for photo in photos]
        plans = [pixels.plan for pixels in self._preprocesses]
        canvas = _canvas(photos, sizes, pin=self._stream is not None)
        there = canvas.to(self._device, non_blocking=True)
        made = torch_views(there, ids, self._recipe.names, plans, sizes=sizes, seed=self._recipe.seed)
        wanted = [views.to(home) for views, home in zip(made, self._homes, strict=True)]
        return wanted, None if self._stream is None else self._stream.record_event()

    def _by_pillow(self, photo: PhotoViews) -> list[torch.Tensor]:
        image = Image.fromarray(_pixels(photo).numpy())
        photo_id, seed = self._ids[photo.index], self._recipe.seed
        images = [
            image if name == ORIGINAL else process_by_pillow(image, ALL_PROCESSINGS[name], photo_id, seed)
            for name in self._recipe.names
        ]
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


def _canvas(photos: Sequence[PhotoViews], sizes: Sequence[tuple[int, int]], *, pin: bool = False) -> torch.Tensor:
    """uint8 [n, height, width, 3]; smaller photos in the upper left corner."""
    width, height = (max(sides) for sides in zip(*sizes, strict=True))
    canvas = torch.empty((len(photos), height, width, 3), dtype=torch.uint8, pin_memory=pin)
    if len(set(sizes)) > 1:
        canvas.zero_()
    for place, photo, size in zip(canvas, photos, sizes, strict=True):
        place[: size[1], : size[0]] = _pixels(photo)
    return canvas


def _on(stream: Any) -> Any:
    """Within, work for a GPU goes to this stream; nothing without one."""
    return torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext()


def _memory(device: torch.device) -> int:
    if device.type != "cuda":
        return HOST_BYTES
    return int(free_on_gpu(device) * MEMORY_SHARE)
