"""Columns of tables that other programs wrote: CSV, TSV, Parquet, lines of JSON, JSON and Excel."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.errors import DataError, unknown_name
from builders.untrusted import (
    UntrustedInputError,
    first_line,
    open_archive,
    open_untrusted,
    parse_csv_header,
    parse_json,
    read_table,
    read_untrusted_text,
    readable,
    table_schema,
)

MAX_LOG_BYTES = 16 * 2**30
"""Of a table or a log that is read in pieces."""

MAX_JSON_BYTES = 2**30
"""Of a file or a member that is read at once."""

MAX_WORKBOOK_BYTES = 2**31
"""Of all parts of an Excel file, unpacked."""

MAX_EMPTY_ROWS = 10_000
"""In succession: one cell in the last row that Excel has makes openpyxl yield a million of them."""

MAX_LINE = 64 * 2**20
"""Characters of a line of JSON: samples with their whole prompts have less than one million."""

DELIMITERS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
SUFFIXES = (*DELIMITERS, *LINES, ".parquet", ".json", ".xlsx")


def column_names(path: Path, value: Any = None) -> list[str]:
    """Names of the columns of a table.

    Args:
        path: of the table.
        value: of a ``.json`` file that is read already.

    Raises:
        DataError: it cannot be read, has no rows, or a name is there twice.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        names = list(table_schema(path).names)
    elif suffix in DELIMITERS:
        with open_untrusted(path, limit=MAX_LOG_BYTES) as stream:
            text = stream.readline(1 << 20).decode("utf-8-sig", "replace")
        names = parse_csv_header(text, str(path), DELIMITERS[suffix])
    elif suffix in LINES:
        names = list(next(json_lines(path), {}))
    else:
        names = list((_workbook(path, 1) if suffix == ".xlsx" else _records(path, value))[0])
    if not names:
        raise DataError(f"{path}: there is no column")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: a column is there twice")
    return names


def read_columns_of(path: Path, wanted: Sequence[str], names: Sequence[str], value: Any = None) -> pa.Table:
    """Columns of a table, in the order of ``wanted``.

    Args:
        path: of the table.
        wanted: the columns; the first one names the item.
        names: of all columns, from ``column_names``.
        value: as there.

    Raises:
        UsageError: there is no such column.
        DataError: the file cannot be read, or is larger than the limits.
    """
    for name in wanted:
        if name not in names:
            raise unknown_name(f"column of {path.name}", name, map(readable, names))
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return read_table(path, list(dict.fromkeys(wanted)))
        if suffix in DELIMITERS:
            return _delimited(path, DELIMITERS[suffix], wanted)
        if suffix in LINES:
            return _lines_table(path, wanted)
        return _table(_workbook(path) if suffix == ".xlsx" else _records(path, value), wanted)
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a table that can be read ({first_line(error)})") from None


def _delimited(path: Path, delimiter: str, wanted: Sequence[str]) -> pa.Table:
    from pyarrow import csv as arrow_csv

    first = wanted[0]  # the item: 007 is a name, not a number
    with open_untrusted(path, limit=MAX_LOG_BYTES) as stream:
        return arrow_csv.read_csv(
            stream,
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=list(dict.fromkeys(wanted)), column_types={first: pa.string()}, strings_can_be_null=True
            ),
        )


def _lines_table(path: Path, wanted: Sequence[str]) -> pa.Table:
    """By pyarrow where every line has the types of the first one, else line by line."""
    from pyarrow import json as arrow_json

    first = next(json_lines(path))
    kinds = {str: pa.string(), bool: pa.bool_(), int: pa.float64(), float: pa.float64()}
    types = {name: kinds.get(type(first[name])) for name in wanted}
    if isinstance(first[wanted[0]], int):
        types[wanted[0]] = pa.int64()
    if all(types.values()):
        schema = pa.schema(list(types.items()))
        try:
            with open_untrusted(path, limit=MAX_LOG_BYTES) as stream:
                options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
                return arrow_json.read_json(stream, parse_options=options)
        except pa.ArrowException:
            pass
    return _table(json_lines(path), wanted)


