"""Data sets of the Hub: which split is which, and which column is meant where only one can be."""

import datasets
import pytest

from builders.errors import UsageError
from builders.sources.hub_data_sets import _choose_splits, _class_column, _only

NONE = {"train": None, "val": None, "test": None}


@pytest.mark.parametrize(
    ("names", "requested", "chosen"),
    [
        ("train validation test", {}, {"train": "train", "val": "validation", "test": "test"}),
        ("train val", {}, {"train": "train", "val": "val"}),
        ("train test", {}, {"train": "train", "val": "test"}),  # the only other split is for validation
        ("train test dev", {"val": "dev"}, {"train": "train", "val": "dev", "test": "test"}),
        ("test", {}, {"train": "test"}),
        ("validation", {}, {"train": "validation"}),
        ("a b", {"train": "a"}, {"train": "a"}),
        ("a b", {"val": "b"}, {"train": "b"}),
        ("train test", {"train": "test"}, {"train": "test"}),  # a split is used once
        ("train validation", {"val": "train"}, {"train": "train"}),
        ("train validation", {"test": "validation"}, {"train": "train", "val": "validation"}),
    ],
)
def test_choose_splits__by_name_or_as_usual(names, requested, chosen):
    loaded = {name: name for name in names.split()}
    assert _choose_splits(loaded, {**NONE, **requested}, "me/photos") == chosen


def test_choose_splits__unknown_names_are_refused():
    with pytest.raises(UsageError, match="hub:me/photos has the splits a, b: say which is which"):
        _choose_splits({"a": 0, "b": 1}, NONE, "me/photos")
    with pytest.raises(UsageError, match="did you mean 'train'"):
        _choose_splits({"train": 0}, {**NONE, "val": "trian"}, "me/photos")


FEATURES = datasets.Features(
    {"image": datasets.Image(), "make": datasets.ClassLabel(names=["a"]), "id": datasets.Value("string")}
)


def test_only__one_column_of_a_kind():
    assert _only(FEATURES, "Image", "me/photos", "image") == "image"
    assert _only(FEATURES, "ClassLabel", "me/photos", "label") == "make"
    assert _only(FEATURES, "Video", "me/photos", "image", required=False) is None
    with pytest.raises(
        UsageError, match=r"has no Video column among image, make, id: say which one \(\?image=\.\.\.\)"
    ):
        _only(FEATURES, "Video", "me/photos", "image")
    two = {**FEATURES, "model": FEATURES["make"]}
    for required in (True, False):
        with pytest.raises(
            UsageError, match=r"hub:me/photos has columns make, model: say which one \(\?label=\.\.\.\)"
        ):
            _only(two, "ClassLabel", "me/photos", "label", required)


def test_class_column__the_config_names_it():
    assert _class_column(FEATURES, "make") == "make"
    assert [_class_column(FEATURES, config) for config in (None, "default", "id", "image")] == [None] * 4
