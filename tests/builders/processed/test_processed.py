"""Processed photos through the real command line and the builder class: rows, balance, failures, resumption."""

import json
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pytest

from builders.__main__ import main
from builders.check import check_folder
from builders.check.cli import main as check
from builders.data_specs import open_photos
from builders.dataset import file_sha256
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet
from builders.pixels import PARAMETERS, PROCESSINGS, assigned_class, decode_rgb
from builders.pixels.process import process
from builders.processed import ProcessingSettings
from builders.processed.build import ProcessedPhotos, build_processed
from builders.processed.rows import ProcessedRows
from tests.conftest import photo_bytes
from tests.support.images import image_bytes
from tests.support.processes import start_python

ROOT = Path(__file__).parents[3]


def files(output):
    return {p.relative_to(output).as_posix(): file_sha256(p) for p in output.rglob("*.parquet")}


def load(output, config, split, tmp_path):
    return datasets.load_dataset(str(output), config, split=split, cache_dir=str(tmp_path / "cache"))


@pytest.mark.slow
def test_folder__every_class_of_all_parameters_through_the_command_line(photo_folder, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--parameter", "all", "--assignment", "every", "--workers", "2", "--license", "cc0-1.0"]
    assert main(["folder", "--source", str(photo_folder), "--output", str(out), *options]) == 0
    assert "jpeg/train: 144 rows" in capsys.readouterr().out
    photos = open_photos(f"folder:{photo_folder}")
    for name, parameter in PARAMETERS.items():
        part = load(out, name, "validation", tmp_path)
        assert len(part) == 12 * len(parameter.classes)
        assert part.features[name].names == list(parameter.classes)
        row = part[len(parameter.classes) * 4 + 1]
        photo = photos.ids.index(row["photo_id"])
        expected = process(decode_rgb(photos.read(photo)), PROCESSINGS[parameter.processings[1]], row["photo_id"])
        assert np.array_equal(np.asarray(row["image"]), np.asarray(expected))
        assert part.features["label"].int2str(row["label"]) == row["photo_id"].split("/")[1]
        assert (row["width"], row["height"]) == expected.size
    assert sorted({(r["source_quality"], r["source_subsampling"]) for r in part}) == [
        (q, s) for q in (70, 85, 92) for s in ("4:2:0", "4:4:4")
    ]
    assert check([str(out)]) == 0
    assert "license: cc0-1.0" in (out / "README.md").read_text()


def test_uniform__counts_are_balanced_and_equal_the_benchmarks_assignment():
    one = photo_bytes(0, size=(16, 16))
    photos = PhotoSet.of_bytes("many", {f"p{i:04d}": one for i in range(1500)})
    rows = [assigned_codes(photos, seed) for seed in (0, 1)]
    for seed, codes in enumerate(rows):
        counts = np.bincount(codes, minlength=6)
        assert ((counts - 250) ** 2 / 250).sum() < 20.5  # the 99.9 % point of chi-square with 5 degrees of freedom
        assert codes == [assigned_class(i, PARAMETERS["jpeg"], seed) for i in photos.ids]
    assert rows[0] != rows[1]


def assigned_codes(photos, seed):
    made = ProcessedRows.of(photos, "train", ProcessingSettings("jpeg", "uniform", assignment_seed=seed))
    return [row["jpeg"] for i in range(len(made)) for row in made(i)]


def test_build_processed__twins_of_given_splits_are_counted_and_of_drawn_ones_moved(tmp_path):
    files = {f"{i}": photo_bytes(i) for i in range(4)} | {"again": photo_bytes(2)}
    photos = PhotoSet.of_bytes("twins", files, splits=["train", "train", "train", "val", "val"])
    options = {"parameters": ["sharpening"], "progress": False}
    given = build_processed(photos, tmp_path / "given", **options)
    assert given.recipe["duplicates"] == {"policy": "keep", "groups_in_several_splits": 1}
    checks = {check.name: check for check in check_folder(tmp_path / "given", progress=False)}
    assert all(check.passed for check in checks.values())
    assert checks["groups in several splits"].detail == "1 of 4 groups of one file, as built (--duplicates keep)"
    [failed] = [c for c in check_folder(tmp_path / "given", guarded_by=["file"], progress=False) if not c.passed]
    assert (failed.name, failed.detail) == ("no group in several splits", "1 of 4 groups of one file")
    assert all(c.passed for c in check_folder(tmp_path / "given", guarded_by=["owner"], progress=False))
    assert "were left there" in (tmp_path / "given" / "README.md").read_text()

    drawn = build_processed(replace(photos, drawn_splits=True), tmp_path / "drawn", **options)
    assert drawn.recipe["duplicates"] == {"policy": "move", "groups_in_several_splits": 0}
    checks = {check.name: check for check in check_folder(tmp_path / "drawn", progress=False)}
    assert all(check.passed for check in checks.values())
    assert checks["no group in several splits"].detail == "0 of 4 groups of one file"
    # a build of before says nothing of duplicates, and its leak is found
    build = json.loads((tmp_path / "given" / "build.json").read_text())
    del build["recipe"]["duplicates"]
    (tmp_path / "given" / "build.json").write_text(json.dumps(build))
    assert [c.name for c in check_folder(tmp_path / "given", progress=False) if not c.passed] == [
        "no group in several splits"
    ]


def test_build_processed__broken_photos_are_recorded_and_the_rest_is_there(photo_folder, tmp_path, capsys):
    source = tmp_path / "photos"
    for i in range(6):
        path = source / "cat" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_bytes(i))
    (source / "cat" / "truncated.jpg").write_bytes(photo_bytes(9)[:300])
    (source / "cat" / "notes.txt").write_text("not a photo")
    (source / "cat" / "empty.jpg").write_bytes(b"")
    (source / "cat" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    out = tmp_path / "out"
    assert main(["folder", "--source", str(source), "--output", str(out), "--workers", "1"]) == 0
    assert "could" in capsys.readouterr().out
    failures = [json.loads(line) for line in (out / "failures.jsonl").read_text().splitlines()]
    reasons = {f["id"]: f["reason"] for f in failures}
    assert reasons.keys() == {"cat/truncated.jpg", "cat/empty.jpg", "cat/gone.jpg"}
    assert "empty" in reasons["cat/empty.jpg"]
    assert "cannot be read" in reasons["cat/gone.jpg"]
    splits = {p.name.split("-")[0] for p in out.glob("data/jpeg/*")}
    assert sum(len(load(out, "jpeg", split, tmp_path)) for split in splits) == 6
    assert "3 source items are missing" in (out / "README.md").read_text()
    assert check([str(out)]) == 0


def test_build_processed__nothing_usable_is_one_sentence(tmp_path, capsys):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "a.jpg").write_bytes(b"no photo")
    arguments = ["folder", "--source", str(tmp_path / "photos"), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "processed" in error
    assert "Traceback" not in error
    assert not (tmp_path / "out" / "README.md").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--parameter", "resising"], "'resizing'"),
        (["--parameter", "jpeg,jpeg"], "stands there twice"),
        (["--assignment", "all"], "unknown assignment 'all'"),
        (["--workers", "0"], "needed"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_folder__wrong_options_are_one_sentence(photo_folder, tmp_path, capsys, options, message):
    assert main(["folder", "--source", str(photo_folder), "--output", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err


def test_build_processed__a_folder_of_another_program_is_left_alone(photo_folder, tmp_path):
    photos = open_photos(f"folder:{photo_folder}")
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UsageError):
        build_processed(photos, tmp_path, fresh=True, progress=False)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_build_processed__another_build_in_the_folder_needs_fresh(photo_folder, tmp_path):
    photos = open_photos(f"folder:{photo_folder}")
    build_processed(photos, tmp_path / "out", progress=False)
    with pytest.raises(UsageError):
        build_processed(photos, tmp_path / "out", assignment_seed=1, progress=False)
    with pytest.raises(UsageError, match="build"):
        build_processed(photos, tmp_path / "out", parameters=["resizing"], progress=False)
    build_processed(photos, tmp_path / "out", parameters=["resizing"], fresh=True, progress=False)
    assert {p.parent.name for p in (tmp_path / "out").rglob("*.parquet")} == {"resizing"}


def test_build_processed__too_small_a_disk_is_reported_before_the_start(photo_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10_000}))
    with pytest.raises(DataError, match=r"0\.0"):
        build_processed(open_photos(f"folder:{photo_folder}"), tmp_path / "out", progress=False)
    assert not files(tmp_path / "out")


@pytest.mark.slow
def test_folder__killed_three_times_ends_equal(photo_folder, tmp_path):
    """The whole command, killed a moment after each time it got further, against one that ran through."""
    options = ["--parameter", "all", "--assignment", "every", "--workers", "2"]
    arguments = ["folder", "--source", str(photo_folder), *options]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main([*arguments, "--output", str(whole)]) == 0
    moments = random.Random(5)
    for _ in range(3):
        before = len(list(killed.rglob("*.parquet")))
        build = start_python("-m", "builders", *arguments, "--output", killed, cwd=ROOT)
        while len(list(killed.rglob("*.parquet"))) <= before and build.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.05))
        build.send_signal(signal.SIGKILL)
        build.wait()
    assert list(killed.rglob("*.parquet"))
    assert main([*arguments, "--output", str(killed)]) == 0
    assert files(killed) == files(whole)
    assert (killed / "README.md").read_text() == (whole / "README.md").read_text()
    assert not list(killed.rglob("*.tmp"))