def _table(rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]], wanted: Sequence[str]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for row in rows:
        for name, values in columns.items():
            values.append(row.get(name))
    return pa.table({name: _column(values) for name, values in columns.items()})


def _column(values: list[Any]) -> pa.Array:
    """Values of one type as they are, others as text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= {str, bool}):
        return pa.array(values, pa.float64() if float in kinds else None)
    return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v, default=str) for v in values])


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one in each line; empty lines are passed over.

    Raises:
        DataError: a line is no object, or longer than ``MAX_LINE``.
    """
    with open_untrusted(path, limit=MAX_LOG_BYTES) as stream:
        for i in itertools.count(1):
            line = stream.readline(MAX_LINE + 1)
            if not line:
                return
            if len(line) > MAX_LINE:
                raise UntrustedInputError(path, f"line {i} is longer than {MAX_LINE:,} bytes")
            if line.strip():
                try:
                    value = parse_json(line.decode("utf-8"), f"{os.fspath(path)}, line {i}", not_finite=True)
                except UnicodeDecodeError as error:
                    raise UntrustedInputError(path, f"line {i} is not UTF-8 text (byte {error.start})") from None
                if not isinstance(value, dict):
                    raise UntrustedInputError(path, f"line {i} is no JSON object")
                yield value


def read_json(path: Path) -> Any:
    """The value of a JSON file; raises ``DataError``."""
    return parse_json(read_untrusted_text(path, limit=MAX_JSON_BYTES), os.fspath(path), not_finite=True)


def _records(path: Path, value: Any = None) -> list[dict[str, Any]]:
    """The objects of a JSON file that is a list of them, unless it is read already; raises ``DataError``."""
    value = read_json(path) if value is None else value
    if not (isinstance(value, list) and value and all(isinstance(row, dict) for row in value)):
        raise DataError(f"{path}: no list of JSON objects, and no log that is known")
    return value


def _workbook(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    """Rows of the first sheet of an Excel file by the names in its first row; at most ``most``.

    Formulas are not computed: a cell has the value that was stored. Parts with a DOCTYPE, which could define entities
    that unfold to gigabytes, are refused.
    """
    import openpyxl

    with open_archive(path, limit=MAX_JSON_BYTES) as archive:
        if archive.unpacked_bytes > MAX_WORKBOOK_BYTES:
            raise UntrustedInputError(path, f"more than {MAX_WORKBOOK_BYTES >> 30} GiB unpacked")
        for name in archive.names:
            if name.endswith((".xml", ".rels")) and b"<!DOCTYPE" in archive.read(name, limit=MAX_WORKBOOK_BYTES):
                raise UntrustedInputError(path, f"{readable(name)} has a DOCTYPE")
    with open_untrusted(path, limit=MAX_JSON_BYTES) as stream:
        try:
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write a wrong size, and rows beyond it would be lost
            rows = list(itertools.islice(_rows_of_sheet(sheet), most))
        except Exception as error:  # openpyxl raises whatever a malformed part leads to
            raise UntrustedInputError(path, f"not an Excel file that can be read ({first_line(error)})") from None
    if not rows:
        raise DataError(f"{path}: there is no row")
    return rows


def _rows_of_sheet(sheet: Any) -> Iterator[dict[str, Any]]:
    rows = sheet.iter_rows(values_only=True)
    header = next(rows, ())
    empty = 0
    for row in rows:
        filled = any(cell is not None for cell in row)
        empty = 0 if filled else empty + 1
        if empty > MAX_EMPTY_ROWS:
            raise ValueError(f"more than {MAX_EMPTY_ROWS:,} empty rows before a cell")
        if filled:
            yield {str(name): cell for name, cell in zip(header, row, strict=False) if name is not None}
