"""Rows of processed photos, and the settings and assignments that decide them."""

from dataclasses import replace

import numpy as np
import pytest

from builders.errors import UsageError
from builders.photos import Labels, PhotoSet
from builders.pixels import PARAMETERS, decode_rgb, random_scale, read_definitions, read_jpeg_header
from builders.processed import ProcessingSettings, correlation_of, settings_of
from builders.processed.assignment import classes_of
from builders.processed.rows import ProcessedRows
from tests.conftest import photo_bytes
from tests.support.images import image_bytes


def small(names=("a", "b", "c", "d"), **more):
    files = {name: photo_bytes(i, size=(24, 16)) for i, name in enumerate(names)}
    return PhotoSet.of_bytes("folder:some", files, **more)


def test_rows__of_one_photo(tmp_path):
    """Each column by hand: of JPEG and PNG photos, lossless or not, with and without labels."""
    picture = decode_rgb(photo_bytes(4, size=(30, 22)))
    files = {"d/1.jpg": image_bytes(picture, "JPEG", quality=80, subsampling=0), "d/2.png": image_bytes(picture, "PNG")}
    photos = PhotoSet.of_bytes("two", files, labels=["x", "y"])
    for lossless in (False, True):
        rows = ProcessedRows.of(photos, "train", ProcessingSettings("interpolation", "every", 6, lossless=lossless))
        assert len(rows) == 2
        for item, name in enumerate(files):
            assert rows.name(item) == name
            made = rows(item)
            classes = PARAMETERS["interpolation"].classes
            assert [row["interpolation"] for row in made] == list(range(len(classes)))
            for row, of_class in zip(made, classes, strict=True):
                path = f"{name.replace('/', '_')}.{of_class}.jpg" + (".png" if lossless else "")
                assert row["image"]["path"] == path
                assert (read_jpeg_header(row["image"]["bytes"]) is None) is lossless
                assert decode_rgb(row["image"]["bytes"]).size == (row["width"], row["height"])
                assert row["scale"] == random_scale(name, 6)
                assert (row["photo_id"], row["label"]) == (name, item)
                stated = (80, "4:4:4") if name.endswith("jpg") else (None, None)
                assert (row["source_quality"], row["source_subsampling"]) == stated
    assert "label" not in ProcessedRows.of(small(), "train", ProcessingSettings("jpeg"))(0)[0]


def test_rows__again_only_of_the_same_classes_and_file():
    photos = replace(small(labels=["x", "y", "x", "y"]), groups={"site": Labels(("n",), np.zeros(4, np.int32))})
    settings = ProcessingSettings("jpeg", "every")
    rows = ProcessedRows.of(photos, "train", settings)
    stored = rows(1)
    old = [{**row, "label": 0, "group_site": -1} for row in stored]  # of another labelling
    assert rows.again(1, old) == stored
    assert old[0]["label"] == 0  # what was passed is not changed
    assert rows.again(1, stored[:-1]) is None
    assert rows.again(1, stored[::-1]) is None
    assert rows.again(1, [*stored[:-1], {**stored[-1], "source_sha256": "0" * 64}]) is None
    digests = ["", stored[0]["source_sha256"], "", ""]
    known = replace(ProcessedRows.of(photos, "train", settings, digests), source=None)  # no photo is read
    assert known.again(1, stored) == stored
    other = ProcessedRows.of(photos, "train", settings, ["", "f" * 64, "", ""])
    assert other.again(1, stored) is None
    assert ProcessedRows.of(photos, "train", settings, [""] * 4).again(1, stored) == stored
    uniform = ProcessedRows.of(photos, "train", replace(settings, assignment="uniform"))
    [code] = uniform.settings.classes_of("b", every=False)
    assert uniform.again(1, stored) is None
    assert uniform.again(1, [stored[code]]) == [stored[code]]


def test_settings__of_files_and_of_recipes():
    web = ProcessingSettings.of("web-size-webp", "every", 1, 2, True, processings="web")
    assert web.definitions == read_definitions("web").text
    assert settings_of(web.described()) == web
    assert ProcessingSettings.of("jpeg", processings="web").definitions == ""
    assert web.described() == {
        "parameter": "web-size-webp",
        "assignment": "every",
        "seed": 1,
        "assignment_seed": 2,
        "lossless": True,
        "definitions": web.definitions,
    }
    for assignment, split, every in (
        ("every", "train", True),
        ("every", "val", True),
        ("study", "train", False),
        ("study", "val", True),
        ("study", "test", True),
        ("uniform", "val", False),
        ("correlated:1", "val", False),
    ):
        assert ProcessingSettings("jpeg", assignment).every(split) is every
    with pytest.raises(UsageError, match="'/etc/passwd'"):
        settings_of({**web.described(), "definitions": "/etc/passwd"})
    with pytest.raises(UsageError, match="unknown assignment 'al'"):
        ProcessingSettings("jpeg", "al")
    with pytest.raises(UsageError, match="'jpeg'"):
        ProcessingSettings("jpg")


@pytest.mark.parametrize(
    ("text", "share", "of_classes"),
    [
        ("correlated:1.", 1, False),
        ("correlated:.25", 0.25, False),
        ("correlated-classes:1", 1, True),
        ("study", None, 0),
    ],
)
def test_correlation_of__forms_of_a_share(text, share, of_classes):
    correlation = correlation_of(text)
    assert (correlation and (correlation.share, correlation.of_classes)) == (share and (share, of_classes))


@pytest.mark.parametrize("text", ["correlated:1.0001", "correlated:2", "correlated-classes:7."])
def test_correlation_of__more_than_everything(text):
    with pytest.raises(UsageError, match=f"{text}"):
        classes_of("a", PARAMETERS["jpeg"], text, 0)
