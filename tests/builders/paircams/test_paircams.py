"""Pairs from the Hub and from folders: original bytes, matched photos, both directions."""

import hashlib
import io

import datasets
import numpy as np
import pytest
from PIL import Image

from builders.__main__ import main
from builders.check import check_folder
from builders.errors import DataError, UsageError
from builders.paircams.build import build_paircams
from builders.paircams.cli import PairCams
from builders.sources import CAMERA_TYPES, read_pair_photos
from tests.conftest import photo_bytes
from tests.support.images import image_bytes


def heic_bytes(seed):
    import pillow_heif

    pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(buffer)
    return buffer.getvalue()


def rotated_bytes(seed):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "A maker"
    return image_bytes(Image.open(io.BytesIO(photo_bytes(seed, size=(60, 40)))), "JPEG", exif=exif, quality=88)


PHONE = {f"s{i}": heic_bytes(i) if i == 2 else photo_bytes(i) for i in range(5)}
CAMERA = {f"s{i}": rotated_bytes(i) if i == 3 else photo_bytes(100 + i) for i in range(5)}


@pytest.fixture
def two_folders(tmp_path):
    root = tmp_path / "pairs"
    for kind, photos in zip(CAMERA_TYPES, (PHONE, CAMERA), strict=True):
        (root / kind).mkdir(parents=True)
        for pair, data in photos.items():
            (root / kind / f"{pair}.jpg").write_bytes(data)
    return root


def loaded(output, tmp_path):
    part = datasets.load_dataset(str(output), split="test", cache_dir=str(tmp_path / "cache"))
    return part.cast_column("image", datasets.Image(decode=False))


def test_paircams__from_two_folders_through_the_command_line(two_folders, tmp_path):
    out = tmp_path / "out"
    assert main(["paircams", "--source", str(two_folders), "--output", str(out), "--workers", "1"]) == 0
    rows = list(loaded(out, tmp_path))
    assert [(r["pair_id"], r["camera_type"]) for r in rows] == [(f"s{i}", t) for i in range(5) for t in (0, 1)]
    for row in rows:
        data = (PHONE, CAMERA)[row["camera_type"]][row["pair_id"]]
        assert row["image"]["bytes"] == data
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
    assert (rows[7]["width"], rows[7]["height"]) == (40, 60)  # upright
    assert rows[7]["source_quality"] == 88
    assert (rows[4]["source_quality"], rows[4]["width"]) == (None, 96)  # HEIC
    assert all(c.passed for c in check_folder(out, progress=False))
    assert "5 pairs of photos" in (out / "README.md").read_text()


def test_pair_photos__one_folder_per_pair_and_csv_are_the_same_pairs(two_folders, tmp_path):
    expected = read_pair_photos(str(two_folders))
    by_pair = tmp_path / "by_pair"
    listed = tmp_path / "listed"
    listed.mkdir()
    lines = ["file,pair_id,camera,camera_type"]
    for pair in PHONE:
        (by_pair / pair).mkdir(parents=True)
        (by_pair / pair / "Phone.jpg").write_bytes(PHONE[pair])
        (by_pair / pair / "camera.JPG").write_bytes(CAMERA[pair])
        (listed / f"{pair}-a.jpg").write_bytes(PHONE[pair])
        (listed / f"{pair}-b.jpg").write_bytes(CAMERA[pair])
        lines += [f"{pair}-b.jpg,{pair},DSC-W1,", f"{pair}-a.jpg,{pair},iPhone XR,"]
    (listed / "pairs.csv").write_text("\n".join(lines) + "\n")
    for photos in (read_pair_photos(str(by_pair)), read_pair_photos(f"folder:{listed}")):
        assert photos.columns["pair_id"].tolist() == expected.columns["pair_id"].tolist()
        assert photos.columns["camera_type"].tolist() == ["phone", "camera"] * 5
        assert [photos.read(i) for i in range(10)] == [expected.read(i) for i in range(10)]
    assert read_pair_photos(f"folder:{listed}").columns["camera"].tolist()[:2] == ["iPhone XR", "DSC-W1"]


