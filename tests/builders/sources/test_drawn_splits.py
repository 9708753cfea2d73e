"""Splits that are drawn where a source has none: what is stratified, what stays together, and what is passed on."""

from __future__ import annotations

import dataclasses
import os
from types import SimpleNamespace

import numpy as np
import pytest

from builders.errors import DataError, PhotoError
from builders.photos import ColumnSources, Labels, PhotoSet
from builders.sources import folders
from builders.sources.columns import given, named, tables
from builders.sources.columns.given import with_columns
from builders.sources.columns.named import pathorob_photos
from builders.sources.folders import FolderSource, drawn_splits, labelled_folder, photo_set, seeded_splits, split_word
from builders.untrusted import RemoteFacts


def photos_of(**more):
    photos = PhotoSet.of_bytes("set", {f"{i}": b"" for i in range(6)}, ["x", "y", "x", "y", "x", "z"])
    site = Labels(("n", "s"), np.array([0, 1, -1, 1, 0, 1], dtype=np.int32))
    values = photos.labels.values.copy()
    values[5] = -1
    labels = dataclasses.replace(photos.labels, values=values)
    return dataclasses.replace(photos, labels=labels, groups={"site": site}, evidence={"note": "n"}, **more)


@pytest.fixture
def made(monkeypatch):
    """Calls of ``make_splits``, and the groups and splits that it gives."""
    calls, result = [], SimpleNamespace(groups=np.array([0, 0, 1, 1, 1, 2]), splits=np.array([0, 0, 1, 1, 1, 0]))
    monkeypatch.setattr(folders, "make_splits", lambda *given, **named: calls.append((given, named)) or result)
    return calls, result


@pytest.mark.parametrize("columns", [("cluster",), ("scene",), ("cluster", "scene")])
def test_drawn__clusters_are_owners_and_cells_are_strata(made, columns):
    calls, result = made
    names = {"cluster": np.array(list("aabbbc")), "scene": np.array(list("uvwxyz"))}
    photos = drawn_splits(photos_of(columns={name: names[name] for name in columns}), seed=4, val_share=0.3)
    [((ids, strata), options)] = calls
    assert (ids, list(strata)) == (tuple("012345"), ["label", "group site", "cell site"])
    assert strata["label"].tolist() == [0, 1, 0, 1, 0, -1]
    assert strata["group site"].tolist() == [0, 1, -1, 1, 0, 1]
    assert strata["cell site"].tolist() == [0, 3, -1, 3, 0, -1]  # of label 0: 0 and 1, of label 1: 2 and 3
    assert options == {
        "owners": names[columns[0]].tolist(), "shares": (0.7, 0.3, 0.0), "assign": "stratified", "seed": 4,
    }  # fmt: skip
    assert (photos.splits.tolist(), photos.drawn_splits) == ([0, 0, 1, 1, 1, 0], True)
    assert dict(photos.evidence) == {
        "note": "n", "splits": "seeded split of each class, seed 4, 0.3 of the photos for val, clusters apart",
    }  # fmt: skip
    result.splits = np.zeros(6, dtype=np.int8)  # too few clusters for the shares: the smallest is val
    assert drawn_splits(photos, seed=4, val_share=0.3).splits.tolist() == [0, 0, 0, 0, 0, 1]
    result.groups = np.zeros(6, dtype=np.int64)
    with pytest.raises(DataError) as refused:
        drawn_splits(photos, seed=4, val_share=0.3)
    column = columns[0]
    assert str(refused.value) == f"set: all photos are of one {column}, and no split can be drawn between {column}s"


def test_drawn__without_clusters_each_class_is_divided(made):
    photos = drawn_splits(photos_of(), seed=4, val_share=0.3)
    classes = ["x", "y", "x", "y", "x", None]
    splits = seeded_splits(tuple("012345"), classes, seed=4, val_share=0.3)
    assert photos.splits.tolist() == [("train", "val").index(split) for split in splits]
    assert (photos.drawn_splits, made[0]) == (True, [])
    assert photos.evidence["splits"] == "seeded split of each class, seed 4, 0.3 of the photos for val"


