"""Labels, groups, clusters, splits and sources that a data specification names, put into a photo set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from builders.errors import DataError, RespelledError, UsageError
from builders.exif import ATTRIBUTES
from builders.photos import (
    CLUSTER,
    HEADER,
    SPLITS,
    UNLABELLED,
    ColumnSources,
    Labels,
    PhotoSet,
    banded,
    column_of,
    labels_of,
)
from builders.pixels import ALL_PARAMETERS
from builders.sources.columns.headers import header_columns
from builders.sources.folders import drawn_splits, split_word

MOST_NAMED = 5
"""Values that a sentence names."""

MOST_NUMBERS = 20
"""Different numbers that a group may have, before it is one of measurements."""

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
        splits = changes["splits"] = mapped_splits(given["split"], photos.name, sources.split, sources.split_names)
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


def mapped_splits(given: Labels, name: str, source: str = "", meanings: Mapping[str, str] | None = None) -> np.ndarray:
    """The splits of photos by their given names: int8 [photos], index into ``SPLITS``, ``UNLABELLED`` where unknown.

    Names count without regard to case: train, training; val, valid, validation, dev; test, testing. Without ``val``,
    ``test`` is ``val``. Photos without a split, such as files beside the folders, are in none.

    Args:
        given: the name of each photo's split.
        name: of the photo set, for errors.
        source: SOURCE of the names.
        meanings: split of each name that counts; photos of other names are in none.

    Raises:
        DataError: too many photos have no split, a name is not known, or there is no ``train``.
    """
    known = {value: (meanings or {}).get(value, split_word(value)) for value in given.names}
    unknown = [value for value, split in known.items() if split is None]
    if absent := sorted({*(meanings or {})} - {*given.names}):
        raise UsageError(f"split={source}: no photo has {absent[0]!r}; there are {', '.join(given.names[:MOST_NAMED])}")
    if meanings:
        known = {value: meanings.get(value) for value in given.names}
    elif unknown:
        counts = [f"{value!r} ({int((given.values == given.names.index(value)).sum()):,})" for value in unknown]
        listed = ", ".join(counts[:MOST_NAMED]) + (", ..." if len(counts) > MOST_NAMED else "")
        raise RespelledError(
            f"{name}: split= has the values {listed}; camtrace knows train, val (valid, validation, dev) and test: "
            "name a column with these values, or say what they mean",
            options={"split": f"{source}:{meant}"} if (meant := _usual_meanings(given)) and source else {},
        )
    without = int((given.values == UNLABELLED).sum())
    if without > MOST_WITHOUT * len(given.values):
        raise DataError(f"{name}: {without:,} of {len(given.values):,} photos have no split; give each one")
    present = set(known.values()) - {None}
    if "train" not in present or len(present) < 2:
        raise DataError(f"{name}: split= has only {' and '.join(map(repr, given.names))}: train and val are needed")
    if "val" not in present:
        known = {value: "val" if split == "test" else split for value, split in known.items()}
    codes = [SPLITS.index(split) if (split := known[value]) else UNLABELLED for value in given.names]
    return np.array([*codes, UNLABELLED], dtype=np.int8)[given.values]


def _usual_meanings(given: Labels) -> str:
    """What few values probably mean: 0, 1, 2 as most tables have them; else the largest, or all but the last fold."""
    values = sorted(given.names, key=lambda value: (len(value), value))
    if not 2 <= len(values) <= 12 or any(mark in value for value in values for mark in ",=:&"):
        return ""
    if len(values) > 3:
        splits = ["train"] * (len(values) - 1) + ["val"]
    elif values[0] == "0" or len(values) == 3:
        splits = ["train", "val", "test"][: len(values)]
    else:
        counts = np.bincount(given.values[given.values != UNLABELLED], minlength=len(given.names))
        splits = ["train" if value == given.names[counts.argmax()] else "val" for value in values]
    return ",".join(f"{value}={split}" for value, split in zip(values, splits, strict=True))


def _read(photos: PhotoSet, source: str, option: str, table: Mapping[str, Labels]) -> Labels:
    bands, column = banded(source)
    try:
        labels = column_of(photos, column, table)
    except UsageError as error:
        raise UsageError(f"{option}={source}: {error}") from None
    if not (labels.values != UNLABELLED).any():
        raise DataError(
            f"{photos.name}: {option}={source} gives none of the {len(photos):,} photos a value (the first is "
            f"{photos.ids[0]})"
        )
    if bands:
        return _bands(labels, bands, f"{photos.name}: {option}={source}")
    if option.startswith("group=") and _is_measured(labels):
        raise RespelledError(
            f"{photos.name}: {option}={source} has {len(labels.names):,} different numbers: of a measurement bands "
            "are groups (what few photos share, such as a patient, is a cluster=)",
            options={option: f"bands:4:{source}"},
        )
    return labels


def _is_measured(labels: Labels) -> bool:
    """Whether a column is of many numbers that are fractions, or that few photos share: no numbers of places."""
    numbers = _numbers(labels) if len(labels.names) > MOST_NUMBERS else None
    photos = (labels.values != UNLABELLED).sum()
    return numbers is not None and bool((numbers % 1 != 0).any() or len(numbers) * 3 > photos)


def _numbers(labels: Labels) -> np.ndarray | None:
    """float64 [names], None if one is no number."""
    try:
        return np.array([float(name) for name in labels.names])
    except ValueError:
        return None


def _bands(labels: Labels, bands: int, where: str) -> Labels:
    """Numbers as bands of about equally many photos, by their quantiles."""
    numbers = _numbers(labels)
    if numbers is None or not np.isfinite(numbers).all():
        raise DataError(f"{where}: its values are not all numbers")
    known = labels.values != UNLABELLED
    values = numbers[labels.values[known]]
    ends = np.unique(np.quantile(values, np.arange(1, bands) / bands, method="higher"))
    codes = np.searchsorted(ends, values, side="right")
    parts = [values[codes == code] for code in range(len(ends) + 1)]
    of_code = [f"{part.min():g} to {part.max():g}" if part.size else "" for part in parts]
    names: list[str | None] = [None] * len(known)
    for at, code in zip(np.flatnonzero(known), codes, strict=True):
        names[at] = of_code[code]
    return labels_of(names)


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
