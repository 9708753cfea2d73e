"""``SplitTable``: the split and the label of each photo for one attribute, from split files of any origin."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from builders.errors import DataError
from builders.photos import SPLITS, Labels
from builders.splits.make import LEFT_OUT, Splits
from builders.untrusted import describe_error, open_untrusted, parquet_errors, read_columns, read_untrusted_text

_COLUMNS = {
    "ids": ("id", "photo_id", "flickr_id", "Flickr ID"),
    "splits": ("split",),
    "labels": ("label",),
    "owners": ("owner", "scene"),
    "digests": ("sha256",),
    "hashes": ("perceptual_hash", "phash"),
    "near": ("near_duplicates",),
    "years": ("year", "taken_year"),
}
_SPLIT_NAMES = {**{name: i for i, name in enumerate(SPLITS)}, "validation": 1, "dev": 1}


@dataclass(frozen=True)
class SplitTable:
    """The splits of one attribute: one row per photo and split. A photo may (wrongly) be in several rows."""

    name: str
    """Name of the attribute."""
    ids: np.ndarray
    """str [rows]."""
    splits: np.ndarray
    """int8 [rows], index into ``photos.SPLITS``."""
    labels: np.ndarray | None = None
    """str [rows], class names; "" is unknown."""
    owners: np.ndarray | None = None
    """str [rows], owner or scene; "" is unknown."""
    digests: np.ndarray | None = None
    """str or bytes [rows], SHA-256 of the files; empty is unknown."""
    hashes: np.ndarray | None = None
    """uint64 [rows], perceptual hashes; ``NO_HASH`` is unknown."""
    years: np.ndarray | None = None
    """int [rows], year taken; 0 is unknown."""
    metadata: Mapping[str, np.ndarray] = field(default_factory=lambda: MappingProxyType({}))
    """Labels of the rows for other attributes, str [rows] each; "" is unknown."""
    near: np.ndarray | None = None
    """str [rows], name of the group of near-duplicates, "" for a photo that is alone; used instead of hashes."""

    def __post_init__(self) -> None:
        for column in (self.splits, self.labels, self.owners, self.digests, self.hashes, self.near, self.years):
            if column is not None and len(column) != len(self.ids):
                raise DataError(f"{self.name}: columns of different lengths")

    def rows(self, split: int) -> np.ndarray:
        """int64, positions of the rows of a split."""
        return np.flatnonzero(self.splits == split)


MAX_TEXT_BYTES = 2**31
"""Limit of a column of texts in memory: each text takes as many bytes as the longest."""


def text_column(values: Any, *, unknown: Sequence[str] = ()) -> np.ndarray:
    """A NumPy column from an Arrow column: str [rows], or bytes [rows] of binary values; empty if a value is missing.

    Args:
        values: Arrow array of texts or bytes.
        unknown: further values that count as missing.

    Raises:
        DataError: the column would take more than ``MAX_TEXT_BYTES``.

    >>> import pyarrow
    >>> text_column(pyarrow.array(["a", None, "other", "a"]), unknown=["other"]).tolist()
    ['a', '', '', 'a']
    """
    import pyarrow as pa

    column = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    coded = column.dictionary_encode()
    words = [word if word not in unknown else word[:0] for word in coded.dictionary.to_pylist()]
    binary = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
    _check_size(max(map(len, words), default=0), max(len(column), len(words)), 1 if binary else 4)
    distinct = np.array([*words, b"" if binary else ""], dtype=bytes if binary else str)
    codes = coded.indices.fill_null(len(words)).to_numpy(zero_copy_only=False)
    return np.asarray(distinct[codes.astype(np.int64)])


def _check_size(longest: int, rows: int, bytes_each: int = 4) -> None:
    if longest * rows * bytes_each > MAX_TEXT_BYTES:
        raise DataError(f"a text of {longest:,} characters among {rows:,} rows")


def _texts(values: np.ndarray) -> np.ndarray:
    """Objects as text: str [rows]."""
    words = [str(value) for value in values]
    _check_size(max(map(len, words), default=0), len(words))
    return np.array(words, dtype=str)


MAX_SPLIT_FILE_BYTES = 2**30
"""Limit of a split file: a million photos take 100 MB."""

MAX_UNPACKED_BYTES = 2**32
"""Limit of its columns in memory."""


def read_split_file(path: Path) -> SplitTable:
    """Read the study's JSON (``train_ids``, ``encoded_train_labels``, ...), or a CSV or Parquet table.

    A table needs the columns ``id`` and ``split``. It may have ``label``, ``owner``, ``sha256``, ``perceptual_hash``
    and ``year``; further columns of strings are labels of other attributes.

    Args:
        path: of the file; untrusted.

    Raises:
        DataError: it is not a split file.
    """
    try:
        if path.suffix == ".json":
            return _from_study(json.loads(read_untrusted_text(path, limit=MAX_SPLIT_FILE_BYTES)), path.stem)
        if path.suffix in (".csv", ".parquet"):
            return _from_columns((_csv_columns if path.suffix == ".csv" else _parquet_columns)(path), path.stem)
    except DataError:
        raise
    except parquet_errors(TypeError, IndexError, AttributeError, csv.Error) as error:
        raise DataError(f"{path.name}: no split file that can be read ({describe_error(error)})") from None
    raise DataError(f"{path.name}: give a .json of the study's form, a .csv or a .parquet file")


def tables_of(
    ids: Sequence[str],
    labels: Mapping[str, Labels],
    splits: Splits,
    *,
    owners: Sequence[str] | None = None,
    digests: Sequence[str] | None = None,
    hashes: np.ndarray | None = None,
    near: np.ndarray | None = None,
    years: np.ndarray | None = None,
) -> list[SplitTable]:
    """One table for each attribute of a collection that ``make_splits`` has split, as ``validate`` takes them."""
    columns = {"ids": ids, "owners": owners, "digests": digests, "hashes": hashes, "near": near, "years": years}
    arrays = {name: np.asarray(column) for name, column in columns.items() if column is not None}
    words = {name: np.array([*column.names, ""])[column.values] for name, column in labels.items()}
    tables = []
    for name, selected in splits.selected.items():
        rows = np.flatnonzero(selected != LEFT_OUT)
        metadata = {other: column[rows] for other, column in words.items() if other != name}
        rest = {column: values[rows] for column, values in arrays.items()}
        tables.append(SplitTable(name, splits=selected[rows], labels=words[name][rows], metadata=metadata, **rest))
    return tables


def _from_study(data: Mapping[str, Any], stem: str) -> SplitTable:
    names = np.array(data.get("label_encoder_classes", ()), dtype=str)
    ids, splits, labels = [], [], []
    for split, word in enumerate(SPLITS):
        split_ids = data[f"{word}_ids"]
        ids.append(np.array(split_ids, dtype=str))
        splits.append(np.full(len(split_ids), split, dtype=np.int8))
        if len(names):
            encoded = np.array(data[f"encoded_{word}_labels"], dtype=np.int64)
            if len(encoded) != len(split_ids) or (encoded < 0).any():
                raise ValueError(f"{word}: labels do not fit the ids")
            labels.append(names[encoded])
    name = str(data.get("target_attribute", stem)).lower().replace(" ", "_")
    return SplitTable(name, np.concatenate(ids), np.concatenate(splits), np.concatenate(labels) if labels else None)


def _csv_columns(path: Path) -> dict[str, np.ndarray]:
    text = read_untrusted_text(path, limit=MAX_SPLIT_FILE_BYTES)
    rows = list(csv.DictReader(io.StringIO(text, newline=""), restval=""))
    return {name: np.array([row[name] for row in rows], dtype=object) for name in (rows[0] if rows else ())}


def _parquet_columns(path: Path) -> dict[str, np.ndarray]:
    import pyarrow.parquet

    with open_untrusted(path, limit=MAX_SPLIT_FILE_BYTES) as stream:
        file = pyarrow.parquet.ParquetFile(stream)
        table = read_columns(file, file.schema_arrow.names, limit=MAX_UNPACKED_BYTES)
    return {
        name: np.array(["" if v is None else v for v in table[name].to_pylist()], dtype=object)
        for name in table.column_names
        if not pyarrow.types.is_nested(table.schema.field(name).type)
    }


def _from_columns(columns: Mapping[str, np.ndarray], name: str) -> SplitTable:
    source = {field: next((c for c in names if c in columns), None) for field, names in _COLUMNS.items()}
    for needed in ("ids", "splits"):
        if source[needed] is None:
            raise ValueError(f"there is no column {_COLUMNS[needed][0]!r}")
    used = {column for column in source.values() if column}
    splits = np.array([_SPLIT_NAMES[str(word)] for word in columns[source["splits"] or ""]], dtype=np.int8)

    def column(field: str, kind: Any) -> np.ndarray | None:
        values = columns.get(source[field] or "")
        if values is None:
            return None
        if kind is np.uint64:  # some formats have signed integers only
            return np.array([int(v or 0) % 2**64 for v in values], dtype=np.uint64)
        return _texts(values) if kind is str else np.array([int(v or 0) for v in values], dtype=kind)

    return SplitTable(
        name=name,
        ids=_texts(columns[source["ids"] or ""]),
        splits=splits,
        labels=column("labels", str),
        owners=column("owners", str),
        digests=column("digests", str),
        hashes=column("hashes", np.uint64),
        near=column("near", str),
        years=column("years", np.int64),
        metadata={
            n: _texts(v) for n, v in columns.items() if n not in used and all(isinstance(word, str) for word in v)
        },
    )
