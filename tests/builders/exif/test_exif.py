"""Exif: files written by piexif, and hand-made TIFF structures."""

from __future__ import annotations

import struct
from datetime import datetime
from fractions import Fraction

import piexif
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.exif import Acquisition, acquisition_from_file, acquisition_from_raw, acquisition_from_tags, parser
from builders.exif.acquisition import positive_fraction
from tests.support.exif_files import CAMERA, picture, tiff


def test_acquisition_from_file__every_field():
    result = acquisition_from_file(picture(exif=piexif.dump(CAMERA)))
    assert result == Acquisition(
        make="HTC",
        model="Désiré X",
        exposure_s=Fraction(1, 60),
        f_number=Fraction(14, 5),
        focal_length_mm=Fraction(17, 4),
        iso=400,
        flash_fired=True,
        taken=datetime(2014, 9, 21, 16, 0, 56),
        raw=result.raw,
    )
    assert result.raw["ExposureTime"] == "10/600"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_acquisition_from_file__containers(format):
    if format in ("HEIF", "AVIF"):
        import pillow_heif

        if format == "AVIF" and not pillow_heif.libheif_info()["encoders"].get("aom"):
            pytest.skip("no AVIF encoder here")
        pillow_heif.register_heif_opener()
    try:
        data = picture(format, piexif.dump(CAMERA))
    except (KeyError, OSError):
        pytest.skip(f"no {format} encoder here")
    result = acquisition_from_file(data)
    assert (result.make, result.exposure_s, result.iso) == ("HTC", Fraction(1, 60), 400)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_acquisition_from_file__no_exif_is_empty(format):
    assert acquisition_from_file(picture(format)) == Acquisition()


def test_acquisition_from_file__never_reads_private_entries():
    result = acquisition_from_file(picture(exif=piexif.dump(CAMERA)))
    assert set(result.raw) <= set(parser.ALLOWED)
    assert "SECRET" not in repr(dict(result.raw))
    assert "Ann" not in result.raw.values()
    private = ("GPS", "Serial", "Owner", "Artist", "Thumbnail", "Maker", "Copyright", "Comment", "Host")
    assert not [name for name in parser.ALLOWED if any(word in name for word in private)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("make", "expected"),
    [(b"HTC", "HTC"), (b"Canon\0", "Canon"), (b"PENTAX Corporation \0", "PENTAX Corporation"), (b"ION\0F", "ION")],
)
def test_strings__nul_or_not(order, make, expected):
    assert acquisition_from_file(tiff([(0x010F, 2, len(make), make)], order=order)).make == expected


def test_iso__overflow_goes_to_the_entry_that_sensitivity_type_names():
    def iso(value: int, kind: int) -> int | None:
        entries = [
            (0x8827, 3, 1, struct.pack(">H", value)),
            (0x8830, 3, 1, struct.pack(">H", kind)),
            (0x8831, 4, 1, struct.pack(">I", 70_000)),
            (0x8832, 4, 1, struct.pack(">I", 102_400)),
        ]
        return acquisition_from_file(tiff([], entries)).iso

    assert iso(65535, 2) == 102_400
    assert iso(65535, 1) == 70_000
    assert iso(65535, 9) == 102_400  # an undefined type: the recommended index first
    assert iso(65535, 3) is None  # names ISOSpeed, which is absent
    assert iso(200, 2) == 200
    assert iso(0, 2) is None


ENTRIES = {"StandardOutputSensitivity": 1, "RecommendedExposureIndex": 2, "ISOSpeed": 4}
"""Entries of an ISO that overflows, by the bit of a set of them."""

NAMED = {1: (1,), 2: (2,), 3: (4,), 4: (1, 2), 5: (1, 4), 6: (2, 4), 7: (1, 2, 4)}
"""SensitivityType -> what the entry ISO is, by the bits of ``ENTRIES``: Exif 2.3, the table of tag 0x8830."""


@pytest.mark.parametrize("kind", [None, "0", "x", *map(str, NAMED)])
@pytest.mark.parametrize("present", [0, 3, 6, 7])
def test_iso__overflow_reads_the_entries_of_its_type_the_recommended_index_first(kind, present):
    values = {name: 70_000 + bit for name, bit in ENTRIES.items() if bit & present}
    raw = {"ISO": "65535", **{name: str(value) for name, value in values.items()}}
    if kind is not None:
        raw["SensitivityType"] = kind
    bits = NAMED.get(int(kind) if kind and kind.isdigit() else 7, NAMED[7])
    order = ("RecommendedExposureIndex", "ISOSpeed", "StandardOutputSensitivity")
    wanted = [values[name] for name in order if ENTRIES[name] in bits and name in values]
    assert acquisition_from_raw(raw).iso == (wanted[0] if wanted else None)


@pytest.mark.parametrize(
    ("text", "iso"),
    [("ISO 100", 100), ("200 0", 200), ("100/1", 100), ("300/2", 150), ("301/2", None), ("100/0", None),
     ("100.00", 100), ("100.5", None), (" 64", 64), ("x64", None), ("0", None), ("65535", None), ("65534", 65534)],
)  # fmt: skip
def test_iso__whole_numbers_only(text, iso):
    assert acquisition_from_raw({"ISO": text}).iso == iso


