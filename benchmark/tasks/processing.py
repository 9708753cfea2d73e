"""The processing half: what a linear probe reads of each parameter, and how far neighbours follow it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from benchmark.knn import SETUPS, knn_setups
from benchmark.options import RunOptions
from benchmark.probe import processing_probe
from benchmark.results import Score
from benchmark.stats import photo_interval
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from benchmark.views import ProcessingViews, StoredViews, ViewRecipe
from builders.errors import DataError
from builders.photos import SPLITS, UNLABELLED, PhotoSet
from builders.pixels import PARAMETERS, Parameter, assigned_class


def assignments(photo_ids: list[str], parameter: Parameter, seeds: int) -> np.ndarray:
    """int64 [seeds, photos]: the class of each photo under assignment seeds 0, 1, ... (``assigned_class``)."""
    return np.array([[assigned_class(i, parameter, seed) for i in photo_ids] for seed in range(seeds)], dtype=np.int64)


def run_probe(parameter: Parameter, given: TaskInput) -> TaskOutcome:
    """``probe/<parameter>``: train photos in one random class each, test photos in every class."""
    train, test = _splits(given)
    answers = processing_probe(
        [given.view(name, train) for name in parameter.processings],
        [given.view(name, test) for name in parameter.processings],
        assignments([given.photos.ids[i] for i in train], parameter, given.options.assignment_seeds),
        protocol=given.options.protocol,
        device=given.device,
    )
    ends = photo_interval(answers.photo_accuracy, resamples=given.options.resamples)
    score = Score(
        task=f"probe/{parameter.name}",
        data=given.photos.name,
        metric="accuracy",
        value=answers.accuracy,
        low=ends.low,
        high=ends.high,
        n=len(test),
        chance=parameter.chance,
        details={"classes": len(parameter.classes), "class_names": list(parameter.classes), **answers.details()},
    )
    return TaskOutcome(
        (score,), {f"probe/{parameter.name}/predicted": answers.predicted, f"probe/{parameter.name}/photos": test}
    )


def run_knn(parameter: Parameter, given: TaskInput) -> TaskOutcome:
    """``knn/<parameter>``: accuracy of the picture's class in the six set-ups."""
    train, test = (_labelled(indices, given.photos) for indices in _splits(given))
    k = given.options.neighbours or given.photos.neighbours
    seeds = given.options.assignment_seeds
    answers = knn_setups(
        [given.view(name, train) for name in parameter.processings],
        [given.view(name, test) for name in parameter.processings],
        given.photos.labels.values[train],
        given.photos.labels.values[test],
        train_assignments=assignments([given.photos.ids[i] for i in train], parameter, seeds),
        test_assignments=assignments([given.photos.ids[i] for i in test], parameter, seeds),
        k=k,
        device=given.device,
    )
    per_photo = answers.per_photo()
    per_photo["spd"] = per_photo["pos-same"] - per_photo["neg-same"]
    ties = answers.ties
    scores = []
    for metric, values in per_photo.items():
        bounds = (-1.0, 1.0) if metric == "spd" else (0.0, 1.0)
        ends = photo_interval(values, bounds=bounds, resamples=given.options.resamples)
        details: dict[str, object] = {"k": k, "train_photos": len(train)}
        if metric in SETUPS:
            details["tied_votes"] = answers.tied_share[metric]
        if metric in ties:
            details["ties"] = ties[metric]._asdict()
        if metric in answers.seed_values:
            details["accuracy_by_seed"] = [round(float(v), 6) for v in answers.seed_values[metric]]
        scores.append(
            Score(
                task=f"knn/{parameter.name}",
                data=given.photos.name,
                metric=metric,
                value=float(values.mean()),
                low=ends.low,
                high=ends.high,
                n=len(test),
                chance=0.0 if metric == "spd" else answers.chance,
                details=details,
            )
        )
    name = f"knn/{parameter.name}"
    kept = {f"{name}/correct": answers.correct, f"{name}/combinations": answers.combinations, f"{name}/photos": test}
    kept |= {f"{name}/{rule}": getattr(answers, rule) for rule in ("least", "greatest", "random")}
    return TaskOutcome(tuple(scores), kept)


def _splits(given: TaskInput) -> tuple[np.ndarray, np.ndarray]:
    train, test = given.indices("train"), given.indices("val")
    if not len(train) or not len(test):
        raise DataError(f"{given.photos.name} has {len(train)} usable photos in train and {len(test)} in val")
    return train, test


def _labelled(indices: np.ndarray, photos: PhotoSet) -> np.ndarray:
    return indices[photos.labels.values[indices] != UNLABELLED]


def _unfit_for_probe(parameter: Parameter, photos: PhotoSet) -> str:
    if photos.stored_views and not set(parameter.processings) <= set(photos.stored_views):
        return f"it stores photos that are processed already, and not in the classes of {parameter.name}"
    missing = [s for s in ("train", "val") if not (photos.splits == SPLITS.index(s)).any()]
    return f"it has no photo in {' and '.join(missing)}" if missing else ""


def _unfit_for_knn(parameter: Parameter, photos: PhotoSet) -> str:
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return _unfit_for_probe(parameter, photos)


def _recipe(parameter: Parameter, photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    if photos.stored_views:
        return StoredViews(parameter.processings, photos.stored_views)
    return ProcessingViews(parameter.processings, options.seed)


def _tasks() -> dict[str, Task]:
    probes = [
        Task(
            name=f"probe/{p.name}",
            summary=f"can a linear probe tell {', '.join(p.classes)} apart?",
            metrics=("accuracy",),
            recipe=partial(_recipe, p),
            unfit=partial(_unfit_for_probe, p),
            run=partial(run_probe, p),
        )
        for p in PARAMETERS.values()
    ]
    neighbours = [
        Task(
            name=f"knn/{p.name}",
            summary=f"does {p.name} decide which photos are nearest?",
            metrics=(*SETUPS, "spd"),
            recipe=partial(_recipe, p),
            unfit=partial(_unfit_for_knn, p),
            run=partial(run_knn, p),
        )
        for p in PARAMETERS.values()
    ]
    return {task.name: task for task in (*probes, *neighbours)}


PROCESSING_TASKS: Mapping[str, Task] = MappingProxyType(_tasks())
"""Every task on processing parameters by name."""
