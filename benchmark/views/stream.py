"""A stream of views that are made by workers or on a device, with equal bits.

On a device, workers only read and decode photos. What a device cannot do, workers do: other recipes than
``ProcessingViews``, preprocessings that are not ``Pixels``, photos that are too large for the device's memory, sizes
that Pillow refuses.
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
from benchmark.views.choose import choose_views
from benchmark.views.device.views import BYTES_PER_PIXEL, possible, torch_views
from benchmark.views.loading import iterate_views
from benchmark.views.recipe import ORIGINAL, DecodedPhoto, PhotoViews, Preprocess, ProcessingViews, ViewRecipe, Views
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, decode_rgb, process_by_pillow

WINDOW = 128
"""Most photos of a window, in which photos of similar sizes are put into batches."""
WINDOW_BYTES = 1 << 28
"""Most bytes of the decoded pixels of a window."""
BUCKETS = 6
"""Steps between two powers of two. Photos share a batch if their sides round to the same step; a photo then leaves at
most about 12 % of a side of its batch empty."""
MEMORY_SHARE = 0.25
"""Share of a GPU's free memory for views, half for making them and half for the result; encoders need the rest."""
HOST_BYTES = 1 << 30
"""Bytes for views if the device is the CPU."""


def view_stream(
    photos: PhotoSet,
    indices: Sequence[int],
    recipe: ViewRecipe,
    preprocesses: Sequence[Preprocess],
    *,
    workers: int = 0,
    mode: str = "auto",
    targets: Sequence[torch.device] = (),
    gathers: Sequence[int] = (),
) -> Generator[PhotoViews, None, None]:
    """Views of the photos at ``indices``, in that order, made by workers or on a device.

    Args:
        photos, indices, recipe, preprocesses, workers, gathers: as in ``iterate_views``.
        mode: ``auto``, ``cpu`` or ``device``, see ``RunOptions.views``.
        targets: per preprocessing, the device of its encoders; the first CUDA device among them makes all views.
    """
    device = choose_views(mode, recipe, preprocesses, targets, workers).device
    pixels = [p for p in preprocesses if isinstance(p, Pixels)]
    if device is None or not isinstance(recipe, ProcessingViews):
        pin = next((target for target in targets if target.type == "cuda"), None)
        return iterate_views(photos, indices, recipe, preprocesses, workers=workers, gathers=gathers, pin=pin)
    half = _memory(device) // 2
    pixels_at_once = max(1, half // BYTES_PER_PIXEL)
    views_bytes = len(recipe.names) * sum(p(Image.new("RGB", (512, 512))).nbytes for p in pixels)
    window = min(WINDOW, max(1, half // views_bytes))
    decoded = DecodedPhotos(recipe, len(pixels), pixels_at_once)
    stream = iterate_views(
        photos, indices, decoded, pixels, workers=workers, gathers=gathers, held=window, decodes=True
    )
    return _DeviceMaker(photos.ids, recipe, pixels, device, targets, pixels_at_once).views(_windows(stream, window))


@dataclass(frozen=True)
class DecodedPhotos:
    """Recipe of the workers for a device: the decoded photo, or its views if the device cannot make them."""

    recipe: ProcessingViews
    preprocesses: int
    """Number of preprocessings. With fewer, a worker is finding out which of them fails on a photo, by Pillow."""
    largest: int
    """Pixels of the largest photo that the device accepts."""

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
        """The recipe for Pillow: a worker is finding out which views fail on a photo."""
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


class _DeviceMaker:
    """Makes views of decoded photos, one window at a time; batches stay smaller once memory has run out."""

    def __init__(
        self,
        ids: Sequence[str],
        recipe: ProcessingViews,
        preprocesses: Sequence[Pixels],
        device: torch.device,
        targets: Sequence[torch.device],
        pixels_at_once: int,
    ) -> None:
        self._ids = ids
        self._recipe = recipe
        self._preprocesses = preprocesses
        self._device = device
        self._targets = targets or [device] * len(preprocesses)
        self._pixels_at_once = pixels_at_once
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def views(self, windows: Iterable[list[PhotoViews]]) -> Generator[PhotoViews, None, None]:
        for window in windows:
            groups: dict[tuple[int, ...], list[int]] = {}
            for position, photo in enumerate(window):
                if photo.decoded is not None:
                    groups.setdefault(_bucket(photo), []).append(position)
            for positions in groups.values():
                self._make(window, sorted(positions, key=lambda position: _size(window[position])))
            yield from window

    def _make(self, window: list[PhotoViews], positions: Sequence[int]) -> None:
        """Replace the decoded photos at some positions, which have similar sizes, by their views."""
        done = 0
        width, height = (max(sides) for sides in zip(*(_size(window[i]) for i in positions), strict=True))
        while done < len(positions):
            part = positions[done : done + max(1, self._pixels_at_once // (height * width))]
            started = time.perf_counter()
            made = self._try([window[position] for position in part])
            if made is None and len(part) > 1:
                self._pixels_at_once = len(part) // 2 * height * width
                continue
            views, ready = made or (self._by_pillow(window[part[0]]), None)
            seconds = (time.perf_counter() - started) / len(part)
            for row, position in enumerate(part):
                arrays = tuple(of_plan[row] for of_plan in views)
                photo = window[position]
                total_s = photo.seconds + seconds
                window[position] = replace(photo, arrays=arrays, decoded=None, seconds=total_s, ready=ready)
            done += len(part)

    def _try(self, photos: Sequence[PhotoViews]) -> tuple[list[torch.Tensor], Any] | None:
        """[n, views, ...] per preprocessing on its target device, and the event after which they may be read (None on a
        CPU); None if memory ran out."""
        try:
            with torch.inference_mode(), _on(self._stream):
                return self._batch(photos)
        except Exception as error:
            if not out_of_memory(error):
                raise
        free_cached()
        return None

    def _batch(self, photos: Sequence[PhotoViews]) -> tuple[list[torch.Tensor], Any]:
        sizes = [_size(photo) for photo in photos]
        ids = [self._ids[photo.index] for photo in photos]
        plans = [pixels.plan for pixels in self._preprocesses]
        canvas = _canvas(photos, sizes, pin=self._stream is not None)
        on_device = canvas.to(self._device, non_blocking=True)
        made = torch_views(on_device, ids, self._recipe.names, plans, sizes=sizes, seed=self._recipe.seed)
        at_targets = [views.to(target) for views, target in zip(made, self._targets, strict=True)]
        return at_targets, None if self._stream is None else self._stream.record_event()

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
    for area, photo, size in zip(canvas, photos, sizes, strict=True):
        area[: size[1], : size[0]] = _pixels(photo)
    return canvas


def _on(stream: Any) -> Any:
    """Context in which work for a GPU goes to this stream; no effect without a stream."""
    return torch.cuda.stream(stream) if stream is not None else contextlib.nullcontext()


def _memory(device: torch.device) -> int:
    if device.type != "cuda":
        return HOST_BYTES
    return int(free_on_gpu(device) * MEMORY_SHARE)