@pytest.mark.parametrize("entry", ENTRIES)
def test_iso__an_entry_that_overflows_or_is_zero_itself_is_no_value(entry):
    raw = {"ISO": "65535", "SensitivityType": "7"}
    assert acquisition_from_raw({**raw, entry: "65535"}).iso is None
    assert acquisition_from_raw({**raw, "RecommendedExposureIndex": "0", "ISOSpeed": "70000"}).iso == 70_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/60", Fraction(1, 60)),
        (" " * 60 + "1/60", Fraction(1, 60)),  # 64 characters
        (" " * 61 + "1/60", None),
        ("0.0166 sec (1/60)", Fraction(1, 60)),
        ("1/60 sec", Fraction(1, 60)),
        ("512/8809", Fraction(512, 8809)),
        ("f/2.8", Fraction(14, 5)),
        ("2.8", Fraction(14, 5)),
        ("F2.8", Fraction(14, 5)),
        ("50 mm", Fraction(50)),
        ("50.0 mm", Fraction(50)),
        ("4.2 mm (35 mm equivalent: 27.0 mm)", Fraction(21, 5)),
        ("30", Fraction(30)),
        ("0/0", None),
        ("1/0", None),
        ("0", None),
        ("-1/60", None),
        ("inf", None),
        ("nan", None),
        ("1e999999999", None),
        ("about 50 mm", None),
        ("9" * 5000, None),
        ("", None),
        (None, None),
    ],
)
def test_positive_fraction(text, expected):
    assert positive_fraction(text) == expected


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
def test_positive_fraction__any_rational_is_exact(numerator, denominator):
    assert positive_fraction(f"{numerator}/{denominator}") == Fraction(numerator, denominator)


@given(st.dictionaries(st.sampled_from(parser.ALLOWED), st.text()))
def test_acquisition_from_raw__any_text_is_a_value_or_none(raw):
    result = acquisition_from_raw(raw)
    assert result.exposure_s is None or result.exposure_s > 0
    assert result.iso is None or 0 < result.iso != 65535


@pytest.mark.parametrize(
    ("tag", "field", "absurd", "good"),
    [
        ("FNumber", "f_number", ("4/10000", "0.0004", "513/1"), ("1/2", "95/100", "512")),
        ("ExposureTime", "exposure_s", ("4244635/1", "86401", "1/2000000"), ("86400", "1/180000", "1/1000000")),
        ("FocalLength", "focal_length_mm", ("1/1000", "20001"), ("1/2", "20000", "42/10")),
        ("ISO", "iso", ("10000001",), ("1", "4560000", "10000000")),
    ],
)
def test_plausible__impossible_values_are_unknown_and_stay_in_raw(tag, field, absurd, good):
    for text in absurd:
        taken = acquisition_from_raw({tag: text})
        assert getattr(taken, field) is None
        assert taken.raw[tag] == text
    for text in good:
        assert getattr(acquisition_from_raw({tag: text}), field) == Fraction(text)


def test_acquisition_from_tags__tagspaces_and_words():
    tags = {
        ("XMP-exif", "FNumber"): "4.0",
        ("ExifIFD", "FNumber"): "f/2.8",
        ("IFD0", "Make"): "NIKON CORPORATION",
        ("XMP-tiff", "Make"): "Nikon",
        ("XMP-tiff", "Model"): "NIKON D90",
        ("ExifIFD", "ExposureTime"): "",  # an empty <raw/>: the next space speaks
        ("XMP-exif", "ExposureTime"): "0.0166 sec (1/60)",
        ("ExifIFD", "ISO"): " 200 ",
        ("ExifIFD", "FocalLength"): 50,  # no text: not read
        ("ExifIFD", "Flash"): "Off, Did not fire",
        ("XMP-exif", "DateTimeOriginal"): "2010-05-06T07:08:09.55+02:00",
        ("ExifIFD", "SerialNumber"): "SECRET",
        ("Nikon", "ISO"): "6400",
    }
    result = acquisition_from_tags(tags)
    assert result == Acquisition(
        make="NIKON CORPORATION",
        model="NIKON D90",
        exposure_s=Fraction(1, 60),
        f_number=Fraction(14, 5),
        iso=200,
        flash_fired=False,
        taken=datetime(2010, 5, 6, 7, 8, 9),
        raw=result.raw,
    )
    assert "SECRET" not in result.raw.values()
    assert result.raw["ISO"] == "200"


def test_acquisition_from_tags__numbers_of_the_older_spaces():
    assert acquisition_from_tags({("TIFF", "271"): "Canon", ("EXIF", "33434"): "1/80"}).exposure_s == Fraction(1, 80)


