"""Columns, splits and facts of ``exif-folder`` from acquisitions that are written down, without a file."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest

from builders.errors import DataError, UsageError
from builders.exif import (
    LABEL_SETS,
    NO_EXIF,
    OTHER,
    UNKNOWN,
    Acquisition,
    Reading,
    acquisition_from_raw,
    aliases_version,
)
from builders.photos import UNLABELLED, Labels, PhotoSet, hash64
from builders.sources import exif_folder
from builders.sources.exif_folder import (
    _balanced,
    _Column,
    _column,
    _drawn_splits,
    _evidence,
    _given_splits,
    _numbers,
    _owner,
    read_camera_folder,
)
from builders.splits import LEFT_OUT, Fingerprints, Splits, make_splits

NONE = acquisition_from_raw({})


def shot(**facts):
    return dataclasses.replace(NONE, **facts)


def test_numbers__nan_zero_and_empty_where_unknown(monkeypatch):
    monkeypatch.setattr(exif_folder, "device_type", lambda a: f"type {a.iso}")
    taken = datetime(2015, 1, 2)
    known = shot(exposure_s=0.5, f_number=2.8, iso=100, focal_length_mm=35.0, taken=taken)
    columns = _numbers([known, NONE], ["me", ""], np.array([3, 1]))
    assert list(columns) == [
        "exposure_s", "f_number", "iso", "focal_length_mm", "year", "device_type", "owner", "group",
    ]  # fmt: skip
    measured = {name: [None if v != v else v for v in values.tolist()] for name, values in columns.items()}
    assert measured == {
        "exposure_s": [0.5, None], "f_number": [2.8, None], "iso": [100.0, None], "focal_length_mm": [35.0, None],
        "year": [2015, 0], "device_type": ["type 100", "type None"], "owner": ["me", ""], "group": [3, 1],
    }  # fmt: skip
    assert [columns[name].dtype.kind for name in columns] == [*"ffffi", "U", "U", "i"]


def test_evidence__counts_files_and_names_the_first_five():
    read = Reading(NONE, None)
    readings = [read, Reading(NONE, NO_EXIF), read, *(Reading(NONE, f"reason {i}") for i in range(6))]
    facts = _evidence([f"{i}.jpg" for i in range(9)], readings, "clean")
    named = "; ".join(f"{i + 3}.jpg: reason {i}" for i in range(5))
    assert facts == {
        "classes": "clean",
        "aliases": aliases_version(),
        "files": "9",
        "files without Exif": "1",
        "files whose Exif cannot be read": f"6 ({named})",
    }
    assert _evidence(["a"], readings[:1], "found")["files whose Exif cannot be read"] == "0"


@pytest.mark.parametrize(
    ("photo_id", "given", "owner"),
    [
        ("a.jpg", False, ""), ("me/a.jpg", False, "me"), ("me/deep/a.jpg", False, "me"), ("train/a.jpg", True, ""),
        ("train/me/a.jpg", True, "me"), ("train/me/deep/a.jpg", True, "me"),
    ],
)  # fmt: skip
def test_owner__is_the_first_sub_folder(photo_id, given, owner):
    assert _owner(photo_id, given) == owner


@pytest.mark.parametrize("classes", ["found", "clean", "reference"])
def test_column__classes_with_enough_photos_in_the_usual_order(monkeypatch, classes):
    """Words of an ordered attribute have its order; others are sorted; a rare class has its number and no photo."""
    calls = []

    def words_of(acquisition, attribute, labels=None):
        calls.append((attribute, labels))
        return acquisition

    monkeypatch.setattr(exif_folder, "label", words_of)
    monkeypatch.setattr(exif_folder, "_any_class", words_of)
    shots = ["b", "a", OTHER, "b", "c", UNKNOWN, "b", "a"]
    column = _column(shots, "make", classes, 2)
    assert column.labels.names == ("a", "b", "c")
    assert column.labels.values.tolist() == [1, 0, -1, 1, 2, -1, 1, 0]
    assert column.common.tolist() == [1, 0, -1, 1, -1, -1, 1, 0]
    assert (column.common.dtype, column.labels.values.dtype) == (np.int32, np.int32)
    assert calls == [("make", None if classes == "found" else classes)] * 8
    assert _column(shots, "make", classes, 3).common.tolist() == [1, -1, -1, 1, -1, -1, 1, -1]
    assert _column(shots, "make", classes, 4).common.tolist() == [-1] * 8
    order = exif_folder.ATTRIBUTES["exposure"].classes["clean"]
    assert list(order) != sorted(order)
    assert _column([order[2], order[0], order[1]], "exposure", classes, 1).labels.names == tuple(order[:3])
    assert _column([order[2], "x"], "exposure", classes, 1).labels.names == tuple(sorted((order[2], "x")))
    assert _column([UNKNOWN], "make", classes, 1).labels.names == ()


def test_any_class__devices_that_take_no_photos_are_none(monkeypatch):
    kinds = {"a": "scanner", "b": "software", "c": "phone", "d": "camera"}
    monkeypatch.setattr(exif_folder, "device_type", kinds.get)
    monkeypatch.setattr(exif_folder, "label", lambda *given: given)
    finds = SimpleNamespace(find_any=lambda acquisition: f"any {acquisition}")
    monkeypatch.setattr(exif_folder, "ATTRIBUTES", {"make": finds, "iso": SimpleNamespace(find_any=None)})
    assert [exif_folder._any_class(a, "make") for a in "abcd"] == [OTHER, OTHER, "any c", "any d"]
    assert [exif_folder._any_class(a, "iso") for a in "acd"] == [OTHER, ("c", "iso", "clean"), ("d", "iso", "clean")]


def test_balanced__classes_that_are_left_are_numbered_anew():
    column = _Column(Labels(("a", "b", "c", "d"), np.array([0, 1, 2, 3, -1, 2])), np.array([0, -1, 2, 3, -1, 2]))
    labels = _balanced(column, np.array([0, 0, 2, LEFT_OUT, 1, LEFT_OUT]))
    assert (labels.names, labels.values.tolist()) == (("a", "c"), [0, -1, 1, -1, -1, -1])
    assert _balanced(column, np.full(6, LEFT_OUT)).names == ()


def photos_of(ids, splits=None):
    photos = PhotoSet.of_bytes("set", dict.fromkeys(ids, b""))
    return photos if splits is None else dataclasses.replace(photos, splits=np.array(splits, dtype=np.int8))


def fingerprints_of(count):
    hashes = np.random.default_rng(0).integers(0, 2**63, (count, 2)).astype(np.uint64)
    return Fingerprints(tuple(f"digest {i}" for i in range(count)), hashes)


@pytest.mark.parametrize(
    ("groups", "owners", "learnt", "calls", "note"),
    [
        ("auto", "ab", True, ["owners"], "a sub-folder is in one split only"),
        ("auto", "ab", False, ["owners", None], "sub-folders straddle splits: iso cannot be learnt otherwise"),
        ("folder", "ab", False, ["owners"], "a sub-folder is in one split only"),
        ("none", "ab", True, [None], "sub-folders are nothing"), ("none", "", True, [None], "no sub-folders"),
        ("folder", "", True, [None], "no sub-folders"), ("auto", "", True, [None], "no sub-folders"),
    ],
)  # fmt: skip
def test_drawn__whether_sub_folders_stay_together(monkeypatch, groups, owners, learnt, calls, note):
    ids = tuple(f"{i}.jpg" for i in range(4))
    values = {"make": np.array([0, 1, 0, 1]), "iso": np.array([0, 0, 1, 1])}
    names = [owners[i % 2] if owners else "" for i in range(4)]
    known, requested = fingerprints_of(4), []

    def split(some, of, **options):
        requested.append("owners" if options.pop("owners") == names and owners else None)
        assert (some, of) == (ids, values)
        assert options.pop("hashes") is known.hashes
        assert options.pop("digests") is known.digests
        assert options == {"shares": (0.6, 0.2, 0.2), "assign": "stratified", "seed": 7}
        both = {"make": np.array([0, 1]), "iso": np.array([0, 1]) if learnt else np.array([1])}
        return Splits(np.arange(4), np.zeros(4), {}, both, {"seed": "7", "splits": "another"})

    monkeypatch.setattr(exif_folder, "make_splits", split)
    splits = _drawn_splits(photos_of(ids), values, names, known, groups, 7)
    assert requested == calls
    assert splits.evidence == {"seed": "7", "splits": "stratified 60/20/20 by group", "sub-folders": note}


def test_given__splits_of_the_folder_are_balanced_and_groups_counted():
    ids, seed = tuple(f"{i}.jpg" for i in range(12)), 3
    sides = [0] * 6 + [2] * 6
    make = np.array([0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, -1])
    owners = ["", "", "x", *[""] * 7, "x", ""]
    splits = _given_splits(photos_of(ids, sides), {"make": make}, owners, fingerprints_of(12), seed)
    order = sorted(range(12), key=lambda i: hash64(f"photo\0{seed}\0{ids[i]}"))
    expected = [LEFT_OUT] * 12
    for side in (0, 2):
        for code in (0, 1):
            for i in [i for i in order if sides[i] == side and make[i] == code][:2]:
                expected[i] = side
    assert splits.selected["make"].tolist() == expected
    assert splits.classes["make"].tolist() == [0, 1]
    assert (splits.splits.tolist(), splits.groups.tolist()) == (sides, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 10])
    assert splits.evidence == {"splits": "as given by the folder", "groups on several sides": "1"}
    same = Fingerprints(("d",) * 12, fingerprints_of(12).hashes)
    assert _given_splits(photos_of(ids, sides), {"make": make}, [""] * 12, same, seed).evidence[
        "groups on several sides"
    ] == "1"  # fmt: skip
    near = Fingerprints(tuple(map(str, range(12))), np.full((12, 1), 77, dtype=np.uint64))
    assert len(set(_given_splits(photos_of(ids, sides), {"make": make}, [""] * 12, near, seed).groups)) == 1


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Twelve files whose Exif is made up: half Canon, half Nikon; the requests for Exif and fingerprints."""
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "shelf"
    root.mkdir()
    calls = {"workers": [], "splits": []}
    for i in range(12):
        (root / f"{i:02}.jpg").write_bytes(b"%d" % i)

    def read(paths, *, workers):
        calls["workers"].append(("exif", workers))
        for path in paths:
            number = int(path.stem)
            raw = {"Make": ("Canon", "NIKON")[number % 2]} if number != 11 else {}
            yield Reading(acquisition_from_raw(raw), None if number != 11 else NO_EXIF)

    def fingerprints(photos, where, *, workers):
        calls["workers"].append(("fingerprints", where, workers))
        return fingerprints_of(len(photos))

    monkeypatch.setattr(exif_folder, "read_many", read)
    monkeypatch.setattr(exif_folder, "fingerprints", fingerprints)
    monkeypatch.setattr(exif_folder, "make_splits", lambda *a, **k: calls["splits"].append(k) or make_splits(*a, **k))
    return root, calls


