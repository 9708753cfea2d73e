"""What the first bytes of an image file say about the program that wrote it, for every format that people have.

Nothing is decoded and nothing raises: a file that cannot be understood has the format ``unknown``. JPEG by ITU-T T.81,
PNG by its specification (third edition), WebP by RFC 9649, GIF89a, HEIC and AVIF by ISO/IEC 23008-12.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache

from builders.pixels.jpeg_header import StructureOfJpeg, nearest_quality, quality_of, read_structure, subsampling_name

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


def read_image_header(data: bytes) -> ImageHeader:
    """Read the header of an image file from its first bytes. Never raises.

    >>> import io
    >>> from PIL import Image
    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (40, 30)).save(buffer, "JPEG", quality=85, subsampling="4:2:0")
    >>> header = read_image_header(buffer.getvalue())
    >>> header.format, header.quality, header.subsampling, header.huffman, header.order
    ('JPEG', '85', '4:2:0', 'standard', 'SOI APP0 DQT SOF0 DHT')
    """
    try:
        return _reader(data)(data)
    except (IndexError, KeyError, ValueError, struct.error):
        return ImageHeader("unknown", complete=False)


def _reader(data: bytes) -> Callable[[bytes], ImageHeader]:
    if data[:3] == b"\xff\xd8\xff":
        return _jpeg
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif
    if data[4:8] == b"ftyp":
        return _heif
    return _other


def _jpeg(data: bytes) -> ImageHeader:
    found = read_structure(data)
    kinds = {name for marker, payload in found.segments if (name := _jpeg_metadata(marker, payload))}
    exif = next((p for m, p in found.segments if m == 0xE1 and p[:5] == b"Exif\0"), b"")
    icc = next((p for m, p in found.segments if m == 0xE2 and p[:12] == b"ICC_PROFILE\0"), None)
    comment = next((p for m, p in found.segments if m == 0xFE), b"")
    names = [_marker_name(marker) for marker in dict.fromkeys(found.markers)]
    header = ImageHeader(
        "JPEG",
        order=" ".join(["SOI", *names[:MAX_PARTS]]),
        metadata=", ".join(sorted(kinds)) or NONE,
        icc=NONE if icc is None else icc_name(icc[14:]),
        comment=printable(comment),
        thumbnail=b"\xff\xd8\xff" in exif,
        complete=found.complete,
    )
    frame = found.frame
    if frame is None:
        return header
    tables = tuple(found.tables.get(table, b"") for _, _, table in frame.components)
    name, quality, nearest = _tables(tables)
    return _with(
        header,
        width=frame.width,
        height=frame.height,
        channels=f"{len(frame.components)} x {frame.precision} bit",
        coding=_CODINGS.get(frame.marker, "other"),
        tables=name,
        quality=quality,
        nearest_quality=nearest,
        subsampling=subsampling_name(tuple((h, v) for h, v, _ in frame.components)),
        huffman="arithmetic" if frame.marker >= 0xC9 else _huffman(found),
        restart=found.restart,
    )


_CODINGS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless", 0xC9: "extended"}
_CODINGS |= {0xCA: "progressive", 0xCB: "lossless"}
_MARKERS = {0xC4: "DHT", 0xDB: "DQT", 0xDD: "DRI", 0xFE: "COM", 0xCC: "DAC"}


def _with(header: ImageHeader, **changes: object) -> ImageHeader:
    """``dataclasses.replace`` for a header that nobody else holds: a quarter of the time, and a million times."""
    for name, value in changes.items():
        object.__setattr__(header, name, value)
    return header


def _marker_name(marker: int) -> str:
    if marker in _MARKERS:
        return _MARKERS[marker]
    if 0xE0 <= marker <= 0xEF:
        return f"APP{marker - 0xE0}"
    return f"SOF{marker - 0xC0}" if 0xC0 <= marker <= 0xCF else f"{marker:02X}"


_SIGNATURES = (
    (0xE0, b"JFIF\0", "JFIF"),
    (0xE0, b"JFXX\0", "JFXX"),
    (0xE1, b"Exif\0", "Exif"),
    (0xE1, b"http://ns.adobe.com/", "XMP"),
    (0xE2, b"ICC_PROFILE\0", "ICC"),
    (0xE2, b"MPF\0", "MPF"),
    (0xEB, b"JP", "C2PA or JUMBF"),
    (0xED, b"Photoshop 3.0\0", "Photoshop"),
    (0xEE, b"Adobe", "Adobe"),
)


def _jpeg_metadata(marker: int, payload: bytes) -> str:
    for wanted, start, name in _SIGNATURES:
        if marker == wanted and payload[: len(start)] == start:
            return name
    return "comment" if marker == 0xFE else f"APP{marker - 0xE0}" if 0xE0 <= marker <= 0xEF else ""


@lru_cache(maxsize=4096)
def _tables(tables: tuple[bytes, ...]) -> tuple[str, str, int]:
    """(fingerprint, quality as a text, nearest quality) of the tables of all components, in zigzag order."""
    name = hashlib.blake2b(b"\0".join(tables), digest_size=4).hexdigest()
    if not tables or not tables[0]:
        return NONE, NONE, 0
    quality = quality_of(tables)
    return name, "own tables" if quality is None else str(quality), nearest_quality(tables[0])


def _huffman(found: StructureOfJpeg) -> str:
    return "standard" if found.huffman and found.huffman <= _standard_huffman() else "optimised"


@cache
def _standard_huffman() -> frozenset[bytes]:
    """Counts of code lengths of the tables K.3 to K.6 of T.81, with their class and number: what every file has whose
    encoder did not look at the picture's own statistics."""
    counts = {
        0x00: "00010501010101010100000000000000",
        0x01: "00030101010101010101010000000000",
        0x10: "0002010303020403050504040000017d",
        0x11: "00020102040403040705040400010277",
    }
    return frozenset(bytes([kind]) + bytes.fromhex(text) for kind, text in counts.items())


