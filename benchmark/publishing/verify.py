"""``camtrace verify``: whether results can be made again from what they record."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.publishing.files import edited
from benchmark.publishing.provenance import (
    codec_objection,
    known_codecs,
    missing_provenance,
    private_inputs,
    study_canary,
)
from benchmark.results import ResultFile
from builders.pixels import codec_canary

VERDICTS = {
    "repeatable here": "everything is recorded and public, and the codec is this machine's",
    "other codec": "everything is recorded and public, but made with other codec versions: install them to repeat it",
    "unknown codec": "made with a codec that no listed version of Pillow gives",
    "private inputs": "recorded, but only the author has the encoder or the photos",
    "lacks provenance": "what is needed to repeat it was not recorded",
    "edited": "the content is not the one that the file's name was made of",
    "refused": "not a result that this camtrace reads",
}
"""Verdicts on a result and their meanings, best first."""


@dataclass(frozen=True)
class Verification:
    """The verdict on one file."""

    file: str
    encoder: str
    data: str
    verdict: str
    """A key of ``VERDICTS``."""
    why: str


def verified(file: ResultFile, local_canary: str | None = None) -> Verification:
    """The verdict on one result.

    Args:
        file: as read.
        local_canary: of the machine that would repeat it; by default this one's.
    """
    canary = local_canary or codec_canary()
    verdict, why = _judge(file, canary)
    return Verification(file.file, str(file.result.encoder["id"]), str(file.result.data["name"]), verdict, why)


def _judge(file: ResultFile, local_canary: str) -> tuple[str, str]:
    result = file.result
    canary = study_canary(result)
    if edited(file.file, result, file.text):
        return "edited", "its SHA-256 is another"
    if missing := missing_provenance(result):
        return "lacks provenance", ", ".join(missing)
    if private := private_inputs(result):
        return "private inputs", private
    if objection := codec_objection(result, local_canary):
        return "unknown codec", objection
    if canary != local_canary:
        return "other codec", f"codec canary {canary}: Pillow {' or '.join(known_codecs()[canary].pillow)}"
    if result.data["question_hash"] is None:
        return "repeatable here", "photos by their ids alone: files of version 1 do not name attributes and clusters"
    return "repeatable here", ""
