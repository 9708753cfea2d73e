"""Every check of a built folder, passing and failing, on tables of a few rows; and the commands around it."""

import hashlib
import itertools
import json
import re

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Features, Image, Value

from builders.__main__ import main
from builders.check import Check, check_folder
from builders.check.cli import table
from builders.errors import DataError, UsageError
from tests.support.built_folders import write_build
from tests.support.images import image_bytes

WORDS = Value("string")
FILES = "files are as they were built"
PIXELS = [image_bytes(np.full((4, 6, 3), i, dtype=np.uint8)) for i in range(4)]


def rows(features: dict, columns: dict) -> datasets.Dataset:
    return datasets.Dataset.from_dict(columns, features=Features(features))


@pytest.fixture
def checked(tmp_path):
    """Checks of a build with these tables."""
    numbers = itertools.count()

    def check(parts: dict, kind: str = "other", *, recipe=None, stated=None, broken=(), **options):
        folder = tmp_path / f"build{next(numbers)}"
        write_build(folder, parts, kind=kind, recipe=recipe, stated=stated, broken=broken)
        return [
            (c.config, c.split, c.name, c.passed, c.detail) for c in check_folder(folder, progress=False, **options)
        ]

    return check


def short(checks) -> list:
    """Without the two checks that every split has, which passed."""
    assert all(passed for _, _, name, passed, _ in checks if name in (FILES, "row count"))
    return [entry[2:] for entry in checks if entry[2] not in (FILES, "row count")]


IDS = rows({"photo_id": WORDS}, {"photo_id": ["a", "b"]})


def test_check__files_and_rows_of_each_split(checked):
    parts = {("x", "train"): IDS, ("x", "test"): IDS, ("y", "train"): IDS}
    made = checked(parts, stated={("x", "test"): 1234}, broken=[("y", "train")])
    assert made[:4] == [
        ("x", "train", FILES, True, "1 files, SHA-256 equal"),
        ("x", "train", "row count", True, "2 rows, build.json says 2"),
        ("x", "test", FILES, True, "1 files, SHA-256 equal"),
        ("x", "test", "row count", False, "2 rows, build.json says 1,234"),
    ]
    assert made[4] == ("y", "train", FILES, False, "train-00000-of-00001.parquet")
    assert [name for *_, name, _, _ in made[5:]] in (["row count"], ["rows can be read"])  # as the file's bytes allow
    # where one file of a config is another, its other splits are checked still
    made = checked({k: v for k, v in parts.items() if k[0] == "x"}, broken=[("x", "test")])
    assert ("x", "train", "row count", True, "2 rows, build.json says 2") in made


def of_images(cells, **more) -> datasets.Dataset:
    features = {"image": Image(decode=False), **dict.fromkeys(more, WORDS)}
    return rows(features, {"image": [c and {"bytes": c, "path": None} for c in cells], **more})


def test_check__images_are_decoded_where_there_are_some(checked):
    one, two = of_images(PIXELS[:2], sha256=["s0", "s1"]), of_images([PIXELS[0], PIXELS[2]], sha256=["s0", None])
    made = short(checked({("x", "train"): one, ("y", "train"): two}))
    assert made == [("images can be decoded", True, "all 2")] * 2
    assert short(checked({("x", "train"): of_images([PIXELS[0], None])})) == [("images can be decoded", True, "all 2")]
    assert short(checked({("x", "train"): one}, decode=False)) == []
    assert short(checked({("x", "train"): IDS})) == []


def test_check__images_that_cannot_be_decoded_are_named_by_their_row(checked):
    ((name, passed, detail),) = short(checked({("x", "train"): of_images([PIXELS[0], b"x", b"y", b"z", b"w"])}))
    assert (name, passed) == ("images can be decoded", False)
    assert detail.startswith("row 1: ")
    assert "row 3: " in detail
    assert detail.endswith(", and 1 more")


RECIPE = {"photo_id": WORDS, "jpeg": ClassLabel(names=["low", "high"])}


def test_check__a_recipe_has_ids_and_labels_alone(checked):
    unique = ("unique ids", True, "2 (photo, class) rows")
    good = rows(RECIPE, {"photo_id": ["a", "a"], "jpeg": [0, 1]})
    none = ("no pixels", True, "ids, labels and hashes only")
    assert short(checked({("jpeg", "train"): good}, "recipe")) == [none, unique]
    twice = rows(RECIPE, {"photo_id": ["a", "a"], "jpeg": [1, 1]})
    assert short(checked({("jpeg", "train"): twice}, "recipe")) == [
        none, ("unique ids", False, "2 (photo, class) rows"),
    ]  # fmt: skip
    for features in ({**RECIPE, "image": WORDS}, {**RECIPE, "picture": Image(decode=False)}):
        column = list(features)[2]
        cells = ["a", "b"] if column == "image" else [{"bytes": b"1", "path": None}] * 2
        pixels = rows(features, {"photo_id": ["a", "b"], "jpeg": [0, 0], column: cells})
        assert short(checked({("jpeg", "train"): pixels}, "recipe")) == [("no pixels", False, column), unique]


