"""Task ``retrieval/pairs``: is the nearest photo the other one of the same subject, or one of the same camera?

Pairs of a phone and a camera are ranked here. Sets of any number of groups are in ``group_retrieval``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts, Answers, Family, Metric, PhotoValues
from benchmark.tasks.facts import pair_answers, retrieval_facts
from benchmark.tasks.scenes.cost import group_cost, pairs_cost
from benchmark.tasks.scenes.group_retrieval import (
    GROUP_METRICS,
    group_retrieval_facts,
    read_group_retrieval,
    run_group_retrieval,
)
from benchmark.tasks.scenes.scene_table import unfit_for_scenes
from benchmark.tasks.scores import outcome_of
from benchmark.tasks.task import Clocked, Cost, Task, TaskInput, TaskOutcome
from builders.errors import DataError
from builders.photos import PhotoSet, hash64

if TYPE_CHECKING:
    from benchmark.retrieval import PairAnswers
    from benchmark.views import ViewRecipe

RETRIEVAL = Family(
    name="retrieval",
    title="Camera pairs",
    explain="Recall@1 of the photo of the same subject that was taken with a camera of another type or group.",
    about="acquisition",
    header="pair retrieval",
    layout="metrics",
    panel="plane",
    panel_title="Pairs: below the line, the camera distracts",
    axes=("recall@1, distractors of the other camera, %", "recall@1, distractors of\nthe query's camera, %"),
    plane=("same", "different"),
    counts="scenes",
    hub_id="paircams-retrieval",
)

SHOWN = 12
"""Most lost queries that a result names."""

_CHANCE = "one target among as many candidates as there are pairs"

METRICS = (
    Metric(
        name="same",
        title="Recall, same",
        explain="Every distractor comes from the target's camera type or group, another one than the query's (easy).",
        kind="accuracy",
        chance=_CHANCE,
    ),
    Metric(
        name="different",
        title="Recall, different",
        explain="Every distractor comes from the query's own camera type or group (hard).",
        kind="accuracy",
        chance=_CHANCE,
        headline=True,
    ),
    Metric(
        name="spd",
        title="SPD",
        explain="Semantic prediction distraction, signed: same minus different, what the camera moves.",
        kind="difference",
        chance="0",
        unit="points",
        summary="SPD",
        difference_of=("same", "different"),
        if_positive="recall is lower among distractors of the query's own camera type or group",
    ),
    Metric(
        name="all",
        title="Recall, all",
        explain="Plain retrieval: every other photo is a candidate, whatever its camera.",
        kind="accuracy",
        chance="one target among all other photos",
        main=False,
    ),
    *(
        Metric(f"{where}-{what}", f"{words}, {where}", f"{words} of {where}.", "accuracy", _CHANCE, main=False)
        for what, words in (("at-5", "Recall@5"), ("mrr", "Mean reciprocal rank"))
        for where in ("same", "different")
    ),
    *GROUP_METRICS,
)
"""Metrics of the task. Further metrics, ``same-to-TYPE`` and ``different-to-TYPE``, are of one direction each."""


def run_retrieval(inputs: TaskInput) -> TaskOutcome:
    """Run ``retrieval/pairs``: on all groups, or on all complete pairs of two types of cameras.

    Pairs that lack a photo are left out and counted.

    Raises:
        DataError: no pair is complete.
    """
    from benchmark.compute import exact_device
    from benchmark.retrieval import pair_retrieval
    from benchmark.stats import units_of_pairs
    from benchmark.views import ORIGINAL

    if not _in_twos(inputs.photos):
        return run_group_retrieval(inputs)
    usable = np.flatnonzero(inputs.usable)
    _, of_pair, counts = np.unique(inputs.photos.columns["pair_id"][usable], return_inverse=True, return_counts=True)
    complete = usable[counts[of_pair] == 2]
    if not len(complete):
        raise DataError(f"{inputs.photos.name}: no pair has both of its photos")
    embeddings = inputs.view(ORIGINAL, complete)[0 : len(complete)]
    answers = pair_retrieval(
        embeddings,
        inputs.photos.columns["pair_id"][complete],
        inputs.photos.columns["camera_type"][complete],
        device=exact_device(inputs.device),
    )
    incomplete = int((counts != 2).sum())
    order = np.argsort(inputs.photos.columns["pair_id"][complete], kind="stable").reshape(-1, 2)
    units = units_of_pairs(inputs.photos.columns, *complete[order].T)
    arrays = {
        "nearer": answers.nearer,
        "tied": answers.tied,
        "pair_ids": np.array([str(pair) for pair in answers.pair_ids]),
        "camera_types": np.array([str(name) for name in answers.camera_types]),
    }
    lost = {"lost": {"shown": _lost(inputs, complete, embeddings, answers)}}
    return outcome_of(
        "retrieval/pairs",
        inputs,
        arrays,
        units,
        read_answers=_read_retrieval,
        read_facts=_facts,
        details={"": {"pairs_left_out": incomplete, "unit": units.rule}, "different": lost},
    )


def _lost(
    inputs: TaskInput, complete: np.ndarray, embeddings: np.ndarray, answers: PairAnswers
) -> list[dict[str, Any]]:
    """Examples of queries with a nearer distractor of their camera type than the target.

    There are at most ``SHOWN``, drawn by a hash of the ids, equal for every encoder. Queries whose target is
    the nearest among distractors of the other type come first: they are lost only because of the camera.
    """
    from benchmark.compute import exact_device
    from benchmark.retrieval import nearest_of_same_type

    by_camera = answers.lost_by_camera
    order = sorted(
        ((int(direction), int(pair)) for direction, pair in np.argwhere(answers.lost)),
        key=lambda at: (
            not by_camera[at],
            hash64(f"lost\0{inputs.options.seed}\0{answers.pair_ids[at[1]]}\0{answers.camera_types[at[0]]}"),
        ),
    )[:SHOWN]
    pair_ids, types = (inputs.photos.columns[name][complete] for name in ("pair_id", "camera_type"))
    device = exact_device(inputs.device)
    examples = nearest_of_same_type(embeddings, pair_ids, types, order, device=device) if order else []
    return [
        {
            "query": inputs.photos.ids[complete[example.query]],
            "target": inputs.photos.ids[complete[example.target]],
            "distractor": inputs.photos.ids[complete[example.distractor]],
            "camera": str(answers.camera_types[direction]),
            "target_camera": str(answers.camera_types[1 - direction]),
            "target_similarity": example.target_similarity,
            "distractor_similarity": example.distractor_similarity,
            "by_camera": bool(by_camera[direction, pair]),
        }
        for (direction, pair), example in zip(order, examples, strict=True)
    ]


def _read_retrieval(arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Values by pair or scene of ``run_retrieval``; older versions did not store the types, which name directions."""
    if "pair_ids" not in arrays:
        return read_group_retrieval(arrays)
    pairs, answers = arrays["pair_ids"], pair_answers(arrays)
    known = {metric.name for metric in METRICS}
    return {
        name: PhotoValues(pairs, values, _bounds(name), arrays.get("clusters"))
        for name, values in answers.per_pair().items()
        if name in known or "camera_types" in arrays
    }


