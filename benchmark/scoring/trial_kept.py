"""What trials found, kept beside the banks: encoders that answered as encoders do are not asked again by every run."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
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
    encoders: Sequence[Encoder], photos: PhotoSet, bytes_hash: str, recipe: ViewRecipe, options: RunOptions
) -> list[Trial]:
    """As ``try_encoders``, or as it found when it was asked exactly this before.

    An encoder is known with its company: what one does to another shows only beside it. A run in which one encoder
    cannot be identified keeps nothing. Failures are not kept: memory that was short, a file that was away.
    """
    key = _key(encoders, photos, bytes_hash, recipe, options)
    files = [_file(key, place, options) for place in range(len(encoders))] if key else []
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


def _file(key: dict[str, Any], place: int, options: RunOptions) -> Path:
    return options.cache / FOLDER / f"{key_hash({**key, 'place': place})}.json"


def _read(file: Path) -> Trial | None:
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        trial = Trial(**raw)
    except (OSError, ValueError, TypeError):  # absent, or not ours: asked again
        return None
    kinds = {f.name: type(f.default) for f in dataclasses.fields(Trial)}
    return trial if all(type(getattr(trial, name)) is kind for name, kind in kinds.items()) else None
