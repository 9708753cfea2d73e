"""Pairs of photos by a phone and by a camera, from the Hub or from a folder in one of three forms."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, PhotoError, UsageError, not_a_folder
from builders.exif import device_type, device_type_of_name, read_many, study_pair_type
from builders.photos import UNLABELLED, Labels, PhotoSet, PhotoSource, class_codes
from builders.sources.folders import FolderSource
from builders.sources.hub_data_sets import HubSource, undecoded
from builders.sources.repository import DatasetRepo
from builders.untrusted import first_line, list_folder, read_untrusted_text, roots_of

CAMERA_TYPES = ("phone", "camera")
"""Classes of ``camera_type``: a modern phone, and an older digital camera."""

FORMS = (
    "pairs.csv with the columns file, pair_id, camera and camera_type; or phone/ and camera/ with files of the same "
    "name; or one folder per pair with a file phone.* and a file camera.*"
)
"""The three forms of a folder of pairs, for messages."""


@dataclass(frozen=True)
class PairRow:
    """One photo of a pair; its file is not read yet."""

    photo_id: str
    pair_id: str
    camera: str
    camera_type: str
    """One of ``CAMERA_TYPES``; "" until it is known."""


def read_pair_photos(spec: str, *, phones: Sequence[str] = (), cameras: Sequence[str] = ()) -> PhotoSet:
    """The photos of pairs, with the columns ``pair_id``, ``camera`` and ``camera_type``; all in the split ``test``.

    The type of a device is what the source states, else what ``phones`` and ``cameras`` say, else that of the study for
    the devices of its PairCams, else that of the device table (``builders.exif``) by the device's name, else by the
    Exif of the photo.

    Args:
        spec: ``hub:REPO[@REVISION]`` or a local folder, in one of these forms: ``pairs.csv`` with the columns ``file``,
            ``pair_id``, ``camera`` and (optionally) ``camera_type``; or ``phone/`` and ``camera/`` with files of the
            same name; or one folder per pair with a file ``phone.*`` and a file ``camera.*``.
        phones: device names that count as phones.
        cameras: device names that count as cameras.

    Raises:
        DataError: the data have none of these forms, or contain no complete pair.
        UsageError: a ``camera_type`` is neither ``phone`` nor ``camera``, or nothing says what a device is.
    """
    given = {name.lower(): kind for kind, names in zip(CAMERA_TYPES, (phones, cameras), strict=True) for name in names}
    if spec.startswith("hub:"):
        repo = DatasetRepo.parse(spec.removeprefix("hub:"))
        name = f"paircams:{repo.name}"
        rows, source, of_study = _from_hub(repo)
    else:
        name = "paircams"
        rows, source = _from_folder(spec.removeprefix("folder:"))
        of_study = False
    rows = _with_types(rows, source, given, of_study)
    order, left_out = _complete_pairs(rows)
    if not order:
        reason = f" ({left_out})" if left_out else ""
        raise DataError(
            f"{spec}: no pair there{reason}. A pair is one photo by a phone and one by a camera of one pair_id; a "
            f"folder holds {FORMS}. For photos straight off two cards 'camtrace build paircams --propose' pairs them "
            "by time"
        )
    paired = [rows[i] for i in order]
    return PhotoSet(
        name=name,
        ids=tuple(row.photo_id for row in paired),
        splits=np.full(len(paired), 2, dtype=np.int8),
        labels=Labels((), np.full(len(paired), UNLABELLED, dtype=np.int32)),
        source=source,
        rows=np.array(order, dtype=np.int64),
        columns={
            "pair_id": np.array([row.pair_id for row in paired]),
            "camera": np.array([row.camera for row in paired]),
            "camera_type": np.array([row.camera_type for row in paired]),
        },
        evidence={
            "splits": "every pair is test data",
            "cameras": ", ".join(sorted({row.camera for row in paired})),
            **({"left out": left_out} if left_out else {}),
        },
    )


def contradicted_types(photos: PhotoSet) -> list[str]:
    """Ids of photos whose Exif names another type of device than their ``camera_type``.

    Args:
        photos: from ``read_pair_photos``.
    """
    readings = read_many(_bytes_if_readable(photos.source, int(row)) for row in photos.rows)
    types = [device_type(reading.acquisition) for reading in readings]
    stated = photos.columns["camera_type"]
    return [photos.ids[i] for i, kind in enumerate(types) if kind in CAMERA_TYPES and kind != stated[i]]


def _complete_pairs(rows: Sequence[PairRow]) -> tuple[list[int], str]:
    """Indices of the photos of complete pairs, phone before camera, and in words what all others lack."""
    members: dict[str, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        members[row.pair_id].append(i)
    order: list[int] = []
    lone: list[str] = []
    equal: dict[str, list[str]] = {kind: [] for kind in CAMERA_TYPES}
    many: list[str] = []
    for pair, indices in members.items():
        kinds = [rows[i].camera_type for i in indices]
        if sorted(kinds) == sorted(CAMERA_TYPES):
            order += [indices[kinds.index(kind)] for kind in CAMERA_TYPES]
        elif len(indices) == 1:
            lone.append(rows[indices[0]].photo_id)
        elif len(set(kinds)) == 1:
            equal[kinds[0]].append(pair)
        else:
            many.append(pair)
    reasons = [f"{len(lone)} photos without their other half (for example {min(lone)})"] if lone else []
    for kind, pairs in equal.items():
        if pairs:
            reasons.append(
                f"{len(pairs)} pairs of photos by a {kind} alone (for example {_devices(rows, members, pairs)})"
            )
    if many:
        reasons.append(f"{len(many)} pairs of more than two photos (for example {min(many)})")
    return order, "; ".join(reasons)


def _devices(rows: Sequence[PairRow], members: Mapping[str, list[int]], pairs: Sequence[str]) -> str:
    pair = min(pairs)
    return f"{pair}: {' and '.join(rows[i].camera for i in members[pair])}"


def _with_types(
    rows: Sequence[PairRow], source: PhotoSource, given: Mapping[str, str], of_study: bool
) -> list[PairRow]:
    """The rows with the type of each device. Raises ``UsageError`` for devices that nothing types."""
    types: dict[str, str] = {}
    for camera in dict.fromkeys(row.camera for row in rows if not row.camera_type):
        known = given.get(camera.lower()) or study_pair_type(camera) or device_type_of_name(camera)
        types[camera] = known if known in CAMERA_TYPES else ""
    untyped = [i for i, row in enumerate(rows) if not row.camera_type and not types[row.camera]]
    if untyped and not of_study:
        _type_by_exif(rows, untyped, source, types)
    # every device of the study's own table that is not among its phones stands for a camera
    unknown = [] if of_study else sorted({rows[i].camera for i in untyped if not types[rows[i].camera]})
    if unknown:
        raise UsageError(
            f"{len(unknown)} devices may be phones or cameras: {', '.join(unknown[:5])}"
            f"{', ...' if unknown[5:] else ''}; say --phone NAME or --camera NAME, or fill the column camera_type"
        )
    return [row if row.camera_type else replace(row, camera_type=types[row.camera] or "camera") for row in rows]


def _type_by_exif(rows: Sequence[PairRow], untyped: Sequence[int], source: PhotoSource, types: dict[str, str]) -> None:
    """Type devices by the Exif of their photos: the type that all of a device's photos agree on."""
    seen: dict[str, set[str]] = defaultdict(set)
    for i, reading in zip(untyped, read_many(_bytes_if_readable(source, i) for i in untyped), strict=True):
        kind = device_type(reading.acquisition)
        if kind in CAMERA_TYPES:
            seen[rows[i].camera].add(kind)
    types.update({camera: next(iter(kinds)) for camera, kinds in seen.items() if len(kinds) == 1})


