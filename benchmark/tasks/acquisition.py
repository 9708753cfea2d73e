"""The acquisition half: what a linear probe reads of the camera from a photo whose content is mostly hidden."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Family, PhotoValues, Score
from benchmark.tasks.processing import ACCURACY, OTHER_READERS, other_readers, predictions, reader_score
from benchmark.tasks.task import Task, TaskInput, TaskOutcome
from builders.errors import DataError
from builders.exif import ATTRIBUTES, column_spelling
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet
from builders.pixels import CenterMask

if TYPE_CHECKING:
    from benchmark.probe import LabelledSplits, ProbeAnswers, Rows
    from benchmark.views import ViewRecipe

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

CLUSTER_COLUMNS = ("scene", "owner")
"""Columns that say which photos err together: intervals resample their values, not single photos."""


class SplitPart(NamedTuple):
    """Photos of one split and their classes."""

    photos: np.ndarray
    """int64 indices."""
    classes: np.ndarray
    """int64, 0 to number of classes - 1."""


def run_acquisition_probe(attribute: str, given: TaskInput) -> TaskOutcome:
    """``probe/<attribute>`` with its controls, on the data set's own train, val and test photos."""
    from benchmark.probe import Clusters, labelled_curve, labelled_probe, labelled_spread
    from benchmark.stats import against_chance, photo_interval

    labels = attribute_labels(given.photos, attribute)
    assert labels is not None
    names, train, val, test = _parts(given, labels)
    view = "masked" if given.options.mask_ratio else "whole"
    n_classes = len(names)

    parts = {"train": train, "val": val, "test": test}
    how: dict[str, Any] = {"protocol": given.options.protocol, "device": given.device}

    def probe(rows: Mapping[str, Rows]) -> ProbeAnswers:
        return labelled_probe(_labelled_splits(rows, parts, n_classes), **how)

    def seen(name: str) -> dict[str, Rows]:
        return {split: given.view(name, part.photos) for split, part in parts.items()}

    clusters, unit = _clusters(given.photos, test.photos)
    splits = _labelled_splits(seen(view), parts, n_classes)
    answers = labelled_probe(splits, **how)
    learnt = Clusters(*(_clusters(given.photos, part.photos)[0] for part in (train, val)))

    def further() -> dict[str, Any]:
        controls = {"shuffled": _shuffled(given, splits, answers)}
        if given.options.mask_ratio:
            controls["whole"] = _control(probe(seen("whole")), clusters, given.options)
            controls["complement"] = _control(probe(seen("complement")), clusters, given.options)
        metadata = _other_labels(given.photos, attribute)
        if metadata.shape[1]:
            rows = {split: metadata[part.photos] for split, part in parts.items()}
            controls["metadata"] = _control(probe(rows), clusters, given.options)
        curve = labelled_curve(splits, whole=answers, clusters=clusters, **how)
        spread = labelled_spread(splits, whole=answers, clusters=learnt, **how)
        return {"controls": controls, "learning_curve": curve.details(), "training_spread": spread.details()}

    ends = photo_interval(answers.photo_accuracy, clusters=clusters, resamples=given.options.resamples)
    frequent = int(np.bincount(train.classes, minlength=n_classes).argmax())
    most_frequent = float((test.classes == frequent).mean())
    guess = max(1 / n_classes, most_frequent)  # of a probe that always gives the same answer
    score = Score(
        task=f"probe/{attribute}",
        data=given.photos.name,
        metric=ACCURACY.name,
        value=answers.accuracy,
        low=ends.low,
        high=ends.high,
        n=len(test.photos),
        chance=1 / n_classes,
        details={
            "classes": n_classes,
            "class_names": list(names),
            "most_frequent_class": most_frequent,
            "p_chance": against_chance(answers.photo_accuracy, guess, clusters=clusters),
            "mask_ratio": given.options.mask_ratio,
            "visible_share": _visible_share(given),
            "resampled": unit,
            "units": ends.units,
            **({} if given.brief else further()),
            **answers.details(),
        },
    )
    kept = {"predicted": answers.predicted, "expected": answers.expected, "photos": test.photos}
    if clusters is not None:
        kept["clusters"] = clusters
    scores = [score]
    for metric, reader in other_readers(given.options).items():
        read = labelled_probe(splits, reader=reader, **how)
        scores.append(reader_score(score, metric, read, given.options.resamples, clusters))
        kept[f"predicted-{reader}"] = read.predicted
    return TaskOutcome(tuple(scores), kept)


def read_acquisition_probe(kept: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Accuracy by photo of ``run_acquisition_probe``, of each reader; nothing where true classes were not kept."""
    if "expected" not in kept:
        return {}
    right = {metric: (found == kept["expected"]).mean(axis=(0, 1)) for metric, found in predictions(kept).items()}
    of = kept["photos"], kept.get("clusters")
    return {metric: PhotoValues(of[0], values, ACCURACY.bounds, of[1]) for metric, values in right.items()}


def attribute_labels(photos: PhotoSet, attribute: str) -> Labels | None:
    """The label column of an attribute, under its task's or its column's spelling; None if there is none."""
    return photos.attributes.get(attribute) or photos.attributes.get(column_spelling(attribute))


def _parts(given: TaskInput, labels: Labels) -> tuple[tuple[str, ...], SplitPart, SplitPart, SplitPart]:
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


def _clusters(photos: PhotoSet, test: np.ndarray) -> tuple[np.ndarray | None, str]:
    """What test photos err together in, as int64 [n] codes, and its name: their scene, their owner, or themselves.

    A photo without a name of its own there stands alone; where all photos are of one owner, photos are all there is.
    Codes are those of the whole set: one owner has one code in the answers to every question.
    """
    for column in CLUSTER_COLUMNS:
        if column in photos.columns:
            names = photos.columns[column].astype(str)
            code = np.unique(names, return_inverse=True)[1].astype(np.int64)
            code = np.where(names == "", len(names) + np.arange(len(names)), code)[test]
            if 1 < len(np.unique(code)) < len(code):
                return code, column
    return None, "photo"


def _control(answers: ProbeAnswers, clusters: np.ndarray | None, options: RunOptions) -> dict[str, float]:
    from benchmark.stats import photo_interval

    ends = photo_interval(answers.photo_accuracy, clusters=clusters, resamples=options.resamples)
    return {"accuracy": answers.accuracy, "low": ends.low, "high": ends.high}


def _shuffled(given: TaskInput, splits: LabelledSplits, answers: ProbeAnswers) -> dict[str, float]:
    """The range of probes that learnt shuffled labels, where their mean lies, and how many read as well as the probe.

    ``low`` and ``high`` hold 95 % of such probes; ``mean_low`` and ``mean_high`` are the interval of their mean, which
    is chance where classes are balanced; ``p_value`` is the permutation test's.
    """
    from benchmark.probe import shuffled_accuracies
    from benchmark.stats import null_range

    null = shuffled_accuracies(splits, chosen=answers.chosen, protocol=given.options.protocol, device=given.device)
    return dataclasses.asdict(null_range(null, answers.accuracy))


def _labelled_splits(rows: Mapping[str, Rows], parts: Mapping[str, SplitPart], n_classes: int) -> LabelledSplits:
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
        )
        for attribute in ATTRIBUTES.values()
    }
)
"""A probe of every acquisition attribute, by name."""
