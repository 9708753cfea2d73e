"""Probes of processing parameters: how well a reader predicts the processing of a photo from its embedding."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import FactsReader, Family, Metric
from benchmark.tasks.facts import processing_facts, read_probe
from benchmark.tasks.scores import outcome_of, units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome, of_each_parameter
from builders.errors import DataError
from builders.photos import SPLITS, PhotoSet
from builders.pixels import BUILT_IN, Parameter, assigned_classes

if TYPE_CHECKING:
    from benchmark.probe import ProbeAnswers
    from benchmark.stats import ErrorUnits
    from benchmark.views import ViewRecipe

PROCESSING = Family(
    name="processing",
    title="Processing probes",
    explain="Accuracy of a linear probe that reads how a photo was processed from its embedding.",
    about="processing",
    header="linear probe",
    layout="scores",
    panel="intervals",
    panel_title="Processing: what the embedding tells",
    axes=("accuracy of a linear probe, %",),
    probed=True,
    hub_id="{subject}-probe",
)

ACCURACY = Metric(
    name="accuracy",
    title="accuracy",
    explain="Share of test views whose class the probe names: a part of MP, metadata prediction (arXiv 2608.05424).",
    kind="trace",
    chance="one over the number of classes",
    summary="MP",
    headline=True,
)
"""Metric of every probe."""

OTHER_READERS = (
    Metric(
        name="accuracy-knn",
        title="accuracy, kNN reads",
        explain="The same share where the nearest train photos read the trace instead of a linear layer.",
        kind="trace",
        chance="one over the number of classes",
        main=False,
    ),
    Metric(
        name="accuracy-mlp",
        title="accuracy, MLP reads",
        explain="The same share where a network of one hidden layer reads the trace instead of a linear layer.",
        kind="trace",
        chance="one over the number of classes",
        main=False,
    ),
)
"""Metrics of the other readers of ``--readers``; ``accuracy`` is that of the linear probe."""


def other_readers(options: RunOptions) -> dict[str, str]:
    """Requested readers other than the linear probe, by the name of their metric."""
    return {f"{ACCURACY.name}-{reader}": reader for reader in options.readers.split(",")[1:]}


def probe_outcome(
    task: str,
    inputs: TaskInput,
    units: ErrorUnits,
    answers: Mapping[str, ProbeAnswers],
    arrays: Mapping[str, np.ndarray],
    read_facts: FactsReader,
    shared: Mapping[str, Any],
    more: Mapping[str, Any],
) -> TaskOutcome:
    """The scores of a probe and of the other readers.

    Args:
        task: its name.
        inputs: of the task.
        units: which test photos err together.
        answers: of each reader by its metric, that of the linear probe first.
        arrays: answers of the task but for the predictions.
        read_facts: of the task.
        shared: details of every score.
        more: further ones of the linear probe.
    """
    predicted = {f"predicted{metric.removeprefix(ACCURACY.name)}": read.predicted for metric, read in answers.items()}
    details = {metric: read.details() for metric, read in answers.items()}
    return outcome_of(
        task,
        inputs,
        {**predicted, **arrays},
        units,
        read_answers=read_probe,
        read_facts=read_facts,
        values={metric: read.accuracy for metric, read in answers.items()},
        details={"": shared, **details, ACCURACY.name: {**more, **details[ACCURACY.name]}},
    )


def assignments(photos: PhotoSet, at: np.ndarray, parameter: Parameter, seeds: int) -> np.ndarray:
    """int64 [seeds, photos], the class (``assigned_class``) of the photos at indices ``at`` for seeds 0, 1, ...; cached
    for all encoders and tasks on the photos."""
    return _all_assignments(photos.ids, parameter, seeds)[:, at].astype(np.int64)


@functools.lru_cache(maxsize=8)
def _all_assignments(photo_ids: tuple[str, ...], parameter: Parameter, seeds: int) -> np.ndarray:
    """Classes of all photos of a set, one byte each for up to 256 classes."""
    small = np.uint8 if len(parameter.classes) <= 256 else np.uint16
    return np.stack([assigned_classes(photo_ids, parameter, seed).astype(small) for seed in range(seeds)])


def run_processing_probe(parameter: Parameter, inputs: TaskInput) -> TaskOutcome:
    """Run ``probe/<parameter>``: each train photo in one random class, each test photo in every class."""
    from benchmark.probe import processing_curve, processing_probe, processing_spread

    train, test = train_and_test(inputs)
    data = (
        [inputs.view(name, train) for name in parameter.processings],
        [inputs.view(name, test) for name in parameter.processings],
        assignments(inputs.photos, train, parameter, inputs.options.assignment_seeds),
    )
    how: dict[str, Any] = {"protocol": inputs.options.protocol, "device": inputs.device}
    how["clusters"] = units_of(inputs, train).clusters
    answers = processing_probe(*data, **how)
    units = units_of(inputs, test)
    arrays: dict[str, np.ndarray] = {"photos": test}
    more: dict[str, Any] = {}
    if not inputs.brief:
        curve = processing_curve(*data, whole=answers, test_clusters=units.clusters, **how)
        arrays |= curve.arrays()
        more["learning_curve"] = curve.sizes()
        more["training_spread"] = processing_spread(*data, whole=answers, **how).details()
    others = {name: processing_probe(*data, reader=r, **how) for name, r in other_readers(inputs.options).items()}
    readers = {ACCURACY.name: answers, **others}
    shared = {"class_names": list(parameter.classes)}
    return probe_outcome(f"probe/{parameter.name}", inputs, units, readers, arrays, processing_facts, shared, more)


def train_and_test(inputs: TaskInput) -> tuple[np.ndarray, np.ndarray]:
    """int64 indices of the usable train and val photos; processing probes and kNN tasks are tested on val.

    Raises:
        DataError: one of them is empty.
    """
    train, test = inputs.indices("train"), inputs.indices("val")
    if not len(train) or not len(test):
        raise DataError(f"{inputs.photos.name} has {len(train)} usable photos in train and {len(test)} in val")
    return train, test


def unfit_for_processing(parameter: Parameter, photos: PhotoSet) -> str:
    """Why a parameter's tasks cannot be run on these photos; empty if they can."""
    if photos.stored_views and not set(parameter.processings) <= set(photos.stored_views):
        return f"it stores photos that are processed already, and not in the classes of {parameter.name}"
    return unfit_for_splits(photos)


