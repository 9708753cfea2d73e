"""Checks of processed photos on a few rows, by doubles of the parameter: every name and detail, passing and failing."""

import io
from types import SimpleNamespace

import datasets
import pytest
from datasets import Features, Image, Value
from PIL import Image as Pictures
from scipy.stats import chi2

from builders.check import processed as module
from builders.check.processed import check_processed
from builders.check.result import Adder

WORDS, WHOLE = Value("string"), Value("int32")


def encoded(kind="JPEG", size=(16, 8), **options):
    stream = io.BytesIO()
    Pictures.new("RGB", size, (9, 99, 199)).save(stream, kind, **options)
    return stream.getvalue()


LOW, HIGH = encoded(quality=50, subsampling=2), encoded(quality=90, subsampling=0)


def made_by(quality=None, subsampling=None, file_format="JPEG", scale=1, options=(), one_stage=True):
    processing = SimpleNamespace(quality=quality, subsampling=subsampling, file_format=file_format, scale=scale,
                                 options=options, is_one_stage=one_stage)  # fmt: skip
    processing.drawn = lambda photo, seed: processing
    return processing


JPEG = (made_by(50, "4:2:0"), made_by(90, "4:4:4"))


@pytest.fixture
def checked(monkeypatch):
    """Checks of rows (photo, class, file) with these processings, as (name, passed, detail)."""

    def check(rows, processings=JPEG, *, every=False, settings=None, random_scale=False, sizes=None, scales=None):
        parameter = SimpleNamespace(
            name="jpeg", classes=tuple(f"class {i}" for i in range(len(processings))), made_by=processings,
            has_random_scale=random_scale,
        )  # fmt: skip
        of_settings = SimpleNamespace(question=parameter, every=lambda split: {"train": every}[split], assignment="a")
        stated = {"parameter": "jpeg", "seed": 7, **(settings or {})}
        monkeypatch.setattr(module, "settings_of", lambda given: {id(stated): of_settings}[id(given)])
        monkeypatch.setattr(module, "correlation_of", lambda assignment: {"a": None}[assignment])
        monkeypatch.setattr(module, "random_scale", lambda photo, seed: {("a", 7): 0.5, ("b", 7): 0.25}[photo, seed])
        features = {"photo_id": WORDS, "jpeg": WHOLE, "image": Image(decode=False), "width": WHOLE, "height": WHOLE}
        columns = {
            "photo_id": [row[0] for row in rows], "jpeg": [row[1] for row in rows],
            "image": [{"bytes": row[2], "path": None} for row in rows],
            "width": [size[0] for size in sizes or [(16, 8)] * len(rows)],
            "height": [size[1] for size in sizes or [(16, 8)] * len(rows)],
        }  # fmt: skip
        if scales is not None:
            features, columns = {**features, "scale": Value("float64")}, {**columns, "scale": scales}
        loaded = datasets.Dataset.from_dict(columns, features=Features(features))
        build = SimpleNamespace(recipe={"settings": [{"parameter": "blur"}, stated]})
        checks = []
        check_processed(build, loaded, iter(loaded), Adder("jpeg", "train", checks))
        assert {(c.config, c.split) for c in checks} <= {("jpeg", "train")}
        return [(c.name, c.passed, c.detail) for c in checks]

    return check


GOOD = [("a", 0, LOW), ("b", 1, HIGH)]
UNIQUE = ("unique ids", True, "2 photos, 2 (photo, class) rows")
CODING = ("tables and sampling say the class", True, "all 2 images")
SIZE = ("width and height", True, "as in each image's header")
BOUND = f"{chi2.ppf(0.999, 1):.1f}"


def test_check__of_a_class_for_each_photo(checked):
    balance = ("class balance", True, f"chi-square 0.0 <= {BOUND}: 1, 1")
    assert checked(GOOD) == [UNIQUE, balance, CODING, SIZE]


def test_check__of_every_class_for_each_photo(checked):
    rows = [(photo, code, file) for photo in "ab" for code, file in enumerate((LOW, HIGH))]
    unique = ("unique ids", True, "2 photos, 4 (photo, class) rows")
    assert checked(rows, every=True)[:2] == [unique, ("class balance", True, "equal by design: 2, 2")]
    assert checked(rows[:3], every=True)[:2] == [
        ("unique ids", False, "2 photos, 3 (photo, class) rows"), ("class balance", False, "equal by design: 2, 1"),
    ]  # fmt: skip
    assert checked(rows)[0][1] is False  # a photo has one class, unless it has all
    assert checked([*GOOD, GOOD[0]])[0] == ("unique ids", False, "2 photos, 3 (photo, class) rows")


