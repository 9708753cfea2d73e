"""The numbers that the ICCV 2025 study published: 47 encoders x 58 scores, in this benchmark's own task names.

Source: Ramos, Stojnić, Kordopatis-Zilos, Nakashima, Tolias, Garcia, "Processing and acquisition traces in visual
encoders: What does CLIP know about your camera?", ICCV 2025, arXiv 2508.10637; read off the study's own interactive
figures (``benchmark/data/iccv2025_per_encoder.csv``). They carry no intervals and no codec versions.

Intervals here are bounds from the number of test photos n. The accuracy over all views of a photo lies in [0, 1], so
its variance is at most p(1-p): Wilson's interval with n photos (not views) is never too narrow for it. For a difference
of two accuracies Newcombe's interval (Statistics in Medicine 17, 1998, method 10) takes them as independent; they are
of the same photos and rise together, so the true interval is narrower.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Iterator, Mapping
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

GROUPS: Mapping[str, str] = MappingProxyType(
    {"CVL": "contrastive visual-language", "SUP": "supervised", "SSL": "self-supervised"}
)
"""The study's training types."""

PROCESSING_DATA: Mapping[str, str] = MappingProxyType({"ImageNet": "imagenet", "iNaturalist": "inat2018"})
"""Our data name for each of the study's photo sets with semantic classes."""
TRAIN_PHOTOS: Mapping[str, int] = MappingProxyType({"imagenet": 1_281_167, "inat2018": 437_513})
"""Train photos there: the collection in which kNN looks."""
ACQUISITION_DATA = "flickrexif"
PAIRS_DATA = "paircams"

TEST_PHOTOS: Mapping[str, int] = MappingProxyType({"imagenet": 50_000, "inat2018": 24_426, "paircams": 730})
"""Test photos (pairs for ``paircams``) of the study by data set; ``flickrexif`` differs by attribute."""
SEMANTIC_CLASSES: Mapping[str, int] = MappingProxyType({"imagenet": 1_000, "inat2018": 8_142})
"""What kNN predicts there."""

PROCESSING_CLASSES: Mapping[str, int] = MappingProxyType(
    {"jpeg": 6, "sharpening": 3, "resizing": 3, "interpolation": 4}
)
SETUPS = ("all-same", "all-diff", "pos-same", "neg-same", "uniform")
"""The published kNN set-ups; the study has no numbers for ``uniform-test``, its code computes ``uniform``."""


@dataclass(frozen=True)
class Attribute:
    """One acquisition question of the study."""

    name: str
    """Ours: the task is ``probe/<name>``."""
    column: str
    """The study's."""
    classes: int
    test_photos: int


ATTRIBUTES = (
    Attribute("make", "Make", 9, 4_500),
    Attribute("model", "Model (all)", 88, 8_800),
    Attribute("smartphone-model", "Model (smart)", 12, 1_200),
    Attribute("is-smartphone", "Model (smart vs non-smart)", 2, 1_000),
    Attribute("exposure", "Exposure", 16, 8_000),
    Attribute("aperture", "Aperture", 17, 8_500),
    Attribute("iso", "ISO Speed", 16, 8_000),
    Attribute("focal-length", "Focal Length", 13, 6_500),
)


@dataclass(frozen=True)
class PublishedScore:
    """One published number under our names. The interval is ours: the study printed none."""

    task: str
    data: str
    metric: str
    value: float
    """In [0, 1]; ``spd`` in [-1, 1]."""
    low: float
    """Lower end of a 95 % interval that ``n`` photos allow at the widest (Wilson; Newcombe for ``spd``)."""
    high: float
    """Upper end. Training is not in it: another run of a probe may differ by more."""
    n: int
    """Test photos (pairs for ``retrieval/pairs``)."""
    chance: float
    """Accuracy of a guess; 0 for ``spd``."""
    derived: bool = False
    """True for ``spd``: our difference of two published numbers."""


@dataclass(frozen=True)
class PublishedEncoder:
    """One encoder of the study."""

    name: str
    """As the study prints it: ``"CLIP (ViT-B/16, WIT)"``."""
    group: str
    """A key of ``GROUPS``."""
    scores: tuple[PublishedScore, ...]

    def score(self, task: str, data: str, metric: str) -> PublishedScore:
        """The one score of that name. Raises ``KeyError`` if the study has none."""
        for score in self.scores:
            if (score.task, score.data, score.metric) == (task, data, metric):
                return score
        raise KeyError(f"{task} {data} {metric}")


