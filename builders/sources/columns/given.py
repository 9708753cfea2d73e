"""Labels, groups, clusters, splits and sources that a data specification names, put into a photo set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from builders.errors import DataError, UsageError
from builders.exif import ATTRIBUTES
from builders.photos import CLUSTER, HEADER, SPLITS, UNLABELLED, ColumnSources, Labels, PhotoSet, column_of
from builders.pixels import ALL_PARAMETERS
from builders.sources.columns.headers import header_columns
from builders.sources.folders import drawn_splits, split_word

MOST_NAMED = 5
"""Values that a sentence names."""

MOST_WITHOUT = 0.1
"""Share of the photos that may lack a given split, and are then left out."""


def with_columns(
    photos: PhotoSet,
    sources: ColumnSources,
    *,
    table: Mapping[str, Labels] | None = None,
    seed: int = 0,
    val_share: float = 0.25,
) -> PhotoSet:
    """A photo set with the label, groups, clusters, splits and source that a specification names.

    A split that was drawn by class is drawn again if labels or clusters are given, and never divides a cluster. Given
    splits stay as they are; ``evidence`` counts the clusters that they divide.

    Args:
        photos: as opened.
        sources: what is named; what is not stays as it is.
        table: columns of the table that the photos come from, by name.
        seed, val_share: of a drawn split.

    Raises:
        UsageError: a SOURCE names no column, or a group has the name of a processing or an attribute.
        DataError: a SOURCE gives no photo a value, or the values of ``split`` are not train, val and test.
    """
    named = sources.sources()
    fields = [source.removeprefix(HEADER) for source in named.values() if source.startswith(HEADER)]
    table = {**(table or {}), **(header_columns(photos, fields) if fields else {})}
    given = {option: _read(photos, source, option, table) for option, source in named.items()}
    if not given:
        return photos
    changes: dict[str, object] = {}
    columns, evidence = dict(photos.columns), dict(photos.evidence)
    if "label" in given:
        changes["labels"] = given["label"]
    if sources.groups:
        groups = {name: given[f"group={name}"] for name in sources.groups}
        for name in groups:
            _check_name(name, photos)
        changes["groups"] = {**photos.groups, **groups}
    for name in (CLUSTER, "source", "scene"):
        if name in given:
            columns[name] = _texts(given[name])
    if "split" in given:
        splits = changes["splits"] = mapped_splits(given["split"], photos.name)
        changes["drawn_splits"] = False
        evidence["splits"] = f"as given by {sources.split}"
    evidence |= {f"{option}=": source for option, source in sources.sources().items()}
    changed = dataclasses.replace(photos, columns=columns, evidence=evidence, **changes)  # type: ignore[arg-type]
    if "split" in given and (without := np.flatnonzero(splits == UNLABELLED)).size:
        stated = f"{without.size:,} photos without a split (the first: {photos.ids[without[0]]})"
        changed = dataclasses.replace(changed, evidence={**evidence, "left out": stated})
        changed = changed.select(np.flatnonzero(splits != UNLABELLED))
    if changed.drawn_splits and {"label", CLUSTER, "scene"} & set(given):
        changed = drawn_splits(changed, seed=seed, val_share=val_share)
    return _with_divided_clusters(changed) if CLUSTER in given else changed


def mapped_splits(given: Labels, name: str) -> np.ndarray:
    """The splits of photos by their given names: int8 [photos], index into ``SPLITS``, ``UNLABELLED`` where unknown.

    Names count without regard to case: train, training; val, valid, validation, dev; test, testing. Without ``val``,
    ``test`` is ``val``. Photos without a split, such as files beside the folders, are in none.

    Args:
        given: the name of each photo's split.
        name: of the photo set, for errors.

    Raises:
        DataError: too many photos have no split, a name is not known, or there is no ``train``.
    """
    known = {value: split_word(value) for value in given.names}
    unknown = [value for value, split in known.items() if split is None]
    if unknown:
        counts = [f"{value!r} ({int((given.values == given.names.index(value)).sum()):,})" for value in unknown]
        listed = ", ".join(counts[:MOST_NAMED]) + (", ..." if len(counts) > MOST_NAMED else "")
        raise DataError(
            f"{name}: split= has the values {listed}; camtrace knows train, val (valid, validation, dev) and test: "
            "name a column with these values"
        )
    without = int((given.values == UNLABELLED).sum())
    if without > MOST_WITHOUT * len(given.values):
        raise DataError(f"{name}: {without:,} of {len(given.values):,} photos have no split; give each one")
    present = set(known.values())
    if "train" not in present or len(present) < 2:
        raise DataError(f"{name}: split= has only {' and '.join(map(repr, given.names))}: train and val are needed")
    if "val" not in present:
        known = {value: "val" if split == "test" else split for value, split in known.items()}
    return np.array([*(SPLITS.index(str(known[value])) for value in given.names), UNLABELLED], dtype=np.int8)[
        given.values
    ]


def _read(photos: PhotoSet, source: str, option: str, table: Mapping[str, Labels]) -> Labels:
    try:
        labels = column_of(photos, source, table)
    except UsageError as error:
        raise UsageError(f"{option}={source}: {error}") from None
    if not (labels.values != UNLABELLED).any():
        raise DataError(
            f"{photos.name}: {option}={source} gives none of the {len(photos):,} photos a value (the first is "
            f"{photos.ids[0]})"
        )
    return labels


def _texts(labels: Labels) -> np.ndarray:
    """The names of labels, "" where unknown: str [photos]."""
    return np.array([*labels.names, ""])[labels.values]


def _check_name(name: str, photos: PhotoSet) -> None:
    """Refuse a name that is a question already: a task of the group could not be told from that of the other."""
    spelling = name.replace("_", "-")
    taken = {*ALL_PARAMETERS, *ATTRIBUTES, *photos.attributes, "original", "adversary", "pairs", "label"}
    if spelling in {other.replace("_", "-") for other in taken}:
        raise UsageError(f"group={name}: {name} is the name of a question already: write group=NAME=SOURCE")


def _with_divided_clusters(photos: PhotoSet) -> PhotoSet:
    """The photo set with the number of its clusters, and of those in several splits, in ``evidence``."""
    names = photos.columns[CLUSTER]
    named = names != ""
    if not named.any():
        return photos
    codes = np.unique(names[named], return_inverse=True)[1]
    sides = np.unique(np.stack([codes, photos.splits[named]]), axis=1)
    count = int(codes.max()) + 1
    divided = int((np.bincount(sides[0]) > 1).sum())
    stated = f"{count:,} clusters, {divided:,} of them in several splits"
    return dataclasses.replace(photos, evidence={**photos.evidence, "clusters": stated})
