"""The header reader against Pillow, which decodes the same tables by libjpeg."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.pixels.jpeg_header import read_jpeg_header
from builders.pixels.jpeg_quality import scaled_tables


def jpeg(mode="RGB", size=(37, 23), **options):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("quality", range(1, 101))
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


def test_read_jpeg_header__makers_own_tables_have_no_quality():
    luminance, chrominance = scaled_tables(80)
    assert read_jpeg_header(jpeg(qtables=[list(luminance), list(scaled_tables(81)[1])])).quality is None
    assert read_jpeg_header(jpeg(qtables=[[value + 1 for value in luminance], list(chrominance)])).quality is None
    assert read_jpeg_header(jpeg(qtables=[list(luminance), list(chrominance)])).quality == 80


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
