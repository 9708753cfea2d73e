"""Result files -> a data set of results on the Hub: one commit with the rebuilt table, or a pull request.

What is in the repository is read anew on every try: a commit that came first (412) is merged, an answer that was lost
leaves nothing to do, and result files of others are never written to. ``offer`` proposes small files (cards, scores)
to repositories of others.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.publishing.files import PublishedFile, encoders_of
from benchmark.publishing.table import TABLE_FILE, card_text, table_bytes
from benchmark.results import Refusal, Result, read_results
from builders.errors import DataError, RemoteError

CARD_FILE = "README.md"

MOST_FILES = 100
"""In one commit; a pull request is one commit all the same."""


@dataclass(frozen=True)
class PushPlan:
    """What one commit would write, given what the repository holds."""

    head: str | None
    """Commit that it builds on; None where there is no repository yet."""
    new: Mapping[str, bytes]
    """Result files that the repository lacks, by path."""
    present: tuple[str, ...]
    """Result files that it has already."""
    generated: Mapping[str, bytes]
    """Table and card, where they differ."""
    results: Mapping[str, Result]
    """Every readable result by path, old and new."""
    refused: tuple[Refusal, ...]
    """Files there that are not readable results; left alone."""

    @property
    def writes(self) -> dict[str, bytes]:
        return {**self.new, **self.generated}

    @property
    def next_commit(self) -> dict[str, bytes]:
        """What goes into one commit: table and card with the last results."""
        if len(self.writes) <= MOST_FILES:
            return self.writes
        return {path: self.new[path] for path in sorted(self.new)[:MOST_FILES]}

    def after(self, part: Mapping[str, bytes], head: str) -> PushPlan:
        """What is left when a commit has written a part."""
        return replace(
            self,
            head=head,
            new={path: data for path, data in self.new.items() if path not in part},
            generated={path: data for path, data in self.generated.items() if path not in part},
        )


@dataclass(frozen=True)
class Published:
    """What a push did."""

    url: str
    """Of the repository, or of the pull request."""
    added: tuple[str, ...]
    """Result files; in a pull request, the proposed ones."""
    present: tuple[str, ...]
    pull_request: bool
    results: Mapping[str, Result]
    """Every readable result by path, the added ones included."""


def _hub_api() -> Any:
    import huggingface_hub

    return huggingface_hub.HfApi(library_name="camtrace")


def plan(files: Sequence[PublishedFile], repo: str, space: str = "", api: Any = None, *, ask: bool = True) -> PushPlan:
    """Compare files with the repository as it is now; without ``ask``, as if there were none.

    Raises:
        DataError: a path that we would write holds something else.
        HfHubHTTPError, OSError: of the client.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    api = api or _hub_api()
    head: str | None = None
    if ask:
        with contextlib.suppress(RepositoryNotFoundError):
            head = api.repo_info(repo, repo_type="dataset").sha
    remote = _blobs(api, repo, head) if head else {}
    wanted = {file.path: file.text.encode("utf-8") for file in files}
    for path in wanted.keys() & remote.keys():
        if not _same(wanted[path], remote[path]):
            raise DataError(f"{repo}: {path} is there with another content; it is not overwritten")
    stored: dict[str, Result] = {}
    refused: tuple[Refusal, ...] = ()
    if head and any(path.startswith("results/") for path in remote):
        try:
            read = read_results(f"{repo}@{head}")
        except RemoteError as error:
            raise ConnectionError(str(error)) from error  # may be a broken connection: the caller tries again
        stored, refused = {f.file: f.result for f in read.accepted}, read.refused
    every = {**stored, **{file.path: file.result for file in files}}
    made = {TABLE_FILE: table_bytes(every), CARD_FILE: card_text(every, repo, space).encode("utf-8")}
    return PushPlan(
        head=head,
        new={path: data for path, data in wanted.items() if path not in remote},
        present=tuple(sorted(wanted.keys() & remote.keys())),
        generated={path: data for path, data in made.items() if path not in remote or not _same(data, remote[path])},
        results=every,
        refused=refused,
    )


