"""What a build hands on, by doubles of what it calls: columns, jobs of shards, splits, the card, the record."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import ClassLabel, Image

from builders.errors import PhotoError
from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES
from builders.flickrexif import photo_features
from builders.flickrexif.assemble.build import BuildPlan
from builders.flickrexif.assemble.collect import SCHEMA, SHARED, TableRows
from builders.flickrexif.assemble.rows import METADATA_FEATURES, RowMaker
from builders.splits import Sizes

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


def test_plan__defaults():
    plan = BuildPlan(Path("out"))
    assert plan == BuildPlan(
        Path("out"), pixels=False, label_set="clean", attributes=STUDY_ATTRIBUTES, seed=0, sizes=Sizes(), assign="hash",
        split_files=(), workers=1, fresh=False, contact=None,
    )  # fmt: skip


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


def test_table_rows__of_another_process(tmp_path):
    import pickle

    rows = TableRows(pa.table({"n": list(range(2500))}))
    assert rows[2001] == {"n": 2001}
    copy = pickle.loads(pickle.dumps(rows))
    assert (copy[0], copy[1000], copy[999], len(copy)) == ({"n": 0}, {"n": 1000}, {"n": 999}, 2500)
    assert json.loads(json.dumps([row["n"] for row in rows])) == list(range(2500))
