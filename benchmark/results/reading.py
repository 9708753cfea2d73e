"""Results from a folder or a Hub data set repo."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmark.results.files import ReadResults, Refusal, ResultFile, find_files, read_files, size_objection
from benchmark.results.schema import MAX_FILE_BYTES
from builders.errors import RemoteError, UsageError
from builders.outside import Refused, from_hub, read_outside, said_by_client

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
        raise RemoteError(f"results of {source}: the Hub does not give them ({said_by_client(error)})") from None
    read = read_files(folder, wanted, objection=objection, links_may_leave=True)
    return ReadResults(read.accepted, refused + read.refused)


def _as_on_hub(file: Path, entry: Any) -> bool:
    """Whether a file of the client's cache has the content that the Hub says: a disk may have lost a bit of it."""
    try:
        data = read_outside(file, limit=MAX_FILE_BYTES)
    except Refused:
        return False
    if entry.lfs is not None:
        return bool(entry.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(entry.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


def _literal(path: str) -> str:
    """A file name as a pattern of ``allow_patterns`` that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", path)
