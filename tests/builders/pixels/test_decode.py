"""Decoding: conversion to RGB for every mode, and files that are refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from builders.errors import PhotoError
from builders.pixels.decode import MAX_PIXELS, decode_rgb
from tests.support.images import image_bytes


def as_bytes(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    return image_bytes(image, kind, **options)


def random_array(*shape: int, high: int = 256, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, shape).astype(dtype)


def test_decode_rgb__rgb_is_unchanged():
    pixels = random_array(5, 7, 3)
    np.testing.assert_array_equal(np.asarray(decode_rgb(as_bytes(Image.fromarray(pixels)))), pixels)


def test_decode_rgb__grey_is_repeated():
    grey = random_array(5, 7)
    decoded = np.asarray(decode_rgb(as_bytes(Image.fromarray(grey))))
    np.testing.assert_array_equal(decoded, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_decode_rgb__transparency_is_composited_over_white(mode):
    pixels = random_array(6, 5, len(mode))
    decoded = np.asarray(decode_rgb(as_bytes(Image.fromarray(pixels, mode))), dtype=float)
    alpha = pixels[..., -1:] / 255
    expected = pixels[..., :-1] * alpha + 255 * (1 - alpha)
    assert np.abs(decoded - expected).max() <= 1
    opaque = pixels.copy()
    opaque[..., -1] = 255
    exact = np.asarray(decode_rgb(as_bytes(Image.fromarray(opaque, mode))))
    np.testing.assert_array_equal(exact, np.broadcast_to(opaque[..., :-1], exact.shape))


def test_decode_rgb__palette_with_transparent_colour_is_white_there():
    image = Image.new("P", (4, 2), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 1), 1)
    decoded = decode_rgb(as_bytes(image, "PNG", transparency=1))
    assert decoded.getpixel((0, 0)) == (10, 20, 30)
    assert decoded.getpixel((1, 1)) == (255, 255, 255)


def test_decode_rgb__cmyk_jpeg_is_converted_as_pillow_does():
    image = Image.fromarray(random_array(16, 16, 4), "CMYK")
    data = as_bytes(image, "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.mode == "CMYK"
        expected = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), expected)


def test_decode_rgb__sixteen_bit_grey_is_scaled_not_clipped():
    values = np.array([[0, 256, 32768, 65535], [128, 129, 1, 300]], dtype=np.uint16)
    decoded = np.asarray(decode_rgb(as_bytes(Image.fromarray(values))))[..., 0]
    np.testing.assert_array_equal(decoded, np.floor(values.astype(float) * 255 / 65535 + 0.5).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_decode_rgb__exif_orientation_is_applied(orientation):
    stored = random_array(8, 16, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = as_bytes(Image.fromarray(stored), "PNG", exif=exif)
    turns = {  # what each orientation asks of the stored rows, by the Exif standard 2.32, section 4.6.4
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), turns[orientation])
    # as loaders of ImageNet do it: pixels as the file stores them
    np.testing.assert_array_equal(np.asarray(decode_rgb(data, upright=False)), turns[1])


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("orientation", [None, 1, 9])
def test_decode_rgb__a_photo_that_stands_upright_is_not_copied(upright, orientation, monkeypatch):
    """36 MB of a photo of 12 megapixels; the result has no reference to the file, which would stay in memory."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    data = as_bytes(Image.fromarray(random_array(40, 56, 3)), "JPEG", exif=exif)
    expected = np.asarray(Image.open(io.BytesIO(data))).copy()
    copies, copy = [], Image.Image.copy
    monkeypatch.setattr(Image.Image, "copy", lambda image: copies.append(image.size) or copy(image))
    result = decode_rgb(data, upright=upright)
    assert not copies
    assert type(result) is Image.Image
    np.testing.assert_array_equal(np.asarray(result), expected)


def test_decode_rgb__icc_profile_leaves_the_values_alone():
    pixels = random_array(5, 5, 3)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    data = as_bytes(Image.fromarray(pixels), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(np.asarray(decode_rgb(data)), pixels)


def test_decode_rgb__first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = as_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_rgb(data).getpixel((2, 2)) == (255, 0, 0)


def test_decode_rgb__heic():
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 40, 90))).save(buffer, quality=95)
    decoded = decode_rgb(buffer.getvalue())
    assert decoded.size == (64, 48)
    assert np.abs(np.asarray(decoded, dtype=int) - (200, 40, 90)).max() <= 4


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


FAULTS = {
    "empty": (b"", "empty"),
    "text": (b"this is not a picture", "not an image"),
    "truncated": (as_bytes(Image.fromarray(random_array(64, 64, 3)), "JPEG")[:1500], "cannot be decoded"),
    "bomb": (png_claiming(60_000, 60_000), str(MAX_PIXELS)),
    "large": (png_claiming(14_000, 13_000), str(MAX_PIXELS)),
    "no pixels": (png_claiming(0, 5), "."),
    "one pixel wide": (as_bytes(Image.new("RGB", (1, 9))), "under 2"),
    "floating point": (as_bytes(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF"), "floating-point"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_decode_rgb__refuses_with_one_sentence(fault):
    data, reason = FAULTS[fault]
    with pytest.raises(PhotoError, match=reason) as caught:
        decode_rgb(data)
    assert "\n" not in str(caught.value)


def test_decode_rgb__has_a_limit_of_its_own_where_pillow_has_none(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(PhotoError, match=f"more than {MAX_PIXELS} pixels"):
        decode_rgb(png_claiming(14_000, 13_000))
    monkeypatch.setattr("builders.pixels.decode.MAX_PIXELS", 12)
    assert decode_rgb(as_bytes(Image.new("RGB", (4, 3)))).size == (4, 3)
    with pytest.raises(PhotoError, match="13 x 2 is more than 12 pixels"):
        decode_rgb(as_bytes(Image.new("RGB", (13, 2))))


def test_decode_rgb__a_program_is_no_photo():
    """Pillow would hand it to Ghostscript."""
    with pytest.raises(PhotoError, match="EPS is a program, not a photo"):
        decode_rgb(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 30\nshowpage\n%%EOF\n")


def test_decode_rgb__memory_that_runs_out_is_a_reason(monkeypatch):
    def full(image):
        raise MemoryError

    monkeypatch.setattr("builders.pixels.decode.as_rgb", full)
    with pytest.raises(PhotoError, match="not enough memory to decode it"):
        decode_rgb(as_bytes(Image.new("RGB", (8, 8))))


def test_decode_rgb__scans_that_visit_all_pixels_again_and_again_are_refused(monkeypatch):
    """A progressive file whose last scan stands there 300 times more: ten bytes each, decoded as it is without them."""
    pixels = Image.fromarray(random_array(40, 56, 3))
    plain = as_bytes(pixels, "JPEG", progressive=True)
    last = plain[plain.rindex(b"\xff\xda") : -2]
    bomb = plain[:-2] + 300 * last + b"\xff\xd9"
    assert plain.count(b"\xff\xda") == 10
    expected = decode_rgb(plain).tobytes()
    monkeypatch.setattr("builders.pixels.decode.MAX_SCANNED", 310 * 40 * 56 - 1)
    assert decode_rgb(plain).tobytes() == expected
    with pytest.raises(PhotoError, match="310 scans of 56 x 40 pixels"):
        decode_rgb(bomb)