def unfit_for_splits(photos: PhotoSet) -> str:
    """Why these photos cannot be used for training and test; empty if they can."""
    missing = [s for s in ("train", "val") if not (photos.splits == SPLITS.index(s)).any()]
    return f"it has no photo in {' and '.join(missing)}" if missing else ""


def processing_views(parameter: Parameter, photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    """The classes of a parameter as views, which are made from photos or read from a built set."""
    from benchmark.views import ProcessingViews, StoredViews

    if photos.stored_views:
        return StoredViews(parameter.processings, photos.stored_views)
    return ProcessingViews(parameter.processings, options.seed, upright(options))


def plain_views(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    """Recipe of unprocessed photos."""
    from benchmark.views import PlainViews

    return PlainViews(upright(options))


def upright(options: RunOptions) -> bool:
    """Whether the Exif orientation is applied to photos that are processed, and to unprocessed ones for kNN."""
    return options.orientation == "upright"


@functools.lru_cache(maxsize=1024)
def parameter_probe(p: Parameter) -> Task:
    """``probe/<parameter>``."""
    return Task(
        name=f"probe/{p.name}",
        family=PROCESSING,
        title=p.title or p.name,
        explain=p.explain or f"Which class of {p.name}.",
        summary=f"can a linear probe tell {', '.join(p.classes)} apart?",
        metrics=(ACCURACY, *OTHER_READERS),
        recipe=partial(processing_views, p),
        unfit=partial(unfit_for_processing, p),
        with_processings=of_each_parameter(parameter_probe),
        by_name=p.by_name,
        run=partial(run_processing_probe, p),
        read_answers=read_probe,
        read_facts=processing_facts,
    )


PROCESSING_PROBES: Mapping[str, Task] = MappingProxyType(
    {f"probe/{n}": parameter_probe(p) for n, p in BUILT_IN.items()}
)
"""A probe of every built-in parameter, by name."""
