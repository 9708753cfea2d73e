"""Splits of a data set in Parquet files of this machine, read where they lie.

``load_dataset`` would copy all of them into its cache, and leave them there. What says which files are whose is its own
resolution of the folder's card and file names, so that both read the same rows in the same order.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.errors import DataError, PhotoError
from builders.untrusted import parquet_error_text, parquet_errors, read_columns, readable

if TYPE_CHECKING:
    import pyarrow.parquet as pq

LARGEST_GROUP = 256 << 20
"""Bytes of a row group, unpacked, up to which a file is read in place."""

HELD_GROUPS = 2
"""Row groups that a reader holds: threads that read side by side stand on both sides of a border."""

MAX_UNFOLDED = 1 << 30
"""Bytes of a row group or a column in memory: one value of a dictionary may stand in any number of rows."""


@dataclass(frozen=True)
class ParquetPart:
    """The rows of one split. Images are not decoded: a cell is ``{"bytes": ..., "path": ...}``. Picklable; threads may
    share it, and read rows cheaply in about their order."""

    files: tuple[str, ...]
    """Paths, absolute."""
    features: Any
    """``datasets.Features`` of the columns."""
    ends: np.ndarray
    """int64 [row groups], rows up to the end of each."""
    groups: tuple[tuple[int, int], ...]
    """(file, row group in it) of each."""
    _held: tuple[dict[int, Any], Any] = field(default_factory=lambda: ({}, threading.Lock()), repr=False, compare=False)
    """The tables of the row groups read last, by number, the newest last; and who may change them."""

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("files", "features", "ends", "groups")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        for name, value in {**state, "_held": ({}, threading.Lock())}.items():
            object.__setattr__(self, name, value)

    @property
    def column_names(self) -> list[str]:
        return list(self.features)

    def only(self, columns: Sequence[str]) -> ParquetPart:
        """Some columns."""
        some = type(self.features)({name: self.features[name] for name in columns})
        return ParquetPart(self.files, some, self.ends, self.groups)

    def __getitem__(self, key: Any) -> Any:
        """A row by its position, as a mapping; a column by its name, as a list.

        Raises:
            PhotoError: the row cannot be read.
            DataError: the column cannot.
        """
        if isinstance(key, str):
            return [value for file in self.files for value in self._column(file, key)]
        if not 0 <= key < len(self):
            raise IndexError(key)
        number = int(np.searchsorted(self.ends, key, side="right"))
        try:
            table = self._group(number)
            row: dict[str, Any] = table.slice(int(key - self.ends[number] + table.num_rows), 1).to_pylist()[0]
        except parquet_errors() as error:
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

    def holds_all_bytes(self, column: str) -> bool:
        """Whether the statistics say that every image of a column is in its table, and none in a file of its own."""
        for file in self.files:
            described = self._open(file).metadata
            paths = [described.schema.column(i).path for i in range(described.num_columns)]
            if f"{column}.bytes" not in paths:
                return False
            at = paths.index(f"{column}.bytes")
            for group in range(described.num_row_groups):
                found = described.row_group(group).column(at).statistics
                if found is None or found.null_count is None or found.null_count:
                    return False
        return True

    @property
    def cache_files(self) -> list[dict[str, str]]:
        """As ``datasets.Dataset`` has it: the files that rows come from."""
        return [{"filename": file} for file in self.files]

    @property
    def _fingerprint(self) -> str:
        return hashlib.sha256("\n".join(self.files).encode()).hexdigest()[:16]

    def _open(self, file: str) -> pq.ParquetFile:
        import pyarrow.parquet as pq  # beside datasets: neither is needed where no such file is read

        return pq.ParquetFile(file)

    def _group(self, number: int) -> Any:
        held, lock = self._held
        with lock:
            table = held.pop(number, None)
            if table is None:
                while len(held) >= HELD_GROUPS:
                    del held[next(iter(held))]
                file, group = self.groups[number]
                table = read_columns(
                    self._open(self.files[file]), list(self.features), limit=MAX_UNFOLDED, groups=[group]
                )
            held[number] = table
            return table

    def _column(self, file: str, name: str) -> list[Any]:
        try:
            values: list[Any] = read_columns(self._open(file), [name], limit=MAX_UNFOLDED).column(0).to_pylist()
            return values
        except parquet_errors() as error:
            raise DataError(f"{file}: column {readable(name)} cannot be read ({parquet_error_text(error)})") from None


def parquet_part(files: Sequence[str | Path]) -> ParquetPart | None:
    """The rows of some Parquet files, one after the other; None where these are not all of one form, have a row group
    above ``LARGEST_GROUP``, or are none.

    Raises:
        OSError, pyarrow.ArrowInvalid: a file cannot be read.
    """
    import datasets
    import pyarrow.parquet as pq

    features, ends, groups, total = None, [], [], 0
    for number, file in enumerate(files):
        opened = pq.ParquetFile(str(file))
        own = datasets.Features.from_arrow_schema(opened.schema_arrow)
        if features is not None and own != features:
            return None
        features = own
        for group in range(opened.metadata.num_row_groups):
            described = opened.metadata.row_group(group)
            if described.total_byte_size > LARGEST_GROUP:
                return None
            total += described.num_rows
            ends.append(total)
            groups.append((number, group))
    if features is None:
        return None
    paths = tuple(str(Path(file).resolve()) for file in files)
    return ParquetPart(paths, features, np.array(ends, dtype=np.int64), tuple(groups))


def local_splits(folder: str, config: str | None) -> dict[str, ParquetPart] | None:
    """The splits of a folder that ``load_dataset`` would read, by name; None where they are no Parquet files, or not
    such as it would hand on unchanged.

    Args:
        folder: that ``check_data_set`` has seen.
        config: configuration, where there are several.

    Raises:
        Exception: whatever the libraries raise where there is no such data set.
    """
    import datasets
    from datasets.packaged_modules.parquet.parquet import Parquet

    builder = datasets.load_dataset_builder(folder, config)
    told = builder.config
    chosen = getattr(told, "columns", None) is not None or getattr(told, "filters", None) is not None
    if not isinstance(builder, Parquet) or chosen:
        return None
    found = {}
    for split, files in (told.data_files or {}).items():
        part = parquet_part([str(file) for file in files])
        if part is None or (builder.info.features is not None and dict(builder.info.features) != dict(part.features)):
            return None
        found[str(split)] = part
    return found or None
