"""Linear probe of the picture's class, on unprocessed photos: besides plain kNN, a measure of what erasing costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from benchmark.results import AnswerFacts, Answers, Metric
from benchmark.tasks.facts import labelled_facts, read_labelled_probe
from benchmark.tasks.knn import PLAIN, labelled, unfit_for_plain_knn
from benchmark.tasks.processing_probe import plain_views, probe_outcome, train_and_test
from benchmark.tasks.scores import units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome

ACCURACY = Metric(
    name="accuracy",
    title="class, linear probe",
    explain="Share of test photos whose class a linear probe names, photos as they are.",
    kind="accuracy",
    chance="one over the number of classes",
    headline=True,
)


def _run_linear_semantics(inputs: TaskInput) -> TaskOutcome:
    """Run ``linear/original``: a probe of the picture's class, trained and tested on unprocessed photos."""
    from benchmark.probe import LabelledSplits, labelled_probe
    from benchmark.views import ORIGINAL

    values = inputs.photos.labels.values
    train, test = (labelled(part, inputs.photos) for part in train_and_test(inputs))
    n_classes = len(inputs.photos.labels.names)
    units = units_of(inputs, test)
    splits = LabelledSplits(
        train_x=inputs.view(ORIGINAL, train),
        train_y=values[train],
        val_x=None,
        val_y=None,
        test_x=inputs.view(ORIGINAL, test),
        test_y=values[test],
        n_classes=n_classes,
        train_clusters=units_of(inputs, train).clusters,
        test_clusters=units.clusters,
    )
    answers = labelled_probe(splits, protocol=inputs.options.protocol, device=inputs.device)
    arrays = {"expected": answers.expected, "photos": test, "classes": np.array(n_classes)}
    return probe_outcome(LINEAR_SEMANTICS, inputs, units, {ACCURACY.name: answers}, arrays, _facts, {}, {})


def _facts(arrays: Answers) -> dict[str, AnswerFacts]:
    """Without what concerns traces: the p-value against chance, and the most frequent class."""
    facts = labelled_facts(arrays)[ACCURACY.name]
    details = {name: value for name, value in facts.details.items() if name != "most_frequent_class"}
    return {ACCURACY.name: replace(facts, guess=None, details=details)}


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
            run=_run_linear_semantics,
            read_answers=read_labelled_probe,
            read_facts=labelled_facts,
            by_name=True,
        )
    }
)
"""The linear probe of the class, by name; runs without patterns leave it out."""
