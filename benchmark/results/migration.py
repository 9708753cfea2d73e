"""Results of older schema versions as ones of today's: one pure function a step, from one version to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from builders.errors import DataError

SCHEMA_VERSION = 2
"""Raised by one whenever a reader of the previous version would misread a file; then ``STEPS`` gets a function.

1: the first. 2: ``data.question_hash``; ``environment.command`` repeats this result alone, ``environment.local`` says
what of it only its author has.
"""


def migrated(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The content of a result file in the form of ``SCHEMA_VERSION``. What was not recorded stays unknown.

    Args:
        raw: the parsed JSON; it is not changed.
        where: the file, with which an error begins.

    Raises:
        DataError: no version, or one that this camtrace does not know.

    >>> old = {"data": {"name": "pets", "ids_hash": "1d5"}, "schema_version": 1}
    >>> migrated(old, "result.json")["data"]
    {'name': 'pets', 'ids_hash': '1d5', 'question_hash': None}
    """
    version = raw.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        remedy = ": it was written by a newer camtrace, install that one (pip install -U camtrace)" if newer else ""
        raise DataError(f"{where}: schema_version is {version!r}, this camtrace reads 1 to {SCHEMA_VERSION}{remedy}")
    result = dict(raw)
    for step in range(version, SCHEMA_VERSION):
        result = {**STEPS[step](result), "schema_version": step + 1}
    return result


def _from_1(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Which question was asked is not known: ``ids_hash`` covers ids, splits and labels, not attributes and clusters.

    ``environment.command`` stays: it repeats the whole run, and this result in it.
    """
    data = raw.get("data")
    return {**raw, "data": {**data, "question_hash": None}} if isinstance(data, Mapping) else dict(raw)


STEPS: Mapping[int, Callable[[Mapping[str, Any]], dict[str, Any]]] = MappingProxyType({1: _from_1})
"""By version: what makes a result of the next one of it."""
