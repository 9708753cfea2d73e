"""Builds and wrapped data sets of a processing file: the files that plain Pillow makes, and checks without the file."""

import io

import numpy as np
import pytest
from datasets import Dataset, Image, load_dataset
from PIL import Image as PillowImage

from builders import build_processed, with_processing
from builders.check import check_folder
from builders.errors import UsageError
from builders.photos import PhotoSet
from builders.pixels import decode_rgb, process_by_pillow, processings_in_use, read_definitions
from builders.processed.cli import parse_parameters
from tests.support.images import image_bytes

FILE = """schema = 1
[[processing]]
name = "small"
steps = [{step = "resize", width = 16, filter = "box"}, {step = "webp", quality = 40}]
[[processing]]
name = "twice"
steps = [{step = "jpeg", quality = 60}, {step = "crop", left = 3}, {step = "jpeg", quality = [50, 90]}]
[[parameter]]
name = "pipeline"
classes = {small = "small", twice = "twice"}
"""


@pytest.fixture
def file(tmp_path) -> str:
    (tmp_path / "mine.toml").write_text(FILE, encoding="utf-8")
    return str(tmp_path / "mine.toml")


def photos() -> dict[str, bytes]:
    rng = np.random.default_rng(3)
    return {f"p{i}": image_bytes(rng.integers(0, 256, (21 + i, 33, 3), dtype=np.uint8)) for i in range(4)}


def test_build_processed__of_a_file_is_pillows_and_is_checked_without_the_file(tmp_path, file):
    files, out = photos(), tmp_path / "out"
    measured = PhotoSet.of_bytes("noise", files, None, ["train"] * 4)
    build_processed(measured, out, parameters=("pipeline",), processings=file, assignment="every", progress=False)
    (tmp_path / "mine.toml").unlink()
    assert [check for check in check_folder(out) if not check.passed] == []
    rows = load_dataset(str(out), "pipeline", split="train").cast_column("image", Image(decode=False))
    assert rows.features["pipeline"].names == ["small", "twice"]
    assert len(rows) == 8
    (tmp_path / "mine.toml").write_text(FILE, encoding="utf-8")
    made_by = list(read_definitions(file).parameters["pipeline"].made_by)
    for row in rows:
        expected = process_by_pillow(decode_rgb(files[row["photo_id"]]), made_by[row["pipeline"]], row["photo_id"])
        stored = PillowImage.open(io.BytesIO(row["image"]["bytes"]))
        np.testing.assert_array_equal(np.asarray(stored), np.asarray(expected))
        assert (row["width"], row["height"]) == expected.size
    assert processings_in_use() == ""  # a build changes nothing in its process


def test_with_processing__of_a_file(file):
    files = photos()
    plain = Dataset.from_dict({"image": [{"bytes": data, "path": None} for data in files.values()]})
    plain = plain.cast_column("image", Image())
    views = with_processing(plain, "pipeline", processings=file, assignment="every", photo_id=list(files))
    small = read_definitions(file).processings["small"]
    expected = process_by_pillow(decode_rgb(files["p1"]), small, "p1")
    np.testing.assert_array_equal(np.asarray(views[2]["image"]), np.asarray(expected))
    assert views.features["pipeline"].names == ["small", "twice"]


def test_parse_parameters__all_of_a_file(file):
    assert parse_parameters("all", file) == ("pipeline",)
    assert parse_parameters("pipeline,jpeg", file) == ("pipeline", "jpeg")
    with pytest.raises(UsageError, match="'pipeline'"):
        parse_parameters("pipelin", file)
