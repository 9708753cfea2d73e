"""The Exif block of JPEG files by hand: segments before it, blocks in two segments, where reading ends; texts."""

import pytest

from builders.errors import PhotoError
from builders.exif.parser import MAX_EXIF_BYTES, find_block


@pytest.mark.parametrize(("size", "read"), [(MAX_EXIF_BYTES, True), (MAX_EXIF_BYTES + 1, False)])
def test_find_block__the_largest_block(size, read):
    body = b"MM\0*".ljust(size, b"\0")
    png = b"\x89PNG\r\n\x1a\n" + len(body).to_bytes(4, "big") + b"eXIf" + body
    if read:
        assert find_block(png) == body
    else:
        with pytest.raises(PhotoError, match="4194305"):
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
