"""Photos read, decoded and made into views by workers, in the order of the photos, whatever the number of workers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmark.views.views import DecodedPhoto, Preprocess, ViewRecipe, Views, on_a_copy
from builders.errors import PhotoError
from builders.photos import PhotoSet, photo_digest
from builders.pixels import chosen_engine, read_jpeg_header

AHEAD_BYTES = 1 << 30
"""Bound on what all workers make ahead of the encoders."""


PREPROCESSING_FAILED = "preprocessing failed"
"""How a failure begins whose cause is an encoder's own code: the photo itself could be read."""


@dataclass(frozen=True)
class PhotoViews:
    """All views of one photo, or the reason why there are none."""

    index: int
    """Index of the photo in its set."""
    arrays: tuple[torch.Tensor, ...]
    """One per preprocessing: [views, ...]. Empty if the photo failed, and where all its views did; the place of a view
    that failed alone is held by another of the same photo."""
    failure: str
    """Why there is no view for any preprocessing, in one sentence; empty if there is one."""
    source_jpeg: str
    """The photo's own compression, for example ``q75 4:2:0``."""
    seconds: float
    """Time of one worker spent on it."""
    own_failures: tuple[Mapping[str, str], ...] = ()
    """One per preprocessing: the reason by name of each view that failed; none at all where all went well."""
    decoded: torch.Tensor | None = None
    """uint8 [height, width, 3]: the photo, where a device is still to make its views; ``arrays`` is then empty."""
    digest: bytes = b""
    """``photo_digest`` of the bytes that were read; empty where they could not be."""


def iterate_views(
    photos: PhotoSet,
    indices: Sequence[int],
    recipe: ViewRecipe,
    preprocesses: Sequence[Preprocess],
    *,
    workers: int = 0,
) -> Iterator[PhotoViews]:
    """Views of the photos at ``indices``, in that order.

    Args:
        photos: the photo set.
        indices: of the photos wanted.
        recipe: which views.
        preprocesses: the distinct preprocessings of the encoders that share this pass; each but a ``Pixels`` is given a
            copy of the picture.
        workers: processes that read, decode, process and preprocess; 0 does it here.
    """
    chosen_engine()  # compiled here, not by every worker
    preprocesses = [on_a_copy(preprocess) for preprocess in preprocesses]
    maker = _ViewMaker(photos, tuple(int(i) for i in indices), recipe, tuple(preprocesses))
    loader: DataLoader[PhotoViews] = DataLoader(
        maker,
        batch_size=None,
        num_workers=min(workers, len(maker)),
        prefetch_factor=_ahead(recipe, preprocesses, workers) if workers and len(maker) else None,
        worker_init_fn=_one_thread_each,
    )
    return iter(loader)


@dataclass(frozen=True)
class _ViewMaker(Dataset[PhotoViews]):
    photos: PhotoSet
    indices: tuple[int, ...]
    recipe: ViewRecipe
    preprocesses: tuple[Preprocess, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> PhotoViews:
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
    return f"{PREPROCESSING_FAILED} ({type(error).__name__}: {error})"


def _ahead(recipe: ViewRecipe, preprocesses: Sequence[Preprocess], workers: int) -> int:
    """Photos that each worker makes ahead: 4, fewer where the views of many large preprocessings take much memory."""
    grey = Image.new("RGB", (64, 64), (128, 128, 128))
    try:
        photo_bytes = len(recipe.names) * sum(preprocess(grey).nbytes for preprocess in preprocesses)
    except Exception:  # a user's own may not take it; its photos will tell
        return 1
    return max(1, min(4, AHEAD_BYTES // (workers * max(1, photo_bytes))))


def _one_thread_each(worker: int) -> None:
    torch.set_num_threads(1)
