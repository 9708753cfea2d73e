"""Which columns a config in FlickrExif's form must have, and where its classes stand."""

from types import SimpleNamespace

import pytest

from builders.errors import DataError
from builders.sources.attribute_sets import _check, _readings

CLASSES, PLAIN = SimpleNamespace(names=["Canon", "Sony"]), SimpleNamespace()


def part(**columns):
    return SimpleNamespace(column_names=list(columns), features=columns)


@pytest.mark.parametrize("column", ["label", "make"])
def test_check__classes_stand_in_the_column_of_the_config_or_in_label(column):
    columns = {"image": PLAIN, "photo_id": PLAIN, "make": PLAIN, "label": CLASSES, column: CLASSES}
    assert _check(part(**columns), "me/photos", "make") == (("Canon", "Sony"), column)


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"photo_id": PLAIN, "label": CLASSES}, "make holds no pixels"),
        ({"image": PLAIN, "label": CLASSES}, "make has no column photo_id, so it is not in FlickrExif's form"),
        ({"image": PLAIN, "photo_id": PLAIN}, "make has no column label, so"),
        ({"image": PLAIN}, "make has no column photo_id and label, so"),
        ({"image": PLAIN, "photo_id": PLAIN, "label": PLAIN}, "make has a label without class names, so"),
    ],
)
def test_check__what_is_missing_is_named(columns, what):
    with pytest.raises(DataError, match=what):
        _check(part(**columns), "me/photos", "make")


@pytest.mark.parametrize(
    ("configs", "features", "chosen", "readings"),
    [
        (["make", "model", "photos"], {"make": CLASSES, "model": CLASSES}, ["make", "model"], "both of photos"),
        (["make", "model", "photos"], {"make": CLASSES, "model": PLAIN}, ["make", "model"], "each of its own"),
        (["make", "model", "photos"], {"make": CLASSES}, ["make", "model"], "each of its own"),
        (["make", "model"], {}, ["make", "model"], "each of its own"),
        (["make", "photos"], {"make": CLASSES}, ["make"], "each of its own"),
    ],
)
def test_readings__all_attributes_are_read_of_one_config_if_it_has_all(configs, features, chosen, readings):
    repo = SimpleNamespace(location="me/photos", configs=lambda of: configs, features=lambda of, config: features)
    of_its_own = [(name, [name]) for name in chosen]
    assert _readings(repo, chosen) == ([("photos", chosen)] if readings == "both of photos" else of_its_own)
