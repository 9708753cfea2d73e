"""Upload of files to a Hub repository: only files that differ, in stages; an interrupted upload goes on."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from builders.dataset import file_sha256
from builders.errors import RemoteError, UsageError
from builders.untrusted import (
    MALFORMED_ANSWER,
    MAX_WAIT_S,
    backoff,
    first_line,
    from_hub,
    malformed_answer,
    retry_after,
)

ATTEMPTS = 6
"""Attempts of one request before the upload fails."""

FIRST_WAIT_S = 1.0
"""Wait before the second attempt, doubled before each further one unless the server sends Retry-After."""

MOST_FILES = 100
"""Most files of one commit. The Hub allows 128 commits per hour and repository, and large ones time out."""

_TRANSIENT = frozenset({408, 409, 412, 425, 429, 500, 502, 503, 504})
"""HTTP statuses after which a later attempt may succeed, such as 412 (another commit came first)."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PushReport:
    """The result of one upload."""

    url: str
    uploaded: tuple[str, ...]
    """Paths that were missing or different in the repository."""
    deleted: tuple[str, ...]
    """Paths in the repository that are no longer in the folder."""
    unchanged: int
    """Number of files that were already in the repository."""


def push_folder(
    folder: Path,
    repo: str,
    *,
    stages: Sequence[Sequence[str]],
    owned: Callable[[str], bool] = lambda path: False,
    sha256: Mapping[str, str] | None = None,
    contents: Mapping[str, bytes] | None = None,
    public: bool = False,
    repo_type: str = "dataset",
    message: str = "Upload with camtrace",
) -> PushReport:
    """Make the repository contain these files; files that it has already are not uploaded.

    Args:
        folder: local folder.
        repo: ``namespace/name``; created if it does not exist.
        stages: relative paths, in groups that are committed one after another, each in commits of at most
            ``MOST_FILES``: the README last, so that a reader of an interrupted push never sees a card without its data.
        owned: whether a remote path may be deleted if no stage names it (stale shards).
        sha256: known hashes, by path.
        contents: bytes to upload instead of the folder's file, by path.
        public: whether a new repository is public. An existing public repository needs it too.
        repo_type: ``dataset``, ``model`` or ``space``.
        message: of the commits.

    Raises:
        UsageError: the name is not a repository name, or the repository is public and ``public`` is not set.
        RemoteError: the Hub refused the upload, or could not be reached after several attempts.
    """
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError

    api = huggingface_hub.HfApi(library_name="camtrace")
    try:
        url = retry(lambda: create_repo(api, repo, repo_type, public), repo)
        private = retry(lambda: api.repo_info(repo, repo_type=repo_type), repo).private
    except HFValidationError as error:
        raise UsageError(f"{repo!r} is not a repository name: {first_line(error)}") from None
    if not private and not public:
        raise UsageError(f"{repo} exists and is public: say --public if that is meant, or choose another --repo")

    paths = {path for stage in stages for path in stage}
    replaced = contents or {}
    parts = [stage[at : at + MOST_FILES] for stage in stages for at in range(0, max(1, len(stage)), MOST_FILES)]
    remote: dict[str, Any] = {}
    is_current = False
    uploaded: set[str] = set()
    deleted: set[str] = set()

    def commit_stage(stage: Sequence[str], last: bool) -> bool:
        """One commit. After a failed attempt it lists the repository again: the commit may have succeeded although its
            response was lost.

        Returns:
            Whether more files are to be deleted.
        """
        nonlocal is_current
        if not is_current:
            remote.clear()
            remote.update(_remote_files(api, repo, repo_type))
        is_current = False
        changed = [
            path
            for path in stage
            if not _same(replaced.get(path, folder / path), remote.get(path), (sha256 or {}).get(path))
        ]
        stale = [path for path in remote if last and owned(path) and path not in paths]
        more, stale = len(stale) > MOST_FILES - len(changed), stale[: MOST_FILES - len(changed)]
        uploaded.update(changed)
        deleted.update(stale)
        if changed or stale:
            contents_of = {path: replaced[path] for path in changed if path in replaced}
            _commit(api, folder, repo, repo_type, changed, stale, message, contents_of)
        for path in stale:
            del remote[path]
        is_current = True
        return more

    for number, part in enumerate(parts):
        more = retry(functools.partial(commit_stage, part, number == len(parts) - 1), repo)
    while more:
        more = retry(functools.partial(commit_stage, (), True), repo)
    return PushReport(str(url), tuple(sorted(uploaded)), tuple(sorted(deleted)), len(paths) - len(uploaded))


