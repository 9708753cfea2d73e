"""The acquisition half: what a linear probe reads of the camera from a photo whose content is mostly hidden."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, PhotoValues
from benchmark.tasks.processing_probe import ACCURACY, OTHER_READERS, other_readers, predictions, reader_score
from benchmark.tasks.scores import interval_of, p_of_chance, score_of
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
    """The label column of an attribute, under its task's or its column's spelling; None if there is none."""
    return photos.attributes.get(attribute) or photos.attributes.get(column_spelling(attribute))


def parts_of(given: TaskInput, labels: Labels) -> tuple[tuple[str, ...], SplitPart, SplitPart, SplitPart]:
    """Classes that occur in training, and the labelled photos of each split; without ``test``, ``val`` is the test."""
    splits = {s: given.indices(s) for s in SPLITS}
    splits = {s: i[labels.values[i] != UNLABELLED] for s, i in splits.items()}
    if not len(splits["test"]):
        splits = {"train": splits["train"], "val": splits["test"], "test": splits["val"]}
    known = np.unique(labels.values[splits["train"]])
    if len(known) < 2 or not len(splits["test"]):
        raise DataError(
            f"{given.photos.name}: {len(known)} classes among the usable train photos and {len(splits['test'])} test "
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


def labelled_splits(rows: Mapping[str, Rows], parts: Mapping[str, SplitPart], n_classes: int) -> LabelledSplits:
    """What a labelled probe is given: embeddings and classes of train, of val (None where it is empty), of test."""
    from benchmark.probe import LabelledSplits

    train, val, test = (parts[split] for split in SPLITS)
    held = len(val.photos) > 0
    return LabelledSplits(
        train_x=rows["train"],
        train_y=train.classes,
        val_x=rows["val"] if held else None,
        val_y=val.classes if held else None,
        test_x=rows["test"],
        test_y=test.classes,
        n_classes=n_classes,
    )


class _Learnt(NamedTuple):
    """What all the attributes of a photo set are learnt from and tested on."""

    learnt: np.ndarray
    """int64, ascending indices of photos that some attribute is learnt from."""
    order: np.ndarray
    """int64, places in ``learnt``: train photos, from which searches learn, and then val photos."""
    tested: np.ndarray
    """int64, ascending."""
    classes: int


def _learnt(given: TaskInput) -> _Learnt:
    """The same for every attribute, whichever are asked about: bits of a score do not depend on other questions."""
    used = np.zeros((len(SPLITS), len(given.photos)), dtype=bool)
    classes = 0
    for attribute in ATTRIBUTES.values():
        labels = attribute_labels(given.photos, attribute.task)
        if labels is not None and len(labels.names) > 1:
            with contextlib.suppress(DataError):  # it cannot be asked about
                names, *parts = parts_of(given, labels)
                classes += len(names)
                for split, part in zip(used, parts, strict=True):
                    split[part.photos] = True
    train, val, test = used
    learnt = np.flatnonzero(train | val)
    return _Learnt(learnt, np.argsort(~train[learnt], kind="stable"), np.flatnonzero(test), classes)


def among(given: TaskInput, view: str, parts: Mapping[str, SplitPart]) -> Among | None:
    """Where an attribute's photos are among those of all; None where embeddings are erased, by labels perhaps that only
    some photos have."""
    from benchmark.probe import Among, SharedRows

    if given.eraser is not None:
        return None
    of = given.shared.get("learnt", lambda: _learnt(given))

    def all_of_view() -> SharedRows:
        return SharedRows(given.view(view, of.learnt), given.view(view, of.tested), of.order, of.classes)

    learnt = [np.searchsorted(of.learnt, parts[split].photos) for split in ("train", "val")]
    tested = np.searchsorted(of.tested, parts["test"].photos)
    return Among(given.shared.get(("together", view), all_of_view), np.concatenate(learnt), tested)


ACQUISITION = Family(
    name="acquisition",
    title="Acquisition probes",
    explain="Accuracy of a linear probe that reads how a photo was taken from its embedding, most of it hidden.",
    about="acquisition",
    header="linear probe",
    layout="scores",
    whole="asked",
    panel="intervals",
    panel_title="Acquisition: what the embedding tells",
    axes=("accuracy of a linear probe, %",),
    probed=True,
    hub_id="{subject}-probe",
)


def run_acquisition_probe(attribute: str, given: TaskInput) -> TaskOutcome:
    """``probe/<attribute>`` with its controls, on the data set's own train, val and test photos."""
    from benchmark.probe import Clusters, SharedSplits, in_solver_space, labelled_curve, labelled_probe, labelled_spread
    from benchmark.stats import error_units

    labels = attribute_labels(given.photos, attribute)
    assert labels is not None
    names, train, val, test = parts_of(given, labels)
    view = "masked" if given.options.mask_ratio else "whole"
    n_classes = len(names)

    parts = {"train": train, "val": val, "test": test}
    how: dict[str, Any] = {"protocol": given.options.protocol, "device": given.device}

    def seen(name: str) -> LabelledSplits | SharedSplits:
        rows = {split: given.view(name, part.photos) for split, part in parts.items()}
        splits, where = labelled_splits(rows, parts, n_classes), among(given, name, parts)
        return splits if where is None else SharedSplits(splits, where)

    def control(splits: LabelledSplits | SharedSplits) -> dict[str, float]:
        return _control(labelled_probe(splits, **how), units, given.options)

    units = error_units(given.photos.columns, test.photos)
    splits = seen(view)
    learnt = in_solver_space(splits, **how)
    answers = labelled_probe(learnt, **how)
    learnt_units = [error_units(given.photos.columns, part.photos) for part in (train, val)]

    def further() -> dict[str, Any]:
        controls = {"shuffled": _shuffled(given, learnt, answers)}
        if given.options.mask_ratio:
            controls |= {view: control(seen(view)) for view in ("whole", "complement")}
        metadata = _other_labels(given.photos, attribute)
        if metadata.shape[1]:
            rows = {split: metadata[part.photos] for split, part in parts.items()}
            controls["metadata"] = control(labelled_splits(rows, parts, n_classes))
        curve = labelled_curve(learnt, whole=answers, clusters=units.clusters, **how)
        learnt_clusters = Clusters(*(of.clusters for of in learnt_units))
        spread = labelled_spread(learnt, whole=answers, clusters=learnt_clusters, **how)
        return {"controls": controls, "learning_curve": curve.details(), "training_spread": spread.details()}

    frequent = int(np.bincount(train.classes, minlength=n_classes).argmax())
    most_frequent = float((test.classes == frequent).mean())
    guess = max(1 / n_classes, most_frequent)  # of a probe that always gives the same answer
    score = score_of(
        f"probe/{attribute}",
        ACCURACY.name,
        given,
        answers.photo_accuracy,
        units,
        value=answers.accuracy,
        chance=1 / n_classes,
        details={
            "classes": n_classes,
            "class_names": list(names),
            "most_frequent_class": most_frequent,
            "p_chance": p_of_chance(answers.photo_accuracy, units, guess),
            "mask_ratio": given.options.mask_ratio,
            "visible_share": _visible_share(given),
            "resampled": units.rule,
            "units": units.count,
            **({} if given.brief else further()),
            **answers.details(),
        },
    )
    kept = {"predicted": answers.predicted, "expected": answers.expected, "photos": test.photos}
    if units.clusters is not None:
        kept["clusters"] = units.clusters
    scores = [score]
    for metric, reader in other_readers(given.options).items():
        read = labelled_probe(splits, reader=reader, **how)
        scores.append(reader_score(score, metric, read, given, units))
        kept[f"predicted-{reader}"] = read.predicted
    return TaskOutcome(tuple(scores), kept)