def test_pair_photos__the_released_columns(two_folders, tmp_path):
    features = datasets.Features(
        {"image": datasets.Image(), "subject_idx": datasets.Value("int64"), "model": datasets.Value("string")}
    )
    rows = [
        {"image": {"bytes": data, "path": None}, "subject_idx": i, "model": model}
        for model, photos in (("coolpix s200", CAMERA), ("pixel 4", PHONE))
        for i, data in enumerate(photos.values())
    ]
    hub = tmp_path / "hub"
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(hub / "data/train-00000-of-00001.parquet"))
    photos = read_pair_photos(f"hub:{hub}")
    assert photos.columns["camera"].tolist() == ["pixel 4", "coolpix s200"] * 5
    assert [photos.read(i) for i in range(4)] == [PHONE["s0"], CAMERA["s0"], PHONE["s1"], CAMERA["s1"]]
    build_paircams(photos, tmp_path / "out", progress=False)
    assert len(loaded(tmp_path / "out", tmp_path)) == 10
    again = read_pair_photos(f"hub:{tmp_path / 'out'}")
    assert again.columns["camera_type"].tolist() == photos.columns["camera_type"].tolist()
    assert [again.read(i) for i in range(10)] == [photos.read(i) for i in range(10)]


def test_build_paircams__half_pairs_and_broken_photos_cost_their_pair_alone(two_folders, tmp_path, capsys):
    (two_folders / "camera" / "s0.jpg").unlink()
    (two_folders / "phone" / "s1.jpg").write_bytes(b"broken")
    out = tmp_path / "out"
    assert main(["paircams", "--source", str(two_folders), "--output", str(out), "--workers", "1"]) == 0
    text = capsys.readouterr().out
    assert "1 photos without their other half (for example phone/s0.jpg)" in text
    assert "1 could not be used" in text
    assert [r["pair_id"] for r in loaded(out, tmp_path)] == ["s2", "s2", "s3", "s3", "s4", "s4"]


def test_pair_photos__wrong_sources_are_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        read_pair_photos(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="no pair there"):
        read_pair_photos(str(tmp_path))
    table = tmp_path / "pairs.csv"
    table.write_text("file,pair_id,camera,camera_type\na.jpg,1,x,tablet\n")
    with pytest.raises(UsageError, match="'tablet'"):
        read_pair_photos(str(tmp_path))
    table.write_text("file,pair_id,camera\n../a.jpg,1,x\n")
    with pytest.raises(DataError, match="outside"):
        read_pair_photos(str(tmp_path))
    table.write_text("file,pair_id\na.jpg,1\n")
    with pytest.raises(DataError, match="pair_id"):
        read_pair_photos(str(tmp_path))


def test_pair_cams__the_builder_class_has_the_same_rows(two_folders, tmp_path):
    build_paircams(read_pair_photos(str(two_folders)), tmp_path / "out", progress=False)
    builder = PairCams(source=str(two_folders), cache_dir=str(tmp_path / "builder"))
    builder.download_and_prepare()
    changed = builder.as_dataset(split="test").cast_column("image", datasets.Image(decode=False))
    assert changed.to_list() == loaded(tmp_path / "out", tmp_path).to_list()


def test_pair_cams__types_of_devices_are_options_of_the_builder_class(tmp_path):
    spec = write_listed(tmp_path / "listed", [("a", "left"), ("a", "right"), ("b", "left"), ("b", "right")])
    for phone, camera in (("left", "right"), ("right", "left")):
        builder = PairCams(source=spec, phones=[phone], cameras=[camera], cache_dir=str(tmp_path / phone))
        builder.download_and_prepare()
        rows = builder.as_dataset(split="test")
        names = rows.features["camera_type"].names
        devices = {row["camera"] for row in rows.remove_columns("image") if names[row["camera_type"]] == "phone"}
        assert devices == {phone}


