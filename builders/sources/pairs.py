"""Pairs of photos by a phone and by a camera, from the Hub or from a folder in one of three forms."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builders.errors import DataError, UsageError
from builders.exif import study_phones
from builders.photos import UNLABELLED, Labels, PhotoSet, PhotoSource, class_codes
from builders.sources.folders import FolderSource
from builders.sources.hub_data_sets import HubSource, undecoded
from builders.sources.repository import DatasetRepo
from builders.untrusted import first_line, list_folder, read_untrusted_text, roots_of

CAMERA_TYPES = ("phone", "camera")
"""Classes of ``camera_type``: a modern phone, and an older digital camera."""


@dataclass(frozen=True)
class PairRow:
    """One photo of a pair; its file is not read yet."""

    photo_id: str
    pair_id: str
    camera: str
    camera_type: str


def read_pair_photos(spec: str, *, phones: Sequence[str] = ()) -> PhotoSet:
    """The photos of pairs, with the columns ``pair_id``, ``camera`` and ``camera_type``; all in the split ``test``.

    Args:
        spec: ``hub:REPO[@REVISION]`` or a local folder, in one of these forms: ``pairs.csv`` with the columns ``file``,
            ``pair_id``, ``camera`` and (optionally) ``camera_type``; or ``phone/`` and ``camera/`` with files of the
            same name; or one folder per pair with a file ``phone.*`` and a file ``camera.*``.
        phones: device names that count as phones, besides those of the study.

    Raises:
        DataError: the data have none of these forms, or contain no complete pair.
        UsageError: a ``camera_type`` is neither ``phone`` nor ``camera``.
    """
    phone_names = study_phones() | {name.lower() for name in phones}
    if spec.startswith("hub:"):
        repo = DatasetRepo.parse(spec.removeprefix("hub:"))
        name = f"paircams:{repo.name}"
        rows, source = _from_hub(repo, phone_names)
    else:
        name = "paircams"
        rows, source = _from_folder(spec.removeprefix("folder:"), phone_names)
    order, dropped = _complete_pairs(rows)
    if not order:
        raise DataError(f"{spec}: no pair there (a pair is one photo by a phone and one by a camera of one pair_id)")
    paired = [rows[i] for i in order]
    cameras = sorted({row.camera for row in paired})
    example = f" (for example {min(dropped)})" if dropped else ""
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
            "cameras": ", ".join(cameras),
            **({"left out": f"{len(dropped)} photos without their other half{example}"} if dropped else {}),
        },
    )


def _complete_pairs(rows: Sequence[PairRow]) -> tuple[list[int], list[str]]:
    """Indices of the photos of complete pairs, phone before camera, and the ids of all others."""
    members: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, row in enumerate(rows):
        members[row.pair_id][row.camera_type].append(i)
    order: list[int] = []
    for pair in members.values():
        if all(len(pair[t]) == 1 for t in CAMERA_TYPES):
            order += [pair[t][0] for t in CAMERA_TYPES]
    used = set(order)
    return order, [row.photo_id for i, row in enumerate(rows) if i not in used]


def _from_hub(repo: DatasetRepo, phones: frozenset[str]) -> tuple[list[PairRow], PhotoSource]:
    part = next(iter(repo.load(f"hub:{repo.location}").values()))
    names, where = part.column_names, f"hub:{repo.location}"
    if {"image", "pair_id", "camera", "camera_type"} <= set(names):
        columns = zip(part["pair_id"], part["camera"], _texts(part, "camera_type"), strict=True)
    elif {"image", "subject_idx", "model"} <= set(names):
        columns = zip(part["subject_idx"], _texts(part, "model"), ("",) * len(part), strict=True)
    else:
        raise DataError(f"{where}: expected the columns image, subject_idx and model, found {', '.join(names)}")
    rows = [
        PairRow(f"{i:05d}", str(pair), camera, _camera_type(stated, camera, phones, where))
        for i, (pair, camera, stated) in enumerate(columns)
    ]
    return rows, HubSource((undecoded(part, "image"),), "image", roots_of(repo.location))


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


def _from_folder(path: str, phones: frozenset[str]) -> tuple[list[PairRow], PhotoSource]:
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"{path}: no such folder")
    if (root / "pairs.csv").is_file():
        rows = _from_csv(root, phones)
    elif all((root / t).is_dir() for t in CAMERA_TYPES):
        rows = [
            PairRow(f"{t}/{name}", Path(name).stem, t, t)
            for t in CAMERA_TYPES
            for name in list_folder(root / t).files
            if (root / t / name).is_file() and not name.startswith(".")
        ]
    else:
        rows = [
            PairRow(f"{pair}/{name}", pair, Path(name).stem, Path(name).stem.lower())
            for pair in list_folder(root).folders
            for name in list_folder(root / pair).files
            if Path(name).stem.lower() in CAMERA_TYPES
        ]
    return rows, FolderSource(str(root), tuple(row.photo_id for row in rows))


def _from_csv(root: Path, phones: frozenset[str]) -> list[PairRow]:
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
        rows.append(PairRow(file, pair, camera, _camera_type(stated, camera, phones, f"{where}, line {number}")))
    if len({row.photo_id for row in rows}) != len(rows):
        raise DataError(f"{where}: a file stands there twice")
    return rows


def _camera_type(stated: str, camera: str, phones: frozenset[str], where: str) -> str:
    if stated in CAMERA_TYPES:
        return stated
    if stated:
        raise UsageError(f"{where}: camera_type {stated!r} is neither {' nor '.join(CAMERA_TYPES)}")
    return "phone" if camera.strip().lower() in phones else "camera"
