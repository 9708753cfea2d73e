"""What the tasks about generated photos share: their family, metrics, detectors and scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import AnswerFacts, Answers, Family, Metric, PhotoValues, Score
from benchmark.tasks.forensics.data import DetectionData
from benchmark.tasks.scores import score_of, unit_answers, unit_details, units_of
from benchmark.tasks.task import TaskInput, TaskOutcome

if TYPE_CHECKING:
    from benchmark.detection import Statistic
    from benchmark.stats import ErrorUnits

Statistics = Mapping[str, "Statistic"]
"""By name of the metric; a metric that these photos cannot answer is absent."""

FORENSICS = Family(
    name="forensics",
    title="Real or generated",
    explain="How well a linear probe distinguishes generated photos from real ones, and how well it "
    "distinguishes two sources of real photos.",
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


def fitted_scores(
    inputs: TaskInput, train: np.ndarray, classes: np.ndarray, views: Sequence[Any], view: str = ""
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a probe of two classes and score photos with it.

    Args:
        inputs: of the task.
        train: int64 [m], indices of photos.
        classes: [m], 0 or 1.
        views: V arrays [n, d] of other photos.
        view: of the training photos; by default they are as they are.

    Returns:
        float32 [V, n], the score of class 1 minus that of class 0; and details of the fit.
    """
    from benchmark.probe import class_scores
    from benchmark.views import ORIGINAL

    fit = class_scores(
        inputs.view(view or ORIGINAL, train),
        classes,
        views,
        n_classes=2,
        clusters=units_of(inputs, train).clusters,
        protocol=inputs.options.protocol,
        device=inputs.device,
    )
    return fit.scores[:, :, 1] - fit.scores[:, :, 0], dict(fit.details)


def detector(inputs: TaskInput, data: DetectionData) -> tuple[np.ndarray, dict[str, Any]]:
    """Scores [test photos] of the detector that is trained on all generators, and details of it; tasks share it."""
    from benchmark.views import ORIGINAL

    def fit() -> tuple[np.ndarray, dict[str, Any]]:
        views = [inputs.view(ORIGINAL, data.test)]
        scores, details = fitted_scores(inputs, data.train, data.generated[data.train], views)
        return scores[0], details

    return inputs.shared.get(("forensics", "detector"), fit)


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


def photo_values(metrics: Sequence[Metric], statistics: Statistics, arrays: Answers) -> dict[str, PhotoValues]:
    """The values by photo of each statistic that the answers give."""
    photos, clusters = arrays["photos"], arrays.get("clusters")
    return {
        metric.name: PhotoValues(
            photos, statistic.photo_values, (-statistic.bound, statistic.bound), clusters, limits=metric.bounds
        )
        for metric in metrics
        if (statistic := statistics.get(metric.name)) is not None
    }


def chance_facts(metrics: Sequence[Metric], arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric."""
    return {metric.name: AnswerFacts(0.0 if metric.signed else 0.5, None, {}) for metric in metrics}
