"""Task ``forensics/detect``: generated against real photos, with all generators in training."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmark.results import AnswerFacts, Answers, Metric, PhotoValues
from benchmark.tasks.forensics.common import (
    AUC,
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
from benchmark.tasks.forensics.data import (
    SOURCE,
    DetectionData,
    against_real,
    detection_data,
    frequent_values,
    unfit_for_detection,
)
from benchmark.tasks.forensics.detector import scores_under
from benchmark.tasks.forensics.floor import floor_among, floor_answers
from benchmark.tasks.scores import units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome

RATES = (0.01, 0.001)
"""Rates of false alarms at which recall is reported, where the real photos are many enough."""

TINY = 1e-9
"""Rounding of a probability from which a threshold was subtracted."""

NEAREST = Metric(
    name="nearest",
    title="balanced accuracy, nearest photo",
    explain="The same where the nearest training photo gives the class (kNN, k = 1, as in arXiv 2608.05424).",
    kind="accuracy",
    chance=HALF,
)

OTHER_READERS = tuple(
    Metric(
        name=f"balanced-{reader}",
        title=f"balanced accuracy, {words} read",
        explain=f"The same where {words} read the embeddings instead of a linear layer (`--readers`).",
        kind="accuracy",
        chance=HALF,
        main=False,
    )
    for reader, words in (("knn", "neighbours"), ("mlp", "networks of one hidden layer"))
)

METRICS = (AUC, MARGIN, BALANCED, NEAREST, *OTHER_READERS)


def _run_detect(inputs: TaskInput) -> TaskOutcome:
    """Run ``forensics/detect``."""
    from benchmark.views import ORIGINAL

    data = detection_data(inputs)
    tested = scores_under(inputs, data, [ORIGINAL])
    scores = tested.scores[0]
    arrays = {
        "photos": data.test,
        "generated": data.of_test,
        "scores": scores,
        **_threshold(inputs, tested.details),
        **_generators(data),
        **_nearest(inputs, data),
        **_read_otherwise(inputs, data),
        **floor_answers(inputs, data)[0],
    }
    more = {
        AUC.name: {
            **_audit(inputs),
            **tested.details,
            **_operating_points(inputs, data, scores),
            **_calibration(arrays),
            **_by_generator(data, arrays),
        },
        NEAREST.name: {"k": 1, "train_photos": len(data.train)},
    }
    return outcome(DETECT, METRICS, _statistics(arrays), inputs, data.units, arrays, data.details(), more)


def _nearest(inputs: TaskInput, data: DetectionData) -> dict[str, np.ndarray]:
    """Whether the nearest training photo was generated; empty for a detector that is not trained here."""
    from benchmark.knn import nearest
    from benchmark.views import ORIGINAL

    if inputs.given is not None:
        return {}
    collection, queries = (inputs.view(ORIGINAL, at) for at in (data.train, data.test))
    neighbours = nearest(collection, queries[0 : len(data.test)], 1, device=inputs.device).indices[:, 0]
    return {"nearest": data.generated[data.train][neighbours]}


def _read_otherwise(inputs: TaskInput, data: DetectionData) -> dict[str, np.ndarray]:
    """Whether each reader besides the linear layer says that a photo was generated, by the name of its metric."""
    from benchmark.probe import LabelledSplits, labelled_probe
    from benchmark.views import ORIGINAL

    readers = [] if inputs.given is not None else inputs.options.readers.split(",")[1:]
    if not readers:
        return {}
    train, test = (inputs.view(ORIGINAL, at) for at in (data.train, data.test))
    splits = LabelledSplits(
        train,
        data.generated[data.train].astype(np.int64),
        None,
        None,
        test,
        data.of_test.astype(np.int64),
        n_classes=2,
        train_clusters=units_of(inputs, data.train).clusters,
        test_clusters=data.units.clusters,
    )
    answers = {reader: labelled_probe(splits, reader=reader, device=inputs.device) for reader in readers}
    return {f"balanced-{reader}": answer.predicted[0, 0] == 1 for reader, answer in answers.items()}


def _audit(inputs: TaskInput) -> dict[str, Any]:
    """What the headers of the files tell about the class, without any encoder; empty for photos without files.

    Sources are left out: generated photos have sources of their own by definition.
    """
    from benchmark.audit import audit

    if inputs.brief or not inputs.photos.has_pictures:
        return {}
    columns = {name: column for name, column in inputs.photos.columns.items() if name != SOURCE}
    result = audit(dataclasses.replace(inputs.photos, columns=columns), seed=inputs.options.seed, progress=False)
    return {
        "audit": {"flagged": result.verdict.answer == "yes", "verdict": result.verdict.text, "photos": result.photos}
    }


def _statistics(arrays: Answers) -> Statistics:
    from benchmark.detection import auc, balanced_accuracy, difference

    scores, generated = arrays["scores"], arrays["generated"]
    statistics = {
        AUC.name: auc(scores, generated),
        BALANCED.name: balanced_accuracy((scores > 0) == generated, generated),
    }
    if "nearest" in arrays:
        statistics[NEAREST.name] = balanced_accuracy(arrays["nearest"] == generated, generated)
    for metric in OTHER_READERS:
        if metric.name in arrays:
            statistics[metric.name] = balanced_accuracy(arrays[metric.name] == generated, generated)
    if (floor := floor_among(arrays)) is not None:
        statistics[MARGIN.name] = difference(statistics[AUC.name], floor)
    return statistics


def _operating_points(inputs: TaskInput, data: DetectionData, scores: np.ndarray) -> dict[str, Any]:
    """Recall at rates of false alarms with intervals over units."""
    from benchmark.detection import recall_at
    from benchmark.stats import bootstrap_interval

    generated, points = data.of_test, []
    for rate in RATES:
        point = recall_at(scores, generated, rate)
        if point is None:
            continue

        def recall(at: np.ndarray, rate: float = rate) -> float | None:
            again = recall_at(scores[at], generated[at], rate)
            return None if again is None else again.recall

        ends = None if inputs.brief else bootstrap_interval(recall, len(scores), clusters=data.units.clusters)
        points.append(
            {
                "false_alarms": rate,
                "recall": round(point.recall, 6),
                **({"low": round(ends.low, 6), "high": round(ends.high, 6)} if ends else {}),
                "threshold": round(point.threshold, 6),
                "real_photos": int((~generated).sum()),
                "generated_photos": int(generated.sum()),
            }
        )
    return {"recall": points}


def _threshold(inputs: TaskInput, details: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Answers: what is subtracted from the scores of a file; empty for a detector that is trained here."""
    return {"threshold": np.array(details["threshold"])} if inputs.given is not None else {}


