"""Pair retrieval: does a photo find the other photo of its subject, or the photos of its own kind of camera?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.retrieval import pair_retrieval
from benchmark.stats import photo_interval
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from benchmark.views import PlainViews
from builders.errors import DataError
from builders.photos import PhotoSet

TASK = "retrieval/pairs"
METRICS = ("same", "different", "spd", "same-at-5", "different-at-5", "same-mrr", "different-mrr")
"""Further metrics, ``same-to-TYPE`` and ``different-to-TYPE``, give each direction by itself."""

DIFFERENCES = frozenset({"spd"})


def run_retrieval(given: TaskInput) -> TaskOutcome:
    """``retrieval/pairs`` over all complete pairs; a pair that lost a photo is left out and counted."""
    usable = np.flatnonzero(given.usable)
    _, of_pair, counts = np.unique(given.photos.columns["pair_id"][usable], return_inverse=True, return_counts=True)
    whole = usable[counts[of_pair] == 2]
    if not len(whole):
        raise DataError(f"{given.photos.name}: no pair has both of its photos")
    answers = pair_retrieval(
        given.view("photo", whole)[0 : len(whole)],
        given.photos.columns["pair_id"][whole],
        given.photos.columns["camera_type"][whole],
        device=given.device,
    )
    incomplete = int((counts != 2).sum())
    scores = []
    for metric, values in answers.per_pair().items():
        bounds = (-1.0, 1.0) if metric in DIFFERENCES else (0.0, 1.0)
        ends = photo_interval(values, bounds=bounds, resamples=given.options.resamples)
        scores.append(
            Score(
                task=TASK,
                data=given.photos.name,
                metric=metric,
                value=float(values.mean()),
                low=ends.low,
                high=ends.high,
                n=answers.n,
                chance=answers.chance[metric],
                details={"queries": 2 * answers.n, "pairs_left_out": incomplete, "unit": "pair"},
            )
        )
    kept = {
        f"{TASK}/nearer": answers.nearer,
        f"{TASK}/tied": answers.tied,
        f"{TASK}/pair_ids": np.array([str(pair) for pair in answers.pair_ids]),
    }
    return TaskOutcome(tuple(scores), kept)


def _unfit(photos: PhotoSet) -> str:
    if "pair_id" not in photos.columns or "camera_type" not in photos.columns:
        return "its photos do not come in pairs"
    if len(np.unique(photos.columns["camera_type"])) != 2:
        return "its pairs need photos of two camera types"
    counts = np.unique(photos.columns["pair_id"], return_counts=True)[1]
    return "its photos do not come in twos" if counts.max() > 2 or not (counts == 2).any() else ""


def _recipe(photos: PhotoSet, options: RunOptions) -> PlainViews:
    return PlainViews()


RETRIEVAL_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        TASK: Task(
            name=TASK,
            summary="do distractors from the query's own kind of camera push its target away?",
            metrics=METRICS,
            recipe=_recipe,
            unfit=_unfit,
            run=run_retrieval,
            of_cameras=True,
        )
    }
)
"""Every retrieval task by name."""
