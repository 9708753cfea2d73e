"""Columns of table files: CSV, TSV, Parquet, Feather, Excel, JSON, lines of JSON, and the JSON of COCO.

Cells become text, so that ``007`` stays an id. A file is read right or refused; no encoding is guessed that could be
another one.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from builders.errors import DataError, RespelledError, UsageError, missing_package, unknown_name
from builders.photos import Labels, labels_of
from builders.processes import progress_bar
from builders.sources.folders import MAX_ANNOTATION_BYTES
from builders.untrusted import (
    UntrustedInputError,
    first_line,
    json_lines,
    open_untrusted,
    parquet_error_text,
    parquet_errors,
    read_json,
    read_table,
    read_untrusted,
    readable,
    table_schema,
    workbook_rows,
)

JOINED = "-"
"""Between the values of several columns that make an id together."""

MISSING = ("", "nan", "<na>", "nat")
"""Cells without a value: empty, or as pandas and NumPy write what is missing. ``NA`` and ``None`` can be names."""

DELIMITED = (".csv", ".tsv", ".txt")
LINES = (".jsonl", ".ndjson")
IN_PART = (".parquet", ".feather", ".arrow")
"""Endings of the files of which only the wanted columns are read."""

TABLE_FILES = (*DELIMITED, *IN_PART, ".xlsx", ".json", *LINES)
"""Endings of the files that are read."""

_OTHER_LETTERS = re.compile(
    rb"(?<![A-Za-z])[\x80-\xff]{2,}(?![A-Za-z])|[\x80-\xff]{3,}|[\x81-\x84\x86-\x8f\x90\x98\x9a-\x9f]"
)
"""What a Western text in Windows-1252 hardly has: words of other letters, and letters of Mac OS Roman."""


@dataclass(frozen=True)
class Table:
    """Columns of a table as text."""

    name: str
    """Of its file, for messages and results."""
    columns: Mapping[str, Sequence[str | None]]
    """By name, one value a row; None where empty. Of a Parquet file only those that are named."""
    names: tuple[str, ...]
    """Of all columns, in order."""
    rows: int
    note: str = ""
    """What a reader of results should know of how it was read."""

    def labels(self, names: Sequence[str]) -> dict[str, Labels]:
        """Some columns as labels. ``A,B,C`` are columns of 0 and 1, of which one a row is 1.

        Raises:
            UsageError: there is no such column.
            DataError: of several columns not exactly one is 1.
        """
        return {name: self._one_of(name) or labels_of(self.column(name, "column")) for name in names}

    def _one_of(self, name: str) -> Labels | None:
        several = [part.strip() for part in name.split(",")]
        if name in self.columns or len(several) < 2 or not all(part in self.columns for part in several):
            return None
        ones = np.array([[value in ("1", "1.0", "True", "true") for value in self.columns[part]] for part in several])
        if (wrong := np.flatnonzero(ones.sum(axis=0) != 1)).size:
            raise DataError(f"{self.name}: row {wrong[0] + 1} has {ones[:, wrong[0]].sum()} of {name}, not one")
        return Labels(tuple(several), ones.argmax(axis=0).astype(np.int32))

    def column(self, name: str, option: str) -> Sequence[str | None]:
        """A column that an option names. Raises ``UsageError``."""
        if name not in self.columns:
            raise unknown_name(f"{option} of {self.name}", name, self.names)
        return self.columns[name]

    def joined(self, names: str) -> tuple[str, ...]:
        """A text of each row from a column, or from several, separated by commas and joined by ``-``.

        Raises:
            UsageError: there is no such column.
            DataError: a value is missing.
        """
        several = [names] if names in self.columns else [name.strip() for name in names.split(",")]
        parts = [self.column(name, "id") for name in several]
        for name, column in zip(several, parts, strict=True):
            if None in column:
                raise DataError(f"{self.name}: row {list(column).index(None) + 1} has no {name}, which is its id")
        return tuple(JOINED.join(map(str, values)) for values in zip(*parts, strict=True))

    def ids(self, names: str) -> tuple[str, ...]:
        """The ids of the rows, as ``joined`` gives them.

        Raises:
            UsageError: there is no such column.
            DataError: an id is missing, or is there twice.
        """
        ids = self.joined(names)
        if len(set(ids)) < len(ids):
            repeated = next(photo_id for photo_id, count in Counter(ids).items() if count > 1)
            raise DataError(
                f"{self.name}: the id {readable(repeated)!r} in {names} is there twice: name a column without "
                f"repetition, or several: id=COLUMN,COLUMN joins them"
            )
        return ids


def open_table(path: Path, wanted: Sequence[str], *, encoding: str = "") -> Table:
    """Read columns of a table.

    Args:
        path: of the file. In CSV the first row names the columns; ``,``, ``;``, ``|`` or a tab separates them.
        wanted: names of columns; those that are absent are left out. Only Parquet and Feather are read in part.
        encoding: of a CSV file; by default UTF-8, UTF-16 with its mark, or Windows-1252 if it is a Western text.

    Raises:
        UsageError: no table has this ending, the encoding is not known, or a Parquet file has none of these columns.
        DataError: it cannot be read, has no row, or a column does not hold text, numbers or dates.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise DataError(f"table:{path} is a folder: name the file, or write folder:{path} or hub:{path}")
    if suffix not in TABLE_FILES:
        raise UsageError(f"table:{path}: a table has one of the endings {', '.join(TABLE_FILES)}, .npz or .npy")
    if encoding and suffix not in DELIMITED:
        raise UsageError(f"encoding={encoding}: {path.name} says itself how it is encoded: leave it out")
    if suffix in DELIMITED:
        table = _csv_table(path, encoding)
    elif suffix in IN_PART:
        table = _arrow_table(path, wanted)
    elif suffix == ".xlsx":
        table = _table_of_rows(path, _sheet(path))
    else:
        table = _table_of_rows(path, list(json_lines(path))) if suffix in LINES else _json_table(path)
    if not table.rows:
        raise DataError(f"{path}: it holds no row")
    return table