def _calibration(arrays: Answers) -> dict[str, float]:
    """The calibration error; empty for scores of a file that are no probabilities."""
    from benchmark.detection import calibration_error

    scores = arrays["scores"].astype(np.float64)
    if "threshold" in arrays:
        probabilities = scores + float(arrays["threshold"])
        if probabilities.min() < -TINY or probabilities.max() > 1 + TINY:
            return {}
        probabilities = np.clip(probabilities, 0, 1)
    else:
        probabilities = 1 / (1 + np.exp(-np.clip(scores, -500, 500)))
    return {"calibration_error": round(calibration_error(probabilities, arrays["generated"]), 6)}


def _generators(data: DetectionData) -> dict[str, np.ndarray]:
    """Answers: the generator of each test photo, and those with enough photos; empty where none are known."""
    if data.generators is None:
        return {}
    tested = frequent_values(data.generators, data, data.generated)
    of_test = data.generators.values[data.test].astype(np.int32)
    return {"generator": of_test, "tested_generators": np.array(tested, np.int32)}


def _by_generator(data: DetectionData, arrays: Answers) -> dict[str, Any]:
    """AUC of each generator against all real test photos."""
    if data.generators is None or not (numbers := _numbers_by_generator(arrays)):
        return {}
    names = [data.generators.names[value] for value in arrays["tested_generators"]]
    return {"by_generator": [{"generator": name, **row} for name, row in zip(names, numbers, strict=True)]}


def _numbers_by_generator(arrays: Answers) -> list[dict[str, Any]]:
    """AUC and number of photos of each tested generator."""
    from benchmark.detection import auc

    rows = []
    for value in arrays.get("tested_generators", ()):
        at = against_real(arrays["generated"], arrays["generator"], int(value))
        of_test = arrays["generated"][at]
        rows.append({"auc": round(auc(arrays["scores"][at], of_test).value, 6), "photos": int(of_test.sum())})
    return rows


def _detect_facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Chance of each metric, recalls, calibration error and numbers of each generator."""
    from benchmark.detection import recall_at

    scores, generated = arrays["scores"], arrays["generated"]
    points = [(rate, point) for rate in RATES if (point := recall_at(scores, generated, rate)) is not None]
    counts = {"real_photos": int((~generated).sum()), "generated_photos": int(generated.sum())}
    details: dict[str, Any] = {
        "recall": [{"false_alarms": rate, "recall": round(point.recall, 6), **counts} for rate, point in points],
        **_calibration(arrays),
    }
    if rows := _numbers_by_generator(arrays):
        details["by_generator"] = rows
    facts = chance_facts(METRICS, arrays)
    return {**facts, AUC.name: with_details(facts[AUC.name], details)}


def _read_detect(arrays: Answers) -> dict[str, PhotoValues]:
    """Values by photo of each metric of ``_run_detect``, from its answers."""
    return photo_values(METRICS, _statistics(arrays), arrays)


DETECT = "forensics/detect"

DETECT_TASK = Task(
    name=DETECT,
    family=FORENSICS,
    title="Detection",
    explain="Generated against real photos, all generators in training.",
    summary="can generated photos be distinguished from real ones?",
    metrics=METRICS,
    recipe=original_views,
    unfit=unfit_for_detection,
    score_views=1,
    run=_run_detect,
    read_answers=_read_detect,
    read_facts=_detect_facts,
)
