"""What the ``datasets`` builders of this package share: rows of items, as Arrow tables."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import datasets
import pyarrow as pa

from builders.dataset.parquet_file import ShardRow, rows_table
from builders.errors import PhotoError

_log = logging.getLogger(__name__)


def item_ranges(count: int, most: int) -> list[tuple[int, int]]:
    """Cut ``count`` items into ranges of at most ``most``, which ``num_proc`` can hand out.

    >>> item_ranges(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + most, count)) for start in range(0, count, most)]


class ItemRows(Protocol):
    """The rows of items, picklable."""

    def __call__(self, item: int) -> Iterable[ShardRow]:
        """Those of an item. Raises ``PhotoError`` where it has none."""

    def name(self, item: int) -> str:
        """Of an item, for people."""


class RowsBuilder(datasets.ArrowBasedBuilder):
    """A builder whose items each make some rows. Its ``gen_kwargs`` are ``ranges`` and ``rows``.

    Rows go to Arrow here: what ``datasets`` does with the examples of a ``GeneratorBasedBuilder`` drops the bytes of a
    picture whose ``path`` is the name of a file in the folder that the builder is used in.
    """

    def _generate_tables(self, ranges: list[tuple[int, int]], rows: ItemRows) -> Iterator[tuple[Any, pa.Table]]:
        """A table for each item of the ranges, which go from a first item to before a last one."""
        for start, stop in ranges:
            for item in range(start, stop):
                try:
                    made = list(rows(item))
                except PhotoError as error:
                    _log.warning("%s is left out: %s", rows.name(item), error)
                    continue
                if made:
                    yield item, rows_table(made, self.info.features)
