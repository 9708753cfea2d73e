"""Rows of JSON, lines of JSON and Excel files that other programs wrote, as dictionaries."""

from __future__ import annotations

import codecs
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builders.errors import DataError
from builders.untrusted.archives import open_archive
from builders.untrusted.documents import UntrustedInputError, parse_json
from builders.untrusted.files import open_untrusted, read_untrusted_text
from builders.untrusted.text import first_line, readable

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
            if i == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
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


def workbook_rows(path: Path, most: int | None = None) -> list[dict[str, Any]]:
    """Rows of the first sheet of an Excel file by the names in its first row; at most ``most``.

    Formulas are not computed: a cell has the value that was stored. Parts with a DOCTYPE, which could define entities
    that unfold to gigabytes, are refused.

    Raises:
        DataError: it cannot be read, or has no row.
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
