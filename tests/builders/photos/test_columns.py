"""Columns by name and class labels, against what is written by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from builders.errors import UsageError
from builders.photos import (
    UNLABELLED,
    ColumnSources,
    Labels,
    PhotoSet,
    class_codes,
    column_of,
    first_column,
    labels_of,
    origin_of,
)

PHOTOS = replace(
    PhotoSet.of_bytes("three", {"ann/canon/1.jpg": b"1", "ben/2.jpg": b"2", "3.jpg": b"3"}, labels=["x", "y", "x"]),
    attributes={"make": Labels(("Canon",), np.array([0, -1, 0], dtype=np.int32))},
    groups={"site": Labels(("north", "south"), np.array([1, 0, 0], dtype=np.int32))},
    columns={"owner": np.array(["ann", "", "cid"]), "year": np.array([2001, 2003, 2001])},
)


@pytest.mark.parametrize(
    ("name", "names", "values"),
    [
        ("label", ("x", "y"), [0, 1, 0]),
        ("site", ("north", "south"), [1, 0, 0]),
        ("make", ("Canon",), [0, -1, 0]),
        ("owner", ("ann", "cid"), [0, -1, 1]),
        ("year", ("2001", "2003"), [0, 1, 0]),
        ("folder", ("ben", "canon"), [1, 0, -1]),
        ("folder:1", ("ann", "ben"), [0, 1, -1]),
        ("folder:2", ("canon",), [0, -1, -1]),
        ("re:^[a-z]", ("a", "b"), [0, 1, -1]),
        ("re:(x?)[12]", (), [-1, -1, -1]),
    ],
)
def test_column_of__every_way_to_name_a_column(name, names, values):
    column = column_of(PHOTOS, name)
    assert (column.names, column.values.tolist()) == (names, values)


def test_column_of__a_pattern_whose_group_takes_no_part_is_unknown():
    assert column_of(PHOTOS, "re:(canon)|ben").values.tolist() == [0, -1, -1]


@pytest.mark.parametrize("name", ["group", "folder:0", "folder:x", "re:(", "folder:1234567890", "folder:" + "1" * 5000])
def test_column_of__no_such_column(name):
    with pytest.raises(UsageError):
        column_of(PHOTOS, name)


def test_column_of__columns_of_a_table_come_first():
    table = {name: Labels((f"of {name}",), np.array([0, -1, 0], dtype=np.int32)) for name in ("label", "site", "slide")}
    for name in table:
        assert column_of(PHOTOS, name, table) is table[name]
    assert column_of(PHOTOS, "owner", table).names == ("ann", "cid")
    for name in ("slde", "sit", "mak", "ownr", "foldr"):
        with pytest.raises(UsageError, match=re.escape(str(name))):
            column_of(PHOTOS, name, table)
    with pytest.raises(UsageError) as caught:
        column_of(PHOTOS, "zzzzzz", {"slide": table["slide"]})
    assert "zzzzzz" in str(caught.value)


def test_first_column__the_first_that_is_there():
    result = first_column(PHOTOS, ("scene", "year", "owner"))
    assert result is not None
    assert result.names == ("2001", "2003")
    assert first_column(PHOTOS, ("scene", "make")) is None  # attributes are no columns


def test_labels_of__an_empty_name_is_a_class_and_none_is_not():
    labels = labels_of(["b", "", None])
    assert (labels.names, labels.values.tolist()) == (("", "b"), [1, 0, UNLABELLED])


@pytest.mark.parametrize(("values", "row"), [([0, 2], 1), ([-2], 0), ([0, "a"], 1), ([2**70], 0)])
def test_class_codes__what_is_no_class_is_refused_with_its_row(values, row):
    with pytest.raises(ValueError, match=f"{row}"):
        class_codes(values, 2)


def test_class_codes__unlabelled_may_be_refused():
    assert class_codes([None, -1], 2).tolist() == [-1, -1]
    with pytest.raises(ValueError, match="-1"):
        class_codes([None, -1], 2, unlabelled=False)


def test_column_sources__names_of_groups_and_what_is_a_column_of_a_table():
    group = ["medical center", "folder:2", "scanner=re:(AT2|S360)", "  site ", "stain=stain", "again=site"]
    sources = ColumnSources.of("label", group, cluster="slide", split="re:(train|test)", source="folder")
    assert dict(sources.groups) == {
        "medical_center": "medical center",
        "folder2": "folder:2",
        "scanner": "re:(AT2|S360)",
        "site": "  site ",
        "stain": "stain",
        "again": "site",
    }
    assert list(sources.sources().items()) == [
        ("label", "label"),
        ("cluster", "slide"),
        ("split", "re:(train|test)"),
        ("source", "folder"),
        *((f"group={name}", source) for name, source in sources.groups.items()),
    ]
    assert sources.of_table() == ["label", "slide", "medical center", "  site ", "stain", "site"]
    assert ColumnSources.of(scene="tile").sources() == {"scene": "tile"}
    for wrong, message in ((["re:(a)"], "group=NAME=re"), (["site", "site=x"], "groups")):
        with pytest.raises(UsageError, match=message):
            ColumnSources.of(group=wrong)


@pytest.mark.parametrize(
    ("name", "origin"),
    [("real", "real"), ("1_FAKE", "generated"), ("0-nature_images", "real"), ("deepfakes", "generated"),
     ("forged", "generated"), ("originals", "real"), ("unreal", None), ("really", None), ("12_real", None)],
)  # fmt: skip
def test_origin_of__names_of_classes(name, origin):
    assert origin_of(name) == origin


@pytest.mark.slow
def test_column_of__a_pattern_that_tries_every_division_is_refused_in_time(monkeypatch):
    monkeypatch.setattr("builders.photos.patterns.TIME_S", 1.0)
    long = PhotoSet.of_bytes("long", {"x" * 60: b""})
    with pytest.raises(UsageError, match=r"\(x\+x\+\)\+y"):
        column_of(long, "re:(x+x+)+y")


def test_column_of__patterns_of_several_repetitions():
    assert column_of(PHOTOS, "re:([a-z]+)[0-9]*").names == column_of(PHOTOS, "re:([a-z]+)").names
