"""Task ``forensics/leave-one-out``: each generator, by a detector that was not trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.results import AnswerFacts, Answers, Metric, PhotoValues
from benchmark.tasks.forensics.common import (
    BALANCED,
    FORENSICS,
    HALF,
    MARGIN,
    Statistics,
    chance_facts,
    original_views,
    outcome,
    photo_values,
    with_details,
)
from benchmark.tasks.forensics.data import against_real, detection_data, frequent_values, unfit_for_leaving_out
from benchmark.tasks.forensics.detector import scores_under, scores_without
from benchmark.tasks.forensics.floor import floor_among, floor_answers
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.errors import DataError

UNSEEN_AUC = Metric(
    name="auc",
    title="AUC, unseen generator",
    explain="AUC of each generator for a detector that was not trained on it, mean over generators.",
    kind="accuracy",
    chance=HALF,
    headline=True,
)

WORST = Metric(
    name="worst",
    title="AUC, worst generator",
    explain="AUC of the generator that has the lowest. Its interval is that of this generator, and does not know that "
    "the lowest was chosen.",
    kind="accuracy",
    chance=HALF,
)

LOSS = Metric(
    name="loss",
    title="loss for an unseen generator",
    explain="AUC with all generators in training minus that with the tested generator left out of it.",
    kind="difference",
    chance="0",
    unit="points",
    if_positive="a detector recognises generators that it was trained on better than others",
)


METRICS = (UNSEEN_AUC, WORST, MARGIN, BALANCED, LOSS)


def _run_leave_one_out(inputs: TaskInput) -> TaskOutcome:
    """Run ``forensics/leave-one-out``."""
    from benchmark.views import ORIGINAL

    data = detection_data(inputs)
    assert data.generators is not None
    left = frequent_values(data.generators, data, data.generated)
    if inputs.given is not None and inputs.given.detector is not None:
        left = [v for v in left if data.generators.names[v] not in inputs.given.detector.trained_on]
        if not left:
            raise DataError(f"{inputs.given.name}: trained_on= names every generator, so none is left to test it on")
    elif len(left) < 2:
        raise DataError(f"{inputs.photos.name}: fewer than two generators are left among the usable photos")
    arrays = {
        "photos": data.test,
        "generated": data.of_test,
        "generator": data.generators.values[data.test].astype(np.int32),
        "left_out": np.array(left, np.int32),
        "scores": scores_without(inputs, data, left, LEAVE_ONE_OUT),
        **({} if inputs.given else {"trained": scores_under(inputs, data, [ORIGINAL]).scores[0]}),
        **floor_answers(inputs, data)[0],
    }
    names = [data.generators.names[value] for value in left]
    arrays["left_out_names"] = np.array(names)
    table = _by_generator(arrays)
    notes: dict[str, Any] = {}
    if inputs.given is not None and inputs.given.detector is not None and not inputs.given.detector.trained_on:
        notes["notes"] = ["It is not known which generators the detector was trained on (trained_on= states them)."]
    more = {UNSEEN_AUC.name: {"by_generator": table, **notes}, WORST.name: {"generator": _lowest(table)}}
    return outcome(LEAVE_ONE_OUT, METRICS, _statistics(arrays), inputs, data.units, arrays, data.details(), more)


def _by_generator(arrays: Answers) -> list[dict[str, Any]]:
    """AUC of each generator by a detector without it and, if it is trained here, with it; and its test photos."""
    from benchmark.detection import auc

    generated, rows = arrays["generated"], []
    names = arrays.get("left_out_names", [""] * len(arrays["left_out"]))  # not stored by older versions
    for name, value, of_value in zip(names, arrays["left_out"], arrays["scores"], strict=True):
        at = against_real(generated, arrays["generator"], int(value))
        row: dict[str, Any] = {"generator": str(name)} if name else {}
        row |= {"auc": round(auc(of_value[at], generated[at]).value, 6), "photos": int(generated[at].sum())}
        if "trained" in arrays:
            row["auc_if_trained"] = round(auc(arrays["trained"][at], generated[at]).value, 6)
        rows.append(row)
    return rows


def _statistics(arrays: Answers) -> Statistics:
    from benchmark.detection import auc, balanced_accuracy, difference, mean_over

    generated, n = arrays["generated"], len(arrays["generated"])
    unseen, trained, balanced = [], [], []
    for value, scores in zip(arrays["left_out"], arrays["scores"], strict=True):
        at = against_real(generated, arrays["generator"], int(value))
        unseen.append((auc(scores[at], generated[at]), at))
        if "trained" in arrays:
            trained.append((auc(arrays["trained"][at], generated[at]), at))
        balanced.append((balanced_accuracy((scores[at] > 0) == generated[at], generated[at]), at))
    worst = min(unseen, key=lambda part: part[0].value)
    statistics = {
        UNSEEN_AUC.name: mean_over(unseen, n),
        WORST.name: mean_over([worst], n),
        BALANCED.name: mean_over(balanced, n),
    }
    if trained:
        statistics[LOSS.name] = difference(mean_over(trained, n), statistics[UNSEEN_AUC.name])
    if (floor := floor_among(arrays)) is not None:
        statistics[MARGIN.name] = difference(statistics[UNSEEN_AUC.name], floor)
    return statistics


def _read_leave_one_out(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by photo of each metric of ``_run_leave_one_out``, from its answers."""
    return photo_values(METRICS, _statistics(arrays), arrays)


def _leave_one_out_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric, and the numbers of each generator."""
    facts, table = chance_facts(METRICS, arrays), _by_generator(arrays)
    lowest = {"generator": _lowest(table)} if "left_out_names" in arrays else {}
    return {
        **facts,
        UNSEEN_AUC.name: with_details(facts[UNSEEN_AUC.name], {"by_generator": table}),
        WORST.name: with_details(facts[WORST.name], lowest),
    }


def _lowest(table: Sequence[Mapping[str, Any]]) -> str:
    """Name of the generator with the lowest AUC."""
    return str(min(table, key=lambda row: float(row["auc"]))["generator"])


LEAVE_ONE_OUT = "forensics/leave-one-out"

LEAVE_ONE_OUT_TASK = Task(
    name=LEAVE_ONE_OUT,
    family=FORENSICS,
    title="Unseen generator",
    explain="Each generator against real photos, by a detector that was not trained on it.",
    summary="can photos of a generator that was not in training be distinguished from real ones?",
    metrics=METRICS,
    recipe=original_views,
    unfit=unfit_for_leaving_out,
    score_views=1,
    run=_run_leave_one_out,
    read_answers=_read_leave_one_out,
    read_facts=_leave_one_out_facts,
)
