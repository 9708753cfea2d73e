"""The numbers that the ICCV 2025 study published: 47 encoders x 58 scores, under the task names of camtrace.

Source: Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia, "Processing and acquisition traces in visual
encoders: What does CLIP know about your camera?", ICCV 2025, arXiv 2508.10637; read from the interactive figures of the
study (``benchmark/data/iccv2025_per_encoder.csv``). ``iccv2025_columns.csv`` maps each column to a task, a data set and
a metric, with the numbers of photos and classes. The study gives no intervals and no codec versions.

Intervals are bounds from the number of test photos n. The accuracy over all views of a photo lies in [0, 1], so
its variance is at most p(1-p): Wilson's interval with n photos (not views) is never too narrow for it. For a difference
of two accuracies Newcombe's interval (Statistics in Medicine 17, 1998, method 10) treats them as independent; they are
of the same photos and positively correlated, so the true interval is narrower.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

from benchmark.stats import Ends, independent_difference, wilson_interval
from builders.errors import DataError

STUDY_CITATION = (
    "Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia: Processing and acquisition traces in visual "
    "encoders: What does CLIP know about your camera? ICCV 2025"
)
STUDY_URL = "https://arxiv.org/abs/2508.10637"
STUDY_DATE = "2025-10-19"
"""First day of ICCV 2025: the date of these numbers."""

STUDY_GROUPS: Mapping[str, str] = MappingProxyType(
    {"CVL": "contrastive visual-language", "SUP": "supervised", "SSL": "self-supervised"}
)
"""The study's training types."""

TRAIN_PHOTOS: Mapping[str, int] = MappingProxyType({"imagenet": 1_281_167, "inat2018": 437_513})
"""Train photos of the study's data sets with semantic classes: the collection of kNN."""

STUDY_CLASSES: Mapping[str, int] = MappingProxyType({"imagenet": 1000, "inat2018": 8142})
"""Semantic classes of these data sets."""


@dataclass(frozen=True)
class PublishedScore:
    """One published number under the names of camtrace. camtrace computed the interval: the study printed none."""

    task: str
    data: str
    metric: str
    value: float
    """In [0, 1]; differences in [-1, 1]."""
    low: float
    """Lower end of the widest 95 % interval that ``n`` photos allow (Wilson; Newcombe for differences)."""
    high: float
    """Upper end. The spread of training is not in it: another run of a probe may differ by more."""
    n: int
    """Test photos, or pairs."""
    chance: float
    """Accuracy of a guess; 0 for differences."""
    derived: bool = False
    """Whether camtrace computed it, as the difference of two published numbers."""


@dataclass(frozen=True)
class PublishedEncoder:
    """One encoder of the study."""

    name: str
    """Name in the study: ``"CLIP (ViT-B/16, WIT)"``."""
    group: str
    """A key of ``STUDY_GROUPS``."""
    scores: tuple[PublishedScore, ...]

    def score(self, task: str, data: str, metric: str) -> PublishedScore:
        """The score of a task, data set and metric. Raises ``KeyError`` if the study has none."""
        for score in self.scores:
            if (score.task, score.data, score.metric) == (task, data, metric):
                return score
        raise KeyError(f"{task} {data} {metric}")


@functools.cache
def published_encoders() -> tuple[PublishedEncoder, ...]:
    """The 47 encoders in the order of the study, each with its 58 scores and 9 differences of them.

    Raises:
        DataError: the packaged table is damaged.

    >>> encoders = published_encoders()
    >>> len(encoders), encoders[0].name, encoders[0].group
    (47, 'CLIP (ViT-B/16, WIT)', 'CVL')
    >>> round(encoders[0].score("probe/jpeg", "imagenet", "accuracy").value, 3)
    0.648
    """
    text = _packaged("iccv2025_per_encoder.csv")
    return tuple(_encoder(row) for row in csv.DictReader(text.splitlines()))


@functools.cache
def published_tasks() -> frozenset[str]:
    """Names of the tasks that the study published numbers of.

    >>> "probe/jpeg" in published_tasks(), "probe/flash" in published_tasks()
    (True, False)
    """
    return frozenset(score.task for encoder in published_encoders() for score in encoder.scores)


@dataclass(frozen=True)
class _Column:
    """One column of the study's table under the names of camtrace: a line of ``iccv2025_columns.csv``."""

    column: str
    """Name in the study; for a difference two metrics of the task, ``"pos-same - neg-same"``."""
    task: str
    data: str
    metric: str
    divide_by: int
    """1 where the study prints shares, 100 where it prints percent; 0 for a difference."""
    n: int
    """Test photos, or pairs."""
    classes: int
    """Number of classes, or of candidates in pair retrieval: chance is one over it."""


@functools.cache
def _columns() -> tuple[_Column, ...]:
    lines = csv.DictReader(_packaged("iccv2025_columns.csv").splitlines())
    return tuple(
        _Column(
            line["column"],
            line["task"],
            line["data"],
            line["metric"],
            divide_by=int(line["divide_by"] or 0),
            n=int(line["n"] or 0),
            classes=int(line["classes"] or 0),
        )
        for line in lines
    )


def _packaged(name: str) -> str:
    return (resources.files("benchmark") / "data" / name).read_text(encoding="utf-8")


def _encoder(row: Mapping[str, str]) -> PublishedEncoder:
    name, group = row["encoder"], row["group"]
    if group not in STUDY_GROUPS:
        raise DataError(f"published table: {name}: unknown group {group!r}")
    scores: dict[tuple[str, str, str], PublishedScore] = {}
    for c in _columns():
        if c.divide_by:
            value = _number(row, c.column, c.divide_by)
            score = _share(c.task, c.data, c.metric, value, c.n, 1 / c.classes)
        else:
            more, less = (scores[c.task, c.data, metric] for metric in c.column.split(" - "))
            score = _difference(c.metric, more, less)
        scores[c.task, c.data, c.metric] = score
    return PublishedEncoder(name, group, tuple(scores.values()))


def _share(task: str, data: str, metric: str, value: float, n: int, chance: float) -> PublishedScore:
    low, high = wilson_interval(value, n)
    return PublishedScore(task, data, metric, value, low, high, n, chance)


def _difference(metric: str, more: PublishedScore, less: PublishedScore) -> PublishedScore:
    low, high = independent_difference(more.value, Ends(more.low, more.high), less.value, Ends(less.low, less.high))
    value = more.value - less.value
    return PublishedScore(more.task, more.data, metric, value, low, high, more.n, 0.0, derived=True)


def _number(row: Mapping[str, str], column: str, scale: int) -> float:
    try:
        value = float(row[column]) / scale
    except (KeyError, TypeError, ValueError):
        raise DataError(f"published table: {row.get('encoder')}: column {column} is missing or no number") from None
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise DataError(f"published table: {row.get('encoder')}: {column} is {value}, outside [0, 1]")
    return value
