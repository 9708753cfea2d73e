"""Result files of folders and Hub data sets, all untrusted: read within limits, checked, and refused with a reason."""

from __future__ import annotations

import fnmatch
import hashlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.results.check import check_forms
from benchmark.results.schema import MAX_FILE_BYTES, Result
from builders.errors import DataError, RemoteError, UsageError, not_a_folder
from builders.processes import step_bar
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
    """One accepted result and its file."""

    file: str
    """Path below the folder or in the repository."""
    result: Result
    text: str = ""
    """Text of the file: a copy of a file of an older version is this text, not the migrated result."""
    path: Path | None = None
    """Path of the file, in whose folder its answers are; None if it was never a file."""


@dataclass(frozen=True)
class Refusal:
    """One refused file."""

    file: str
    reason: str
    """One sentence."""


@dataclass(frozen=True)
class ReadResults:
    """All result files of a source, in the order of paths."""

    accepted: tuple[ResultFile, ...]
    refused: tuple[Refusal, ...]


def find_files(folder: Path, pattern: str) -> list[str]:
    """Paths of the files below a folder whose names match, sorted.

    Args:
        folder: where to search.
        pattern: ``**/NAMES``, or ``PATH/**/NAMES`` to search below one of its folders; NAMES may hold wildcards.

    Raises:
        UntrustedInputError: a folder below it cannot be listed.
    """
    below, _, names = pattern.rpartition("**/")
    paths = [Path(below, file) for file in files_below(folder / below, may_be_absent=True)]
    return [path.as_posix() for path in sorted(paths) if fnmatch.fnmatchcase(path.name, names)]


def find_runs(folder: Path) -> list[str]:
    """Paths of every ``result.json`` in a folder and below it, that of the folder itself first.

    A run of one encoder writes into the folder itself, and moves results of another encoder into a folder below it.
    """
    files = find_files(folder, "**/result.json")
    return sorted(files, key=lambda file: file != "result.json")


def read_files(
    folder: Path,
    files: Iterable[str],
    *,
    objection: Callable[[ResultFile], str] = lambda file: "",
    links_may_leave: bool = False,
) -> ReadResults:
    """Read result files below a folder. Refused files do not affect the others.

    Args:
        folder: folder of the files.
        files: paths below it.
        objection: why a readable result is not wanted; "" if it is.
        links_may_leave: whether links out of the folder are followed, as the cache of the Hub client needs.
    """
    accepted, refused = [], []
    for file in step_bar(list(files), desc="reading results", unit="file"):
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
    """Why a result of ``size`` bytes is too large to be opened; "" if it is not.

    >>> size_objection(17 * 2**20)
    '17 MiB, more than the 16 MiB that such a file may have'
    """
    return too_large(size, MAX_FILE_BYTES) if size > MAX_FILE_BYTES else ""


def parse_result(text: str, file: str) -> Result:
    """A result whose fields all have the form that readers rely on (``check_forms``). Raises ``DataError``."""
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


OTHER_RECORDS = frozenset({"sweep.json", "audit.json", "repair.json", "eraser.json"})
"""Names of files that other commands write into folders of results; they hold no result."""

_REPO = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?")


def read_results(source: str, objection: Callable[[ResultFile], str] = lambda file: "") -> ReadResults:
    """Read every ``*.json`` of a folder (below ``results/`` if it has one) or of a Hub data set.

    Files of a folder that other commands write (``OTHER_RECORDS``) are left out.

    Args:
        source: a folder, or ``owner/name[@revision]``.
        objection: why a readable result is not wanted; "" if it is.

    Raises:
        UsageError: neither an existing folder nor the name of a repository.
        RemoteError: the repository cannot be read.
    """
    folder = Path(source)
    if folder.is_dir():
        below = "results/" if (folder / "results").is_dir() else ""
        files = [file for file in find_files(folder, f"{below}**/*.json") if Path(file).name not in OTHER_RECORDS]
        return read_files(folder, files, objection=objection)
    if folder.exists() or not _REPO.fullmatch(source):
        raise UsageError(str(not_a_folder(source, "no such folder, and not the name of a Hub data set (owner/name)")))
    return _read_repo(source, objection)


def _read_repo(source: str, objection: Callable[[ResultFile], str]) -> ReadResults:
    from huggingface_hub import HfApi

    # HTTPError is that of the client below huggingface_hub, httpx or httpx2.
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

            def fetch(paths: Iterable[str], *, again: bool) -> Path:
                patterns = [_literal(path) for path in paths]
                return Path(
                    api.snapshot_download(
                        repo, repo_type="dataset", revision=commit, allow_patterns=patterns, force_download=again
                    )
                )

            folder = fetch(wanted, again=False)
            entries = {entry.path: entry for entry in files}
            if damaged := [path for path in wanted if not _as_on_hub(folder / path, entries[path])]:
                which = f"{folder / damaged[0]}{' and others' * (len(damaged) > 1)}"
                print(f"camtrace: warning: {which}: not as the Hub has it; fetched again", file=sys.stderr)
                fetch(damaged, again=True)
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, RemoteError, OSError) as error:
        raise RemoteError(f"results of {source}: the Hub does not give them ({client_message(error)})") from None
    read = read_files(folder, wanted, objection=objection, links_may_leave=True)
    return ReadResults(read.accepted, refused + read.refused)


def _as_on_hub(file: Path, entry: Any) -> bool:
    """Whether a file of the client's cache has the hash that the Hub lists; a disk may have damaged it."""
    try:
        data = read_untrusted(file, limit=MAX_FILE_BYTES)
    except UntrustedInputError:
        return False
    if entry.lfs is not None:
        return bool(entry.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(entry.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


def _literal(path: str) -> str:
    """A pattern for ``allow_patterns`` that matches this file name alone."""
    return re.sub(r"([*?\[])", r"[\1]", path)
