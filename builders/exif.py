"""Bytes of a photo, or Flickr's list of Exif entries -> ``Acquisition``: what the camera says it did.

Only allow-listed fields are ever read: no position, serial number, owner, thumbnail or maker note leaves this room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from types import MappingProxyType


@dataclass(frozen=True)
class Acquisition:
    """How one photo was taken. ``None`` is "the file does not say, or says something impossible"."""

    make: str | None = None
    """Manufacturer as written, without trailing blanks."""
    model: str | None = None
    """Model as written, without trailing blanks."""
    software: str | None = None
    """Firmware or the program that saved the file."""
    exposure_s: Fraction | None = None
    """Exposure time in seconds, positive, as the exact rational of the file."""
    f_number: Fraction | None = None
    """Focal length over aperture diameter, positive."""
    focal_length_mm: Fraction | None = None
    """Real focal length (not the 35 mm equivalent), positive."""
    iso: int | None = None
    """ISO speed, positive."""
    flash_fired: bool | None = None
    """Whether the flash fired."""
    taken: datetime | None = None
    """Camera clock at exposure, without time zone."""
    raw: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The allow-listed values as the file writes them ("10/600"), by Exif tag name."""


def acquisition_from_file(data: bytes) -> Acquisition:
    """Read the Exif of a photo without decoding its pixels.

    Args:
        data: a JPEG, TIFF (or a raw file built on it), HEIC, AVIF, PNG or WebP file.

    Returns:
        What the file says; an empty ``Acquisition`` if it carries no Exif.

    Raises:
        PhotoError: the bytes are of no such format, or there is Exif that cannot be read or breaks a limit.
    """
    raise NotImplementedError


def acquisition_from_tags(tags: Mapping[tuple[str, str], str]) -> Acquisition:
    """Interpret Flickr's ``getExif`` entries. Never raises: what cannot be understood is ``None``.

    Args:
        tags: raw strings by (tagspace, tag), for example ``{("ExifIFD", "ExposureTime"): "1/60"}``. ``IFD0`` and
            ``ExifIFD`` are preferred over XMP.
    """
    raise NotImplementedError


def acquisition_from_raw(raw: Mapping[str, str]) -> Acquisition:
    """Interpret allow-listed raw strings by Exif tag name, as ``Acquisition.raw`` holds them."""
    raise NotImplementedError