def push(files: Sequence[PublishedFile], repo: str, *, public: bool, space: str) -> Published:
    """Add result files to the repository and bring its table and card up to date.

    In one commit, or in several of at most ``MOST_FILES``, of which the last has table and card.

    Without the right to write, a pull request proposes the result files alone (the next push of somebody who may
    write rebuilds the table); if the same is proposed already, that one is named instead.

    Args:
        files: of ``gather``.
        repo: ``namespace/name``, made if it is not there and may be made.
        public: whether a new repository is public.
        space: the leaderboard's Space, named in the card.

    Raises:
        DataError: a path holds something else.
        RemoteError: the Hub refused, or could not be reached after several tries.
    """
    from huggingface_hub.errors import HfHubHTTPError

    from builders.publish import create_repo, retry

    api = _hub_api()
    title = f"{len(files)} results of {', '.join(encoders_of(files))[:80]} ({_digest(f.path for f in files)})"
    added: set[str] = set()

    def attempt() -> Published:
        planned = plan(files, repo, space, api)
        if planned.head is None:
            create_repo(api, repo, "dataset", public)
            planned = plan(files, repo, space, api)
        added.update(planned.new)
        url = f"{api.endpoint}/datasets/{repo}"
        while planned.writes:
            part = planned.next_commit
            try:
                head = _commit(api, repo, "dataset", part, title, planned.head).oid
            except HfHubHTTPError as error:
                if not _forbidden(error):
                    raise
                url = propose(api, repo, "dataset", planned.new, title, planned.head) if planned.new else url
                return Published(url, tuple(planned.new), planned.present, bool(planned.new), planned.results)
            planned = planned.after(part, head)
        held = tuple(path for path in planned.present if path not in added)
        return Published(url, tuple(sorted(added)), held, False, planned.results)

    return retry(attempt, repo)


def offer(repo: str, repo_type: str, files: Mapping[str, bytes], title: str, *, pull_request: bool) -> str | None:
    """Write small files to a repository of others, as a pull request if requested or if nothing else is allowed.

    Returns:
        Address of the commit or pull request; None if the repository holds exactly these files.

    Raises:
        RemoteError: the Hub refused, or could not be reached after several tries.
    """
    from huggingface_hub.errors import HfHubHTTPError

    from builders.publish import retry

    api = _hub_api()

    def attempt() -> str | None:
        head = api.repo_info(repo, repo_type=repo_type).sha
        remote = _blobs(api, repo, head, repo_type)
        changed = {path: data for path, data in files.items() if path not in remote or not _same(data, remote[path])}
        if not changed:
            return None
        name = f"{title} ({_digest(hashlib.sha256(data).hexdigest() for data in changed.values())})"
        if not pull_request:
            try:
                return str(_commit(api, repo, repo_type, changed, name, head).commit_url)
            except HfHubHTTPError as error:
                if not _forbidden(error):
                    raise
        return propose(api, repo, repo_type, changed, name, head)

    return retry(attempt, repo)


def propose(api: Any, repo: str, repo_type: str, files: Mapping[str, bytes], title: str, head: str | None) -> str:
    """Open a pull request, unless one with this title is open: a lost answer must not open it twice."""
    requests = api.get_repo_discussions(
        repo, repo_type=repo_type, discussion_type="pull_request", discussion_status="open"
    )
    for request in requests:
        if request.title == title:
            return str(request.url)
    return str(_commit(api, repo, repo_type, files, title, head, create_pr=True).pr_url)


def _commit(
    api: Any, repo: str, repo_type: str, files: Mapping[str, bytes], message: str, head: str | None, **how: Any
) -> Any:
    from huggingface_hub import CommitOperationAdd

    operations = [CommitOperationAdd(path, data) for path, data in files.items()]
    return api.create_commit(repo, operations, repo_type=repo_type, commit_message=message, parent_commit=head, **how)


def _forbidden(error: Any) -> bool:
    return error.response is not None and error.response.status_code == 403


def _blobs(api: Any, repo: str, head: str, repo_type: str = "dataset") -> dict[str, Any]:
    tree = api.list_repo_tree(repo, repo_type=repo_type, revision=head, recursive=True)
    return {entry.path: entry for entry in tree if hasattr(entry, "blob_id")}


def _same(data: bytes, remote: Any) -> bool:
    if remote.lfs is not None:
        return bool(remote.lfs.sha256 == hashlib.sha256(data).hexdigest())
    return bool(remote.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(parts)).encode()).hexdigest()[:8]
