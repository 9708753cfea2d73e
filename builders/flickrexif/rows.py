"""Rows of a FlickrExif data set: their columns, and how they are written to shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Features, Image, Value

from builders.dataset import ShardJob, SplitShards, items_per_shard, write_shards
from builders.errors import PhotoError
from builders.exif import ATTRIBUTES

METADATA = "metadata"
"""The config without pixels that holds every photo."""

_ID, _TEXT = Value("string"), Value("string")
_SHARED = {
    "photo_id": _ID,
    "owner": _TEXT,
    **dict.fromkeys(("licence", "licence_url", "licence_checked", "attribution", "page", "url", "size"), _TEXT),
    "sha256": _TEXT,
    "width": Value("int32"),
    "height": Value("int32"),
}
METADATA_FEATURES = Features(
    {
        **_SHARED,
        "split": _TEXT,
        "perceptual_hash": Value("int64"),
        **dict.fromkeys(("exif_source", "camera_make", "camera_model", "software"), _TEXT),
        **dict.fromkeys(("exposure_s", "f_number", "focal_length_mm"), _TEXT),
        "iso_speed": Value("int64"),
        "flash_fired": Value("bool"),
        "year": Value("int32"),
        "label_device_type": _TEXT,
        **{f"label_{name}": _TEXT for name in ATTRIBUTES},
    }
)


@dataclass(frozen=True)
class ConfigPart:
    """Rows of one split of one config."""

    config: str
    split: str
    names: tuple[str, ...]
    """Class names."""
    photos: np.ndarray
    """int64 [rows], positions in the collection."""
    labels: np.ndarray
    """int64 [rows]."""


@dataclass(frozen=True)
class RowMaker:
    """Rows of the photos of a state. Picklable."""

    folder: str
    paths: tuple[str | None, ...]
    columns: tuple[Mapping[str, Any], ...]
    pixels: bool

    def row(self, photo: int, label: int) -> dict[str, Any]:
        """One row; the file is checked against its hash. Raises ``PhotoError``."""
        columns = self.columns[photo]
        if not self.pixels:
            return {**columns, "label": label}
        path = Path(self.folder) / (self.paths[photo] or "")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PhotoError(f"its file cannot be read ({error.strerror}); fetch again") from None
        if hashlib.sha256(data).hexdigest() != columns["sha256"]:
            raise PhotoError("its file is not the one that was fetched")
        return {"image": {"bytes": data, "path": path.name}, **columns, "label": label}


@dataclass(frozen=True)
class PartRows:
    maker: RowMaker
    photos: np.ndarray
    labels: np.ndarray

    def __call__(self, item: int) -> list[dict[str, Any]]:
        return [self.maker.row(int(self.photos[item]), int(self.labels[item]))]


@dataclass(frozen=True)
class _ReadyRows:
    rows: Sequence[Mapping[str, Any]]

    def __call__(self, item: int) -> list[Mapping[str, Any]]:
        return [self.rows[item]]


def write_part(
    part: ConfigPart, maker: RowMaker, features: Features, output: Path, *, workers: int = 1, fresh: bool = False
) -> SplitShards:
    """Write one split of an attribute config. Resumes."""
    columns = [maker.columns[i] for i in part.photos]
    job = ShardJob(
        output=output,
        config=part.config,
        split=part.split,
        features=features,
        ids=[c["photo_id"] for c in columns],
        make_rows=PartRows(maker, part.photos, part.labels),
        recipe={"pixels": maker.pixels, "rows": digest([columns, part.labels.tolist()])},
        items_per_shard=items_per_shard(_bytes_per_item(maker, part) if maker.pixels else 500, max(1, len(columns))),
    )
    return write_shards(job, workers=workers, fresh=fresh)


def write_metadata(rows: Sequence[Mapping[str, Any]], output: Path, *, fresh: bool = False) -> SplitShards:
    """Write the config that holds every photo. Resumes."""
    job = ShardJob(
        output=output,
        config=METADATA,
        split="train",
        features=METADATA_FEATURES,
        ids=[row["photo_id"] for row in rows],
        make_rows=_ReadyRows(rows),
        recipe={"rows": digest(rows)},
        items_per_shard=50_000,
    )
    return write_shards(job, fresh=fresh)


def _bytes_per_item(maker: RowMaker, part: ConfigPart) -> float:
    sample = part.photos[:: max(1, len(part.photos) // 50)]
    sizes = [(Path(maker.folder) / (maker.paths[i] or "")).stat().st_size for i in sample if maker.paths[i]]
    return 500 + (sum(sizes) / len(sizes) if sizes else 0)


def part_features(names: tuple[str, ...], pixels: bool) -> Features:
    """Columns of an attribute config."""
    image = {"image": Image(decode=True)} if pixels else {}
    return Features({**image, "label": ClassLabel(names=list(names)), **_SHARED})


def digest(value: Any) -> str:
    """16 hex digits that name a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
