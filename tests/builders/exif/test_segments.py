"""The Exif block of JPEG files by hand: segments before it, blocks in two segments, where reading ends; texts."""

import pytest
from PIL.TiffImagePlugin import IFDRational

from builders.errors import PhotoError
from builders.exif.parser import MAX_EXIF_BYTES, _in_jpeg, _text, find_block

EXIF = b"Exif\0\0II*\0first"


def segment(marker, payload):
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


@pytest.mark.parametrize(
    ("segments", "block"),
    [
        (segment(0xE1, EXIF), EXIF),
        (segment(0xE0, b"JFIF\0") + segment(0xE1, EXIF), EXIF),
        (b"\xff" + segment(0xE1, EXIF), EXIF),  # a byte that fills
        (b"\xff\x01" + segment(0xE1, EXIF), EXIF),  # markers without a payload
        (b"\xff\xd0" + segment(0xE1, EXIF), EXIF),
        (b"\xff\xd7" + segment(0xE1, EXIF), EXIF),
        (segment(0xE1, EXIF) + segment(0xE1, b"Exif\0\0, goes on"), EXIF + b", goes on"),
        (segment(0xE1, EXIF) + segment(0xE1, b"Exif\0\0MM\0*again"), EXIF),  # a second block is another picture's
        (segment(0xE1, b"http://ns.adobe.com/"), None),
        (segment(0xD9, b"1") + segment(0xE1, EXIF), None),
        (segment(0xDA, b"1") + segment(0xE1, EXIF), None),
        (segment(0xE1, EXIF) + b"\0\0\0\0", EXIF),
        (b"", None),
        (b"\xff\xe0\0\0" + segment(0xE1, EXIF), EXIF),  # a length that cannot be is that of an empty segment
    ],
)
def test_in_jpeg__the_block_before_the_first_scan(segments, block):
    assert _in_jpeg(b"\xff\xd8" + segments) == block


def test_in_jpeg__what_is_no_marker_before_any_exif():
    with pytest.raises(PhotoError, match="no JPEG marker at byte 9, before any Exif"):
        _in_jpeg(b"\xff\xd8" + segment(0xE0, b"abc") + b"\0\0\0\0")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Canon\0rest", "Canon"),
        (b"Canon\0rest", "Canon"),
        ("caf\u00c3\u00a9", "caf\u00e9"),  # UTF-8 that was read as Latin-1
        (b"caf\xe9", "caf\u00e9"),
        ("a\x07b", "ab"),
        (IFDRational(1, 250), "1/250"),
        ((1, 2), "1 2"),
        (tuple(range(9)), "0 1 2 3 4 5 6 7"),
        (3, "3"),
    ],
)
def test_text__of_values_as_pillow_gives_them(value, text):
    assert _text(value) == text


@pytest.mark.parametrize(("size", "read"), [(MAX_EXIF_BYTES, True), (MAX_EXIF_BYTES + 1, False)])
def test_find_block__the_largest_block(size, read):
    body = b"MM\0*".ljust(size, b"\0")
    png = b"\x89PNG\r\n\x1a\n" + len(body).to_bytes(4, "big") + b"eXIf" + body
    if read:
        assert find_block(png) == body
    else:
        with pytest.raises(PhotoError, match="an Exif block of 4194305 bytes, more than the 4194304 that are read"):
            find_block(png)


def png_chunk(kind, body):
    return len(body).to_bytes(4, "big") + kind + body + b"crc!"


def riff_chunk(kind, body):
    return kind + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (3, 0), (4, 1), (3, 2)])
def test_find_block__of_chunks_between_others(before, after):
    """Bytes of chunks before and after the one with Exif; a chunk of WebP has an even length."""
    tiff = b"II*\0 the block"
    png = png_chunk(b"IHDR", bytes(before)) + png_chunk(b"eXIf", tiff) + png_chunk(b"IEND", bytes(after))
    assert find_block(b"\x89PNG\r\n\x1a\n" + png) == tiff
    webp = (
        riff_chunk(b"VP8X", bytes(before)) + riff_chunk(b"EXIF", b"Exif\0\0" + tiff) + riff_chunk(b"XMP ", bytes(after))
    )
    assert find_block(b"RIFF" + len(webp).to_bytes(4, "little") + b"WEBP" + webp) == tiff
    assert find_block(b"RIFF\0\0\0\0WEBP" + riff_chunk(b"VP8X", bytes(before))) is None
    with pytest.raises(PhotoError, match="not a JPEG, TIFF"):
        find_block(b"RIFF\0\0\0\0WAVE" + webp)