def test_pair_cams__used_next_to_its_photos_keeps_their_bytes_and_leaves_out_a_broken_pair(
    two_folders, tmp_path, monkeypatch, caplog
):
    """``datasets`` would store the name alone of a picture that is named like a file here."""
    (two_folders / "phone" / "s0.jpg").write_bytes(b"no picture")
    monkeypatch.chdir(two_folders / "phone")
    builder = PairCams(source="..", cache_dir=str(tmp_path / "builder"))
    builder.download_and_prepare()
    plain = datasets.Image(decode=False)
    rows = builder.as_dataset(split="test").cast_column("image", plain).to_list()
    assert "pair s0 is left out" in caplog.text
    assert [row["photo_id"] for row in rows] == [f"{kind}/s{i}.jpg" for i in range(1, 5) for kind in CAMERA_TYPES]
    for row in rows:
        assert row["image"]["bytes"] == (two_folders / row["photo_id"]).read_bytes()
    assert list(builder.as_streaming_dataset(split="test").cast_column("image", plain)) == rows


PHONES = ("iPhone 15 Pro", "SM-S928B", "Pixel 8", "CPH2581", "22101316G", "XQ-DQ54", "A065", "ONEPLUS A6003")
CAMERAS = ("NIKON D50", "Canon EOS 350D DIGITAL", "DSC-W55", "DMC-FZ7", "FinePix S5600")


def write_listed(root, rows):
    """``pairs.csv`` of (pair, model) without types, each with a photo of its own."""
    root.mkdir()
    lines = ["file,pair_id,camera"]
    for i, (pair, model) in enumerate(rows):
        (root / f"{i:03d}.jpg").write_bytes(photo_bytes(i, size=(24, 16)))
        lines.append(f"{i:03d}.jpg,{pair},{model}")
    (root / "pairs.csv").write_text("\n".join(lines) + "\n")
    return str(root)


def test_pair_photos__modern_phones_are_phones(tmp_path):
    pairs = [(f"p{i:02d}", (PHONES[i % len(PHONES)], CAMERAS[i % len(CAMERAS)])) for i in range(40)]
    spec = write_listed(tmp_path / "listed", [(pair, model) for pair, models in pairs for model in models[::-1]])
    photos = read_pair_photos(spec)
    assert "left out" not in photos.evidence
    assert photos.columns["camera_type"].tolist() == ["phone", "camera"] * 40
    assert photos.columns["camera"].tolist() == [model for _, models in pairs for model in models]


def test_pair_photos__equal_halves_are_left_out_with_their_reason(tmp_path):
    rows = [("a", "iPhone 12"), ("a", "NIKON D50"), ("b", "iPhone 12"), ("b", "Pixel 8")]
    rows += [("c", "DSC-W55"), ("d", "DSC-W55"), ("d", "iPhone 12"), ("d", "iPhone 12")]
    photos = read_pair_photos(write_listed(tmp_path / "listed", rows))
    assert photos.columns["pair_id"].tolist() == ["a", "a"]
    assert photos.evidence["left out"] == (
        "1 photos without their other half (for example 004.jpg); "
        "1 pairs of photos by a phone alone (for example b: iPhone 12 and Pixel 8); "
        "1 pairs of more than two photos (for example d)"
    )


@pytest.mark.slow
def test_pair_photos__exif_types_a_device_without_a_type_and_the_rest_is_a_question(tmp_path):
    spec = write_listed(tmp_path / "listed", [("a", "left"), ("a", "right"), ("b", "left"), ("b", "right")])
    for i, (make, model) in enumerate([("Apple", "iPhone 15"), ("NIKON", "E990")] * 2):
        (tmp_path / "listed" / f"{i:03d}.jpg").write_bytes(exif_photo(i, make, model))
    assert read_pair_photos(spec).columns["camera_type"].tolist() == ["phone", "camera"] * 2
    (tmp_path / "listed" / "001.jpg").write_bytes(photo_bytes(1))
    (tmp_path / "listed" / "003.jpg").write_bytes(photo_bytes(3))
    with pytest.raises(UsageError, match="--phone"):
        read_pair_photos(spec)
    assert read_pair_photos(spec, cameras=["Right"]).columns["camera_type"].tolist() == ["phone", "camera"] * 2
    with pytest.raises(DataError):
        read_pair_photos(spec, phones=["right"])


