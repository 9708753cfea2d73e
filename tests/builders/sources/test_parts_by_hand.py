"""Parts of the readers by hand: draws, windows, splits, pairs, ids and names, with both sides of every bound."""

from __future__ import annotations

import dataclasses
import os
import re

import numpy as np
import pytest

from builders.errors import DataError, PhotoError, UsageError
from builders.photos import UNLABELLED, ColumnSources, PhotoSet, hash64, labels_of
from builders.sources import (
    DatasetRepo,
    FolderSource,
    PairRow,
    labelled_folder,
    mapped_splits,
    open_table,
    table_photos,
    with_columns,
)
from builders.sources.columns.named import with_usual
from builders.sources.columns.tables import picture_paths
from builders.sources.folders import drawn_splits, seeded_splits, shard_pattern
from builders.sources.pair_proposals import APART_S, clock_offset, nearest_pairs


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_seeded_splits__by_a_plain_loop(seed, share):
    """Of each class the photos with the lowest hashes are val: its share, at least one and not all of two or more."""
    classes = ["a"] * 1 + ["b"] * 2 + ["c"] * 3 + [None] * 10
    ids = [f"photo {i}" for i in range(len(classes))]
    expected = {}
    for name in {*classes}:
        members = sorted((i for i, c in zip(ids, classes, strict=True) if c == name),
                         key=lambda i: hash64(f"split\0{seed}\0{i}"))  # fmt: skip
        count = round(len(members) * share)
        count = 0 if len(members) == 1 else min(max(count, 1), len(members) - 1)
        expected |= {id: "val" if rank < count else "train" for rank, id in enumerate(members)}
    assert seeded_splits(ids, classes, seed=seed, val_share=share) == [expected[i] for i in ids]
    back = seeded_splits(ids[::-1], classes[::-1], seed=seed, val_share=share)
    assert back == [expected[i] for i in ids[::-1]]
    assert seeded_splits([], [], seed=0, val_share=0.5) == []


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["a-0.tar"], "a-0.tar"), (["a-0.tar", "a-1.tar", "a-10.tar"], "a-0.tar"),
        (["a-2.tar", "a-1.tar"], "a-{1..2}.tar"), (["a-01.tar", "a-02.tar", "a-03.tar"], "a-{01..03}.tar"),
        (["a-1.tar", "b-2.tar"], "a-1.tar"), (["a-1.tar", "x.tar"], "a-1.tar"),
        (["a-1-x.tar", "a-2-x.tar"], "a-{1..2}-x.tar"), (["a-1-x.tar", "a-2-y.tar"], "a-1-x.tar"),
    ],
)  # fmt: skip
def test_shard_pattern__a_range_where_the_numbers_are_one(names, pattern):
    assert shard_pattern("/d", names) == f"webdataset:/d/{pattern}"


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return str(root)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "no photo in this folder$"),
        (
            ("a-0.tar", "a-1.tar"),
            r"which holds 2 archives \(the first: a-0.tar\); did you mean 'webdataset:.*\{0..1\}.tar'",
        ),
        (("a.ZIP",), r"which holds 1 archives \(the first: a.ZIP\): unpack them$"),
        (("train/a.tgz", "val/b.tar.gz"), r"which holds 2 archives \(the first: train/a.tgz\): unpack them$"),
    ],
)
def test_folder__without_photos(tmp_path, files, words):
    with pytest.raises(DataError, match=words):
        labelled_folder(write(tmp_path, *files))


