"""The data sets on disk, built by the command line and read by load_dataset."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from datasets import Image, load_dataset
from PIL import Image as PillowImage

from builders.__main__ import main
from builders.dataset import read_build
from builders.exif import STUDY_ATTRIBUTES, acquisition_from_file
from builders.flickrexif import photo_features
from builders.paircams import PAIR_FEATURES
from builders.simcams import bundled_catalogue, simcams_photos, simpairs_photos
from builders.simcams.build import build_simpairs, simcams_features
from tests.support.croissant import described_as_loaded, valid_description

pytestmark = pytest.mark.slow


def run(*arguments: str | Path) -> int:
    return main(["simcams", *map(str, arguments)])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("simcams") / "out"
    assert run("--scenes", "4", "--size", "32", "--configs", "make,iso", "--workers", "1", "--output", output) == 0
    return output


def load(folder: Path, config: str, split: str, cache: Path):  # type: ignore[no-untyped-def]
    data = load_dataset(str(folder), config, split=split, cache_dir=str(cache))
    return data.cast_column("image", Image(decode=False))


def test_columns__begin_with_those_of_flickrexif() -> None:
    reference = list(photo_features({"make": ("a",)}, pixels=True))
    assert list(simcams_features({"make": ("a",)}))[: len(reference)] == reference
    assert STUDY_ATTRIBUTES == (
        "make", "model", "smartphone_model", "is_smartphone", "exposure", "aperture", "iso", "focal_length",
    )  # fmt: skip


def test_built__loads_and_agrees_with_the_photo_set_and_the_exif(built: Path, tmp_path: Path) -> None:
    photos = simcams_photos(n_scenes=4, size=32)
    by_id = {photo_id: i for i, photo_id in enumerate(photos.ids)}
    scenes = {}
    for split in ("train", "validation", "test"):
        data = load(built, "iso", split, tmp_path)
        scenes[split] = set(data["scene"])
        assert len(set(np.bincount(data["iso"]))) == 1
        for row in list(data)[:5]:
            data_bytes = row["image"]["bytes"]
            assert data_bytes == photos.read(by_id[row["photo_id"]])
            assert hashlib.sha256(data_bytes).hexdigest() == row["sha256"]
            read = acquisition_from_file(data_bytes)
            assert str(read.iso) == data.features["iso"].names[row["iso"]] == str(row["iso_speed"])
            assert (str(read.exposure_s), read.make) == (row["exposure_s"], row["camera_make"])
            assert row["licence"] == "CC0-1.0"
            assert [name for name, value in row.items() if value is None] == []
            at = by_id[row["photo_id"]]
            assert row["scene_kind"] == photos.labels.names[photos.labels.values[at]]
            assert (row["width"], row["height"], row["shrink_factor"], row["size"]) == (32, 32, 0.0, "original")
            assert row["owner"] == row["scene"] == photos.columns["scene"][at]
    assert not scenes["train"] & scenes["test"]
    assert not scenes["train"] & scenes["validation"]


def test_built__croissant_describes_both_sets(built: Path, tmp_path: Path) -> None:
    described_as_loaded(built, tmp_path / "cache")
    valid_description(built)
    build_simpairs(simpairs_photos(n_scenes=2, size=32), tmp_path / "pairs", progress=False)
    described_as_loaded(tmp_path / "pairs", tmp_path / "cache")
    valid_description(tmp_path / "pairs")


def test_built__a_second_run_writes_nothing_and_a_lost_shard_comes_back_equal(built: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(built, copy)
    lost = next(copy.glob("data/photos/test-1?-*.parquet"))
    before = lost.read_bytes()
    lost.unlink()
    assert run("--scenes", "4", "--size", "32", "--configs", "make,iso", "--workers", "1", "--output", copy) == 0
    assert lost.read_bytes() == before
    assert (copy / "README.md").read_text() == (built / "README.md").read_text()


def test_built__card_says_that_no_camera_took_them(built: Path) -> None:
    text = (built / "README.md").read_text(encoding="utf-8")
    assert "No real camera took these" in text
    assert "license: cc0-1.0" in text
    assert read_build(built).pixels.allowed


def test_pairs__have_the_columns_of_paircams(tmp_path: Path) -> None:
    assert run("--pairs", "--scenes", "3", "--size", "32", "--workers", "1", "--output", tmp_path / "pairs") == 0
    data = load(tmp_path / "pairs", "pairs", "test", tmp_path / "cache")
    assert data.column_names[: len(PAIR_FEATURES)] == list(PAIR_FEATURES)
    assert len(data) == 6
    kinds = [data.features["camera_type"].names[t] for t in data["camera_type"]]
    assert kinds == ["phone", "camera"] * 3
    unknown = {name for row in data for name, value in row.items() if value is None}
    assert unknown == {"source_quality"}  # the tables of makers are no quality of libjpeg
    assert set(data["pair_id"]) == set(data["scene"])
    assert list(data["pair_id"])[::2] == list(data["pair_id"])[1::2]


def test_folder__a_bad_photo_costs_its_rows_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = tmp_path / "photos"
    source.mkdir()
    for i in range(4):
        PillowImage.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8)).save(source / f"{i}.jpg", quality=95)
    data = (source / "0.jpg").read_bytes()
    (source / "0.jpg").write_bytes(data[:-2000])
    arguments = ("--source", f"folder:{source}", "--scenes", "9", "--size", "32", "--configs", "make", "--workers", "1")
    assert run(*arguments, "--output", tmp_path / "out") == 0
    failures = (tmp_path / "out" / "failures.jsonl").read_text().splitlines()
    assert len(failures) == len(bundled_catalogue())
    rows = [row for s in ("train", "validation", "test") for row in load(tmp_path / "out", "make", s, tmp_path / "c")]
    assert len(rows) == 3 * len(bundled_catalogue())
    assert {row["shrink_factor"] for row in rows} == {2.0}
    assert str(source) not in (tmp_path / "out" / "build.json").read_text()
    assert not read_build(tmp_path / "out").pixels.allowed  # the licence of these photos is unknown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--size", "33"), "sides"),
        (("--size", "big"), "pixels a side"),
        *(
            (("--source", source), "unknown source")
            for source in ("folders:x", "procedural:x", "folder:", "folder", ":")
        ),
        (("--source", "folder:/nonexistent-photos"), "no such folder"),
        (("--configs", "makes"), "'make'"),
        (("--classes", "stop"), "'stops'"),
        (("--scenes", "0"), "at least 1"),
        (("--scenes", "2"), "needed"),
        (("--workers", "0"), "at least 1"),
    ],
)
def test_cli__wrong_input_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--size", "32", "--scenes", "3", *arguments, "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
