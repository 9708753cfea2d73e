"""``exif-folder``: photos of several cameras, written with piexif and opened as every data set is."""

from __future__ import annotations

import io
import os
import pickle

import numpy as np
import piexif
import pytest
from PIL import Image

from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import SPLITS, UNLABELLED
from tests.support.images import image_bytes

CAMERAS = {
    "nikon": (b"NIKON CORPORATION", b"NIKON D90"),
    "canon": (b"Canon", b"Canon EOS REBEL T3i"),
    "kiss": (b"Canon", b"Canon EOS Kiss X5"),  # the same body
    "phone": (b"Apple", b"iPhone 42"),  # no class of the study
}


def shot(camera: str, number: int, iso: int = 100, picture: int | None = None) -> bytes:
    make, model = CAMERAS[camera]
    exif = {
        "0th": {piexif.ImageIFD.Make: make, piexif.ImageIFD.Model: model},
        "Exif": {
            piexif.ExifIFD.ISOSpeedRatings: iso,
            piexif.ExifIFD.ExposureTime: (1, 60),
            piexif.ExifIFD.DateTimeOriginal: b"2015:01:02 03:04:05",
        },
    }
    seed = picture if picture is not None else hash_of(camera, number)
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC)
    image.save(buffer, "JPEG", quality=95 - number % 10, exif=piexif.dump(exif))
    return buffer.getvalue()


def hash_of(camera: str, number: int) -> int:
    return 1000 * sorted(CAMERAS).index(camera) + number


@pytest.fixture
def drawer(tmp_path):
    """30 Nikon, 30 + 20 of one Canon body under two names, 40 phone photos, 5 of them of one picture; and rubbish."""
    root = tmp_path / "drawer"
    root.mkdir()
    for camera, count in (("nikon", 30), ("canon", 30), ("kiss", 20), ("phone", 40)):
        for i in range(count):
            picture = 77 if camera == "phone" and i < 5 else None
            (root / f"{camera}{i:02d}.jpg").write_bytes(shot(camera, i, iso=(100, 400)[i % 2], picture=picture))
    (root / "notes.txt").write_text("not a photo")
    (root / "screenshot.png").write_bytes(image_bytes(Image.new("RGB", (9, 9)), "PNG"))
    return root


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


def test_exif_folder__labels_splits_and_columns(drawer):
    photos = open_photos(f"exif-folder:{drawer}")
    assert photos.name == "exif-folder:drawer"
    assert 110 <= len(photos) <= 120  # a few are too many for every attribute
    assert photos.attributes["model"].names == ("Canon EOS 600D", "NIKON D90", "iPhone 42")
    assert photos.attributes["make"].names == ("Apple", "Canon", "NIKON")
    assert photos.attributes["is_smartphone"].names == ("not a smartphone", "smartphone")
    assert photos.attributes["iso"].names == ("100", "400")
    # one class, or none, is no question
    assert set(photos.attributes) == {"make", "model", "is_smartphone", "iso"}
    for column in photos.attributes.values():
        for split in range(3):
            values = column.values[photos.splits == split]
            counts = np.bincount(values[values != UNLABELLED], minlength=len(column.names))
            assert len(set(counts.tolist())) == 1  # balanced
            assert counts[0] > 0
    assert np.abs(np.bincount(photos.splits) - [72, 24, 24]).max() <= 6
    assert photos.columns["iso"].tolist()[:2] == [100, 400]
    assert photos.columns["exposure_s"][0] == 1 / 60
    assert np.isnan(photos.columns["f_number"]).all()
    assert set(photos.columns["year"].tolist()) == {2015}
    same_picture = [i for i, name in enumerate(photos.ids) if name in {f"phone0{k}.jpg" for k in range(5)}]
    assert len(set(photos.columns["group"][same_picture].tolist())) == 1
    assert len(set(photos.splits[same_picture].tolist())) == 1
    assert photos.evidence["files without Exif"] == "1"
    assert photos.evidence["files whose Exif cannot be read"] == "0"
    assert "notes.txt" in photos.evidence["left out"]
    assert pickle.loads(pickle.dumps(photos.source)).read(int(photos.rows[3])) == photos.read(3)


def test_exif_folder__photos_that_no_attribute_needs_are_left_out(tmp_path):
    for camera, count in (("nikon", 20), ("canon", 60)):
        for i in range(count):
            (tmp_path / f"{camera}{i}.jpg").write_bytes(shot(camera, i))
    photos = open_photos(f"exif-folder:{tmp_path}")
    assert len(photos) == 40
    assert photos.evidence["files"] == "80"


@pytest.mark.slow
def test_exif_folder__seeds_and_repeats(drawer):
    one, same, other = (open_photos(f"exif-folder:{drawer}", seed=seed) for seed in (0, 0, 1))
    assert (one.ids, one.splits.tolist()) == (same.ids, same.splits.tolist())
    splits = dict(zip(one.ids, one.splits.tolist(), strict=True))
    assert any(splits.get(i, s) != s for i, s in zip(other.ids, other.splits.tolist(), strict=True))