def exif_photo(seed, make, model, taken=None):
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = make, model
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo_bytes(seed, size=(24, 16)))).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_paircams__exif_that_contradicts_a_folder_is_a_notice(two_folders, tmp_path, capsys):
    (two_folders / "phone" / "s0.jpg").write_bytes(exif_photo(0, "Canon", "Canon EOS 5D"))
    assert main(["paircams", "--source", str(two_folders), "--output", str(tmp_path / "o"), "--workers", "1"]) == 0
    assert "phone/s0.jpg" in (capsys.readouterr().err)


def test_paircams__one_file_for_both_halves_costs_the_pair(two_folders, tmp_path, capsys):
    (two_folders / "camera" / "s0.jpg").write_bytes(PHONE["s0"])
    out = tmp_path / "out"
    assert main(["paircams", "--source", str(two_folders), "--output", str(out), "--workers", "1"]) == 0
    assert "could" in capsys.readouterr().out
    assert [r["pair_id"] for r in loaded(out, tmp_path)][:2] == ["s1", "s1"]


@pytest.mark.slow
def test_propose__pairs_by_time_for_review_then_builds(tmp_path, capsys):
    """The camera's clock is an hour and 7 s ahead; two photos have no partner, one has no time."""
    cards = tmp_path / "cards"
    for kind in CAMERA_TYPES:
        (cards / kind).mkdir(parents=True)
    minutes = [0, 7, 8, 31, 50]
    for i, minute in enumerate(minutes):
        taken = f"2024:05:01 10:{minute:02d}:00"
        (cards / "phone" / f"IMG_{i:04d}.JPG").write_bytes(exif_photo(i, "Apple", "iPhone 15", taken))
    for i, minute in enumerate([0, 7, 8, 40, 50]):
        taken = f"2024:05:01 11:{minute:02d}:{7 + i:02d}"
        (cards / "camera" / f"DSC{i:05d}.JPG").write_bytes(exif_photo(9 + i, "NIKON", "E990", taken))
    (cards / "camera" / "DSC00009.JPG").write_bytes(photo_bytes(9))
    build = ["paircams", "--source", str(cards), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main(build) == 2
    assert "pairs" in capsys.readouterr().err
    assert main([*build, "--propose"]) == 0
    out = capsys.readouterr().out
    assert "4 pairs proposed" in out
    assert "2 photos have no partner, 1 have no time" in out
    proposed = tmp_path / "out" / "pairs-proposed.csv"
    lines = proposed.read_text().splitlines()
    assert lines[1:3] == ["phone/IMG_0000.JPG,p0000,iPhone 15,phone,-2", "camera/DSC00000.JPG,p0000,E990,camera,-2"]
    (cards / "pairs.csv").write_text(proposed.read_text())
    proposed.unlink()
    assert main(build) == 0
    assert [r["photo_id"] for r in loaded(tmp_path / "out", tmp_path)][2:4] == [
        "phone/IMG_0001.JPG",
        "camera/DSC00001.JPG",
    ]
    assert main([*build[:2], str(tmp_path), *build[3:], "--propose"]) == 2


def test_build_paircams__prints_no_estimate(two_folders, tmp_path, capsys):
    """Pairs are few; the sample is only measured to check the space."""
    build_paircams(read_pair_photos(str(two_folders)), tmp_path / "out")
    assert "measured on a sample" not in capsys.readouterr().err
