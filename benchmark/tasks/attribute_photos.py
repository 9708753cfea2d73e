"""The photos of an acquisition attribute: those of each split that have its label, and where they are among all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.tasks.task import TaskInput
from builders.errors import DataError
from builders.exif import ATTRIBUTES, column_spelling
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet

if TYPE_CHECKING:
    from benchmark.probe import Among, LabelledSplits, Rows, Together


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
    from benchmark.probe import Among, Together

    if given.eraser is not None:
        return None
    of = given.shared.get("learnt", lambda: _learnt(given))

    def all_of_view() -> Together:
        return Together(given.view(view, of.learnt), given.view(view, of.tested), of.order, of.classes)

    learnt = [np.searchsorted(of.learnt, parts[split].photos) for split in ("train", "val")]
    tested = np.searchsorted(of.tested, parts["test"].photos)
    return Among(given.shared.get(("together", view), all_of_view), np.concatenate(learnt), tested)
