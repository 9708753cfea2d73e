"""Answers of a run by photo (``answers.npz``): read, checked against the scores, one value for each photo and score."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.results.files import Refusal, ResultFile, find_runs, read_files
from benchmark.results.proof import contradicted, miscounted, objection
from benchmark.results.questions import AnswerFacts, PhotoValues, Questions
from benchmark.results.schema import Result
from builders.errors import DataError
from builders.pixels import remember_parameters
from builders.untrusted import UntrustedInputError, archive_sha256, describe_error, read_untrusted_arrays

ANSWERS_FILE = "answers.npz"
"""Per-photo predictions of a result, as arrays:

- ``probe/<task>/predicted``: [fits, views, photos], predicted class; view i of a processing probe shows class i.
- ``probe/<attribute or group>/expected``: [views, photos], true class; ``.../clusters``: [photos], scene, owner or
  cluster; ``probe/<attribute>/classes``: their number.
- ``probe/<task>/curve``: [parts, photos], accuracy after parts of the train photos; ``.../curve_fits``: number of
  assignments of each.
- ``knn/<parameter>/correct``, ``.../combinations``: [6 set-ups, photos], right answers out of [6] queries;
  ``.../least``, ``.../greatest``, ``.../random``: the same under other tie rules; ``.../rule``: that of the scores.
- ``knn/<parameter>/worst``, ``.../flipped``: [photos], share of collections where the photo is right whatever its
  processing, and where some processing changes the answer.
- ``knn/<parameter>/jitter_sample``, ``.../jitter_worst``, ``.../jitter_flipped``: [sample], positions of the queries
  that have jitters, and their ``worst`` and ``flipped``.
- ``knn/original/correct``, ``.../least``, ``.../greatest``, ``.../random``: [photos], right or not (``random``:
  probability).
- ``knn/adversary/right``: [15, photos], under each of the 14 processings and as the photo is; ``.../jittered``:
  [14, photos], under jitters of equal size.
- ``knn/.../by_seed``: [2, seeds, photos], right answers in ``uniform`` and ``uniform-test``; ``knn/.../chance``:
  [photos], share of the collection with the label of the query.
- ``knn/<group>/<metric>``, ``robustness/<group>/<metric>``: [photos], values whose mean is the score and whose spread
  over ``.../clusters`` is its error (a jackknife); ``.../freedom``: degrees of freedom.
- ``retrieval/pairs/nearer``, ``.../tied``: [2 collections, 2 directions, pairs]; ``.../pair_ids``: [pairs]. Of groups
  ``.../scenes``, ``.../value-METRIC`` (means) and ``.../median-METRIC`` (a jackknife over ``.../blocks``): [scenes].
