"""Parquet files of built folders, which may be a stranger's: regular files of bounded content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.errors import DataError
from builders.outside import open_outside, readable, said_of_table, unfolded, unreadable_table

MAX_SHARD_BYTES = 64 * 2**30
"""Of a Parquet file: ours aim at 400 MiB."""
MAX_TABLE_BYTES = 8 * 2**30
"""Of the columns that are read at once, unpacked: a few bytes can unfold to any number of equal rows."""


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of a Parquet file, all by default.

    Raises:
        DataError: no regular file, no Parquet, a column is not there, or it unfolds to more than ``MAX_TABLE_BYTES``.
    """
    try:
        with open_outside(path, limit=MAX_SHARD_BYTES) as stream:
            file = pq.ParquetFile(stream)
            if missing := sorted(set(columns or ()) - set(file.schema_arrow.names)):
                raise DataError(f"{path}: there is no column {readable(missing[0])!r}")
            size = unpacked_bytes(file, columns)
            if size > MAX_TABLE_BYTES:
                raise DataError(f"{path}: {size / 1e9:.0f} GB unpacked, more than {MAX_TABLE_BYTES / 1e9:.0f}")
            return unfolded(file, file.schema_arrow.names if columns is None else columns, limit=MAX_TABLE_BYTES)
    except unreadable_table() as error:
        raise _unreadable(path, error) from None


def table_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file.

    Raises:
        DataError: no regular file, or no Parquet.
    """
    try:
        with open_outside(path, limit=MAX_SHARD_BYTES) as stream:
            return pq.read_schema(stream)
    except unreadable_table() as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path}: not a Parquet file that can be read ({said_of_table(error)})")


def unpacked_bytes(file: pq.ParquetFile, columns: Sequence[str] | None = None) -> int:
    """What columns of a Parquet file say that they unfold to, or what their rows need at least."""
    meta, wanted, total = file.metadata, None if columns is None else set(columns), 0
    for group in range(meta.num_row_groups):
        rows = meta.row_group(group)
        for i in range(rows.num_columns):
            column = rows.column(i)
            if wanted is None or column.path_in_schema.partition(".")[0] in wanted:
                total += max(int(column.total_uncompressed_size), int(column.num_values))
    return total
