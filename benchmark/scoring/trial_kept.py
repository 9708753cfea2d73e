"""What trials found, kept beside the banks: encoders that answered as encoders do are not asked again by every run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.bank import key_hash, key_of
from benchmark.encoders import Encoder
from benchmark.options import RunOptions
from benchmark.scoring import trial as asking
from benchmark.scoring.trial import Trial, try_encoders
from benchmark.views import ViewRecipe
from builders.files import write_text_atomically
from builders.photos import PhotoSet

FOLDER = "gates"
"""Of the cache."""


def tried(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    recipe: ViewRecipe,
    options: RunOptions,
    *,
    earlier: str | None = None,
) -> list[Trial]:
    """As ``try_encoders``, or as it found when it was asked exactly this before.

    A first run on many photos asks before it knows their bytes; what it found is kept under its name of them,
    ``earlier``, until a run that knows them gives it to their hash.

    An encoder is known with its company: what one does to another shows only beside it. A run in which one encoder
    cannot be identified keeps nothing. Failures are not kept: memory that was short, a file that was away.
    """
    key = _key(encoders, photos, bytes_hash, recipe, options)
    files = _files(key, len(encoders), options)
    if earlier and key:
        _renamed(_files(_key(encoders, photos, earlier, recipe, options), len(encoders), options), files)
    if files and not options.fresh:
        kept = [_read(file) for file in files]
        if all(trial is not None for trial in kept):
            return [trial for trial in kept if trial is not None]
    found = try_encoders(encoders, photos, recipe, options)
    for file, trial in zip(files, found, strict=bool(files)):
        if trial.photos and not trial.reason:
            write_text_atomically(file, json.dumps(dataclasses.asdict(trial)) + "\n")
    return found


def _key(
    encoders: Sequence[Encoder], photos: PhotoSet, bytes_hash: str, recipe: ViewRecipe, options: RunOptions
) -> dict[str, Any] | None:
    """Everything that decides what is found, as JSON values; None where an encoder is not identified."""
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
    """Hash of the lines that ask."""
    return hashlib.sha256(Path(asking.__file__).read_bytes()).hexdigest()[:16]


def _files(key: dict[str, Any] | None, encoders: int, options: RunOptions) -> list[Path]:
    """Of each encoder; none where nothing may be kept."""
    places = range(encoders) if key else ()
    return [options.cache / FOLDER / f"{key_hash({**(key or {}), 'place': place})}.json" for place in places]


def _renamed(old: Sequence[Path], new: Sequence[Path]) -> None:
    for there, here in zip(old, new, strict=True):
        with contextlib.suppress(OSError):  # nothing there, or a disk that takes nothing: asked again
            os.replace(there, here)


def _read(file: Path) -> Trial | None:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        trial = Trial(**raw)
    except (OSError, ValueError, TypeError):  # absent, or not ours: asked again
        return None
    kinds = {f.name: type(f.default) for f in dataclasses.fields(Trial)}
    return trial if all(type(getattr(trial, name)) is kind for name, kind in kinds.items()) else None
