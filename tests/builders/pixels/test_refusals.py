"""Edges of decoding: modes of pictures, files that cost too much, and containers that are tried in another process."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, features

from builders.errors import PhotoError
from builders.pixels import decode, decoders
from builders.pixels.decode import as_rgb, decode_rgb
from builders.processes import SandboxError, WorkerLost
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
        with pytest.raises(PhotoError, match=r"^32-bit grey values outside 0\.\.65535 have no defined way to 8 bits$"):
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
        with pytest.raises(PhotoError, match=f"^{size[0]} x {size[1]} pixels: a side is under 2$"):
            decode_rgb(data)
    else:
        assert decode_rgb(data).size == size


@pytest.mark.parametrize("file_format", ["JPEG", "MPO"])
def test_decode_rgb__as_many_scans_as_are_allowed(file_format, monkeypatch):
    several = {"save_all": True, "append_images": [PICTURE]} if file_format == "MPO" else {}
    data = image_bytes(PICTURE, file_format, **several)
    assert Image.open(io.BytesIO(data)).format == file_format
    scans = data.count(b"\xff\xda")
    monkeypatch.setattr(decode, "MAX_SCANNED", scans * 54)
    assert decode_rgb(data).size == (9, 6)
    monkeypatch.setattr(decode, "MAX_SCANNED", scans * 54 - 1)
    with pytest.raises(PhotoError, match=f"^{scans} scans of 9 x 6 pixels, refused as a bomb$"):
        decode_rgb(data)
    png = image_bytes(PICTURE) + b"\xff\xda" * 99  # behind a picture of another format
    assert decode_rgb(png).size == (9, 6)


def test_decode_rgb__memory_is_given_back_where_it_fails_and_with_the_picture(monkeypatch):
    events = []
    reservation = SimpleNamespace(release=lambda: events.append("release"), tie_to=lambda p: events.append(p.size))
    monkeypatch.setattr(decode, "reserve_for", lambda *size: events.append(size) or reservation)
    decode_rgb(image_bytes(PICTURE))
    assert events == [(9, 6), (9, 6)]
    events.clear()
    with pytest.raises(PhotoError, match=r"^cannot be decoded \(OSError"):
        decode_rgb(image_bytes(Image.effect_noise((64, 64), 90), "JPEG")[:1200])
    assert events == [(64, 64), "release"]


@pytest.mark.parametrize("brand", [b"heic", b"avis", b"mif1"])
def test_decode_rgb__a_photo_of_a_phone_without_the_package_that_reads_it(brand, monkeypatch):
    monkeypatch.setattr(decode, "_heif_registered", False)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match=r"^a HEIC photo needs the package pillow"):
        decode_rgb(b"\0\0\0\x18ftyp" + brand + bytes(30))
    for other in (b"\0\0\0\x18ftypmp42" + bytes(30), b"\0\0\0\x18free" + brand + bytes(30)):
        with pytest.raises(PhotoError, match=r"^not an image in a format that can be read$"):
            decode_rgb(other)


class Trial:
    """A sandbox that gives a reason, or ends."""

    def __init__(self, result):
        self.result, self.calls = result, []

    def call(self, data, parse):
        self.calls.append(data)
        if isinstance(self.result, Exception):
            raise self.result
        return parse(self.result)


@pytest.fixture
def tried(monkeypatch):
    """Replaces the sandbox by one whose answer is given."""

    def replace(result):
        trial = Trial(result)
        monkeypatch.setattr(decoders, "_sandbox", lambda process: trial)
        return trial

    return replace


@pytest.mark.parametrize(
    ("compression", "in_a_trial"),
    [
        (None, False),
        ("raw", False),
        ("tiff_lzw", False),
        ("tiff_deflate", False),
        ("tiff_adobe_deflate", False),
        ("packbits", False),
        ("group3", False),
        ("group4", False),
        ("jpeg", True),
    ],
)
def test_tiff__only_pictures_of_another_format_inside_are_tried(compression, in_a_trial, tried):
    if compression not in (None, "raw") and not features.check("libtiff"):
        pytest.skip("this Pillow has no libtiff")
    trial = tried("")
    image = PICTURE.convert("1") if compression in ("group3", "group4") else PICTURE
    data = image_bytes(image, "TIFF", compression=compression)
    assert decode_rgb(data).size == (9, 6)
    assert trial.calls == ([data] if in_a_trial else [])


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF", "DIB", "MPO", "WEBP", "TGA", "PCX", "SGI", "ICO", "JPEG2000"])
def test_formats__those_whose_header_does_not_bound_the_work_are_tried(file_format, tried):
    trial = tried("")
    if file_format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    data = image_bytes(Image.new("RGB", (16, 16)), file_format)
    assert decode_rgb(data).size == (16, 16)
    assert (trial.calls == [data]) is (file_format in ("TGA", "PCX", "SGI", "ICO", "JPEG2000"))
    assert len(trial.calls) < 2


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("fails: ValueError", "fails: ValueError"),
        (WorkerLost("gone"), "ends the process that decodes it"),
        (SandboxError("took longer than 30.0 s"), "took longer than 30.0 s"),
    ],
)
def test_trial__says_why_it_failed(result, reason, tried):
    tried(result)
    with pytest.raises(PhotoError) as caught:
        decode_rgb(image_bytes(PICTURE, "TGA"))
    assert str(caught.value) == f"cannot be decoded (decoding the TGA file {reason})"


def test_trial__as_many_scans_as_are_allowed(tried, monkeypatch):
    trial = tried("")
    scan = b"\xff\xda\x00\x08\x01"
    image = SimpleNamespace(format="BLP", info={})
    for scans in (b"\xff\xda\x00\x0a\x02", b"\xff\xda\x00\x0c\x03", b"\xff\xda\x00\x0e\x04"):
        assert decoders.count_scans(b"x" + scans + scan) == 2
    assert decoders.count_scans(b"\xff\xda\x00\x08\x02") == 0
    decoders.try_unbounded(image, scan * decoders.MAX_SCANS)
    assert len(trial.calls) == 1
    with pytest.raises(PhotoError, match=f"^{decoders.MAX_SCANS + 1} scans in a BLP file, refused as a bomb$"):
        decoders.try_unbounded(image, scan * (decoders.MAX_SCANS + 1))


def test_decode_in_worker__a_reason_or_nothing(monkeypatch):
    assert decoders.decode_in_worker(image_bytes(PICTURE)) == ""
    assert decoders.decode_in_worker(b"no picture") == "fails: UnidentifiedImageError"

    def full(data):
        raise MemoryError

    monkeypatch.setattr(decoders.Image, "open", full)
    assert decoders.decode_in_worker(b"") == "needs more than 3 GiB of memory"
