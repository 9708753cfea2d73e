"""Which columns a config in FlickrExif's form must have, and where its classes stand."""

from types import SimpleNamespace

import pytest

from builders.errors import DataError
from builders.sources.attribute_sets import _check

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
