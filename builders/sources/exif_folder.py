"""Photos of a folder with acquisition labels from their Exif: ``exif-folder:PATH``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np

from builders.errors import DataError, unknown_name
from builders.exif import (
    ALLOWED,
    ATTRIBUTES,
    LABEL_SETS,
    NO_EXIF,
    OTHER,
    UNKNOWN,
    Acquisition,
    LabelSet,
    Reading,
    acquisition_from_raw,
    aliases_version,
    device_type,
    label,
    read_many,
)
from builders.photos import NEAR_DUPLICATES, SPLITS, UNLABELLED, FactCache, Labels, PhotoSet, hash64
from builders.processes import progress_bar
from builders.sources.folders import FolderSource, labelled_folder
from builders.splits import (
    EVIDENCE,
    LEFT_OUT,
    Fingerprints,
    Sizes,
    Splits,
    balance,
    check_given_splits,
    fingerprints,
    make_splits,
    near_duplicate_column,
)

Groups = Literal["auto", "folder", "day", "none"]
"""What a sub-folder is: see ``read_camera_folder``."""

SHARES = (0.6, 0.2, 0.2)
"""Shares of the groups in train, val and test."""

MIN_PHOTOS = 20
"""Least number of photos of a class; smaller classes are left out."""

_NUMBERS = ("exposure_s", "f_number", "iso", "focal_length_mm")


@dataclass(frozen=True)
class _Column:
    """Class labels of one attribute before splitting."""

    labels: Labels
    common: np.ndarray
    """int32 [photos], ``UNLABELLED`` also if the class has too few photos."""


def read_camera_folder(
    path: str,
    *,
    seed: int = 0,
    classes: LabelSet | Literal["found"] = "found",
    groups: Groups = "auto",
    min_photos: int = MIN_PHOTOS,
    workers: int | None = None,
) -> PhotoSet:
    """Photos with acquisition labels, split so that near-duplicates, and photos of one owner, are in one split.

    The folder is searched with its sub-folders. If it contains ``train`` and ``val`` (or ``test``), these are the
    splits; otherwise photos are split by iterative stratification, 60/20/20. Every attribute is class-balanced in
    every split: photos beyond the number of the rarest class are ``UNLABELLED`` for that attribute, and a photo that is
    unlabelled for all attributes is left out.

    ``columns`` has the numbers as read (``exposure_s``, ``f_number``, ``iso``, ``focal_length_mm``, NaN if unknown),
    ``year`` (0 if unknown), ``device_type``, ``owner`` (the first sub-folder, or "") and ``group`` (photos of one group
    are in one split, unless the folder brings its splits), and ``near_duplicates`` where there are any.
    ``evidence["duplicates"]`` says how many of them are in several splits.

    Args:
        path: the folder.
        seed: of the splits and of the balancing.
        classes: ``found``: makers and models are named by the clean alias tables, and every one with enough photos is
            a class; ``clean`` or ``reference``: only the classes of that label set are.
        groups: what a sub-folder is. ``folder``: an owner, a scene or a body, whose photos stay in one split;
            ``day``: photos of one sub-folder and one day stay together; ``none``: it has no meaning; ``auto``: as
            ``folder``, unless some attribute would then have fewer than two
            classes in a split.
        min_photos: classes with fewer photos are left out.
        workers: processes that read Exif, and threads that hash pictures; one per core if ``None``.

    Raises:
        DataError: no such folder, or no attribute has two classes with enough photos.
        UsageError: an unknown option.
    """
    for option, value, known in (("classes", classes, ("found", *LABEL_SETS)), ("groups", groups, Groups.__args__)):  # type: ignore[attr-defined]
        if value not in known:
            raise unknown_name(option, value, known)
    folder = labelled_folder(path, seed=seed)
    left_out = {name: text for name, text in folder.evidence.items() if name == "left out"}
    root = Path(path).expanduser()
    readings = _readings(root, folder, workers)
    photos = folder.select([i for i, reading in enumerate(readings) if reading.reason is None])
    acquisitions = [reading.acquisition for reading in readings if reading.reason is None]
    columns = {name: _column(acquisitions, name, classes, min_photos) for name in ATTRIBUTES}
    columns = {name: column for name, column in columns.items() if _has_two_classes(column)}
    no_attribute = DataError(
        f"{path}: of {len(readings)} files {len(photos)} have Exif, and no attribute has 2 classes of at least "
        f"{min_photos} photos in every split; add photos or lower min-photos"
    )
    if not columns:
        raise no_attribute
    given = not folder.drawn_splits
    owners = [_owner(photo_id, given) for photo_id in photos.ids]
    if groups == "day":
        days = [str(acquisition.taken.date()) if acquisition.taken else "" for acquisition in acquisitions]
        sessions = [f"{owner} {day}" if day else "" for owner, day in zip(owners, days, strict=True)]
    else:
        sessions = owners
    known = fingerprints(photos, root, workers=workers)
    values = {name: column.common for name, column in columns.items()}
    if given:
        splits = _given_splits(photos, values, sessions, known, seed)
    else:
        splits = _drawn_splits(photos, values, sessions, known, groups, seed)
    attributes = {name: _balanced(column, splits.selected[name]) for name, column in columns.items()}
    attributes = {name: labels for name, labels in attributes.items() if len(labels.names) >= 2}
    if not attributes:
        raise no_attribute
    has_label = np.any([labels.values != UNLABELLED for labels in attributes.values()], axis=0)
    labelled = replace(
        photos,
        name=f"exif-folder:{photos.name.partition(':')[2]}",
        splits=splits.splits,
        labels=Labels((), np.full(len(photos), UNLABELLED, dtype=np.int32)),
        attributes=MappingProxyType(attributes),
        columns=MappingProxyType(
            {
                **_numbers(acquisitions, owners, splits.groups),
                **near_duplicate_column(photos.ids, known.hashes, known.digests),
            }
        ),
        evidence=MappingProxyType({**left_out, **splits.evidence, **_evidence(folder.ids, readings, classes)}),
    ).select(np.flatnonzero(has_label))
    return replace(labelled, evidence=MappingProxyType({**labelled.evidence, EVIDENCE: _duplicates(labelled)}))


def _duplicates(photos: PhotoSet) -> str:
    """What is said of equal and nearly equal photos, in the words of builds of processed photos."""
    names = photos.columns.get(NEAR_DUPLICATES, np.zeros(len(photos), dtype=str))
    groups, group_of = np.unique(names, return_inverse=True)  # "" is the name of photos that are alone
    of_a_side = np.unique(np.stack([group_of, photos.splits]), axis=1)[0]
    divided = (np.bincount(of_a_side, minlength=len(groups)) > 1) & (groups != "")
    if not divided.any():
        return "no equal and nearly equal photos in different splits"
    return (
        f"{int(divided[group_of].sum()):,} equal and nearly equal photos in {int(divided.sum()):,} groups are in "
        "different splits, as the folder has them"
    )


def _has_two_classes(column: _Column) -> bool:
    return len(np.unique(column.common[column.common != UNLABELLED])) >= 2


def _readings(root: Path, folder: PhotoSet, workers: int | None) -> list[Reading]:
    """The Exif of every file, cached or read. A file that cannot be read is tried again at the next opening."""
    source = folder.source
    assert isinstance(source, FolderSource)
    cached = FactCache("exif", root, source.stamps(folder.rows), f"exif 1 {' '.join(ALLOWED)}")
    readings: dict[int, Reading] = {}
    for index in range(len(folder)):
        if (facts := cached.get(index)) is not None:
            readings[index] = Reading(acquisition_from_raw(facts["raw"]), facts["reason"])
    unread = [index for index in range(len(folder)) if index not in readings]
    bar = progress_bar(total=len(unread), desc="reading Exif", unit="photo")
    with bar:
        try:
            results = read_many([Path(source.path(int(folder.rows[i]))) for i in unread], workers=workers)
            for index, reading in zip(unread, results, strict=True):
                readings[index] = reading
                if reading.reason in (None, NO_EXIF):
                    cached.put(index, {"raw": dict(reading.acquisition.raw), "reason": reading.reason})
                bar.update()
        finally:
            cached.save()
    return [readings[index] for index in range(len(folder))]


def _column(acquisitions: Sequence[Acquisition], attribute: str, classes: str, min_photos: int) -> _Column:
    words = [_any_class(a, attribute) if classes == "found" else label(a, attribute, classes) for a in acquisitions]  # type: ignore[arg-type]
    known = sorted({word for word in words if word not in (OTHER, UNKNOWN)})
    order = next((c for s, c in ATTRIBUTES[attribute].classes.items() if set(known) <= set(c)), ())
    names = tuple(name for name in order if name in known) if order else tuple(known)
    index = {name: i for i, name in enumerate(names)}
    values = np.array([index.get(word, UNLABELLED) for word in words], dtype=np.int32)
    counts = np.bincount(values[values != UNLABELLED], minlength=len(names))
    rare = np.append(counts < min_photos, True)  # UNLABELLED is the last
    return _Column(Labels(names, values), np.where(rare[values], UNLABELLED, values).astype(np.int32))


def _any_class(acquisition: Acquisition, attribute: str) -> str:
    """The clean label; every maker and model may be a class."""
    if device_type(acquisition) in ("scanner", "software"):
        return OTHER
    find_any = ATTRIBUTES[attribute].find_any
    return find_any(acquisition) if find_any else label(acquisition, attribute, "clean")


def _drawn_splits(
    photos: PhotoSet,
    values: dict[str, np.ndarray],
    owners: list[str],
    known: Fingerprints,
    groups: Groups,
    seed: int,
) -> Splits:
    def split(group_owners: list[str] | None) -> Splits:
        return make_splits(
            photos.ids,
            values,
            owners=group_owners,
            hashes=known.hashes,
            digests=known.digests,
            shares=SHARES,
            assign="stratified",
            seed=seed,
        )

    if groups == "none" or not any(owners):
        return _noted(split(None), "sub-folders are nothing" if any(owners) else "no sub-folders")
    by_folder = split(owners)
    if groups == "day":
        return _noted(by_folder, "photos of a day are in one split only")
    if groups == "folder" or all(len(classes) >= 2 for classes in by_folder.classes.values()):
        return _noted(by_folder, "a sub-folder is in one split only")
    lost = ", ".join(name for name, classes in by_folder.classes.items() if len(classes) < 2)
    return _noted(split(None), f"sub-folders straddle splits: {lost} cannot be learnt otherwise")


def _given_splits(
    photos: PhotoSet, values: dict[str, np.ndarray], owners: list[str], known: Fingerprints, seed: int
) -> Splits:
    guard = check_given_splits(photos.splits, owners=owners, hashes=known.hashes, digests=known.digests)
    order = np.argsort(np.array([hash64(f"photo\0{seed}\0{i}") for i in photos.ids], dtype=np.uint64), kind="stable")
    priority = np.empty(len(photos), dtype=np.int64)
    priority[order] = np.arange(len(photos))
    in_use = [s for s in range(len(SPLITS)) if (photos.splits == s).any()]
    taken = {name: balance(v, photos.splits, guard.groups, priority, Sizes(), in_use) for name, v in values.items()}
    return Splits(
        guard.groups,
        photos.splits,
        {name: t.splits for name, t in taken.items()},
        {name: t.classes for name, t in taken.items()},
        {"splits": "as given by the folder", "groups on several sides": str(guard.straddling)},
    )


def _noted(splits: Splits, note: str) -> Splits:
    return replace(splits, evidence={**splits.evidence, "splits": "stratified 60/20/20 by group", "sub-folders": note})


def _owner(photo_id: str, given: bool) -> str:
    parts = photo_id.split("/")[:-1]
    parts = parts[1:] if given else parts
    return parts[0] if parts else ""


def _balanced(column: _Column, selected: np.ndarray) -> Labels:
    """Labels of the photos of the balanced set, over the classes that occur among them."""
    values = np.where(selected == LEFT_OUT, UNLABELLED, column.common)
    classes = np.unique(values[values != UNLABELLED])
    new_code = np.full(len(column.labels.names) + 1, UNLABELLED, dtype=np.int32)
    new_code[classes] = np.arange(len(classes))
    return Labels(tuple(column.labels.names[i] for i in classes), new_code[values])


def _numbers(acquisitions: Sequence[Acquisition], owners: list[str], groups: np.ndarray) -> dict[str, np.ndarray]:
    def numbers(field: str) -> np.ndarray:
        values = (getattr(a, field) for a in acquisitions)
        return np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64)

    return {
        **{field: numbers(field) for field in _NUMBERS},
        "year": np.array([a.taken.year if a.taken else 0 for a in acquisitions], dtype=np.int64),
        "device_type": np.array([device_type(a) for a in acquisitions], dtype=str),
        "owner": np.array(owners, dtype=str),
        "group": groups,
    }


def _evidence(ids: Sequence[str], readings: Sequence[Reading], classes: str) -> dict[str, str]:
    unread = [f"{i}: {r.reason}" for i, r in zip(ids, readings, strict=True) if r.reason not in (None, NO_EXIF)]
    return {
        "classes": classes,
        "aliases": aliases_version(),
        "files": str(len(readings)),
        "files without Exif": str(sum(r.reason == NO_EXIF for r in readings)),
        "files whose Exif cannot be read": str(len(unread)) + (f" ({'; '.join(unread[:5])})" if unread else ""),
    }
