"""Read and decode photos and make their views in worker processes; the order does not depend on their number."""

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
"""Most bytes of all slots; an eighth of the free memory if that is less."""

AHEAD_PHOTOS = 4
"""Least number of photos that each worker makes ahead, in addition to the current gather."""

AHEAD_OF_ALL, MOST_AHEAD = 1 << 29, 512
"""Bytes of views, and number of photos, that all workers together may make ahead if that is more: they begin seconds
earlier, while encoders are tried or while tasks on another photo set run."""

HELD_GATHERS = 3
"""Slots in addition to those: one is being gathered, one waits for the encoders, one is being copied to a GPU."""

TOGETHER = 16
"""Photos of a gather by default."""

DECODED_BYTES = 2 << 20
"""Bytes of a slot per photo for the pixels of a photo that a device makes views of; larger photos are sent through the
worker's pipe."""


PREPROCESSING_FAILED = "preprocessing failed"
"""Beginning of a failure that is caused by the code of an encoder; the photo itself could be read."""


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
    pin: torch.device | None = None,
) -> Generator[PhotoViews, None, None]:
    """Views of the photos at ``indices``, in that order.

    Args:
        photos: the photo set.
        indices: of the photos.
        recipe: which views.
        preprocesses: the distinct preprocessings of the encoders of a pass. Each that is not a ``Pixels`` receives a
            copy of the picture.
        workers: processes that read, decode, process and preprocess; with 0 this process does it.
        gathers: number of photos of each gather, in sum ``len(indices)``. The views of a gather are adjacent in memory,
            except for photos that failed or do not have the expected shape.
        decodes: whether the recipe only decodes photos, for a device.
        held: photos that the caller holds in addition to a gather.
        pin: the GPU for copies to which the memory of the gathers is pinned; None if it is not.

    Returns:
        A generator whose workers begin at once. The memory of the views is used again when the last tensor of their
        gather is deleted.

    Raises:
        DataError: a worker died, or all of them have stopped.
    """
    chosen_engine()  # compiled once, not by every worker
    preprocesses = [on_a_copy(preprocess) for preprocess in preprocesses]
    make = _MakeViews(photos, tuple(int(i) for i in indices), recipe, tuple(preprocesses))
    if not workers or not make.indices:
        return (make(position) for position in range(len(make.indices)))
    photos.warm_up(make.indices[0])  # once, not by every worker
    count = len(make.indices)
    sizes = list(gathers) or [min(TOGETHER, count - start) for start in range(0, count, TOGETHER)]
    workers = min(workers, count)
    plan = SlotPlan(max(sizes), _rows(recipe, preprocesses), DECODED_BYTES if decodes else 0)
    slots, ahead = slots_and_ahead(plan, workers, held)
    shared = photos.shared_work()
    run_ids = [] if shared is None else [shared[index] for index in make.indices]
    return made_by_workers(make, sizes, plan, slots, workers, ahead=ahead, pin=pin, run_ids=run_ids)


def photo_bytes(recipe: ViewRecipe, preprocesses: Sequence[Preprocess]) -> int:
    """Bytes of the views of one photo under all preprocessings, estimated from a grey picture."""
    return sum(row.nbytes for row in _rows(recipe, [on_a_copy(preprocess) for preprocess in preprocesses]))