def test_processed_photos__the_builder_class_has_the_same_rows(photo_folder, tmp_path):
    photos = open_photos(f"folder:{photo_folder}")
    build_processed(photos, tmp_path / "out", parameters=["resizing"], assignment="every", progress=False)
    options = {"config_name": "resizing", "source": f"folder:{photo_folder}", "assignment": "every"}
    builder = ProcessedPhotos(cache_dir=str(tmp_path / "builder"), **options)
    builder.download_and_prepare(num_proc=2)
    plain = datasets.Image(decode=False)
    for split in ("train", "validation"):
        built = load(tmp_path / "out", "resizing", split, tmp_path).cast_column("image", plain)
        changed = builder.as_dataset(split=split).cast_column("image", plain)
        assert changed.features == built.features
        assert changed.to_list() == built.to_list()
        streamed = builder.as_streaming_dataset(split=split).cast_column("image", plain)
        assert [row["image"]["bytes"] for row in streamed] == [row["image"]["bytes"] for row in built]
    assert "processed_photos" in str(builder.cache_dir)


def test_processed_photos__duplicates_are_on_the_side_where_the_command_puts_them(tmp_path):
    """Twelve photos and a copy of each, in splits that a seed drew."""
    random = np.random.default_rng(0)
    scenes = [
        np.kron(random.integers(0, 256, (8, 8, 3), dtype=np.uint8), np.ones((6, 6, 1), np.uint8)) for _ in range(12)
    ]
    for i, scene in enumerate(scenes):
        for name in ("first", "again"):
            path = tmp_path / "photos" / "ab"[i % 2] / f"{name}-{i:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image_bytes(scene))
    photos = open_photos(f"folder:{tmp_path / 'photos'}")
    assert photos.drawn_splits
    build_processed(photos, tmp_path / "out", progress=False)
    splits = {}
    for given in (None, "ignore"):
        builder = ProcessedPhotos(
            cache_dir=str(tmp_path / "builder"), source=f"folder:{tmp_path / 'photos'}", duplicates=given
        )
        builder.download_and_prepare()
        splits[given] = {split: builder.as_dataset(split=split)["photo_id"][:] for split in ("train", "validation")}
    built = {split: load(tmp_path / "out", "jpeg", split, tmp_path)["photo_id"][:] for split in ("train", "validation")}
    assert splits[None] == built
    assert splits["ignore"] != built
    for photo_ids in built.values():
        numbers = [photo_id[-6:] for photo_id in photo_ids]
        assert all(numbers.count(number) == 2 for number in numbers)