def whole_table(path: Path) -> Table | None:
    """A table with all its columns, to say what they may be; None if it cannot be read."""
    try:
        return open_table(path, table_schema(path).names if path.suffix.lower() in IN_PART else [])
    except (DataError, UsageError):
        return None


def _csv_table(path: Path, encoding: str) -> Table:
    text, used = _decoded(path, encoding)
    named = path.suffix.lower() == ".tsv" and "\t" in text.partition("\n")[0]
    separator = "\t" if named else max(",;\t|", key=lambda mark: _fit(text, mark))
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        names = [readable(name.strip()) for name in next(lines, [])]
        if repeated := next((name for name in names if name and names.count(name) > 1), None):
            raise DataError(f"{path}: two columns are called {repeated}")
        rows = []
        for row in progress_bar(lines, desc=f"reading {path.name}", unit="row", delay=2):
            if not row:
                continue
            if len(row) != len(names):
                raise DataError(f"{path}, line {lines.line_num}: {len(row)} values for {len(names)} columns")
            rows.append(row)
    except csv.Error as error:
        raise DataError(
            f"{path}, line {lines.line_num}: not a CSV file that can be read ({first_line(error)})"
        ) from None
    cells = zip(*rows, strict=True) if rows else [()] * len(names)
    columns = {name: [_text(value) for value in column] for name, column in zip(names, cells, strict=True)}
    return Table(path.name, columns, tuple(names), len(rows), used)


def _decoded(path: Path, encoding: str) -> tuple[str, str]:
    """The text of a file, and a note of an encoding that it did not state.

    Raises:
        DataError: it has another encoding.
    """
    try:
        data = read_untrusted(path, limit=MAX_ANNOTATION_BYTES)
    except UntrustedInputError as error:
        raise DataError(f"{path}: {error.reason}") from None
    marked = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding or marked), f"read as {encoding}" if encoding else ""
    except LookupError:
        raise UsageError(f"encoding={encoding}: no such encoding; Python's names are known, such as cp1252") from None
    except (UnicodeError, ValueError) as error:
        at = getattr(error, "start", 0)
        if encoding or marked == "utf-16":
            raise DataError(f"{path}: not {encoding or marked} text (byte {at})") from None
    if not _OTHER_LETTERS.search(data):
        return data.decode("cp1252"), "its encoding is not UTF-8, and was read as Windows-1252 (encoding=cp1252)"
    fits = [name for name in ("cp932", "gb18030", "cp1251", "cp1252", "mac_roman") if _decodes(data, name)]
    listed = "encoding=" + ", ".join(fits)
    raise RespelledError(
        f"{path}: not UTF-8 text (byte {at}); say its encoding ({listed}, ...)", options={"encoding": fits[0]}
    )


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        return bool(data.decode(encoding))
    except UnicodeError:
        return False


def _fit(text: str, separator: str) -> tuple[bool, int]:
    """How well a separator fits: whether it gives the first two rows equally many columns, and how many the first."""
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        first, second = next(lines, []), next(lines, None)
    except csv.Error:
        return False, 0
    return not second or len(first) == len(second), len(first)