PAIRS = {
    "image": Image(decode=False), "pair_id": WORDS, "camera_type": ClassLabel(names=["phone", "camera"]),
    "photo_id": WORDS, "sha256": WORDS, "width": Value("int32"), "height": Value("int32"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, {}),
        ({"photo_id": ["a", "b", "a", "d"]}, {"unique ids": "4 photos"}),
        ({"camera_type": [0, 1, 1, 1]}, {"pairs": "q"}),
        ({"camera_type": [0, 0, 0, 1]}, {"pairs": "p"}),
        ({"pair_id": ["p", "p", "p", "q"]}, {"pairs": "p, q"}),
        ({"sha256": {2: "other"}}, {"bytes": "c"}),
        ({"width": [6, 4, 6, 6]}, {"width and height": "b"}),
        ({"height": [4, 4, 4, 5]}, {"width and height": "d"}),
        ({"image": {3: b"no picture"}, "sha256": {3: hashlib.sha256(b"no picture").hexdigest()}},
         {"width and height": "d"}),
        # a file with other bytes is named once
        ({"sha256": {0: "other"}, "width": [5, 6, 6, 6]}, {"bytes": "a"}),
    ],
)  # fmt: skip
def test_check__pairs(checked, change, wrong):
    files = list(PIXELS)
    columns = {
        "pair_id": ["p", "p", "q", "q"], "camera_type": [1, 0, 0, 1], "photo_id": list("abcd"),
        "width": [6] * 4, "height": [4] * 4, "sha256": [hashlib.sha256(data).hexdigest() for data in files],
    }  # fmt: skip
    for name, values in change.items():
        if not isinstance(values, dict):
            columns[name] = values
        for at, value in values.items() if isinstance(values, dict) else ():
            (files if name == "image" else columns[name])[at] = value
    columns["image"] = [{"bytes": data, "path": None} for data in files]
    good = {
        "unique ids": "4 photos", "pairs": "2 pairs, a phone and a camera each",
        "bytes": "SHA-256 as the row says", "width and height": "of the decoded photo",
    }  # fmt: skip
    made = short(checked({("pairs", "train"): rows(PAIRS, columns)}))
    assert made == [(name, name not in wrong, wrong.get(name, text)) for name, text in good.items()]


def test_check__a_recipe_without_the_column_of_its_classes_fails_a_check(checked):
    made = short(checked({("jpeg", "train"): IDS}, "recipe"))
    assert ("recipe and columns are those of its kind", False) in [entry[:2] for entry in made]


def test_check__a_recipe_or_a_table_of_another_form_fails_one_check(checked):
    made = short(checked({("jpeg", "train"): IDS}, "processed", recipe={"settings": []}))
    assert [entry[:2] for entry in made] == [("recipe and columns are those of its kind", False)]
    made = short(checked({("jpeg", "train"): IDS}, "processed"))
    assert [entry[:2] for entry in made] == [("recipe and columns are those of its kind", False)]
    assert "settings" in made[0][2]


GROUPED = {"photo_id": WORDS, "owner": WORDS, "scene": WORDS, "source_sha256": WORDS, "sha256": WORDS}


def grouped(ids, owners=None, scenes=None, sources=None, files=None):
    values = dict(zip(GROUPED, (list(ids), owners, scenes, sources, files), strict=True))
    columns = {name: list(v) for name, v in values.items() if v is not None}
    return rows({name: GROUPED[name] for name in columns}, columns)


def groups_of(checks) -> list:
    return [entry for entry in checks if "group" in entry[2]]


def test_check__owners_scenes_and_files_on_one_side(checked):
    def made(train, test, *kinds, **more):
        return groups_of(checked({("x", "train"): train, ("x", "test"): test}, guarded_by=kinds, **more))

    name = "no group in several splits"
    train = grouped("aab", owners=["o", "o", "p"], scenes=["s", "s", ""], files=["1", "1", "2"])
    test = grouped("cd", owners=["p", "q"], scenes=["t", "s"], files=["3", "4"])
    assert made(train, test, "owner") == [("x", "all", name, False, "1 of 3 groups of one owner")]
    assert made(train, test, "scene") == [("x", "all", name, False, "1 of 3 groups of one scene")]
    assert made(train, test, "file") == [("x", "all", name, True, "0 of 4 groups of one file")]
    assert made(train, test, "owner", "scene") == [("x", "all", name, False, "2 of 2 groups of one owner or scene")]
    # the hash of the source counts where there is one; of the rows of a photo, the first
    train = grouped("ab", sources=["1", "2"], files=["3", "3"])
    test = grouped("cdd", sources=["1", "4", "2"], files=["5", "6", "7"])
    assert made(train, test, "file") == [("x", "all", name, False, "1 of 3 groups of one file")]
    # without ids each row is a photo; an unknown value joins nothing
    alone = rows({"owner": WORDS}, {"owner": ["o", None]})
    assert made(alone, rows({"owner": WORDS}, {"owner": ["o", None]}), "owner") == [
        ("x", "all", name, False, "1 of 3 groups of one owner")
    ]
    assert groups_of(checked({("x", "train"): train}, guarded_by=["file"])) == []
    assert groups_of(checked({("x", "train"): train, ("x", "test"): test})) == []


