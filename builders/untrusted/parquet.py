"""Columns of untrusted Parquet files, unpacked in small pieces up to a limit: one stored value may fill many rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.errors import DataError
from builders.untrusted.files import open_untrusted
from builders.untrusted.text import first_line, readable

PIECE_BYTES, PIECE_ROWS = 1 << 31, 256
"""Largest piece that is unpacked at once, in bytes and rows."""


def read_columns(
    file: pq.ParquetFile, columns: Sequence[str], *, limit: int, groups: Iterable[int] | None = None
) -> pa.Table:
    """Columns of some row groups, in the given order.

    Args:
        file: opened; untrusted.
        columns: names of columns.
        limit: bytes that they may take in memory.
        groups: numbers of row groups; by default all.

    Raises:
        ValueError: they take more, or have fewer rows than the metadata states.
        pyarrow.ArrowException, OSError, KeyError, OverflowError, MemoryError: bytes that contradict the metadata; see
            ``parquet_errors``.
    """
    import pyarrow as pa

    schema = pa.schema([_plain_field(file.schema_arrow.field(name)) for name in columns])
    pieces, total = [], 0
    for group in range(file.num_row_groups) if groups is None else groups:
        metadata, n_rows = file.metadata.row_group(group), 0
        rows = max(1, min(PIECE_ROWS, PIECE_BYTES // max(1, metadata.total_byte_size)))
        for piece in file.iter_batches(batch_size=rows, row_groups=[group], columns=list(columns)):
            plain = pa.RecordBatch.from_arrays([_plain(piece.column(name)) for name in columns], schema=schema)
            total, n_rows = total + plain.nbytes, n_rows + plain.num_rows
            if total > limit:
                raise ValueError(f"it unfolds to more than {limit / 1e9:.1f} GB")
            pieces.append(plain)
        if n_rows != metadata.num_rows:
            raise ValueError(f"{n_rows:,} rows where it says {metadata.num_rows:,}")
    return pa.Table.from_batches(pieces, schema)


def _plain(column: pa.Array) -> pa.Array:
    """Values in place of their numbers in a dictionary."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def _plain_field(field: pa.Field) -> pa.Field:
    import pyarrow as pa

    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


MAX_GROUP_ROWS = 1 << 26
"""Of a row group; pyarrow writes at most 64 Mi by itself."""


def checked_footer(footer: pq.FileMetaData) -> pq.FileMetaData:
    """The footer of an untrusted file, whose numbers of rows may be used for arrays.

    Raises:
        ValueError: a row group has a number of rows that none has, or they do not add up to those of the file.
    """
    rows = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    for group, count in enumerate(rows):
        if not 0 <= count <= MAX_GROUP_ROWS:
            raise ValueError(f"it says that its row group {group} has {count:,} rows")
    if sum(rows) != footer.num_rows:
        raise ValueError(f"it says that it has {footer.num_rows:,} rows, and its row groups have {sum(rows):,}")
    return footer


def list_vectors(lists: pa.Array, where: str) -> np.ndarray:
    """A column of lists of numbers, all of one length, as float32 [rows, numbers].

    Numbers beyond the range of float32 become infinite.

    Args:
        lists: the column.
        where: first words of an error.

    Raises:
        DataError: it is of another type, a value is missing, or a list is of another length.

    >>> import pyarrow as pa
    >>> list_vectors(pa.array([[1, 2], [3, 4]]), "E.parquet").tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    kind = lists.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise DataError(f"{where} holds {kind}, not lists of numbers")
    if lists.null_count:
        raise DataError(f"{where}: row {lists.is_null().index(True).as_py() + 1} is empty")
    lengths, flat = np.asarray(lists.value_lengths()), lists.flatten()
    if len(lengths) and ((lengths != lengths[0]).any() or not lengths[0]):
        odd = int(np.argmax(lengths != lengths[0]))
        raise DataError(f"{where}: row {odd + 1} has {lengths[odd]} numbers, row 1 has {lengths[0]}")
    if flat.null_count:
        raise DataError(f"{where}: one of the numbers is missing")
    with np.errstate(over="ignore"):
        return flat.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(lists), -1)


def parquet_errors(*more: type[Exception]) -> tuple[type[Exception], ...]:
    """Exceptions of reading a Parquet file whose bytes contradict its metadata, and those that a caller adds."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError, RecursionError, *more)


def parquet_error_text(error: BaseException) -> str:
    """Its first line, short.

    >>> parquet_error_text(ValueError("no magic bytes\\nat the end"))
    'no magic bytes'
    """
    return first_line(error, 200)


MAX_SHARD_BYTES = 64 * 2**30
"""Of a Parquet file: data sets of this project have files of about 400 MiB."""

MAX_TABLE_BYTES = 8 * 2**30
"""Of the columns that are read at once, unpacked: a few bytes can unpack to any number of equal rows."""


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of a Parquet file, all by default.

    Raises:
        DataError: no regular file, no Parquet, a column is absent, or it unpacks to more than ``MAX_TABLE_BYTES``.
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
    except parquet_errors() as error:
        raise _unreadable(path, error) from None


def table_schema(path: Path) -> pa.Schema:
    """The columns of a Parquet file.

    Raises:
        DataError: no regular file, or no Parquet.
    """
    try:
        with open_untrusted(path, limit=MAX_SHARD_BYTES) as stream:
            return pq.read_schema(stream)
    except parquet_errors() as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path}: not a Parquet file that can be read ({parquet_error_text(error)})")


def unpacked_bytes(file: pq.ParquetFile, columns: Sequence[str] | None) -> int:
    """Bytes of columns unpacked, as the metadata states them; one byte a value at least."""
    metadata, wanted, total = file.metadata, None if columns is None else set(columns), 0
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for i in range(row_group.num_columns):
            column = row_group.column(i)
            if wanted is None or column.path_in_schema.partition(".")[0] in wanted:
                total += max(int(column.total_uncompressed_size), int(column.num_values))
    return total
