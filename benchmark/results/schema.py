"""The result of one encoder on one data set: the fields of ``result.json``, their versions, and migrations."""

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

from benchmark.results.numbers import percent, with_interval
from builders.errors import DataError
from builders.files import write_text_atomically
from builders.untrusted import first_line, parse_json, read_untrusted_text, readable

SCHEMA_VERSION = 2
"""Raised by one whenever a reader of the previous version would misread a file; then ``MIGRATIONS`` gets a function.

1: the first. 2: ``data.question_hash``; ``environment.command`` reproduces this result alone, ``environment.local``
names what only its author has.
"""


def migrated(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The content of a result file in the form of ``SCHEMA_VERSION``. Fields that were not recorded stay unknown.

    Args:
        raw: the parsed JSON, left unchanged.
        where: name of the file, the first word of error messages.

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
    """Version 1 has no hash of the question: ``ids_hash`` covers ids, splits and labels, not attributes and clusters.

    ``environment.command`` stays: it reproduces the whole run, this result included.
    """
    data = raw.get("data")
    return {**raw, "data": {**data, "question_hash": None}} if isinstance(data, Mapping) else dict(raw)


MIGRATIONS: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = MappingProxyType({1: _from_1})
"""By version: the function that makes a result of the next version."""

SEAL = "values_sha256"
"""Key in ``environment`` of the checksum of a result file's values; absent in files of older versions."""

MAX_FILE_BYTES = 16 * 2**20
"""A result of all tasks has far less than 1 MB; a larger file than this is not opened."""


@dataclass(frozen=True, repr=False)
class Score:
    """One number with its interval, its chance and the count behind it.

    >>> Score("probe/jpeg", "sample", "accuracy", 0.267, 0.252, 0.288, 110, 1 / 6)
    <Score probe/jpeg accuracy on sample: 26.7 % (25.2 to 28.8), chance 16.7 %, 110 photos>
    """

    task: str
    """Name of the question: ``probe/jpeg``, ``knn/resizing``, ``retrieval/pairs``, ..."""
    data: str
    """Name of the photo set."""
    metric: str
    """Name of the number: ``accuracy``, ``all-same``, ``spd``, ``same``, ..."""
    value: float
    """In [0, 1]; differences such as ``spd`` in [-1, 1]."""
    low: float
    """Lower end of the 95 % interval. It resamples photos (all views of a photo together), or scenes or owners:
    ``details["resampled"]``."""
    high: float
    """Upper end of the 95 % interval."""
    n: int
    """Number of test photos behind the value."""
    chance: float
    """Expected value of a guess that knows the classes; 0 for differences."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the task adds, as JSON values:

    - every task: ``resampled``, ``units``: what intervals resample (photos, scenes or owners).
    - probes: ``p_chance``, the p-value against chance; ``most_frequent_class``, its share of the test photos;
      ``p_within_label`` of a group, the p-value of "no better than the label tells it";
      ``learning_curve`` (``LearningCurve.details``: ``share``, ``n_train``, ``accuracy``, ``low``, ``high`` of each
      part of the train photos, the paired ``gain`` of the last step, ``rises``); ``training_spread``
      (``TrainingSpread.details``: the ``deviation`` over other train photos, by how many ``probes``); of the readers
      ``chosen``, ``search`` and ``assignments``: what was chosen on validation photos, and of what.
    - acquisition probes: ``controls``: ``whole``, ``complement`` (hidden part alone), ``metadata`` (other labels
      alone), ``shuffled`` (``accuracy``, ``low`` to ``high`` of 95 % of these probes, ``mean_low``, ``mean_high``,
      ``p_value``).
    - kNN: ``ties``: ``share`` of tied votes; ``least``, ``greatest`` and ``random`` accuracy under other tie rules.
    - ``worst`` of ``knn/...``: ``flipped``, the share of answers that some processing of the query changes. With
      ``flipped``: ``jitter``, the same number over random moves as large as those of processing, with its interval;
      ``beyond``, how much further processing goes; ``queries`` and ``units`` of a sample.
    - ``spd``: ``similarity_summary`` (``beats``, ``overlap``) and ``similarities``, histograms of six queries.
    - layers: ``against_final``: output minus embedding, paired by photo: ``value``, ``low``, ``high``, ``p_value``.
    - ``knn/adversary``: ``spoiled``, the share that is right as it is and wrong under some processing;
      ``by_processing``, accuracy and mean distance of each view; ``strips``, four photos with neighbours.
    - given groups: ``cells`` (photos and clusters of each cell of label x group), ``clusters``, ``labels``, ``groups``,
      ``notes`` (what cannot be answered), ``observational``; ``covers``, what the interval covers; ``short_lists``, the
      share of left-out pairs of a query and a cluster whose lists were too short.
    - ``index`` of ``robustness/<group>``: ``curve`` (index, balanced index and deciding share for k = 1 to 61),
      ``older_form`` ((SS + SO) / (SS + OS)), ``simulated_chance`` (mean and deviation of the index of random
      neighbours).
    - ``different`` of ``retrieval/pairs``: ``lost``: ``queries``, ``lost``, ``by_camera`` (nothing but the camera is to
      blame), at most 12 pairs ``shown``.
    - ``retrieval/pairs`` of groups: ``pairs`` of groups that a median is over, ``distractors``, ``photos_left_out``
      (their scene is shown by no other group); of ``at-1`` ``group_matrix``: names and given values of the ``groups``,
      and by query (row) and target (column) ``recall`` at 1, 3, 5 and 10, ``low`` and ``high`` of recall@1, ``n``,
      ``chance``, ``cosine`` of one scene and ``cosine_apart`` of different ones.
    - copies: ``threshold``, the ``collection`` (photos among which an original is hidden) and the number of ``copies``;
      ``by_copy``, the value of each; of ``false-matches`` ``stated_rate``, ``chosen_on``, ``matches``,
      ``expected_matches`` (two counts), ``threshold_low`` and ``threshold_high``.
    - answers of a model: ``rule`` and number of ``questions``, ``processings``, those ``without`` answers; of ``flips``
      ``by_processing`` (flips, right_to_wrong, wrong_to_right, accuracy, change, beyond, margin, with ``_low``,
      ``_high`` and, not corrected, ``_p``), ``noise`` (the same by view of the noise floor), ``by_margin``,
      ``movement`` (rank correlation of embeddings and flips), ``guess_flips``, ``no_option`` (share of answers).
    - ``variance/components``: ``estimate``, the share, which may be below 0; of ``scene`` ``components``: every
      ``effect`` with ``share``, ``low``, ``high``, ``p_value`` of a share of 0 and ``cells``; ``merged`` effects.
    """

    def __repr__(self) -> str:
        numbers = f"{with_interval(self.value, self.low, self.high)}, chance {percent(self.chance)} %"
        return f"<Score {self.task} {self.metric} on {self.data}: {numbers}, {self.n:,} photos>"


@dataclass(frozen=True)
class OutputScores:
    """The scores of one output of an encoder other than its embedding: a layer under a pooling."""

    name: str
    """Name for ``--outputs``: ``layers[9]:mean``."""
    title: str
    """Title in tables and figures: ``block 9, mean of patches``."""
    layer: int
    """From 0, in the order of the forward pass."""
    layers: int
    """Number of layers of the network."""
    pooling: str
    """``cls``, ``mean``, ``max``, ``gem``, ``border``, ``centre`` or ``grid-ROW-COLUMN``."""
    dimension: int
    read: str
    """How the layer was read, and whether a final norm is applied."""
    scores: tuple[Score, ...]
    """Scores of the same questions on the same photos as those of the embedding."""


@dataclass(frozen=True)
class Failure:
    """A requested item that is absent from the result, and the reason."""

    kind: str
    """``photo``, ``task``, ``encoder`` or ``output``."""
    name: str
    """Photo id, task name (``... of layers[9]:mean`` where it is one of an output), encoder id, or name of an output.
    """
    reason: str
    """One sentence."""


@dataclass(frozen=True)
class Result:
    """Every score of one encoder on one data set, with the provenance that reproduces it."""

    encoder: Mapping[str, Any]
    """``id``, ``library``, ``revision``, ``weights_sha256``, ``dimension``, ``preprocessing`` as read, ..."""
    data: Mapping[str, Any]
    """The photos and their questions:

    - ``name``: of the photo set; never a full path.
    - ``photos``: number by split (``train``, ``val``, ``test``).
    - ``classes``: number of semantic classes (``labels.names``).
    - ``question_hash``: ``PhotoSet.question_hash``: ids, splits, labels, attributes, groups, clusters, owners, scenes,
      pairs and stored views. Two results answer one question only where it is equal. None in a file of version 1.
    - ``ids_hash``: ``PhotoSet.ids_hash``: ids, splits and labels alone.
    - ``bytes_hash``: of the bytes of the photos' files, read by this run (``cost["bytes_read"]`` of them) or by an
      earlier one since when path, size, inode and times of the file are unchanged.
    - ``source_jpeg``: number of photos by the compression of their files.
    - ``smoke_test``: whether scores on them show only that the software runs.
    - ``evidence``: revision, licence, origin of the splits; sources of labels, groups and clusters that were named, and
      how many clusters are in several splits.
    """
    environment: Mapping[str, Any]
    """Machine, software and options of the run:

    - ``versions`` of libraries, ``python``, ``platform``, ``codec`` versions, ``codec_canary`` (what codecs do to
      pixels).
    - ``device``, ``dtype``, ``storage``, ``compiled``, and ``precision_gate`` where precision is below float32;
      ``devices``, the number that embedded in parallel, where it was more than one.
    - ``preprocessing_by``: what carried out the encoder's resize and crop (``exact engine``, ``Pillow``, ``its own
      code``).
    - ``runtime``: the library that computed the network: ``name``, ``version``, ``relative_error`` against torch,
      ``speed`` where ``auto`` measured it (times as fast as torch, in processor time), ``views`` in a batch where that
      is fixed, ``reason`` where torch replaced another library, ``on_photos`` where both embedded some of these
      photos.
    - ``trial``: differences between two embeddings of the same ``photos``, as shares of an embedding's length:
      ``repeated`` in the same batch, ``alone`` without the rest of the batch; and in ``random``, where the encoder is
      not deterministic, why the scores are those of one draw.
    - ``retried``: the reason of the first failure by task that failed by an internal error and succeeded in a second
      run, alone; absent where there was none.
    - ``options``: those that affect scores (seed, protocol, neighbours, mask ratio, limit, ...).
    - ``command``: ``camtrace score ...`` that reproduces this result alone, with placeholders for what is on the
      author's machine; absent if none was recorded. In a file of version 1 it reproduces the whole run, with all its
      models and data sets.
    - ``answers_sha256``: of the ``answers.npz`` in the same folder; absent in files of older versions.
    - ``local``: by ``model``, ``data`` or ``options``, the meaning of a placeholder in one sentence; empty if anybody
      can run ``command`` unchanged.
    """
    scores: tuple[Score, ...]
    failures: tuple[Failure, ...]
    cost: Mapping[str, Any]
    """``bytes_read`` (photos whose bytes this run read for ``data["bytes_hash"]``; absent in files of older versions),
    ``photos``, ``views``, ``views_per_second``, ``seconds`` by stage, ``peak_memory_bytes``; ``encoders_in_pass``:
    where it is more than one, the forward time is that of this encoder, and the time of shared work (making views,
    waiting for them) is divided by the number of views of each. Compiling the kernels that make pictures, once on each
    machine, is a separate stage, ``compiling kernels``; absent where nothing was compiled."""
    created: str
    """UTC time, ISO 8601."""
    schema_version: int = SCHEMA_VERSION
    outputs: tuple[OutputScores, ...] = ()
    """Scores of layers, where they were requested; ``scores`` are always those of the embedding, ``final``. A file has
    the field only where it is not empty."""

    def score(self, task: str, metric: str) -> Score:
        """The score of a task and metric. Raises ``KeyError`` if there is none."""
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
        """Read the untrusted text of a result that ``to_json`` of this or of an older version wrote.

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
    """Write ``result.json`` atomically, with a checksum of its values, which ``Result.from_json`` verifies."""
    raw = json.loads(result.to_json())
    sealed = dataclasses.replace(result, environment={**result.environment, SEAL: _seal(raw)})
    write_text_atomically(path, sealed.to_json(), durable=True)


def read_result(path: Path) -> Result:
    """Read one ``result.json``. Raises ``DataError``, whose message names the path."""
    return Result.from_json(read_untrusted_text(path, limit=MAX_FILE_BYTES), where=readable(str(path)))


def _seal(raw: Mapping[str, Any]) -> str:
    """SHA-256 of a result's values, independent of spacing and order. It detects damage, not forgery."""
    plain = {**raw, "environment": {k: v for k, v in raw["environment"].items() if k != SEAL}}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _unsealed(raw: dict[str, Any], where: str) -> dict[str, Any]:
    """A result's values without their checksum, which is verified where there is one."""
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