@pytest.mark.parametrize(
    ("classes", "models"),
    [("clean", ("Canon EOS 600D", "NIKON D90")), ("reference", ("Canon EOS REBEL T3i", "NIKON D90"))],
)
def test_exif_folder__classes_of_the_study(drawer, classes, models):
    assert open_photos(f"exif-folder:{drawer}?classes={classes}").attributes["model"].names == models


def test_exif_folder__a_folder_for_each_owner_stays_on_one_side(tmp_path):
    for owner in range(10):
        (tmp_path / f"owner{owner}").mkdir()
        for i in range(8):
            camera = ("nikon", "canon")[(owner + i) % 2]
            (tmp_path / f"owner{owner}" / f"{i}.jpg").write_bytes(shot(camera, 100 * owner + i))
    photos = open_photos(f"exif-folder:{tmp_path}")
    for owner in set(photos.columns["owner"].tolist()):
        assert len(set(photos.splits[photos.columns["owner"] == owner].tolist())) == 1
    assert photos.evidence["sub-folders"] == "a sub-folder is in one split only"


def test_exif_folder__a_folder_for_each_camera_cannot(tmp_path):
    for camera in ("nikon", "canon"):
        (tmp_path / camera).mkdir()
        for i in range(20):
            (tmp_path / camera / f"{i}.jpg").write_bytes(shot(camera, i))
    photos = open_photos(f"exif-folder:{tmp_path}")
    assert photos.attributes["model"].names == ("Canon EOS 600D", "NIKON D90")
    assert "straddle" in photos.evidence["sub-folders"]
    assert photos.columns["owner"].tolist() == ["canon"] * 20 + ["nikon"] * 20
    with pytest.raises(DataError, match="no attribute has"):
        open_photos(f"exif-folder:{tmp_path}?groups=folder&min-photos=30")


def test_exif_folder__splits_of_the_folder(tmp_path):
    for split, count in (("train", 12), ("val", 6), ("test", 8)):
        (tmp_path / split).mkdir()
        for i in range(count):
            camera = ("nikon", "canon")[i % 2]
            number = i + 100 * len(split) + ord(split[1])
            (tmp_path / split / f"{i}.jpg").write_bytes(shot(camera, number))
    photos = open_photos(f"exif-folder:{tmp_path}?min-photos=5")
    assert [SPLITS[s] for s in photos.splits] == [photo_id.split("/")[0] for photo_id in photos.ids]
    assert (photos.attributes["make"].values != UNLABELLED).all()
    assert photos.evidence["groups on several sides"] == "0"
    assert photos.evidence["duplicates"].startswith("no ")
    copied = (tmp_path / "train" / "0.jpg").read_bytes()
    (tmp_path / "train" / "12.jpg").write_bytes(copied)  # twice in a split counts in none
    (tmp_path / "train" / "13.jpg").write_bytes(shot("canon", 5))
    assert open_photos(f"exif-folder:{tmp_path}?min-photos=5").evidence["duplicates"].startswith("no ")
    (tmp_path / "val" / "6.jpg").write_bytes(copied)
    (tmp_path / "val" / "7.jpg").write_bytes(shot("canon", 6))
    evidence = open_photos(f"exif-folder:{tmp_path}?min-photos=5").evidence
    assert (evidence["groups on several sides"], evidence["duplicates"].split()[0]) == ("1", "3")
    assert "1 groups" in evidence["duplicates"]


def test_exif_folder__wrong_options_and_empty_folders(tmp_path):
    with pytest.raises(UsageError, match="'cleen'"):
        open_photos(f"exif-folder:{tmp_path}?classes=cleen")
    with pytest.raises(UsageError, match="min-photos=x"):
        open_photos(f"exif-folder:{tmp_path}?min-photos=x")
    with pytest.raises(DataError, match="no photo"):
        open_photos(f"exif-folder:{tmp_path}")
    (tmp_path / "a.jpg").write_bytes(shot("nikon", 1))
    with pytest.raises(DataError, match="files"):
        open_photos(f"exif-folder:{tmp_path}")


def test_exif_folder__files_whose_names_are_escaped_in_ids_are_read_by_their_paths(tmp_path):
    """An emoji with U+FE0F, a soft hyphen, and a name in Latin-1 are not what the ids show."""
    root = os.fsencode(tmp_path)
    for camera in ("nikon", "canon"):
        for i, name in enumerate((b"a\xef\xb8\x8f", "soft\xadhyphen".encode(), b"caf\xe9", b"plain") * 6):
            with open(os.path.join(root, name + f"-{camera}{i}.jpg".encode()), "wb") as file:
                file.write(shot(camera, i))
    photos = open_photos(f"exif-folder:{tmp_path}")
    assert photos.evidence["files whose Exif cannot be read"] == "0"
    assert len(photos) == 48
    assert sum("caf\\xe9" in photo_id for photo_id in photos.ids) == 12
