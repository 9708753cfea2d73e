"""Parquet files of a folder are read in place: the rows of ``load_dataset``, without a copy in its cache."""

import hashlib
import json
import os
import pickle
import threading

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.check import check_folder
from builders.check.cli import main as check_main
from builders.check.cli import table as checks_table
from builders.data_specs import open_photos
from builders.errors import DataError, PhotoError
from builders.processed.build import build_processed
from builders.sources import labelled_folder, local_splits, parquet_splits
from builders.sources.parquet_splits import ParquetPart
from tests.conftest import photo_bytes


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where ``datasets`` would put its copies."""
    cache = tmp_path / "cache"
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    return cache


@pytest.fixture
def folder(tmp_path):
    """40 train rows in two files of row groups of 7, 5 test rows; ids, classes, photos."""
    features = {"photo_id": datasets.Value("string"), "image": datasets.Image()}
    features["kind"] = datasets.ClassLabel(names=["cat", "dog"])
    place = tmp_path / "some set"
    for name, numbers in (("train-00000", range(20)), ("train-00001", range(20, 40)), ("test-00000", range(40, 45))):
        rows = [
            {"photo_id": f"p{i}", "image": {"bytes": photo_bytes(i, (9, 8)), "path": f"{i}.jpg"}, "kind": i % 2}
            for i in numbers
        ]
        data = datasets.Dataset.from_list(rows, features=datasets.Features(features))
        data.to_parquet(str(place / "data" / f"{name}-of-00001.parquet"), batch_size=7)
    return place


def copies(cache):
    return list(cache.rglob("*.arrow"))


def test_local_splits__are_those_of_load_dataset(folder, cache):
    result = local_splits(str(folder), None)
    assert copies(cache) == []
    loaded = datasets.load_dataset(str(folder))
    assert {name: len(part) for name, part in result.items()} == {name: len(part) for name, part in loaded.items()}
    assert len(result["train"].groups) == 6
    for name, part in result.items():
        reference = loaded[name].cast_column("image", datasets.Image(decode=False))
        assert part.features == loaded[name].features
        assert (part["photo_id"], part["kind"]) == (list(reference["photo_id"]), list(reference["kind"]))
        assert list(part) == list(reference)
        assert [part[i] for i in range(len(part))[::-3]] == [reference[i] for i in range(len(part))[::-3]]
        assert part.holds_all_bytes("image")
    with pytest.raises(IndexError):
        result["test"][5]


def test_hub_photos__of_a_folder_are_read_in_place(folder, cache):
    photos = open_photos(f"hub:{folder}")
    assert isinstance(photos.source.parts[0], ParquetPart)
    assert photos.ids[:2] == ("train/p0", "train/p1")
    assert (photos.labels.names, len(photos.indices("val"))) == (("cat", "dog"), 5)
    elsewhere = pickle.loads(pickle.dumps(photos))
    assert [elsewhere.read(i) for i in range(45)] == [photo_bytes(i, (9, 8)) for i in range(45)]
    first = list(photos.source.stamps(np.arange(45)))
    assert len({stamp.text for stamp in first}) == 45
    assert list(photos.source.stamps(np.arange(45))) == first
    assert copies(cache) == []


def test_stamps__of_two_pictures_in_a_row_differ(tmp_path, cache):
    """The same row of the same file: the hash of one picture must not be taken for that of the other."""
    cells = [{"bytes": photo_bytes(i, (9, 8)), "path": None} for i in range(4)]
    features = datasets.Features({"left": datasets.Image(), "right": datasets.Image()})
    data = datasets.Dataset.from_list(
        [{"left": a, "right": b} for a, b in zip(cells[::2], cells[1::2], strict=True)], features=features
    )
    data.to_parquet(str(tmp_path / "two" / "train.parquet"))
    left, right = (open_photos(f"hub:{tmp_path / 'two'}?image={name}") for name in ("left", "right"))
    assert left.read(0) != right.read(0)
    assert not {stamp.text for stamp in left.stamps()} & {stamp.text for stamp in right.stamps()}


def test_hub_photos__threads_read_side_by_side(folder, cache):
    photos = open_photos(f"hub:{folder}")
    wrong = []

    def read(start):
        wrong.extend(i for i in range(start, 45, 4) for _ in range(3) if photos.read(i) != photo_bytes(i, (9, 8)))

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_holds_all_bytes__says_no_where_a_row_names_a_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(photo_bytes(1))
    rows = [{"image": {"bytes": None, "path": "a.jpg"}}]
    (tmp_path / "set").mkdir()
    schema = datasets.Features({"image": datasets.Image()}).arrow_schema
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "set" / "train.parquet")
    [part] = local_splits(str(tmp_path / "set"), None).values()
    assert not part.holds_all_bytes("image")


def test_check__reads_a_build_where_it_lies(tmp_path, photo_folder, cache):
    built = tmp_path / "built"
    build_processed(labelled_folder(str(photo_folder)), built, parameters=["sharpening"], workers=1, progress=False)
    checks = check_folder(built, progress=False)
    assert len(checks) > 5
    assert all(check.passed for check in checks), [c for c in checks if not c.passed]
    assert copies(cache) == []


@pytest.mark.slow
def test_built__is_remembered_by_the_stamps_of_its_files(tmp_path, photo_folder, cache):
    options = {"parameters": ["sharpening", "interpolation"], "assignment": "every", "workers": 1, "progress": False}
    build_processed(labelled_folder(str(photo_folder)), tmp_path / "set", **options)
    first = list(open_photos(f"built:{tmp_path / 'set'}").stamps())
    assert len({stamp.text for stamp in first}) == 36
    assert list(open_photos(f"built:{tmp_path / 'set'}").stamps()) == first
    assert list(open_photos(f"built:{tmp_path / 'set'}").select([7, 3]).stamps()) == [first[7], first[3]]
    touched = sorted((tmp_path / "set" / "data" / "interpolation").iterdir())[-1]
    os.utime(touched, ns=(0, touched.stat().st_mtime_ns + 1))
    again = open_photos(f"built:{tmp_path / 'set'}").stamps()
    assert not {stamp.text for stamp in again} & {stamp.text for stamp in first}
    assert again[0].changed_ns >= first[0].changed_ns


def test_parquet_part__a_damaged_page_is_a_photo_that_cannot_be_read(folder, cache):
    file = folder / "data" / "test-00000-of-00001.parquet"
    start = pq.ParquetFile(file).metadata.row_group(0).column(1).data_page_offset
    data = bytearray(file.read_bytes())
    data[start : start + 40] = b"\xff" * 40
    file.write_bytes(data)
    photos = open_photos(f"hub:{folder}")
    with pytest.raises(PhotoError):
        photos.read(40)
    assert photos.read(39) == photo_bytes(39, (9, 8))
    part = local_splits(str(folder), None)["test"]
    with pytest.raises(DataError, match=r"test-00000-of-00001\.parquet"):
        list(part)
    with pytest.raises(DataError):
        part["image"]


@pytest.mark.slow
def test_parquet_part__a_dictionary_that_unfolds_without_end_is_refused(tmp_path, cache, monkeypatch):
    """One photo of 100 kB that a thousand rows name: 120 kB on the disk."""
    monkeypatch.setattr(parquet_splits, "MAX_UNPACKED", 1 << 22)
    rows = [{"image": {"bytes": b"x" * 100_000, "path": None}, "word": "y" * 9000}] * 1000
    schema = datasets.Features({"image": datasets.Image(), "word": datasets.Value("string")}).arrow_schema
    (tmp_path / "set").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "set" / "train.parquet")
    assert (tmp_path / "set" / "train.parquet").stat().st_size < 200_000
    photos = open_photos(f"hub:{tmp_path / 'set'}")
    with pytest.raises(PhotoError, match="unfolds"):
        photos.read(3)
    with pytest.raises(DataError):
        open_photos(f"hub:{tmp_path / 'set'}?label=word")


def test_check__a_recipe_or_rows_that_lack_something_fail_a_check(tmp_path, photo_folder):
    built = tmp_path / "built"
    build_processed(labelled_folder(str(photo_folder)), built, parameters=["sharpening"], workers=1, progress=False)
    written = json.loads((built / "build.json").read_text())
    for recipe in ({}, {"settings": 5}, {"settings": []}, {"settings": [{"parameter": "sharpening"}]}):
        (built / "build.json").write_text(json.dumps({**written, "recipe": recipe}))
        failed = [check.name for check in check_folder(built, progress=False) if not check.passed]
        assert failed == ["recipe and columns are those of its kind"] * 2, recipe
    [file] = (built / "data" / "sharpening").glob("train*")
    table = pq.read_table(file)
    for column, values in (("sharpening", [None] * 24), ("image", [None] * 24), ("photo_id", ["\x1b[31m"] * 24)):
        at = table.column_names.index(column)
        spoilt = table.set_column(at, table.field(column), pa.array(values, table.field(column).type))
        pq.write_table(spoilt, file)
        changed = json.loads(json.dumps(written))
        for shard in (shard for split in changed["splits"] for shard in split["shards"]):
            if shard["file"].endswith(file.name):
                shard["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        (built / "build.json").write_text(json.dumps(changed))
        checks = check_folder(built, progress=False)
        assert not all(check.passed for check in checks), column
        assert "\x1b" not in checks_table(checks)
    (built / "build.json").write_text(json.dumps({**written, "splits": []}))
    assert check_main([str(built)]) == 1  # nothing was checked
    for name in ("kind", "default"):
        (built / "build.json").write_text(json.dumps({**written, name: "\x1b[31m"}))
        with pytest.raises(DataError):
            check_folder(built, progress=False)
