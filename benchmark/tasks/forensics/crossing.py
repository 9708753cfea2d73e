"""Task ``forensics/crossing``: the detector under processings of both classes, or of one class alone.

Processing of both classes is robustness. Processing of one class is bias: a score that moves because one class was
saved otherwise rests on how photos were saved (BIAS-ID, arXiv 2605.31153, measures it for JPEG).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts, Answers, Metric, PhotoValues
from benchmark.tasks.forensics.common import (
    FORENSICS,
    HALF,
    Statistics,
    chance_facts,
    outcome,
    photo_values,
    with_details,
)
from benchmark.tasks.forensics.data import DetectionData, detection_data, unfit_for_detection
from benchmark.tasks.forensics.detector import scores_by_training_view, scores_under
from benchmark.tasks.processing_probe import upright
from benchmark.tasks.task import Task, TaskInput, TaskOutcome, of_processings
from builders.photos import PhotoSet
from builders.pixels import ALL_PROCESSINGS, STUDY_PROCESSINGS

if TYPE_CHECKING:
    from benchmark.detection import Cell
    from benchmark.views import ViewRecipe

BOTH = Metric(
    name="both",
    title="AUC, all processed",
    explain="AUC of a detector trained on photos as they are, where real and generated photos are processed alike, "
    "mean over processings.",
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
    explain="AUC with the generated photos processed minus AUC with the real ones processed, mean over processings: "
    "above 0 where processing raises the detector's scores, below 0 where it lowers them.",
    kind="difference",
    chance="0",
    unit="points",
    if_positive="processed photos look more generated to the detector",
)

CODEC_BIAS = Metric(
    name="bias-jpeg",
    title="bias by codec",
    explain="The same bias, mean over the processings that save photos as JPEG and do nothing else.",
    kind="difference",
    chance="0",
    unit="points",
)

METRICS = (BOTH, REAL_ONLY, GENERATED_ONLY, BIAS, CODEC_BIAS)


class Crossed(NamedTuple):
    """A processing, whether it is only a JPEG codec, and its cell."""

    name: str
    codec: bool
    cell: Cell


def _run_crossing(processings: Sequence[str], inputs: TaskInput) -> TaskOutcome:
    """Run ``forensics/crossing``. A file of scores may lack some processings."""
    from benchmark.views import ORIGINAL

    data = detection_data(inputs)
    held = [name for name in processings if inputs.given is None or inputs.given.rows.get(name)]
    names = [*held, ORIGINAL]
    tested = scores_under(inputs, data, names)
    arrays = {
        "photos": data.test,
        "generated": data.of_test,
        "scores": tested.scores,
        "processings": np.array(held),
        "codec": np.array([_is_codec(name) for name in held]),
    }
    crossed = _crossed(arrays)
    details = {**data.details(), "processings": len(held)}
    if len(held) < len(processings):
        details["over"] = held
        details["notes"] = [f"Without scores under {', '.join(name for name in processings if name not in held)}."]
    with_matrix = inputs.given is None and not inputs.brief
    more: dict[str, Mapping[str, Any]] = {
        BOTH.name: {**tested.details, **(_matrix(inputs, data, names, tested.scores) if with_matrix else {})},
        BIAS.name: {"by_processing": by_processing(crossed, data.units.clusters)},
    }
    return outcome(CROSSING, METRICS, _statistics(crossed), inputs, data.units, arrays, details, more)


def _is_codec(name: str) -> bool:
    """Whether a processing saves photos as JPEG and does nothing else."""
    one = ALL_PROCESSINGS[name]
    return one.is_plain_jpeg and one.is_one_stage and one.sharpness == 1 and one.scale == 1


def _crossed(arrays: Answers) -> list[Crossed]:
    """The cells of the answers; those of older versions name no processings and have the study's."""
    from benchmark.detection import cross

    *processed, original = arrays["scores"]
    names = [str(name) for name in arrays.get("processings", STUDY_PROCESSINGS)]
    codec = arrays.get("codec", np.zeros(len(names), bool))
    cells = [cross(scores, original, arrays["generated"]) for scores in processed]
    return [Crossed(name, bool(c), cell) for name, c, cell in zip(names, codec, cells, strict=True)]


