"""Fields of headers, by files made by hand, chunk by chunk and marker by marker, from the specifications."""

import struct

import pytest

from builders.pixels import ImageHeader, read_image_header
from builders.pixels.headers.fields import NONE
from tests.builders.pixels.headers.test_jpeg import END, SCAN, START, TABLE, frame, segment

UNKNOWN = ImageHeader("unknown")

# JPEG: ITU-T T.81, annexes B and K


def header_of(*segments: bytes) -> ImageHeader:
    return read_image_header(START + b"".join(segments) + SCAN)


def counts(kind: int, text: str) -> bytes:
    """A Huffman table: its class and number, the counts of code lengths, and symbols that do not matter."""
    lengths = bytes.fromhex(text)
    return bytes((kind,)) + lengths + bytes(sum(lengths))


STANDARD = {
    0x00: "00010501010101010100000000000000",
    0x01: "00030101010101010101010000000000",
    0x10: "0002010303020403050504040000017d",
    0x11: "00020102040403040705040400010277",
}
"""Tables K.3 to K.6."""


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        (0xBF, "BF"),
        (0xC4, "DHT"),
        (0xCC, "DAC"),
        (0xCF, "SOF15"),
        (0xDC, "DC"),
        (0xDD, "DRI"),
        (0xDF, "DF"),
        (0xE0, "APP0"),
        (0xEF, "APP15"),
        (0xF0, "F0"),
        (0xFE, "COM"),
    ],
)
def test_jpeg__order_names_each_marker_once(marker, name):
    assert header_of(segment(marker, b"xy"), TABLE, segment(marker, b"xy"), frame()).order == f"SOI {name} DQT SOF0"


