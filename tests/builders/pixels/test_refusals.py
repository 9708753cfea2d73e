"""Edges of decoding: modes of pictures, files that cost too much, and containers that are tried in another process."""

import io

import numpy as np
import pytest
from PIL import Image

from builders.errors import PhotoError
from builders.pixels import decode_rgb
from builders.pixels.decode import as_rgb
from tests.support.images import image_bytes

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "YCbCr", "HSV", "P"])
def test_as_rgb__as_pillow_converts(mode):
    image = Image.fromarray(PIXELS, mode) if mode in ("HSV", "YCbCr") else PICTURE.convert(mode)
    np.testing.assert_array_equal(np.asarray(as_rgb(image)), np.asarray(image.convert("RGB")))


def test_as_rgb__rgb_is_itself_unless_one_of_its_colours_is_transparent():
    assert as_rgb(PICTURE) is PICTURE
    seen = PICTURE.copy()
    seen.info["transparency"] = tuple(int(v) for v in PIXELS[2, 3])
    made = np.asarray(as_rgb(seen))
    assert made[2, 3].tolist() == [255, 255, 255]
    assert (made != PIXELS).any(axis=2).sum() == 1
    half = Image.new("RGBA", (1, 1), (100, 0, 200, 51))
    assert as_rgb(half).getpixel((0, 0)) == (224, 204, 244)  # a fifth of it and four fifths of white


@pytest.mark.parametrize(
    ("values", "bytes_of"),
    [
        ([0, 128, 129, 65535], [0, 0, 1, 255]),  # halves of 257 values a level: 128 is just under one
        ([385, 386, 65406, 65407], [1, 2, 254, 255]),
        ([-1, 0, 0, 0], None),
        ([0, 0, 0, 65536], None),
    ],
)
def test_as_rgb__greys_of_32_bits_are_scaled_or_refused(values, bytes_of):
    image = Image.fromarray(np.array([values], np.int32))
    assert image.mode == "I"
    if bytes_of is None:
        with pytest.raises(PhotoError, match=r"0\.\.65535"):
            as_rgb(image)
    else:
        assert np.asarray(as_rgb(image))[0].tolist() == [[v] * 3 for v in bytes_of]


def test_decode_rgb__broken_exif_is_upright():
    data = image_bytes(PICTURE, "JPEG", exif=b"Exif\0\0no block at all", quality=95)
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("size", [(2, 2), (2, 9), (1, 9), (9, 1)])
def test_decode_rgb__sides_of_two_pixels_at_least(size):
    data = image_bytes(Image.new("RGB", size))
    if min(size) < 2:
        with pytest.raises(PhotoError, match=f"{size[0]}"):
            decode_rgb(data)
    else:
        assert decode_rgb(data).size == size
