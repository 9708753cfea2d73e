"""Photos read, decoded and made into views by workers, in the order of the photos, whatever the number of workers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from benchmark.compute import free_on_host
from benchmark.views.recipe import DecodedPhoto, PhotoViews, Preprocess, ViewRecipe, Views, on_a_copy
from benchmark.views.workers.pool import made_by_workers
from benchmark.views.workers.ring import Row, SlotPlan
from builders.errors import PhotoError
from builders.photos import PhotoSet, photo_digest
from builders.pixels import chosen_engine, read_jpeg_header
from builders.untrusted import describe_error

AHEAD_BYTES = 1 << 30
"""Bound on the slots that workers fill, where an eighth of the free memory is not less."""

AHEAD_PHOTOS = 4
"""Photos that each worker makes ahead of what is asked for at least, beside the gather at hand."""

AHEAD_OF_ALL, MOST_AHEAD = 1 << 29, 512
"""Bytes of views, and photos, that all workers together make ahead where those photos have fewer: they begin while
encoders are tried, or while tasks on another set are run, for seconds."""

HELD_GATHERS = 3
"""Slots beside those: one is being gathered, one waits for the encoders, one is on its way to a GPU."""

TOGETHER = 16
"""Photos of a gather where the caller says nothing of it."""

DECODED_BYTES = 2 << 20
"""Of a slot for the pixels of a photo that a device makes views of; larger ones come through the worker's pipe."""


PREPROCESSING_FAILED = "preprocessing failed"
"""How a failure begins whose cause is an encoder's own code: the photo itself could be read."""


def iterate_views(
    photos: PhotoSet,
    indices: Sequence[int],
    recipe: ViewRecipe,
    preprocesses: Sequence[Preprocess],
    *,
    workers: int = 0,
    gathers: Sequence[int] = (),
    decodes: bool = False,
    held: int = 0,
    pin: bool = False,
) -> Generator[PhotoViews, None, None]:
    """Views of the photos at ``indices``, in that order.

    Args:
        photos: the photo set.
        indices: of the photos wanted.
        recipe: which views.
        preprocesses: the distinct preprocessings of the encoders that share this pass; each but a ``Pixels`` is given a
            copy of the picture.
        workers: processes that read, decode, process and preprocess; 0 does it here.
        gathers: photos of each gather, together all of ``indices``: the views of a gather stand one after the other in
            memory (but for photos that failed, or do not fit their places).
        decodes: whether the recipe leaves photos decoded, for a device.
        held: photos that the caller holds back beside a gather.
        pin: the memory of the gathers, for copies to a GPU.

    Tensors of views stand in memory that is used again when the last tensor of their gather is gone.

    Raises:
        DataError: a worker died or all have stopped.
    """
    chosen_engine()  # compiled here, not by every worker
    preprocesses = [on_a_copy(preprocess) for preprocess in preprocesses]
    maker = _ViewMaker(photos, tuple(int(i) for i in indices), recipe, tuple(preprocesses))
    if not workers or not maker.indices:
        return (maker(position) for position in range(len(maker.indices)))
    photos.warm_up(maker.indices[0])  # here, not by every worker
    count = len(maker.indices)
    sizes = list(gathers) or [min(TOGETHER, count - start) for start in range(0, count, TOGETHER)]
    workers = min(workers, count)
    plan = SlotPlan(max(sizes), _rows(recipe, preprocesses), DECODED_BYTES if decodes else 0)
    slots, ahead = slots_and_ahead(plan, workers, held)
    shared = photos.shared_work()
    kin = [] if shared is None else [shared[index] for index in maker.indices]
    return made_by_workers(maker, sizes, plan, slots, workers, ahead=ahead, pin=pin, kin=kin)


def photo_bytes(recipe: ViewRecipe, preprocesses: Sequence[Preprocess]) -> int:
    """Of the views of one photo under all preprocessings, as far as a grey picture tells."""
    return sum(row.nbytes for row in _rows(recipe, preprocesses))


