"""The bytes of a photo -> the allow-listed Exif values, as strings, within fixed limits.

The container is read only as far as its Exif. Entries that are not on the allow-list are blanked *before* Pillow
interprets the rest: positions, serial numbers, owners, thumbnails and maker notes are never read, and a hostile
directory cannot take more memory than ``MAX_ENTRIES`` allows.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
import warnings
from collections.abc import Iterator
from typing import Any

from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from builders.errors import PhotoError, missing_package
from builders.untrusted import describe_error, heif_package

MAX_EXIF_BYTES = 4 * 2**20
"""Largest Exif block inside a photo. (A JPEG segment holds 64 KiB; HEIC, PNG and WebP state no bound.)"""

MAX_ENTRIES = 4096
"""Most entries in one directory; cameras write under 200."""

MAX_VALUE_BYTES = 1024
"""Longest value read; a longer one is treated as absent."""

MAX_CHARACTERS = 256
"""Longest string; the rest is cut."""

_IFD0_TAGS = {0x010F: "Make", 0x0110: "Model", 0x0131: "Software"}
_EXIF_IFD_TAGS = {
    0x829A: "ExposureTime",
    0x829D: "FNumber",
    0x8827: "ISO",
    0x8830: "SensitivityType",
    0x8831: "StandardOutputSensitivity",
    0x8832: "RecommendedExposureIndex",
    0x8833: "ISOSpeed",
    0x9003: "DateTimeOriginal",
    0x9004: "CreateDate",
    0x9209: "Flash",
    0x920A: "FocalLength",
}
TAG_NUMBERS = {name: number for number, name in (_IFD0_TAGS | _EXIF_IFD_TAGS).items()}
"""The allow-list: every tag that is read, by its name in ExifTool and Flickr. Adding a tag is a decision about privacy:
nothing that could name a person, a place or a single camera."""

ALLOWED = (*TAG_NUMBERS,)
"""Names of the allow-listed tags."""

_EXIF_POINTER = 0x8769
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFF = (b"II+\0", b"MM\0+")
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")


def read_allowed(data: bytes) -> dict[str, str]:
    """The allow-listed Exif values of a photo by tag name, as strings; empty if the photo has no Exif.

    Rationals stay as written ("10/600"), several numbers are joined by blanks, strings end at their first NUL.

    Raises:
        PhotoError: another format, a broken header, or a limit exceeded.
    """
    block = find_block(data)
    return {} if block is None else read_block(block)


def find_block(data: bytes) -> bytes | None:
    """The Exif of a photo as a TIFF structure (header first), or ``None``. Raises ``PhotoError``."""
    if not data:
        raise PhotoError("the file is empty")
    if data[:2] == b"\xff\xd8":
        block = _in_jpeg(data)
    elif data[:4] in _TIFF_ORDERS:
        return data  # the whole file is the structure, and each directory has a limit
    elif data[:4] in _BIG_TIFF:
        raise PhotoError("BigTIFF is not read")
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        block = next((body for kind, body in _png_chunks(data) if kind == b"eXIf"), None)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        block = next((body for kind, body in _riff_chunks(data) if kind == b"EXIF"), None)
    elif data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        block = _in_heif(data)
    else:
        raise PhotoError("not a JPEG, TIFF, HEIC, AVIF, PNG or WebP file")
    if block is None:
        return None
    if len(block) > MAX_EXIF_BYTES:
        raise PhotoError(f"an Exif block of {len(block)} bytes, more than the {MAX_EXIF_BYTES} that are read")
    return block[6:] if block[:5] == b"Exif\0" else block


def read_block(block: bytes) -> dict[str, str]:
    """The allow-listed values of a TIFF structure. Raises ``PhotoError``.

    Exposure may be in the first directory, as in TIFF/EP (ISO 12234-2); values of the Exif directory take precedence.
    """
    if len(block) < 8 or block[:4] not in _TIFF_ORDERS:
        raise PhotoError("the Exif block does not start with a TIFF header")
    order = _TIFF_ORDERS[block[:4]]
    blanked = bytearray(block)
    top = struct.unpack_from(order + "I", block, 4)[0]
    pointer = _blank(blanked, order, top, {*_IFD0_TAGS, *_EXIF_IFD_TAGS}, "top")
    values = _directory_values(blanked, top, _IFD0_TAGS | _EXIF_IFD_TAGS)
    if pointer is not None:
        _blank(blanked, order, pointer, {*_EXIF_IFD_TAGS}, "Exif")
        values |= _directory_values(blanked, pointer, _EXIF_IFD_TAGS)
    return values


def _blank(block: bytearray, order: str, offset: int, allowed: set[int], name: str) -> int | None:
    """Set the type of other entries than ``allowed`` to 0, which Pillow skips. Returns the Exif directory's offset."""
    if offset < 8 or offset + 2 > len(block):
        raise PhotoError(f"the {name} Exif directory lies outside the block")
    count = struct.unpack_from(order + "H", block, offset)[0]
    if count > MAX_ENTRIES:
        raise PhotoError(f"the {name} Exif directory claims {count} entries, more than the {MAX_ENTRIES} that are read")
    pointer = None
    seen: set[int] = set()
    for at in range(offset + 2, min(offset + 2 + 12 * count, len(block) - 11), 12):
        tag, kind, length = struct.unpack_from(order + "HHI", block, at)
        if tag == _EXIF_POINTER and kind in (4, 13) and length == 1 and pointer is None:
            pointer = struct.unpack_from(order + "I", block, at + 8)[0]
        short = _TYPE_BYTES.get(kind, math.inf) * length <= MAX_VALUE_BYTES
        if tag in allowed and tag not in seen and short:
            seen.add(tag)
        else:
            struct.pack_into(order + "H", block, at + 2, 0)
    return pointer


