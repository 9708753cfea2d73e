"""The same views built, wrapped, streamed, and processed as the benchmark does."""

import datasets
import numpy as np
import pytest

import builders
from builders.errors import PhotoError, UsageError
from builders.pixels import PARAMETERS, PROCESSINGS, assigned_class, decode_rgb
from builders.pixels.process import process
from builders.processed.build import build_processed
from builders.sources import read_hub_photos
from builders.sources.processed_sets import open_built


@pytest.fixture(scope="module")
def source(photo_folder, tmp_path_factory):
    """A data set as it comes from the Hub: Parquet with an image and a label, no ids."""
    root = tmp_path_factory.mktemp("source")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(photo_folder), cache_dir=str(root / "cache"))
    for split, part in loaded.items():
        part.cast_column("image", datasets.Image(decode=False)).map(_embed).to_parquet(
            str(root / "hub" / "data" / f"{split}-00000-of-00001.parquet")
        )
    return root / "hub"


def _embed(row):
    cell = row["image"]
    with open(cell["path"], "rb") as stream:
        return {"image": {"bytes": stream.read(), "path": None}}


@pytest.fixture(scope="module")
def loaded(source, tmp_path_factory):
    return datasets.load_dataset(str(source), cache_dir=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def photos(source):
    return read_hub_photos(str(source))


@pytest.mark.parametrize(("parameter", "assignment"), [("jpeg", "uniform"), ("interpolation", "every")])
def test_with_processing__equals_the_built_set_and_the_benchmark(parameter, assignment, photos, loaded, tmp_path):
    settings = {"assignment": assignment, "seed": 3, "assignment_seed": 2}
    build_processed(photos, tmp_path / "out", parameters=[parameter], progress=False, **settings)
    built = datasets.load_dataset(str(tmp_path / "out"), parameter, cache_dir=str(tmp_path / "cache"))
    stored = built.cast_column("image", datasets.Image(decode=False))
    wrapped = builders.with_processing(loaded, parameter, decode=False, **settings)
    viewed = builders.with_processing(loaded, parameter, **settings)
    names = ["photo_id", "label", parameter, "image", *(["scale"] if parameter == "interpolation" else [])]
    for split in ("train", "validation"):
        assert len(wrapped[split]) == len(stored[split])
        for one, other in zip(stored[split], wrapped[split], strict=True):
            assert {n: one[n] for n in names} == {n: other[n] for n in names}
        assert wrapped[split].features[parameter].names == list(PARAMETERS[parameter].classes)
        for i in range(0, len(viewed[split]), 7):
            row = viewed[split][i]
            photo = photos.ids.index(row["photo_id"])
            processing = PROCESSINGS[PARAMETERS[parameter].processings[row[parameter]]]
            benchmark = process(decode_rgb(photos.read(photo)), processing, row["photo_id"], 3)
            assert np.array_equal(np.asarray(benchmark), np.asarray(row["image"]))
            assert np.array_equal(np.asarray(benchmark), np.asarray(built[split][i]["image"]))
            if assignment == "uniform":
                assert row[parameter] == assigned_class(row["photo_id"], PARAMETERS[parameter], 2)


def test_with_processing__streamed_rows_are_the_same(source, loaded, tmp_path):
    stream = datasets.load_dataset(str(source), split="validation", streaming=True, cache_dir=str(tmp_path))
    for assignment in ("uniform", "every"):
        options = {"assignment": assignment, "decode": False}
        streamed = builders.with_processing(stream, "interpolation", **options)
        wrapped = builders.with_processing(loaded["validation"], "interpolation", **options)
        assert list(streamed) == list(wrapped)


def test_with_processing__rows_keep_their_ids_when_shuffled(loaded):
    plain = builders.with_processing(loaded["train"], "jpeg", decode=False)
    shuffled = builders.with_processing(loaded["train"].shuffle(seed=1).select(range(9)), "jpeg", decode=False)
    by_id = {row["photo_id"]: row for row in plain}
    assert len({row["photo_id"] for row in shuffled}) == 9
    assert all(by_id[row["photo_id"]] == row for row in shuffled)
    later = plain.shuffle(seed=2)
    assert {row["photo_id"] for row in later} == set(by_id)
    assert all(by_id[row["photo_id"]] == row for row in later.select(range(5)))


def test_with_processing__ids_from_a_column_or_a_list(loaded):
    part = loaded["train"]
    named = part.add_column("key", [f"k{i}" for i in range(len(part))])
    assert builders.with_processing(named, "jpeg", photo_id="key")[0]["photo_id"] == "train/k0"
    listed = builders.with_processing(part, "jpeg", photo_id=[f"x{i}" for i in range(len(part))])
    assert listed[3]["photo_id"] == "x3"
    assert listed[3]["jpeg"] == assigned_class("x3", PARAMETERS["jpeg"])


def test_with_processing__without_other_columns(loaded):
    bare = loaded["train"].remove_columns("label")
    row = builders.with_processing(bare, "resizing", assignment="every")[4]
    assert sorted(row) == ["image", "photo_id", "resizing"]
    assert (row["photo_id"], row["resizing"]) == ("train/1", 1)


def test_with_processing__wrong_names_are_one_sentence(loaded):
    part = loaded["train"]
    with pytest.raises(UsageError, match="'jpeg'"):
        builders.with_processing(part, "jpg")
    with pytest.raises(UsageError, match="'img'"):
        builders.with_processing(part, "jpeg", image="img")
    with pytest.raises(UsageError, match="'jpeg'"):
        builders.with_processing(part.rename_column("label", "jpeg"), "jpeg")
    with pytest.raises(UsageError, match="3 ids for 24 rows"):
        builders.with_processing(part, "jpeg", photo_id=["a", "b", "c"])
    with pytest.raises(UsageError):
        builders.with_processing(part, "jpeg", split="train[:10%]")


def test_with_processing__rows_name_files_of_their_own_folder_alone(photo_folder, tmp_path):
    loaded = datasets.load_dataset("imagefolder", data_dir=str(photo_folder), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(PhotoError):
        builders.with_processing(loaded["train"], "jpeg")[0]
    inside = builders.with_processing(loaded, "jpeg", folder=photo_folder, decode=False)
    assert len(inside["train"][:]["image"]) == len(loaded["train"])

    changed = loaded["train"].cast_column("image", datasets.Image(decode=False))[0]["image"]["path"]
    (tmp_path / "link.jpg").symlink_to("/etc/hostname")
    cells = [{"bytes": None, "path": path} for path in ("/etc/hostname", str(tmp_path / "link.jpg"), changed)]
    forged = datasets.Dataset.from_list([{"image": c} for c in cells], datasets.Features({"image": datasets.Image()}))
    views = builders.with_processing(forged, "jpeg", split="train", folder=photo_folder, decode=False)
    for row in (0, 1):
        with pytest.raises(PhotoError, match="outside"):
            views[row]
    assert views[2]["image"]["bytes"]
    streamed = builders.with_processing(forged.to_iterable_dataset(), "jpeg", split="train")
    with pytest.raises(PhotoError, match=r"/etc/hostname"):
        next(iter(streamed))
    with pytest.raises(UsageError):
        builders.with_processing(forged, "jpeg", folder=tmp_path / "none")


def test_with_processing__files_next_to_the_arrow_files_are_the_data_sets_own(photo_folder, tmp_path):
    photo = next(photo_folder.rglob("*.jpg"))
    datasets.Dataset.from_dict({"image": [str(tmp_path / "saved" / "a.jpg"), str(photo)]}).save_to_disk(
        tmp_path / "saved"
    )
    (tmp_path / "saved" / "a.jpg").write_bytes(photo.read_bytes())
    saved = datasets.load_from_disk(tmp_path / "saved").cast_column("image", datasets.Image())
    views = builders.with_processing(saved, "jpeg", split="train")
    assert views[0]["image"].size
    with pytest.raises(PhotoError, match="outside"):
        views[1]


def test_open_built__gives_the_stored_bytes_by_photo_and_class(photos, tmp_path):
    build_processed(photos, tmp_path / "out", parameters=["sharpening"], assignment="study", progress=False)
    built = open_built(str(tmp_path / "out"))
    assert built.parameter.name == "sharpening"
    assert built.photos.ids == photos.ids
    assert built.photos.ids_hash() == photos.ids_hash()
    assert built.complete.tolist() == [split == 1 for split in photos.splits]
    i = int(photos.indices("val")[2])
    pixels = process(decode_rgb(photos.read(i)), PROCESSINGS["sharpening-x4"], photos.ids[i])
    assert np.array_equal(np.asarray(decode_rgb(built.read(i, 2))), np.asarray(pixels))
    with pytest.raises(PhotoError, match="not the originals"):
        built.photos.read(0)
    missing = 0 if built.rows[0, 0] < 0 else 1
    with pytest.raises(PhotoError, match="there"):
        built.read(0, missing)
