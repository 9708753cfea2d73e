"""Result files: found, read within limits, checked; all of it is untrusted, and what is refused says why."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.results.forms import check_forms
from benchmark.results.schema import MAX_FILE_BYTES, Result
from builders.errors import DataError
from builders.outside import Refused, files_below, read_outside_text, readable, too_large


@dataclass(frozen=True)
class ResultFile:
    """One accepted result and where it was."""

    file: str
    """Path below the folder or in the repository."""
    result: Result
    text: str = ""
    """The file as it was read: a file of an older version stays what it is wherever it is copied to."""
    path: Path | None = None
    """Where it was read from, for what lies beside it; None if it was never a file."""


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
    """Paths of the files below a folder whose names match, in their order.

    Args:
        folder: which.
        pattern: ``**/``, after the path of a folder below it where only that one is meant, and a pattern of names.

    Raises:
        Refused: a folder below it cannot be listed.
    """
    below, _, names = pattern.rpartition("**/")
    paths = [Path(below, file) for file in files_below(folder / below, may_be_absent=True)]
    return [path.as_posix() for path in sorted(paths) if fnmatch.fnmatchcase(path.name, names)]


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
    objection: Callable[[ResultFile], str] = lambda file: "",
    links_may_leave: bool = False,
) -> ReadResults:
    """Read files below a folder; one that is refused stops no other.

    Args:
        folder: where they are.
        files: paths below it.
        objection: why a readable result is not wanted; "" if it is.
        links_may_leave: whether links out of the folder are followed, as in the Hub client's own cache.
    """
    accepted, refused = [], []
    for file in files:
        name = readable(file)
        try:
            text = read_outside_text(
                folder / file, limit=MAX_FILE_BYTES, inside=None if links_may_leave else folder.resolve()
            )
            read = ResultFile(name, parse_result(text, name), text, folder / file)
            if reason := objection(read):
                raise DataError(reason)
            accepted.append(read)
        except Refused as error:
            refused.append(Refusal(name, error.reason))
        except DataError as error:
            refused.append(Refusal(name, readable(str(error).removeprefix(f"{name}: "))))
    return ReadResults(tuple(accepted), tuple(refused))


def size_objection(size: int) -> str:
    """Why a result of so many bytes is not opened; "" if it is.

    >>> size_objection(17 * 2**20)
    '17 MiB, more than the 16 MiB that such a file may have'
    """
    return too_large(size, MAX_FILE_BYTES) if size > MAX_FILE_BYTES else ""


def parse_result(text: str, file: str) -> Result:
    """A result whose every field has the form that readers rely on (``forms.py``).

    Raises:
        DataError: with the reason.
    """
    result = Result.from_json(text, where=file)
    try:
        check_forms(result)
    except ValueError as error:
        raise DataError(f"{file}: {error}") from None
    return result


def folder_name(name: str) -> str:
    """A name as one safe path component, still readable.

    >>> folder_name("openai/clip-vit-base-patch16@main")
    'openai--clip-vit-base-patch16@main'
    """
    return re.sub(r"[^\w.@+=-]", "-", name.replace("/", "--")).strip(".") or "unnamed"
