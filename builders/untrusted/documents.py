"""Untrusted JSON and YAML as plain values of limited depth, first lines of CSV, and the error of input that is
not read."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from typing import Any

from builders.errors import DataError
from builders.untrusted.text import first_line, readable, single_line

MAX_DEPTH = 64
"""Of nested lists and objects: files that this project writes have at most 8."""

MAX_YAML = 2_000_000
"""Characters of YAML: its parser is slow, and a card that names 20,000 classes has 600,000."""

MAX_NUMBER = 400
"""Characters of a number in YAML: a double has at most 330. Some forms (1:1:1...) take time by the square of them."""


class UntrustedInputError(DataError):
    """An untrusted file that is not read. ``reason`` is the sentence without the name of the file."""

    def __init__(self, where: str | os.PathLike[str], reason: str) -> None:
        super().__init__(f"{readable(os.fspath(where))}: {reason}")
        self.reason = reason


def parse_csv_header(line: str, where: str, delimiter: str = ",") -> list[str]:
    """Cells of the first line of a CSV file; none of an empty line.

    Raises:
        UntrustedInputError: it is no CSV.

    >>> parse_csv_header("id;text\\n", "a.csv", ";")
    ['id', 'text']
    """
    try:
        return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])
    except csv.Error as error:
        raise UntrustedInputError(where, f"not a CSV file that can be read ({first_line(error)})") from None


def parse_json(text: str, where: str, *, not_finite: bool = False) -> Any:
    """JSON as plain values: numbers are finite and below 2**63, text is text, keys are unique, nesting is modest.

    Args:
        text: untrusted.
        where: first words of an error.
        not_finite: take ``NaN`` and infinities, which logs of evaluations have, as NaN.

    Raises:
        UntrustedInputError: the text is something else; with the reason.

    >>> parse_json('{"a": [1, 2.5]}', "a.json")
    {'a': [1, 2.5]}
    >>> parse_json("[1e999]", "a")
    Traceback (most recent call last):
    builders.untrusted.documents.UntrustedInputError: a: not JSON that is read here (the number 1e999 is not finite)
    """
    try:
        value = json.loads(
            text,
            parse_constant=_nan if not_finite else _no_constant,
            parse_int=_whole,
            parse_float=_finite,
            object_pairs_hook=_unique,
        )
        check_plain(value)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else first_line(error)
        raise UntrustedInputError(where, f"not JSON that is read here ({reason})") from None
    return value


def parse_yaml(text: str, where: str) -> Any:
    """YAML as plain values, without anchors and aliases (ten lines of them unfold to gigabytes); as ``parse_json``.

    >>> parse_yaml("a: [1, two]", "a.yaml")
    {'a': [1, 'two']}
    """
    import yaml

    try:
        if len(text) > MAX_YAML:
            raise ValueError(f"{len(text):,} characters, more than {MAX_YAML:,}")
        return yaml.load(text, Loader=_plain_loader())
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, OverflowError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else single_line(error, 200)
        raise UntrustedInputError(where, f"not YAML that is read here ({reason})") from None


def check_plain(value: Any) -> None:
    """Check that untrusted values can be written again as strict JSON in UTF-8.

    Raises:
        ValueError: with the reason.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                for key in item:
                    _check_text(key)
                deeper += item.values()
            elif isinstance(item, list):
                deeper += item
        if not deeper:
            return
        level = deeper
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError("half a character pair, which is no text") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _nan(name: str) -> float:
    return math.nan


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= (number := int(digits)) < 2**63:
        raise ValueError(f"an integer of {len(digits)} digits")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is not finite")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key is there twice")
    return values


def _plain_loader() -> Any:
    import yaml

    class PlainLoader(yaml.SafeLoader):
        depth = 0

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            if node.tag.endswith((":int", ":float")) and len(str(node.value)) > MAX_NUMBER:
                raise ValueError(f"a number of {len(node.value):,} characters")
            return super().construct_object(node, deep)

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("an alias (*name), which is not followed")
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} deep")
            try:
                return super().compose_node(parent, index)
            finally:
                self.depth -= 1

    return PlainLoader
