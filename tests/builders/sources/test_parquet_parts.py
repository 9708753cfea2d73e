"""Parquet files of a folder are read where they lie: the rows of ``load_dataset``, and no copy in its cache."""

import pickle
import threading

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.check import check_folder
from builders.kinds import open_photos
from builders.processed.build import build_processed
from builders.sources import parquet_parts
from builders.sources.folders import labelled_folder
from builders.sources.parquet_parts import ParquetPart, local_splits
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
    found = local_splits(str(folder), None)
    assert copies(cache) == []
    loaded = datasets.load_dataset(str(folder))
    assert {name: len(part) for name, part in found.items()} == {name: len(part) for name, part in loaded.items()}
    assert len(found["train"].groups) == 6
    for name, part in found.items():
        theirs = loaded[name].cast_column("image", datasets.Image(decode=False))
        assert part.features == loaded[name].features
        assert (part["photo_id"], part["kind"]) == (list(theirs["photo_id"]), list(theirs["kind"]))
        assert list(part) == list(theirs)
        assert [part[i] for i in range(len(part))[::-3]] == [theirs[i] for i in range(len(part))[::-3]]
        assert part.holds_all_bytes("image")
    with pytest.raises(IndexError):
        found["test"][5]


def test_hub_photos__of_a_folder_are_read_in_place(folder, cache):
    photos = open_photos(f"hub:{folder}")
    assert isinstance(photos.source.parts[0], ParquetPart)
    assert photos.ids[:2] == ("train/p0", "train/p1")
    assert (photos.labels.names, len(photos.indices("val"))) == (("cat", "dog"), 5)
    elsewhere = pickle.loads(pickle.dumps(photos))
    assert [elsewhere.read(i) for i in range(45)] == [photo_bytes(i, (9, 8)) for i in range(45)]
    first = photos.source.stamps(np.arange(45))
    assert len({stamp.text for stamp in first}) == 45
    assert photos.source.stamps(np.arange(45)) == first
    assert copies(cache) == []


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


def test_local_splits__large_row_groups_are_left_to_load_dataset(folder, cache, monkeypatch):
    monkeypatch.setattr(parquet_parts, "LARGEST_GROUP", 100)
    assert local_splits(str(folder), None) is None
    photos = open_photos(f"hub:{folder}")
    assert photos.read(3) == photo_bytes(3, (9, 8))
    assert copies(cache)


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
