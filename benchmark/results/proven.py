"""Cache of the verdicts of proofs: whether the answers of a result contradict its scores.

A proof takes 0.2 s of one core, and a board has hundreds. A verdict is stored under the SHA-256 of the bytes of both
files and of the code and libraries that decide it: a file or code that changed has another key.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from pathlib import Path

import benchmark
from benchmark.compute import library_version
from benchmark.results.answers import answers_path, contradiction, processings_of
from benchmark.results.files import ResultFile
from benchmark.results.questions import Questions
from benchmark.results.scoring_code import code_hash, files_of_package
from builders.files import cache_folder, write_text_atomically
from builders.untrusted import UntrustedInputError, archive_sha256, read_untrusted_json

FOLDER = "proofs"
"""Folder of the cache."""

MAX_VERDICT_BYTES = 2**16


def known_contradiction(file: ResultFile, questions: Questions) -> str:
    """As ``contradiction``, but a verdict on the same bytes by the same code is read from the cache.

    A result with processings of its own is proved every time: code alone does not decide what its tasks ask.
    """
    answers = answers_path(file)
    if answers is None or not file.text or processings_of(file.result):
        return contradiction(file, questions)
    try:
        before = archive_sha256(answers)
        stored = cache_folder() / FOLDER / f"{_key(file.text, before)}.json"
        with contextlib.suppress(UntrustedInputError, ValueError, KeyError, TypeError):
            return str(read_untrusted_json(stored, limit=MAX_VERDICT_BYTES)["contradiction"])
        verdict = contradiction(file, questions)
        if archive_sha256(answers) == before:  # what was proved is what was hashed
            with contextlib.suppress(OSError):  # a cache that cannot be written costs time alone
                write_text_atomically(stored, json.dumps({"contradiction": verdict}) + "\n")
        return verdict
    except UntrustedInputError:
        return contradiction(file, questions)


def _key(result: str, answers_sha256: str) -> str:
    text = "\0".join((_proving_code(), answers_sha256, hashlib.sha256(result.encode()).hexdigest()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@functools.cache
def _proving_code() -> str:
    """What decides a verdict: the code of tasks and statistics, the reading of untrusted files, and libraries."""
    digest = hashlib.sha256(code_hash().encode())
    for name, content in files_of_package(Path(benchmark.__file__).parents[1], "builders.untrusted").items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    versions = {name: library_version(name) for name in ("numpy", "scipy")}
    digest.update(json.dumps(versions, sort_keys=True).encode())
    return digest.hexdigest()