def _bytes_if_readable(source: PhotoSource, row: int) -> bytes:
    """A photo's bytes; no bytes, which have no Exif, where it cannot be read."""
    try:
        return source.read(row)
    except PhotoError:
        return b""


def _from_hub(repo: DatasetRepo) -> tuple[list[PairRow], PhotoSource, bool]:
    """The rows, their bytes, and whether the columns are those of the study's release."""
    part = next(iter(repo.load(f"hub:{repo.location}").values()))
    names, where = part.column_names, f"hub:{repo.location}"
    of_study = False
    if {"image", "pair_id", "camera", "camera_type"} <= set(names):
        columns = zip(part["pair_id"], _texts(part, "camera"), _texts(part, "camera_type"), strict=True)
    elif {"image", "subject_idx", "model"} <= set(names):
        columns = zip(part["subject_idx"], _texts(part, "model"), ("",) * len(part), strict=True)
        of_study = True
    else:
        raise DataError(f"{where}: expected the columns image, subject_idx and model, found {', '.join(names)}")
    rows = []
    for i, (pair, camera, stated) in enumerate(columns):
        if pair is None or not (camera or of_study):
            raise DataError(f"{where}: row {i} has no {'pair' if pair is None else 'camera'}")
        rows.append(PairRow(f"{i:05d}", str(pair), camera, _stated_type(stated, where)))
    return rows, HubSource((undecoded(part, "image"),), "image", roots_of(repo.location)), of_study


