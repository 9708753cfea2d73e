"""Columns of a stranger's Parquet file, unfolded in small pieces up to a limit: one value may stand in many rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from builders.outside.saying import readable_line

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

PIECE_BYTES, PIECE_ROWS = 1 << 31, 256
"""Of one piece at most."""


def unfolded(
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


def said_of_table(error: BaseException) -> str:
    """Its first line, short.

    >>> said_of_table(ValueError("no magic bytes\\nat the end"))
    'no magic bytes'
    """
    return readable_line(error, 200)
