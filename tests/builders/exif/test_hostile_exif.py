"""Damaged and hostile Exif: a value, or a sentence."""

from __future__ import annotations

import contextlib
import struct
from fractions import Fraction

import piexif
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.errors import PhotoError
from builders.exif import acquisition_from_file, parser
from tests.support.exif_files import CAMERA, MAKE, picture, tiff

HOSTILE = {
    "empty": b"",
    "text": b"GIF89a and so on",
    "big tiff": b"II+\0" + bytes(20),
    "no tiff header": b"\xff\xd8\xff\xe1\x00\x10Exif\0\0garbage!\xff\xd9",
    "broken marker": b"\xff\xd8\x00\x00\x00\x00\x00\x00",
    "directory outside": b"MM\0*\xff\xff\xff\xff",
    "65,535 entries": b"MM\0*\0\0\0\x08\xff\xff" + bytes(60),
    "exif directory outside": tiff([MAKE, (0x8769, 4, 1, b"\x7f\xff\xff\xff")]),
    "block too long": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 5 * 2**20, b"eXIf") + bytes(5 * 2**20),
    "heif header only": b"\0\0\0\x18ftypheic" + bytes(12),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile__one_sentence_each(name):
    with pytest.raises(PhotoError) as caught:
        acquisition_from_file(HOSTILE[name])
    assert len(str(caught.value)) > 10
    assert "\n" not in str(caught.value)


def test_hostile__overlapping_entries_take_no_memory():
    # 4,000 entries that each claim the same 64 KiB: 256 MiB if all were read
    entries = [(0x4000 + i, 7, 60_000, struct.pack(">I", 8)) for i in range(4000)]
    assert acquisition_from_file(tiff([*entries, MAKE]) + bytes(60_000)).make == "Canon"


def test_hostile__a_value_too_long_is_absent_and_the_rest_is_read():
    long = (0x0110, 2, 5000, b"x" * 5000)
    result = acquisition_from_file(tiff([MAKE, long]))
    assert (result.make, result.model) == ("Canon", None)


@pytest.mark.parametrize(
    ("kind", "form"),
    list(
        enumerate(("B", "s", "H", "I", "II", "b", "s", "h", "i", "ii", "f", "d", "I"), start=1)
    ),  # TIFF 6.0, section 2
)
def test_hostile__values_of_every_type_are_read_up_to_a_thousand_bytes(kind, form):
    for too_long in (False, True):
        count = 1024 // struct.calcsize(">" + form) + too_long
        data = b"a" * (count * struct.calcsize(">" + form))
        assert ("Make" in parser.read_allowed(tiff([(0x010F, kind, count, data)]))) is not too_long


def test_hostile__entries_at_the_most_and_beyond_it():
    entries = [MAKE] + [(0x4000 + i, 3, 1, b"\0\1") for i in range(parser.MAX_ENTRIES - 1)]
    assert parser.read_allowed(tiff(entries)) == {"Make": "Canon"}
    with pytest.raises(PhotoError, match="4097"):
        parser.read_allowed(tiff([*entries, MAKE]))
    with pytest.raises(PhotoError, match="4097"):
        parser.read_allowed(tiff([MAKE], [*entries, MAKE]))


def test_hostile__of_entries_of_one_tag_the_first_counts():
    nikon = (0x010F, 2, 6, b"Nikon\0")
    assert parser.read_allowed(tiff([MAKE, nikon])) == {"Make": "Canon"}
    assert parser.read_allowed(tiff([(0x010F, 2, 5000, b"x" * 5000), nikon])) == {"Make": "Nikon"}


def test_hostile__a_directory_that_the_file_cuts_has_the_entries_that_are_whole():
    whole = tiff([(0x010F, 2, 4, b"HTC\0"), (0x0110, 2, 4, b"ABC\0")])
    assert parser.read_allowed(whole[: 8 + 2 + 24]) == {"Make": "HTC", "Model": "ABC"}
    assert parser.read_allowed(whole[: 8 + 2 + 23]) == {"Make": "HTC"}
    assert parser.read_allowed(whole[: 8 + 2]) == {}
    with pytest.raises(PhotoError):
        parser.read_allowed(whole[: 8 + 1])


@pytest.mark.parametrize("offset", [0, 7])
def test_hostile__a_directory_in_the_header(offset):
    with pytest.raises(PhotoError):
        parser.read_allowed(b"MM\0*" + struct.pack(">I", offset) + bytes(20))


@pytest.mark.parametrize(
    ("pointer", "read"),
    [((4, 1), True), ((13, 1), True), ((3, 1), False), ((9, 1), False), ((4, 2), False), ((4, 0), False)],
)
def test_hostile__the_pointer_to_the_exif_directory_is_one_unsigned_number(pointer, read):
    """Type and count of the pointer; the first of two counts."""
    data = bytearray(tiff([MAKE], [(0x8827, 3, 1, struct.pack(">H", 200))]))
    at = data.index(b"\x87\x69")
    struct.pack_into(">HI", data, at + 2, *pointer)
    assert (acquisition_from_file(bytes(data)).iso == 200) is read


def test_hostile__of_two_pointers_the_first_counts():
    data = tiff([MAKE, (0x8769, 3, 1, b"")], [(0x8827, 3, 1, struct.pack(">H", 200))])
    two = data[:22] + data[34:46] + struct.pack(">HHII", 0x8769, 4, 1, 8) + data[46:]
    assert acquisition_from_file(two).iso == 200


def test_hostile__directory_that_points_to_itself():
    assert acquisition_from_file(tiff([MAKE, (0x8769, 4, 1, struct.pack(">I", 8))])).make == "Canon"


@pytest.mark.parametrize("value", [(0x829A, 2, 5, b"1/60\0"), (0x829A, 9, 2, b"\xff" * 8), (0x829A, 5, 0, b"")])
def test_malformed_value__is_read_or_absent(value):
    result = acquisition_from_file(tiff([MAKE], [value]))
    assert result.make == "Canon"
    assert result.exposure_s == (Fraction(1, 60) if value[1] == 2 else None)


@given(st.data())
def test_acquisition_from_file__any_damage_is_a_value_or_a_reason(data):
    photo = bytearray(picture(exif=piexif.dump(CAMERA)))
    for _ in range(data.draw(st.integers(1, 12))):
        photo[data.draw(st.integers(0, 500))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PhotoError):
        assert acquisition_from_file(bytes(photo)).raw.keys() <= set(parser.ALLOWED)