def _texts(part: Any, column: str) -> list[str]:
    """A column of names, as text; it may be stored as classes."""
    feature = part.features[column]
    if not hasattr(feature, "names"):
        return ["" if value is None else str(value) for value in part[column]]
    try:
        codes = class_codes(part[column], len(feature.names), unlabelled=False)
    except ValueError as error:
        raise DataError(f"column {column}: {error}") from None
    return ["" if code == UNLABELLED else feature.names[code] for code in codes.tolist()]


def _from_folder(path: str) -> tuple[list[PairRow], PhotoSource]:
    root = Path(path).expanduser()
    if not root.is_dir():
        raise not_a_folder(path)
    if (root / "pairs.csv").is_file():
        rows = _from_csv(root)
    elif all((root / t).is_dir() for t in CAMERA_TYPES):
        rows = [
            PairRow(f"{t}/{name}", Path(name).stem, t, t)
            for t in CAMERA_TYPES
            for name in list_folder(root / t).files
            if not name.startswith(".")
        ]
    else:
        rows = [
            PairRow(f"{pair}/{name}", pair, Path(name).stem, Path(name).stem.lower())
            for pair in list_folder(root).folders
            for name in list_folder(root / pair).files
            if Path(name).stem.lower() in CAMERA_TYPES
        ]
    return rows, FolderSource(str(root), tuple(row.photo_id for row in rows))


def _from_csv(root: Path) -> list[PairRow]:
    where = root / "pairs.csv"
    try:
        text = read_untrusted_text(where).removeprefix("\ufeff")
        table = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise DataError(f"{where}: cannot be read ({first_line(error)})") from None
    rows = []
    for number, line in enumerate(table, start=2):
        file, pair, camera = (str(line.get(name) or "").strip() for name in ("file", "pair_id", "camera"))
        if not (file and pair and camera):
            raise DataError(f"{where}, line {number}: file, pair_id and camera are needed")
        if file.startswith("/") or ".." in Path(file).parts:
            raise DataError(f"{where}, line {number}: {file!r} points outside the folder")
        stated = str(line.get("camera_type") or "").strip().lower()
        rows.append(PairRow(file, pair, camera, _stated_type(stated, f"{where}, line {number}")))
    if len({row.photo_id for row in rows}) != len(rows):
        raise DataError(f"{where}: a file stands there twice")
    return rows


def _stated_type(stated: str, where: str) -> str:
    if stated and stated not in CAMERA_TYPES:
        raise UsageError(f"{where}: camera_type {stated!r} is neither {' nor '.join(CAMERA_TYPES)}")
    return stated