def _bounds(name: str) -> tuple[float, float]:
    return next((metric.bounds for metric in METRICS if metric.name == name), (0.0, 1.0))


def _facts(arrays: Answers) -> dict[str, AnswerFacts]:
    return retrieval_facts(arrays) if "pair_ids" in arrays else group_retrieval_facts(arrays)


def _in_twos(photos: PhotoSet) -> bool:
    """Whether photos are pairs of two types of cameras."""
    return not _not_in_twos(photos)


def _not_in_twos(photos: PhotoSet) -> str:
    if "pair_id" not in photos.columns or "camera_type" not in photos.columns:
        return "its photos do not come in pairs"
    if len(np.unique(photos.columns["camera_type"])) != 2:
        return "its pairs need photos of two camera types"
    counts = np.unique(photos.columns["pair_id"], return_counts=True)[1]
    return "its photos do not come in twos" if counts.max() > 2 or not (counts == 2).any() else ""


def _unfit(photos: PhotoSet) -> str:
    reason = _not_in_twos(photos)
    if not reason or not photos.groups:
        return reason
    return unfit_for_scenes(photos)


def _cost(inputs: TaskInput, dimension: int, clocked: Clocked) -> Cost:
    return (pairs_cost if _in_twos(inputs.photos) else group_cost)(inputs, dimension, clocked)


def _recipe(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import PlainViews

    return PlainViews()


RETRIEVAL_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        task.name: task
        for task in (
            Task(
                name="retrieval/pairs",
                family=RETRIEVAL,
                title="Pairs",
                explain="Which photo shows the query's subject, taken with another type of camera or by another group.",
                summary="do distractors from the query's own kind of camera push its target away?",
                metrics=METRICS,
                recipe=_recipe,
                unfit=_unfit,
                run=run_retrieval,
                read_answers=_read_retrieval,
                read_facts=_facts,
                growth="pairs",
                cost=_cost,
                most_unlisted=5 * 31,  # metrics of the pairs that differ in some of five groups
            ),
        )
    }
)
"""Every retrieval task, by name."""
