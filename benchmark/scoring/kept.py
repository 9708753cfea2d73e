"""What a task found, on disk as soon as it is done, under a key that holds everything that decides it.

A run that is stopped loses the task at hand (of kNN, one part of its queries); one that asks the same again reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bank import key_hash
from benchmark.encoders import Output
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring.records import options_key
from benchmark.scoring.scored_code import code_hash
from benchmark.tasks import Task, TaskOutcome, all_tasks
from builders.files import write_bytes_atomically, write_text_atomically
from builders.outside import Refused, read_outside_arrays, sentence
from builders.photos import PhotoSet

FOLDER = "outcomes"
"""Of the cache."""

LIBRARIES = ("numpy", "scipy", "torch", "numba")
"""Whose versions may."""

OUTCOME = "outcome.npz"
_SCORES = "scores.json"


@dataclass(frozen=True)
class Slot:
    """The place of one task's outcome on one encoder's embeddings."""

    folder: Path
    key: Mapping[str, Any]

    @property
    def parts(self) -> Path:
        """Where a task may keep what it has done so far; gone when it is done."""
        return self.folder / "parts"

    def load(self) -> TaskOutcome | None:
        """What was kept; None if there is nothing, or nothing whole."""
        try:
            arrays = read_outside_arrays(self.folder / OUTCOME)
            os.utime(self.folder)  # when it was last used, for those who make space
            raw = json.loads(arrays.pop(_SCORES).tobytes().decode("utf-8"))
            return TaskOutcome(tuple(Score(**score) for score in raw), arrays)
        except (Refused, OSError, ValueError, KeyError, TypeError) as error:
            if os.path.lexists(self.folder / OUTCOME):
                print(f"camtrace: warning: {self.folder}: not whole ({sentence(error)}); made again", file=sys.stderr)
            return None

    def save(self, outcome: TaskOutcome) -> None:
        """Keep an outcome; a disk that does not take it costs the next run the work, with a warning, and no score."""
        scores = json.dumps([dataclasses.asdict(score) for score in outcome.scores]).encode("utf-8")
        arrays = {**outcome.answers, _SCORES: np.frombuffer(scores, dtype=np.uint8)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        try:
            write_text_atomically(self.folder / "key.json", json.dumps(self.key, indent=2, sort_keys=True) + "\n")
            write_bytes_atomically(self.folder / OUTCOME, buffer.getvalue())
            shutil.rmtree(self.parts, ignore_errors=True)
        except OSError as error:
            print(f"camtrace: warning: {self.folder}: cannot be written ({error.strerror})", file=sys.stderr)

    def forget(self) -> None:
        """Take it for not done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def slot_of(
    task: Task,
    photos: PhotoSet,
    usable: np.ndarray,
    bank: Mapping[str, Any],
    options: RunOptions,
    device: str,
    output: Output | None = None,
) -> Slot | None:
    """Where the outcome of a task belongs; None for a task that is not of the registry, whose code nobody can name.

    Args:
        task: the question.
        photos: who is asked: ids, splits, labels and columns count.
        usable: bool [photos], those with embeddings.
        bank: key of the embeddings, photos' bytes included.
        options: of the run.
        device: where the arithmetic runs.
        output: of the encoder; None for its embedding.
    """
    if all_tasks().get(task.name) != task:
        return None
    key = {
        "task": task.name,
        "bank": bank,
        "views": task.recipe(photos, options).view_keys(),
        "question": photos.question_hash(),
        "usable": hashlib.sha256(np.packbits(usable).tobytes()).hexdigest()[:32],
        "options": options_key(options, photos),
        "device": device.partition(":")[0],
        "code": code_hash(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        **({"output": {"name": output.name, "read": output.read}} if output else {}),
    }
    return Slot(options.cache / FOLDER / key_hash(key), key)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
