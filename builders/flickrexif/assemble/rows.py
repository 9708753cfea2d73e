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
from builders.flickrexif.assemble.collect import TableRows
from builders.photos import NEAR_DUPLICATES, UNLABELLED

METADATA = "metadata"
"""Name of the config without pixels that contains every photo."""

UNPINNED = "unpinned:"
"""Prefix of the hash of a loaded file whose hash was never published: only its address says which photo it is."""

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
        NEAR_DUPLICATES: _TEXT,
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
    """Makes rows of the photos of a state. Picklable."""

    folder: str
    """Of the state."""
    paths: Sequence[str | None]
    """Files by photo, below ``folder``; None if not fetched."""
    columns: Sequence[Mapping[str, Any]]
    """Values of the shared columns by photo."""
    pixels: bool
    """Whether rows contain the file."""

    def subset(self, photos: np.ndarray) -> RowMaker:
        """The maker of some photos alone, in their order, which is what a worker needs."""
        columns = self.columns
        selected = columns.take(photos) if isinstance(columns, TableRows) else tuple(columns[i] for i in photos)
        return replace(self, paths=[self.paths[i] for i in photos], columns=selected)

    def row(self, photo: int, labels: Mapping[str, int]) -> dict[str, Any]:
        """The row of a photo with its label in each config. The file is compared with its hash.

        Args:
            photo: position.
            labels: class index by config.

        Raises:
            PhotoError: the file cannot be read, or is another.
        """
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
    """Function from a position to its rows, for the photos of one part. Picklable."""

    maker: RowMaker
    """Of these photos alone."""
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
    """Write the photos of all attribute configs. Resumable.

    With pixels, each photo is written once, in groups that the configs share. Rows without pixels are small, so each
    config has its own files.

    Args:
        parts: the splits of all configs.
        maker: of the rows.
        features: columns (``photo_features``).
        output: folder of the data set.
        workers: processes.
        fresh: replace existing files.

    Returns:
        The shared groups, or the splits of each config.
    """
    configs = configs_of(parts)
    groups = grouped(parts, configs) if maker.pixels else []
    if groups:
        every = np.concatenate([group.photos for group in groups])
        each = items_per_shard(_bytes_per_item(maker, every), len(every))
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
        each = items_per_shard(500, len(part.photos))
        job = _job(maker, features, output, part.config, part.split, configs, part.photos, table, each)
        written.append(write_shards(job, workers=workers, fresh=fresh))
    return None, written


def configs_of(parts: Sequence[LabelledPart]) -> tuple[str, ...]:
    """Names of the configs of some parts, in order, each once."""
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
    part_maker = maker.subset(photos)
    return ShardJob(
        output=output,
        config=config,
        split=split,
        features=features,
        ids=[row["photo_id"] for row in part_maker.columns],
        make_rows=PartRows(part_maker, configs, labels),
        recipe={"pixels": maker.pixels, "rows": digest(part_maker.columns, labels.tolist())},
        items_per_shard=each,
    )


def write_metadata(
    table: pa.Table, splits: Sequence[str], near: np.ndarray, output: Path, *, fresh: bool
) -> SplitShards:
    """Write the config that contains every photo. Resumable.

    Args:
        table: of a ``Collection``.
        splits: name of the split of each photo.
        near: name of its group of near-duplicates; "" if it is alone.
        output: folder of the data set.
        fresh: replace existing files.
    """
    further = {"split": splits, NEAR_DUPLICATES: near}
    for name, values in further.items():
        table = table.append_column(name, pa.array(values, pa.string()))
    rows = TableRows(table.select(METADATA_FEATURES.arrow_schema.names))
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
    """Columns of every attribute config: a label column of each attribute, then the shared columns.

    Args:
        classes: class names by attribute, which is also the name of the column.
        pixels: whether there is a column ``image``.
    """
    image = {"image": Image(decode=True)} if pixels else {}
    labels = {name: ClassLabel(names=list(names)) for name, names in classes.items()}
    return Features({**image, **labels, **_SHARED})


def digest(*values: Iterable[Any]) -> str:
    """16 hex digits that identify lists of JSON values."""
    sha256 = hashlib.sha256()
    for value in values:
        for item in value:
            sha256.update(json.dumps(item, sort_keys=True, default=str).encode() + b"\n")
        sha256.update(b"\n")
    return sha256.hexdigest()[:16]
