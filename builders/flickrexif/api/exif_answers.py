"""Exif as Flickr tells it (``flickr.photos.getExif``): entries keyed by (tagspace, tag), raw strings kept.

Labels repeat and are translated, so they are never a key. What could name a person, a place or a device (GPS, serial
numbers, owner and artist names, thumbnails) is not on the list of what is kept and never reaches the state.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from builders.exif import ALLOWED

TRUST = ("IFD0", "ExifIFD", "SubIFD", "InteropIFD")
"""Tag spaces in the order in which they are believed; XMP, which any editor may have written, comes last."""

STORED_TAGS = frozenset(
    {
        *ALLOWED,  # what labels are made of; the rest tells where a photo has been
        *("Make", "Model", "UniqueCameraModel", "Software", "ProcessingSoftware", "CreatorTool", "HostComputer"),
        *("ExposureTime", "ShutterSpeedValue", "FNumber", "ApertureValue", "MaxApertureValue", "ExposureProgram"),
        *("ISO", "ISOSpeedRatings", "PhotographicSensitivity", "SensitivityType", "RecommendedExposureIndex"),
        *("StandardOutputSensitivity", "ISOSpeed", "ExposureIndex", "ExposureCompensation", "ExposureMode"),
        *("FocalLength", "FocalLengthIn35mmFormat", "FocalLengthIn35mmFilm", "DigitalZoomRatio"),
        *("LensMake", "LensModel", "Lens", "LensInfo", "Flash", "FlashFired", "MeteringMode", "WhiteBalance"),
        *("DateTimeOriginal", "CreateDate", "DateTimeDigitized", "ModifyDate", "DateTime", "OffsetTimeOriginal"),
        *("Orientation", "ColorSpace", "SceneCaptureType", "FileSource", "SceneType", "SensingMethod"),
        *("ExifVersion", "ExifImageWidth", "ExifImageHeight", "CustomRendered", "LightSource"),
    }
)

_LONGEST_RAW = 1000


def entries_from_response(answer: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """(tagspace, tag) -> raw string, in the order of trust; the first of equal keys counts.

    Accepts every form in which Flickr writes a value: ``{"_content": "1/60"}``, a number, a plain string, and the
    empty ``<raw/>``, which means that there is none.

    >>> entries_from_response({"photo": {"exif": [
    ...     {"tagspace": "XMP-tiff", "tag": "Make", "raw": {"_content": "x"}},
    ...     {"tagspace": "IFD0", "tag": "Make", "raw": {"_content": "Canon"}},
    ...     {"tagspace": "IFD0", "tag": "Model", "raw": {}}]}})
    {('IFD0', 'Make'): 'Canon', ('XMP-tiff', 'Make'): 'x'}
    """
    photo = answer.get("photo")
    listed = photo.get("exif") if isinstance(photo, Mapping) else None
    found: dict[tuple[str, str], str] = {}
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, Mapping):
            continue
        key = (str(entry.get("tagspace") or ""), str(entry.get("tag") or ""))
        raw = _text(entry.get("raw"))
        if raw and key[1] in STORED_TAGS and not key[0].startswith("GPS"):
            found.setdefault(key, raw[:_LONGEST_RAW])
    return dict(sorted(found.items(), key=lambda item: _trust(item[0][0])))


def dumps(entries: Mapping[tuple[str, str], str]) -> str:
    """Entries as they lie in the state."""
    return json.dumps([[space, tag, raw] for (space, tag), raw in entries.items()], ensure_ascii=False)


def loads(text: str) -> dict[tuple[str, str], str]:
    """Entries from the state, in their order."""
    listed: Iterable[list[str]] = json.loads(text)
    return {(space, tag): raw for space, tag, raw in listed}


def _text(raw: Any) -> str:
    if isinstance(raw, Mapping):
        raw = raw.get("_content")
    if raw is None or isinstance(raw, (Mapping, list, bool)):
        return ""
    return str(raw).replace("\0", "").strip()


def _trust(space: str) -> int:
    if space in TRUST:
        return TRUST.index(space)
    return len(TRUST) + 1 if space.upper().startswith("XMP") else len(TRUST)