@functools.cache
def published_encoders() -> tuple[PublishedEncoder, ...]:
    """The 47 encoders in the study's order, each with its 58 scores and the 9 differences that follow from them.

    Raises:
        DataError: the packaged table is damaged.

    >>> encoders = published_encoders()
    >>> len(encoders), encoders[0].name, encoders[0].group
    (47, 'CLIP (ViT-B/16, WIT)', 'CVL')
    >>> round(encoders[0].score("probe/jpeg", "imagenet", "accuracy").value, 3)
    0.648
    """
    text = (resources.files("benchmark") / "data" / "iccv2025_per_encoder.csv").read_text(encoding="utf-8")
    return tuple(_encoder(row) for row in csv.DictReader(text.splitlines()))


@functools.cache
def published_tasks() -> frozenset[str]:
    """Names of the tasks that the study has numbers for.

    >>> "probe/jpeg" in published_tasks(), "probe/flash" in published_tasks()
    (True, False)
    """
    return frozenset(score.task for encoder in published_encoders() for score in encoder.scores)


def _encoder(row: Mapping[str, str]) -> PublishedEncoder:
    name, group = row["encoder"], row["group"]
    if group not in GROUPS:
        raise DataError(f"published table: {name}: unknown group {group!r}")
    return PublishedEncoder(name, group, (*_processing(row), *_acquisition(row), *_knn(row), *_pairs(row)))


def _processing(row: Mapping[str, str]) -> Iterator[PublishedScore]:
    for theirs, data in PROCESSING_DATA.items():
        for parameter, classes in PROCESSING_CLASSES.items():
            value = _number(row, f"{theirs}_{_title(parameter)}", 100)
            yield _share(f"probe/{parameter}", data, "accuracy", value, TEST_PHOTOS[data], 1 / classes)


def _acquisition(row: Mapping[str, str]) -> Iterator[PublishedScore]:
    for a in ATTRIBUTES:
        value = _number(row, f"acq_{a.column}", 100)
        yield _share(f"probe/{a.name}", ACQUISITION_DATA, "accuracy", value, a.test_photos, 1 / a.classes)


def _knn(row: Mapping[str, str]) -> Iterator[PublishedScore]:
    for theirs, data in PROCESSING_DATA.items():
        n, chance = TEST_PHOTOS[data], 1 / SEMANTIC_CLASSES[data]
        for parameter in PROCESSING_CLASSES:
            column = f"knn_{theirs}_{_title(parameter)}"
            scores = {
                setup: _share(f"knn/{parameter}", data, setup, _number(row, f"{column}_{setup}", 100), n, chance)
                for setup in SETUPS
            }
            yield from scores.values()
            yield _difference(scores["pos-same"], scores["neg-same"])


def _pairs(row: Mapping[str, str]) -> Iterator[PublishedScore]:
    n = TEST_PHOTOS[PAIRS_DATA]
    # One target among as many candidates as there are pairs, in either collection.
    same, different = (
        _share("retrieval/pairs", PAIRS_DATA, metric, _number(row, f"recall1_{metric}", 1), n, 1 / n)
        for metric in ("same", "different")
    )
    yield from (same, different, _difference(same, different))


def _share(task: str, data: str, metric: str, value: float, n: int, chance: float) -> PublishedScore:
    low, high = wilson_interval(value, n)
    return PublishedScore(task, data, metric, value, low, high, n, chance)


def _difference(more: PublishedScore, less: PublishedScore) -> PublishedScore:
    low, high = independent_difference(more.value, Ends(more.low, more.high), less.value, Ends(less.low, less.high))
    return PublishedScore(more.task, more.data, "spd", more.value - less.value, low, high, more.n, 0.0, derived=True)


def _title(parameter: str) -> str:
    return "JPEG" if parameter == "jpeg" else parameter.capitalize()


def _number(row: Mapping[str, str], column: str, scale: int) -> float:
    try:
        value = float(row[column]) / scale
    except (KeyError, TypeError, ValueError):
        raise DataError(f"published table: {row.get('encoder')}: column {column} is missing or no number") from None
    if not (math.isfinite(value) and 0 <= value <= 1):
        raise DataError(f"published table: {row.get('encoder')}: {column} is {value}, outside [0, 1]")
    return value
