"""Columns of a stranger's Parquet file, unfolded in small pieces up to a limit: one value may stand in many rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from builders.errors import DataError
from builders.untrusted.files import open_untrusted
from builders.untrusted.text import first_line, readable

PIECE_BYTES, PIECE_ROWS = 1 << 31, 256
"""Of one piece at most."""


def read_columns(
    file: pq.ParquetFile, columns: Sequence[str], *, limit: int, groups: Iterable[int] | None = None
) -> pa.Table:
    """Columns of some row groups, all by default, in the order that is asked for.

    Args:
        file: opened.
        columns: their names.
        limit: bytes that they may take in memory.
        groups: numbers of row groups.

    Raises:
        ValueError: they take more, or are fewer rows than the file says.
        pyarrow.ArrowException, OSError, KeyError, OverflowError, MemoryError: bytes that are not what they say; see
            ``unreadable_table``.
    """
    import pyarrow as pa

    schema = pa.schema([_plain_field(file.schema_arrow.field(name)) for name in columns])
    pieces, total = [], 0
    for group in range(file.num_row_groups) if groups is None else groups:
        described, found = file.metadata.row_group(group), 0
        rows = max(1, min(PIECE_ROWS, PIECE_BYTES // max(1, described.total_byte_size)))
        for piece in file.iter_batches(batch_size=rows, row_groups=[group], columns=list(columns)):
            plain = pa.RecordBatch.from_arrays([_plain(piece.column(name)) for name in columns], schema=schema)
            total, found = total + plain.nbytes, found + plain.num_rows
            if total > limit:
                raise ValueError(f"it unfolds to more than {limit / 1e9:.1f} GB")
            pieces.append(plain)
        if found != described.num_rows:
            raise ValueError(f"{found:,} rows where it says {described.num_rows:,}")
    return pa.Table.from_batches(pieces, schema)


def _plain(column: pa.Array) -> pa.Array:
    """Values in place of their numbers in a dictionary."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _plain_field(field: pa.Field) -> pa.Field:
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def unreadable_table(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """What reading a Parquet file raises where its bytes are not what they say, and what else a caller names."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError, RecursionError, *more)


def parquet_error_text(error: BaseException) -> str:
    """Its first line, short.

    >>> parquet_error_text(ValueError("no magic bytes\\nat the end"))
    'no magic bytes'
    """
    return first_line(error, 200)


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
        with open_untrusted(path, limit=MAX_SHARD_BYTES) as stream:
            file = pq.ParquetFile(stream)
            if missing := sorted(set(columns or ()) - set(file.schema_arrow.names)):
                raise DataError(f"{path}: there is no column {readable(missing[0])!r}")
            size = unpacked_bytes(file, columns)
            if size > MAX_TABLE_BYTES:
                raise DataError(f"{path}: {size / 1e9:.0f} GB unpacked, more than {MAX_TABLE_BYTES / 1e9:.0f}")
            return read_columns(file, file.schema_arrow.names if columns is None else columns, limit=MAX_TABLE_BYTES)
    except unreadable_table() as error:
        raise _unreadable(path, error) from None


def table_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file.

    Raises:
        DataError: no regular file, or no Parquet.
    """
    try:
        with open_untrusted(path, limit=MAX_SHARD_BYTES) as stream:
            return pq.read_schema(stream)
    except unreadable_table() as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path}: not a Parquet file that can be read ({parquet_error_text(error)})")


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
