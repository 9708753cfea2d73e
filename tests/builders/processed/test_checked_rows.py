"""Checks of processed builds: correct rows pass all of them, one wrong cell fails one check."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from builders.check.processed import check_processed
from builders.check.result import Adder
from builders.photos import Labels, PhotoSet
from builders.pixels import ALL_PARAMETERS, assigned_class, random_scale
from builders.processed import ProcessingSettings
from builders.processed.rows import ProcessedRows, processed_features, processed_rows
from tests.conftest import photo_bytes
from tests.support.images import image_bytes

IDS = [f"photo-{i}" for i in range(4)]
FILES = {name: photo_bytes(i, size=(40, 28)) for i, name in enumerate(IDS)}
CODING, BALANCE = "tables and sampling say the class", "class balance"
RELATIVE = "sizes of a photo's classes"


def built(parameter: str, assignment: str = "every", lossless: bool = False, seed: int = 0) -> tuple:
    """(settings, rows) of four photos."""
    settings = ProcessingSettings(parameter, assignment, seed=seed, lossless=lossless)
    every = assignment == "every"
    return settings, [row for name in IDS for row in processed_rows(FILES[name], name, settings, every)]


def verdicts(settings, rows, *others, split: str = "train") -> dict[str, bool]:
    """What each check says; the recipe describes other settings too."""
    recipe = {"settings": [one.described() for one in (*others, settings)]}
    checks = []
    loaded = {name: [row[name] for row in rows] for name in ("photo_id", settings.parameter, "width", "height")}
    check_processed(SimpleNamespace(recipe=recipe), loaded, rows, Adder(settings.parameter, split, checks))
    return {check.name: check.passed for check in checks}


def failed(settings, rows, **more) -> set[str]:
    return {name for name, passed in verdicts(settings, rows, **more).items() if not passed}


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("assignment", ["every", "uniform"])
@pytest.mark.parametrize("parameter", ["jpeg", "resizing", "interpolation", "sharpening"])
def test_check_processed__what_is_as_promised_passes(parameter, assignment, lossless):
    settings, rows = built(parameter, assignment, lossless, seed=3)
    measured = verdicts(settings, rows, ProcessingSettings("jpeg-fine", seed=1))
    assert all(measured.values())
    coding = "decoded views, as PNG" if lossless else CODING
    names = {"unique ids", BALANCE, coding, "width and height"}
    names |= {"scale"} if parameter == "interpolation" else set()
    names |= {RELATIVE} if parameter in ("resizing", "interpolation") and assignment == "every" else set()
    assert set(measured) == names


def test_check_processed__study_has_every_class_in_all_splits_but_train():
    _, rows = built("jpeg")
    settings = ProcessingSettings("jpeg", "study")
    assert failed(settings, rows, split="validation") == set()
    assert "unique ids" in failed(settings, rows, split="train")


def png(size: tuple[int, int]) -> bytes:
    return image_bytes(Image.new("RGB", size), "PNG")


def change(rows, at: int = 2, **cells):
    """The rows, some cells of one of them changed."""
    return [{**row, **cells} if i == at else row for i, row in enumerate(rows)]


def image(data: bytes) -> dict:
    return {"bytes": data, "path": "a"}


@pytest.mark.parametrize(
    ("parameter", "changed", "wrong"),
    [
        ("jpeg", lambda rows: rows[:-1], {"unique ids", BALANCE}),
        ("jpeg", lambda rows: [*rows, rows[-1]], {"unique ids", BALANCE}),
        # one row twice and one missing: as many rows as there should be
        ("jpeg", lambda rows: [*rows[:-1], rows[0]], {"unique ids", BALANCE}),
        # the class of a row and its file, of another quality or another sampling alone
        ("jpeg", lambda rows: change(rows, image=rows[0]["image"]), {CODING}),
        ("jpeg", lambda rows: change(rows, image=rows[4]["image"]), {CODING}),
        ("jpeg", lambda rows: change(rows, image=image(png((40, 28)))), {CODING}),
        ("jpeg", lambda rows: change(rows, image=image(b"no image")), {CODING, "width and height"}),
        ("jpeg", lambda rows: change(rows, width=28, height=40), {"width and height"}),
        ("jpeg", lambda rows: change(rows, width=41), {"width and height"}),
        ("jpeg", lambda rows: change(rows, height=29), {"width and height"}),
        ("interpolation", lambda rows: change(rows, scale=rows[2]["scale"] + 0.01), {"scale"}),
        ("interpolation", lambda rows: change(rows, width=41), {"width and height", RELATIVE}),
        ("resizing", lambda rows: change(rows, at=1, width=41), {"width and height", RELATIVE}),
        ("resizing", lambda rows: change(rows, at=1, height=29), {"width and height", RELATIVE}),
    ],
)
def test_check_processed__each_fault_fails_its_own_check(parameter, changed, wrong):
    settings, rows = built(parameter)
    assert failed(settings, changed(rows)) == wrong


def test_check_processed__a_photo_may_be_there_once_where_classes_are_assigned():
    settings, rows = built("jpeg", "uniform")
    assert failed(settings, [*rows, rows[0]]) == {"unique ids"}
    again = {**rows[0], "jpeg": (rows[0]["jpeg"] + 1) % 6}
    assert {"unique ids", CODING} <= failed(settings, [*rows, again])


def test_check_processed__lossless_images_are_png():
    settings, rows = built("jpeg", lossless=True)
    _, files = built("jpeg")
    assert failed(settings, change(rows, image=files[2]["image"])) == {"decoded views, as PNG"}


def test_check_processed__the_scale_is_of_the_seed_of_the_settings():
    settings, rows = built("interpolation", seed=3)
    assert [row["scale"] for row in rows[:2]] == [random_scale(IDS[0], 3)] * 2
    assert failed(dataclasses.replace(settings, seed=4), rows) == {"scale"}


def test_rows__of_a_correlated_build_have_the_class_of_their_label_and_unlabelled_ones_the_drawn_one():
    values = np.array([0, 1, 2, 3, -1, -1, -1, -1, -1, -1], np.int32)
    names = [f"photo-{i}" for i in range(len(values))]
    photos = PhotoSet.of_bytes("some", dict.fromkeys(names, FILES[IDS[0]]))
    photos = dataclasses.replace(photos, labels=Labels(("a", "b", "c", "d"), values))
    settings = ProcessingSettings("jpeg", "correlated:1", seed=5, assignment_seed=7)
    rows = ProcessedRows.of(photos, "train", settings)
    variant, parameter = settings.tied_classes(photos.labels.names), ALL_PARAMETERS["jpeg"]
    assert len(set(variant.tolist())) == 4
    codes = [rows(i)[0]["jpeg"] for i in range(len(names))]
    drawn = [assigned_class(name, parameter, 7) for name in names]
    assert codes == [*variant, *drawn[4:]]
    assert len(set(drawn[4:])) > 1  # else the test would say little
    assert [rows(i)[0]["label"] for i in range(len(names))] == values.tolist()
    assert set(rows(0)[0]) == set(processed_features(ALL_PARAMETERS["jpeg"], photos.labels.names))


def test_tied_classes__of_settings_are_those_of_the_assignments_seed():
    names = [f"class {i}" for i in range(30)]
    one = ProcessingSettings("jpeg", "correlated:1", seed=1, assignment_seed=2)
    assert (one.tied_classes(names) == dataclasses.replace(one, seed=9).tied_classes(names)).all()
    assert (one.tied_classes(names) != dataclasses.replace(one, assignment_seed=1).tied_classes(names)).any()
    assert one.classes_of("a", every=False, tied_class=4) == (4,)
    assert list(one.classes_of("a", every=True, tied_class=4)) == list(range(6))
