"""Removes from a JPEG file what may name a place, a person or a device; its pixels are not encoded again."""

from __future__ import annotations

import io
import struct

from PIL import Image

from builders.errors import PhotoError

_KEPT = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
"""Application segments that decoders need, by the beginning of their contents."""

_SOI, _EOI, _SOS, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE

_ORIENTATION = 0x0112


def without_metadata(data: bytes) -> bytes:
    """A JPEG file without Exif (but its orientation), XMP, maker notes, comments and what follows its last scan.

    Phones append depth maps, films and further pictures with an Exif of their own, so nothing behind the end is kept.

    Args:
        data: the file.

    Raises:
        PhotoError: no JPEG file, or one that is cut.

    >>> stream = io.BytesIO()
    >>> Image.new("RGB", (8, 8)).save(stream, "JPEG", comment=b"Ann, 5 Oak Street")
    >>> b"Oak" in stream.getvalue(), b"Oak" in without_metadata(stream.getvalue() + b"Oak")
    (True, False)
    """
    if data[:2] != b"\xff\xd8":
        raise PhotoError("no JPEG file: what its metadata name cannot be removed without encoding it again")
    kept, at = [data[:2], _oriented(data)], 2
    while at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker == 0xFF:
            at += 1  # fill bytes
            continue
        if marker == _EOI:
            return b"".join([*kept, b"\xff\xd9"])
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        is_application = 0xE0 <= marker <= 0xEF
        if marker != _COMMENT and (not is_application or data[at + 4 : end].startswith(_KEPT.get(marker, b"\0\0no"))):
            end = _end_of_scan(data, end) if marker == _SOS else end
            kept.append(data[at:end])
        at = end
    if data[at : at + 2] == b"\xff\xd9":
        return b"".join([*kept, b"\xff\xd9"])
    raise PhotoError("the file is cut")


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the next marker begins: in a scan 0xFF is followed by 0 or by the number of a restart."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
    return len(data)


def _oriented(data: bytes) -> bytes:
    """An Exif segment with the orientation of a file alone; empty if it is upright."""
    try:
        orientation = Image.open(io.BytesIO(data)).getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken Exif block counts as upright, as where the photo is decoded
        orientation = 1
    if not isinstance(orientation, int) or not 2 <= orientation <= 8:
        return b""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff
