"""What the tasks about generated photos share: their family, metrics and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts, Answers, Family, Metric, PhotoValues, Score
from benchmark.tasks.processing_probe import upright
from benchmark.tasks.scores import score_of, unit_answers, unit_details
from benchmark.tasks.task import TaskInput, TaskOutcome
from builders.photos import PhotoSet

if TYPE_CHECKING:
    from benchmark.detection import Statistic
    from benchmark.stats import ErrorUnits
    from benchmark.views import ViewRecipe

Statistics = Mapping[str, "Statistic"]
"""By name of the metric; a metric that these photos cannot answer is absent."""

FORENSICS = Family(
    name="forensics",
    title="Real or generated",
    explain="How well a detector, by default a linear probe, distinguishes generated photos from real ones, and how "
    "well it distinguishes two sources of real photos.",
    about="detection",
    header="detector",
    layout="metrics",
    panel="none",
    whole="labelled",
    hub_id="forensics-{subject}",
)

HALF = "one half"
"""Chance of an AUC and of a balanced accuracy, in words."""

AUC = Metric(
    name="auc",
    title="AUC",
    explain="Probability that a generated photo has a higher score than a real one.",
    kind="accuracy",
    chance=HALF,
    headline=True,
)

MARGIN = Metric(
    name="margin",
    title="margin over the floor",
    explain="AUC minus that of real photos of one source against another (`forensics/floor`).",
    kind="difference",
    chance="0",
    unit="points",
    if_positive="generated photos are distinguished from real ones better than two sources of real photos are",
)

BALANCED = Metric(
    name="balanced",
    title="balanced accuracy",
    explain="Mean of the shares of real and of generated photos that are right at the threshold of the training.",
    kind="accuracy",
    chance=HALF,
)


def original_views(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    """Recipe of unprocessed photos, of the kind of ``forensics/crossing``, so that the tasks share one pass."""
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((ORIGINAL,), options.seed, upright(options))


def outcome(
    task: str,
    metrics: Sequence[Metric],
    statistics: Statistics,
    inputs: TaskInput,
    units: ErrorUnits,
    arrays: Mapping[str, np.ndarray],
    shared: Mapping[str, Any],
    more: Mapping[str, Mapping[str, Any]],
) -> TaskOutcome:
    """Scores of the statistics that exist, in the order of ``metrics``, and their answers.

    Args:
        task: its name.
        metrics: of the task.
        statistics: of two classes, by metric.
        inputs: of the task.
        units: which test photos err together.
        arrays: answers.
        shared: details of every score.
        more: details of single metrics.
    """
    scores: list[Score] = [
        score_of(
            task,
            metric.name,
            inputs,
            statistic.photo_values,
            units,
            value=statistic.value,
            chance=0.0 if metric.signed else 0.5,
            details={**shared, **unit_details(units), **more.get(metric.name, {})},
            bounds=(-statistic.bound, statistic.bound),
            limits=metric.bounds,
        )
        for metric in metrics
        if (statistic := statistics.get(metric.name)) is not None
    ]
    return TaskOutcome(tuple(scores), {**arrays, **unit_answers(units)})


def photo_values(
    metrics: Sequence[Metric], statistics: Statistics, arrays: Answers, over: Sequence[str] = ()
) -> dict[str, PhotoValues]:
    """The values by photo of each statistic that the answers give; ``over`` as in ``PhotoValues``."""
    photos, clusters = arrays["photos"], arrays.get("clusters")
    return {
        metric.name: PhotoValues(
            photos,
            statistic.photo_values,
            (-statistic.bound, statistic.bound),
            clusters,
            limits=metric.bounds,
            over=tuple(over),
        )
        for metric in metrics
        if (statistic := statistics.get(metric.name)) is not None
    }


def chance_facts(metrics: Sequence[Metric], arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric, and numbers of test photos."""
    details: dict[str, Any] = {}
    if "generated" in arrays:
        generated = arrays["generated"]
        counts = {"real": int((~generated).sum()), "generated": int(generated.sum())}
        details["real_and_generated"] = {"test": counts}
    return {metric.name: AnswerFacts(0.0 if metric.signed else 0.5, None, details) for metric in metrics}


def with_details(facts: AnswerFacts, details: Mapping[str, Any]) -> AnswerFacts:
    """The same facts with more details."""
    return replace(facts, details={**facts.details, **details})
