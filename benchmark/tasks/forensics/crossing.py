"""Task ``forensics/crossing``: the detector under 14 processings of both classes, or of one class alone.

Processing of both classes is robustness. Processing of one class is bias: a score that moves because one class was
saved otherwise rests on how photos were saved (BIAS-ID, arXiv 2605.31153, measures it for JPEG).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts, Answers, Metric, PhotoValues
from benchmark.tasks.forensics.common import (
    FORENSICS,
    HALF,
    Statistics,
    chance_facts,
    fitted_scores,
    outcome,
    photo_values,
)
from benchmark.tasks.forensics.data import DetectionData, detection_data, unfit_for_detection
from benchmark.tasks.processing_probe import upright
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.photos import PhotoSet
from builders.pixels import STUDY_PROCESSINGS
from builders.processes import progress_bar

if TYPE_CHECKING:
    from benchmark.detection import Cell
    from benchmark.views import ViewRecipe

BOTH = Metric(
    name="both",
    title="AUC, all processed",
    explain="AUC of a detector trained on photos as they are, where real and generated photos are processed alike, "
    "mean over the study's 14 processings.",
    kind="accuracy",
    chance=HALF,
    headline=True,
)

REAL_ONLY = Metric(
    name="real-only",
    title="AUC, real ones processed",
    explain="The same where the real photos alone are processed.",
    kind="accuracy",
    chance=HALF,
)

GENERATED_ONLY = Metric(
    name="generated-only",
    title="AUC, generated ones processed",
    explain="The same where the generated photos alone are processed.",
    kind="accuracy",
    chance=HALF,
)

BIAS = Metric(
    name="bias",
    title="bias by processing",
    explain="AUC with the generated photos processed minus AUC with the real ones processed, mean over the 14: above 0 "
    "where processing itself looks generated to the detector, below 0 where it looks real.",
    kind="difference",
    chance="0",
    unit="points",
    if_positive="processed photos look more generated to the detector",
)

METRICS = (BOTH, REAL_ONLY, GENERATED_ONLY, BIAS)


def run_crossing(inputs: TaskInput) -> TaskOutcome:
    """Run ``forensics/crossing``."""
    from benchmark.views import ORIGINAL

    data = detection_data(inputs)
    names = (*STUDY_PROCESSINGS, ORIGINAL)
    views = [inputs.view(name, data.test) for name in names]
    classes = data.generated[data.train].astype(np.int64)
    scores, fit = fitted_scores(inputs, data.train, classes, views)
    arrays = {"photos": data.test, "generated": data.of_test, "scores": scores}
    cells = _cells(arrays)
    details = {**data.details(), "processings": len(STUDY_PROCESSINGS)}
    more: dict[str, Mapping[str, Any]] = {
        BOTH.name: {**fit, **({} if inputs.brief else {"matrix": _matrix(inputs, data, names, views, scores)})},
        BIAS.name: {"by_processing": by_processing(cells, data.units.clusters)},
    }
    return outcome(CROSSING, METRICS, _statistics(cells), inputs, data.units, arrays, details, more)


def _cells(arrays: Answers) -> list[Cell]:
    from benchmark.detection import cross

    *processed, original = arrays["scores"]
    return [cross(scores, original, arrays["generated"]) for scores in processed]


def _statistics(cells: Sequence[Cell]) -> Statistics:
    from benchmark.detection import difference, mean_over

    n = len(cells[0].both.photo_values)
    everywhere = np.arange(n)
    statistics = {
        metric.name: mean_over([(getattr(cell, name), everywhere) for cell in cells], n)
        for metric, name in ((BOTH, "both"), (REAL_ONLY, "real_only"), (GENERATED_ONLY, "generated_only"))
    }
    return {**statistics, BIAS.name: difference(statistics[GENERATED_ONLY.name], statistics[REAL_ONLY.name])}


def by_processing(cells: Sequence[Cell], clusters: np.ndarray | None) -> dict[str, dict[str, float]]:
    """The numbers of each processing, with the interval and the p-value of its bias over units.

    >>> from benchmark.detection import cross
    >>> original, generated = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True])
    >>> {row["bias"] for row in by_processing([cross(original + 5, original, generated)] * 14, None).values()}
    {1.0}
    """
    from benchmark.stats import paired_difference

    rows = {}
    for name, cell in zip(STUDY_PROCESSINGS, cells, strict=True):
        values = cell.bias.photo_values
        bias = paired_difference(values, np.zeros_like(values), clusters=clusters, bounds=(0.0, cell.bias.bound))
        rows[name] = {
            "both": round(cell.both.value, 6),
            "real_only": round(cell.real_only.value, 6),
            "generated_only": round(cell.generated_only.value, 6),
            "bias": round(cell.bias.value, 6),
            "low": round(max(bias.low, -1.0), 6),
            "high": round(min(bias.high, 1.0), 6),
            "p_value": bias.p_value,
        }
    return rows


def _matrix(
    inputs: TaskInput, data: DetectionData, names: tuple[str, ...], views: list[Any], original: np.ndarray
) -> dict[str, Any]:
    """AUC of a detector trained on photos under each view (rows) and tested under each (columns)."""
    from benchmark.detection import auc

    classes = data.generated[data.train].astype(np.int64)
    rows = []
    with progress_bar(names, desc=CROSSING, unit="view", delay=2, leave=False) as bar:
        for name in bar:
            is_original = name == names[-1]
            scores = original if is_original else fitted_scores(inputs, data.train, classes, views, name)[0]
            rows.append([round(auc(of_view, data.of_test).value, 4) for of_view in scores])
    return {"views": list(names), "auc": rows}


def read_crossing(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by photo of each metric of ``run_crossing``, from its answers."""
    return photo_values(METRICS, _statistics(_cells(arrays)), arrays)


def crossing_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric, and the bias by processing."""
    biases = by_processing(_cells(arrays), arrays.get("clusters"))
    return {**chance_facts(METRICS, arrays), BIAS.name: AnswerFacts(0.0, None, {"by_processing": biases})}


def _recipe(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((*STUDY_PROCESSINGS, ORIGINAL), options.seed, upright(options))


CROSSING = "forensics/crossing"

CROSSING_TASK = Task(
    name=CROSSING,
    family=FORENSICS,
    title="Crossing",
    explain="Generated against real photos, where all of them or one class alone is processed.",
    summary="does a detector's score move because photos, or those of one class, were saved otherwise?",
    metrics=METRICS,
    recipe=_recipe,
    unfit=unfit_for_detection,
    run=run_crossing,
    read_answers=read_crossing,
    read_facts=crossing_facts,
)
