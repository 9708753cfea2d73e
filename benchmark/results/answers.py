"""Per-photo answers of a finished run, read back: one value per photo for each score, so that runs can be paired."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.results.files import Refusal, ResultFile, find_runs, read_files
from benchmark.results.questions import PhotoValues, Questions
from benchmark.results.schema import Result, Score
from builders.errors import DataError
from builders.untrusted import UntrustedInputError, archive_sha256, describe_error, read_untrusted_arrays

ANSWERS_FILE = "answers.npz"
ROUNDING = 1e-6
"""What a score may differ from the mean of its answers: sums in another order, never another answer."""


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


@dataclass(frozen=True)
class ReadRuns:
    """Everything that a folder of runs held, in the order of paths."""

    runs: tuple[Run, ...]
    refused: tuple[Refusal, ...]


def read_runs(folder: Path, questions: Questions) -> ReadRuns:
    """Every run in a folder: itself, or all below it, in the order of paths. One that is refused stops no other.

    Raises:
        DataError: there is no ``result.json``.
    """
    found = find_runs(folder)
    if not found:
        raise DataError(f"{folder}: there is no result.json; give the --output of a run")
    read = read_files(folder, found)
    runs, refused = [], list(read.refused)
    for file in read.accepted:
        try:
            answers = _answers_of(file, questions)
        except DataError as error:
            refused.append(Refusal(file.file, str(error)))
        else:
            runs.append(Run((folder / file.file).parent, file.result, answers.values, answers.unreadable))
    return ReadRuns(tuple(runs), tuple(refused))


def read_run(folder: Path, questions: Questions) -> Run:
    """One run: ``result.json`` and, where it is there, ``answers.npz``.

    Raises:
        DataError: a file cannot be read, or the answers contradict the scores.
    """
    read = read_runs(folder, questions)
    if read.refused:
        raise DataError(f"{folder / read.refused[0].file}: {read.refused[0].reason}")
    return read.runs[0]


def contradiction(file: ResultFile, questions: Questions) -> str:
    """Why the answers beside a result are not those of its scores; "" where they are, or where there are none."""
    try:
        _answers_of(file, questions)
    except DataError as error:
        return str(error)
    return ""


def answers_changed(result: Result, folder: Path) -> bool:
    """Whether the answers in a result's folder are known to be others than it was written with, or are gone."""
    recorded = result.environment.get("answers_sha256")
    try:
        return recorded is not None and archive_sha256(folder / ANSWERS_FILE) != recorded
    except UntrustedInputError:
        return True


def task_answers(file: ResultFile, task: str, questions: Questions) -> Mapping[str, PhotoValues]:
    """What one task of an accepted result answered, by metric; its arrays alone are read.

    Empty where nothing is at hand: no answers beside the result, a question that is not known, arrays that cannot be
    read. A metric whose answers are not those of its score is left out, so that a file which changed since it was
    accepted (``contradiction``) says nothing.
    """
    path = answers_path(file)
    if path is None:
        return {}
    try:
        arrays = read_untrusted_arrays(path, lambda name: name.rpartition("/")[0] == task)
    except UntrustedInputError:
        return {}
    read = read_answers(arrays, questions).values
    scores = {score.metric: score for score in file.result.scores if score.task == task}
    own = {metric: found for (_, metric), found in read.items() if metric in scores}
    return {metric: found for metric, found in own.items() if not _objection(scores[metric], found)}


def answers_path(file: ResultFile) -> Path | None:
    """Where the answers of a result lie; None where there are none."""
    path = file.path.with_name(ANSWERS_FILE) if file.path is not None and file.path.name == "result.json" else None
    return path if path is not None and os.path.lexists(path) else None


def _answers_of(file: ResultFile, questions: Questions) -> Answers:
    path = answers_path(file)
    if path is None:
        return Answers({}, {})
    if answers_changed(file.result, path.parent):
        raise DataError(f"{ANSWERS_FILE} is not the one that the result was written with: its SHA-256 is another")
    try:
        answers = read_answers(read_untrusted_arrays(path), questions)
    except UntrustedInputError as error:
        raise DataError(f"{ANSWERS_FILE} {error.reason}") from None
    for score in file.result.scores:
        found = answers.values.get((score.task, score.metric))
        if found is not None and (reason := _objection(score, found)):
            raise DataError(reason)
    scored = {score.task for score in file.result.scores}
    return Answers({key: found for key, found in answers.values.items() if key[0] in scored}, answers.unreadable)


def _objection(score: Score, found: PhotoValues) -> str:
    """Why answers are not those of a score; "" where they are."""
    mean = float(found.values.mean())
    if len(found.photos) == score.n and abs(mean - score.value) <= ROUNDING:
        return ""
    return (
        f"{score.task} {score.metric} is {score.value:.6g} of {score.n}, but its answers in {ANSWERS_FILE} "
        f"give {mean:.6g} of {len(found.photos)}"
    )


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
            with warnings.catch_warnings():  # what overflows or divides by zero is refused below
                warnings.simplefilter("ignore")
                read = {metric: _checked(found) for metric, found in questions[task].read_answers(own).items()}
        except Exception as error:  # arrays of strangers: whatever is wrong with them is wrong with this task alone
            unreadable[task] = f"its answers cannot be read ({describe_error(error)})"
        else:
            values.update({(task, metric): found for metric, found in read.items()})
    return Answers(values, unreadable)


def _checked(found: PhotoValues) -> PhotoValues:
    n = len(found.photos)
    if not n or found.values.shape != (n,) or (found.clusters is not None and found.clusters.shape != (n,)):
        raise DataError(f"{n} photos, values of shape {found.values.shape}")
    if len(np.unique(found.photos)) < n:
        raise DataError("a photo is there twice")
    low, high = found.bounds
    if not ((found.values >= low) & (found.values <= high)).all():
        raise DataError(f"values outside [{low:g}, {high:g}]")
    return found
