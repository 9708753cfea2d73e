"""Bytes of a photo, or Flickr's list of Exif entries -> ``Acquisition``: the settings of the camera.

Only allow-listed fields are read (``parser.ALLOWED``): no position, serial number, owner, thumbnail or maker note.
Values are read as written; nothing is derived from APEX values or from XMP in files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

from builders.exif.parser import ALLOWED, MAX_CHARACTERS, TAG_NUMBERS, read_allowed


@dataclass(frozen=True)
class Acquisition:
    """How a photo was taken. ``None``: the file has no value, or an impossible one."""

    make: str | None = None
    """Manufacturer as written, without blanks around it."""
    model: str | None = None
    """Model as written, without blanks around it."""
    software: str | None = None
    """Firmware or the program that saved the file."""
    exposure_s: Fraction | None = None
    """Exposure time in seconds, within ``EXPOSURE_RANGE_S``, as the exact rational of the file."""
    f_number: Fraction | None = None
    """Focal length over aperture diameter, within ``F_NUMBER_RANGE``."""
    focal_length_mm: Fraction | None = None
    """Real focal length (not the 35 mm equivalent), within ``FOCAL_RANGE_MM``."""
    iso: int | None = None
    """ISO speed, within ``ISO_RANGE``."""
    flash_fired: bool | None = None
    """True if the flash fired."""
    taken: datetime | None = None
    """Camera clock at exposure (or, failing that, at digitisation), without time zone."""
    raw: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """The allow-listed values as written in the file ("10/600"), by the tag names of ExifTool and Flickr: a new
    attribute reads its tag here and needs no field above."""


def acquisition_from_file(data: bytes) -> Acquisition:
    """Read the Exif of a photo without decoding its pixels.

    Args:
        data: a JPEG, TIFF (or a raw file built on it), HEIC, AVIF, PNG or WebP file.

    Returns:
        Its settings; an empty ``Acquisition`` if it has no Exif.

    Raises:
        PhotoError: the bytes are of another format, or the Exif cannot be read or exceeds a limit
            (``parser.MAX_EXIF_BYTES``, ``MAX_ENTRIES``). A single bad value is no error: it is ``None``.
    """
    return acquisition_from_raw(read_allowed(data))


def acquisition_from_tags(tags: Mapping[tuple[str, str], str]) -> Acquisition:
    """Interpret Flickr's ``getExif`` entries. Never raises: values that cannot be read are ``None``.

    Args:
        tags: raw strings by (tagspace, tag). ``IFD0`` and ``ExifIFD`` are preferred over Flickr's older ``TIFF`` and
            ``EXIF`` spaces, and these over XMP; within a space, tags are names ("Model") or numbers ("272").

    >>> acquisition_from_tags({("XMP-exif", "ExposureTime"): "1/50", ("ExifIFD", "ExposureTime"): "1/60"}).exposure_s
    Fraction(1, 60)
    """
    best: dict[str, tuple[tuple[int, int], str]] = {}
    for key, value in tags.items():
        if key not in _FLICKR_KEYS or not isinstance(value, str):
            continue
        name, rank = _FLICKR_KEYS[key]
        text = value[:MAX_CHARACTERS].strip()
        if text:
            best[name] = min(best.get(name, (rank, text)), (rank, text))
    return acquisition_from_raw({name: text for name, (_, text) in best.items()})


def acquisition_from_raw(raw: Mapping[str, str]) -> Acquisition:
    """Interpret raw strings by tag name, as in ``Acquisition.raw``; other names are dropped.

    >>> acquisition_from_raw({"ExposureTime": "0.0166 sec (1/60)", "FNumber": "f/2.8", "ISO": "65535"})
    ... # doctest: +ELLIPSIS
    Acquisition(make=None, ... exposure_s=Fraction(1, 60), f_number=Fraction(14, 5), ... iso=None, ...)
    """
    allowed = {name: raw[name] for name in ALLOWED if raw.get(name)}
    return Acquisition(
        make=_name(allowed.get("Make")),
        model=_name(allowed.get("Model")),
        software=_name(allowed.get("Software")),
        exposure_s=_plausible(positive_fraction(allowed.get("ExposureTime")), EXPOSURE_RANGE_S),
        f_number=_plausible(positive_fraction(allowed.get("FNumber")), F_NUMBER_RANGE),
        focal_length_mm=_plausible(positive_fraction(allowed.get("FocalLength")), FOCAL_RANGE_MM),
        iso=_plausible(_iso(allowed), ISO_RANGE),
        flash_fired=_flash_fired(allowed.get("Flash")),
        taken=_time(allowed.get("DateTimeOriginal")) or _time(allowed.get("CreateDate")),
        raw=MappingProxyType(allowed),
    )


EXPOSURE_RANGE_S = Fraction(1, 1_000_000), Fraction(86_400)
"""Seconds: five times shorter than the fastest electronic shutters (1/180,000 s), up to a day."""

F_NUMBER_RANGE = Fraction(1, 2), Fraction(512)
"""From the limit of a lens in air (numerical aperture 1) to pinholes."""

FOCAL_RANGE_MM = Fraction(1, 2), Fraction(20_000)
"""From action cameras and the smallest phone modules (above 1 mm) to telescopes."""

ISO_RANGE = 1, 10_000_000
"""Twice the highest speed on sale (4,560,000)."""

_Quantity = TypeVar("_Quantity", int, Fraction)


def _plausible(value: _Quantity | None, limits: tuple[_Quantity, _Quantity]) -> _Quantity | None:
    """The value, or ``None`` if no camera has it (``raw`` still has the string)."""
    return value if value is not None and limits[0] <= value <= limits[1] else None


def positive_fraction(text: str | None) -> Fraction | None:
    """The positive number in a raw string, exactly; ``None`` for zero, negative numbers, x/0 and other text.

    >>> [str(positive_fraction(t)) for t in ("10/600", "f/2.8", "50.0 mm", "0.0166 sec (1/60)", "1/0")]
    ['1/60', '14/5', '50', '1/60', 'None']
    """
    if not text or len(text) > 64:
        return None
    match = _IN_BRACKETS.search(text) or _NUMBER.match(text)
    if not match:
        return None
    numerator, denominator = Fraction(match[1]), Fraction(match[2] or 1)
    return numerator / denominator if numerator and denominator else None


_DECIMAL = r"(\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})(?:\s*/\s*(\d{1,12}(?:\.\d{1,12})?))?"
_IN_BRACKETS = re.compile(rf"\({_DECIMAL}\)")
_NUMBER = re.compile(rf"\s*(?:[fF]\s*/?\s*)?{_DECIMAL}(?:\s*(?:s|sec|secs|seconds?|mm|\")?\s*)(?:$|\(|,)", re.ASCII)
_TIME = re.compile(r"\s*(\d{4})[:/-](\d{1,2})[:/-](\d{1,2})[T ]+(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?", re.ASCII)

ISO_OVERFLOW = 65535
"""Value of a 16-bit ISO entry when the true one is in another entry (Exif 2.3, PhotographicSensitivity)."""

_SENSITIVITY_ENTRIES = {
    1: ("StandardOutputSensitivity",),
    2: ("RecommendedExposureIndex",),
    3: ("ISOSpeed",),
    4: ("RecommendedExposureIndex", "StandardOutputSensitivity"),
    5: ("ISOSpeed", "StandardOutputSensitivity"),
    6: ("RecommendedExposureIndex", "ISOSpeed"),
    7: ("RecommendedExposureIndex", "ISOSpeed", "StandardOutputSensitivity"),
}
"""Entries with the true value of an overflown ISO, by SensitivityType (Exif 2.3, table for tag 0x8830)."""

_FLICKR_SPACES = ("IFD0", "ExifIFD", "TIFF", "EXIF", "XMP-exif", "XMP-tiff", "XMP-exifEX", "XMP-xmp", "XMP")
_FLICKR_SPELLINGS = {
    "ISO": ("ISO", "ISOSpeedRatings", "PhotographicSensitivity"),
    "CreateDate": ("CreateDate", "DateTimeDigitized"),
    "Software": ("Software", "CreatorTool"),
    "Flash": ("Flash", "FlashFired"),
}

_FLICKR_KEYS = {
    (space, spelling): (name, (k, i))
    for name in ALLOWED
    for k, space in enumerate(_FLICKR_SPACES)
    for i, spelling in enumerate((*_FLICKR_SPELLINGS.get(name, (name,)), str(TAG_NUMBERS[name])))
}
"""(space, spelling) -> (tag name, rank among the entries of that name: the lowest counts)."""


def _name(text: str | None) -> str | None:
    return (text or "").strip() or None


def _iso(raw: Mapping[str, str]) -> int | None:
    value = _integer(raw.get("ISO"))
    if value == ISO_OVERFLOW:
        kind = _integer(raw.get("SensitivityType"))
        entries = _SENSITIVITY_ENTRIES.get(kind or 0, _SENSITIVITY_ENTRIES[7])
        value = next((v for v in (_integer(raw.get(entry)) for entry in entries) if v), None)
    return value if value and value != ISO_OVERFLOW else None


def _integer(text: str | None) -> int | None:
    """The first whole number of "100", "ISO 100", "200 0" or "100/1"."""
    match = re.match(r"\s*(?:ISO\s*)?(\d{1,10})(?:\s*/\s*(\d{1,10})|\.(0+))?(?![\d.])", text or "", re.ASCII)
    if not match:
        return None
    numerator, denominator = int(match[1]), int(match[2] or 1)
    return numerator // denominator if denominator and numerator % denominator == 0 else None


def _flash_fired(text: str | None) -> bool | None:
    """From bit 0 of the number (only bits 0 to 6 have a meaning), or from Flickr's words."""
    if not text:
        return None
    if text.strip().isdecimal():
        value = _integer(text)
        return bool(value & 1) if value is not None and value < 128 else None
    words = text.lower()
    if "not fire" in words or "no flash" in words or words.startswith(("off", "false")):
        return False
    return True if "fired" in words or words.startswith("true") else None


def _time(text: str | None) -> datetime | None:
    match = _TIME.match(text or "")
    if not match:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:  # 0000:00:00 00:00:00, a thirteenth month, ...
        return None
