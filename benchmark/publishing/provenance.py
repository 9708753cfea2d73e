"""Checks of a result before publishing: what others lack to reproduce it, whether its codec can be installed, and which
of its inputs only the author has."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from benchmark.results import Result

HUB_MODEL = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
"""An encoder id that is a model repository of the Hub."""

_PUBLIC_PHOTOS = frozenset({"imagenet", "inat2018", "paircams"})
"""Data sets that everybody can download into a folder."""

_NEEDED = (
    "encoder.library",
    "encoder.weights_sha256",
    "encoder.dimension",
    "encoder.preprocessing",
    "encoder.pooling",
    "data.photos",
    "data.ids_hash",
    "data.bytes_hash",
    "environment.versions.camtrace",
    "environment.versions.torch",
    "environment.versions.numpy",
    "environment.versions.pillow",
    "environment.codec.pillow",
    "environment.codec_canary",
    "environment.device",
    "environment.dtype",
    "environment.options.seed",
    "environment.options.protocol",
)


@dataclass(frozen=True)
class KnownCodec:
    """Codec versions that give the same pixels under all 14 processings, as measured with the wheels of PyPI."""

    canary: str
    pillow: tuple[str, ...]
    libjpeg_turbo: tuple[str, ...]


@functools.cache
def known_codecs() -> Mapping[str, KnownCodec]:
    """Known codecs by their canary.

    >>> known_codecs()["78e492f7fbf1fa50"].pillow
    ('13.0.0',)
    """
    text = (resources.files("benchmark") / "data" / "codec_canaries.json").read_text(encoding="utf-8")
    rows = json.loads(text)
    return {r["canary"]: KnownCodec(r["canary"], tuple(r["pillow"]), tuple(r["libjpeg_turbo"])) for r in rows}


def missing_provenance(result: Result) -> list[str]:
    """Names of what a result lacks for others to reproduce it; empty if it lacks nothing."""
    whole = {"encoder": result.encoder, "data": result.data, "environment": result.environment}
    missing = [name for name in _NEEDED if value_at(whole, name) in (None, "", {}, [])]
    # None: read from a file of version 1, which could not know it.
    if result.data.get("question_hash", "") == "":
        missing.append("data.question_hash")
    if HUB_MODEL.fullmatch(str(result.encoder.get("id"))) and not result.encoder.get("revision"):
        missing.append("encoder.revision")
    return missing


def study_canary(result: Result) -> str:
    """The canary of a result's codecs on the study's processings, without that of its own processings."""
    return str(result.environment.get("codec_canary")).partition("-")[0]


def codec_objection(result: Result, local_canary: str) -> str:
    """Why a result cannot be published with its codec: it is unknown, or not that of its versions. Else empty.

    Args:
        result: with its canary and codec versions.
        local_canary: ``codec_canary()`` of this machine, which is known to exist.
    """
    canary = study_canary(result)
    pillow = str(value_at({"e": result.environment}, "e.codec.pillow"))
    for other in known_codecs().values():
        if pillow in other.pillow and other.canary != canary:
            return (
                f"its codec canary {canary} is not that of Pillow {pillow} ({other.canary}): another build of Pillow?"
            )
    if canary not in known_codecs() and canary != local_canary:
        return f"its codec canary {canary} is not known; score with a Pillow whose canary is, such as {_newest()}"
    return ""


def private_inputs(result: Result) -> str:
    """The inputs of a result that only its author has; empty if everybody can get all of them."""
    encoder, data = str(result.encoder.get("id")), str(result.data.get("name"))
    if result.encoder.get("library") == "callable" or encoder.startswith(("local-dir:", "weights:")):
        return f"the encoder {encoder} is the author's own code or file"
    if data.startswith(("folder:", "exif-folder:")):
        return f"the photos of {data} are private"
    if data.startswith("hub:") and "/" not in data:
        return f"the photos of {data} come from a folder of the author"
    local = result.environment.get("local")
    if isinstance(local, Mapping) and local.get("model"):
        return f"the encoder {encoder} is the author's own code, file or object"
    if isinstance(local, Mapping) and local.get("data") and data not in _PUBLIC_PHOTOS:
        return f"the photos of {data} are private"
    return ""


def _newest() -> str:
    return "Pillow " + list(known_codecs().values())[-1].pillow[-1]


def value_at(whole: Mapping[str, Any], name: str) -> Any:
    """The value of nested mappings under names with dots between them; None where there is none.

    >>> value_at({"a": {"b": 1}}, "a.b"), value_at({"a": 1}, "a.b")
    (1, None)
    """
    value: Any = whole
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
