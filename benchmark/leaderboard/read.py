"""Result files from a folder or a Hub data set repo; all of it is untrusted, and what is refused says why."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.results import Result
from builders.errors import DataError, RemoteError, UsageError

MAX_FILE_BYTES = 16 * 2**20
"""A result of every task is well under 1 MB; a file above this is not opened."""
MAX_NAME = 200
"""Characters of an encoder's id, a data set's name, a task or a metric."""

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f<>\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Markup, control characters, and characters that hide or reorder text."""
_REPO = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?")


@dataclass(frozen=True)
class ResultFile:
    """One accepted result and where it was."""

    file: str
    """Path below the folder or in the repo."""
    result: Result


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


def read_results(source: str) -> ReadResults:
    """Every ``*.json`` of a folder (below ``results/`` if it has one), or of a Hub data set ``owner/name[@revision]``.

    Raises:
        UsageError: neither an existing folder nor the form of a repo's name.
        RemoteError: the Hub does not give the repo.
    """
    folder = Path(source)
    if folder.is_dir():
        return _read_folder(folder, ())
    if folder.exists() or not _REPO.fullmatch(source):
        raise UsageError(f"--results {source}: no such folder, and not the name of a Hub data set (owner/name)")
    return _read_repo(source)


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


def _read_folder(folder: Path, refused: Iterable[Refusal]) -> ReadResults:
    root = folder / "results" if (folder / "results").is_dir() else folder
    inside = folder.resolve()
    accepted, refusals = [], list(refused)
    for path in sorted(root.rglob("*.json")):
        file = path.relative_to(folder).as_posix()
        try:
            if not path.resolve().is_relative_to(inside):
                raise DataError(f"{file}: a link that leaves the folder")
            if not path.is_file():
                continue
            size = path.stat().st_size
            if size > MAX_FILE_BYTES:
                raise DataError(_too_large(file, size))
            accepted.append(ResultFile(file, parse_result(path.read_text(encoding="utf-8"), file)))
        except DataError as error:
            refusals.append(Refusal(file, str(error).removeprefix(f"{file}: ")))
        except (OSError, UnicodeDecodeError) as error:
            refusals.append(Refusal(file, f"cannot be read ({error.__class__.__name__})"))
    return ReadResults(tuple(accepted), tuple(refusals))


def _read_repo(source: str) -> ReadResults:
    from huggingface_hub import HfApi

    # HTTPError: of the client that this huggingface_hub was built on, httpx or httpx2.
    from huggingface_hub.errors import HFValidationError, HTTPError, LocalEntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    repo, _, revision = source.partition("@")
    api = HfApi()
    try:
        commit = api.repo_info(repo, repo_type="dataset", revision=revision or None).sha
        files = [
            entry
            for entry in api.list_repo_tree(repo, repo_type="dataset", revision=commit, recursive=True)
            if isinstance(entry, RepoFile) and entry.path.startswith("results/") and entry.path.endswith(".json")
        ]
        refused = [
            Refusal(f.path, _too_large(f.path, f.size).removeprefix(f"{f.path}: "))
            for f in files
            if f.size > MAX_FILE_BYTES
        ]
        wanted = [f.path for f in files if f.size <= MAX_FILE_BYTES]
        if not wanted:
            return ReadResults((), tuple(refused))
        folder = api.snapshot_download(
            repo, repo_type="dataset", revision=commit, allow_patterns=[_literal(path) for path in wanted]
        )
    except (HTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else error.__class__.__name__
        raise RemoteError(f"results of {source}: the Hub does not give them ({reason})") from None
    return _read_snapshot(Path(folder), wanted, refused)


def _read_snapshot(folder: Path, wanted: Iterable[str], refused: Iterable[Refusal]) -> ReadResults:
    """Files of a Hub snapshot, which are links into the client's own cache."""
    accepted, refusals = [], list(refused)
    for file in sorted(wanted):
        try:
            accepted.append(ResultFile(file, parse_result((folder / file).read_text(encoding="utf-8"), file)))
        except DataError as error:
            refusals.append(Refusal(file, str(error).removeprefix(f"{file}: ")))
        except (OSError, UnicodeDecodeError) as error:
            refusals.append(Refusal(file, f"cannot be read ({error.__class__.__name__})"))
    return ReadResults(tuple(accepted), tuple(refusals))


def _literal(path: str) -> str:
    """A file name as a pattern of ``allow_patterns`` that matches only itself."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _too_large(file: str, size: int) -> str:
    return f"{file}: {size / 2**20:.0f} MB, more than the {MAX_FILE_BYTES >> 20} MB that a result may have"


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
