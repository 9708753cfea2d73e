"""Facts of an image file that are read without decoding it: its header, its size and its Exif."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from builders.errors import PhotoError
from builders.exif.acquisition import Acquisition, acquisition_from_file
from builders.photos import Head
from builders.pixels import ImageHeader, read_image_header

HEAD_BYTES = 64 << 10
"""Bytes of each file that are read at first: nearly every header ends within them."""

LONG_HEAD_BYTES = 4 << 20
"""Bytes that are read of a file with a longer header, and of formats whose Exif may be anywhere."""


@dataclass(frozen=True)
class FileFacts:
    """What one file says of how it was made."""

    header: ImageHeader
    size: int
    """Bytes of the file."""
    exif: Acquisition
    """Empty where the file has no readable Exif."""


def file_facts(head: Head, read_more: Callable[[int], Head]) -> FileFacts:
    """Facts of one file.

    Args:
        head: its first ``HEAD_BYTES`` bytes.
        read_more: function that reads more bytes, for the few files that need them.

    Raises:
        PhotoError: the format is unknown, or the file cannot be read.
    """
    data = head.data
    if not data:
        raise PhotoError("the file is empty")
    header = read_image_header(data)
    exif_at_the_end = header.format == "WebP" and "Exif" in header.metadata
    exif_elsewhere = exif_at_the_end or header.format in ("HEIC", "AVIF", "TIFF")
    if len(data) < head.size and (exif_elsewhere or not header.complete):
        data = read_more(LONG_HEAD_BYTES).data
        header = read_image_header(data)
    if header.format == "unknown":
        raise PhotoError("not an image in a format that is known")
    if not header.complete:
        raise PhotoError("the file ends before its header does")
    return FileFacts(header, head.size, _exif(data) if exif_elsewhere or "Exif" in header.metadata else _NO_EXIF)


_NO_EXIF = Acquisition()


def _exif(data: bytes) -> Acquisition:
    """Allow-listed fields: no position, serial number or owner is ever read. Broken Exif counts as absent."""
    try:
        return acquisition_from_file(data)
    except PhotoError:
        return _NO_EXIF