@pytest.mark.parametrize(
    ("drawn", "sources", "again"),
    [
        (True, {"label": "folder:1"}, True), (True, {"cluster": "folder:1"}, True), (True, {"scene": "folder:1"}, True),
        (True, {"source": "folder:1"}, False), (True, {"group": ("where=folder:1",)}, False),
        (False, {"label": "folder:1", "cluster": "folder:1"}, False),
    ],
)  # fmt: skip
def test_columns__when_a_split_is_drawn_again(monkeypatch, drawn, sources, again):
    calls = []
    monkeypatch.setattr(given, "drawn_splits", lambda photos, **named: calls.append(named) or photos)
    photos = PhotoSet.of_bytes("set", {f"{k}/{i}": b"" for k in "ab" for i in range(2)})
    with_columns(dataclasses.replace(photos, drawn_splits=drawn), ColumnSources.of(**sources), seed=4, val_share=0.3)
    assert calls == ([{"seed": 4, "val_share": 0.3}] if again else [])


def test_columns__clusters_in_several_splits_are_counted():
    files = {f"{k}/{i}": b"" for k in "abc" for i in range(2)}
    photos = PhotoSet.of_bytes("set", files, splits=["train", "val"] * 2 + ["train"] * 2)
    made = with_columns(photos, ColumnSources.of(cluster="folder:1", source="folder:1", scene="folder:1"))
    assert made.evidence["clusters"] == "3 clusters, 2 of them in several splits"
    assert [made.columns[name].tolist() for name in ("cluster", "source", "scene")] == [list("aabbcc")] * 3
    assert {name: made.evidence[name] for name in ("cluster=", "source=", "scene=")} == dict.fromkeys(
        ("cluster=", "source=", "scene="), "folder:1"
    )
    assert with_columns(photos, ColumnSources()) is photos


