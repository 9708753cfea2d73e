"""Probes of acquisition attributes: how well a reader predicts how a photo was taken, with most of the photo masked."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family
from benchmark.tasks.facts import labelled_facts, read_labelled_probe
from benchmark.tasks.processing_probe import ACCURACY, OTHER_READERS, other_readers, probe_outcome
from benchmark.tasks.scores import interval_of, units_of
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.errors import DataError
from builders.exif import ATTRIBUTES, column_spelling
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet
from builders.pixels import CenterMask

if TYPE_CHECKING:
    from benchmark.probe import Among, LabelledSplits, ProbeAnswers, Rows, SharedRows, SharedSplits
    from benchmark.stats import ErrorUnits
    from benchmark.views import ViewRecipe


class SplitPart(NamedTuple):
    """Photos of one split and their classes."""

    photos: np.ndarray
    """int64 indices."""
    classes: np.ndarray
    """int64, 0 to number of classes - 1."""


def attribute_labels(photos: PhotoSet, attribute: str) -> Labels | None:
    """The labels of an attribute, by the spelling of its task or of its column; None if photos have none."""
    return photos.attributes.get(attribute) or photos.attributes.get(column_spelling(attribute))


def parts_of(inputs: TaskInput, labels: Labels) -> tuple[tuple[str, ...], SplitPart, SplitPart, SplitPart]:
    """Names of the classes in training, and labelled photos of train, val and test; without test photos, val is test.

    Raises:
        DataError: there are fewer than two classes in training, or no test photo.
    """
    splits = {s: inputs.indices(s) for s in SPLITS}
    splits = {s: i[labels.values[i] != UNLABELLED] for s, i in splits.items()}
    if not len(splits["test"]):
        splits = {"train": splits["train"], "val": splits["test"], "test": splits["val"]}
    known = np.unique(labels.values[splits["train"]])
    if len(known) < 2 or not len(splits["test"]):
        raise DataError(
            f"{inputs.photos.name}: {len(known)} classes among the usable train photos and {len(splits['test'])} test "
            "photos, a probe needs at least 2 classes and 1 test photo"
        )
    code = np.full(len(labels.names), UNLABELLED)
    code[known] = np.arange(len(known))
    parts = []
    for indices in splits.values():
        classes = code[labels.values[indices]]
        parts.append(SplitPart(indices[classes != UNLABELLED], classes[classes != UNLABELLED]))
    train, val, test = parts
    return tuple(labels.names[i] for i in known), train, val, test


def labelled_splits(
    rows: Mapping[str, Rows],
    parts: Mapping[str, SplitPart],
    n_classes: int,
    clusters: Mapping[str, np.ndarray | None],
) -> LabelledSplits:
    """Input of a labelled probe: embeddings, classes and clusters of train, val (None if it is empty) and test."""
    from benchmark.probe import LabelledSplits

    train, val, test = (parts[split] for split in SPLITS)
    has_val = len(val.photos) > 0
    return LabelledSplits(
        train_x=rows["train"],
        train_y=train.classes,
        val_x=rows["val"] if has_val else None,
        val_y=val.classes if has_val else None,
        test_x=rows["test"],
        test_y=test.classes,
        n_classes=n_classes,
        train_clusters=clusters["train"],
        val_clusters=clusters["val"] if has_val else None,
        test_clusters=clusters["test"],
    )


class _AllPhotos(NamedTuple):
    """The photos of all attributes of a photo set."""

    trained: np.ndarray
    """int64, ascending indices of photos that at least one attribute is trained on."""
    order: np.ndarray
    """int64, indices into ``trained``: train photos first, then val photos."""
    tested: np.ndarray
    """int64, ascending indices of photos that at least one attribute is tested on."""
    classes: int
    """Sum of the numbers of classes."""


def _all_photos(inputs: TaskInput) -> _AllPhotos:
    """The same for every attribute, whichever are requested, so that no bit of a score depends on other tasks."""
    used = np.zeros((len(SPLITS), len(inputs.photos)), dtype=bool)
    classes = 0
    for attribute in ATTRIBUTES.values():
        labels = attribute_labels(inputs.photos, attribute.task)
        if labels is not None and len(labels.names) > 1:
            with contextlib.suppress(DataError):  # the attribute cannot be used
                names, *parts = parts_of(inputs, labels)
                classes += len(names)
                for split, part in zip(used, parts, strict=True):
                    split[part.photos] = True
    train, val, test = used
    trained = np.flatnonzero(train | val)
    return _AllPhotos(trained, np.argsort(~train[trained], kind="stable"), np.flatnonzero(test), classes)


def among_all_photos(inputs: TaskInput, view: str, parts: Mapping[str, SplitPart]) -> Among | None:
    """Positions of an attribute's photos among those of all attributes; None if embeddings are erased.

    An eraser may need labels that only some photos have.
    """
    from benchmark.probe import Among, SharedRows

    if inputs.eraser is not None:
        return None
    every = inputs.shared.get("all photos", lambda: _all_photos(inputs))

    def all_of_view() -> SharedRows:
        return SharedRows(inputs.view(view, every.trained), inputs.view(view, every.tested), every.order, every.classes)

    trained = [np.searchsorted(every.trained, parts[split].photos) for split in ("train", "val")]
    tested = np.searchsorted(every.tested, parts["test"].photos)
    return Among(inputs.shared.get(("together", view), all_of_view), np.concatenate(trained), tested)


ACQUISITION = Family(
    name="acquisition",
    title="Acquisition probes",
    explain="Accuracy of a linear probe that reads how a photo was taken from its embedding, most of it hidden.",
    about="acquisition",
    header="linear probe",
    layout="scores",
    whole="labelled",
    panel="intervals",
    panel_title="Acquisition: what the embedding tells",
    axes=("accuracy of a linear probe, %",),
    probed=True,
    hub_id="{subject}-probe",
)


def _run_acquisition_probe(attribute: str, inputs: TaskInput) -> TaskOutcome:
    """Run ``probe/<attribute>`` with its controls, on the train, val and test photos of the data set."""
    from benchmark.probe import SharedSplits, in_solver_space, labelled_curve, labelled_probe, labelled_spread

    labels = attribute_labels(inputs.photos, attribute)
    assert labels is not None
    names, train, val, test = parts_of(inputs, labels)
    view = "masked" if inputs.options.mask_ratio else "whole"
    n_classes = len(names)

    parts = {"train": train, "val": val, "test": test}
    how: dict[str, Any] = {"protocol": inputs.options.protocol, "device": inputs.device}
    units = {split: units_of(inputs, part.photos) for split, part in parts.items()}
    clusters = {split: of_split.clusters for split, of_split in units.items()}

    def splits_of(name: str) -> LabelledSplits | SharedSplits:
        rows = {split: inputs.view(name, part.photos) for split, part in parts.items()}
        splits, positions = labelled_splits(rows, parts, n_classes, clusters), among_all_photos(inputs, name, parts)
        return splits if positions is None else SharedSplits(splits, positions)

    def control(splits: LabelledSplits | SharedSplits) -> dict[str, float]:
        return accuracy_and_ends(labelled_probe(splits, **how), test_units, inputs.options)

    test_units = units["test"]
    splits = splits_of(view)
    solver_splits = in_solver_space(splits, **how)
    answers = labelled_probe(solver_splits, **how)

    curve_arrays: dict[str, np.ndarray] = {}

    def further_details() -> dict[str, Any]:
        controls = {"shuffled": _shuffled(inputs, solver_splits, answers)}
        if inputs.options.mask_ratio:
            controls |= {view: control(splits_of(view)) for view in ("whole", "complement")}
        metadata = _other_labels(inputs.photos, attribute)
        if metadata.shape[1]:
            rows = {split: metadata[part.photos] for split, part in parts.items()}
            controls["metadata"] = control(labelled_splits(rows, parts, n_classes, clusters))
        curve = labelled_curve(solver_splits, whole=answers, **how)
        spread = labelled_spread(solver_splits, whole=answers, **how)
        curve_arrays.update(curve.arrays())
        return {"controls": controls, "learning_curve": curve.sizes(), "training_spread": spread.details()}

    more = {} if inputs.brief else further_details()
    others = {name: labelled_probe(splits, reader=r, **how) for name, r in other_readers(inputs.options).items()}
    arrays = {"expected": answers.expected, "photos": test.photos, "classes": np.array(n_classes), **curve_arrays}
    shared = {
        "class_names": list(names),
        "mask_ratio": inputs.options.mask_ratio,
        "resampled": test_units.rule,
        "units": test_units.count,
    }
    more["visible_share"] = _visible_share(inputs)
    readers = {ACCURACY.name: answers, **others}
    return probe_outcome(f"probe/{attribute}", inputs, test_units, readers, arrays, labelled_facts, shared, more)


def accuracy_and_ends(answers: ProbeAnswers, units: ErrorUnits, options: RunOptions) -> dict[str, float]:
    """A control of a probe: its accuracy with an interval."""
    ends = interval_of(answers.photo_accuracy, units, options)
    return {"accuracy": answers.accuracy, "low": ends.low, "high": ends.high}


def _shuffled(inputs: TaskInput, splits: LabelledSplits, answers: ProbeAnswers) -> dict[str, float]:
    """Accuracies of probes that were trained on shuffled labels: range, mean, and permutation test of the probe.

    ``low`` and ``high`` contain 95 % of such probes; ``mean_low`` and ``mean_high`` are the interval of their mean,
    which is chance if classes are balanced; ``p_value`` is that of the permutation test.
    """
    from benchmark.probe import shuffled_accuracies
    from benchmark.stats import null_range

    null = shuffled_accuracies(splits, chosen=answers.chosen, protocol=inputs.options.protocol, device=inputs.device)
    return asdict(null_range(null, answers.accuracy))


def _other_labels(photos: PhotoSet, attribute: str) -> np.ndarray:
    """float32 [photos, classes of other attributes], one-hot labels of all attributes with another meaning."""
    columns = []
    this = ATTRIBUTES[column_spelling(attribute)]
    for other in ATTRIBUTES.values():
        labels = attribute_labels(photos, other.task)
        same = other == this or (other.names_camera and this.names_camera)
        if labels is not None and not same:
            one_hot = labels.values[:, None] == np.arange(len(labels.names))[None]
            columns.append(one_hot.astype(np.float32))
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(photos), 0), np.float32)


def _visible_share(inputs: TaskInput) -> float | None:
    """Share of the encoder's input that is not masked; None if its input is not pixels."""
    if inputs.input_size is None:
        return None
    return CenterMask(ratio=inputs.options.mask_ratio).visible_share(*inputs.input_size)