- ``.../photos``: [photos], indices into the photo set; ``photo-set/splits``: [all photos], 0 train, 1 val, 2 test.
"""
SPLITS_KEY = "photo-set/splits"
"""Array of the split of every photo of the set, int8 [N]; no task has this name."""


@dataclass(frozen=True, eq=False)
class Run:
    """One finished result with its per-photo answers."""

    folder: Path
    result: Result
    answers: Mapping[tuple[str, str], PhotoValues]
    """By task and metric."""
    unreadable: Mapping[str, str]
    """Reason by task whose stored answers cannot be read; other tasks are not affected."""

    @property
    def encoder(self) -> str:
        return str(self.result.encoder["id"])

    @property
    def data(self) -> str:
        return str(self.result.data["name"])


@dataclass(frozen=True, eq=False)
class Recorded:
    """Values by photo of each task and metric, and the reason for each task that has none."""

    values: Mapping[tuple[str, str], PhotoValues]
    facts: Mapping[tuple[str, str], AnswerFacts]
    """What else the answers determine, where they can be read."""
    unreadable: Mapping[str, str]
    """Reason by task."""


@dataclass(frozen=True)
class ReadRuns:
    """All runs of a folder, in the order of paths."""

    runs: tuple[Run, ...]
    refused: tuple[Refusal, ...]


def read_runs(folder: Path, questions: Questions) -> ReadRuns:
    """Every run in a folder and below it, in the order of paths. Refused files do not affect the others.

    Raises:
        DataError: there is no ``result.json``.
    """
    files = find_runs(folder)
    if not files:
        raise DataError(f"{folder}: there is no result.json; give the --output of a run")
    read = read_files(folder, files)
    runs, refused = [], list(read.refused)
    for file in read.accepted:
        remember_parameters(processings_of(file.result))
        try:
            answers = _checked_answers(file, questions)
        except DataError as error:
            refused.append(Refusal(file.file, str(error)))
        else:
            runs.append(Run((folder / file.file).parent, file.result, answers.values, answers.unreadable))
    return ReadRuns(tuple(runs), tuple(refused))


def processings_of(result: Result) -> str:
    """``environment.options.processings`` of a result: the definitions of its own processings; empty for none."""
    options = result.environment.get("options")
    return str(options.get("processings") or "") if isinstance(options, Mapping) else ""


@dataclass(frozen=True)
class Proof:
    """What the answers of a result say of its scores."""

    contradiction: str
    """Why they contradict them; "" where they do not, or where there are none."""
    without_answers: tuple[str, ...]
    """Task and metric, such as ``probe/jpeg accuracy``, of each score that no answers prove: all scores where no
    answers lie beside the result, or where they contradict it or cannot be read."""


def proof_of(file: ResultFile, questions: Questions) -> Proof:
    """Compute the numbers of a result again from its answers, once."""
    values: Mapping[tuple[str, str], PhotoValues] = {}
    reason = ""
    try:
        values = _checked_answers(file, questions).values
    except DataError as error:
        reason = str(error)
    return Proof(reason, tuple(f"{s.task} {s.metric}" for s in file.result.scores if (s.task, s.metric) not in values))


def contradiction(file: ResultFile, questions: Questions) -> str:
    """Why the answers of a result contradict its scores; "" where they do not, or where there are none."""
    return proof_of(file, questions).contradiction


def answers_changed(result: Result, folder: Path) -> bool:
    """Whether the answers of a result are absent or not those whose SHA-256 it records; False without a record."""
    recorded = result.environment.get("answers_sha256")
    try:
        return recorded is not None and archive_sha256(folder / ANSWERS_FILE) != recorded
    except UntrustedInputError:
        return True


def task_answers(file: ResultFile, task: str, questions: Questions) -> Mapping[str, PhotoValues]:
    """Values by photo of one task of an accepted result, by metric. Only the arrays of this task are read.

    Empty where there are no answers, the question is unknown, or the arrays cannot be read. A metric whose answers
    contradict its score is left out: the file may have changed since it was accepted (``contradiction``).
    """
    path = answers_path(file)
    if path is None:
        return {}
    try:
        arrays = read_untrusted_arrays(path, lambda name: name.rpartition("/")[0] == task)
    except UntrustedInputError:
        return {}
    scores = {score.metric: score for score in file.result.scores if score.task == task}
    return {
        metric: values
        for (_, metric), values in read_answers(arrays, questions, with_facts=False).values.items()
        if metric in scores and not objection(scores[metric], values)
    }


def answers_path(file: ResultFile) -> Path | None:
    """Path of the answers of a result; None where there are none."""
    path = file.path.with_name(ANSWERS_FILE) if file.path is not None and file.path.name == "result.json" else None
    return path if path is not None and os.path.lexists(path) else None


def _checked_answers(file: ResultFile, questions: Questions) -> Recorded:
    """The answers of all scores of a result. Raises ``DataError`` where they are not those of its scores."""
    path = answers_path(file)
    if path is None:
        return Recorded({}, {}, {})
    if answers_changed(file.result, path.parent):
        raise DataError(f"{ANSWERS_FILE} is not the one that the result was written with: its SHA-256 is another")
    try:
        arrays = read_untrusted_arrays(path)
        answers = read_answers(arrays, questions)
    except UntrustedInputError as error:
        raise DataError(f"{ANSWERS_FILE} {error.reason}") from None
    for score in file.result.scores:
        values = answers.values.get((score.task, score.metric))
        facts = answers.facts.get((score.task, score.metric), NO_FACTS)
        if values is not None and (reason := contradicted(score, values, facts, file.result)):
            raise DataError(reason)
    scored = {score.task for score in file.result.scores}
    of_scores = {key: values for key, values in answers.values.items() if key[0] in scored}
    if of_scores and (reason := miscounted(file.result, arrays.get(SPLITS_KEY), _photos_of(of_scores))):
        raise DataError(reason)
    return Recorded(of_scores, answers.facts, answers.unreadable)


NO_FACTS = AnswerFacts(None, None, {})


def _photos_of(values: Mapping[tuple[str, str], PhotoValues]) -> int:
    """One more than the largest index of a photo; 0 where photos are named by ids of pairs."""
    indices = [answers.photos for answers in values.values() if answers.photos.dtype.kind in "iu"]
    return max((int(photos.max()) + 1 for photos in indices), default=0)


def answer_key(task: str, name: str) -> str:
    """Name of an array of a task in ``answers.npz``.

    >>> answer_key("probe/jpeg", "predicted")
    'probe/jpeg/predicted'
    """
    return f"{task}/{name}"


def read_answers(arrays: Mapping[str, np.ndarray], questions: Questions, *, with_facts: bool = True) -> Recorded:
    """Values by photo of stored arrays, and what else they determine, read by the questions that they belong to.

    An unknown task and a task with damaged arrays are unreadable; the other tasks are not affected.
    """
    values: dict[tuple[str, str], PhotoValues] = {}
    facts: dict[tuple[str, str], AnswerFacts] = {}
    unreadable: dict[str, str] = {}
    for task in dict.fromkeys(name.rpartition("/")[0] for name in arrays if name != SPLITS_KEY):
        stored = {name.rpartition("/")[2]: array for name, array in arrays.items() if name.rpartition("/")[0] == task}
        if task not in questions:
            unreadable[task] = "this version of camtrace does not know the question"
            continue
        try:
            with warnings.catch_warnings():  # overflows and divisions by zero give values that are refused below
                warnings.simplefilter("ignore")
                read = {name: _checked(answers) for name, answers in questions[task].read_answers(stored).items()}
                known = questions[task].read_facts(stored) if with_facts else {}
        except ModuleNotFoundError:  # says nothing of the arrays
            raise
        except Exception as error:  # untrusted arrays: any error makes this task alone unreadable
            unreadable[task] = f"its answers cannot be read ({describe_error(error)})"
        else:
            values.update({(task, metric): answers for metric, answers in read.items()})
            facts.update({(task, metric): of_metric for metric, of_metric in known.items()})
    return Recorded(values, facts, unreadable)


def _checked(answers: PhotoValues) -> PhotoValues:
    """The same values. Raises ``DataError``: shapes differ, a photo is there twice, or a value is out of bounds."""
    n = len(answers.photos)
    if not n or answers.values.shape != (n,) or (answers.clusters is not None and answers.clusters.shape != (n,)):
        raise DataError(f"{n} photos, values of shape {answers.values.shape}")
    if len(np.unique(answers.photos)) < n:
        raise DataError("a photo is there twice")
    low, high = answers.bounds
    if not ((answers.values >= low) & (answers.values <= high)).all():
        raise DataError(f"values outside [{low:g}, {high:g}]")
    return answers