@pytest.mark.parametrize(
    ("marker", "payload", "name"),
    [
        (0xE0, b"JFIF\0\1\2", "JFIF"),
        (0xE0, b"JFXX\0", "JFXX"),
        (0xE0, b"JFIF", "APP0"),
        (0xE1, b"Exif\0\0", "Exif"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0", "XMP"),
        (0xE1, b"JFIF\0", "APP1"),
        (0xE2, b"ICC_PROFILE\0\1\1", "ICC"),
        (0xE2, b"MPF\0", "MPF"),
        (0xEB, b"JP\0\1", "C2PA or JUMBF"),
        (0xED, b"Photoshop 3.0\0", "Photoshop"),
        (0xEE, b"Adobe\0d", "Adobe"),
        (0xEF, b"x", "APP15"),
        (0xFE, b"x", "comment"),
        (0xF0, b"JFIF\0", NONE),
    ],
)
def test_jpeg__metadata_by_marker_and_signature(marker, payload, name):
    assert header_of(segment(marker, payload)).metadata == name


@pytest.mark.parametrize(
    ("marker", "coding", "huffman"),
    [
        (0xC0, "baseline", "optimised"),
        (0xC1, "extended", "optimised"),
        (0xC2, "progressive", "optimised"),
        (0xC3, "lossless", "optimised"),
        (0xC5, "other", "optimised"),
        (0xC7, "other", "optimised"),
        (0xC9, "extended", "arithmetic"),
        (0xCA, "progressive", "arithmetic"),
        (0xCB, "lossless", "arithmetic"),
        (0xCF, "other", "arithmetic"),
    ],
)
def test_jpeg__coding_by_the_start_of_frame(marker, coding, huffman):
    header = header_of(TABLE, frame(marker, components=((0x21, 0), (0x11, 0), (0x11, 0))))
    assert (header.coding, header.huffman) == (coding, huffman)
    assert (header.width, header.height, header.channels, header.subsampling) == (5, 3, "3 x 8 bit", "4:2:2")


@pytest.mark.parametrize(
    ("tables", "name"),
    [
        ({}, "optimised"),
        ({0x00: STANDARD[0x00]}, "standard"),
        (STANDARD, "standard"),
        ({0x00: STANDARD[0x01]}, "optimised"),
        ({**STANDARD, 0x02: STANDARD[0x00]}, "optimised"),
        ({0x10: STANDARD[0x10][:-1] + "c"}, "optimised"),
    ],
)
def test_jpeg__huffman_tables_are_standard_or_optimised(tables, name):
    assert header_of(TABLE, frame(), segment(0xC4, b"".join(counts(*t) for t in tables.items()))).huffman == name


def test_jpeg__without_a_frame_only_the_segments_are_known():
    cut = read_image_header(START + segment(0xFE, b"made by x"))
    assert cut == ImageHeader("JPEG", order="SOI COM", metadata="comment", comment="made by x", complete=False)
    assert header_of(segment(0xFE, b"made by x")).complete


def test_jpeg__thumbnail_is_a_jpeg_file_inside_exif():
    small = START + b"\xff"
    assert header_of(segment(0xE1, b"Exif\0\0" + small)).thumbnail
    assert not header_of(segment(0xE1, b"Exif\0\0" + END), segment(0xE2, small)).thumbnail
    assert not header_of(segment(0xE1, b"http" + small)).thumbnail


# ICC.1:2022: a count of tags at 128, then 12 bytes for each (signature, offset, size)


def profile(*tags: tuple[bytes, bytes], count: int | None = None) -> bytes:
    begin = 132 + 12 * len(tags)
    entries, bodies = b"", b""
    for name, body in tags:
        entries += struct.pack(">4sII", name, begin + len(bodies), len(body))
        bodies += body
    return bytes(128) + struct.pack(">I", len(tags) if count is None else count) + entries + bodies


def text(name: str) -> bytes:
    """``desc`` of version 2."""
    return b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + b"\0and more"


def test_jpeg_and_png__name_their_profile():
    made = profile((b"desc", text("Display P3")))
    assert header_of(segment(0xE2, b"ICC_PROFILE\0\1\1" + made)).icc == "Display P3"
    assert png(chunk(b"iCCP", b"Display P3\0\0" + b"packed")).icc == "Display P3"


# PNG, third edition


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + b"crc."


def png(*chunks: bytes, colour: int = 2, depth: int = 8, interlaced: int = 0, first: bytes = b"IHDR") -> ImageHeader:
    begin = b"\x89PNG\r\n\x1a\n" + chunk(first, struct.pack(">IIBBBBB", 50, 40, depth, colour, 0, 0, interlaced))
    return read_image_header(begin + b"".join(chunks) + chunk(b"IDAT", b"pixels") + chunk(b"tIME"))


@pytest.mark.parametrize(
    ("colour", "name"), [(0, "grey"), (2, "RGB"), (3, "palette"), (4, "grey and alpha"), (6, "RGBA"), (5, "other")]
)
def test_png__colour_types(colour, name):
    assert png(colour=colour, depth=16).channels == f"{name} x 16 bit"


def test_png__fields():
    plain = ImageHeader("PNG", 50, 40, "RGB x 8 bit", "lossless", order="IHDR")
    assert png() == plain
    assert png(interlaced=1).coding == "interlaced"
    assert png(first=b"IHDX") == UNKNOWN
    assert png(chunk(b"pHYs"), chunk(b"a-b "), chunk(b"pHYs")).order == "IHDR pHYs ????"
    assert png(*(chunk(f"x{i:03}".encode()) for i in range(60))).order.split()[-1] == "x038"
    cut = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50, 40, 8, 2, 0, 0, 0)) + chunk(b"gAMA")
    assert not read_image_header(cut).complete
    assert read_image_header(cut + struct.pack(">I4s", 9, b"IDAT")).complete  # eight bytes name a chunk
    assert not read_image_header(cut + struct.pack(">I4s", 9, b"IDAT")[:-1]).complete


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (b"eXIf", "Exif"),
        (b"iCCP", "ICC"),
        (b"tEXt", "text"),
        (b"iTXt", "text"),
        (b"zTXt", "text"),
        (b"sRGB", "sRGB"),
        (b"gAMA", "gAMA"),
        (b"pHYs", "pHYs"),
        (b"tIME", "tIME"),
        (b"caBX", "C2PA or JUMBF"),
        (b"PLTE", NONE),
    ],
)
def test_png__metadata_by_chunk(kind, name):
    assert png(chunk(kind, b"x")).metadata == name


# WebP: RFC 9649


def webp(*chunks: tuple[bytes, bytes]) -> ImageHeader:
    body = b"".join(kind + struct.pack("<I", len(b)) + b + bytes(len(b) % 2) for kind, b in chunks)
    return read_image_header(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)


def lossy(width: int, height: int) -> tuple[bytes, bytes]:
    return b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"rest"


def lossless(width: int, height: int, alpha: bool = False) -> tuple[bytes, bytes]:
    return b"VP8L", b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14 | alpha << 28) + b"rest of it"


