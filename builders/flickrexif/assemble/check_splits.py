"""Split tables to validate: from a built folder, or from split files of any origin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.dataset import PHOTOS, Build, read_build
from builders.errors import DataError, UsageError
from builders.flickrexif.assemble.rows import METADATA
from builders.photos import HUB_SPLITS, NEAR_DUPLICATES
from builders.splits import SplitTable, read_split_file, text_column
from builders.untrusted import list_folder, parquet_error_text, parquet_errors, read_table, table_schema

SPLIT_FILE_SUFFIXES = (".json", ".csv", ".parquet")


def tables_to_check(paths: Sequence[Path]) -> list[SplitTable]:
    """The split tables of built folders, of split files, and of folders of split files.

    Args:
        paths: of folders and files.

    Raises:
        UsageError: there are no paths.
        DataError: a path is none of these.
    """
    if not paths:
        raise UsageError("name a built folder or split files")
    tables: list[SplitTable] = []
    for path in paths:
        if (path / "build.json").is_file():
            tables += folder_tables(path)
        elif path.is_dir():
            files = [path / name for name in list_folder(path).files if Path(name).suffix in SPLIT_FILE_SUFFIXES]
            if not files:
                raise DataError(f"{path}: neither a built data set nor a folder of split files")
            tables += map(read_split_file, files)
        else:
            tables.append(read_split_file(path))
    return tables


def folder_tables(folder: Path) -> list[SplitTable]:
    """One table for each attribute config of a built FlickrExif, with the columns of the config ``metadata``.

    Args:
        folder: of the data set.

    Raises:
        DataError: another kind of build, or its columns are not those of FlickrExif.
    """
    build = read_build(folder)
    if build.kind != "flickrexif":
        raise DataError(f"{folder}: is a build of kind {build.kind!r}, not flickrexif")
    try:
        extra = _metadata(folder, build)
        return [_table(folder, build, config, extra) for config in build.configs if config not in (METADATA, PHOTOS)]
    except parquet_errors(AttributeError) as error:
        raise DataError(f"{folder}: its columns are not those of FlickrExif ({parquet_error_text(error)})") from None


_READ = pa.schema([(name, pa.string()) for name in ("photo_id", "label", "owner", "sha256")])


def _table(folder: Path, build: Build, config: str, extra: pa.Table | None) -> SplitTable:
    parts, splits = [_READ.empty_table()], [np.zeros(0, dtype=np.int8)]
    for split in (s for s in build.splits if s.config == config):
        for shard in split.shards:
            part = read_table(folder / shard.file, ["photo_id", config, "owner", "sha256"])
            labels = pc.take(_class_names(folder / shard.file, config), part[config].combine_chunks())
            parts.append(part.append_column("label", labels).select(_READ.names).cast(_READ))
            splits.append(np.full(len(part), HUB_SPLITS.index(split.split), dtype=np.int8))
    table = pa.concat_tables(parts)
    hashes = near = years = None
    metadata: dict[str, np.ndarray] = {}
    if extra is not None:
        photos = extra.take(pc.index_in(table["photo_id"].combine_chunks(), extra["photo_id"].combine_chunks()))
        hashes, years = _numbers(photos, "perceptual_hash").view(np.uint64), _numbers(photos, "year")
        if NEAR_DUPLICATES in photos.column_names:
            near = text_column(photos[NEAR_DUPLICATES])
        names = sorted(n for n in photos.column_names if n.startswith("label_") and n != f"label_{config}")
        metadata = {name.removeprefix("label_"): text_column(photos[name], unknown=_UNKNOWN) for name in names}
    return SplitTable(
        config,
        ids=text_column(table["photo_id"]),
        splits=np.concatenate(splits),
        labels=text_column(table["label"]),
        owners=text_column(table["owner"]),
        digests=text_column(table["sha256"].cast(pa.binary())),
        hashes=hashes,
        near=near,
        years=years,
        metadata=metadata,
    )


_UNKNOWN = ("unknown", "other")


def _metadata(folder: Path, build: Build) -> pa.Table | None:
    """``photo_id``, ``perceptual_hash``, ``year`` and the labels of all photos; None without photos."""
    parts = []
    for split in (s for s in build.splits if s.config == METADATA):
        for shard in split.shards:
            names = table_schema(folder / shard.file).names
            read = ("photo_id", "perceptual_hash", NEAR_DUPLICATES, "year")
            columns = [c for c in names if c in read or c.startswith("label_")]
            parts.append(read_table(folder / shard.file, columns))
    return pa.concat_tables(parts, promote_options="default") if sum(map(len, parts)) else None


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    """A column as int64 [rows], 0 where the value is not known."""
    if name not in table.column_names:
        return np.zeros(len(table), dtype=np.int64)
    return np.array(table[name].cast(pa.int64()).fill_null(0).to_numpy(), dtype=np.int64)


def _class_names(path: Path, config: str) -> pa.Array:
    from datasets import Features

    return pa.array(Features.from_arrow_schema(table_schema(path))[config].names, pa.string())
