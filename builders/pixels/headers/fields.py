"""What the header of an image file may say, of whatever format, and how words of strangers in it become text."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

MAX_TEXT = 60
"""Characters kept of a comment: it names a program, or it is none of our business."""

MAX_PARTS = 40
"""Markers or chunks named in ``order``; a hostile file may have a million."""

NONE = "none"
"""The value of what a file does not have."""


@dataclass(frozen=True)
class ImageHeader:
    """What the header of one image file says. Texts are printable and short; ``NONE`` where there is nothing."""

    format: str
    """``JPEG``, ``PNG``, ``WebP``, ``GIF``, ``HEIC``, ``AVIF``, ``TIFF``, ``BMP``, ``PPM`` or ``unknown``."""
    width: int = 0
    """Pixels, as stored; 0 if the header does not say."""
    height: int = 0
    """Pixels, as stored; 0 if the header does not say."""
    channels: str = NONE
    """``3 x 8 bit``: components (of JPEG) or a colour type by its name, and bits of each."""
    coding: str = NONE
    """``baseline``, ``progressive``, ``interlaced``, ``lossless``, ``lossy``, ..."""
    tables: str = NONE
    """8 hex digits that name the quantisation tables of all components (JPEG)."""
    quality: str = NONE
    """libjpeg's quality if the tables are exactly its own, else ``own tables`` (JPEG)."""
    nearest_quality: int = 0
    """libjpeg's quality whose luminance table is nearest, 1..100 (JPEG); 0 where there are no tables."""
    subsampling: str = NONE
    """As ``JpegHeader.subsampling`` names it (JPEG)."""
    huffman: str = NONE
    """``standard`` tables of T.81 annex K, ``optimised`` for the picture, or ``arithmetic`` (JPEG)."""
    restart: int = 0
    """Restart interval in blocks (JPEG)."""
    order: str = NONE
    """Markers or chunks before the pixels, in order; one that is repeated stands once."""
    metadata: str = NONE
    """Which kinds there are, sorted: ``Adobe, Exif, ICC, JFIF, XMP``, ..."""
    icc: str = NONE
    """Name of the colour profile."""
    comment: str = NONE
    """The beginning of the first comment or text; encoders sign there."""
    thumbnail: bool = False
    """Whether a small JPEG stands inside the Exif block (JPEG)."""
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
    """The printable beginning of bytes of a stranger, blanks made one; ``NONE`` if nothing is left."""
    shown = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_TEXT].decode("utf-8", "replace"))
    return " ".join(shown.split())[:MAX_TEXT] or NONE
