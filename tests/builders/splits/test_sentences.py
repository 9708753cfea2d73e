"""What splits say: evidence of a draw, texts of a report and of the guard, and every refusal, whole."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest

from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet
from builders.splits import (
    POLICIES,
    Sizes,
    SplitTable,
    ValidationReport,
    class_limits,
    cramers_v,
    default_policy,
    groups,
    guarded_by,
    make_splits,
    near_pairs,
    read_split_file,
    tables_of,
    validate,
    with_duplicates_on_one_side,
)
from builders.splits.report import Finding
from tests.builders.splits.test_variants import jpeg, scene

IDS = [f"p{i}" for i in range(20)]
MAKE = {"make": np.arange(20, dtype=np.int32) % 2}


def test_make__the_evidence_of_the_defaults_and_of_options():
    plain = make_splits(IDS, MAKE)
    assert dict(plain.evidence) == {
        "seed": "0", "shares": "0.7/0.1/0.2", "assign": "hash", "near-duplicate distance": "not searched",
        "groups": "20", "photos in the largest group": "1",
    }  # fmt: skip
    hashes = np.arange(1, 21, dtype=np.uint64) << np.uint64(8)
    owners = ["a"] * 5 + [""] * 15
    more = make_splits(
        IDS, MAKE, owners=owners, hashes=hashes, shares=(0.5, 0.0, 2), assign="stratified", seed=4, max_distance=0
    )
    assert dict(more.evidence) == {
        "seed": "4", "shares": "0.5/0/2", "assign": "stratified", "near-duplicate distance": "0", "groups": "16",
        "photos in the largest group": "5",
    }  # fmt: skip
    near = make_splits(IDS, MAKE, near=np.arange(20) // 4)
    assert (near.evidence["near-duplicate distance"], near.evidence["groups"]) == ("4", "5")
    none = make_splits([], {"make": np.zeros(0, dtype=np.int32)})
    assert (none.evidence["groups"], none.evidence["photos in the largest group"]) == ("1", "0")


@pytest.mark.parametrize(
    ("ids", "options", "error", "sentence"),
    [
        (["a", "a"], {}, DataError,
         "photo ids repeat: one photo in two splits looks like two photos; make them unique"),
        (["a", "b", "c"], {}, DataError, "make: 2 values for 3 photos"),
        (["a", "b"], {"owners": ["x"]}, DataError, "owners: 1 values for 2 photos"),
        (["a", "b"], {"hashes": np.zeros(3, np.uint64)}, DataError, "hashes: 3 values for 2 photos"),
        (["a", "b"], {"digests": ["x"]}, DataError, "digests: 1 values for 2 photos"),
        (["a", "b"], {"shares": (1, 0)}, UsageError,
         "shares=(1, 0): give three numbers of 0 or more for train, val and test"),
        (["a", "b"], {"shares": (1, -1, 1)}, UsageError,
         "shares=(1, -1, 1): give three numbers of 0 or more for train, val and test"),
        (["a", "b"], {"shares": (0, 0, 0)}, UsageError,
         "shares=(0, 0, 0): give three numbers of 0 or more for train, val and test"),
        (["a", "b"], {"assign": "even"}, UsageError, "assign='even': choose 'hash' or 'stratified'"),
    ],
)  # fmt: skip
def test_make__what_cannot_be_drawn(ids, options, error, sentence):
    with pytest.raises(error) as refused:
        make_splits(ids, {"make": np.array([0, 1], dtype=np.int32)}, **options)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("distance", [-1, 11])
def test_near_pairs__distances_that_are_not_searched(distance):
    with pytest.raises(ValueError, match=re.escape(str(distance))):
        near_pairs(np.array([1, 2], dtype=np.uint64), distance)
    for bound in (0, 10):
        assert len(near_pairs(np.array([1 << 40, 2**63], dtype=np.uint64), bound).values) == 2


def test_files__that_are_none(tmp_path):
    study = '{"train_ids":[1],"val_ids":[],"test_ids":[],"label_encoder_classes":["x"],%s}'
    labels = '"encoded_train_labels":%s,"encoded_val_labels":[],"encoded_test_labels":[]'
    for name, text, sentence in (
        ("a.txt", "x", "a.txt: give a .json of the study's form, a .csv or a .parquet file"),
        ("a.json", study % (labels % "[0,0]"),
         "a.json: no split file that can be read (ValueError: train: labels do not fit the ids)"),
        ("a.json", study % (labels % "[-1]"),
         "a.json: no split file that can be read (ValueError: train: labels do not fit the ids)"),
        ("a.csv", "split\ntrain\n", "a.csv: no split file that can be read (ValueError: there is no column 'id')"),
        ("a.csv", "id\n1\n", "a.csv: no split file that can be read (ValueError: there is no column 'split')"),
        ("a.csv", "id,split\n1,x\n", "a.csv: no split file that can be read (KeyError: 'x')"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError) as refused:
            read_split_file(tmp_path / name)
        assert str(refused.value) == sentence
    with pytest.raises(DataError, match=r"^x: columns of different lengths$"):
        SplitTable("x", np.array(["a", "b"]), np.zeros(2, np.int8), owners=np.array(["o"]))


def test_tables__of_a_collection_whole():
    labels = {
        "make": Labels(("x", "y"), np.array([0, 1, -1, 0], dtype=np.int32)),
        "iso": Labels(("1", "2"), np.array([1, -1, 0, 0], dtype=np.int32)),
    }
    made = make_splits(list("abcd"), {name: column.values for name, column in labels.items()})
    chosen = {"make": np.array([0, 2, -1, 2], dtype=np.int8), "iso": np.array([-1, -1, 1, -1], dtype=np.int8)}
    made = dataclasses.replace(made, selected=chosen)
    more = {
        "owners": ["o", "", "p", "q"], "digests": list("wxyz"), "hashes": np.arange(4, dtype=np.uint64),
        "near": ["n", "", "m", "k"], "years": np.array([2001, 0, 2003, 2004]),
    }  # fmt: skip
    make, iso = tables_of(list("abcd"), labels, made, **more)
    assert (make.name, make.ids.tolist(), make.splits.tolist(), make.labels.tolist()) == (
        "make", ["a", "b", "d"], [0, 2, 2], ["x", "y", "x"],
    )  # fmt: skip
    assert (make.owners.tolist(), make.digests.tolist(), make.hashes.tolist()) == (
        ["o", "", "q"],
        list("wxz"),
        [0, 1, 3],
    )
    assert (make.near.tolist(), make.years.tolist()) == (["n", "", "k"], [2001, 0, 2004])
    assert {name: column.tolist() for name, column in make.metadata.items()} == {"iso": ["2", "", "1"]}
    assert (iso.ids.tolist(), iso.splits.tolist(), iso.metadata["make"].tolist()) == (["c"], [1], [""])
    bare = tables_of(list("abcd"), labels, made)[0]
    assert (bare.owners, bare.digests, bare.hashes, bare.near, bare.years) == (None,) * 5


def planted():
    """0 and 1 are one file in train and val; 2 and 3 nearly one picture in val and test."""
    files = {f"{i}": jpeg(scene(i)) for i in range(5)}
    files["1"], files["3"] = files["0"], jpeg(scene(2), 50)
    return PhotoSet.of_bytes("planted", files, splits=["train", "val", "val", "test", "train"])


def test_guard__its_sentences():
    photos = planted()
    found_text = "4 equal and nearly equal photos in 2 groups were in different splits"
    for policy, text in (
        ("keep", f"{found_text}, as the source has them, and were left there"),
        ("move", f"{found_text}; 2 were moved to the split of their group"),
    ):
        guarded = with_duplicates_on_one_side(photos, policy)
        assert guarded.photos.evidence["duplicates"] == text
        assert guarded.photos.columns["near_duplicates"].tolist() == ["0", "0", "2", "2", ""]
        assert guarded_by(photos, guarded.record()).left == guarded.left == {"keep": 2, "move": 0}[policy]
    with pytest.raises(DataError) as refused:
        with_duplicates_on_one_side(photos, "refuse")
    assert str(found_text) in str(refused.value)
    assert [default_policy(dataclasses.replace(photos, drawn_splits=drawn)) for drawn in (True, False)] == [
        "move",
        "keep",
    ]
    assert POLICIES == ("keep", "move", "refuse", "ignore")
    named = dataclasses.replace(photos, columns={"near_duplicates": np.array(["a", "a", "", "", ""])})
    names = with_duplicates_on_one_side(named, "keep").photos.columns["near_duplicates"]
    assert names.tolist() == ["a", "a", "", "", ""]  # a column of the source stays


def test_report__its_text_whole():
    findings = (
        Finding("make", "test ids also in train", 2, 30, "problem", detail="2 x"),
        Finding("make -> iso", "test photos in the other's train", 3, 30, "note"),
        Finding("iso -> make", "test photos in the other's train", 10, 40, "note"),
        Finding("make", "test: rarest over commonest class", 0.5, 100, "note", detail="1 to 2 photos per class"),
        Finding("iso -> make", "accuracy of a majority lookup", 0.25, 40, "ok", 1 / 3),
    )
    report = ValidationReport(findings)
    assert report.to_text().splitlines() == [
        "         attribute    check                              value   of  chance",
        "PROBLEM  make         test ids also in train                 2   30          2 x",
        "note     iso -> make  test photos in the other's train      10   40          the most of 2 pairs of attribu"
        "tes",
        "note     make         test: rarest over commonest class  0.500  100          1 to 2 photos per class",
        "         iso -> make  accuracy of a majority lookup      0.250   40   0.333",
        "1 problems, 3 notes",
    ]
    one = ValidationReport(findings[1:2])
    assert one.to_text().splitlines()[1] == "note  make -> iso  test photos in the other's train      3  30"
    assert (report.problems, report.find("make", "test ids also in train")) == (findings[:1], findings[0])
    with pytest.raises(KeyError):
        report.find("iso", "test ids also in train")


def test_report__balance_years_and_classes_in_words():
    splits = np.array([0, 0, 0, 0, 2, 2, 2], dtype=np.int8)
    labels = np.array(["a", "a", "b", "c", "a", "a", "b"])
    years = np.array([2001, 2001, 2003, 0, 2001, 2005, 2005])
    ids = np.array([f"p{i}" for i in range(7)])
    table = SplitTable("colour", ids, splits, labels, years=years, owners=np.array([*"xyzwxx", ""]))
    report = validate(table)
    train = report.find("colour", "train: rarest over commonest class")
    test = report.find("colour", "test: rarest over commonest class")
    assert (train.value, train.n, train.level, train.detail) == (0.5, 4, "note", "1 to 2 photos per class")
    assert (test.value, test.n, test.level, test.detail) == (0.0, 3, "problem", "0 to 2 photos per class; none of c")
    year = report.find("colour", "years of test against train")
    assert (year.value, year.n, year.level, year.detail) == (
        pytest.approx(2 / 3), 3, "note", "total variation; median 2005 against 2001",
    )  # fmt: skip
    owners = report.find("colour", "test photos of owners in train")
    assert (owners.value, owners.n, owners.detail) == (2, 2, "1 owners")
    assert cramers_v(np.array([[8, 2], [2, 8]]), corrected=False) == pytest.approx(0.6)
    # Bergsma: phi2 0.36 - 1 / 19, of 2 - 1 / 19 rows and columns
    assert cramers_v(np.array([[8, 2], [2, 8]])) == pytest.approx(np.sqrt((0.36 - 1 / 19) / (1 - 1 / 19)))


def test_limits__text_of_sizes():
    column = Labels(("a", "b"), np.array([0] * 6000 + [1] * 3000, dtype=np.int32))
    limits = class_limits("make", column, np.arange(9000) % 3, Sizes())
    assert limits.to_text() == "make: 2 classes of 1,000 + 1,000 + 1,000 photos; fewest photos: b (train, val, test)"


def test_groups__of_no_photos_and_of_several_hashes_each():
    none = np.zeros((0, 3), dtype=np.uint64)
    assert groups.photo_groups(0, hashes=none, owners=[]).tolist() == []
    hashes = np.array([[1 << 8, 1 << 20], [1 << 32, 1 << 44], [1 << 56, 1 << 20], [1 << 50, 1 << 62]], dtype=np.uint64)
    assert groups.photo_groups(4, hashes=hashes, max_distance=0).tolist() == [0, 1, 0, 2]
    assert groups.photo_groups(4, hashes=hashes, owners=["", "a", "", "a"], max_distance=0).tolist() == [0, 1, 0, 1]


def test_files__of_the_study_with_numbers_for_names(tmp_path):
    """Ids and classes that are numbers are text, as those of tables."""
    stated = {
        "target_attribute": "ISO Speed", "label_encoder_classes": [100, 200], "train_ids": [7, 8], "val_ids": [],
        "test_ids": [9], "encoded_train_labels": [1, 0], "encoded_val_labels": [], "encoded_test_labels": [1],
    }  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps(stated))
    table = read_split_file(tmp_path / "a.json")
    assert (table.name, table.ids.tolist(), table.splits.tolist()) == ("iso_speed", ["7", "8", "9"], [0, 0, 2])
    assert (table.labels.tolist(), table.splits.dtype) == (["200", "100", "200"], np.int8)
    ids = {name: value for name, value in stated.items() if name.endswith("_ids")}
    (tmp_path / "b.json").write_text(json.dumps(ids))
    bare = read_split_file(tmp_path / "b.json")
    assert (bare.name, bare.labels, bare.ids.tolist()) == ("b", None, ["7", "8", "9"])
