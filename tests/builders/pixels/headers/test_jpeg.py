"""The header reader against Pillow, which decodes the same tables by libjpeg."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.pixels import read_jpeg_header, scaled_tables
from builders.pixels.headers.jpeg import JpegHeader, read_structure
from builders.pixels.headers.jpeg_quality import quality_of
from tests.support.images import image_bytes


def jpeg(mode="RGB", size=(37, 23), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return image_bytes(Image.fromarray(pixels).convert(mode), "JPEG", **options)


@pytest.mark.parametrize("quality", [1, 2, 24, 25, 49, 50, 51, 75, 90, 99, 100])
def test_read_jpeg_header__quality_and_tables_are_pillows(quality):
    data = jpeg(quality=quality)
    header = read_jpeg_header(data)
    assert header.quality == quality
    quantization = Image.open(io.BytesIO(data)).quantization
    assert header.tables == (tuple(quantization[0]), tuple(quantization[1]), tuple(quantization[1]))
    assert header.tables[:2] == scaled_tables(quality)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_read_jpeg_header__subsampling_size_and_scans(subsampling, progressive):
    header = read_jpeg_header(jpeg(subsampling=subsampling, progressive=progressive))
    assert (header.subsampling, header.width, header.height, header.progressive) == (subsampling, 37, 23, progressive)


def test_read_jpeg_header__grey_and_cmyk():
    assert read_jpeg_header(jpeg("L", quality=70)).subsampling == "grey"
    assert read_jpeg_header(jpeg("L", quality=70)).quality == 70
    assert read_jpeg_header(jpeg("CMYK")).subsampling == "4:4:4"


def test_read_jpeg_header__other_tables_have_no_quality():
    luminance, chrominance = scaled_tables(80)
    assert read_jpeg_header(jpeg(qtables=[list(luminance), list(scaled_tables(81)[1])])).quality is None
    assert read_jpeg_header(jpeg(qtables=[[value + 1 for value in luminance], list(chrominance)])).quality is None
    assert read_jpeg_header(jpeg(qtables=[list(luminance), list(chrominance)])).quality == 80


@pytest.mark.parametrize(
    ("tables", "quality"),
    [
        ("l", 80), ("c", None), ("o", None), ("lc", 80), ("ll", 80), ("lo", None), ("cl", None),
        ("lcc", 80), ("lll", 80), ("llc", 80), ("lcl", 80), ("lco", None), ("loc", None), ("occ", None), ("loo", None),
        ("lccl", 80), ("llll", 80), ("lcco", 80), ("lcoc", None),  # the fourth of CMYK is that of black
    ],
)  # fmt: skip
def test_quality__of_the_tables_of_every_colour(tables, quality):
    """l: libjpeg's luminance table of quality 80, c: its chrominance table, o: another, here of quality 81."""
    natural = {"l": scaled_tables(80)[0], "c": scaled_tables(80)[1], "o": scaled_tables(81)[1]}
    made = tuple(natural[name] for name in tables)
    assert JpegHeader(8, 8, ((1, 1),) * len(tables), made, False).quality == quality
    in_file = tuple(bytes(table[8 * row + column] for row, column in zigzag(8)) for table in made)
    assert quality_of(in_file) == quality
    wide = b"".join(bytes((0, value)) for value in in_file[-1])
    assert quality_of((*in_file[:-1], wide)) is None  # of sixteen bits: libjpeg writes none
    assert quality_of(()) is None


def zigzag(side):
    """(row, column) along the anti-diagonals, as ITU T.81 draws them."""
    return sorted(np.ndindex(side, side), key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]))


def test_read_jpeg_header__sixteen_bit_tables():
    header = read_jpeg_header(jpeg(qtables=[[300 + i for i in range(64)], [1] * 64]))
    assert max(header.tables[0]) > 255
    assert header.quality is None


def test_read_jpeg_header__exif_before_the_tables_is_skipped():
    exif = Image.Exif()
    exif[0x010F] = "A maker with \xff\xdb in its name"
    assert read_jpeg_header(jpeg(quality=60, exif=exif)).quality == 60


def test_read_jpeg_header__truncated_after_the_header_still_reads():
    data = jpeg(quality=75)
    assert read_jpeg_header(data[: data.index(b"\xff\xda") + 4]).quality == 75


@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n" + b"0" * 50])
def test_read_jpeg_header__not_a_jpeg_file(data):
    assert read_jpeg_header(data) is None


@given(st.binary(max_size=200), st.integers(0, 700))
def test_read_jpeg_header__damaged_bytes_never_raise(junk, at):
    data = jpeg(size=(8, 8))
    read_jpeg_header(b"\xff\xd8" + junk)
    read_jpeg_header(data[:at])
    read_jpeg_header(data[:at] + junk + data[at + len(junk) :])


