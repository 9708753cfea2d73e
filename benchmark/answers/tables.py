"""Rows of a table that another program made: CSV, JSON lines or Parquet."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import DataError
from builders.sources import open_table
from builders.untrusted import json_lines, read_table, read_untrusted, table_schema

LARGEST_TABLE = 4 << 30
"""Largest size of a table in bytes."""

KINDS = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True)
class Rows:
    """The rows of a table, and the SHA-256 of its file."""

    rows: list[dict[str, Any]]
    """By column; the cells of CSV are texts, and None where empty."""
    sha256: str


def read_rows(path: Path, columns: Sequence[str]) -> Rows:
    """Some columns of a table; those that it lacks are left out.

    Raises:
        DataError: it cannot be read; the message has the name of the file without its folder.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(f"{path.name}: a table is one of {', '.join(KINDS)}")
    try:
        data = read_untrusted(path, limit=LARGEST_TABLE)
        if kind == ".jsonl":
            rows = list(json_lines(path))
        elif kind == ".parquet":
            names = table_schema(path).names
            rows = read_table(path, [name for name in columns if name in names]).to_pylist()
        else:
            held = open_table(path, columns).columns
            named = {name: held[name] for name in columns if name in held}
            rows = [dict(zip(named, cells, strict=True)) for cells in zip(*named.values(), strict=True)]
    except DataError as error:
        raise DataError(str(error).replace(f"{path.parent}/", "")) from None
    return Rows(rows, hashlib.sha256(data).hexdigest())
