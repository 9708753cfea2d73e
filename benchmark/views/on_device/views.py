"""All views of many photos at once, on any device, with the pixels that Pillow makes.

Photo -> processings -> encoders' resize and crop, in batches that never leave the device. What views share is made
once: one colour conversion, one forward DCT for each chroma mode, one luminance for each quality.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.views.on_device.jpeg import round_trips
from benchmark.views.on_device.resizing import Resize, resized
from benchmark.views.on_device.sharpening import sharpened
from benchmark.views.on_device.taps import FILTERS, Axis
from benchmark.views.views import ORIGINAL
from builders.errors import PhotoError
from builders.pixels import ALL_PROCESSINGS, Processing, ResizeCrop, request

DevicePlan = Callable[[int, int], ResizeCrop | None]
"""(width, height) of a picture -> its resize and crop: ``Pixels.plan`` of an encoder's preprocessing."""
Size = tuple[int, int]
"""(width, height)."""

LONGEST_SIDE = 65_500
"""Of a JPEG file (libjpeg's ``JPEG_MAX_DIMENSION``)."""
BYTES_PER_PIXEL = 640
"""Peak memory of all 14 processings for each pixel of a photo; resizing by 2 needs it, with four pixels for each."""


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
    """The views of photos, pixel for pixel those of ``process`` followed by the preprocessing.

    Args:
        photos: uint8 [n, height, width, 3], RGB, on the device that shall do the work (it needs float64). Smaller
            photos stand in the upper left corner.
        ids: identities of the photos; they decide random scales.
        names: of processings, in ``ALL_PROCESSINGS``, or ``ORIGINAL``.
        plans: one per preprocessing.
        sizes: (width, height) of each photo; by default all fill the tensor.
        seed: of the random scale.
        photos_at_once: bound on the batch, and so on memory; ``BYTES_PER_PIXEL`` says how much one photo takes.

    Returns:
        uint8 [n, views, height, width, 3] per plan, on the device of ``photos``.

    Raises:
        ValueError: something that ``possible`` says no to.

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
    views: list[dict[str, Tensor]] = [{} for _ in plans]
    for name, canvas in processed(Canvas(photos.permute(0, 3, 1, 2).contiguous(), tuple(sizes)), ids, names, seed):
        for made_of_plan, plan in zip(views, plans, strict=True):
            made_of_plan[name] = preprocessed(canvas, plan)
    return [torch.stack([of_plan[name] for name in names], 1).permute(0, 1, 3, 4, 2).contiguous() for of_plan in views]


def possible(
    width: int, height: int, photo_id: str, names: Sequence[str], plans: Sequence[DevicePlan], seed: int = 0
) -> bool:
    """Whether ``torch_views`` makes these views of a photo; where not, Pillow makes them, or says why it cannot."""
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
    """Whether a device makes a processing at all: a whole factor of sharpness, a known filter, a baseline JPEG file."""
    known = processing.sharpness == int(processing.sharpness) and processing.resample in FILTERS
    return known and processing.file_format == "JPEG" and not processing.options


@dataclass(frozen=True)
class Canvas:
    """Photos that need not be of one size."""

    planes: Tensor
    """uint8 [n, 3, height, width], each photo in the upper left corner; what lies beyond it is never used."""
    sizes: tuple[Size, ...]


def processed(photos: Canvas, ids: Sequence[str], names: Sequence[str], seed: int = 0) -> Iterator[tuple[str, Canvas]]:
    """Each processing's name with its result, processings of one source (sharpened, resized) one after the other."""
    if ORIGINAL in names:
        yield ORIGINAL, photos
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in _processed(names):
        p = ALL_PROCESSINGS[name]
        groups.setdefault((p.sharpness, p.scale, p.resample if p.scale != 1 else None), []).append(name)
    for group in groups.values():
        source = _source(photos, ids, ALL_PROCESSINGS[group[0]], seed)
        wanted = [(ALL_PROCESSINGS[name].quality, ALL_PROCESSINGS[name].subsampling) for name in group]
        for name, planes in zip(group, round_trips(source.planes, wanted, source.sizes), strict=True):
            yield name, Canvas(planes, source.sizes)


def _processed(names: Sequence[str]) -> list[str]:
    return [name for name in names if name != ORIGINAL]


def preprocessed(canvas: Canvas, plan: DevicePlan) -> Tensor:
    """uint8 [n, 3, height, width]: the resize and crop that a plan gives each photo."""
    by_size = {size: _planned(plan, size) for size in set(canvas.sizes)}
    return resized(canvas.planes, [by_size[size] for size in canvas.sizes])


def _source(photos: Canvas, ids: Sequence[str], processing: Processing, seed: int) -> Canvas:
    """Photos sharpened and resized, before JPEG."""
    planes = photos.planes
    if processing.sharpness != 1:
        planes = sharpened(planes, int(processing.sharpness), photos.sizes)
    if processing.scale == 1:
        return Canvas(planes, photos.sizes)
    pairs = list(zip(photos.sizes, ids, strict=True))
    sizes = tuple(request(processing, size, photo_id, seed).size for size, photo_id in pairs)
    width, height = (max(sides) for sides in zip(*sizes, strict=True))
    resizes = [
        Resize(Axis(0, old[0], new[0], 0, width), Axis(0, old[1], new[1], 0, height), int(processing.resample))
        for old, new in zip(photos.sizes, sizes, strict=True)
    ]
    return Canvas(resized(planes, resizes), sizes)


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
