"""Rows of a FlickrExif data set: their columns, and how they are written to shards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Features, Image, Value

from builders.dataset import (
    PHOTOS,
    LabelledPart,
    ShardJob,
    SharedShards,
    SplitShards,
    grouped,
    items_per_shard,
    write_groups,
    write_shards,
)
from builders.errors import PhotoError
from builders.exif import ATTRIBUTES
from builders.flickrexif.build.collect import TableRows
from builders.photos import UNLABELLED

METADATA = "metadata"
"""The config without pixels that holds every photo."""

UNPINNED = "unpinned:"
"""Before the hash of a loaded file whose hash was never published: that it is the photo meant rests on its address."""

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
        **dict.fromkeys(("exif_source", "found_by", "camera_make", "camera_model", "software"), _TEXT),
        **dict.fromkeys(("exposure_s", "f_number", "focal_length_mm"), _TEXT),
        "iso_speed": Value("int64"),
        "flash_fired": Value("bool"),
        "year": Value("int32"),
        "label_device_type": _TEXT,
        **{f"label_{name}": _TEXT for name in ATTRIBUTES},
    }
)


@dataclass(frozen=True)
class RowMaker:
    """Rows of the photos of a state. Picklable."""

    folder: str
    paths: Sequence[str | None]
    columns: Sequence[Mapping[str, Any]]
    pixels: bool

    def only(self, photos: np.ndarray) -> RowMaker:
        """Of some photos, in this order: workers need no others."""
        columns = self.columns
        some = columns.taken(photos) if isinstance(columns, TableRows) else tuple(columns[i] for i in photos)
        return replace(self, paths=[self.paths[i] for i in photos], columns=some)

    def row(self, photo: int, labels: Mapping[str, int]) -> dict[str, Any]:
        """One row with its label of each config; the file is checked against its hash. Raises ``PhotoError``."""
        columns = self.columns[photo]
        if not self.pixels:
            return {**columns, **labels}
        path = Path(self.folder) / (self.paths[photo] or "")
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PhotoError(f"its file cannot be read ({error.strerror}); fetch again") from None
        if hashlib.sha256(data).hexdigest() != columns["sha256"].removeprefix(UNPINNED):
            raise PhotoError("its file is not the one that was fetched")
        return {"image": {"bytes": data, "path": path.name}, **columns, **labels}


@dataclass(frozen=True)
class PartRows:
    """Rows of some photos. Picklable."""

    maker: RowMaker
    """Of these rows alone."""
    configs: tuple[str, ...]
    labels: np.ndarray
    """int64 [rows, configs]."""

    def __call__(self, item: int) -> list[dict[str, Any]]:
        labels = dict(zip(self.configs, self.labels[item].tolist(), strict=True))
        return [self.maker.row(item, labels)]


@dataclass(frozen=True)
class _ReadyRows:
    rows: Sequence[Mapping[str, Any]]

    def __call__(self, item: int) -> list[Mapping[str, Any]]:
        return [self.rows[item]]


def write_photos(
    parts: Sequence[LabelledPart],
    maker: RowMaker,
    features: Features,
    output: Path,
    *,
    workers: int = 1,
    fresh: bool = False,
) -> tuple[SharedShards | None, list[SplitShards]]:
    """Write the photos of all attribute configs. Resumes.

    With pixels, each photo is written once, in groups that the configs share; rows without pixels are small, and each
    config has files of its own, few enough to be fetched one by one.

    Args:
        parts: the splits of all configs.
        maker: of the rows.
        features: columns (``photo_features``).
        output: folder of the data set.
        workers: processes.
        fresh: write anew what is there.

    Returns:
        The shared groups, or the splits of each config.
    """
    configs = configs_of(parts)
    groups = grouped(parts, configs) if maker.pixels else []
    if groups:
        every = np.concatenate([group.photos for group in groups])
        each = items_per_shard(_bytes_per_item(maker, every), max(1, len(every)))
        jobs = [
            _job(maker, features, output, PHOTOS, group.name, configs, group.photos, group.labels, each)
            for group in groups
        ]
        return SharedShards(configs, tuple(write_groups(jobs, workers=workers))), []
    labels = np.full((len(maker.columns), len(configs)), UNLABELLED, dtype=np.int64)
    for part in parts:
        labels[part.photos, configs.index(part.config)] = part.labels
    written = []
    for part in parts:
        table = labels[part.photos]
        table[:, configs.index(part.config)] = part.labels
        each = items_per_shard(500, max(1, len(part.photos)))
        job = _job(maker, features, output, part.config, part.split, configs, part.photos, table, each)
        written.append(write_shards(job, workers=workers, fresh=fresh))
    return None, written


def configs_of(parts: Sequence[LabelledPart]) -> tuple[str, ...]:
    """Names of their configs, in order."""
    return tuple(dict.fromkeys(part.config for part in parts))


def _job(
    maker: RowMaker,
    features: Features,
    output: Path,
    config: str,
    split: str,
    configs: tuple[str, ...],
    photos: np.ndarray,
    labels: np.ndarray,
    each: int,
) -> ShardJob:
    own = maker.only(photos)
    return ShardJob(
        output=output,
        config=config,
        split=split,
        features=features,
        ids=[row["photo_id"] for row in own.columns],
        make_rows=PartRows(own, configs, labels),
        recipe={"pixels": maker.pixels, "rows": digest(own.columns, labels.tolist())},
        items_per_shard=each,
    )


def write_metadata(table: pa.Table, where: Sequence[str], output: Path, *, fresh: bool = False) -> SplitShards:
    """Write the config that holds every photo. Resumes.

    Args:
        table: of a ``Collection``.
        where: the split of each photo.
    """
    with_split = table.append_column("split", pa.array(where, pa.string()))
    rows = TableRows(with_split.select(METADATA_FEATURES.arrow_schema.names))
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


def _bytes_per_item(maker: RowMaker, photos: np.ndarray) -> float:
    sample = photos[:: max(1, len(photos) // 50)]
    sizes = [(Path(maker.folder) / (maker.paths[i] or "")).stat().st_size for i in sample if maker.paths[i]]
    return 500 + (sum(sizes) / len(sizes) if sizes else 0)


def photo_features(classes: Mapping[str, Sequence[str]], pixels: bool) -> Features:
    """Columns of every attribute config: a label of each attribute, then what the configs share.

    Args:
        classes: class names of each attribute; the columns are named after it.
        pixels: whether there is an image.
    """
    image = {"image": Image(decode=True)} if pixels else {}
    labels = {name: ClassLabel(names=list(names)) for name, names in classes.items()}
    return Features({**image, **labels, **_SHARED})


def digest(*values: Iterable[Any]) -> str:
    """16 hex digits that name lists of JSON values, which are read one after the other."""
    found = hashlib.sha256()
    for value in values:
        for item in value:
            found.update(json.dumps(item, sort_keys=True, default=str).encode() + b"\n")
        found.update(b"\n")
    return found.hexdigest()[:16]
