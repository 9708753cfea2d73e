"""Exif of ``flickr.photos.getExif``: raw strings keyed by (tagspace, tag).

Labels repeat and are translated, so they are never a key. Tags that could identify a person, a place or a device (GPS,
serial numbers, names of owners and artists, thumbnails) are not in ``STORED_TAGS`` and never reach the state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builders.exif import ALLOWED
from builders.flickrexif.api.search_results import storable
from builders.flickrexif.api.stored_json import damaged_state, stored_json

TRUST = ("IFD0", "ExifIFD", "SubIFD", "InteropIFD")
"""Tag spaces in order of trust. XMP, which any editor may have written, comes last."""

STORED_TAGS = frozenset(
    {
        *ALLOWED,  # the tags of labels; the others show how a photo was processed
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

_MAX_RAW_CHARACTERS = 1000


def entries_from_response(response: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Raw strings by (tagspace, tag), in the order of trust; the first of equal keys counts.

    Every form in which Flickr writes a value is accepted: ``{"_content": "1/60"}``, a number, a plain string, and the
    empty ``<raw/>``, which means that there is no value.

    Args:
        response: of ``flickr.photos.getExif``, as JSON.

    >>> entries_from_response({"photo": {"exif": [
    ...     {"tagspace": "XMP-tiff", "tag": "Make", "raw": {"_content": "x"}},
    ...     {"tagspace": "IFD0", "tag": "Make", "raw": {"_content": "Canon"}},
    ...     {"tagspace": "IFD0", "tag": "Model", "raw": {}}]}})
    {('IFD0', 'Make'): 'Canon', ('XMP-tiff', 'Make'): 'x'}
    """
    photo = response.get("photo")
    listed = photo.get("exif") if isinstance(photo, Mapping) else None
    entries: dict[tuple[str, str], str] = {}
    for entry in listed if isinstance(listed, list) else ():
        if not isinstance(entry, Mapping):
            continue
        key = (storable(str(entry.get("tagspace") or "")), str(entry.get("tag") or ""))
        raw = _text(entry.get("raw"))
        if raw and key[1] in STORED_TAGS and not key[0].startswith("GPS"):
            entries.setdefault(key, raw[:_MAX_RAW_CHARACTERS])
    return dict(sorted(entries.items(), key=lambda item: _trust(item[0][0])))


def dumps(entries: Mapping[tuple[str, str], str]) -> str:
    """Entries as the JSON text that the state stores."""
    return json.dumps([[space, tag, raw] for (space, tag), raw in entries.items()], ensure_ascii=False)


def loads(text: str) -> dict[tuple[str, str], str]:
    """Parse ``dumps``; the order is preserved.

    Raises:
        DataError: the text is none of ``dumps``, so that the state's file is damaged.
    """
    listed = stored_json(text)
    if not isinstance(listed, list) or not all(map(_is_entry, listed)):
        raise damaged_state("Exif entries of a photo in it are none")
    return {(space, tag): raw for space, tag, raw in listed}


def _is_entry(value: Any) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [str, str, str]


def _text(raw: Any) -> str:
    if isinstance(raw, Mapping):
        raw = raw.get("_content")
    if raw is None or isinstance(raw, (Mapping, list, bool)):
        return ""
    return storable(str(raw)).strip()


def _trust(space: str) -> int:
    if space in TRUST:
        return TRUST.index(space)
    return len(TRUST) + 1 if space.upper().startswith("XMP") else len(TRUST)
