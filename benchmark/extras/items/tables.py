"""Columns of tables that other programs wrote: CSV, TSV, Parquet, lines of JSON, JSON and Excel."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from builders.errors import DataError, unknown_name
from builders.untrusted import (
    MAX_LOG_BYTES,
    first_line,
    json_lines,
    open_untrusted,
    parse_csv_header,
    read_json,
    read_table,
    readable,
    table_schema,
    workbook_rows,
)

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
        names = list((workbook_rows(path, 1) if suffix == ".xlsx" else _records(path, value))[0])
    if not names:
        raise DataError(f"{path}: there is no column")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: a column is there twice")
    return names


def read_columns_of(path: Path, wanted: Sequence[str], names: Sequence[str], value: Any = None) -> pa.Table:
    """Columns of a table, in the order of ``wanted``.

    Args:
        path: of the table.
        wanted: the columns. The second one has numbers. The others have names, which are read as they are written
            (``007``, ``1.10``, ``NA``); one that is empty is null.
        names: of all columns, from ``column_names``.
        value: of a ``.json`` file that is read already.

    Raises:
        UsageError: there is no such column.
        DataError: the file cannot be read, or is larger than the limits.
    """
    for name in wanted:
        if name not in names:
            raise unknown_name(f"column of {path.name}", name, map(readable, names))
    suffix = path.suffix.lower()
    numbers = "" if wanted[0] in wanted[1:2] else "".join(wanted[1:2])
    try:
        if suffix == ".parquet":
            return read_table(path, list(dict.fromkeys(wanted)))
        if suffix in DELIMITERS:
            return _delimited(path, DELIMITERS[suffix], wanted, numbers)
        if suffix in LINES:
            return _lines_table(path, wanted, numbers)
        return _table(workbook_rows(path) if suffix == ".xlsx" else _records(path, value), wanted, numbers)
    except pa.ArrowException as error:
        raise DataError(f"{path}: not a table that can be read ({first_line(error)})") from None


def _delimited(path: Path, delimiter: str, wanted: Sequence[str], numbers: str) -> pa.Table:
    from pyarrow import csv as arrow_csv

    texts = {name: pa.string() for name in wanted if name != numbers}
    options = arrow_csv.ConvertOptions(include_columns=list(dict.fromkeys(wanted)), column_types=texts)
    with open_untrusted(path, limit=MAX_LOG_BYTES) as stream:
        table = arrow_csv.read_csv(
            stream,
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=options,
        )
    for at, name in enumerate(table.column_names):
        column = table.column(at)
        if pa.types.is_string(column.type):  # pyarrow takes "NA" for nothing in all columns of text, or in none
            nothing = pa.array([""] if name in texts else options.null_values)
            known = pc.if_else(pc.is_in(column, value_set=nothing), pa.scalar(None, pa.string()), column)
            table = table.set_column(at, name, known)
    return table


def _lines_table(path: Path, wanted: Sequence[str], numbers: str) -> pa.Table:
    """By pyarrow where every line has the types of the first one, else line by line."""
    from pyarrow import json as arrow_json

    first = next(json_lines(path))
    kinds = {str: pa.string(), bool: pa.bool_(), int: pa.float64(), float: pa.float64()}
    of_names = {**kinds, int: pa.int64(), float: None}
    types = {name: (kinds if name == numbers else of_names).get(type(first.get(name))) for name in wanted}
    if all(types.values()):
        schema = pa.schema(list(types.items()))
        try:
            with open_untrusted(path, limit=MAX_LOG_BYTES) as stream:
                options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
                return arrow_json.read_json(stream, parse_options=options)
        except pa.ArrowException:
            pass
    return _table(json_lines(path), wanted, numbers)


def _table(rows: Sequence[dict[str, Any]] | Iterator[dict[str, Any]], wanted: Sequence[str], numbers: str) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    for row in rows:
        for name, values in columns.items():
            values.append(row.get(name))
    return pa.table({name: _column(values, name == numbers) for name, values in columns.items()})


def _column(values: list[Any], are_numbers: bool) -> pa.Array:
    """Values of one type as they are, others as text; whole numbers of names stay whole among others."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} and not are_numbers and any(isinstance(v, int) and abs(v) > 1 << 53 for v in values):
        return pa.array([None if v is None else str(int(v)) if v == v // 1 else str(v) for v in values], pa.string())
    if kinds <= {int, float} or (len(kinds) == 1 and kinds <= {str, bool}):
        with contextlib.suppress(OverflowError):  # a number of more than 64 bits is text
            return pa.array(values, pa.float64() if float in kinds else None)
    return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v, default=str) for v in values])


def _records(path: Path, value: Any = None) -> list[dict[str, Any]]:
    """The objects of a JSON file that is a list of them, unless it is read already; raises ``DataError``."""
    value = read_json(path) if value is None else value
    if not (isinstance(value, list) and value and all(isinstance(row, dict) for row in value)):
        raise DataError(f"{path}: no list of JSON objects, and no log that is known")
    return value
