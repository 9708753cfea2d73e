"""Splits of a data set in local Parquet files, read in place.

``load_dataset`` would copy all of them into its cache, and leave them there. Here the library only resolves the card
and the file names, so that both ways read the same rows in the same order.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.errors import DataError, PhotoError
from builders.photos import Stamp, file_stamp
from builders.untrusted import checked_footer, parquet_error_text, parquet_errors, read_columns, readable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

LARGEST_GROUP = 256 << 20
"""Largest unpacked row group, in bytes, of a file that is read in place."""

CACHED_GROUPS = 2
"""Row groups in memory per reader: threads that read in parallel may be on both sides of a border."""

MAX_ROWS = 1 << 27
"""Most rows of a part: a footer may say any number, and there are arrays of them."""

MAX_UNPACKED = 1 << 30
"""Largest row group or column in memory, in bytes: one dictionary value may occur in any number of rows."""


@dataclass(frozen=True)
class ParquetPart:
    """The rows of one split. Images are not decoded: a cell is ``{"bytes": ..., "path": ...}``.

    Picklable. Threads may share it; reading is cheap if rows are read roughly in order.
    """

    files: tuple[str, ...]
    """Paths, absolute."""
    features: Any
    """``datasets.Features`` of the columns."""
    ends: np.ndarray
    """int64 [row groups], rows up to the end of each."""
    groups: tuple[tuple[int, int], ...]
    """(file, row group in it) of each."""
    _cache: tuple[dict[int, Any], Any] = field(
        default_factory=lambda: ({}, threading.Lock()), repr=False, compare=False
    )
    """Tables of the row groups read last, by number, the newest last; and the lock of this dictionary."""

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "_cache"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in {**state, "_cache": ({}, threading.Lock())}.items():
            object.__setattr__(self, name, value)

    @property
    def column_names(self) -> list[str]:
        return list(self.features)

    def only(self, columns: Sequence[str]) -> ParquetPart:
        """The same rows with these columns only."""
        features = type(self.features)({name: self.features[name] for name in columns})
        return replace(self, features=features, _cache=({}, threading.Lock()))

    def row_numbers(self) -> np.ndarray:
        """int64 [rows], the position of each row in its split."""
        return np.arange(len(self))

    def stamps_of_files(self) -> list[Stamp]:
        """The stamp of each file."""
        return [file_stamp(file) for file in self.files]

    def __getitem__(self, key: Any) -> Any:
        """A row by its position, as a dictionary; or a column by its name, as a list.

        Raises:
            PhotoError: the row cannot be read.
            DataError: the column cannot be read.
        """
        if isinstance(key, str):
            by_file: dict[int, list[int]] = {}
            for file, group in self.groups:
                by_file.setdefault(file, []).append(group)
            return [value for file, groups in by_file.items() for value in self._column(file, groups, key)]
        if not 0 <= key < len(self):
            raise IndexError(key)
        number = int(np.searchsorted(self.ends, key, side="right"))
        try:
            table = self._group(number)
            row: dict[str, Any] = table.slice(int(key - self.ends[number] + table.num_rows), 1).to_pylist()[0]
        except parquet_errors(DataError) as error:
            raise PhotoError(f"its part of the Parquet file cannot be read ({parquet_error_text(error)})") from None
        return row

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for number, (file, _) in enumerate(self.groups):
            try:
                table = self._group(number)
            except parquet_errors() as error:
                raise DataError(f"{self.files[file]}: cannot be read ({parquet_error_text(error)})") from None
            for row in range(table.num_rows):
                yield table.slice(row, 1).to_pylist()[0]

    @property
    def file_ends(self) -> np.ndarray:
        """int64 [files], rows up to the end of each."""
        files = np.array([file for file, _ in self.groups], dtype=np.int64)
        return np.r_[0, self.ends][np.searchsorted(files, np.arange(len(self.files)), side="right")]

    def image_columns(self) -> list[str]:
        """Names of the columns of images in the files, of which a part may have some."""
        schema = self._open(0).schema_arrow
        return [field.name for field in schema if {"bytes", "path"} <= _child_names(field.type)]

    def holds_all_bytes(self, column: str) -> bool:
        """Whether every image of a column is in its table and none in a separate file, by the files' statistics."""
        for file in dict.fromkeys(file for file, _ in self.groups):
            metadata = self._open(file).metadata
            paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
            if f"{column}.bytes" not in paths:
                return False
            at = paths.index(f"{column}.bytes")
            for group in range(metadata.num_row_groups):
                statistics = metadata.row_group(group).column(at).statistics
                if statistics is None or statistics.null_count is None or statistics.null_count:
                    return False
        return True

    @property
    def cache_files(self) -> list[dict[str, str]]:
        """The files of the rows, in the form of ``datasets.Dataset.cache_files``."""
        return [{"filename": file} for file in self.files]

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256("\n".join(self.files).encode()).hexdigest()[:16]

    def _open(self, file: int) -> pq.ParquetFile:
        import pyarrow.parquet as pq  # late: not needed if no Parquet file is read

        return pq.ParquetFile(self.files[file])

    def _group(self, number: int) -> Any:
        tables, lock = self._cache
        with lock:
            table = tables.pop(number, None)
            if table is None:
                while len(tables) >= CACHED_GROUPS:
                    del tables[next(iter(tables))]
                table = self._read_group(number)
            tables[number] = table
            return table

    def _read_group(self, number: int) -> Any:
        file, group = self.groups[number]
        return read_columns(self._open(file), list(self.features), limit=MAX_UNPACKED, groups=[group])

    def _column(self, file: int, groups: list[int], name: str) -> list[Any]:
        try:
            table = read_columns(self._open(file), [name], limit=MAX_UNPACKED, groups=groups)
            values: list[Any] = table.column(0).to_pylist()
            return values
        except parquet_errors() as error:
            raise DataError(
                f"{self.files[file]}: column {readable(name)} cannot be read ({parquet_error_text(error)})"
            ) from None


