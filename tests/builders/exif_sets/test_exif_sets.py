"""``build exif-folder``: labels as planted, pixels as they were, and nothing in the files that names anybody."""

import io

import datasets
import numpy as np
import piexif
import pytest
from PIL import Image

from builders.__main__ import main
from builders.data_specs import open_photos
from builders.errors import PhotoError
from builders.exif_sets import without_metadata
from builders.photos import hash64
from builders.pixels import decode_rgb

SECRETS = (b"SERIAL-4711", b"Ann Example", b"Oak Street")
CAMERAS = {"Ann": ("Canon", "Canon EOS 600D"), "Bob": ("NIKON CORPORATION", "NIKON D90")}


def shot(owner: str, number: int, orientation: int = 1) -> bytes:
    make, model = CAMERAS[owner]
    exif = {
        "0th": {
            piexif.ImageIFD.Make: make.encode(), piexif.ImageIFD.Model: model.encode(),
            piexif.ImageIFD.Artist: SECRETS[1], piexif.ImageIFD.Orientation: orientation,
        },
        "Exif": {
            piexif.ExifIFD.BodySerialNumber: SECRETS[0],
            piexif.ExifIFD.ISOSpeedRatings: (100, 400)[number % 2],
            piexif.ExifIFD.DateTimeOriginal: f"{2014 + number // 15}:01:{1 + number // 3:02} 03:04:05".encode(),
        },
        "GPS": {piexif.GPSIFD.GPSAreaInformation: SECRETS[2]},
    }  # fmt: skip
    noise = np.random.default_rng([len(owner) + ord(owner[0]), number]).integers(0, 256, (6, 8, 3), np.uint8)
    stream = io.BytesIO()
    picture = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
    picture.save(stream, "JPEG", exif=piexif.dump(exif), comment=SECRETS[2], progressive=number % 2 == 0)
    return stream.getvalue() + SECRETS[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("own")
    for owner in CAMERAS:
        (root / owner).mkdir()
        for number in range(30):
            (root / owner / f"{number:02}.jpg").write_bytes(shot(owner, number, orientation=(1, 6)[number % 5 == 0]))
    return root


def build(folder, output, *options: str) -> None:
    arguments = ["exif-folder", "--data", str(folder), "--output", str(output), "--workers", "1", "--min-photos", "6"]
    assert main([*arguments, "--license", "cc-by-4.0", *options]) == 0


@pytest.mark.slow
def test_build__labels_pixels_and_no_secret(folder, tmp_path):
    build(folder, tmp_path / "out", "--groups", "day")
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not [(path, secret) for path in files for secret in (*SECRETS, b"Ann/") if secret in path.read_bytes()]
    by_id = {f"{hash64(str(path.relative_to(folder))):016x}": path for path in folder.rglob("*.jpg")}
    rows = datasets.load_dataset(str(tmp_path / "out"), "make", cache_dir=str(tmp_path / "cache"))
    assert set(rows) == {"train", "validation", "test"}
    days = {}
    for split, part in rows.items():
        for row in part.cast_column("image", datasets.Image(decode=False)):
            path = by_id[row["photo_id"]]
            make = part.features["make"].int2str(row["make"])
            assert make == {"Ann": "Canon", "Bob": "NIKON"}[path.parent.name]
            assert not any(secret in row["image"]["bytes"] for secret in SECRETS)
            assert decode_rgb(row["image"]["bytes"]).tobytes() == decode_rgb(path.read_bytes()).tobytes()
            days.setdefault((path.parent.name, int(path.stem) // 3), set()).add(split)
    assert {len(splits) for splits in days.values()} == {1}
    assert main(["check", str(tmp_path / "out")]) == 0
    assert set(open_photos(f"flickrexif:{tmp_path / 'out'}").attributes) >= {"make", "iso", "year"}


@pytest.mark.slow
def test_build__masked(folder, tmp_path):
    build(folder, tmp_path / "out", "--mask", "0.25")
    photos = open_photos(f"flickrexif:{tmp_path / 'out'}?config=iso")
    picture = decode_rgb(photos.read(0))
    assert picture.getpixel((picture.width // 2, picture.height // 2)) == (0, 0, 0)
    assert picture.getpixel((0, 0)) != (0, 0, 0)


@pytest.mark.slow
def test_build__says_what_is_in_two_splits_of_the_folder(tmp_path, capsys):
    for split, numbers in (("train", range(12)), ("val", range(12, 24))):
        for owner in CAMERAS:
            for number in numbers:
                path = tmp_path / "own" / split / f"{owner}{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(shot(owner, number))

    def printed(output):
        build(tmp_path / "own", output)
        line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("duplicates: "))
        assert line.removeprefix("duplicates: ") in (output / "README.md").read_text(encoding="utf-8")
        assert "no near-duplicate" not in (output / "README.md").read_text(encoding="utf-8")
        assert main(["check", str(output)]) == 0
        return line, capsys.readouterr().out

    line, checks = printed(tmp_path / "apart")
    assert (line.split()[1], " groups in several splits" in checks) == ("no", False)
    (tmp_path / "own" / "val" / "Ann12.jpg").write_bytes(shot("Ann", 0))
    line, checks = printed(tmp_path / "shared")
    assert (line.split()[1], " groups in several splits" in checks) == ("2", True)


def test_without_metadata__refuses_what_it_cannot_clean():
    data = shot("Ann", 1)
    assert without_metadata(without_metadata(data)) == without_metadata(data)
    for broken in (b"\x89PNG\r\n", data[:-200]):
        with pytest.raises(PhotoError):
            without_metadata(broken)