def _arrow_table(path: Path, wanted: Sequence[str]) -> Table:
    parquet = path.suffix.lower() == ".parquet"
    whole = None if parquet else _feather(path)
    schema = table_schema(path) if whole is None else whole.schema
    present = [name for name in dict.fromkeys(_parts(wanted, schema.names)) if name in schema.names]
    if wanted and not present:
        raise unknown_name(f"column of {path.name}", wanted[0], schema.names)
    for name in present:
        if pa.types.is_nested(schema.field(name).type) or pa.types.is_binary(schema.field(name).type):
            raise DataError(
                f"{path}: the column {readable(name)} holds {readable(str(schema.field(name).type))}, not text or "
                "numbers: a table with pictures in it is read by hub:FOLDER"
            )
    table = read_table(path, present) if whole is None else whole
    columns = {name: [_text(value) for value in table.column(name).to_pylist()] for name in present}
    return Table(path.name, columns, tuple(map(readable, schema.names)), table.num_rows)


def _parts(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """Names of columns, also those that a wanted name joins by commas."""
    return [part for name in wanted for part in ([name] if name in names else map(str.strip, name.split(",")))]


def _feather(path: Path) -> pa.Table:
    from pyarrow import feather

    try:
        with open_untrusted(path, limit=MAX_ANNOTATION_BYTES) as stream:
            table = feather.read_table(stream)
            table.validate(full=True)
            return table
    except parquet_errors() as error:
        raise DataError(f"{path}: not a Feather file that can be read ({parquet_error_text(error)})") from None


def _sheet(path: Path) -> list[dict[str, Any]]:
    try:
        return workbook_rows(path)
    except ModuleNotFoundError as error:
        raise UsageError(missing_package(str(error.name), path.name)) from None


def _json_table(path: Path) -> Table:
    value = read_json(path)
    if isinstance(value, dict):
        images = value.get("images")
        if isinstance(images, list) and images and isinstance(images[0], dict):
            return _coco_table(path, value)
        value = _rows_of_object(value)
    if not (isinstance(value, list) and all(isinstance(row, dict) for row in value)):
        raise DataError(f"{path}: no list of JSON objects, and no annotations in the form of COCO")
    return _table_of_rows(path, value)


def _rows_of_object(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Rows of an object of columns, of rows by name, or of values by name; None if it is none of these."""
    cells = list(value.values())
    if all(isinstance(column, dict) and [*column] == [str(row) for row in range(len(column))] for column in cells):
        cells = [list(column.values()) for column in cells]  # as DataFrame.to_json writes columns
    if all(isinstance(column, list) for column in cells):
        return [dict(zip(value, row, strict=True)) for row in itertools.zip_longest(*cells)]
    if all(isinstance(row, dict) for row in cells):
        return [{"key": key, **row} for key, row in value.items()]
    if all(isinstance(cell, str | int | float) for cell in cells):
        return [{"key": key, "value": cell} for key, cell in value.items()]
    return None


def _table_of_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    nested = {name for row in rows for name, value in row.items() if isinstance(value, list | dict)}
    columns = {readable(name): [_text(row.get(name)) for row in rows] for name in names if name not in nested}
    return Table(path.name, columns, tuple(columns), len(rows))


def _coco_table(path: Path, value: Mapping[str, Any]) -> Table:
    """The pictures of annotations in COCO's form, with the category of those that have one category alone."""
    try:
        names = {category["id"]: str(category["name"]) for category in value.get("categories") or []}
        of_image: dict[Any, set[str]] = {image["id"]: set() for image in value["images"]}
        for annotation in value.get("annotations") or []:
            if "category_id" in annotation and annotation["image_id"] in of_image:
                of_image[annotation["image_id"]].add(
                    names.get(annotation["category_id"], str(annotation["category_id"]))
                )
        rows = [
            {**image, "category": min(found) if len(found := of_image[image["id"]]) == 1 else None}
            for image in value["images"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not in the form of COCO ({first_line(error)})") from None
    several = sum(len(found) > 1 for found in of_image.values())
    table = _table_of_rows(path, rows)
    note = f"{several:,} pictures of several categories have no category" if several else ""
    return Table(table.name, table.columns, table.names, table.rows, note)


def _text(value: Any) -> str | None:
    """A cell as text; None where it is empty or no number. Whole numbers lose the ``.0`` that a missing one gave them.

    >>> [_text(value) for value in (" x ", "", "NaN", float("nan"), 3.0, 0.5, True)]
    ['x', None, None, None, '3', '0.5', 'True']
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value).strip()
    return None if text.lower() in MISSING else text
