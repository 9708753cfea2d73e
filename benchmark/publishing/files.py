"""A finished result as a file of the results data set: its name is its content, so nothing is ever overwritten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.leaderboard.read import MAX_FILE_BYTES, parse_result
from benchmark.output import folder_name
from benchmark.publishing.provenance import codec_objection, missing_provenance
from benchmark.results import Result
from builders.errors import DataError
from builders.processing import codec_canary

RESULTS_FOLDER = "results"


@dataclass(frozen=True)
class PublishedFile:
    """One result, ready to publish."""

    path: str
    """In the repository: ``results/<encoder>/<data>/<hash>.json``."""
    text: str
    result: Result


@dataclass(frozen=True)
class Objection:
    """One result that is not published."""

    file: str
    reason: str


@dataclass(frozen=True)
class Gathered:
    """What a folder holds for publishing."""

    files: tuple[PublishedFile, ...]
    objections: tuple[Objection, ...]


def gather(folder: Path, *, unknown_codec: bool = False, smoke_tests: bool = False) -> Gathered:
    """Every ``result.json`` below a folder, as it would be published, or why it would not.

    Args:
        folder: what a run or a sweep wrote.
        unknown_codec: take results whose codec canary is not known.
        smoke_tests: take results on photos that only show that the software runs.

    Raises:
        DataError: there is no ``result.json``.
    """
    found = [folder / "result.json"] if (folder / "result.json").is_file() else sorted(folder.rglob("result.json"))
    if not found:
        raise DataError(f"{folder}: there is no result.json; score something first (python -m benchmark --output DIR)")
    own_canary = codec_canary()
    files: dict[str, PublishedFile] = {}
    objections = []
    for path in found:
        name = path.relative_to(folder).as_posix()
        try:
            file = _checked(path, name, own_canary, unknown_codec, smoke_tests)
            files[file.path] = file
        except DataError as error:
            objections.append(Objection(name, str(error).removeprefix(f"{name}: ")))
    return Gathered(tuple(files.values()), tuple(objections))


def result_path(result: Result) -> str:
    """Where a result stands in the repository: encoder, data set, and 16 hex digits of the SHA-256 of its JSON."""
    digest = hashlib.sha256(result.to_json().encode("utf-8")).hexdigest()[:16]
    encoder, data = folder_name(str(result.encoder["id"])), folder_name(str(result.data["name"]))
    return f"{RESULTS_FOLDER}/{encoder}/{data}/{digest}.json"


def edited(path: str, result: Result) -> bool:
    """Whether a file's name says that it held another content when it was published.

    >>> edited("elsewhere/result.json", Result({"id": "a"}, {"name": "b"}, {}, (), (), {}, ""))
    False
    """
    parts = path.split("/")
    named = len(parts) == 4 and parts[0] == RESULTS_FOLDER and len(parts[3]) == len("0123456789abcdef.json")
    return named and parts[3] != result_path(result).rsplit("/", 1)[1]


def encoders_of(files: Iterable[PublishedFile]) -> list[str]:
    """The encoders that files are about, each once."""
    return list(dict.fromkeys(str(f.result.encoder["id"]) for f in files))


def _checked(path: Path, name: str, own_canary: str, unknown_codec: bool, smoke_tests: bool) -> PublishedFile:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataError(f"{name}: larger than the {MAX_FILE_BYTES >> 20} MB that a result may have")
    try:
        result = parse_result(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{name}: cannot be read ({type(error).__name__})") from None
    if missing := missing_provenance(result):
        raise DataError(f"{name}: its provenance is not complete: {', '.join(missing)}")
    if not unknown_codec and (reason := codec_objection(result, own_canary)):
        raise DataError(f"{name}: {reason}, or say --unknown-codec")
    if result.data.get("smoke_test") and not smoke_tests:
        raise DataError(f"{name}: {result.data['name']} is a smoke test, not evidence; say --smoke-tests to publish it")
    text = result.to_json()
    return PublishedFile(result_path(result), text, result)
