"""Exif: against piexif's writing, hand-made TIFF structures, and hostile files."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import struct
import sys
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import piexif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builders.errors import PhotoError
from builders.exif import exif_block, exif_pool
from builders.exif.acquisition import (
    Acquisition,
    acquisition_from_file,
    acquisition_from_raw,
    acquisition_from_tags,
    positive_fraction,
)
from builders.exif.exif_pool import read_many

CAMERA = {
    "0th": {piexif.ImageIFD.Make: b"HTC", piexif.ImageIFD.Model: "Désiré X".encode(), piexif.ImageIFD.Artist: b"Ann"},
    "Exif": {
        piexif.ExifIFD.ExposureTime: (10, 600),
        piexif.ExifIFD.FNumber: (28, 10),
        piexif.ExifIFD.FocalLength: (4250, 1000),
        piexif.ExifIFD.ISOSpeedRatings: 400,
        piexif.ExifIFD.Flash: 25,
        piexif.ExifIFD.DateTimeOriginal: b"2014:09:21 16:00:56",
        piexif.ExifIFD.BodySerialNumber: b"SECRET-SERIAL",
        piexif.ExifIFD.CameraOwnerName: b"SECRET-OWNER",
        piexif.ExifIFD.MakerNote: b"SECRET-NOTE" * 50,
    },
    "GPS": {piexif.GPSIFD.GPSLatitudeRef: b"N", piexif.GPSIFD.GPSLatitude: ((48, 1), (51, 1), (0, 1))},
}


def picture(format: str = "JPEG", exif: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 30, 200)).save(buffer, format, **({"exif": exif} if exif else {}))
    return buffer.getvalue()


def tiff(entries: list[tuple[int, int, int, bytes]], exif: list[tuple[int, int, int, bytes]] = (), order=">") -> bytes:
    """A TIFF structure whose IFD0 has ``entries`` (tag, type, count, the four value bytes or more) and an Exif IFD."""
    head = b"MM\0*" if order == ">" else b"II*\0"
    top = [*entries]
    exif_at = 8 + 2 + 12 * (len(top) + bool(exif)) + 4
    data_at = exif_at + (2 + 12 * len(exif) + 4 if exif else 0)
    if exif:
        top.append((0x8769, 4, 1, struct.pack(order + "I", exif_at)))
    heap = b""
    out = head + struct.pack(order + "I", 8)
    for directory in [top, [*exif]] if exif else [top]:
        out += struct.pack(order + "H", len(directory))
        for tag, kind, count, value in directory:
            if len(value) > 4:
                value, heap = struct.pack(order + "I", data_at + len(heap)), heap + value
            out += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
        out += b"\0\0\0\0"
    return out + heap


def test_acquisition_from_file__every_field():
    found = acquisition_from_file(picture(exif=piexif.dump(CAMERA)))
    assert found == Acquisition(
        make="HTC",
        model="Désiré X",
        exposure_s=Fraction(1, 60),
        f_number=Fraction(14, 5),
        focal_length_mm=Fraction(17, 4),
        iso=400,
        flash_fired=True,
        taken=datetime(2014, 9, 21, 16, 0, 56),
        raw=found.raw,
    )
    assert found.raw["ExposureTime"] == "10/600"


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
    found = acquisition_from_file(data)
    assert (found.make, found.exposure_s, found.iso) == ("HTC", Fraction(1, 60), 400)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_acquisition_from_file__no_exif_is_empty(format):
    assert acquisition_from_file(picture(format)) == Acquisition()


def test_acquisition_from_file__never_reads_what_is_private():
    found = acquisition_from_file(picture(exif=piexif.dump(CAMERA)))
    assert set(found.raw) <= set(exif_block.ALLOWED)
    assert "SECRET" not in repr(dict(found.raw))
    assert "Ann" not in found.raw.values()
    private = ("GPS", "Serial", "Owner", "Artist", "Thumbnail", "Maker", "Copyright", "Comment", "Host")
    assert not [name for name in exif_block.ALLOWED if any(word in name for word in private)]


def test_private_entries_are_blanked_before_interpretation(monkeypatch):
    given_to_pillow = []
    original = exif_block.ImageFileDirectory_v2.load
    monkeypatch.setattr(
        exif_block.ImageFileDirectory_v2,
        "load",
        lambda self, stream: (original(self, stream), given_to_pillow.append(set(self)))[0],
    )
    acquisition_from_file(picture(exif=piexif.dump(CAMERA)))
    assert given_to_pillow == [{0x010F, 0x0110}, {0x829A, 0x829D, 0x8827, 0x9209, 0x9003, 0x920A}]


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/60", Fraction(1, 60)),
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
def test_positive_fraction__any_rational_survives(numerator, denominator):
    assert positive_fraction(f"{numerator}/{denominator}") == Fraction(numerator, denominator)


@given(st.dictionaries(st.sampled_from(exif_block.ALLOWED), st.text()))
def test_acquisition_from_raw__any_text_has_an_answer(raw):
    found = acquisition_from_raw(raw)
    assert found.exposure_s is None or found.exposure_s > 0
    assert found.iso is None or 0 < found.iso != 65535


@pytest.mark.parametrize(
    ("tag", "field", "absurd", "good"),
    [
        ("FNumber", "f_number", ("4/10000", "0.0004", "513/1"), ("1/2", "95/100", "512")),
        ("ExposureTime", "exposure_s", ("4244635/1", "86401", "1/2000000"), ("86400", "1/180000", "1/1000000")),
        ("FocalLength", "focal_length_mm", ("1/1000", "20001"), ("1/2", "20000", "42/10")),
        ("ISO", "iso", ("10000001",), ("1", "4560000", "10000000")),
    ],
)
def test_plausible__what_no_camera_has_is_unknown_with_its_string_kept(tag, field, absurd, good):
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
        ("ExifIFD", "ISO"): "200",
        ("ExifIFD", "Flash"): "Off, Did not fire",
        ("XMP-exif", "DateTimeOriginal"): "2010-05-06T07:08:09.55+02:00",
        ("ExifIFD", "SerialNumber"): "SECRET",
        ("Nikon", "ISO"): "6400",
    }
    found = acquisition_from_tags(tags)
    assert found == Acquisition(
        make="NIKON CORPORATION",
        model="NIKON D90",
        exposure_s=Fraction(1, 60),
        f_number=Fraction(14, 5),
        iso=200,
        flash_fired=False,
        taken=datetime(2010, 5, 6, 7, 8, 9),
        raw=found.raw,
    )
    assert "SECRET" not in found.raw.values()


def test_acquisition_from_tags__numbers_of_the_older_spaces():
    assert acquisition_from_tags({("TIFF", "271"): "Canon", ("EXIF", "33434"): "1/80"}).exposure_s == Fraction(1, 80)


@pytest.mark.parametrize(
    ("text", "fired"),
    [
        ("16", False),
        ("9", True),
        ("9969", None),
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


MAKE = (0x010F, 2, 6, b"Canon\0")
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


def test_hostile__overlapping_entries_ask_for_no_memory():
    # 4,000 entries that each claim the same 64 KiB: 256 MiB if all were read
    entries = [(0x4000 + i, 7, 60_000, struct.pack(">I", 8)) for i in range(4000)]
    assert acquisition_from_file(tiff([*entries, MAKE]) + bytes(60_000)).make == "Canon"


def test_hostile__a_value_too_long_is_absent_and_the_rest_is_read():
    long = (0x0110, 2, 5000, b"x" * 5000)
    found = acquisition_from_file(tiff([MAKE, long]))
    assert (found.make, found.model) == ("Canon", None)


def test_hostile__directory_that_points_to_itself():
    assert acquisition_from_file(tiff([MAKE, (0x8769, 4, 1, struct.pack(">I", 8))])).make == "Canon"


@pytest.mark.parametrize("value", [(0x829A, 2, 5, b"1/60\0"), (0x829A, 9, 2, b"\xff" * 8), (0x829A, 5, 0, b"")])
def test_malformed_value__is_read_or_absent(value):
    found = acquisition_from_file(tiff([MAKE], [value]))
    assert found.make == "Canon"
    assert found.exposure_s == (Fraction(1, 60) if value[1] == 2 else None)


@given(st.data())
def test_acquisition_from_file__any_damage_is_a_value_or_a_reason(data):
    photo = bytearray(picture(exif=piexif.dump(CAMERA)))
    for _ in range(data.draw(st.integers(1, 12))):
        photo[data.draw(st.integers(0, 500))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PhotoError):
        assert acquisition_from_file(bytes(photo)).raw.keys() <= set(exif_block.ALLOWED)


def test_read_many__paths_and_bytes_in_order(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(picture(exif=piexif.dump(CAMERA)))
    empty = picture()
    readings = list(read_many([path, empty, tmp_path / "absent.jpg", b"no photo", path], workers=2))
    assert [r.acquisition.make for r in readings] == ["HTC", None, None, None, "HTC"]
    assert [r.reason for r in readings][:2] == [None, exif_pool.NO_EXIF]
    assert "No such file" in readings[2].reason
    assert "not a JPEG" in readings[3].reason


def test_read_many__a_lost_or_hanging_worker_costs_one_file(tmp_path, monkeypatch):
    fake = tmp_path / "sitecustomize.py"
    fake.write_text(
        "import os, time\n"
        "import builders.exif.exif_block as block\n"
        "read = block.read_allowed\n"
        "def hostile(data):\n"
        "    if data == b'crash': os.kill(os.getpid(), 11)\n"
        "    if data == b'hang': time.sleep(60)\n"
        "    if data == b'memory': bytearray(2**33)\n"
        "    return read(data)\n"
        "block.read_allowed = hostile\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    good = picture(exif=piexif.dump(CAMERA))
    readings = list(read_many([good, b"crash", good, b"hang", good, b"memory", good], workers=1, timeout_s=3))
    assert [r.acquisition.make for r in readings[::2]] == ["HTC"] * 4
    assert "-11" in readings[1].reason
    assert "longer than 3 s" in readings[3].reason
    assert "memory" in readings[5].reason


def test_read_many__takes_files_only_as_fast_as_results_are_read():
    taken = []

    def files():
        for i in range(100):
            taken.append(i)
            yield b"x"

    readings = read_many(files(), workers=1)
    next(readings)
    assert len(taken) <= 8
    readings.close()


def test_read_many__leaves_no_process_behind(monkeypatch):
    started = []
    start = exif_pool._start
    monkeypatch.setattr(exif_pool, "_start", lambda memory: started.append(start(memory)) or started[-1])
    readings = read_many([b"x"] * 50, workers=2)
    next(readings)
    readings.close()
    assert started
    assert all(process.poll() is not None for process in started)


def comparison():
    path = Path(__file__).parents[3] / "scripts" / "compare_exiftool.py"
    spec = importlib.util.spec_from_file_location("compare_exiftool", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["compare_exiftool"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("field", "theirs", "ours", "verdict"),
    [
        ("exposure_s", "0.002557544757", Fraction(1, 391), "equal"),
        ("exposure_s", "0.002557544757", Fraction(1, 390), "UNEXPLAINED"),
        ("exposure_s", "undef", None, "explained"),
        ("exposure_s", "0.01", None, "UNEXPLAINED"),
        ("iso", 65535, None, "explained"),
        ("exposure_s", "4244635", None, "explained"),
        ("f_number", "0.0004", None, "explained"),
        ("f_number", "2.8", None, "UNEXPLAINED"),
        ("iso", None, 100, "UNEXPLAINED"),
        ("iso", None, None, "absent"),
        ("flash_fired", 25, True, "equal"),
        ("flash_fired", 24, True, "UNEXPLAINED"),
        ("make", "Canon", "Canon", "equal"),
        ("make", "Canon", "Cano", "UNEXPLAINED"),
        ("taken", "2021:04:11 15:47:53", datetime(2021, 4, 11, 15, 47, 53), "equal"),
    ],
)
def test_compare_exiftool__verdicts(field, theirs, ours, verdict):
    assert comparison().judge(field, theirs, ours)[0] == verdict


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="ExifTool is not installed")
def test_compare_exiftool__our_own_photos(tmp_path, capsys):
    (tmp_path / "camera.jpg").write_bytes(picture(exif=piexif.dump(CAMERA)))
    (tmp_path / "camera.tiff").write_bytes(picture("TIFF", piexif.dump(CAMERA)))
    (tmp_path / "plain.png").write_bytes(picture("PNG"))
    assert comparison().compare(sorted(tmp_path.iterdir()), workers=1) == 0
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("all"))
    assert total.split()[1:] == ["16", "0", "0", "11"]


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
    found = acquisition_from_file(tiff(top))
    assert (found.make, found.exposure_s, found.f_number) == ("NIKON", Fraction(1, 250), Fraction(28, 5))
    assert (found.iso, found.focal_length_mm, found.taken) == (200, 85, datetime(2001, 2, 3, 4, 5, 6))
    both = acquisition_from_file(tiff(top, [(0x829A, 5, 1, rational(1, 60)), (0x8827, 3, 1, struct.pack(">H", 800))]))
    assert (both.exposure_s, both.iso, both.f_number) == (Fraction(1, 60), 800, Fraction(28, 5))
