"""Names in stored records (results, manifests, printed JSON) are an interface: those of ``tests/record_keys.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RECORDS = Path(__file__).parents[1] / "record_keys.json"


def check_keys(name: str, record: object, *, any_key: Sequence[str] = ()) -> None:
    """Compare the keys at every depth with those that records of this name have.

    Args:
        name: of the kind of record, as in ``record_keys.json``.
        record: JSON values.
        any_key: paths of mappings whose keys are data, such as names of tasks.

    With the variable ``CAMTRACE_WRITE_RECORD_KEYS`` the file takes the keys of the record instead: look at its diff.
    """
    records = json.loads(RECORDS.read_text("utf-8")) if RECORDS.exists() else {}
    keys = list(dict.fromkeys(_paths(json.loads(json.dumps(record, default=str)), "", frozenset(any_key))))
    if os.environ.get("CAMTRACE_WRITE_RECORD_KEYS"):
        RECORDS.write_text(json.dumps({**records, name: sorted(keys)}, indent=1, sort_keys=True) + "\n", "utf-8")
        return
    assert sorted(keys) == records[name]


def _paths(record: Any, path: str, any_key: frozenset[str]) -> Iterator[str]:
    """Paths such as ``splits[].rows``; ``*`` stands for a key that is data."""
    if isinstance(record, Mapping):
        for key, value in record.items():
            below = f"{path}.{'*' if path in any_key else key}".removeprefix(".")
            yield below
            yield from _paths(value, below, any_key)
    elif isinstance(record, list):
        for value in record:
            yield from _paths(value, f"{path}[]", any_key)