def _directory_values(block: bytearray, offset: int, names: dict[int, str]) -> dict[str, str]:
    directory = ImageFileDirectory_v2(bytes(block[:8]))
    values: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO(block)
        stream.seek(offset)
        try:
            directory.load(stream)
        except Exception as error:  # a hostile directory makes Pillow raise anything
            raise PhotoError(f"an Exif directory cannot be read ({describe_error(error)})") from None
        for tag, name in names.items():
            try:
                text = _text(directory[tag]) if tag in directory else ""
            except Exception:  # an unreadable value counts as absent
                continue
            if text:
                values[name] = text
    return values


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_text(part) for part in value[:8])
    if isinstance(value, IFDRational):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        return str(value)
    text = value.partition("\0")[0]
    with contextlib.suppress(UnicodeError):
        text = text.encode("latin-1").decode("utf-8")  # Pillow reads Latin-1; phones write UTF-8
    return "".join(c for c in text[:MAX_CHARACTERS] if c.isprintable())


def _in_jpeg(data: bytes) -> bytes | None:
    """The payload of the Exif segments before the first scan; a long block continues in the next segment."""
    block: bytes | None = None
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            if block is not None:
                break
            raise PhotoError(f"no JPEG marker at byte {at}, before any Exif")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (0xD9, 0xDA):
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a payload
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        payload = data[at + 4 : at + 2 + length]
        if marker == 0xE1 and payload[:5] == b"Exif\0":
            if block is None:
                block = payload
            elif payload[6:10] not in _TIFF_ORDERS and len(block) <= MAX_EXIF_BYTES:
                block += payload[6:]
        at += 2 + max(length, 2)
    return block


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        at += 12 + length


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _in_heif(data: bytes) -> bytes | None:
    try:
        package = heif_package()
    except ImportError:
        raise PhotoError(missing_package("pi_heif", "a HEIC photo")) from None
    try:
        return package.open_heif(data).info.get("exif")
    except Exception as error:
        raise PhotoError(f"the HEIC container cannot be read ({describe_error(error)})") from None
