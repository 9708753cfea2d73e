"""PairCams: pairs of photos of one subject, one by a phone and one by an older camera, bytes untouched.

From the released Hub repository (columns ``image``, ``subject_idx``, ``model``), or from a folder of one's own pairs.
Each row is one photo; the two rows of a pair share ``pair_id``, so either may be the query and the other the target.
"""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Features, Image, Value

from builders.cards import Card
from builders.dataset_folder import Build, PixelRights, finish_folder, prepare_folder
from builders.decode import decode_rgb
from builders.errors import DataError, UsageError
from builders.folders import FolderSource
from builders.hub_photos import HubSource
from builders.jpeg_header import read_jpeg_header
from builders.photos import UNLABELLED, Labels, PhotoSet, PhotoSource
from builders.shard_pool import estimate_space, require_space, write_shards
from builders.shards import ShardJob, items_per_shard

CAMERA_TYPES = ("phone", "camera")
"""Classes of ``camera_type``: a modern phone, an older digital camera."""

PHONES = frozenset(
    {
        "iphone xr",
        "pixel 4",
        "iphone se (3rd generation)",
        "22101320g",
        "iphone 12",
        "iphone 14 pro",
        "a065",
        "iphone 12 pro",
    }
)
"""Device names of the study's PairCams that stand for the phone of a pair. The others stand for the camera, among them
xt1032, which is in truth a phone of 2013."""

CONFIG = "pairs"

PAIR_FEATURES = Features(
    {
        "image": Image(),
        "pair_id": Value("string"),
        "camera": Value("string"),
        "camera_type": ClassLabel(names=list(CAMERA_TYPES)),
        "photo_id": Value("string"),
        "sha256": Value("string"),
        "source_quality": Value("int32"),
        "source_subsampling": Value("string"),
        "width": Value("int32"),
        "height": Value("int32"),
    }
)
"""Columns of a data set of pairs. ``width`` and ``height`` are of the upright photo, as ``decode_rgb`` gives it."""


@dataclass(frozen=True)
class PairRow:
    """One photo of a pair, not yet read."""

    photo_id: str
    pair_id: str
    camera: str
    camera_type: str


@dataclass(frozen=True)
class PairRows:
    """The rows of one pair: a picklable function of the pair's position."""

    source: PhotoSource
    pairs: tuple[tuple[tuple[int, PairRow], tuple[int, PairRow]], ...]
    """(row in ``source``, what is known) of the phone's photo, then of the camera's."""

    def __call__(self, item: int) -> list[dict[str, Any]]:
        """Both rows. A pair of which one photo cannot be used is no pair: raises ``PhotoError``."""
        return [_row(self.source.read(row), known) for row, known in self.pairs[item]]


def pair_photos(spec: str, *, phones: Sequence[str] = ()) -> PhotoSet:
    """The photos of pairs, with the columns ``pair_id``, ``camera`` and ``camera_type``; all in the split ``test``.

    Args:
        spec: ``hub:REPO[@REVISION]`` or a local folder, in one of these forms: ``pairs.csv`` with the columns ``file``,
            ``pair_id``, ``camera`` and (optionally) ``camera_type``; or ``phone/`` and ``camera/`` with files of the
            same name; or one folder per pair with a file ``phone.*`` and a file ``camera.*``.
        phones: device names that count as phones, besides those of the study.

    Raises:
        DataError: none of these forms, or nothing there is a pair.
        UsageError: a ``camera_type`` that is neither.
    """
    if spec.startswith("hub:"):
        rows, source = _from_hub(spec.removeprefix("hub:"), frozenset(phones) | PHONES)
    else:
        rows, source = _from_folder(spec.removeprefix("folder:"), frozenset(phones) | PHONES)
    order, dropped = _complete_pairs(rows)
    if not order:
        raise DataError(f"{spec}: no pair there (a pair is one photo by a phone and one by a camera of one pair_id)")
    at = np.array(order, dtype=np.int64)
    kept = [rows[i] for i in order]
    cameras = sorted({row.camera for row in kept})
    example = f" (for example {min(dropped)})" if dropped else ""
    return PhotoSet(
        name=f"paircams:{spec.split(':', 1)[-1].split('@')[0]}" if spec.startswith("hub:") else "paircams",
        ids=tuple(row.photo_id for row in kept),
        splits=np.full(len(kept), 2, dtype=np.int8),
        labels=Labels((), np.full(len(kept), UNLABELLED, dtype=np.int32)),
        source=source,
        rows=at,
        columns={
            "pair_id": np.array([row.pair_id for row in kept]),
            "camera": np.array([row.camera for row in kept]),
            "camera_type": np.array([row.camera_type for row in kept]),
        },
        evidence={
            "splits": "every pair is test data",
            "cameras": ", ".join(cameras),
            **({"left out": f"{len(dropped)} photos without their other half{example}"} if dropped else {}),
        },
    )