def _statistics(crossed: Sequence[Crossed]) -> Statistics:
    from benchmark.detection import Statistic, difference, mean_over

    n = len(crossed[0].cell.both.photo_values)
    everywhere = np.arange(n)

    def mean(cell: str, among: Sequence[Crossed]) -> Statistic:
        return mean_over([(getattr(one.cell, cell), everywhere) for one in among], n)

    statistics = {
        metric.name: mean(cell, crossed)
        for metric, cell in ((BOTH, "both"), (REAL_ONLY, "real_only"), (GENERATED_ONLY, "generated_only"))
    }
    statistics[BIAS.name] = difference(statistics[GENERATED_ONLY.name], statistics[REAL_ONLY.name])
    if of_codecs := [one for one in crossed if one.codec]:
        statistics[CODEC_BIAS.name] = difference(mean("generated_only", of_codecs), mean("real_only", of_codecs))
    return statistics


def by_processing(crossed: Sequence[Crossed], clusters: np.ndarray | None) -> dict[str, dict[str, float]]:
    """The numbers of each processing, with the interval and the p-value of its bias over units.

    >>> from benchmark.detection import cross
    >>> original, generated = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True])
    >>> by_processing([Crossed("sharpening-x4", False, cross(original + 5, original, generated))], None)[
    ...     "sharpening-x4"]["bias"]
    1.0
    """
    from benchmark.stats import paired_difference

    rows = {}
    for name, _, cell in crossed:
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


def _matrix(inputs: TaskInput, data: DetectionData, names: Sequence[str], original: np.ndarray) -> dict[str, Any]:
    """AUC of a detector trained on photos under each view (rows) and tested under each (columns)."""
    from benchmark.detection import auc

    trained = scores_by_training_view(inputs, data, names, names[:-1], CROSSING)
    rows = [[round(auc(s, data.of_test).value, 4) for s in by_view] for by_view in (*trained, original)]
    return {"matrix": {"views": list(names), "auc": rows}}


def _read_crossing(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by photo of each metric of ``_run_crossing``, from its answers."""
    crossed = _crossed(arrays)
    return photo_values(METRICS, _statistics(crossed), arrays, [one.name for one in crossed])


def _crossing_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric, and the bias by processing."""
    from benchmark.detection import auc

    crossed, facts = _crossed(arrays), chance_facts(METRICS, arrays)
    of_original = [round(auc(scores, arrays["generated"]).value, 4) for scores in arrays["scores"]]
    matrix = {"auc": [*[None] * len(crossed), of_original]}  # rows of other trainings do not follow from answers
    return {
        **facts,
        BOTH.name: with_details(facts[BOTH.name], {"matrix": matrix, "processings": len(crossed)}),
        BIAS.name: with_details(facts[BIAS.name], {"by_processing": by_processing(crossed, arrays.get("clusters"))}),
    }


def _recipe(processings: Sequence[str], photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((*processings, ORIGINAL), options.seed, upright(options))


CROSSING = "forensics/crossing"


def _crossing_task(processings: tuple[str, ...]) -> Task:
    """``forensics/crossing`` with these processings, by name."""
    return Task(
        name=CROSSING,
        family=FORENSICS,
        title="Crossing",
        explain="Generated against real photos, where all of them or one class alone is processed.",
        summary="does a detector's score move because photos, or those of one class, were saved otherwise?",
        metrics=METRICS,
        recipe=partial(_recipe, processings),
        unfit=unfit_for_detection,
        with_processings=of_processings(_crossing_task),
        run=partial(_run_crossing, processings),
        read_answers=_read_crossing,
        read_facts=_crossing_facts,
        score_views=2,
    )


CROSSING_TASK = _crossing_task(STUDY_PROCESSINGS)