def test_check__files_of_another_class_and_rows_of_another_size(checked):
    made = checked([("a", 0, HIGH), ("b", 1, LOW)])
    detail = "a is (90, '4:4:4'), its class is class 0, b is (50, '4:2:0'), its class is class 1"
    assert made[2:] == [("tables and sampling say the class", False, detail), SIZE]
    made = checked([("a", 0, b"no picture"), ("b", 1, HIGH)])
    assert made[2][1:] == (False, "a is ('unreadable',), its class is class 0")
    assert made[3] == ("width and height", False, "a")
    assert checked(GOOD, sizes=[(16, 8), (8, 16)])[3] == ("width and height", False, "b")


def test_check__of_formats_and_of_decoded_views(checked):
    formats = (made_by(file_format="PNG"), made_by(90, "4:4:4"))
    png = encoded("PNG")
    rows = [("a", 0, png), ("b", 1, HIGH)]
    assert checked(rows, formats)[2] == ("the format is that of the class", True, "all 2 images")
    made = checked([("a", 0, HIGH), ("b", 1, HIGH)], formats)
    assert made[2] == ("the format is that of the class", False, "a is (90, '4:4:4'), its class is class 0")
    views = [("a", 0, png), ("b", 1, png)]
    assert checked(views, settings={"lossless": True})[2] == ("decoded views, as PNG", True, "all 2 images")
    assert checked(views)[2][1] is False
    assert checked(GOOD, settings={"lossless": True})[2][:2] == ("decoded views, as PNG", False)


def test_check__of_scales_that_are_drawn(checked):
    made = checked(GOOD, random_scale=True, scales=[0.5, 0.25])
    assert made[4] == ("scale", True, "from the photo's id and the seed")
    assert checked(GOOD, random_scale=True, scales=[0.5, 0.5])[4] == ("scale", False, "b")
    assert [name for name, *_ in checked(GOOD, scales=[0.5, 0.5])] == [
        "unique ids", "class balance", "tables and sampling say the class", "width and height",
    ]  # fmt: skip
    assert checked(GOOD, random_scale=True)[4] == ("scale", True, "from the photo's id and the seed")


RESIZED = (made_by(90, "4:4:4", scale=1), made_by(90, "4:4:4", scale=0.5), made_by(90, "4:4:4", scale=None))


def sized(*sizes):
    return [("a", code, encoded(size=size, quality=90, subsampling=0)) for code, size in enumerate(sizes)], sizes


def test_check__sizes_of_a_photos_classes(checked):
    rows, sizes = sized((17, 9), (8, 4), (5, 5))
    right = ("sizes of a photo's classes", True, "as the class says")
    assert checked(rows, RESIZED, every=True, sizes=sizes)[-1] == right
    rows, sizes = sized((17, 9), (9, 4), (5, 5))  # rounded up
    assert checked(rows, RESIZED, every=True, sizes=sizes)[-1] == ("sizes of a photo's classes", False, "a")
    two = (*RESIZED, made_by(90, "4:4:4", scale=None))
    rows, sizes = sized((17, 9), (8, 4), (5, 5), (5, 5))
    assert checked(rows, two, every=True, sizes=sizes)[-1] == right
    rows, sizes = sized((17, 9), (8, 4), (5, 5), (5, 6))  # drawn once for a photo
    assert checked(rows, two, every=True, sizes=sizes)[-1][1:] == (False, "a")
    rows, sizes = sized((17, 9), (8, 4), (5, 5))
    assert checked(rows, RESIZED, sizes=sizes)[-1][0] == "width and height"  # classes of other photos
    stages = (RESIZED[0], made_by(90, "4:4:4", scale=0.5, one_stage=False), RESIZED[2])
    assert checked(rows, stages, every=True, sizes=sizes)[-1][0] == "width and height"
    whole = tuple(made_by(90, "4:4:4", scale=1) for _ in range(3))
    assert checked(rows, whole, every=True, sizes=sizes)[-1][0] == "width and height"