def _child_names(kind: pa.DataType) -> set[str]:
    return {kind.field(i).name for i in range(kind.num_fields)}


def _parquet_part(files: Sequence[str | Path]) -> ParquetPart | None:
    """The rows of some Parquet files, one file after the other.

    Args:
        files: paths.

    Returns:
        None if there is no file, if the files have different columns, or if a row group is larger than
        ``LARGEST_GROUP``.

    Raises:
        OSError, ValueError, pyarrow.ArrowInvalid: a file cannot be read, or its footer says what cannot be.
    """
    import datasets
    import pyarrow.parquet as pq

    features, ends, groups, total = None, [], [], 0
    for number, file in enumerate(files):
        opened = pq.ParquetFile(str(file))
        file_features = datasets.Features.from_arrow_schema(opened.schema_arrow)
        if features is not None and file_features != features:
            return None
        features = file_features
        footer = checked_footer(opened.metadata)
        for group in range(footer.num_row_groups):
            metadata = footer.row_group(group)
            if metadata.total_byte_size > LARGEST_GROUP:
                return None
            total += metadata.num_rows
            if total > MAX_ROWS:
                raise ValueError(f"more than {MAX_ROWS:,} rows")
            ends.append(total)
            groups.append((number, group))
    if features is None:
        return None
    paths = tuple(str(Path(file).resolve()) for file in files)
    return ParquetPart(paths, features, np.array(ends, dtype=np.int64), tuple(groups))


def local_splits(folder: str, config: str | None, only: str = "") -> dict[str, ParquetPart] | None:
    """The splits of a folder by name, as ``load_dataset`` would read them.

    Args:
        folder: a local folder that ``check_data_set`` accepted.
        config: configuration, if there are several.
        only: the split to open; by default all.

    Returns:
        None if the splits are not Parquet files, or if ``load_dataset`` would not return them unchanged.

    Raises:
        Exception: errors of the libraries, of any type, if there is no such data set.
    """
    import datasets
    from datasets.packaged_modules.parquet.parquet import Parquet

    builder = datasets.load_dataset_builder(folder, config)
    settings = builder.config
    is_selection = getattr(settings, "columns", None) is not None or getattr(settings, "filters", None) is not None
    if not isinstance(builder, Parquet) or is_selection:
        return None
    splits = {}
    for split, files in (settings.data_files or {}).items():
        if only and str(split) != only:
            continue
        part = _parquet_part([str(file) for file in files])
        if part is None or (builder.info.features is not None and dict(builder.info.features) != dict(part.features)):
            return None
        splits[str(split)] = part
    return splits or None