def test_tables__what_is_passed_on(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(tables, "with_columns", lambda photos, columns, **named: calls.append(named) or photos)
    monkeypatch.setattr(tables, "drawn_splits", lambda photos, **named: calls.append(("drawn", named)) or photos)
    (tmp_path / "t.csv").write_text("key,site,side\na,n,train\nb,s,val\n")
    place = str(tmp_path / "t.csv")
    for sources, again, columns in (
        ({}, True, []), ({"group": ("g=site",)}, True, ["site"]), ({"label": "site"}, False, ["site"]),
        ({"cluster": "site"}, False, ["site"]), ({"scene": "site"}, False, ["site"]),
        ({"split": "side"}, False, ["side"]),
    ):  # fmt: skip
        calls.clear()
        photos = tables.table_photos(place, id="key", columns=ColumnSources.of(**sources), seed=4, val_share=0.3)
        assert (photos.ids, photos.name, photos.evidence["revision"]) == (("a", "b"), "table:t.csv", "local")
        assert calls[:-1] == ([("drawn", {"seed": 4, "val_share": 0.3})] if again else [])
        assert list(calls[-1].pop("table")) == columns
        assert calls[-1] == {"seed": 4, "val_share": 0.3}


def test_pathorob__its_table_and_options(monkeypatch, tmp_path):
    calls = []
    photos = PhotoSet.of_bytes("set", {"a": b""})
    monkeypatch.setattr(
        named, "table_photos", lambda *positional, **options: calls.append((positional, options)) or photos
    )
    (tmp_path / "one.csv").write_text("x\n")
    (tmp_path / "notes.txt").write_text("x\n")
    of_user = ColumnSources.of(label="mine", group=("more=x",))
    made = pathorob_photos(str(tmp_path), image="i", root="r", columns=of_user, seed=4, val_share=0.3)
    usual = ColumnSources.of("mine", ("medical_center", "more=x"), "slide_id", "", "subset")
    assert calls == [
        ((str(tmp_path / "one.csv"),),
         {"image": "i", "id": "slide_id,patch_id", "root": "r", "columns": usual, "seed": 4, "val_share": 0.3}),
    ]  # fmt: skip
    assert made.name == "pathorob:one"
    pathorob_photos(str(tmp_path / "one.csv"), id="k", columns=ColumnSources())
    assert calls[1][1]["id"] == "k"
    assert calls[1][1]["columns"] == ColumnSources.of("biological_class", ("medical_center",), "slide_id", "", "subset")


def test_openfake__its_columns_and_options(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "builders.sources.columns.detection_sets.read_hub_photos",
        lambda *positional, **options: calls.append((positional, options)),
    )
    from builders.sources.columns.detection_sets import openfake_photos

    openfake_photos("o/n", revision="r", columns=ColumnSources.of(label="mine"), seed=4, val_share=0.3, config="c")
    assert calls == [
        (("o/n",), {"revision": "r", "columns": ColumnSources.of("mine", ("generator=model",), "prompt"), "seed": 4,
                    "val_share": 0.3, "config": "c"}),
    ]  # fmt: skip


def test_words__of_splits():
    words = {
        "train": ("Train", "TRAINING"),
        "val": ("val", "valid", " Validation ", "dev"),
        "test": ("test", "Testing"),
    }
    assert all(split_word(word) == split for split, spellings in words.items() for word in spellings)
    assert [split_word(word) for word in ("", "trains", "id_val", "test2", "eval")] == [None] * 5


def test_photo_set__from_columns_of_names():
    source = FolderSource("/", ("a", "b"))
    photos = photo_set("set", ["a", "b"], ["x", None], ["test", "val"], source, {"k": "v"}, neighbours=3)
    assert (photos.name, photos.ids, photos.splits.tolist(), photos.rows.tolist()) == (
        "set",
        ("a", "b"),
        [2, 1],
        [0, 1],
    )
    assert (photos.labels.names, photos.labels.values.tolist()) == (("x",), [0, -1])
    assert (photos.source, photos.evidence, photos.neighbours, photos.drawn_splits) == (source, {"k": "v"}, 3, False)
    assert photo_set("set", [], [], [], source, {}).neighbours == 10


def test_folder__of_a_store_whole(monkeypatch):
    files = {
        "train/a/1.jpg": RemoteFacts(5, "e1"), "train/a/.h.jpg": RemoteFacts(1, ""), ".x/y.jpg": RemoteFacts(1, ""),
        "val/b/2.jpg": RemoteFacts(6, "e2"), "val/3.jpg": RemoteFacts(7, "e3"), "train/z.ZIP": RemoteFacts(8, ""),
    }  # fmt: skip
    requested = []
    monkeypatch.setattr("builders.untrusted.files_of_store", lambda place: requested.append(place) or files)
    photos = labelled_folder("s3://b/set/")
    assert requested == ["s3://b/set"]
    assert photos.ids == ("train/a/1.jpg", "val/b/2.jpg", "val/3.jpg")
    assert (photos.source.root, photos.source.paths) == ("s3://b/set", photos.ids)
    assert [file.identity for file in photos.source.files] == ["e1", "e2", "e3"]
    assert (photos.name, photos.labels.names, photos.labels.values.tolist()) == ("folder:set", ("a", "b"), [0, 1, -1])
    assert dict(photos.evidence) == {
        "splits": "as given by the folder", "left out": "archives, which are no photos: 1 (the first: train/z.ZIP)",
    }  # fmt: skip
    assert (photos.splits.tolist(), photos.drawn_splits) == ([0, 1, 1], False)
    for name in ("val/b/2.jpg", "val/3.jpg"):
        files[name.replace("val", "test")] = files.pop(name)
    assert labelled_folder("s3://b/set").splits.tolist() == [0, 1, 1]  # a test split alone is val
    files["valid/b/4.jpg"] = RemoteFacts(6, "e2")
    assert sorted(labelled_folder("s3://b/set").splits.tolist()) == [0, 1, 2, 2]


def test_source__heads_and_faults(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"12345")
    source = FolderSource(str(tmp_path), ("a", "gone"))
    monkeypatch.setattr(folders, "MAX_PHOTO_BYTES", 3)
    assert source.head(0, 99) == (b"123", 5)
    with pytest.raises(PhotoError, match=r"^5 bytes, more than the 3 bytes that such a file may have$"):
        source.read(0)
    for call in (lambda: source.read(1), lambda: source.head(1, 3)):
        with pytest.raises(PhotoError, match=r"^the file cannot be read \(No such file or directory\)$"):
            call()
    closed = []
    monkeypatch.setattr(folders.os, "close", lambda number, close=os.close: closed.append(number) or close(number))
    monkeypatch.setattr(folders.os, "read", lambda *given: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(PhotoError, match=r"^the file cannot be read \(Input/output error\)$"):
        source.head(0, 3)
    assert len(closed) == 1