def slots_and_ahead(plan: SlotPlan, workers: int, held: int = 0) -> tuple[int, int]:
    """Slots of a ring, and photos made ahead: ``AHEAD_PHOTOS`` per worker or ``AHEAD_OF_ALL`` bytes, whichever is more;
    fewer where memory is short."""
    most = max(2, min(AHEAD_BYTES, free_on_host() // 8) // max(1, plan.nbytes))
    of_all = min(MOST_AHEAD, AHEAD_OF_ALL * plan.photos // max(1, plan.nbytes))
    photos = held + max(workers * AHEAD_PHOTOS, of_all)
    slots = min(most, HELD_GATHERS + -(-photos // plan.photos))
    return slots, plan.photos + max(1, min(photos, (slots - 1) * plan.photos))


@dataclass(frozen=True)
class _MakeViews:
    """Makes the views of the photo at a position. One photo never ends a run: what fails is recorded in the result."""

    photos: PhotoSet
    indices: tuple[int, ...]
    recipe: ViewRecipe
    preprocesses: tuple[Preprocess, ...]

    def __call__(self, position: int) -> PhotoViews:
        index = self.indices[position]
        started = time.perf_counter()
        arrays: tuple[torch.Tensor, ...] = ()
        decoded: torch.Tensor | None = None
        view_failures: tuple[Mapping[str, str], ...] = ()
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
                separately = [self._possible_views(data, index, preprocess) for preprocess in self.preprocesses]
                arrays, view_failures = tuple(made for made, _ in separately), tuple(why for _, why in separately)
                failure = _common_failure(arrays, view_failures)
        except Exception as error:  # whatever a preprocessing raises
            failure = failure_reason(error)
        if failure:
            arrays, view_failures = (), ()
        seconds = time.perf_counter() - started
        return PhotoViews(index, arrays, failure, source_jpeg, seconds, view_failures, decoded, digest)

    def _arrays(
        self, recipe: ViewRecipe, data: bytes, index: int, preprocesses: Sequence[Preprocess]
    ) -> tuple[torch.Tensor, ...]:
        made = recipe.make(data, self.photos.ids[index], preprocesses)
        assert not isinstance(made, DecodedPhoto)  # with fewer preprocessings or views, no device makes them
        return _tensors(made)

    def _possible_views(
        self, data: bytes, index: int, preprocess: Preprocess
    ) -> tuple[torch.Tensor, Mapping[str, str]]:
        """The views that can be made for one preprocessing, and why the others cannot.

        A failure for one encoder or one view must not lose the photo for the others: which views are made together
        depends on what the banks already contain, and must not decide which photos are scored.
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
                failed[name] = failure_reason(error)
        if not made:
            return torch.empty(0), failed
        other = next(iter(made.values()))
        try:
            return torch.cat([made.get(name, other) for name in self.recipe.names]), failed
        except RuntimeError as error:  # views of several shapes
            return torch.empty(0), dict.fromkeys(self.recipe.names, failure_reason(error))


def _tensors(made: Sequence[Views]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(v if isinstance(v, np.ndarray) else np.stack(v)) for v in made)


def _common_failure(arrays: Sequence[torch.Tensor], failures: Sequence[Mapping[str, str]]) -> str:
    """The reason why no view could be made for any preprocessing; empty if there are views or different reasons."""
    reasons = {reason for failed in failures for reason in failed.values()}
    return reasons.pop() if len(reasons) == 1 and not any(len(made) for made in arrays) else ""


def describe_source(data: bytes) -> str:
    """Compression of a photo's file: ``q75 4:2:0``, ``custom 4:2:2`` (a manufacturer's tables), ``not JPEG``."""
    header = read_jpeg_header(data)
    if header is None:
        return "not JPEG"
    quality = f"q{header.quality}" if header.quality is not None else "custom"
    return f"{quality} {header.subsampling or 'grey'}"


def failure_reason(error: Exception) -> str:
    """Why a photo or a view of it cannot be used, in one sentence."""
    if isinstance(error, PhotoError):
        return str(error)
    return f"{PREPROCESSING_FAILED} ({describe_error(error)})"


def _rows(recipe: ViewRecipe, preprocesses: Sequence[Preprocess]) -> tuple[Row, ...]:
    """Per preprocessing, the memory of one photo's views, measured on a grey picture; none if that is refused."""
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    rows = []
    for preprocess in preprocesses:
        try:
            array = np.asarray(preprocess(grey))
            rows.append(Row((len(recipe.names), *array.shape), array.dtype))
        except Exception:  # a user's function may refuse it; then views are sent through pipes
            rows.append(Row((0,), np.dtype(np.uint8)))
    return tuple(rows)
