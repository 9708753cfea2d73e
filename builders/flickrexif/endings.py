"""Does a picture file have its end? The one thing that tells a cut file where the server did not say its length."""

from __future__ import annotations

import mmap
from pathlib import Path

_BOX_LIMIT = 10_000


def ends_whole(path: Path, suffix: str) -> bool:
    """Whether a file goes on to the end that its format asks for. Nothing is decoded.

    JPEG: an end-of-image marker after the first scan begins (what cameras add after it does not matter). PNG: ``IEND``.
    GIF: its trailer. WebP and HEIC: as long as they say. TIFF has no end, and passes.

    Args:
        path: the file, not empty.
        suffix: ``.jpg``, ``.png``, ... by its content.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if suffix == ".jpg":
            return _jpeg_ends(data)
        if suffix == ".png":
            return data.rfind(b"IEND\xaeB`\x82") >= 0
        if suffix == ".gif":
            return data[-16:].rstrip(b"\0").endswith(b";")
        if suffix == ".webp":
            return int.from_bytes(data[4:8], "little") + 8 <= len(data)
        return suffix != ".heic" or _boxes_end(data)


def _jpeg_ends(data: mmap.mmap) -> bool:
    """Segments are stepped over by their lengths, so that the end of a thumbnail in one is not taken for the end."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return False
        marker = data[at + 1]
        if marker == 0xFF or 0xD0 <= marker <= 0xD7 or marker == 0x01:
            at += 1 if marker == 0xFF else 2
        elif marker == 0xDA:
            return data.find(b"\xff\xd9", at) >= 0  # entropy-coded data never holds these two bytes
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    return False


def _boxes_end(data: mmap.mmap) -> bool:
    """Whether the boxes of an ISO file fill it to its end."""
    at = 0
    for _ in range(_BOX_LIMIT):
        if at + 8 > len(data):
            return at == len(data)
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        if length == 0:
            return True
        if length < 8:
            return False
        at += length
    return False
