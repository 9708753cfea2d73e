"""The result of one encoder on one data set: what ``result.json`` holds, field by field, versioned."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from builders.errors import DataError
from builders.files import write_text_atomically
from builders.untrusted import first_line, parse_json, read_untrusted_text, readable

SCHEMA_VERSION = 2
"""Raised by one whenever a reader of the previous version would misread a file; then ``MIGRATIONS`` gets a function.

1: the first. 2: ``data.question_hash``; ``environment.command`` repeats this result alone, ``environment.local`` says
what of it only its author has.
"""


def migrated(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The content of a result file in the form of ``SCHEMA_VERSION``. What was not recorded stays unknown.

    Args:
        raw: the parsed JSON; it is not changed.
        where: the file, with which an error begins.

    Raises:
        DataError: no version, or one that this camtrace does not know.

    >>> old = {"data": {"name": "pets", "ids_hash": "1d5"}, "schema_version": 1}
    >>> migrated(old, "result.json")["data"]
    {'name': 'pets', 'ids_hash': '1d5', 'question_hash': None}
    """
    version = raw.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        remedy = ": it was written by a newer camtrace, install that one (pip install -U camtrace)" if newer else ""
        raise DataError(f"{where}: schema_version is {version!r}, this camtrace reads 1 to {SCHEMA_VERSION}{remedy}")
    result = dict(raw)
    for step in range(version, SCHEMA_VERSION):
        result = {**MIGRATIONS[step](result), "schema_version": step + 1}
    return result


def _from_1(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Which question was asked is not known: ``ids_hash`` covers ids, splits and labels, not attributes and clusters.

    ``environment.command`` stays: it repeats the whole run, and this result in it.
    """
    data = raw.get("data")
    return {**raw, "data": {**data, "question_hash": None}} if isinstance(data, Mapping) else dict(raw)


MIGRATIONS: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = MappingProxyType({1: _from_1})
"""By version: what makes a result of the next one of it."""

SEAL = "values_sha256"
"""Of a result file's values, in its ``environment``; in files of older versions there is none."""

MAX_FILE_BYTES = 16 * 2**20
"""A result of every task is well under 1 MB; a file above this is not opened."""


@dataclass(frozen=True)
class Score:
    """One number with everything needed to read it."""

    task: str
    """Which question: ``probe/jpeg``, ``knn/resizing``, ``retrieval/pairs``, ..."""
    data: str
    """Name of the photo set it was asked on."""
    metric: str
    """Which number: ``accuracy``, ``all-same``, ``spd``, ``same``, ..."""
    value: float
    """In [0, 1]; differences such as ``spd`` in [-1, 1]."""
    low: float
    """Lower end of the 95 % interval, by resampling photos (all views of a photo together) or the scenes or owners that
    they come from: ``details["resampled"]`` says which."""
    high: float
    """Upper end of the 95 % interval."""
    n: int
    """Number of test photos behind the value."""
    chance: float
    """Expected value of a guess that knows the classes; 0 for differences."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Protocol, spread over seeds, chosen strengths, controls: whatever the task adds. JSON values only.

    Of probes, ``learning_curve`` (``LearningCurve.details``: ``share``, ``n_train``, ``accuracy``, ``low``, ``high`` of
    each part of the train photos, the ``gain`` of the last step, ``rises``) and ``training_spread``
    (``TrainingSpread.details``: the ``deviation`` over other train photos, by how many ``probes``).
    """


@dataclass(frozen=True)
class OutputScores:
    """The scores of one output of an encoder beside its embedding: a layer under a pooling."""

    name: str
    """As ``--outputs`` takes it: ``layers[9]:mean``."""
    title: str
    """As people read it: ``block 9, mean of patches``."""
    layer: int
    """From 0, in the order in which a view passes them."""
    layers: int
    """Of the network."""
    pooling: str
    """``cls``, ``mean``, ``max``, ``gem``, ``border``, ``centre`` or ``grid-ROW-COLUMN``."""
    dimension: int
    read: str
    """How the layer was read, and whether a final norm is applied."""
    scores: tuple[Score, ...]
    """Of the same questions on the same photos as those of the embedding."""


@dataclass(frozen=True)
class Failure:
    """Something that was asked for and is missing from the result, and why."""

    kind: str
    """``photo``, ``task``, ``encoder`` or ``output``."""
    name: str
    """Photo id, task name (``... of layers[9]:mean`` where it is one of an output), encoder id, or name of an output.
    """
    reason: str
    """One sentence."""


@dataclass(frozen=True)
class Result:
    """Every score of one encoder on one data set, with provenance enough to repeat it."""

    encoder: Mapping[str, Any]
    """``id``, ``library``, ``revision``, ``weights_sha256``, ``dimension``, ``preprocessing`` as read, ..."""
    data: Mapping[str, Any]
    """Which photos, and what they ask:

    - ``name``: of the photo set; never a full path.
    - ``photos``: how many by split (``train``, ``val``, ``test``).
    - ``classes``: how many semantic classes (``labels.names``).
    - ``question_hash``: ``PhotoSet.question_hash``: ids, splits, labels, attributes, owners, scenes, pairs and stored
      views. Two results answer one question only if it agrees. None in a file of version 1, which did not record it.
    - ``ids_hash``: ``PhotoSet.ids_hash``: ids, splits and labels alone.
    - ``bytes_hash``: of the photos' files.
    - ``source_jpeg``: how many photos by the compression that they came with.
    - ``smoke_test``: whether scores on them show only that the software runs.
    - ``evidence``: revision, licence, how splits were made.
    """
    environment: Mapping[str, Any]
    """Where and how it was computed:

    - ``versions`` of libraries, ``python``, ``platform``, ``codec`` versions, ``codec_canary`` (what codecs do to
      pixels).
    - ``device``, ``dtype``, ``storage``, ``compiled``, and ``precision_gate`` where precision is below float32;
      ``devices``, how many embedded side by side, where it was more than one.
    - ``preprocessing_by``: who carries out the encoder's resize and crop (``exact engine``, ``Pillow``, ``its own
      code``).
    - ``runtime``: of a network, the library that computed it: ``name``, ``version``, ``relative_error`` against torch,
      ``speed`` where ``auto`` measured it (times as fast as torch, in processor time), ``views`` that it takes at a
      time where that is fixed, ``reason`` where torch took another's place, ``on_photos`` where both embedded some of
      these photos.
    - ``trial``: the encoder asked twice for the same ``photos``, alone and in company: how far apart its answers are
      (``repeated``; ``alone`` without the others of the batch), as shares of an embedding's length, and in ``random``
      why the scores are those of one draw, where they are.
    - ``retried``: by task that failed by an internal error and succeeded when it was run once more, alone: the reason
      of the first failure; absent where there was none.
    - ``options``: those that decide scores (seed, protocol, neighbours, mask ratio, limit, ...).
    - ``command``: ``camtrace score ...`` that repeats this result alone, with placeholders for what lies on the
      author's machine; absent if nobody recorded it. In a file of version 1 it repeats the whole run, with every model
      and data set that was in it.
    - ``answers_sha256``: of the ``answers.npz`` written beside the file; absent in files of older versions.
    - ``local``: by ``model``, ``data`` or ``options``, one sentence that says what a placeholder stands for; empty if
      strangers can run ``command`` as it is.
    """
    scores: tuple[Score, ...]
    failures: tuple[Failure, ...]
    cost: Mapping[str, Any]
    """``photos``, ``views``, ``views_per_second``, ``seconds`` by stage, ``peak_memory_bytes``; ``encoders_in_pass``:
    where it is more than one, the forward time is this encoder's own, and what encoders share (making views, waiting
    for them) is divided by the number of views of each. What compiling the kernels that make pictures took, once a
    machine, is a stage of its own, ``compiling kernels``, and in no other; there is none where nothing was compiled."""
    created: str
    """UTC time, ISO 8601."""
    schema_version: int = SCHEMA_VERSION
    outputs: tuple[OutputScores, ...] = ()
    """Where layers were asked for; ``scores`` are those of the embedding, ``final``, with them and without. A file has
    the field where there is one."""

    def score(self, task: str, metric: str) -> Score:
        """The one score of that task and metric. Raises ``KeyError`` if there is none."""
        for score in self.scores:
            if (score.task, score.metric) == (task, metric):
                return score
        raise KeyError(f"{task} {metric}")

    def to_json(self) -> str:
        """Strict JSON (no NaN), stable order, two-space indent."""
        raw = dataclasses.asdict(self)
        if not self.outputs:
            del raw["outputs"]
        return json.dumps(raw, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "result") -> Result:
        """Read a result written by ``to_json``, now or by an older version (``migration.py``); the text is untrusted.

        Raises:
            DataError: not JSON, an unknown schema version, a missing or extra field, a value out of range.
        """
        raw = parse_json(text, where)
        if not isinstance(raw, dict):
            raise DataError(f"{where}: not a result file (the top level is not an object)")
        raw = _unsealed(raw, where)
        raw = migrated(raw, where)
        try:
            result = cls(
                **{
                    **raw,
                    "scores": tuple(Score(**s) for s in raw["scores"]),
                    "failures": tuple(Failure(**f) for f in raw["failures"]),
                    "outputs": tuple(
                        OutputScores(**{**o, "scores": tuple(Score(**s) for s in o["scores"])})
                        for o in raw.get("outputs", ())
                    ),
                }
            )
        except (TypeError, KeyError) as error:
            raise DataError(f"{where}: a field is missing or unknown ({first_line(error)})") from None
        for score in (*result.scores, *(s for output in result.outputs for s in output.scores)):
            _check_score(score, where)
        return result


def write_result(result: Result, path: Path) -> None:
    """Write ``result.json`` atomically, with a checksum of its values, which ``Result.from_json`` compares."""
    raw = json.loads(result.to_json())
    sealed = dataclasses.replace(result, environment={**result.environment, SEAL: _seal(raw)})
    write_text_atomically(path, sealed.to_json(), durable=True)


def read_result(path: Path) -> Result:
    """Read one ``result.json``. Raises ``DataError`` with the path in its sentence."""
    return Result.from_json(read_untrusted_text(path, limit=MAX_FILE_BYTES), where=readable(str(path)))


def _seal(raw: Mapping[str, Any]) -> str:
    """SHA-256 of a result's values, however they are spaced and ordered; it tells damage, not forgery."""
    plain = {**raw, "environment": {k: v for k, v in raw["environment"].items() if k != SEAL}}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _unsealed(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """A result's values without their checksum, where they have one and it is theirs."""
    environment = raw.get("environment")
    if not isinstance(environment, dict) or SEAL not in environment:
        return raw
    if environment[SEAL] != _seal(raw):
        raise DataError(f"{where}: its values are not those that it was written with ({SEAL} is of others)")
    return {**raw, "environment": {k: v for k, v in environment.items() if k != SEAL}}


def _check_score(score: Score, where: str) -> None:
    if not all(isinstance(text, str) for text in (score.task, score.data, score.metric)):
        raise DataError(f"{where}: a score's task, data or metric is not text")
    for name in ("value", "low", "high", "chance"):
        number = getattr(score, name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise DataError(f"{where}: {score.task} {score.metric}: {name} is not a number")
        if not -1 <= number <= 1:
            raise DataError(f"{where}: {score.task} {score.metric}: {name} {number} is outside [-1, 1]")
    if isinstance(score.n, bool) or not isinstance(score.n, int) or score.n < 0:
        raise DataError(f"{where}: {score.task} {score.metric}: n is not a count")