def _png(data: bytes) -> ImageHeader:
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, 16)
    if data[12:16] != b"IHDR":
        return ImageHeader("unknown")
    names: list[str] = []
    kinds: set[str] = set()
    icc, comment, complete, at = NONE, NONE, False, 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + min(length, 4096)]
        if kind == b"IDAT":
            complete = True
            break
        name = kind.decode("latin-1") if kind.isalnum() else "????"
        names.append(name)
        if name in _PNG_METADATA:
            kinds.add(_PNG_METADATA[name])
        if kind == b"iCCP":
            icc = printable(body.partition(b"\0")[0])
        elif kind in (b"tEXt", b"iTXt", b"zTXt") and comment == NONE:
            key, _, text = body.partition(b"\0")
            comment = printable(key + b": " + text) if kind == b"tEXt" else printable(key)
        at += 12 + length
    types = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"}
    return ImageHeader(
        "PNG",
        width,
        height,
        f"{types.get(colour, 'other')} x {depth} bit",
        "interlaced" if interlaced else "lossless",
        order=" ".join(list(dict.fromkeys(names))[:MAX_PARTS]),
        metadata=", ".join(sorted(kinds)) or NONE,
        icc=icc,
        comment=comment,
        complete=complete,
    )


_PNG_METADATA = {"eXIf": "Exif", "iCCP": "ICC", "tEXt": "text", "iTXt": "text", "zTXt": "text", "sRGB": "sRGB"}
_PNG_METADATA |= {"gAMA": "gAMA", "pHYs": "pHYs", "tIME": "tIME", "caBX": "C2PA or JUMBF"}


def _webp(data: bytes) -> ImageHeader:
    names: list[str] = []
    kinds: set[str] = set()
    width = height = 0
    coding, channels, at = NONE, "RGB x 8 bit", 12
    while at + 8 <= len(data) and len(names) < MAX_PARTS:
        kind, length = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 18]
        names.append(printable(kind).strip())
        if kind == b"VP8X":
            width, height = (1 + int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
            flags = body[0]
            known = ((0x20, "ICC"), (0x08, "Exif"), (0x04, "XMP"), (0x02, "animation"))
            kinds |= {name for bit, name in known if flags & bit}
            channels = "RGBA x 8 bit" if flags & 0x10 else channels
        elif kind == b"VP8 ":
            coding = "lossy"
            if not width:
                width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", body, 6))
            break
        elif kind == b"VP8L":
            coding = "lossless"
            bits = int.from_bytes(body[1:5], "little")
            if not width:
                width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
            channels = "RGBA x 8 bit" if bits >> 28 & 1 else channels
            break
        at += 8 + length + length % 2
    return ImageHeader(
        "WebP", width, height, channels, coding, order=" ".join(names), metadata=", ".join(sorted(kinds)) or NONE
    )


def _gif(data: bytes) -> ImageHeader:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    return ImageHeader("GIF", width, height, f"palette x {1 + (flags & 7)} bit", "lossless", order=data[:6].decode())


def _heif(data: bytes) -> ImageHeader:
    brand = printable(data[8:12])
    kind = {"avif": "AVIF", "avis": "AVIF"}.get(brand, "HEIC" if brand[:3] in ("hei", "hev", "mif", "msf") else "")
    if not kind:
        return ImageHeader("unknown")
    sizes, at = [(0, 0)], data.find(b"ispe")
    while 0 <= at <= len(data) - 16 and len(sizes) < 256:
        sizes.append(struct.unpack_from(">II", data, at + 8))
        at = data.find(b"ispe", at + 4)
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    meta = data[:65536]
    kinds = [name for mark, name in ((b"Exif", "Exif"), (b"mime", "XMP"), (b"prof", "ICC")) if mark in meta]
    return ImageHeader(
        kind, width, height, "3 x 8 bit", "lossy", order=brand, metadata=", ".join(sorted(kinds)) or NONE
    )


def _other(data: bytes) -> ImageHeader:
    if data[:4] in (b"II*\0", b"MM\0*"):
        return ImageHeader("TIFF", order=data[:2].decode())
    if data[:2] == b"BM" and len(data) >= 26:
        width, height = struct.unpack_from("<ii", data, 18)
        return ImageHeader("BMP", abs(width), abs(height), coding="lossless")
    if data[:2] in (b"P5", b"P6") and data[2:3].isspace():
        parts = data[:64].split()
        return ImageHeader("PPM", int(parts[1]), int(parts[2]), coding="lossless")
    return ImageHeader("unknown")


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
