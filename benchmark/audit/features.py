"""Features that are read from the file of a photo without decoding it, in layers; each is one column.

To add a feature, add one entry to ``FEATURES`` and its case in ``tests/benchmark/audit/test_features.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from builders.exif import FileFacts

NONE = "none"
"""Value of a feature that a file does not have."""

MAX_TEXT = 64
"""Most characters of a value; longer ones are cut."""

LAYERS: Mapping[str, str] = {
    "header": "file header",
    "size": "size of the picture",
    "exif": "Exif",
    "weight": "bytes of the file",
    "pixels": "pixel statistics",
    "hidden": "a narrow border of the picture",
}
"""Title of each layer by its name, in the order of reports. The last two need decoded pixels (``pixel_facts``)."""

FILE_LAYERS = ("header", "size", "exif")
"""Layers that depend on the making of a file, not on its content: these alone make a verdict *confounded*."""

CONTENT_LAYERS = ("weight", "pixels", "hidden")
"""Layers that the content of the picture affects too (a clear sky has few bytes): hints, which leave it undecided."""


@dataclass(frozen=True)
class Feature:
    """One column of the audit."""

    title: str
    """Title in tables: ``chroma subsampling``."""
    layer: str
    """One of ``LAYERS``."""
    of: Callable[[FileFacts], str | float]
    """Function that gives a short text, or for numbers a float (NaN where there is none)."""
    kind: Literal["value", "number"] = "value"


def values_of(facts: FileFacts) -> dict[str, str | float]:
    """Every feature of a file by name."""
    return {name: feature.of(facts) for name, feature in FEATURES.items()}


def _text(value: str | None) -> str:
    return value[:MAX_TEXT] if value else NONE


def _year(facts: FileFacts) -> str:
    return str(facts.exif.taken.year) if facts.exif.taken else NONE


@lru_cache(maxsize=65536)
def _log(value: float) -> float:
    return math.log2(value) if value > 0 else math.nan


def _header(name: str, title: str) -> Feature:
    return Feature(title, "header", lambda facts: str(getattr(facts.header, name)))


def _number(title: str, layer: str, of: Callable[[FileFacts], float]) -> Feature:
    return Feature(title, layer, of, "number")


def _pixels(facts: FileFacts) -> int:
    return facts.header.width * facts.header.height


FEATURES: dict[str, Feature] = {
    "format": _header("format", "file format"),
    "coding": _header("coding", "coding (baseline, progressive, lossless)"),
    "channels": _header("channels", "channels and bits"),
    "quality": _header("quality", "JPEG quality"),
    "tables": _header("tables", "quantisation tables (fingerprint)"),
    "subsampling": _header("subsampling", "chroma subsampling"),
    "huffman": _header("huffman", "Huffman tables"),
    "restart": _header("restart", "restart interval"),
    "order": _header("order", "order of markers or chunks"),
    "metadata": _header("metadata", "kinds of metadata"),
    "icc": _header("icc", "colour profile"),
    "comment": _header("comment", "comment or text of the writer"),
    "thumbnail": Feature("embedded thumbnail", "header", lambda f: "yes" if f.header.thumbnail else "no"),
    "nearest_quality": _number(
        "JPEG quality (nearest)", "header", lambda f: float(f.header.nearest_quality or math.nan)
    ),
    "dimensions": Feature("width x height", "size", lambda f: f"{f.header.width} x {f.header.height}"),
    "pixels": _number("number of pixels", "size", lambda f: _log(_pixels(f))),
    "aspect": _number(
        "aspect ratio", "size", lambda f: _log(f.header.width / f.header.height if f.header.height else 0.0)
    ),
    "bytes": _number("bytes of the file", "weight", lambda f: _log(f.size)),
    "bytes_per_pixel": _number("bytes per pixel", "weight", lambda f: _log(f.size / _pixels(f) if _pixels(f) else 0.0)),
    "make": Feature("camera make", "exif", lambda f: _text(f.exif.make)),
    "model": Feature("camera model", "exif", lambda f: _text(f.exif.model)),
    "software": Feature("software", "exif", lambda f: _text(f.exif.software)),
    "year": Feature("year taken", "exif", _year),
}
"""Every feature by name. Sizes, and therefore their means, are in log2: a step of 1 is a factor of 2."""