@pytest.mark.parametrize(
    ("text", "fired"),
    [
        ("16", False),
        ("9", True),
        ("127", True),
        ("128", None),
        ("9969", None),
        (" 16 ", False),
        ("Auto, Fired, Red-eye reduction", True),
        ("On, Did not fire", False),
        ("No Flash", False),
        ("Off", False),
        ("True", True),
        ("On", None),
        ("Unknown (0x3e)", None),
    ],
)
def test_flash(text, fired):
    assert acquisition_from_raw({"Flash": text}).flash_fired is fired


def test_taken__a_clock_never_set_falls_back_to_digitisation():
    raw = {"DateTimeOriginal": "0000:00:00 00:00:00", "CreateDate": "2009:02:03 04:05:06"}
    assert acquisition_from_raw(raw).taken == datetime(2009, 2, 3, 4, 5, 6)
    assert acquisition_from_raw({"DateTimeOriginal": "2009:13:03 04:05:06"}).taken is None


def test_taken__a_time_without_seconds_is_that_of_its_minute():
    assert acquisition_from_raw({"CreateDate": "2009-02-03T04:05"}).taken == datetime(2009, 2, 3, 4, 5, 0)


def test_acquisition__raw_values_are_not_printed():
    assert "10/600" not in repr(acquisition_from_raw({"ExposureTime": "10/600"}))


def test_taken__the_time_of_exposure_comes_before_that_of_digitisation():
    raw = {"CreateDate": "2009:02:03 04:05:06", "DateTimeOriginal": "2008:01:02 03:04:05"}
    assert acquisition_from_raw(raw).taken == datetime(2008, 1, 2, 3, 4, 5)
    scanned = {0x9003: b"2008:01:02 03:04:05", 0x9004: b"2009:02:03 04:05:06"}
    data = picture(exif=piexif.dump({"Exif": scanned}))
    assert acquisition_from_file(data).taken == datetime(2008, 1, 2, 3, 4, 5)
    # on Flickr too, although XMP, which has it here, is trusted less than the entry of the other
    tags = {("ExifIFD", "CreateDate"): "2009:02:03 04:05:06", ("XMP-exif", "DateTimeOriginal"): "2008:01:02 03:04:05"}
    assert acquisition_from_tags(tags).taken == datetime(2008, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "field", "expected"),
    [
        # a more trusted space, whatever the spelling; in one space, the usual spelling before others
        (("IFD0", "Make", "Canon"), ("ExifIFD", "Make", "Nikon"), "make", "Canon"),
        (("ExifIFD", "Make", "Canon"), ("TIFF", "Make", "Nikon"), "make", "Canon"),
        (("EXIF", "271", "Canon"), ("XMP-tiff", "Make", "Nikon"), "make", "Canon"),
        (("XMP-exif", "Make", "Canon"), ("XMP-tiff", "Make", "Nikon"), "make", "Canon"),
        (("IFD0", "Make", "Canon"), ("IFD0", "271", "Nikon"), "make", "Canon"),
        (("ExifIFD", "ISO", "100"), ("ExifIFD", "ISOSpeedRatings", "200"), "iso", 100),
        (("ExifIFD", "ISOSpeedRatings", "100"), ("ExifIFD", "PhotographicSensitivity", "200"), "iso", 100),
        (("IFD0", "PhotographicSensitivity", "100"), ("ExifIFD", "ISO", "200"), "iso", 100),
        (("XMP-xmp", "Software", "one"), ("XMP-xmp", "CreatorTool", "two"), "software", "one"),
        (("ExifIFD", "Flash", "1"), ("ExifIFD", "FlashFired", "False"), "flash_fired", True),
        (("ExifIFD", "CreateDate", "2008:01:02 03:04:05"), ("ExifIFD", "DateTimeDigitized", "2009:01:02 03:04:05"),
         "taken", datetime(2008, 1, 2, 3, 4, 5)),
    ],
)  # fmt: skip
def test_acquisition_from_tags__which_of_two_entries_counts(first, second, field, expected, turned):
    listed = [second, first] if turned else [first, second]
    result = acquisition_from_tags({(space, tag): value for space, tag, value in listed})
    assert getattr(result, field) == expected


def test_acquisition_from_file__exposure_in_the_first_directory_as_tiff_ep_has_it():
    def rational(a, b):
        return struct.pack(">II", a, b)

    top = [
        (0x010F, 2, 6, b"NIKON\0"),
        (0x829A, 5, 1, rational(1, 250)),
        (0x829D, 5, 1, rational(56, 10)),
        (0x8827, 3, 1, struct.pack(">H", 200)),
        (0x9003, 2, 20, b"2001:02:03 04:05:06\0"),
        (0x920A, 5, 1, rational(85, 1)),
    ]
    result = acquisition_from_file(tiff(top))
    assert (result.make, result.exposure_s, result.f_number) == ("NIKON", Fraction(1, 250), Fraction(28, 5))
    assert (result.iso, result.focal_length_mm, result.taken) == (200, 85, datetime(2001, 2, 3, 4, 5, 6))
    both = acquisition_from_file(tiff(top, [(0x829A, 5, 1, rational(1, 60)), (0x8827, 3, 1, struct.pack(">H", 800))]))
    assert (both.exposure_s, both.iso, both.f_number) == (Fraction(1, 60), 800, Fraction(28, 5))