def _unfit(attribute: str, photos: PhotoSet) -> str:
    labels = attribute_labels(photos, attribute)
    if labels is None or len(labels.names) < 2:
        return f"it has no labels for {attribute}"
    return ""


def _effort(attribute: str, photos: PhotoSet) -> float:
    """Number of labelled photos times number of classes, which the time of a fit grows with."""
    labels = attribute_labels(photos, attribute)
    return 0.0 if labels is None else float((labels.values != UNLABELLED).sum()) * len(labels.names)


def _recipe(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import MaskedViews

    return MaskedViews(options.mask_ratio)


ACQUISITION_PROBES: Mapping[str, Task] = MappingProxyType(
    {
        f"probe/{attribute.task}": Task(
            name=f"probe/{attribute.task}",
            family=ACQUISITION,
            title=attribute.title,
            explain=attribute.explain,
            summary=f"can a linear probe read the {attribute.name.replace('_', ' ')} of the camera's photo?",
            metrics=(ACCURACY, *OTHER_READERS),
            recipe=_recipe,
            unfit=partial(_unfit, attribute.task),
            run=partial(_run_acquisition_probe, attribute.task),
            read_answers=read_labelled_probe,
            read_facts=labelled_facts,
            effort=partial(_effort, attribute.task),
        )
        for attribute in ATTRIBUTES.values()
    }
)
"""A probe of every acquisition attribute, by name."""
