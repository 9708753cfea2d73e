"""Writes rows to Parquet files and Arrow tables; the base class of builders for use from Python."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image
from datasets.config import DEFAULT_CDC_OPTIONS

from builders.errors import PhotoError

ROW_GROUP_BYTES = 32 * 2**20
"""Bytes of images at which a row group is closed: a streaming reader fetches one row group at once."""

ROW_GROUP_ROWS = 1000
"""Rows at which a row group is closed."""

ShardRow = Mapping[str, Any]
"""Values of one row by column; an image is ``{"bytes": ..., "path": ...}``."""


class Written(NamedTuple):
    """Size of one written file."""

    rows: int
    data_bytes: int
    """Uncompressed."""


def write_parquet(stream: Any, features: Features, rows: Iterable[ShardRow]) -> Written:
    """Write rows as one Parquet file: bounded row groups, page index, chunks that the Hub's storage deduplicates.

    Args:
        stream: binary file open for writing.
        features: columns.
        rows: with the columns of ``features``.
    """
    schema = features.arrow_schema
    leaves = [leaf for name, feature in features.items() for leaf in _leaves(name, feature)]
    pictures, others = _split_features(features)
    images = [f"{name}.bytes" for name in pictures]
    count = data_bytes = 0
    with pq.ParquetWriter(
        stream,
        schema,
        compression={leaf: "none" if leaf in images else "snappy" for leaf in leaves},
        use_dictionary=[leaf for leaf in leaves if leaf not in images],
        use_content_defined_chunking=DEFAULT_CDC_OPTIONS,
        write_page_index=True,
    ) as writer:
        writer.add_key_value_metadata({"content_defined_chunking": json.dumps(DEFAULT_CDC_OPTIONS)})
        batch: list[Any] = []
        size = 0
        for row in rows:
            encoded = _encoded(row, pictures, others)
            batch.append(encoded)
            size += bytes_of_row(encoded)
            count += 1
            if size >= ROW_GROUP_BYTES or len(batch) >= ROW_GROUP_ROWS:
                data_bytes += _write_group(writer, batch, schema)
                batch, size = [], 0
        if batch:
            data_bytes += _write_group(writer, batch, schema)
    return Written(count, data_bytes)


def rows_table(rows: Sequence[ShardRow], features: Features) -> pa.Table:
    """Rows as an Arrow table. Images stay mappings of ``bytes`` and ``path``."""
    pictures, others = _split_features(features)
    return pa.Table.from_pylist([_encoded(row, pictures, others) for row in rows], schema=features.arrow_schema)


def _split_features(features: Features) -> tuple[list[str], Features]:
    """Names of the image columns, and the other columns."""
    pictures = [name for name, feature in features.items() if isinstance(feature, Image)]
    return pictures, Features({name: feature for name, feature in features.items() if name not in pictures})


def _encoded(row: ShardRow, pictures: Sequence[str], others: Features) -> dict[str, Any]:
    """A row with encoded values. Images stay unchanged: ``Image.encode_example`` would drop the bytes of an image whose
    ``path`` is the name of a file in the working directory."""
    rest = {name: value for name, value in row.items() if name not in pictures}
    return {**others.encode_example(rest), **{name: row.get(name) for name in pictures}}


def _leaves(name: str, feature: Any) -> list[str]:
    return [f"{name}.bytes", f"{name}.path"] if isinstance(feature, Image) else [name]


def _write_group(writer: pq.ParquetWriter, rows: list[Any], schema: pa.Schema) -> int:
    table = pa.Table.from_pylist(rows, schema=schema)
    writer.write_table(table, row_group_size=len(rows))
    return table.nbytes


def bytes_of_row(row: Mapping[str, Any]) -> int:
    """Bytes of the images in a row."""
    return sum(len(cell["bytes"] or b"") for cell in row.values() if isinstance(cell, Mapping) and "bytes" in cell)


_log = logging.getLogger(__name__)


def item_ranges(count: int, most: int) -> list[tuple[int, int]]:
    """Cut ``count`` items into ranges of at most ``most``; processes of ``num_proc`` get whole ranges.

    >>> item_ranges(5, 2)
    [(0, 2), (2, 4), (4, 5)]
    """
    return [(start, min(start + most, count)) for start in range(0, count, most)]


class ItemRows(Protocol):
    """Makes the rows of items. Picklable."""

    def __call__(self, item: int) -> Iterable[ShardRow]:
        """The rows of an item. Raises ``PhotoError`` if it has none."""

    def name(self, item: int) -> str:
        """Name of an item for messages."""


class RowsBuilder(datasets.ArrowBasedBuilder):
    """A ``datasets`` builder whose items each make some rows. Its ``gen_kwargs`` are ``ranges`` and ``rows``.

    It makes Arrow tables itself: a ``GeneratorBasedBuilder`` would drop the bytes of an image whose ``path`` is the
    name of a file in the working directory.
    """

    def _generate_tables(self, ranges: list[tuple[int, int]], rows: ItemRows) -> Iterator[tuple[Any, pa.Table]]:
        """A table for each item of the ranges [start, stop)."""
        for start, stop in ranges:
            for item in range(start, stop):
                try:
                    item_rows = list(rows(item))
                except PhotoError as error:
                    _log.warning("%s is left out: %s", rows.name(item), error)
                    continue
                if item_rows:
                    yield item, rows_table(item_rows, self.info.features)