# Files made by hand, marker by marker (ITU-T T.81, annex B): what each bound of the reader decides.

START, END = b"\xff\xd8", b"\xff\xd9"


def segment(marker: int, payload: bytes = b"") -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def table(number: int = 0, first: int = 1) -> bytes:
    """A quantisation table of eight bits."""
    return bytes((number, first, *range(2, 65)))


def frame(marker: int = 0xC0, components=((0x11, 0),), width: int = 5, height: int = 3) -> bytes:
    parts = b"".join(bytes((i, factors, number)) for i, (factors, number) in enumerate(components))
    sides = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return segment(marker, bytes((8,)) + sides + bytes((len(components),)) + parts)


SCAN = segment(0xDA, b"rest")
TABLE = segment(0xDB, table())


@pytest.mark.parametrize(
    ("marker", "taken"),
    [(0xDF, False), (0xE0, True), (0xE7, True), (0xEF, True), (0xF0, False), (0xFD, False), (0xFE, True)],
)
def test_read_structure__has_application_segments_and_comments(marker, taken):
    result = read_structure(START + segment(marker, b"text") + SCAN)
    assert result.segments == ([(marker, b"text")] if taken else [])
    assert result.complete


def test_read_structure__tables_restart_and_huffman_counts():
    def counts(number: int, symbols: int) -> bytes:
        return bytes((number, symbols)) + bytes(15)

    wide = bytes((0x12,)) + bytes(range(128))
    huffman = counts(0, 2) + b"ab" + counts(0x11, 0)
    data = START + segment(0xDB, table(0) + wide + table(15, 9)) + segment(0xC4, huffman) + segment(0xC5, huffman)
    result = read_structure(data + segment(0xDD, b"\1\2") + SCAN)
    assert result.tables == {0: table(0)[1:], 2: wide[1:], 15: table(15, 9)[1:]}
    assert result.huffman == {counts(0, 2), counts(0x11, 0)}
    assert result.restart == 0x0102
    assert read_structure(START + segment(0xDD, b"\1") + SCAN).restart == 0
    assert read_structure(START + segment(0xDE, b"\1\2") + SCAN).restart == 0
    assert read_structure(START + segment(0xC4, counts(0, 0)[:-1]) + SCAN).huffman == set()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xd7" + TABLE + frame() + SCAN, "another beginning"),
        (START + b"\xfe" + TABLE[1:] + frame() + SCAN, "no marker"),
        (START + b"\xfe\0\2" + TABLE + frame() + SCAN, "no marker, though a length stands behind it"),
        (START + TABLE + frame() + END, "no scan"),
        (START + TABLE + frame() + END + b"\0\2" + SCAN, "no scan before the end"),
        (START + TABLE + SCAN, "no frame"),
        (START + frame() + SCAN, "no table"),
        (START + TABLE + frame(components=()) + SCAN, "no components"),
        (START + TABLE + frame(width=0) + SCAN, "no columns"),
        (START + TABLE + frame(components=((0x01, 0),)) + SCAN, "no horizontal samples"),
        (START + TABLE + frame(components=((0x10, 0),)) + SCAN, "no vertical samples"),
        (START + TABLE + frame() + b"\xff\xe1\0\1" + SCAN, "shorter than its own length"),
        (START + TABLE + frame() + b"\xff\xe1\xff\xff" + SCAN, "longer than the file"),
        (START + TABLE + frame(), "cut"),
    ],
)
def test_read_jpeg_header__damaged_is_none(data, why):
    assert read_jpeg_header(data) is None, why


def test_read_jpeg_header__odd_but_complete():
    assert read_jpeg_header(START + b"\xff\xff\xff" + TABLE[1:] + frame() + SCAN).width == 5  # fill bytes
    assert read_jpeg_header(START + segment(0xE1) + TABLE + frame() + SCAN).width == 5  # a segment of no bytes
    assert read_jpeg_header(START + TABLE + frame(height=0) + SCAN).height == 0  # a number of lines that comes later
    several = START + segment(0xDB, table(0) + table(15, 9)) + frame(components=((0x21, 15), (0x12, 0))) + SCAN
    header = read_jpeg_header(several)
    assert [values[0] for values in header.tables] == [9, 1]
    assert header.sampling == ((2, 1), (1, 2))
    # of sixteen bits: the high four of the number say so, any of them
    wide = bytes((0x10,)) + b"".join(value.to_bytes(2, "big") for value in range(300, 364))
    assert read_jpeg_header(START + segment(0xDB, wide) + frame() + SCAN).tables[0][0] == 300
