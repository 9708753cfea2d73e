"""Finished results as files of the results data set. A file is named by its content, so none is ever overwritten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.publishing.provenance import codec_objection, missing_provenance
from benchmark.results import Refusal, Result, ResultFile, find_runs, folder_name, known_contradiction, read_files
from benchmark.tasks import all_tasks
from builders.errors import DataError
from builders.pixels import codec_canary

RESULTS_FOLDER = "results"


@dataclass(frozen=True)
class PublishedFile:
    """One result as it is published."""

    path: str
    """Path in the repository: ``results/<encoder>/<data>/<hash>.json``."""
    text: str
    result: Result


@dataclass(frozen=True)
class Gathered:
    """The results of a folder that can be published, and objections to the others."""

    files: tuple[PublishedFile, ...]
    objections: tuple[Refusal, ...]


def gather_results(folder: Path, *, unknown_codec: bool = False, smoke_tests: bool = False) -> Gathered:
    """Every ``result.json`` below a folder as it is published, or why it is not.

    Args:
        folder: what a run or a sweep wrote.
        unknown_codec: take results whose codec canary is not known.
        smoke_tests: take results on photos that only show that the software runs.

    Raises:
        DataError: there is no ``result.json``.
    """
    paths = find_runs(folder)
    if not paths:
        raise DataError(f"{folder}: there is no result.json; score something first (camtrace score --output DIR)")
    local_canary = codec_canary()

    def objection(file: ResultFile) -> str:
        return _objection(file.result, local_canary, unknown_codec, smoke_tests) or known_contradiction(
            file, all_tasks()
        )

    read = read_files(folder, paths, objection=objection)
    # The files as they are: a result of an older version has the same name again and is not published twice.
    files = [PublishedFile(result_path(f.result, f.text), f.text, f.result) for f in read.accepted]
    once = {file.path: file for file in files}
    return Gathered(tuple(once.values()), read.refused)


def result_path(result: Result, text: str = "") -> str:
    """Path of a result in the repository: encoder, data set, and 16 hex digits of the SHA-256 of its JSON.

    Args:
        result: as read.
        text: the file that it was read from; by default what ``to_json`` would write.
    """
    digest = hashlib.sha256((text or result.to_json()).encode("utf-8")).hexdigest()[:16]
    encoder, data = folder_name(str(result.encoder["id"])), folder_name(str(result.data["name"]))
    return f"{RESULTS_FOLDER}/{encoder}/{data}/{digest}.json"


def edited(path: str, result: Result, text: str = "") -> bool:
    """True if a file's name shows that it had another content when it was published. Arguments as ``result_path``.

    >>> edited("elsewhere/result.json", Result({"id": "a"}, {"name": "b"}, {}, (), (), {}, ""))
    False
    """
    parts = path.split("/")
    named = len(parts) == 4 and parts[0] == RESULTS_FOLDER and len(parts[3]) == len("0123456789abcdef.json")
    return named and parts[3] != result_path(result, text).rsplit("/", 1)[1]


def encoders_of(files: Iterable[PublishedFile]) -> list[str]:
    """The encoders of files, each once."""
    return list(dict.fromkeys(str(f.result.encoder["id"]) for f in files))


def _objection(result: Result, local_canary: str, unknown_codec: bool, smoke_tests: bool) -> str:
    if missing := missing_provenance(result):
        return f"its provenance is not complete: {', '.join(missing)}"
    if not unknown_codec and (reason := codec_objection(result, local_canary)):
        return f"{reason}, or say --unknown-codec"
    if result.data.get("smoke_test") and not smoke_tests:
        return f"{result.data['name']} is a smoke test, not evidence; say --smoke-tests to publish it"
    return ""
