"""Many rows as columns: an Arrow table whose rows are made when somebody asks for them, some at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

BLOCK = 1000
"""Rows that are mappings at a time."""

OFTEN_THE_SAME = pa.dictionary(pa.int32(), pa.string())
"""Type of a column of few different texts, each stored once."""


class TableRows(Sequence[Mapping[str, Any]]):
    """The rows of a table. Picklable; a pickle holds the table. Cheap where rows are asked for in about their order.

    >>> rows = TableRows(pa.table({"id": ["a", "b", "c"], "n": [1, 2, 3]}))
    >>> rows[1], len(rows), rows.taken(np.array([2, 0]))[0]
    ({'id': 'b', 'n': 2}, 3, {'id': 'c', 'n': 3})
    """

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._at = -1
        self._block: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, row: Any) -> Any:
        """One row, by a position from 0 on."""
        block, place = divmod(int(row), BLOCK)
        if block != self._at:
            self._at, self._block = block, self.table.slice(block * BLOCK, BLOCK).to_pylist()
        return self._block[place]

    def __getstate__(self) -> dict[str, Any]:
        return {"table": self.table, "_at": -1, "_block": []}

    def taken(self, rows: np.ndarray) -> TableRows:
        """Some rows, in another order if need be."""
        return TableRows(self.table.take(pa.array(rows)))


def table_of(rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of rows that come one by one; no more than ``BLOCK`` of them are there at a time."""
    batches: list[pa.RecordBatch] = []
    waiting: list[Mapping[str, Any]] = []
    for row in rows:
        waiting.append(row)
        if len(waiting) == BLOCK:
            batches.append(pa.RecordBatch.from_pylist(waiting, schema=schema))
            waiting = []
    batches.append(pa.RecordBatch.from_pylist(waiting, schema=schema))
    return pa.Table.from_batches(batches, schema=schema).unify_dictionaries().combine_chunks()


def words_of(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """A column of ``OFTEN_THE_SAME`` without nulls as (position of each row's word, int64; words)."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk
        return np.zeros(0, dtype=np.int64), []
    return whole.indices.to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary.to_pylist()
