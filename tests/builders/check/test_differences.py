"""Differences of two builds in rare forms: configs of one build alone, hashes of either name, no tables."""

import itertools

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value

from builders.check import ConfigDiff, diff_builds, diff_text
from builders.errors import DataError
from tests.support.built_folders import write_build

WORDS = Value("string")


def rows(features: dict, **columns):
    return Dataset.from_dict(columns, features=Features(features))


@pytest.fixture
def compare(tmp_path):
    numbers = itertools.count()

    def of(first: dict, second: dict, kinds=("k", "k"), codecs=({}, {}), recipes=({}, {})):
        """Differences of two builds, each given as {config: {split: rows}}."""
        folders = [
            write_build(
                tmp_path / f"{next(numbers)}",
                {(config, split): rows for config, splits in configs.items() for split, rows in splits.items()},
                kind=kind,
                codec=codec,
                recipe=recipe,
            )
            for configs, kind, codec, recipe in zip((first, second), kinds, codecs, recipes, strict=True)
        ]
        return diff_builds(*folders)

    return of


IDS = {"photo_id": WORDS}


def test_diff__configs_of_one_build_alone(compare):
    one = {"train": rows(IDS, photo_id=["b", "a"])}
    made = compare({"x": one, "y": one}, {"z": one, "y": one})
    assert made.configs == (
        ConfigDiff("x", 0, lost=("a", "b")), ConfigDiff("y", 2), ConfigDiff("z", 0, added=("a", "b")),
    )  # fmt: skip
    assert not made.is_equal
    assert diff_text(made).splitlines() == [
        "x: 0 photos equal", "  lost: 2 (a, b)", "y: 2 photos equal", "z: 0 photos equal", "  added: 2 (a, b)",
    ]  # fmt: skip


SOURCE = {**IDS, "source_sha256": WORDS, "sha256": WORDS, "width": Value("int64"), "source_quality": WORDS,
          "height_mm": WORDS, "make": WORDS, "image": Image(decode=False)}  # fmt: skip


def photo(name="a", source="s", file="f", width=1, quality="9", height="1", make="m", data=b"1"):
    return {"photo_id": name, "source_sha256": source, "sha256": file, "width": width, "source_quality": quality,
            "height_mm": height, "make": make, "image": {"bytes": data, "path": None}}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "bytes_changed", "columns"),
    [
        ({}, (), {}),
        ({"data": b"2"}, (), {}),  # pictures are compared by their hashes
        ({"source": "t", "width": 2, "quality": "8", "height": "2"}, ("a",), {}),
        ({"source": "t", "make": "n"}, ("a",), {"make": ("a",)}),
        ({"file": "g"}, (), {}),  # the file of the source is the same
        ({"width": 2, "quality": "8"}, (), {"width": ("a",), "source_quality": ("a",)}),
        ({"source": "t", "file": "g"}, ("a",), {}),
    ],
)
def test_diff__other_bytes_have_other_sizes_and_that_is_one_difference(compare, change, bytes_changed, columns):
    def table(**more):
        cells = photo(**more)
        return {"x": {"train": rows(SOURCE, **{name: [cell] for name, cell in cells.items()})}}

    (made,) = compare(table(), table(**change)).configs
    assert (made.changed_bytes, made.changed_columns) == (bytes_changed, columns)
    assert made.equal == (not change or set(change) == {"data"})


def test_diff__the_hash_of_the_file_where_there_is_none_of_the_source(compare):
    features = {**IDS, "sha256": WORDS, "width": WORDS}
    first = {"x": {"train": rows(features, photo_id=["a", "b"], sha256=["1", "2"], width=["1", "1"])}}
    second = {"x": {"train": rows(features, photo_id=["a", "b"], sha256=["3", "2"], width=["2", "2"])}}
    (made,) = compare(first, second).configs
    assert (made.changed_bytes, made.changed_columns, made.equal) == (("a",), {"width": ("b",)}, 0)
    plain = {**IDS, "width": WORDS}
    first = {"x": {"train": rows(plain, photo_id=["a"], width=["1"])}}
    second = {"x": {"train": rows(plain, photo_id=["a"], width=["2"])}}
    (made,) = compare(first, second).configs
    assert (made.changed_bytes, made.changed_columns) == ((), {"width": ("a",)})


def test_diff__classes_by_name_repeated_rows_and_columns_of_one_build(compare):
    def of(names, codes, **more):
        features = {**IDS, "label": ClassLabel(names=names), **dict.fromkeys(more, WORDS)}
        return {"x": {"train": rows(features, photo_id=["a", "a", "b", "c"], label=codes, **more)}}

    same = compare(of(["u", "v"], [0, 1, 1, -1]), of(["v", "w", "u"], [0, 2, 0, -1])).configs[0]
    assert same == ConfigDiff("x", 3)
    other = compare(of(["u", "v"], [0, 1, 1, -1]), of(["u", "v"], [0, 0, 1, 0])).configs[0]
    assert other == ConfigDiff("x", 1, changed_columns={"label": ("a", "c")})
    more = compare(of(["u"], [0] * 4), of(["u"], [0] * 4, owner=["o"] * 4)).configs[0]
    assert more == ConfigDiff("x", 0, changed_columns={"owner": ("a", "b", "c")})


def test_diff__a_photo_in_two_splits_and_in_one(compare):
    alone = rows(IDS, photo_id=["a"])
    both = {"x": {"train": alone, "test": alone}}
    (made,) = compare(both, {"x": {"test": alone}}).configs
    assert (made.moved, made.equal) == (("a",), 0)
    assert compare(both, both).is_equal


def test_diff__settings_kinds_and_codecs(compare):
    one = {"x": {"train": rows(IDS, photo_id=["a"])}}
    recipes = {"seed": 0, "build": 1, "left": None}, {"seed": 0, "build": 2, "new": {"a": [1]}, "ids_hash": "x"}
    made = compare(one, one, ("k", "l"), ({"pillow": "9"}, {"pillow": "10"}), recipes)
    assert made.recipe == {"kind": ("k", "l"), "pillow": ("9", "10"), "new": (None, {"a": [1]})}
    assert made.is_equal
    assert diff_text(made).splitlines() == [
        "photos, labels and splits are equal", "x: 1 photos equal", "setting kind: k -> l", "setting pillow: 9 -> 10",
        "setting new: None -> {'a': [1]}",
    ]  # fmt: skip


def test_diff__tables_without_ids_of_photos_cannot_be_compared(compare):
    one = {"x": {"train": rows(IDS, photo_id=["a"])}}
    with pytest.raises(DataError, match="photo_id"):
        compare({"x": {"train": rows({"id": WORDS}, id=["a"])}}, one)
