"""Check of an opened state: its tables, the kinds of values in their cells, and its settings.

SQLite stores any value in any column, and a damaged page may still be one that it can read. What the steps of a
collection rely on is therefore checked once, where a state is opened, not where a value happens to be used.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from builders.flickrexif.api.stored_json import damaged_state, stored_json
from builders.flickrexif.store.schema import IMPORTED_PLANS, TABLES

_KINDS = {"INTEGER": ("integer",), "REAL": ("real", "integer"), "TEXT": ("text",), "BLOB": ("blob",)}
"""Storage classes that a column of a declared type may have (https://www.sqlite.org/datatype3.html)."""

_TIMES = frozenset({"at", "start", "end", "uploaded", "licence_checked", "exif_checked", "doubted"})
_LAST_TIME = 253_402_300_799
"""The last second of the year 9999, in seconds since 1970: what ``datetime`` can express."""

_ROWS = {
    "files": "status = 'ok' AND (path IS NULL OR sha256 IS NULL OR bytes IS NULL OR size IS NULL OR url IS NULL)",
    "slices": "licences GLOB '*[^0-9,]*' OR ',' || licences || ',' GLOB '*,,*'",
    "looks": "width NOT BETWEEN 0 AND 2147483647 OR height NOT BETWEEN 0 AND 2147483647",
}
"""What no row of a table may be, besides the kinds of its cells."""


def check_cells(db: sqlite3.Connection, path: Path) -> None:
    """Check that a database has the tables of a state with values of the declared kinds.

    Args:
        db: opened database of the newest version.
        path: of its file, for the message.

    Raises:
        DataError: a table or a column is missing, or a cell has a value that no step would have written.
    """
    for table, columns in _declared().items():
        present = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if missing := sorted(columns.keys() - present):
            raise damaged_state(f"table {table} has no column {missing[0]}", path)
        if row := db.execute(f"SELECT rowid FROM {table} WHERE {_wrong(table)} LIMIT 1").fetchone():
            raise damaged_state(f"row {row[0]} of table {table} has a value that does not belong there", path)
    for key, text in db.execute("SELECT key, value FROM settings"):
        if not _fits(key, stored_json(text)):
            raise damaged_state(f"setting {key!r} has a value that does not belong there", path)


_FREE = frozenset({"owner_name", "title", "error", "exif_error", "reason"})
"""Columns of texts that other people wrote. No other text has a control character."""

_CONTROLS = "'*[' || char(1) || '-' || char(31) || char(127) || '-' || char(159) || ']*'"
"""Pattern of SQL for a text with a control character."""


@cache
def _declared() -> Mapping[str, Mapping[str, tuple[str, bool]]]:
    """Type of each column of each table, and whether it may be empty."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: {
                name: (kind, not required and not key)
                for _, name, kind, required, _, key in db.execute(f"PRAGMA table_info({table})")
            }
            for table in tables
        }


@cache
def _wrong(table: str) -> str:
    """A condition of SQL that holds for the rows with a value that does not belong there."""
    parts = [_ROWS.get(table, "0")]
    for name, (kind, may_be_empty) in _declared()[table].items():
        kinds = ", ".join(f"'{each}'" for each in (*_KINDS[kind], *(("null",) if may_be_empty else ())))
        parts.append(f'typeof("{name}") NOT IN ({kinds})')
        if kind == "TEXT" and name not in _FREE:
            parts.append(f'"{name}" GLOB {_CONTROLS}')
        if name in _TIMES:
            parts.append(f'"{name}" NOT BETWEEN 0 AND {_LAST_TIME}')
    return " OR ".join(f"({part})" for part in parts)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole_or_none(value: Any) -> bool:
    return value is None or _whole(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_SETTINGS: Mapping[str, Callable[[Any], bool]] = {
    "photos_wanted": _whole_or_none,
    "calls_per_hour": lambda value: value is None or (isinstance(value, (int, float)) and 1 < value < math.inf),
    "with_exif": lambda value: isinstance(value, bool),
    "built": _texts,
    "imported_from": _texts,
    IMPORTED_PLANS: _texts,
}
"""Settings whose values are used, not only compared with an option."""


def _fits(key: str, value: Any) -> bool:
    if key.startswith("fill "):
        return isinstance(value, list) and len(value) == 4 and all(map(_whole, value))
    return _SETTINGS.get(key, lambda value: True)(value)