def test_processed_photos__a_parameter_of_a_processing_file(photo_folder, tmp_path):
    options = {"config_name": "web-size-webp", "source": f"folder:{photo_folder}", "assignment": "every"}
    builder = ProcessedPhotos(cache_dir=str(tmp_path / "builder"), processings="web", **options)
    builder.download_and_prepare()
    made = builder.as_dataset(split="train").cast_column("image", datasets.Image(decode=False))
    photos = open_photos(f"folder:{photo_folder}")
    given = {"parameters": ["web-size-webp"], "processings": "web", "assignment": "every", "progress": False}
    build_processed(photos, tmp_path / "out", **given)
    built = load(tmp_path / "out", "web-size-webp", "train", tmp_path)
    assert made.to_list() == built.cast_column("image", datasets.Image(decode=False)).to_list()
    assert made.features["web-size-webp"].names == ["w384", "w640", "w1080"]


def test_processed_photos__the_cache_is_named_after_photos_and_settings(photo_folder, tmp_path):
    def cache(**options):
        return ProcessedPhotos(cache_dir=str(tmp_path), config_name="jpeg", **options).cache_dir

    by_name, by_set = cache(source=f"folder:{photo_folder}"), cache(source=open_photos(f"folder:{photo_folder}"))
    assert by_name == by_set
    assert cache(source=f"folder:{photo_folder}", assignment_seed=1) != by_name
    assert cache(source=open_photos(f"folder:{photo_folder}").limited(9)) != by_name


def test_check__no_build_there(tmp_path):
    with pytest.raises(DataError, match="no finished build"):
        check_folder(tmp_path)


def test_processed_photos__a_broken_photo_is_left_out_by_its_id(tmp_path, caplog):
    files = {"good.png": image_bytes(np.zeros((8, 8, 3), np.uint8)), "bad.png": b"no picture"}
    photos = PhotoSet.of_bytes("some", files, ["a", "b"], ["train", "train"])
    builder = ProcessedPhotos(cache_dir=str(tmp_path), config_name="jpeg", source=photos)
    builder.download_and_prepare()
    assert builder.as_dataset(split="train")["photo_id"][:] == ["good.png"]
    assert "bad.png is left out: not an image" in caplog.text
