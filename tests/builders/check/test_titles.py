"""Titles and columns of the page of a build, and texts of a published card, whole."""

import pyarrow as pa
import pytest

from builders.check.report import facts as module
from builders.check.report.facts import NOT_KNOWN, _by_value, _distributions
from builders.errors import UsageError
from builders.publish.cli import card_in

TITLES = {
    "Owners": ["owner"],
    "Scenes": ["scene"],
    "Makes": ["camera_make"],
    "Devices": ["camera_model", "camera"],
    "Types of devices": ["label_device_type", "camera_type"],
    "Years": ["year"],
    "Months": ["month"],
    "Sizes of files": ["size"],
    "Licences": ["licence"],
    "JPEG qualities of the source": ["source_quality"],
    "Chroma subsampling of the source": ["source_subsampling"],
}


def titles(*columns):
    table = pa.table({name: ["a", "b"] for name in columns})
    return [made.title for made in _distributions(table)]


def test_distributions__one_for_each_kind_of_column_in_their_order():
    for title, columns in TITLES.items():
        assert [titles(column) for column in columns] == [[title]] * len(columns)
        assert titles(*columns) == [title]
    every = [columns[0] for columns in TITLES.values()]
    assert titles(*reversed(every)) == list(TITLES)
    assert titles("label_make", "label", "label_iso", "other") == ["Labels", "Label make", "Label iso"]
    both = pa.table({"camera": ["x", "x"], "camera_model": ["y", "z"]})
    assert [count.name for made in _distributions(both) for count in made.counts] == ["y", "z"]


def test_distributions__those_of_numbers_stand_in_their_order():
    values = ["100", "20", "9", "9", "9", None]
    for column in ("year", "month", "source_quality"):
        (made,) = _distributions(pa.table({column: values}))
        assert [count.name for count in made.counts] == ["9", "20", "100", NOT_KNOWN]
    (made,) = _distributions(pa.table({"size": values}))
    assert [count.name for count in made.counts][:1] == ["9"]
    assert [_by_value((name, 1))[0] for name in ("0.5 to 1", "12", "a", "1.2.3", "f/2.8")] == [
        0.5, 12, float("inf"), float("inf"), 2.8,
    ]  # fmt: skip


def test_notes__of_owners():
    (made,) = _distributions(pa.table({"owner": ["a"] * 1200 + ["b", "b", "c", ""]}))
    assert made.note == "3 owners, median 2 photos, largest 1,200"
    assert (module.MAX_VALUES, module.MAX_REASONS, NOT_KNOWN) == (12, 20, "not known")


def test_card__names_the_viewer():
    card = card_in("a\n<!-- viewer -->\nb\n<!-- viewer -->\n", "me/photos")
    assert card == (
        "a\n[Rows in the Hub's viewer](https://huggingface.co/datasets/me/photos/embed/viewer), which shows public "
        "repositories; the address may be embedded in a page.\nb\n<!-- viewer -->\n"
    )


def test_check__near_duplicates_are_refused(tmp_path):
    from builders.check import check_folder

    with pytest.raises(UsageError) as error:
        check_folder(tmp_path, guarded_by=["near-duplicate"])
    assert "guarded_by" in str(error.value)
