"""Task ``forensics/floor``: how well real photos of one source are distinguished from those of another.

A detector that learns where photos come from, and not how they were made, reaches this. So it has to exceed it
(the real-against-real control of VidAudit, arXiv 2606.31004).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import AnswerFacts, Answers, Metric, PhotoValues
from benchmark.tasks.forensics.common import FORENSICS, HALF, original_views, outcome, photo_values
from benchmark.tasks.forensics.data import DetectionData, detection_data, frequent_values, unfit_for_floor
from benchmark.tasks.forensics.detector import scores_of_pair
from benchmark.tasks.scores import units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.photos import Labels
from builders.processes import step_bar

if TYPE_CHECKING:
    from benchmark.detection import Statistic

MOST_SOURCES = 6
"""Sources of real photos that are compared in pairs: the most frequent ones."""

FLOOR_AUC = Metric(
    name="auc",
    title="AUC, real against real",
    explain="Probability that a real photo of one source has a higher score than one of another, mean over pairs of "
    "sources. A detector of generated photos has to exceed it.",
    kind="accuracy",
    chance=HALF,
    headline=True,
)


def _run_floor(inputs: TaskInput) -> TaskOutcome:
    """Run ``forensics/floor``."""
    data = detection_data(inputs)
    answers, details = floor_answers(inputs, data)
    arrays = {"photos": data.test[~data.of_test], **answers}
    statistics = {FLOOR_AUC.name: _floor(arrays)}
    units = units_of(inputs, arrays["photos"])
    return outcome(FLOOR, (FLOOR_AUC,), statistics, inputs, units, arrays, {**data.details(), **details}, {})


def floor_answers(inputs: TaskInput, data: DetectionData) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Answers and details of the floor, which tasks share; empty where the real photos have fewer than two sources.

    The answers are ``pair_scores`` and ``second``, both [pairs, real test photos]; ``second`` is 1 for a photo of the
    second source of the pair, 0 for one of the first, and -1 for others.
    """
    if data.sources is None:
        return {}, {}
    labels, sources = data.sources, frequent_values(data.sources, data, ~data.generated)
    if len(sources) < 2:
        return {}, {}
    return inputs.shared.get(("forensics", "floor"), lambda: _fit_pairs(inputs, data, labels, sources))


def _fit_pairs(
    inputs: TaskInput, data: DetectionData, labels: Labels, sources: Sequence[int]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from benchmark.detection import auc

    pairs = list(combinations(sorted(sources[:MOST_SOURCES]), 2))
    train, test = data.train[~data.generated[data.train]], data.test[~data.of_test]
    of_train, of_test = labels.values[train], labels.values[test]
    classes, scores, listed = [], [], []
    with step_bar(pairs, desc=FLOOR, unit="pair") as bar:
        for first, second in bar:
            at = np.isin(of_train, (first, second))
            of_pair = np.where(of_test == second, 1, np.where(of_test == first, 0, -1)).astype(np.int8)
            tested = of_pair >= 0
            fit = scores_of_pair(inputs, train[at], of_train[at] == second, test, of_pair)
            scores.append(fit)
            classes.append(of_pair)
            listed.append(
                {
                    "sources": [labels.names[first], labels.names[second]],
                    "auc": round(auc(fit[tested], of_pair[tested] == 1).value, 6),
                    "train_photos": int(at.sum()),
                    "test_photos": int(tested.sum()),
                }
            )
    details: dict[str, Any] = {"pairs": listed}
    if len(sources) > MOST_SOURCES:
        details["notes"] = [
            f"{len(sources)} sources have enough photos; the {MOST_SOURCES} most frequent are compared."
        ]
    return {"second": np.stack(classes), "pair_scores": np.stack(scores)}, details


def _floor(arrays: Answers) -> Statistic:
    from benchmark.detection import auc, mean_over

    n = arrays["second"].shape[1]
    parts = []
    for of_pair, scores in zip(arrays["second"], arrays["pair_scores"], strict=True):
        at = np.flatnonzero(of_pair >= 0)
        parts.append((auc(scores[at], of_pair[at] == 1), at))
    return mean_over(parts, n)


def floor_among(arrays: Answers) -> Statistic | None:
    """The floor as a statistic of all test photos, from the answers of another task; None where they have none."""
    from benchmark.detection import mean_over

    if "pair_scores" not in arrays:
        return None
    generated = arrays["generated"]
    return mean_over([(_floor(arrays), np.flatnonzero(~generated))], len(generated))


def _read_floor(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by photo of ``_run_floor``, from its answers."""
    return photo_values((FLOOR_AUC,), {FLOOR_AUC.name: _floor(arrays)}, arrays)


def _floor_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance, and AUC and number of photos of each pair of sources."""
    from benchmark.detection import auc

    rows = []
    for of_pair, scores in zip(arrays["second"], arrays["pair_scores"], strict=True):
        at = of_pair >= 0
        rows.append({"auc": round(auc(scores[at], of_pair[at] == 1).value, 6), "test_photos": int(at.sum())})
    counts = {"test": {"real": arrays["second"].shape[1]}}
    return {FLOOR_AUC.name: AnswerFacts(0.5, None, {"pairs": rows, "real_and_generated": counts})}


FLOOR = "forensics/floor"

FLOOR_TASK = Task(
    name=FLOOR,
    family=FORENSICS,
    title="Floor",
    explain="Real photos of one source against real photos of another.",
    summary="how well can two sources of real photos be distinguished: what a detector has to exceed",
    metrics=(FLOOR_AUC,),
    recipe=original_views,
    unfit=unfit_for_floor,
    score_views=1,
    run=_run_floor,
    read_answers=_read_floor,
    read_facts=_floor_facts,
)