def slots_and_ahead(plan: SlotPlan, workers: int, held: int = 0) -> tuple[int, int]:
    """How many slots a ring has, and photos are made ahead: ``AHEAD_PHOTOS`` each or ``AHEAD_OF_ALL`` bytes, whichever
    is more, fewer where memory is short."""
    most = max(2, min(AHEAD_BYTES, free_on_host() // 8) // max(1, plan.nbytes))
    of_all = min(MOST_AHEAD, AHEAD_OF_ALL * plan.photos // max(1, plan.nbytes))
    photos = held + max(workers * AHEAD_PHOTOS, of_all)
    slots = min(most, HELD_GATHERS + -(-photos // plan.photos))
    return slots, plan.photos + max(1, min(photos, (slots - 1) * plan.photos))


@dataclass(frozen=True)
class _ViewMaker:
    photos: PhotoSet
    indices: tuple[int, ...]
    recipe: ViewRecipe
    preprocesses: tuple[Preprocess, ...]

    def __call__(self, position: int) -> PhotoViews:
        index = self.indices[position]
        started = time.perf_counter()
        arrays: tuple[torch.Tensor, ...] = ()
        decoded: torch.Tensor | None = None
        own_failures: tuple[Mapping[str, str], ...] = ()
        failure, source_jpeg, digest = "", "unreadable", b""
        try:
            data = self.photos.read(index)
            digest = photo_digest(data)
            source_jpeg = describe_source(data)
            try:
                made = self.recipe.make(data, self.photos.ids[index], self.preprocesses)
                if isinstance(made, DecodedPhoto):
                    decoded = torch.from_numpy(made.pixels)
                else:
                    arrays = _tensors(made)
            except Exception:
                apart = [self._as_far_as_possible(data, index, preprocess) for preprocess in self.preprocesses]
                arrays, own_failures = tuple(found for found, _ in apart), tuple(failed for _, failed in apart)
                failure = _common_failure(arrays, own_failures)
        except Exception as error:  # one photo never ends a run, whatever a preprocessing raises on it
            failure = _reason(error)
        if failure:
            arrays, own_failures = (), ()
        seconds = time.perf_counter() - started
        return PhotoViews(index, arrays, failure, source_jpeg, seconds, own_failures, decoded, digest)

    def _arrays(
        self, recipe: ViewRecipe, data: bytes, index: int, preprocesses: Sequence[Preprocess]
    ) -> tuple[torch.Tensor, ...]:
        made = recipe.make(data, self.photos.ids[index], preprocesses)
        assert not isinstance(made, DecodedPhoto)  # asked for one preprocessing or one view, no device is meant
        return _tensors(made)

    def _as_far_as_possible(
        self, data: bytes, index: int, preprocess: Preprocess
    ) -> tuple[torch.Tensor, Mapping[str, str]]:
        """The views that can be made for one preprocessing, and why the others cannot.

        What fails for one encoder, or one view, is no reason to lose the photo for the others: which views are made
        together depends on what the banks hold already, and must not decide which photos are scored.
        """
        if len(self.preprocesses) > 1:
            with contextlib.suppress(Exception):
                return self._arrays(self.recipe, data, index, [preprocess])[0], {}
        made: dict[str, torch.Tensor] = {}
        failed: dict[str, str] = {}
        for name in self.recipe.names:
            try:
                [made[name]] = self._arrays(self.recipe.only((name,)), data, index, [preprocess])
            except Exception as error:
                failed[name] = _reason(error)
        if not made:
            return torch.empty(0), failed
        other = next(iter(made.values()))
        try:
            return torch.cat([made.get(name, other) for name in self.recipe.names]), failed
        except RuntimeError as error:  # views of several shapes
            return torch.empty(0), dict.fromkeys(self.recipe.names, _reason(error))


def _tensors(made: Sequence[Views]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(v if isinstance(v, np.ndarray) else np.stack(v)) for v in made)


def _common_failure(arrays: Sequence[torch.Tensor], failures: Sequence[Mapping[str, str]]) -> str:
    """The one reason why no view could be made for any preprocessing; empty if there are views, or several reasons."""
    reasons = {reason for failed in failures for reason in failed.values()}
    return reasons.pop() if len(reasons) == 1 and not any(len(made) for made in arrays) else ""


def describe_source(data: bytes) -> str:
    """The compression that a photo brings along: ``q75 4:2:0``, ``custom 4:2:2`` (a maker's tables), ``not JPEG``."""
    header = read_jpeg_header(data)
    if header is None:
        return "not JPEG"
    quality = f"q{header.quality}" if header.quality is not None else "custom"
    return f"{quality} {header.subsampling or 'grey'}"


def _reason(error: Exception) -> str:
    if isinstance(error, PhotoError):
        return str(error)
    return f"{PREPROCESSING_FAILED} ({describe_error(error)})"


def _rows(recipe: ViewRecipe, preprocesses: Sequence[Preprocess]) -> tuple[Row, ...]:
    """What a photo takes under each preprocessing, from that of a grey picture; nothing where one refuses it."""
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    rows = []
    for preprocess in preprocesses:
        try:
            seen = np.asarray(preprocess(grey))
            rows.append(Row((len(recipe.names), *seen.shape), seen.dtype))
        except Exception:  # a user's own may not take it; its photos' views are sent
            rows.append(Row((0,), np.dtype(np.uint8)))
    return tuple(rows)
