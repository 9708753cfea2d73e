"""Trial of encoders: each embeds a few photos of the set twice before it is scored.

First every encoder embeds by itself. Then the views are made for all encoders at once, as in the pass that follows, and
embedded again, so that an effect of one encoder on what they share is seen; and one view is embedded without the others
of its batch. Embeddings must be real, finite and of the promised shape, and both must agree. If they differ, scores
would be those of one random draw: the encoder is scored only with ``--allow-random``, and the result records it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.bank import Bank, key_hash, key_of
from benchmark.compute import HARMS_RUN, FittingBatch, blamed, foreign_code, read_record, write_record
from benchmark.encoders import COMPLEX, Encoder
from benchmark.options import RunOptions
from benchmark.views import PREPROCESSING_FAILED, PhotoViews, ViewRecipe, iterate_views
from builders.errors import CamtraceError
from builders.photos import SPLITS, PhotoSet, PhotoSource
from builders.untrusted import describe_error

PHOTOS = 3
"""Photos that each encoder embeds in the trial."""

TOLERANCE = {"float32": 1e-4, "tf32": 2e-2, "float16": 2e-2, "bfloat16": 1e-1}
"""Largest difference of two embeddings, as a share of their length, that counts as rounding: about a thousand roundings
of one number of that precision. Another batch is another order of sums."""

CONSTANT = 1e-7
"""Difference of two embeddings, as a share of their largest number, up to which they are equal in float32."""

MAX_FAILED_SHARE = 0.05
"""Share of the photos on which an encoder's own code may fail, such as pictures one pixel wide. With more the encoder
has failed: it would choose the photos that are left, and their scores are not those of the set."""


@dataclass(frozen=True)
class Trial:
    """Outcome of the trial of one encoder."""

    reason: str = ""
    """One sentence on why it cannot be scored; empty if it can."""
    photos: int = 0
    """Number of photos that it embedded; 0 if none of those tried can be read."""
    repeated: float = 0.0
    """Largest difference of two embeddings of one photo, as a share of their length."""
    alone: float = 0.0
    """The same between a view in its batch and alone."""
    random: str = ""
    """One sentence on why its scores would be those of one random draw; empty if its embeddings agree."""

    def record(self) -> dict[str, Any]:
        """JSON values."""
        digits = {"repeated": float(f"{self.repeated:.2g}"), "alone": float(f"{self.alone:.2g}")}
        return {"photos": self.photos, **digits, "random": self.random}


def try_encoders(encoders: Sequence[Encoder], photos: PhotoSet, recipe: ViewRecipe, options: RunOptions) -> list[Trial]:
    """Embed a few photos twice with each encoder: by itself, and with views made for all encoders at once.

    Args:
        encoders: of one run. One that fails is not tried again; the others are.
        photos: the set to score; a few of them are read.
        recipe: its first view is made of each photo.
        options: ``batch_size`` is the number of views per forward pass.

    Returns:
        One trial per encoder, in order.
    """
    view, photos = recipe.only(recipe.names[:1]), _read_once(photos)
    first_trials = [_first_answer(encoder, photos, view, options) for encoder in encoders]
    able = [i for i, first in enumerate(first_trials) if isinstance(first, _Answer)]
    indices = sorted({index for first in first_trials if isinstance(first, _Answer) for index in first.indices})
    made: dict[int, PhotoViews] = {}
    if indices:
        preprocesses = [encoders[i].preprocess for i in able]
        made = {photo.index: photo for photo in iterate_views(photos, indices, view, preprocesses)}
    trials = []
    for i, (encoder, first) in enumerate(zip(encoders, first_trials, strict=True)):
        if not isinstance(first, _Answer):
            trials.append(Trial(first))
            continue
        repeated_views, which = [made[index] for index in first.indices], able.index(i)
        if failed := next((reason for photo in repeated_views if (reason := _failure(photo, which))), ""):
            trials.append(Trial(f"{encoder.info.id}: it fails on a photo that it could take before ({failed})"))
        else:
            views = torch.cat([photo.arrays[which] for photo in repeated_views])
            trials.append(_compared(encoder, first, views, options))
    return trials


@dataclass(frozen=True)
class _ReadOnce:
    """A ``PhotoSource`` that caches photos: a simulated photo is rendered once for all encoders and both times."""

    source: PhotoSource
    known: dict[int, bytes] = field(default_factory=dict)

    def read(self, row: int) -> bytes:
        if row not in self.known:
            self.known[row] = self.source.read(row)
        return self.known[row]


def _read_once(photos: PhotoSet) -> PhotoSet:
    """The photos of a set that are tried, in order, from a source that caches them."""
    tried = photos.select(_spread(len(photos)))
    return replace(tried, source=_ReadOnce(tried.source))


def _failure(photo: PhotoViews, which: int) -> str:
    """Why there is no view of a photo under one preprocessing; empty if there is one."""
    return photo.failure or (next(iter(photo.view_failures[which].values()), "") if photo.view_failures else "")


@dataclass(frozen=True)
class _Answer:
    indices: tuple[int, ...]
    """Of the photos."""
    views: torch.Tensor
    """[photos, ...]"""
    embeddings: np.ndarray
    """float64 [photos, dimension]."""


def _first_answer(encoder: Encoder, photos: PhotoSet, view: ViewRecipe, options: RunOptions) -> _Answer | str:
    """Embeddings of the first readable photos by this encoder, or why there are none; "" if no photo is readable."""
    indices, arrays, failures = [], [], []
    for photo in iterate_views(photos, range(len(photos)), view, [encoder.preprocess]):
        if reason := _failure(photo, 0):
            failures.append(reason)
            continue
        indices.append(photo.index)
        arrays.append(photo.arrays[0])
        if len(arrays) == PHOTOS:
            break
    if not arrays:
        preprocessing_failure = next((reason for reason in failures if reason.startswith(PREPROCESSING_FAILED)), "")
        return (
            f"{encoder.info.id}: it takes none of {len(failures)} photos ({preprocessing_failure})"
            if preprocessing_failure
            else ""
        )
    try:
        views = torch.cat(arrays)
    except RuntimeError:
        shapes = sorted({tuple(array.shape[1:]) for array in arrays})
        return f"{encoder.info.id}: its preprocessing gives views of different shapes, {shapes[0]} and {shapes[1]}"
    embeddings = _embedded(encoder, views, options)
    return embeddings if isinstance(embeddings, str) else _Answer(tuple(indices), views, embeddings)


def _compared(encoder: Encoder, first: _Answer, views: torch.Tensor, options: RunOptions) -> Trial:
    name, photos_tried = encoder.info.id, len(first.indices)
    second, single = _embedded(encoder, views, options), _embedded(encoder, views[:1], options)
    if isinstance(second, str) or isinstance(single, str):
        return Trial(f"{second if isinstance(second, str) else single} (at first it did not)", photos_tried)
    repeated, alone = (_difference(first.embeddings, again) for again in (second, single))
    same = torch.equal(views, first.views)
    allowed, random = TOLERANCE.get(encoder.dtype, TOLERANCE["float32"]), ""
    if not same or repeated > allowed:
        where = "" if same else "; its preprocessing already gives two different arrays for one picture"
        random = f"{name}: run twice on the same photos it gives embeddings {_percent(repeated)} apart{where}"
    elif alone > allowed:
        random = f"{name}: the embedding of a view depends on the others of its batch, by {_percent(alone)}"
    return Trial("", photos_tried, repeated, alone, random)


def _embedded(encoder: Encoder, views: torch.Tensor, options: RunOptions) -> np.ndarray | str:
    """float64 [views, dimension], or one sentence on why they are no embeddings."""
    name, shape = encoder.info.id, (len(views), encoder.info.dimension)
    try:
        with blamed(name), foreign_code():
            embeddings = FittingBatch(name, encoder.embed, options.batch_size)(views.clone())
    except CamtraceError as error:
        return str(error) if str(error).startswith(name) else f"{name}: {error}"
    except Exception as error:  # somebody's own code
        return f"{name}: it fails on {len(views)} views ({describe_error(error)})"
    if not isinstance(embeddings, torch.Tensor):
        return f"{name}: it gives {type(embeddings).__name__}, not a tensor of embeddings"
    if not encoder.info.dimension:
        return f"{name}: it gives embeddings of no numbers"
    if tuple(embeddings.shape) != shape:
        return f"{name}: it gives embeddings of shape {tuple(embeddings.shape)}, expected {shape}"
    if embeddings.is_complex():
        return f"{name}: {COMPLEX}"
    if not torch.isfinite(embeddings).all():
        return f"{name}: it gives embeddings that are not finite in {encoder.dtype}"
    return embeddings.detach().cpu().double().numpy()


def trial_failures(name: str, failures: Mapping[str, str], photos: int) -> str:
    """One sentence on an encoder whose own code fails on photos that can be read; empty if they are few.

    Args:
        name: of the encoder.
        failures: reason by id of each photo that has no embedding.
        photos: how many there are.

    >>> trial_failures("mine", {"a": "preprocessing failed (ValueError: tired)", "b": "the file is empty"}, 4)
    'mine: it fails on 1 of 4 photos, which can be read (the first: preprocessing failed (ValueError: tired))'
    """
    reasons = [reason for reason in failures.values() if reason.startswith(PREPROCESSING_FAILED)]
    if harm := next((reason for reason in reasons if HARMS_RUN in reason), ""):
        return f"{name}: {harm}"
    if len(reasons) <= MAX_FAILED_SHARE * photos:
        return ""
    return f"{name}: it fails on {len(reasons)} of {photos} photos, which can be read (the first: {reasons[0]})"


def too_few_usable(photos: PhotoSet, usable: np.ndarray, share: float) -> str:
    """One sentence on a split of which too few photos have embeddings; empty if there is none.

    Args:
        photos: the photo set.
        usable: bool [photos].
        share: least share of the photos of each split.

    >>> photos = PhotoSet.of_bytes("toy", dict.fromkeys("abcd", b""))
    >>> too_few_usable(photos, np.array([True, True, True, False]), 0.8)
    '3 of 4 train photos (75.0 %) can be used, fewer than 80.0 %: no score (--min-usable)'
    """
    for number, split in enumerate(SPLITS):
        of_split = usable[photos.splits == number]
        if len(of_split) and of_split.mean() < share:
            counted = f"{int(of_split.sum()):,} of {len(of_split):,} {split} photos ({of_split.mean():.1%})"
            return f"{counted} can be used, fewer than {share:.1%}: no score (--min-usable)".replace("%", " %")
    return ""


def constant_embedding(name: str, bank: Bank, rows: np.ndarray) -> str:
    """One sentence on an encoder that gives every photo the same embedding in every view; empty if it does not.

    Args:
        name: of the encoder.
        bank: complete. Two different embeddings end the search.
        rows: indices of the photos that have embeddings.
    """
    if len(rows) < 2:
        return ""
    first = bank.view(bank.names[0], rows[:1])[:]
    allowed = CONSTANT * np.abs(first).max()
    views = (bank.view(view, rows) for view in bank.names)
    parts = (view[start : start + 1024] for view in views for start in range(0, len(rows), 1024))
    if any(np.abs(part - first).max() > allowed for part in parts):
        return ""
    return f"{name}: it gives one and the same embedding for all {len(rows)} photos, so there is nothing to read"


def _spread(photos: int) -> list[int]:
    """Up to 8 indices from all over a set, ends first.

    >>> _spread(100), _spread(2)
    ([0, 99, 49, 24, 74, 12, 37, 87], [0, 1])
    """
    last = photos - 1
    places = (0, last, last // 2, last // 4, 3 * last // 4, last // 8, 3 * last // 8, (7 * last + 7) // 8)
    return list(dict.fromkeys(places))


def _difference(first: np.ndarray, again: np.ndarray) -> float:
    """Largest |first - again| / |first| of those rows that both have.

    >>> _difference(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.5]]))
    0.1
    """
    first = first[: len(again)]
    lengths = np.linalg.norm(first, axis=1)
    apart = np.linalg.norm(first - again, axis=1)
    return float((apart / np.where(lengths > 0, lengths, 1)).max())


def _percent(share: float) -> str:
    return f"{100 * share:.2g} % of their length"


FOLDER = "gates"
"""Folder of the cache."""


def cached_trials(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    recipe: ViewRecipe,
    options: RunOptions,
    *,
    earlier: str | None = None,
) -> list[Trial]:
    """Trials as by ``try_encoders``, from the cache if the same encoders were tried on the same photos before.

    A first run on many photos tries encoders before it knows the photos' bytes. Its trials are cached under its
    stand-in for their hash, ``earlier``, until a run that knows the hash renames them.

    The key holds all encoders of the run, since one may affect another. If one of them is not identified, nothing is
    cached. Failures are not cached, since memory may have been short or a file away.
    """
    key = _key(encoders, photos, bytes_hash, recipe, options)
    files = _files(key, len(encoders), options)
    if earlier and key:
        _renamed(_files(_key(encoders, photos, earlier, recipe, options), len(encoders), options), files)
    if files and not options.fresh:
        stored = [trial for file in files if (trial := read_record(file, Trial)) is not None]
        if len(stored) == len(files):
            return stored
    trials = try_encoders(encoders, photos, recipe, options)
    for file, trial in zip(files, trials, strict=bool(files)):
        if trial.photos and not trial.reason:
            write_record(file, trial)
    return trials


def _key(
    encoders: Sequence[Encoder], photos: PhotoSet, bytes_hash: str, recipe: ViewRecipe, options: RunOptions
) -> dict[str, Any] | None:
    """Everything that decides the trials, as JSON values; None if an encoder is not identified."""
    if not all(encoder.cacheable for encoder in encoders):
        return None
    banks = [key_of(encoder, photos, bytes_hash, options.storage) for encoder in encoders]
    return {
        "trial": _code(),
        "company": [bank["encoder"] for bank in banks],
        "photos": banks[0]["photos"] if banks else {},
        "codec_canary": banks[0]["codec_canary"] if banks else "",
        "views": recipe.only(recipe.names[:1]).view_keys(),
        "batch_size": options.batch_size,
    }


@functools.cache
def _code() -> str:
    """Hash of this module."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]


def _files(key: dict[str, Any] | None, encoders: int, options: RunOptions) -> list[Path]:
    """Cache file of each encoder; none if nothing may be cached."""
    places = range(encoders) if key else ()
    return [options.cache / FOLDER / f"{key_hash({**(key or {}), 'place': place})}.json" for place in places]


def _renamed(old: Sequence[Path], new: Sequence[Path]) -> None:
    for there, here in zip(old, new, strict=True):
        with contextlib.suppress(OSError):  # there is none, or it cannot be renamed: tried again
            os.replace(there, here)
