"""Result files: found, read within limits, checked; all of it is untrusted, and what is refused says why."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.results.forms import check_forms
from benchmark.results.schema import MAX_FILE_BYTES, Result
from builders.errors import DataError, RemoteError, UsageError
from builders.untrusted import (
    UntrustedInputError,
    client_message,
    files_below,
    from_hub,
    read_untrusted,
    read_untrusted_text,
    readable,
    too_large,
)


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
            text = read_untrusted_text(
                folder / file, limit=MAX_FILE_BYTES, inside=None if links_may_leave else folder.resolve()
            )
            read = ResultFile(name, parse_result(text, name), text, folder / file)
            if reason := objection(read):
                raise DataError(reason)
            accepted.append(read)
        except UntrustedInputError as error:
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


_REPO = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?")


def read_results(source: str, objection: Callable[[ResultFile], str] = lambda file: "") -> ReadResults:
    """Every ``*.json`` of a folder (below ``results/`` if it has one), or of a Hub data set ``owner/name[@revision]``.

    Args:
        source: which.
        objection: why a readable result is not wanted; "" if it is.

    Raises:
        UsageError: neither an existing folder nor the form of a repo's name.
        RemoteError: the Hub does not give the repo.
    """
    folder = Path(source)
    if folder.is_dir():
        below = "results/" if (folder / "results").is_dir() else ""
        return read_files(folder, find_files(folder, f"{below}**/*.json"), objection=objection)
    if folder.exists() or not _REPO.fullmatch(source):
        raise UsageError(f"--results {source}: no such folder, and not the name of a Hub data set (owner/name)")
    return _read_repo(source, objection)


def _read_repo(source: str, objection: Callable[[ResultFile], str]) -> ReadResults:
    from huggingface_hub import HfApi

    # HTTPError: of the client that this huggingface_hub was built on, httpx or httpx2.
    from huggingface_hub.errors import HFValidationError, HTTPError, LocalEntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    repo, _, revision = source.partition("@")
    api = HfApi()
    try:
        with from_hub(MAX_FILE_BYTES):
            commit = api.repo_info(repo, repo_type="dataset", revision=revision or None).sha
            files = [
                entry
                for entry in api.list_repo_tree(repo, repo_type="dataset", revision=commit, recursive=True)
                if isinstance(entry, RepoFile) and entry.path.startswith("results/") and entry.path.endswith(".json")
            ]
            refused = tuple(Refusal(f.path, reason) for f in files if (reason := size_objection(f.size)))
            wanted = sorted(f.path for f in files if not size_objection(f.size))
            if not wanted:
                return ReadResults((), refused)

            def fetched(paths: Iterable[str], *, again: bool) -> Path:
                patterns = [_literal(path) for path in paths]
                return Path(
                    api.snapshot_download(
                        repo, repo_type="dataset", revision=commit, allow_patterns=patterns, force_download=again
                    )
                )

            folder = fetched(wanted, again=False)
            entries = {entry.path: entry for entry in files}
            if damaged := [path for path in wanted if not _as_on_hub(folder / path, entries[path])]:
                which = f"{folder / damaged[0]}{' and others' * (len(damaged) > 1)}"
                print(f"camtrace: warning: {which}: not as the Hub has it; fetched again", file=sys.stderr)
                fetched(damaged, again=True)
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, RemoteError, OSError) as error:
        raise RemoteError(f"results of {source}: the Hub does not give them ({client_message(error)})") from None
    read = read_files(folder, wanted, objection=objection, links_may_leave=True)
    return ReadResults(read.accepted, refused + read.refused)


def _as_on_hub(file: Path, entry: Any) -> bool:
    """Whether a file of the client's cache has the content that the Hub says: a disk may have lost a bit of it."""
    try:
        data = read_untrusted(file, limit=MAX_FILE_BYTES)
    except UntrustedInputError:
        return False
    if entry.lfs is not None:
        return bool(entry.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(entry.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


def _literal(path: str) -> str:
    """A file name as a pattern of ``allow_patterns`` that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", path)