def read_acquisition_probe(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Accuracy by photo of ``run_acquisition_probe``, of each reader; nothing where true classes were not kept."""
    if "expected" not in kept:
        return {}
    right = {metric: (found == kept["expected"]).mean(axis=(0, 1)) for metric, found in predictions(kept).items()}
    of = kept["photos"], kept.get("clusters")
    return {metric: PhotoValues(of[0], values, ACCURACY.bounds, of[1]) for metric, values in right.items()}


def _control(answers: ProbeAnswers, units: ErrorUnits, options: RunOptions) -> dict[str, float]:
    ends = interval_of(answers.photo_accuracy, units, options)
    return {"accuracy": answers.accuracy, "low": ends.low, "high": ends.high}


def _shuffled(given: TaskInput, splits: LabelledSplits, answers: ProbeAnswers) -> dict[str, float]:
    """The range of probes that learnt shuffled labels, where their mean lies, and how many read as well as the probe.

    ``low`` and ``high`` hold 95 % of such probes; ``mean_low`` and ``mean_high`` are the interval of their mean, which
    is chance where classes are balanced; ``p_value`` is the permutation test's.
    """
    from benchmark.probe import shuffled_accuracies
    from benchmark.stats import null_range

    null = shuffled_accuracies(splits, chosen=answers.chosen, protocol=given.options.protocol, device=given.device)
    return asdict(null_range(null, answers.accuracy))


def _other_labels(photos: PhotoSet, attribute: str) -> np.ndarray:
    """float32 [photos, classes of the other attributes]: one-hot labels, without those that name the same thing."""
    columns = []
    own = ATTRIBUTES[column_spelling(attribute)]
    for other in ATTRIBUTES.values():
        labels = attribute_labels(photos, other.task)
        same = other == own or (other.names_camera and own.names_camera)
        if labels is not None and not same:
            one_hot = labels.values[:, None] == np.arange(len(labels.names))[None]
            columns.append(one_hot.astype(np.float32))
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(photos), 0), np.float32)


def _visible_share(given: TaskInput) -> float | None:
    """Share of the encoder's input that stays visible; None where it does not see pixels."""
    if given.input_size is None:
        return None
    return CenterMask(ratio=given.options.mask_ratio).visible_share(*given.input_size)


def _unfit(attribute: str, photos: PhotoSet) -> str:
    labels = attribute_labels(photos, attribute)
    if labels is None or len(labels.names) < 2:
        return f"it has no labels for {attribute}"
    return ""


def _effort(attribute: str, photos: PhotoSet) -> float:
    """Fits of as many photos, of as many classes: what a pass over the rows multiplies."""
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
            run=partial(run_acquisition_probe, attribute.task),
            read_answers=read_acquisition_probe,
            effort=partial(_effort, attribute.task),
        )
        for attribute in ATTRIBUTES.values()
    }
)
"""A probe of every acquisition attribute, by name."""
