"""Split tables to validate: from a built folder, or from split files of any origin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from builders.dataset import PHOTOS, Build, read_build, read_table
from builders.errors import DataError, UsageError
from builders.flickrexif.rows import METADATA
from builders.photos import HUB_SPLITS
from builders.splits import SplitTable, read_split_file

SPLIT_FILE_SUFFIXES = (".json", ".csv", ".parquet")


def tables_to_check(paths: Sequence[Path]) -> list[SplitTable]:
    """The tables of built folders, of split files, and of folders of split files.

    Raises:
        UsageError: nothing was named.
        DataError: something is neither.
    """
    if not paths:
        raise UsageError("name a built folder or split files")
    tables: list[SplitTable] = []
    for path in paths:
        if (path / "build.json").is_file():
            tables += folder_tables(path)
        elif path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix in SPLIT_FILE_SUFFIXES)
            if not found:
                raise DataError(f"{path}: neither a built data set nor a folder of split files")
            tables += map(read_split_file, found)
        else:
            tables.append(read_split_file(path))
    return tables


def folder_tables(folder: Path) -> list[SplitTable]:
    """One table for each attribute config of a built FlickrExif, with what the ``metadata`` config adds."""
    build = read_build(folder)
    if build.kind != "flickrexif":
        raise DataError(f"{folder}: is a build of kind {build.kind!r}, not flickrexif")
    extra = _metadata(folder, build)
    return [_table(folder, build, config, extra) for config in build.configs if config not in (METADATA, PHOTOS)]


def _table(folder: Path, build: Build, config: str, extra: dict[str, dict[str, Any]]) -> SplitTable:
    ids, splits, labels, owners, digests = [], [], [], [], []
    for split in (s for s in build.splits if s.config == config):
        for shard in split.shards:
            table = read_table(folder / shard.file, ["photo_id", config, "owner", "sha256"])
            names = _class_names(folder / shard.file, config)
            ids += table["photo_id"].to_pylist()
            splits += [HUB_SPLITS.index(split.split)] * len(table)
            labels += [names[i] for i in table[config].to_pylist()]
            owners += table["owner"].to_pylist()
            digests += table["sha256"].to_pylist()
    rows = [extra.get(id, {}) for id in ids]
    attributes = sorted({name[6:] for row in rows for name in row if name.startswith("label_")} - {config})
    known = {name: [_known(row.get(f"label_{name}")) for row in rows] for name in attributes}
    return SplitTable(
        config,
        ids=np.array(ids, dtype=str),
        splits=np.array(splits, dtype=np.int8),
        labels=np.array(labels, dtype=str),
        owners=np.array(owners, dtype=str),
        digests=np.array(digests, dtype=str),
        hashes=np.array([row.get("perceptual_hash") or 0 for row in rows], dtype=np.uint64) if extra else None,
        years=np.array([row.get("year") or 0 for row in rows], dtype=np.int64) if extra else None,
        metadata={name: np.array(column, dtype=str) for name, column in known.items()},
    )


def _known(word: str | None) -> str:
    return "" if word in (None, "unknown", "other") else str(word)


def _metadata(folder: Path, build: Build) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for split in (s for s in build.splits if s.config == METADATA):
        for shard in split.shards:
            table = read_table(folder / shard.file)
            kept = [c for c in table.column_names if c in ("perceptual_hash", "year") or c.startswith("label_")]
            found.update(zip(table["photo_id"].to_pylist(), table.select(kept).to_pylist(), strict=True))
    return found


def _class_names(path: Path, config: str) -> list[str]:
    from datasets import Features

    return Features.from_arrow_schema(pq.read_schema(path))[config].names