@pytest.mark.parametrize(
    ("recipe", "guarded", "expected"),
    [
        ({}, (), ("no group in several splits", False, "1 of 1 groups of one file")),
        ({"duplicates": "text"}, (), ("no group in several splits", False, "1 of 1 groups of one file")),
        ({"duplicates": {"policy": "move"}}, (), ("no group in several splits", False, "1 of 1 groups of one file")),
        ({"duplicates": {"policy": "keep"}}, (),
         ("groups in several splits", True, "1 of 1 groups of one file, as built (--duplicates keep)")),
        ({"duplicates": {"policy": "ignore"}}, (),
         ("groups in several splits", True, "1 of 1 groups of one file, as built (--duplicates ignore)")),
        ({"duplicates": {"policy": "keep"}}, ("file",),
         ("no group in several splits", False, "1 of 1 groups of one file")),
        ({"duplicates": {"policy": "keep"}}, ("owner",),
         ("no group in several splits", True, "0 of 2 groups of one owner")),
    ],
)  # fmt: skip
def test_check__processed_photos_have_no_file_in_two_splits_unless_they_were_built_so(
    checked, recipe, guarded, expected
):
    parts = {("x", "train"): grouped("a", files=["1"]), ("x", "test"): grouped("b", files=["1"])}
    (made,) = groups_of(checked(parts, "processed", recipe=recipe, guarded_by=guarded))
    assert made == ("x", "all", *expected)


@pytest.mark.parametrize(
    ("policy", "name"), [("keep", "groups in several splits"), ("move", "no group in several splits")]
)
def test_check__files_of_a_folder_with_exif_are_in_two_splits_only_as_the_folder_has_them(checked, policy, name):
    parts = {("x", "train"): grouped("a", files=["1"]), ("x", "test"): grouped("b", files=["1"])}
    (made,) = groups_of(checked(parts, "exif-folder", recipe={"duplicates": {"policy": policy}}))
    assert made[2:4] == (name, policy == "keep")
    assert "1 of 1" in made[4]


def test_check__duplicates_that_were_left_but_are_not_there(checked):
    parts = {("x", "train"): grouped("a", files=["1"]), ("x", "test"): grouped("b", files=["2"])}
    (made,) = groups_of(checked(parts, "processed", recipe={"duplicates": {"policy": "keep"}}))
    assert made == ("x", "all", "no group in several splits", True, "0 of 2 groups of one file")


def test_check__near_duplicates_cannot_be_asked_for_and_an_unreadable_folder_is_named(checked, tmp_path):
    with pytest.raises(UsageError, match="guarded_by"):
        check_folder(tmp_path, guarded_by=["owner", "near-duplicate"])
    write_build(tmp_path / "b", {("x", "train"): IDS})
    file = tmp_path / "b" / "data" / "x" / "train-00000-of-00001.parquet"
    record = json.loads((tmp_path / "b" / "build.json").read_text())
    file.write_bytes(b"no table")
    record["splits"][0]["shards"][0]["sha256"] = hashlib.sha256(b"no table").hexdigest()
    (tmp_path / "b" / "build.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=re.escape(str(tmp_path / "b"))):
        check_folder(tmp_path / "b", progress=False)


def test_table__is_aligned():
    checks = [Check("a", "train", "short", True, "d1"), Check("long", "test", "a longer name", False, "d2")]
    assert table(checks) == "ok    a/train    short          d1\nFAIL  long/test  a longer name  d2"
    assert table([]) == ""


@pytest.mark.parametrize(("rows_stated", "status", "failed"), [(2, 0, 0), (3, 1, 1)])
def test_command__check_ends_with_one_where_a_check_fails(tmp_path, capsys, rows_stated, status, failed):
    folder = write_build(tmp_path / "b", {("x", "train"): IDS}, stated={("x", "train"): rows_stated})
    assert main(["check", str(folder), "--json"]) == status
    record = json.loads(capsys.readouterr().out)
    assert (record["folder"], record["failed"]) == (str(folder), failed)
    assert [(c["config"], c["split"], c["passed"]) for c in record["checks"]] == [
        ("x", "train", True),
        ("x", "train", not failed),
    ]


@pytest.mark.parametrize(
    ("equal", "words", "status"),
    [(True, ["--exit-code"], 0), (False, ["--exit-code"], 1), (False, [], 0), (True, [], 0)],
)
def test_command__diff_says_so_by_its_status_where_wanted(tmp_path, capsys, equal, words, status):
    first = write_build(tmp_path / "a", {("x", "train"): IDS}, recipe={"seed": 0})
    other = IDS if equal else rows({"photo_id": WORDS}, {"photo_id": ["a", "new"]})
    second = write_build(tmp_path / "b", {("x", "train"): other}, recipe={"seed": 1})
    assert main(["diff", str(first), str(second), *words]) == status
    out = capsys.readouterr().out
    assert "seed: 0 -> 1" in out
    assert ("new" in out) is not equal
