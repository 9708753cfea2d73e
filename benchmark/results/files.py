"""Result files: found, read within limits, checked; all of it is untrusted, and what is refused says why."""

from __future__ import annotations

import datetime
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.results.schema import Result
from builders.errors import DataError

MAX_FILE_BYTES = 16 * 2**20
"""A result of every task is well under 1 MB; a file above this is not opened."""
MAX_NAME = 200
"""Characters of an encoder's id, a data set's name, a task or a metric."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f<>\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Markup, control characters, and characters that hide or reorder text."""


@dataclass(frozen=True)
class ResultFile:
    """One accepted result and where it was."""

    file: str
    """Path below the folder or in the repository."""
    result: Result
    text: str = ""
    """The file as it was read: a file of an older version stays what it is wherever it is copied to."""


@dataclass(frozen=True)
class Refusal:
    """One file that was not taken."""

    file: str
    reason: str
    """One sentence."""


@dataclass(frozen=True)
class ReadResults:
    """Everything that a source held, in the order of paths."""

    accepted: tuple[ResultFile, ...]
    refused: tuple[Refusal, ...]


def find_files(folder: Path, pattern: str) -> list[str]:
    """Paths below a folder that match a pattern of ``Path.glob`` and are no folders, in their order."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.glob(pattern)) if not os.path.isdir(path)]


def find_runs(folder: Path) -> list[str]:
    """The ``result.json`` of every run in a folder, as paths below it: the folder's own first, then those below.

    A run of one encoder writes into the folder itself, and sets aside below it what another encoder wrote there.
    """
    found = find_files(folder, "**/result.json")
    return sorted(found, key=lambda file: file != "result.json")


def read_files(
    folder: Path,
    files: Iterable[str],
    *,
    objection: Callable[[Result], str] = lambda result: "",
    links_may_leave: bool = False,
) -> ReadResults:
    """Read files below a folder; one that is refused stops no other.

    Args:
        folder: where they are.
        files: paths below it.
        objection: why a readable result is not wanted; "" if it is.
        links_may_leave: whether links out of the folder are followed, as in the Hub client's own cache.
    """
    inside = None if links_may_leave else folder.resolve()
    accepted, refused = [], []
    for file in files:
        try:
            text = _text(folder, file, inside)
            result = parse_result(text, file)
            if reason := objection(result):
                raise DataError(reason)
            accepted.append(ResultFile(file, result, text))
        except DataError as error:
            refused.append(Refusal(file, str(error).removeprefix(f"{file}: ")))
    return ReadResults(tuple(accepted), tuple(refused))


def size_objection(size: int) -> str:
    """Why a file of so many bytes is not opened; "" if it is.

    >>> size_objection(17 * 2**20)
    '17 MB, more than the 16 MB that a result may have'
    """
    if size <= MAX_FILE_BYTES:
        return ""
    return f"{size / 2**20:.0f} MB, more than the {MAX_FILE_BYTES >> 20} MB that a result may have"


def parse_result(text: str, file: str) -> Result:
    """A result whose every field has the form that the board relies on.

    Raises:
        DataError: with the reason.
    """
    result = Result.from_json(text, where=file)
    for name in ("encoder", "data", "environment", "cost"):
        if not isinstance(getattr(result, name), Mapping):
            raise DataError(f"{file}: {name} is not an object")
    _check_name(file, "encoder id", result.encoder.get("id"))
    _check_name(file, "data name", result.data.get("name"))
    _check_date(file, result.created)
    _check_finite(file, result)
    for failure in result.failures:
        if not all(isinstance(part, str) for part in (failure.kind, failure.name, failure.reason)):
            raise DataError(f"{file}: a failure's kind, name or reason is not text")
    if not result.scores:
        raise DataError(f"{file}: it holds no score")
    for score in result.scores:
        for kind, name in (("task", score.task), ("metric", score.metric), ("data", score.data)):
            _check_name(file, kind, name)
        if not score.low - 1e-9 <= score.value <= score.high + 1e-9:
            raise DataError(f"{file}: {score.task} {score.metric}: the value is outside its own interval")
        if not isinstance(score.details, Mapping):
            raise DataError(f"{file}: {score.task} {score.metric}: details is not an object")
    ((asked, times),) = Counter((s.task, s.data, s.metric) for s in result.scores).most_common(1)
    if times > 1:
        raise DataError(f"{file}: {' '.join(asked)} is there {times} times")
    return result


def _text(folder: Path, file: str, inside: Path | None) -> str:
    path = folder / file
    if inside is not None and not Path(os.path.realpath(path)).is_relative_to(inside):
        raise DataError(f"{file}: a link that leaves the folder")
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{file}: not a regular file")
        if reason := size_objection(status.st_size):
            raise DataError(f"{file}: {reason}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({type(error).__name__})") from None


def _check_name(file: str, kind: str, name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise DataError(f"{file}: the {kind} is missing or not text")
    if len(name) > MAX_NAME:
        raise DataError(f"{file}: the {kind} has {len(name)} characters, more than {MAX_NAME}")
    if _UNSAFE.search(name):
        raise DataError(f"{file}: the {kind} holds markup, control or invisible characters")


def _check_date(file: str, created: object) -> None:
    try:
        if not isinstance(created, str):
            raise ValueError
        # Python 3.10 does not read the "Z" of ISO 8601.
        datetime.datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        raise DataError(f"{file}: created is not an ISO 8601 time") from None


def _check_finite(file: str, result: Result) -> None:
    """JSON text such as ``1e999`` becomes an infinity that no JSON can carry on."""
    try:
        json.dumps([result.encoder, result.data, result.environment, result.cost], allow_nan=False)
        json.dumps([score.details for score in result.scores], allow_nan=False)
    except (ValueError, RecursionError):
        raise DataError(f"{file}: a number is not finite, or the nesting is too deep") from None


def folder_name(name: str) -> str:
    """A name as one safe path component, still readable.

    >>> folder_name("openai/clip-vit-base-patch16@main")
    'openai--clip-vit-base-patch16@main'
    """
    return re.sub(r"[^\w.@+=-]", "-", name.replace("/", "--")).strip(".") or "unnamed"
