"""Summary numbers of a result: MP, SP and SPD of the 2026 follow-up study, mean log-odds, and means by group.

Metadata prediction, semantic prediction and semantic prediction distraction are those of "Invisible Shortcuts: Why
Vision Encoders Know Your Camera", arXiv 2608.05424. A number whose tasks were not run is ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean

from benchmark.results.questions import Questions, metric_of
from benchmark.results.schema import Score


@dataclass(frozen=True)
class Summary:
    """Means over tasks; ``None`` where no such task was run."""

    mp_processing: float | None
    """Metadata prediction: mean accuracy of the linear probes of processing parameters."""
    mp_acquisition: float | None
    """The same of acquisition attributes."""
    sp: float | None
    """Semantic prediction: accuracy of plain kNN on unprocessed photos (``knn/original``)."""
    all_same: float | None
    """Mean over parameters of kNN accuracy where all photos share one processing: of the 2025 study, not SP."""
    spd_processing: float | None
    """Semantic prediction distraction: mean over parameters of |pos-same - neg-same|."""
    spd_processing_signed: float | None
    """Mean over parameters of pos-same - neg-same: above 0 where a shared processing helps."""
    spd_acquisition: float | None
    """|recall same - recall different| of pair retrieval, mean over data sets. The follow-up study swaps the names of
    the collections: distractors of the query's camera are ``different`` here, as in the 2025 study, and ``R_same``
    there; ``same`` here is ``R_diff`` there. The absolute difference is equal, its sign is opposite."""
    spd_acquisition_signed: float | None
    """Recall same - recall different: above 0 where a shared camera type among the distractors hurts."""
    log_odds_processing: float | None
    """Mean over the processing probes of ``log_odds_over_chance``."""
    log_odds_acquisition: float | None
    """The same of acquisition attributes."""
    tasks: Mapping[str, int]
    """Number of scores in ``mp_processing``, ``mp_acquisition``, ``sp``, ``all_same``, ``spd_processing``,
    ``spd_acquisition``."""


@dataclass(frozen=True)
class GroupMean:
    """Mean of a number over the encoders of one training type."""

    mean: float
    low: float
    """Minimum of the group."""
    high: float
    """Maximum of the group."""
    n: int
    """Number of encoders."""


def summarise(scores: Iterable[Score], questions: Questions) -> Summary:
    """Summary numbers of the scores of one encoder on one or several data sets.

    Args:
        scores: those whose metric has no role in a summary are left out.
        questions: what the scores mean: ``Metric.summary`` is the number that a metric is a part of.
    """
    probes: dict[str, list[Score]] = {"processing": [], "acquisition": []}
    differences: dict[str, list[float]] = {"processing": [], "acquisition": []}
    plain: list[float] = []
    all_same: list[float] = []
    scores = [s for s in scores if s.task in questions]
    table = {(s.task, s.data, s.metric): s.value for s in scores}
    for score in scores:
        metric = metric_of(questions, score.task, score.metric)
        if metric.summary == "MP":
            probes[questions[score.task].family.about].append(score)
        elif metric.summary == "SP":
            plain.append(score.value)
        elif metric.summary == "all-same":
            all_same.append(score.value)
    for task, data in dict.fromkeys((s.task, s.data) for s in scores):
        for metric in questions[task].metrics:
            if metric.summary == "SPD" and metric.difference_of:
                ends = [table.get((task, data, end)) for end in metric.difference_of]
                if ends[0] is not None and ends[1] is not None:
                    differences[questions[task].family.about].append(ends[0] - ends[1])
    processing, acquisition = probes["processing"], probes["acquisition"]
    spd_p, spd_a = differences["processing"], differences["acquisition"]
    return Summary(
        mp_processing=_mean(s.value for s in processing),
        mp_acquisition=_mean(s.value for s in acquisition),
        sp=_mean(plain),
        all_same=_mean(all_same),
        spd_processing=_mean(abs(d) for d in spd_p),
        spd_processing_signed=_mean(spd_p),
        spd_acquisition=_mean(abs(d) for d in spd_a),
        spd_acquisition_signed=_mean(spd_a),
        log_odds_processing=_mean(log_odds_over_chance(s.value, s.n, s.chance) for s in processing),
        log_odds_acquisition=_mean(log_odds_over_chance(s.value, s.n, s.chance) for s in acquisition),
        tasks={
            "mp_processing": len(processing),
            "mp_acquisition": len(acquisition),
            "sp": len(plain),
            "all_same": len(all_same),
            "spd_processing": len(spd_p),
            "spd_acquisition": len(spd_a),
        },
    )


def log_odds_over_chance(accuracy: float, n: int, chance: float) -> float:
    """Natural log-odds of an accuracy minus those of chance: 0 is a guess, whatever the number of classes.

    Half a photo is added on either side, so that accuracies of 0 and 1 stay finite (Haldane and Anscombe):
    ``log((n a + 1/2) / (n (1 - a) + 1/2))``.

    Args:
        accuracy: in [0, 1].
        n: test photos.
        chance: accuracy of a guess, between 0 and 1.

    Raises:
        ValueError: chance is 0 or 1.

    >>> round(log_odds_over_chance(0.5, 100, 0.5), 3), round(log_odds_over_chance(1.0, 100, 0.5), 3)
    (0.0, 5.303)
    """
    if not 0 < chance < 1:
        raise ValueError(f"chance must lie between 0 and 1, not {chance}")
    odds = (n * accuracy + 0.5) / (n * (1 - accuracy) + 0.5)
    return math.log(odds) - math.log(chance / (1 - chance))


def group_means(values: Mapping[str, float | None], groups: Mapping[str, str]) -> dict[str, GroupMean]:
    """Means by training type (``CVL``, ``SUP``, ``SSL``, ...), sorted by name; encoders without a value are left out.

    Args:
        values: number by encoder.
        groups: group by encoder; an encoder without a group is left out.

    >>> group_means({"a": 0.5, "b": 0.7, "c": None}, {"a": "CVL", "b": "CVL", "c": "SSL"})["CVL"].n
    2
    """
    members: dict[str, list[float]] = {}
    for encoder, value in values.items():
        if value is not None and math.isfinite(value) and encoder in groups:
            members.setdefault(groups[encoder], []).append(float(value))
    return {name: GroupMean(fmean(v), min(v), max(v), len(v)) for name, v in sorted(members.items())}


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return fmean(numbers) if numbers else None
