"""Times, numbers and flashes as cameras and Flickr write them, and files that are not read."""

import sys
from datetime import datetime
from fractions import Fraction
from types import SimpleNamespace

import pytest

from builders.errors import PhotoError, missing_package
from builders.exif import acquisition_from_raw, acquisition_from_tags
from builders.exif.acquisition import positive_fraction
from builders.exif.parser import find_block, read_allowed
from tests.support.exif_files import MAKE, tiff


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "empty"),
        (b"II+\0" + bytes(20), "BigTIFF"),
        (b"MM\0+" + bytes(20), "BigTIFF"),
        (b"\0\0\0\x18ftypqt  " + bytes(12), "WebP"),
        (b"GIF89a", "WebP"),
        (b"\x89PNG\r\n\x1a\r" + bytes(20), "WebP"),
        (b"\xff\xd9", "WebP"),
        (b"\xff\xd8\xff\xe1\0\x10Exif\0\0garbage!", "header"),
        (b"II*\0\x08\0\0", "header"),
        (b"II*\0\x08\0\0\0", "directory"),
        (tiff([MAKE, (0x8769, 4, 1, b"\x7f\xff\xff\xff")]), "directory"),
    ],
)  # fmt: skip
def test_read_allowed__one_sentence(data, sentence):
    with pytest.raises(PhotoError) as error:
        read_allowed(data)
    assert sentence in str(error.value)


def test_heif__needs_its_package_and_a_container(monkeypatch):
    data = b"\0\0\0\x18ftypheic" + bytes(12)
    for name in ("pillow_heif", "pi_heif"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PhotoError) as error:
        find_block(data)
    assert str(error.value) == missing_package("pi_heif", "a HEIC photo")

    def broken(data):
        raise ValueError("odd boxes")

    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(open_heif=broken))
    with pytest.raises(PhotoError) as error:
        find_block(data)
    assert str(error.value)
    opened = SimpleNamespace(info={"exif": b"Exif\0\0MM\0*rest"})
    monkeypatch.setitem(sys.modules, "pillow_heif", SimpleNamespace(open_heif=lambda data: opened))
    assert find_block(data) == b"MM\0*rest"
    opened.info = {}
    assert find_block(data) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('0.5"', "1/2"), ("1/60 seconds", "1/60"), ("1/60 second", "1/60"), ("5 secs", "5"), ("5s", "5"),
        ("f 2.8", "14/5"),
        ("F / 4", "4"), (" f/4 ", "4"), ("4, 5", "4"), ("4 mm (x", "4"), (".5", "1/2"), ("1 / 4", "1/4"), ("1.", "1"),
        ("1.5/2.5", "3/5"), ("9 (1/60)", "1/60"), ("9 (about)", "9"), ("4 m", None), ("4 5", None), ("1/2/3", None),
        ("1234567890123", None), ("123456789012", "123456789012"), ("1/.5", None), ("g/2", None),
    ],
)  # fmt: skip
def test_numbers__as_cameras_and_flickr_write_them(text, value):
    assert positive_fraction(text) == (None if value is None else Fraction(value))


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2009:02:03 04:05:06", (2009, 2, 3, 4, 5, 6)), ("2009/2/3 4:5", (2009, 2, 3, 4, 5, 0)),
        (" 2009-02-03T04:05:06Z", (2009, 2, 3, 4, 5, 6)), ("2009:02:03T  04:05:59.9", (2009, 2, 3, 4, 5, 59)),
        ("2009.02.03 04:05:06", None), ("2009:02:03", None), ("209:02:03 04:05", None), ("2009:02:30 04:05", None),
        ("2009:02:03 24:00", None), ("", None),
    ],
)  # fmt: skip
def test_times__as_cameras_and_flickr_write_them(text, taken):
    expected = taken and datetime(*taken)
    assert acquisition_from_raw({"CreateDate": text}).taken == expected
    assert acquisition_from_raw({"DateTimeOriginal": text, "CreateDate": "2001:01:01 00:00:00"}).taken == (
        expected or datetime(2001, 1, 1)
    )


@pytest.mark.parametrize(
    ("text", "iso"),
    [("100", 100), ("iso 100", None), ("ISO100", 100), ("12/4", 3), ("12/5", None), ("100.000", 100), ("100.0.0", None),
     ("12345678901", None), ("100,200", 100)],
)  # fmt: skip
def test_iso__of_texts(text, iso):
    assert acquisition_from_raw({"ISO": text}).iso == iso


@pytest.mark.parametrize(
    ("text", "fired"),
    [
        ("0", False), ("1", True), ("16", False), ("25", True), ("127", True), ("128", None), ("129", None),
        (" 9 ", True), ("False", False), ("false", False), ("True", True), ("true", True), ("Off", False),
        ("Off, Did not fire", False), ("No Flash", False), ("Auto, Did not fire", False), ("On, Did not fire", False),
        ("Fired", True), ("Auto, Fired, Red-eye reduction", True), ("On, Fired", True), ("On, Return detected", None),
        ("Unknown", None), ("", None), ("-1", None), ("1.5", None), ("12345678901", None), ("untrue", None),
    ],
)  # fmt: skip
def test_flash__by_the_lowest_bit_or_by_flickrs_words(text, fired):
    assert acquisition_from_raw({"Flash": text}).flash_fired is fired
    assert acquisition_from_tags({("ExifIFD", "Flash"): text}).flash_fired is fired
