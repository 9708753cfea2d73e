"""What a board says of an encoder beside its scores: from a stranger's record, or from the package's own table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def study_facts() -> Mapping[str, Mapping[str, Any]]:
    """What the package knows of the study's encoders, by published name."""
    from benchmark.encoders import STUDY

    return {
        row.published_name: {
            "id": row.spec,
            "library": row.library,
            "training": row.training_data,
            "input": row.input_px,
        }
        for row in STUDY
        if row.published_name
    }


def facts_of(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a result's encoder; what is absent, or not of its form, is empty."""
    preprocessing = encoder.get("preprocessing")
    size = preprocessing.get("crop", preprocessing.get("size")) if isinstance(preprocessing, Mapping) else None
    return {
        "library": text_of(encoder.get("library")),
        "training": text_of(encoder.get("training_data")) if encoder.get("training_data") != "unknown" else "",
        "input": _side(size),
        "parameters": count_of(encoder.get("parameters")),
        "dimension": count_of(encoder.get("dimension")),
        "revision": text_of(encoder.get("revision")),
        "weights_sha256": text_of(encoder.get("weights_sha256")),
        **_eraser(encoder.get("details")),
    }


def _eraser(details: object) -> dict[str, str]:
    """``eraser`` and the ``encoder`` whose embeddings it maps; nothing where none is in place."""
    record = details.get("eraser") if isinstance(details, Mapping) else None
    if not isinstance(details, Mapping) or not isinstance(record, Mapping):
        return {}
    return {"eraser": text_of(record.get("name"))[:200], "encoder": text_of(details.get("encoder"))[:200]}


def _side(size: object) -> int | None:
    """Pixels of a square input, however it is written down."""
    if isinstance(size, list | tuple) and size:
        size = size[-1]
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    return count_of(size)


def text_of(value: object) -> str:
    """A stranger's text, within bounds; empty where it is none."""
    return value[:500] if isinstance(value, str) else ""


def count_of(value: object) -> int | None:
    """A stranger's count; None where it is none, or 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