def test_folder__options_reach_what_they_are_for(shelf):
    root, calls = shelf
    photos = read_camera_folder(str(root), seed=5, min_photos=4, workers=3)
    assert calls["workers"] == [("exif", 3), ("fingerprints", root, 3)]
    assert [given["seed"] for given in calls["splits"]] == [5]
    assert photos.attributes["make"].names == ("Canon", "NIKON")
    assert (photos.labels.names, set(photos.labels.values.tolist())) == ((), {UNLABELLED})
    assert photos.evidence["files"] == "12"
    assert photos.evidence["files without Exif"] == "1"
    assert "near_duplicates" not in photos.columns
    assert set(photos.evidence) == {
        "seed", "shares", "assign", "near-duplicate distance", "groups", "photos in the largest group", "splits",
        "sub-folders", "classes", "aliases", "files", "files without Exif", "files whose Exif cannot be read",
    }  # fmt: skip


def test_folder__is_refused_where_no_class_has_enough_photos(shelf, monkeypatch):
    root, _ = shelf
    for least in (6, 20):
        with pytest.raises(DataError) as refused:
            read_camera_folder(str(root), min_photos=least)
        assert str(refused.value) == (
            f"{root}: of 12 files 11 have Exif, and no attribute has 2 classes of at least {least} photos in every "
            "split; add photos or lower min-photos"
        )
    assert exif_folder.MIN_PHOTOS == 20
    for names in (("one",), ("one", "two")):  # what the splits leave of each attribute
        monkeypatch.setattr(exif_folder, "_balanced", lambda column, rows, names=names: Labels(names, column.common))
        if len(names) == 2:
            assert set(read_camera_folder(str(root), min_photos=4).attributes) == {"make"}
        else:
            with pytest.raises(
                DataError, match="of 12 files 11 have Exif, and no attribute has 2 classes of at least 4"
            ):
                read_camera_folder(str(root), min_photos=4)
    for option, value in (("classes", "cleen"), ("groups", "fodler")):
        with pytest.raises(UsageError, match=f"^unknown {option} '{value}': did you mean '{value[:1]}"):
            read_camera_folder(str(root), **{option: value})
    assert LABEL_SETS == ("clean", "reference")
    assert isinstance(NONE, Acquisition)