def extended(flags: int, width: int = 300, height: int = 70000) -> tuple[bytes, bytes]:
    return b"VP8X", bytes((flags, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


def test_webp__codings_and_sizes():
    assert webp(lossy(40, 30)) == ImageHeader("WebP", 40, 30, "RGB x 8 bit", "lossy", order="VP8")
    assert webp(lossy(40 | 0xC000, 30 | 0x4000)).width == 40  # two bits are a scale
    assert webp(lossy(0x3FFF, 0x3FFF)).height == 16383
    assert webp(lossless(16384, 9)) == ImageHeader("WebP", 16384, 9, "RGB x 8 bit", "lossless", order="VP8L")
    assert webp(lossless(40, 16384, alpha=True)).channels == "RGBA x 8 bit"
    assert webp(lossless(40, 16384, alpha=True)).height == 16384
    # the canvas of an extended file counts, odd chunks are padded, and nothing behind the pixels is read
    for pixels, coding in ((lossy(40, 30), "lossy"), (lossless(40, 30), "lossless")):
        header = webp(extended(0), (b"ICCP", b"odd"), pixels, (b"EXIF", b"xy"))
        kind = pixels[0].decode().strip()
        assert header == ImageHeader("WebP", 300, 70000, "RGB x 8 bit", coding, order=f"VP8X ICCP {kind}")
    assert webp((b"ALPH", b"")) == ImageHeader("WebP", 0, 0, "RGB x 8 bit", NONE, order="ALPH")
    assert len(webp(*[(b"XMP ", b"")] * 60).order.split()) == 40


@pytest.mark.parametrize(
    ("flags", "metadata", "channels"),
    [
        (0, NONE, "RGB x 8 bit"),
        (0x20, "ICC", "RGB x 8 bit"),
        (0x10, NONE, "RGBA x 8 bit"),
        (0x08, "Exif", "RGB x 8 bit"),
        (0x04, "XMP", "RGB x 8 bit"),
        (0x02, "animation", "RGB x 8 bit"),
        (0xFF, "Exif, ICC, XMP, animation", "RGBA x 8 bit"),
        (0xC1, NONE, "RGB x 8 bit"),
    ],
)
def test_webp__flags(flags, metadata, channels):
    header = webp(extended(flags), lossy(4, 3))
    assert (header.metadata, header.channels) == (metadata, channels)


# the others


def heif(brand: bytes, *sizes: tuple[int, int], more: bytes = b"") -> bytes:
    boxes = b"".join(b"\0\0\0\x14ispe\0\0\0\0" + struct.pack(">II", *size) for size in sizes)
    return b"\0\0\0\x18ftyp" + brand + more + boxes


@pytest.mark.parametrize(
    ("brand", "format"),
    [(b"avif", "AVIF"), (b"avis", "AVIF"), (b"heic", "HEIC"), (b"hevc", "HEIC"), (b"mif1", "HEIC"), (b"msf1", "HEIC")],
)
def test_heif__format_by_brand(brand, format):
    header = read_image_header(heif(brand, (512, 512), (4000, 3000), (160, 120)))
    assert header == ImageHeader(format, 4000, 3000, "3 x 8 bit", "lossy", order=brand.decode())


def test_heif__fields():
    assert read_image_header(heif(b"mp42", (4, 3))) == UNKNOWN
    assert read_image_header(heif(b"heic")).width == 0
    assert read_image_header(heif(b"heic", (4, 3))[:-1]).width == 0  # cut
    assert read_image_header(heif(b"heic", (4, 3), more=b"prof mime Exif")).metadata == "Exif, ICC, XMP"
    assert read_image_header(heif(b"heic", (4, 3)) + bytes(65536) + b"Exif").metadata == NONE  # not in the header
    assert read_image_header(heif(b"heic", *[(1, 1)] * 255, (9, 9))).width == 1  # sizes of 255 pictures are read
    assert read_image_header(heif(b"heic", *[(1, 1)] * 254, (9, 9))).width == 9


@pytest.mark.parametrize("depth", range(1, 9))
@pytest.mark.parametrize("version", [b"GIF87a", b"GIF89a"])
def test_gif(version, depth):
    header = read_image_header(version + struct.pack("<HHB", 500, 400, 0xF0 | depth - 1) + b"rest")
    assert header == ImageHeader("GIF", 500, 400, f"palette x {depth} bit", "lossless", order=version.decode())


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (b"II*\0rest", ImageHeader("TIFF", order="II")),
        (b"MM\0*rest", ImageHeader("TIFF", order="MM")),
        (b"MM*\0rest", UNKNOWN),
        (b"BM" + bytes(16) + struct.pack("<ii", 50, -40), ImageHeader("BMP", 50, 40, coding="lossless")),
        (b"BM" + bytes(16) + struct.pack("<ii", 50, -40)[:-1], UNKNOWN),
        (b"P6\n50 40\n255\n", ImageHeader("PPM", 50, 40, coding="lossless")),
        (b"P5 7 8 255 ", ImageHeader("PPM", 7, 8, coding="lossless")),
        (b"P4 7 8 ", UNKNOWN),
        (b"P6x 7 8 ", UNKNOWN),
        (b"P6 seven", ImageHeader("unknown", complete=False)),
        (b"P6 7", ImageHeader("unknown", complete=False)),
        (b"GIF89a\0", ImageHeader("unknown", complete=False)),
        (b"\x89PNG\r\n\x1a\n", ImageHeader("unknown", complete=False)),
        (b"RIFF\0\0\0\0WAVE", UNKNOWN),
        (b"", UNKNOWN),
    ],
)
def test_other_files(data, header):
    assert read_image_header(data) == header