def pair_rows(photos: PhotoSet) -> PairRows:
    """The rows of each pair of ``pair_photos``, in its order."""
    c = photos.columns
    known = [
        (int(photos.rows[i]), PairRow(photos.ids[i], *(str(c[n][i]) for n in ("pair_id", "camera", "camera_type"))))
        for i in range(len(photos))
    ]
    return PairRows(photos.source, tuple((known[i], known[i + 1]) for i in range(0, len(known), 2)))


def build_paircams(
    photos: PhotoSet,
    output: Path,
    *,
    workers: int = 1,
    license: str = "unknown",
    fresh: bool = False,
    ignore_space: bool = False,
    progress: bool = True,
) -> Build:
    """Write a data set folder of pairs (config ``pairs``, split ``test``); goes on where a killed build was.

    Args:
        photos: what ``pair_photos`` returned.
        output: folder of the data set.
        workers: processes.
        license: of the photos, an identifier of the Hub's list.
        fresh: replace another build in ``output``.
        ignore_space: start although the disk looks too small.
        progress: a bar, where stderr is a terminal.

    Raises:
        UsageError: ``output`` holds something else.
        DataError: not enough space, or not one pair can be used.
    """
    prepare_folder(output, [CONFIG], fresh=fresh)
    rows = pair_rows(photos)
    job = ShardJob(
        output=output,
        config=CONFIG,
        split="test",
        features=PAIR_FEATURES,
        ids=tuple(pair[0][1].pair_id for pair in rows.pairs),
        make_rows=rows,
        recipe={"photos": photos.ids_hash(), "camera_types": "".join(t[0] for t in photos.columns["camera_type"])},
    )
    estimate = estimate_space(job, sample=8)
    if not ignore_space:
        require_space(output, estimate.total_bytes)
    job = replace(job, items_per_shard=items_per_shard(estimate.bytes_per_item, len(job.ids)))
    split = write_shards(job, workers=workers, progress=progress)
    if not split.rows:
        reason = split.failures[0].reason if split.failures else "none was given"
        raise DataError(f"{photos.name}: not one pair could be used (the first: {reason})")
    return finish_folder(
        output,
        kind="paircams",
        splits=[split],
        features={CONFIG: PAIR_FEATURES},
        default=CONFIG,
        card=Card(
            template="paircams.md.jinja",
            pretty_name="Pairs of photos by a phone and by an older camera",
            license=license,
            tags=("image-retrieval", "camera", "acquisition-traces"),
            task_categories=("image-feature-extraction",),
            context={"photos": photos, "pairs": split.rows // 2},
        ),
        recipe={
            "source": photos.name,
            "source_evidence": dict(photos.evidence),
            "ids_hash": photos.ids_hash(),
            "items_per_shard": {f"{CONFIG}/test": job.items_per_shard},
        },
        pixels=PixelRights(True),
    )


def _row(data: bytes, known: PairRow) -> dict[str, Any]:
    upright = decode_rgb(data)
    header = read_jpeg_header(data)
    return {
        "image": {"bytes": data, "path": Path(known.photo_id).name},
        "pair_id": known.pair_id,
        "camera": known.camera,
        "camera_type": CAMERA_TYPES.index(known.camera_type),
        "photo_id": known.photo_id,
        "sha256": hashlib.sha256(data).hexdigest(),
        "source_quality": header.quality if header else None,
        "source_subsampling": header.subsampling if header else None,
        "width": upright.width,
        "height": upright.height,
    }


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


def _from_hub(location: str, phones: frozenset[str]) -> tuple[list[PairRow], PhotoSource]:
    import datasets

    repo, _, revision = location.partition("@")
    try:
        loaded = datasets.load_dataset(repo, revision=revision or None)
    except Exception as error:  # the libraries below raise their own trees; one sentence serves the user
        reason = str(error).strip().splitlines()
        raise DataError(f"hub:{repo}: cannot be loaded ({reason[0] if reason else error!r})") from None
    part = next(iter(loaded.values()))
    names = part.column_names
    if {"image", "pair_id", "camera", "camera_type"} <= set(names):
        types = part.features["camera_type"]
        given = [types.int2str(t) if hasattr(types, "int2str") else str(t) for t in part["camera_type"]]
        columns = zip(part["pair_id"], part["camera"], given, strict=True)
    elif {"image", "subject_idx", "model"} <= set(names):
        models = part.features["model"]
        cameras = [models.int2str(m) if hasattr(models, "int2str") else str(m) for m in part["model"]]
        columns = zip(part["subject_idx"], cameras, ("",) * len(part), strict=True)
    else:
        raise DataError(f"hub:{repo}: expected the columns image, subject_idx and model, found {', '.join(names)}")
    rows = [
        PairRow(f"{i:05d}", str(pair), camera, _camera_type(given, camera, phones, f"hub:{repo}"))
        for i, (pair, camera, given) in enumerate(columns)
    ]
    images = part.select_columns(["image"]).cast_column("image", datasets.Image(decode=False))
    return rows, HubSource((images,), "image")


def _from_folder(path: str, phones: frozenset[str]) -> tuple[list[PairRow], PhotoSource]:
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataError(f"{path}: no such folder")
    if (root / "pairs.csv").is_file():
        rows = _from_csv(root, phones)
    elif all((root / t).is_dir() for t in CAMERA_TYPES):
        rows = [
            PairRow(f"{t}/{file.name}", file.stem, t, t)
            for t in CAMERA_TYPES
            for file in sorted((root / t).iterdir())
            if file.is_file() and not file.name.startswith(".")
        ]
    else:
        rows = [
            PairRow(f"{file.parent.name}/{file.name}", file.parent.name, file.stem, file.stem.lower())
            for file in sorted(root.glob("*/*"))
            if file.stem.lower() in CAMERA_TYPES
        ]
    return rows, FolderSource(str(root), tuple(row.photo_id for row in rows))


def _from_csv(root: Path, phones: frozenset[str]) -> list[PairRow]:
    where = root / "pairs.csv"
    try:
        with open(where, newline="", encoding="utf-8-sig") as stream:
            table = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{where}: cannot be read ({error})") from None
    rows = []
    for number, line in enumerate(table, start=2):
        file, pair, camera = (str(line.get(name) or "").strip() for name in ("file", "pair_id", "camera"))
        if not (file and pair and camera):
            raise DataError(f"{where}, line {number}: file, pair_id and camera are needed")
        if file.startswith("/") or ".." in Path(file).parts:
            raise DataError(f"{where}, line {number}: {file!r} points outside the folder")
        given = str(line.get("camera_type") or "").strip().lower()
        rows.append(PairRow(file, pair, camera, _camera_type(given, camera, phones, f"{where}, line {number}")))
    if len({row.photo_id for row in rows}) != len(rows):
        raise DataError(f"{where}: a file stands there twice")
    return rows


def _camera_type(given: str, camera: str, phones: frozenset[str], where: str) -> str:
    if given in CAMERA_TYPES:
        return given
    if given:
        raise UsageError(f"{where}: camera_type {given!r} is neither {' nor '.join(CAMERA_TYPES)}")
    return "phone" if camera.strip().lower() in {name.lower() for name in phones} else "camera"
