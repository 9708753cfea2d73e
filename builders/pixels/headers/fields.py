"""Fields of the header of an image file of any format, and untrusted bytes in it as text."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

MAX_TEXT = 60
"""Characters of a comment that are read: it names a program, or is of no use here."""

MAX_PARTS = 40
"""Markers or chunks named in ``order``; a hostile file may have a million."""

NONE = "none"
"""Value of a field that a file does not have."""


@dataclass(frozen=True)
class ImageHeader:
    """Header of an image file. Texts are printable and short; ``NONE`` if absent."""

    format: str
    """``JPEG``, ``PNG``, ``WebP``, ``GIF``, ``HEIC``, ``AVIF``, ``TIFF``, ``BMP``, ``PPM`` or ``unknown``."""
    width: int = 0
    """Pixels, as stored; 0 if unknown."""
    height: int = 0
    """Pixels, as stored; 0 if unknown."""
    channels: str = NONE
    """``3 x 8 bit``: components (of JPEG) or a colour type by its name, and bits of each."""
    coding: str = NONE
    """``baseline``, ``progressive``, ``interlaced``, ``lossless``, ``lossy``, ..."""
    tables: str = NONE
    """8 hex digits over the quantisation tables of all components (JPEG)."""
    quality: str = NONE
    """libjpeg's quality if the tables are exactly libjpeg's, else ``own tables`` (JPEG)."""
    nearest_quality: int = 0
    """libjpeg's quality whose luminance table is nearest, 1..100 (JPEG); 0 if there are no tables."""
    subsampling: str = NONE
    """As ``JpegHeader.subsampling`` names it (JPEG)."""
    huffman: str = NONE
    """``standard`` tables of T.81 annex K, ``optimised`` for the picture, or ``arithmetic`` (JPEG)."""
    restart: int = 0
    """Restart interval in blocks (JPEG)."""
    order: str = NONE
    """Markers or chunks before the pixels, in order, each once."""
    metadata: str = NONE
    """Kinds of metadata, sorted: ``Adobe, Exif, ICC, JFIF, XMP``, ..."""
    icc: str = NONE
    """Name of the colour profile."""
    comment: str = NONE
    """First characters of the first comment or text, where programs write their names."""
    thumbnail: bool = False
    """True if there is a small JPEG inside the Exif block (JPEG)."""
    complete: bool = True
    """False if the bytes end before the header does: read more, or the file is cut."""


@lru_cache(maxsize=1024)
def icc_name(profile: bytes) -> str:
    """The description of an ICC profile (its tag ``desc``), or ``unnamed``; the bytes are untrusted."""
    count = int.from_bytes(profile[128:132], "big")
    for at in range(132, min(132 + 12 * min(count, 100), len(profile) - 11), 12):
        tag, offset, size = struct.unpack_from(">4sII", profile, at)
        if tag == b"desc":
            text = profile[offset : offset + min(size, 256)]
            body = text[12:].partition(b"\0")[0] if text[:4] == b"desc" else text[28:].replace(b"\0", b"")
            return printable(body)
    return "unnamed"


def printable(text: bytes) -> str:
    """The first printable characters of untrusted bytes, with single blanks; ``NONE`` if there are none."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_TEXT].decode("utf-8", "replace"))
    return " ".join(shown.split())[:MAX_TEXT] or NONE
