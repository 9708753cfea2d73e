"""Per-photo answers of a finished run, read back: one value per photo for each score, so that runs can be paired."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.results.files import find_runs
from benchmark.results.questions import PhotoValues, Questions
from benchmark.results.schema import Result, read_result
from builders.errors import DataError

MAX_ANSWERS_BYTES = 8 << 30
"""Of one array once unpacked: ImageNet's probe predictions with 10 fits of 6 classes are 3 MB."""


@dataclass(frozen=True, eq=False)
class Run:
    """One finished result with its per-photo answers."""

    folder: Path
    result: Result
    answers: Mapping[tuple[str, str], PhotoValues]
    """By task and metric."""
    unreadable: Mapping[str, str]
    """Reason by task whose kept answers do not say what its scores say; the others are not touched by it."""

    @property
    def encoder(self) -> str:
        return str(self.result.encoder["id"])

    @property
    def data(self) -> str:
        return str(self.result.data["name"])


@dataclass(frozen=True, eq=False)
class Answers:
    """The values by photo of each task and metric, and why some tasks have none."""

    values: Mapping[tuple[str, str], PhotoValues]
    unreadable: Mapping[str, str]
    """Reason by task."""


def read_runs(folder: Path, questions: Questions) -> list[Run]:
    """Every run in a folder: itself, or all below it, in the order of paths.

    Raises:
        DataError: there is none, or a ``result.json`` or an archive of answers cannot be read.
    """
    found = find_runs(folder)
    if not found:
        raise DataError(f"{folder}: there is no result.json; give the --output of a run")
    return [read_run((folder / file).parent, questions) for file in found]


def read_run(folder: Path, questions: Questions) -> Run:
    """One run: ``result.json`` and, where it is there, ``answers.npz``.

    Raises:
        DataError: a file cannot be read.
    """
    result = read_result(folder / "result.json")
    path = folder / "answers.npz"
    if not path.is_file():
        return Run(folder, result, {}, {})
    try:
        with zipfile.ZipFile(path) as archive:
            largest = max((member.file_size for member in archive.infolist()), default=0)
        if largest > MAX_ANSWERS_BYTES:
            raise DataError(f"{path}: an array of {largest / 1e9:.0f} GB")
        with np.load(path, allow_pickle=False) as arrays:
            answers = read_answers({name: arrays[name] for name in arrays.files}, questions)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read ({type(error).__name__}: {error})") from None
    return Run(folder, result, answers.values, answers.unreadable)


def answer_key(task: str, name: str) -> str:
    """What an array of a task is called in ``answers.npz``.

    >>> answer_key("probe/jpeg", "predicted")
    'probe/jpeg/predicted'
    """
    return f"{task}/{name}"


def read_answers(arrays: Mapping[str, np.ndarray], questions: Questions) -> Answers:
    """What kept arrays say, asked of the questions that they belong to.

    A task that is unknown here, or whose arrays are damaged, costs its own answers alone.
    """
    values: dict[tuple[str, str], PhotoValues] = {}
    unreadable: dict[str, str] = {}
    for task in dict.fromkeys(name.rpartition("/")[0] for name in arrays):
        own = {name.rpartition("/")[2]: array for name, array in arrays.items() if name.rpartition("/")[0] == task}
        if task not in questions:
            unreadable[task] = "this version of camtrace does not know the question"
            continue
        try:
            read = {metric: _checked(found) for metric, found in questions[task].read_answers(own).items()}
        except Exception as error:  # arrays of strangers: whatever is wrong with them is wrong with this task alone
            unreadable[task] = f"its answers cannot be read ({type(error).__name__}: {error})"
        else:
            values.update({(task, metric): found for metric, found in read.items()})
    return Answers(values, unreadable)


def _checked(found: PhotoValues) -> PhotoValues:
    n = len(found.photos)
    if found.values.shape != (n,) or (found.clusters is not None and found.clusters.shape != (n,)):
        raise DataError(f"{n} photos, values of shape {found.values.shape}")
    return found