def test_folder__archives_are_left_out_and_required_splits(tmp_path):
    path = write(tmp_path / "set", "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "b/x.zip", "loose.jpg", ".hidden/1.jpg")
    photos = labelled_folder(path, seed=3, val_share=0.5)
    assert photos.ids == ("loose.jpg", "a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")
    assert photos.evidence == {
        "splits": "seeded split of each class, seed 3, 0.5 of the photos for val",
        "left out": "archives, which are no photos: 1 (the first: b/x.zip)",
    }
    assert (photos.name, photos.labels.names, photos.labels.values.tolist()) == (
        "folder:set",
        ("a", "b"),
        [-1, 0, 0, 1, 1],
    )
    with pytest.raises(DataError):
        labelled_folder(path, splits_required=True)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        labelled_folder(str(tmp_path / "nowhere"))
    both = labelled_folder(write(tmp_path / "both", "train/a/1.jpg", "val/a/2.jpg", "other/3.jpg", "val/4.jpg"))
    assert (both.ids, both.labels.values.tolist()) == (("train/a/1.jpg", "val/4.jpg", "val/a/2.jpg"), [0, -1, 0])
    assert dict(both.evidence) == {"splits": "as given by the folder"}


def test_folder_source__files_and_heads(tmp_path):
    write(tmp_path, "a.jpg")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "pipe")
    source = FolderSource(os.path.relpath(tmp_path), ("a.jpg", "d", "gone.jpg", "pipe"))
    assert (source.root, source.read(0), source.path(0)) == (str(tmp_path), b"a.jpg", str(tmp_path / "a.jpg"))
    assert [source.head(0, n) for n in (0, 2, 99)] == [(b"", 5), (b"a.", 5), (b"a.jpg", 5)]
    for row, read, head in ((1, "not a regular file", "not a regular file"),
                            (2, "the file cannot be read .No such file", "the file cannot be read .No such file"),
                            (3, "not a regular file", "not a regular file")):  # fmt: skip
        with pytest.raises(PhotoError, match=read):
            source.read(row)
        with pytest.raises(PhotoError, match=head):
            source.head(row, 10)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["train", "VAL", "Testing"], [0, 1, 2]), (["training", "test"], [0, 1]), (["train", "dev"], [0, 1]),
        (["train"] * 9 + ["valid"] * 9 + [None] * 2, [0] * 9 + [1] * 9 + [UNLABELLED] * 2),
    ],
)  # fmt: skip
def test_mapped_splits__names_of_any_case(values, expected):
    assert mapped_splits(labels_of(values), "set").tolist() == expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["train"] * 9 + ["val"] * 8 + [None] * 2, "set: 2 of 19 photos have no split; give each one"),
        (["train"] * 3, "split= has only 'train': train and val are needed"),
        (["val", "test"], "split= has only 'test' and 'val'"),
        (["train", "x", "x", "y"], r"has the values 'x' \(2\), 'y' \(1\); camtrace knows"),
        ([*"abcde"], r"'a' \(1\), 'b' \(1\), 'c' \(1\), 'd' \(1\), 'e' \(1\); "),
        ([*"abcdef"], r"'e' \(1\), \.\.\.; "),
    ],
)
def test_mapped_splits__that_cannot_be(values, words):
    with pytest.raises(DataError, match=words):
        mapped_splits(labels_of(values), "set")


def photos_of(count, **columns):
    photos = PhotoSet.of_bytes("set", {f"{i}.jpg": b"" for i in range(count)})
    return dataclasses.replace(photos, columns={k: np.array(v) for k, v in columns.items()})


def test_columns__photos_without_a_split_are_left_out_and_named():
    photos = photos_of(12, side=["train"] * 6 + ["", *["val"] * 5])
    changed = with_columns(photos, ColumnSources.of(split="side", source="side"))
    assert (len(changed), changed.drawn_splits) == (11, False)
    assert changed.evidence["left out"] == "1 photos without a split (the first: 6.jpg)"
    assert changed.evidence["splits"] == "as given by side"
    assert (changed.evidence["split="], changed.evidence["source="]) == ("side", "side")
    assert changed.columns["source"].tolist() == ["train"] * 6 + ["val"] * 5


@pytest.mark.parametrize("name", ["original", "adversary", "pairs", "label", "jpeg", "iso", "focal-length"])
def test_columns__groups_that_are_questions_already(name):
    photos = photos_of(4, side=[*"aabb"])
    sources = ColumnSources.of(group=(f"{name}=side",))
    with pytest.raises(UsageError, match=re.escape(str(name))):
        with_columns(photos, sources)


def test_columns__the_first_of_clusters_and_scenes_divides():
    photos = photos_of(8, cluster=[*"aabbccdd"], scene=[*"abababab"])
    drawn_set = drawn_splits(photos, seed=0, val_share=0.25)
    sides = {c: {int(s) for k, s in zip("aabbccdd", drawn_set.splits, strict=True) if k == c} for c in "abcd"}
    assert all(len(values) == 1 for values in sides.values())
    with pytest.raises(DataError):
        drawn_splits(photos_of(4, scene=["x"] * 4), seed=0, val_share=0.25)


def test_with_usual__what_a_user_names_comes_first():
    usual = ColumnSources.of(label="l", group=("g=a", "h=b"), cluster="c", split="s", source="o", scene="n")
    assert with_usual(ColumnSources.of(), usual) == usual
    given = ColumnSources.of(label="L", group=("g=A", "k=B"), cluster="C", split="S", source="O", scene="N")
    both = with_usual(given, usual)
    assert dict(both.groups) == {"g": "A", "h": "b", "k": "B"}
    assert (both.label, both.cluster, both.split, both.source, both.scene) == tuple("LCSON")


