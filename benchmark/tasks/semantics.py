"""What a linear probe reads of the picture's class, photos as they are: the other half of what erasing may cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Metric, PhotoValues, Score
from benchmark.tasks.neighbours import PLAIN
from benchmark.tasks.processing import train_and_test, unfit_for_splits, upright
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.photos import UNLABELLED, PhotoSet

if TYPE_CHECKING:
    from benchmark.views import ViewRecipe

ACCURACY = Metric(
    name="accuracy",
    title="class, linear probe",
    explain="Share of test photos whose class a linear probe names, photos as they are.",
    kind="accuracy",
    chance="one over the number of classes",
    headline=True,
)


def run_linear_semantics(given: TaskInput) -> TaskOutcome:
    """``linear/original``: train photos with their classes, test photos as they are."""
    from benchmark.probe import LabelledSplits, labelled_probe
    from benchmark.stats import photo_interval
    from benchmark.views import ORIGINAL

    values = given.photos.labels.values
    train, test = (part[values[part] != UNLABELLED] for part in train_and_test(given))
    n_classes = len(given.photos.labels.names)
    splits = LabelledSplits(
        given.view(ORIGINAL, train), values[train], None, None, given.view(ORIGINAL, test), values[test], n_classes
    )
    answers = labelled_probe(splits, protocol=given.options.protocol, device=given.device)
    ends = photo_interval(answers.photo_accuracy, resamples=given.options.resamples)
    score = Score(
        task=LINEAR_SEMANTICS,
        data=given.photos.name,
        metric=ACCURACY.name,
        value=answers.accuracy,
        low=ends.low,
        high=ends.high,
        n=len(test),
        chance=answers.chance,
        details={"classes": n_classes, **answers.details()},
    )
    return TaskOutcome((score,), {"predicted": answers.predicted, "expected": answers.expected, "photos": test})


def read_linear_semantics(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Right or not by photo of ``run_linear_semantics``."""
    right = (kept["predicted"] == kept["expected"]).mean(axis=(0, 1))
    return {ACCURACY.name: PhotoValues(kept["photos"], right, ACCURACY.bounds)}


def _unfit(photos: PhotoSet) -> str:
    if photos.stored_views:
        return "it stores photos that are processed already"
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_splits(photos)


def _recipe(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import PlainViews

    return PlainViews(upright(options))


LINEAR_SEMANTICS = "linear/original"

SEMANTICS_TASKS: Mapping[str, Task] = MappingProxyType(
    {
        LINEAR_SEMANTICS: Task(
            name=LINEAR_SEMANTICS,
            family=PLAIN,
            title="Original, linear",
            explain="The picture's class among photos as they are, by a linear probe.",
            summary="does a linear probe find the picture's class, photos as they are?",
            metrics=(ACCURACY,),
            recipe=_recipe,
            unfit=_unfit,
            run=run_linear_semantics,
            read_answers=read_linear_semantics,
            by_name=True,
        )
    }
)
"""The linear probe of the class, by name; plain runs leave it out."""