def test_folder__with_splits_of_its_own(tmp_path, monkeypatch):
    """Owners are below the splits; equal files are named; what no class needs is left out, with its own columns."""
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    names = [f"{side}/{owner}/{i}.jpg" for side in ("train", "val") for owner in ("ann", "ben") for i in range(4)]
    for name in (*names, "train/loose.jpg"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(name.encode())

    def read(paths, *, workers):
        for path in paths:
            raw = {"Make": "NIKON" if path.stem in "02" else "Canon", "ISO": "100"} if path.stem != "loose" else {}
            yield Reading(acquisition_from_raw(raw), None)

    ids = sorted((*names, "train/loose.jpg"), key=lambda name: (name.split("/")[0], name.count("/"), name))
    twins = {"train/ann/1.jpg": "x", "val/ann/3.jpg": "x", "val/ann/0.jpg": "y", "val/ann/2.jpg": "y"}
    calls = []

    def fingerprints(photos, where, *, workers):
        calls.append((photos.ids, where, workers))
        hashes = fingerprints_of(len(photos)).hashes
        return Fingerprints(tuple(twins.get(name, name) for name in photos.ids), hashes)

    monkeypatch.setattr(exif_folder, "read_many", read)
    monkeypatch.setattr(exif_folder, "fingerprints", fingerprints)
    photos = read_camera_folder(str(tmp_path / "set"), min_photos=3, seed=1)
    assert calls == [(tuple(ids), tmp_path / "set", None)]
    assert photos.ids == tuple(name for name in ids if "loose" not in name)
    assert photos.splits.tolist() == [int(name.startswith("val")) for name in photos.ids]
    make = photos.attributes["make"]
    assert list(photos.attributes) == ["make"]
    assert [make.names[value] for value in make.values] == [
        "NIKON" if name[-5] in "02" else "Canon" for name in photos.ids
    ]
    assert photos.columns["owner"].tolist() == [name.split("/")[1] for name in photos.ids]
    first = {"x": "train/ann/1.jpg", "y": "val/ann/0.jpg"}
    assert photos.columns["near_duplicates"].tolist() == [first.get(twins.get(name), "") for name in photos.ids]
    groups = dict(zip(photos.ids, photos.columns["group"].tolist(), strict=True))
    assert len(set(groups.values())) == 2  # ann and ben, each on both sides
    assert photos.evidence["groups on several sides"] == "2"
    assert photos.evidence["splits"] == "as given by the folder"
    assert (photos.name, photos.evidence["classes"], photos.evidence["files"]) == ("exif-folder:set", "found", "17")
