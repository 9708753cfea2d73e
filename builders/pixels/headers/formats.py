"""Headers of image files of common formats, which show the program that wrote a file.

Nothing is decoded and nothing raises: a file that cannot be read has the format ``unknown``. PNG by its
specification (third edition), WebP by RFC 9649, GIF89a, HEIC and AVIF by ISO/IEC 23008-12.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from builders.pixels.headers.fields import MAX_PARTS, NONE, ImageHeader, printable
from builders.pixels.headers.jpeg import jpeg_image_header


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
        return jpeg_image_header
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return _png
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return _gif
    if data[4:8] == b"ftyp":
        return _heif
    return _other


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