@pytest.mark.parametrize(
    ("columns", "named"), [("a,file,path", "path"), ("a,filename,file_name", "file_name"), ("a,image", "image"),
                           ("a,b", "COLUMN"), ("a,file", "file"), ("a,filename", "filename")]
)  # fmt: skip
def test_table__suggests_the_usual_column_of_pictures(tmp_path, columns, named):
    (tmp_path / "t.csv").write_text(f"{columns}\n{columns}\n")
    with pytest.raises(UsageError, match=rf"name the pictures \(image={named}\)"):
        table_photos(str(tmp_path / "t.csv"), columns=ColumnSources.of())


@pytest.mark.parametrize(
    ("text", "suffix", "names"),
    [("a,b;c\n1,2;3\n", ".csv", ("a", "b;c")), ("a;b\n1;2\n", ".csv", ("a", "b")), ("a\n1\n", ".csv", ("a",)),
     ("a,b\tc\n1,2\t3\n", ".tsv", ("a,b", "c")), ("a,b\tc\n1,2\t3\n", ".csv", ("a", "b\\x09c")),
     ("a;b,c\n1;2\n", ".csv", ("a", "b,c")), ("a,b,c\td\n1,2,3\t4\n", ".tsv", ("a,b,c", "d")),
     ("a,b\n1,2\n", ".tsv", ("a", "b"))],
)  # fmt: skip
def test_table__separators(tmp_path, text, suffix, names):
    (tmp_path / f"t{suffix}").write_text(text)
    assert open_table(tmp_path / f"t{suffix}", ()).names == names


def test_pictures__the_first_hundred_are_looked_for(tmp_path):
    write(tmp_path, "there.jpg")
    absent = [f"{i}.jpg" for i in range(100)]
    assert picture_paths([*absent[:99], "there.jpg"], tmp_path, "t")[-1] == "there.jpg"
    with pytest.raises(DataError, match="0.jpg"):
        picture_paths([*absent, "there.jpg"], tmp_path, "t")
    assert picture_paths([], tmp_path, "t") == ()
    for bad, words in (("a\0b", "outside the folder"), (".", "outside the folder"), (None, "row 2 names no picture"),
                       ("s3://b/a.jpg", "row 2 names an address"), ("../x", "outside")):  # fmt: skip
        with pytest.raises(DataError, match=words):
            picture_paths(["there.jpg", bad], tmp_path, "t")


def row(pair, kind, camera="X", id=None):
    return PairRow(id or f"{pair}/{kind}", pair, camera, kind)


@pytest.mark.parametrize("seed", range(6))
def test_nearest_pairs__by_a_plain_loop(seed):
    rng = np.random.default_rng(seed)
    phone, camera = (np.sort(rng.choice(2000, n, replace=False)).astype(float) for n in (1 + seed, 7))
    expected = []
    for i, at in enumerate(phone):
        j = int(np.argmin(np.abs(camera - at)))
        back = int(np.argmin(np.abs(phone - camera[j])))
        if back == i and abs(camera[j] - at) <= APART_S:
            expected.append((i, j))
    assert nearest_pairs(phone, camera) == expected


def test_nearest_pairs__bounds():
    for apart, count in ((APART_S, 1), (APART_S + 0.5, 0), (-APART_S, 1), (-APART_S - 0.5, 0)):
        assert len(nearest_pairs(np.array([1000.0]), np.array([1000.0 + apart]))) == count
    empty = np.array([])
    assert nearest_pairs(empty, np.array([1.0])) == nearest_pairs(np.array([1.0]), empty) == []
    assert clock_offset(empty, np.array([1.0])) == clock_offset(np.array([1.0]), empty) == 0.0
    assert clock_offset(np.array([0.0]), np.array([-40.0, 50.0])) == 50.0  # the bins of 30 s: -2 and 1
    assert clock_offset(np.array([0.0, 1000.0, 2000.0]), np.array([25.0, 1035.0, 2031.0])) == 31.0


def test_repository__of_a_place_and_a_revision(tmp_path):
    (tmp_path / "a@b").mkdir()
    assert DatasetRepo.parse(str(tmp_path / "a@b")) == DatasetRepo(str(tmp_path / "a@b"))
    assert DatasetRepo.parse("org/name") == DatasetRepo("org/name", None) == DatasetRepo.parse("org/name@")
    assert [str(DatasetRepo("o/n", revision)) for revision in (None, "v1")] == ["o/n", "o/n@v1"]
    local = DatasetRepo(str(tmp_path / "a@b"))
    assert (local.local, local.name, local.resolved_revision()) == (True, "a@b", "local")
    assert (DatasetRepo("o/n").local, DatasetRepo("o/n").name) == (False, "o/n")
    assert (local.text("x.txt"), local.download()) == (None, tmp_path / "a@b")
    (tmp_path / "a@b" / "x.txt").write_text("words")
    assert local.text("x.txt") == "words"
