"""What a build hands on, by doubles of what it calls: columns, jobs of shards, splits, the card, the record."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from datasets import ClassLabel, Image

from builders.dataset import Card, items_per_shard
from builders.errors import DataError, PhotoError
from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES, aliases_version
from builders.flickrexif.api.licences import LICENCES
from builders.flickrexif.assemble import build as module
from builders.flickrexif.assemble import local_copy
from builders.flickrexif.assemble import rows as rows_module
from builders.flickrexif.assemble.build import RAI, BuildPlan, build
from builders.flickrexif.assemble.collect import SCHEMA, SHARED, Collection, TableRows, table_of
from builders.flickrexif.assemble.local_copy import _published_photos
from builders.flickrexif.assemble.rows import (
    METADATA_FEATURES,
    RowMaker,
    digest,
    photo_features,
    write_metadata,
    write_photos,
)
from builders.flickrexif.search.status import Stage
from builders.flickrexif.store.photos import ImportedPhoto
from builders.splits import Sizes, Splits
from tests.builders.flickrexif.test_assemble_parts import part

TEXTS = (
    "photo_id",
    "owner",
    "licence",
    "licence_url",
    "licence_checked",
    "attribution",
    "page",
    "url",
    "size",
    "sha256",
)
EXIF_TEXTS = ("exif_source", "found_by", "camera_make", "camera_model", "software", "exposure_s", "f_number",
              "focal_length_mm")  # fmt: skip
LABELS = ("label_device_type", *(f"label_{name}" for name in ATTRIBUTES))


def test_columns__of_the_config_metadata():
    text = dict.fromkeys
    assert {name: feature.dtype for name, feature in METADATA_FEATURES.items()} == {
        **text(TEXTS, "string"), "width": "int32", "height": "int32", "split": "string", "perceptual_hash": "int64",
        "near_duplicates": "string", **text(EXIF_TEXTS, "string"), "iso_speed": "int64", "flash_fired": "bool",
        "year": "int32", **text(LABELS, "string"),
    }  # fmt: skip
    assert list(METADATA_FEATURES)[:15] == [*TEXTS, "width", "height", "split", "perceptual_hash", "near_duplicates"]
    assert (*TEXTS, "width", "height") == tuple(SHARED)
    further = ("perceptual_hash", *EXIF_TEXTS, "iso_speed", "flash_fired", "year", *LABELS, "path", "variants")
    assert SCHEMA.names == [*SHARED, *further]


def collected(count=6):
    """Photos of two makes, of two owners each and of a fifth; the first two are the same file."""
    makes, owners = ("Canon", "NIKON", "unknown"), ("o0", "o0", "o1", "o2", "o3", "o4")
    rows = [
        {**dict.fromkeys(SCHEMA.names, ""), "photo_id": f"{i + 1}", "owner": owners[i],
         "sha256": "aa" if i < 2 else f"s{i}",
         "licence": "cc0-1.0" if i else "cc-by-2.0", "width": i, "height": 2, "perceptual_hash": 0, "iso_speed": None,
         "flash_fired": None, "year": None if i else 2012, "label_make": makes[i % 2 if i < 5 else 2],
         "label_iso": "100", "path": f"files/{i}", "variants": b""}
        for i in range(count)
    ]  # fmt: skip
    return Collection(table_of(rows, SCHEMA), {"no file": 3, "gone": 1})


SPLITS = Splits(
    groups=np.arange(6),
    splits=np.array([0, 0, 0, 1, 2, 0], dtype=np.int8),
    selected={"make": np.array([0, 0, -1, 1, 2, -1], dtype=np.int8), "iso": np.full(6, -1, dtype=np.int8)},
    classes={"make": np.array([1, 4], dtype=np.int32), "iso": np.zeros(0, dtype=np.int32)},
    evidence={"seed": "4"},
)


@pytest.fixture
def building(state, monkeypatch, tmp_path):
    """Build by doubles; returns the result, and the calls by name."""

    def run(collection=None, shared=None, **options):
        calls = {}

        def double(name, value):
            monkeypatch.setattr(module, name, lambda *given, **named: calls.setdefault(name, (given, named)) and value)

        report = SimpleNamespace(findings=[SimpleNamespace(level=level) for level in ("ok", "problem", "note")])
        for name, value in {
            "remove_taken_down": None, "inspect_files": 0, "collect": collected() if collection is None else collection,
            "make_splits": SPLITS, "class_limits": "limit", "prepare_folder": None,
            "write_photos": (shared, ["written"]), "write_metadata": "metadata", "add_folder_tombstones": None,
            "validate": report, "finish_folder": "finished", "photo_groups": np.array([0, 0, 1, 2, 3, 4]),
            "funnel": (Stage("found", 1),), "tables_of": ["tables"],
            "near_duplicate_names": np.array(["1", "1", "", "", "", ""]),
        }.items():  # fmt: skip
            double(name, value)
        plan = BuildPlan(tmp_path / "out", **{"attributes": ("make", "iso"), **options})
        return build(state, plan), plan, report, calls

    return run


def test_build__what_is_handed_on(building, state, tmp_path):
    state.set("built", ["/another"])
    sizes = Sizes(9, 8, 7, least=3)
    built, _, report, calls = building(
        label_set="reference", seed=4, sizes=sizes, assign="stratified", workers=3, fresh=True, contact="me@example.org"
    )
    assert (built.build, built.report, built.left_out) == ("finished", report, {"no file": 3, "gone": 1})
    assert built.limits == ("limit", "limit")
    assert calls["remove_taken_down"][0] == (state,)
    assert calls["inspect_files"] == ((state,), {"workers": 3})
    assert calls["collect"] == ((state,), {"pixels": False, "label_set": "reference", "progress": True})
    (ids, labels), named = calls["make_splits"]
    codes = {name: ATTRIBUTES["make"].classes["reference"].index(name) for name in ("Canon", "NIKON")}
    assert (ids, labels["make"].tolist()) == (["1", "2", "3", "4", "5", "6"], [codes["Canon"], codes["NIKON"]] * 2 +
                                              [codes["Canon"], -1])  # fmt: skip
    assert labels["iso"].tolist() == [3] * 6
    near = named.pop("near")
    assert near.tolist() == [0, 0, 1, 2, 3, 4]
    assert named == {"owners": ["o0", "o0", "o1", "o2", "o3", "o4"], "digests": ["aa", "aa", "s2", "s3", "s4", "s5"],
                     "sizes": sizes, "assign": "stratified", "seed": 4}  # fmt: skip
    (count,), named = calls["photo_groups"]
    assert (count, named["digests"], named["hashes"].shape[0]) == (6, ["aa", "aa", "s2", "s3", "s4", "s5"], 6)
    assert calls["near_duplicate_names"][0][0] == ids
    assert calls["near_duplicate_names"][0][1] is near
    (name, column, split, given), _ = calls["class_limits"]
    assert (name, column.values.tolist(), split is SPLITS.splits, given) == (
        "make",
        labels["make"].tolist(),
        True,
        sizes,
    )
    given, named = calls["tables_of"]
    assert (given[0], list(given[1]), given[2] is SPLITS) == (ids, ["make", "iso"], True)
    assert {key: list(value) for key, value in named.items()} == {
        "owners": ["o0", "o0", "o1", "o2", "o3", "o4"], "digests": ["aa", "aa", "s2", "s3", "s4", "s5"],
        "near": ["1", "1", "", "", "", ""], "years": [2012, 0, 0, 0, 0, 0],
    }  # fmt: skip
    assert calls["validate"][0] == (["tables"],)
    out = tmp_path / "out"
    assert calls["prepare_folder"] == ((out, ("make", "metadata")), {"fresh": True})
    assert state.setting("built") == sorted(["/another", str(out.resolve())])
    (parts, maker, columns, output), named = calls["write_photos"]
    assert [(p.config, p.split, p.names, p.photos.tolist(), p.labels.tolist()) for p in parts] == [
        ("make", "train", ("Canon", "NIKON"), [0, 1], [0, 1]), ("make", "validation", ("Canon", "NIKON"), [3], [1]),
        ("make", "test", ("Canon", "NIKON"), [4], [0]),
    ]  # fmt: skip
    assert (maker.folder, maker.paths[1], maker.pixels) == (str(state.folder.resolve()), "files/1", False)
    assert list(maker.columns[0]) == SHARED
    assert list(columns) == ["make", *SHARED]
    assert (output, named) == (out, {"workers": 3, "fresh": True})
    (table, names, same, output), named = calls["write_metadata"]
    assert (len(table), names, same.tolist()) == (6, ["train", "train", "train", "val", "test", "train"],
                                                  ["1", "1", "", "", "", ""])  # fmt: skip
    assert (output, named) == (out, {"fresh": True})
    assert calls["add_folder_tombstones"][0][0] == out
    given, named = calls["finish_folder"]
    assert given == (out,)
    assert named == {
        "kind": "flickrexif", "splits": ["written", "metadata"],
        "features": {"make": columns, "metadata": METADATA_FEATURES}, "default": "make",
        "card": Card(
            template="flickrexif.md.jinja", pretty_name="FlickrExif", license="cc-by-4.0",
            tags=("exif", "camera", "image-forensics", "photography", "flickr"), source_datasets=(), rai=RAI,
            context={
                "pixels": False, "label_set": "reference", "funnel": (Stage("found", 1),),
                "left_out": {"no file": 3, "gone": 1}, "licences": {"cc0-1.0": 5, "cc-by-2.0": 1}, "unpinned": 0,
                "photos": 6, "owners": 5, "evidence": {"seed": "4"}, "limits": ("limit", "limit"), "least": 3,
                "problems": report.findings[1:], "findings": 3, "contact": "me@example.org",
                "tombstones_file": "tombstones.txt", "split_files": [],
            },
        ),
        "recipe": {
            "label_set": "reference", "aliases": aliases_version(), "attributes": ["make", "iso"], "pixels": False,
            "seed": 4, "sizes": {"train": 9, "val": 8, "test": 7, "least": 3}, "splits": {"seed": "4"},
            "split_files": [], "left_out": {"no file": 3, "gone": 1},
        },
        "pixels": module.PixelRights(True), "shared": None, "counted": {"make": ["make"], "photos": []},
    }  # fmt: skip


def test_build__with_pixels_and_given_splits(building, tmp_path):
    table = tmp_path / "make.csv"
    table.write_text("id,split,label\n1,train,a\n2,test,b\n9,test,b\n")
    shared = SimpleNamespace(splits=lambda: [SimpleNamespace(config="photos"), SimpleNamespace(config="make")])
    built, _, _, calls = building(shared=shared, pixels=True, split_files=(table,))
    assert built.limits == ()
    assert "class_limits" not in calls
    assert calls["prepare_folder"] == ((tmp_path / "out", ("photos", "metadata")), {"fresh": False})
    parts = calls["write_photos"][0][0]
    assert [(p.config, p.split, p.names, p.photos.tolist(), p.labels.tolist()) for p in parts] == [
        ("make", "train", ("a", "b"), [0], [0]), ("make", "validation", ("a", "b"), [], []),
        ("make", "test", ("a", "b"), [1], [1]),
    ]  # fmt: skip
    ((given,),) = calls["validate"][0]
    assert (given.owners.tolist(), given.near.tolist()) == (["o0", "o0", ""], ["1", "1", ""])
    named = calls["finish_folder"][1]
    assert list(named["features"]) == ["make", "photos", "metadata"]
    assert (named["shared"], named["recipe"]["split_files"], named["recipe"]["pixels"]) == (shared, ["make.csv"], True)
    card = named["card"]
    assert (card.license, card.context["split_files"], card.context["limits"]) == ("other", ["make.csv"], ())
    assert card.context["contact"] == "the Community tab of this repository"
    assert calls["make_splits"][1]["assign"] == "hash"


def test_build__of_no_photo(building, state):
    for left_out, reason in (({}, "nothing is selected: search or import first"), ({"a": 3, "b": 1}, "a 3, b 1")):
        with pytest.raises(DataError) as error:
            building(Collection(table_of([], SCHEMA), left_out))
        assert str(error.value) == f"{state.folder}: no photo to build from ({reason})"


def test_plan__defaults():
    plan = BuildPlan(Path("out"))
    assert plan == BuildPlan(
        Path("out"), pixels=False, label_set="clean", attributes=STUDY_ATTRIBUTES, seed=0, sizes=Sizes(), assign="hash",
        split_files=(), workers=1, fresh=False, contact=None,
    )  # fmt: skip


def test_write_metadata__one_job_of_all_photos(monkeypatch, tmp_path):
    jobs = []
    monkeypatch.setattr(rows_module, "write_shards", lambda job, **options: jobs.append((job, options)) or "written")
    table = collected().table
    names = ["train", "train", "train", "val", "test", "train"]
    near = np.array(["1", "1", "", "", "", ""])
    assert write_metadata(table, names, near, tmp_path, fresh=True) == "written"
    ((job, options),) = jobs
    assert options == {"fresh": True}
    assert (job.output, job.config, job.split, job.features) == (tmp_path, "metadata", "train", METADATA_FEATURES)
    assert (job.ids, job.items_per_shard) == (["1", "2", "3", "4", "5", "6"], 50_000)
    rows = [job.make_rows(i)[0] for i in range(6)]
    assert [list(row) for row in rows] == [list(METADATA_FEATURES)] * 6
    assert [(row["split"], row["near_duplicates"], row["width"]) for row in rows] == [
        (split, same, i) for i, (split, same) in enumerate(zip(names, near, strict=True))
    ]
    assert job.recipe == {"rows": digest(rows)}


def test_write_photos__with_pixels_once_for_all_configs(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(rows_module, "write_groups", lambda jobs, **options: calls.append((jobs, options)) or ["g"])
    (tmp_path / "a.jpg").write_bytes(bytes(1500))
    columns = tuple({"photo_id": f"p{i}", "sha256": ""} for i in range(3))
    maker = RowMaker(str(tmp_path), ["a.jpg"] * 3, columns, True)
    parts = [part("make", "train", [2, 0], [1, 0]), part("iso", "train", [0], [1])]
    shared, written = write_photos(parts, maker, {"f": 1}, tmp_path / "out", workers=3, fresh=True)
    assert (shared.configs, shared.groups, written) == (("make", "iso"), ("g",), [])
    ((jobs, options),) = calls
    assert options == {"workers": 3}
    assert sorted(id for job in jobs for id in job.ids) == ["p0", "p2"]
    for job in jobs:
        assert (job.output, job.config, job.features) == (tmp_path / "out", "photos", {"f": 1})
        assert job.items_per_shard == items_per_shard(2000, 2)
        rows = [*(json.dumps({"photo_id": id, "sha256": ""}) for id in job.ids), ""]
        rows += [*map(json.dumps, job.make_rows.labels.tolist()), ""]
        text = "".join(f"{row}\n" for row in rows).encode()
        assert job.recipe == {"pixels": True, "rows": hashlib.sha256(text).hexdigest()[:16]}
        assert job.make_rows.configs == ("make", "iso")
    labels = {id: row for job in jobs for id, row in zip(job.ids, job.make_rows.labels.tolist(), strict=True)}
    assert labels == {"p2": [1, -1], "p0": [0, 1]}


def test_bytes_of_an_item__of_every_second_of_a_hundred_files(tmp_path):
    """At most about 50 files are looked at, evenly spread."""
    for name, size in (("even", 1000), ("odd", 10)):
        (tmp_path / name).write_bytes(bytes(size))
    maker = RowMaker(str(tmp_path), ["even", "odd"] * 75, (), True)
    means = [rows_module._bytes_per_item(maker, np.arange(n)) - 500 for n in (0, 1, 2, 99, 100, 149, 150)]
    assert means[:3] == [0, 1000, 505]
    assert means[3] == pytest.approx((50 * 1000 + 49 * 10) / 99)
    assert means[4:6] == [1000, 1000]  # every second
    assert means[6] == 505  # every third


def test_features__pictures_are_decoded():
    assert photo_features({"make": ("a",)}, True)["image"] == Image(decode=True)
    assert photo_features({"make": ("a",)}, True)["make"] == ClassLabel(names=["a"])


@pytest.mark.parametrize("prefix", ["", "unpinned:"])
def test_row__of_a_file_that_is_gone_or_another(tmp_path, prefix):
    columns = ({"photo_id": "1", "sha256": prefix + hashlib.sha256(b"data").hexdigest()},)
    maker = RowMaker(str(tmp_path), ["a.jpg"], columns, True)
    for reason in ("its file cannot be read (No such file or directory); fetch again",
                   "its file is not the one that was fetched"):  # fmt: skip
        with pytest.raises(PhotoError) as error:
            maker.row(0, {})
        assert str(error.value) == reason
        (tmp_path / "a.jpg").write_bytes(b"other")
    (tmp_path / "a.jpg").write_bytes(b"data")
    assert maker.row(0, {"make": 3}) == {"image": {"bytes": b"data", "path": "a.jpg"}, **columns[0], "make": 3}
    assert replace(maker, pixels=False).row(0, {"make": 3}) == {**columns[0], "make": 3}


def published(**changed):
    return {"photo_id": "7", "owner": "1@N01", "url": "https://a.net/7.jpg", "size": "o", "sha256": "ab", "width": 4,
            "height": 3, "licence": "cc-by-2.0", **changed}  # fmt: skip


def test_published_photos__rows_that_make_sense():
    rows = [
        published(), published(photo_id="x"), published(photo_id="0"), published(owner="nobody"), published(url=""),
        published(photo_id="8", size="", sha256="", licence="unheard of", width=None, height=-1),
        published(photo_id=9, url=None), published(photo_id=10, licence=None, url="u" * 3000),
    ]  # fmt: skip
    by_slug = {licence.slug: id for id, licence in LICENCES.items()}
    assert list(_published_photos(rows)) == [
        ImportedPhoto(7, "1@N01", {"o": ("https://a.net/7.jpg", 4, 3)}, licence=by_slug["cc-by-2.0"],
                      expected_sha256="ab"),
        ImportedPhoto(8, "1@N01", {"unknown": ("https://a.net/7.jpg", 0, 0)}, licence=None, expected_sha256=None),
        ImportedPhoto(10, "1@N01", {"o": ("u" * 2000, 4, 3)}, licence=None, expected_sha256="ab"),
    ]  # fmt: skip


@pytest.mark.parametrize("local", [False, True])
def test_own_copy__card(local):
    recipe = {"label_set": "reference", "splits": {"seed": "4"}, "split_files": ["a.json"]}
    origin = SimpleNamespace(
        repo=SimpleNamespace(local=local, location="org/photos"), build=SimpleNamespace(recipe={} if local else recipe)
    )
    rows = {
        "1": {"licence": "b", "owner": "x"},
        "2": {"licence": "a", "owner": "x"},
        "3": {"licence": "a", "owner": "y"},
    }
    card = local_copy._card(rows, 5, 6, 7, origin)
    assert card == Card(
        template="flickrexif.md.jinja", pretty_name="FlickrExif (own copy)", license="other",
        source_datasets=() if local else ("org/photos",),
        context={
            "pixels": True, "label_set": "clean" if local else "reference", "funnel": (),
            "left_out": {"taken down": 7, "not to be had": 5}, "licences": {"a": 2, "b": 1}, "unpinned": 6, "photos": 3,
            "owners": 2, "limits": (), "evidence": {} if local else {"seed": "4"}, "problems": (), "findings": 0,
            "contact": "the data set that this is a copy of", "tombstones_file": "tombstones.txt",
            "split_files": [] if local else ["a.json"],
        },
    )  # fmt: skip
    assert list(card.context["licences"]) == ["a", "b"]
    rights = local_copy.NOT_FOR_REDISTRIBUTION
    assert (rights.allowed, rights.reason) == (
        False, "It holds photos that were fetched for your own use, under licences that differ from photo to photo."
    )  # fmt: skip


def test_table_rows__of_another_process(tmp_path):
    import pickle

    rows = TableRows(pa.table({"n": list(range(2500))}))
    assert rows[2001] == {"n": 2001}
    copy = pickle.loads(pickle.dumps(rows))
    assert (copy[0], copy[1000], copy[999], len(copy)) == ({"n": 0}, {"n": 1000}, {"n": 999}, 2500)
    assert json.loads(json.dumps([row["n"] for row in rows])) == list(range(2500))