def create_repo(api: Any, repo: str, repo_type: str, public: bool) -> str:
    """Create a repository unless it exists. Spaces are static. Returns its address."""
    sdk = {"space_sdk": "static"} if repo_type == "space" else {}
    return str(api.create_repo(repo, repo_type=repo_type, private=not public, exist_ok=True, **sdk))


def _commit(
    api: Any,
    folder: Path,
    repo: str,
    repo_type: str,
    changed: Sequence[str],
    delete: Sequence[str],
    message: str,
    contents: Mapping[str, bytes],
) -> None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    if contents:
        operations = [
            *(CommitOperationAdd(path, contents.get(path, folder / path)) for path in changed),
            *(CommitOperationDelete(path) for path in delete),
        ]
        api.create_commit(repo, operations, repo_type=repo_type, commit_message=message)
    elif changed:
        api.upload_folder(
            repo_id=repo,
            repo_type=repo_type,
            folder_path=folder,
            allow_patterns=[_literal(path) for path in changed],
            delete_patterns=[_literal(path) for path in delete] or None,
            commit_message=message,
        )
    else:
        api.delete_files(repo, [_literal(path) for path in delete], repo_type=repo_type, commit_message=message)


def _literal(path: str) -> str:
    """A glob pattern that matches only this path."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def _remote_files(api: Any, repo: str, repo_type: str) -> dict[str, Any]:
    tree = api.list_repo_tree(repo, repo_type=repo_type, recursive=True)
    return {entry.path: entry for entry in tree if hasattr(entry, "blob_id")}


def _same(local: Path | bytes, remote: Any, sha256: str | None) -> bool:
    if remote is None or remote.size != (len(local) if isinstance(local, bytes) else local.stat().st_size):
        return False
    if remote.lfs is not None and isinstance(local, Path):
        return bool(remote.lfs.sha256 == (sha256 or file_sha256(local)))
    data = local if isinstance(local, bytes) else local.read_bytes()
    if remote.lfs is not None:
        return bool(remote.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(remote.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


def retry(call: Callable[[], _Result], repo: str) -> _Result:
    """Call until it succeeds: transient errors and broken connections are tried again.

    Args:
        call: sends one request.
        repo: the beginning of an error message.

    Raises:
        RemoteError: the Hub refused the request, its answer is malformed, or every attempt failed.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError  # the last: httpx's or httpx2's

    for attempt in range(1, ATTEMPTS + 1):
        try:
            with from_hub(sends=True):
                return call()
        except HFValidationError:
            raise
        except HfHubHTTPError as error:
            status = error.response.status_code if error.response is not None else None
            reason = _reason(error, status)
            if status not in _TRANSIENT or attempt == ATTEMPTS:
                raise RemoteError(f"{repo}: the Hub said no: {reason}") from None
            asked = retry_after(error.response.headers, status)
        except (OSError, RuntimeError, HTTPError) as error:
            if attempt == ATTEMPTS:
                raise RemoteError(f"{repo}: the Hub cannot be reached ({type(error).__name__}); run it again") from None
            asked = None
        except (ValueError, *MALFORMED_ANSWER) as error:
            raise RemoteError(f"{repo}: {malformed_answer(error)}") from None
        time.sleep(backoff(attempt, FIRST_WAIT_S) if asked is None else min(asked, MAX_WAIT_S))
    raise AssertionError("the last attempt returns or raises")


def _reason(error: Any, status: int | None) -> str:
    if status in (401, 403):
        return f"HTTP {status}: log in with `hf auth login`, by a token that may write to this repository"
    message = (getattr(error, "server_message", None) or "").strip().splitlines()
    return f"HTTP {status}" + (f" ({message[0][:200]})" if message else "")
