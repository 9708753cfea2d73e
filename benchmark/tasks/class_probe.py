"""What a linear probe reads of the picture's class, photos as they are: the other half of what erasing may cost."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from benchmark.results import Metric, PhotoValues
from benchmark.tasks.knn import PLAIN, labelled, unfit_for_plain_knn
from benchmark.tasks.processing_probe import plain_views, train_and_test
from benchmark.tasks.scores import score_of, ungrouped
from benchmark.tasks.task import Task, TaskInput, TaskOutcome

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
    from benchmark.views import ORIGINAL

    values = given.photos.labels.values
    train, test = (labelled(part, given.photos) for part in train_and_test(given))
    n_classes = len(given.photos.labels.names)
    splits = LabelledSplits(
        given.view(ORIGINAL, train), values[train], None, None, given.view(ORIGINAL, test), values[test], n_classes
    )
    answers = labelled_probe(splits, protocol=given.options.protocol, device=given.device)
    score = score_of(
        LINEAR_SEMANTICS,
        ACCURACY.name,
        given,
        answers.photo_accuracy,
        ungrouped(given, test),
        value=answers.accuracy,
        chance=answers.chance,
        details={"classes": n_classes, **answers.details()},
    )
    return TaskOutcome((score,), {"predicted": answers.predicted, "expected": answers.expected, "photos": test})


def read_linear_semantics(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Right or not by photo of ``run_linear_semantics``."""
    right = (kept["predicted"] == kept["expected"]).mean(axis=(0, 1))
    return {ACCURACY.name: PhotoValues(kept["photos"], right, ACCURACY.bounds)}


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
            recipe=plain_views,
            unfit=unfit_for_plain_knn,
            run=run_linear_semantics,
            read_answers=read_linear_semantics,
            by_name=True,
        )
    }
)
"""The linear probe of the class, by name; plain runs leave it out."""
