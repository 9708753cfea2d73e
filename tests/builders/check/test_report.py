"""The page about a build: its counts, its pictures, and names that try to be more than names."""

import base64
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from builders.__main__ import main
from builders.check import check_folder
from builders.check.report.facts import Count, report_facts
from builders.check.report.page import licence_row, write_report
from builders.check.report.sheets import (
    MAX_CLASSES,
    PHOTOS_OF_CLASS,
    THUMBNAIL_SIDE,
    contact_sheets,
    thumbnail_in_worker,
)
from builders.data_specs import open_photos
from builders.dataset import read_build
from builders.errors import DataError
from builders.photos import PhotoSet
from builders.processed.build import build_processed
from tests.conftest import photo_bytes
from tests.support.images import image_bytes

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A build of ten photos: two are equal, one cannot be decoded, and a class has a hostile name."""
    root = tmp_path_factory.mktemp("report")
    files = {f"{i}.jpg": photo_bytes(i) for i in range(8)}
    files |= {"twin.jpg": photo_bytes(0), "broken.jpg": b"no picture"}
    labels = ["cat"] * 5 + [HOSTILE] * 5
    splits = ["train"] * 6 + ["val"] * 4  # the twin of a photo in train is in val
    photos = PhotoSet.of_bytes("mine", files, labels=labels, splits=splits)
    build_processed(
        photos, root / "out", parameters=["jpeg"], license="cc-by-nc-2.0", duplicates="keep", progress=False
    )
    return root / "out"


def test_report__counts_are_those_of_the_photos(folder):
    facts = report_facts(folder)
    assert facts.photos == 9
    labels = next(d for d in facts.distributions if d.title == "Labels")
    assert {(c.name, c.photos) for c in labels.counts} == {("cat", 5), (HOSTILE, 4)}
    equal = next(d for d in facts.duplicates if d.kind == "equal files")
    assert (equal.groups, equal.photos, equal.straddling) == (1, 2, 1)
    assert [(m.photos, m.examples) for m in facts.missing] == [(1, ("broken.jpg",))]
    assert facts.licences == (Count("cc-by-nc-2.0", 9, 1.0),)
    rows = next(c for c in facts.classes if c.column == "jpeg")
    assert sum(sum(counts) for _, counts in rows.classes) == 9
    assert {type(count) for _, counts in rows.classes for count in counts} == {int}  # shown as 3, not as 3.0


@pytest.mark.slow
def test_report__the_page_loads_nothing_and_runs_nothing(folder, tmp_path):
    page = write_report(folder, tmp_path / "page.html", progress=False).read_text()
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=\"(?!#|data:image/jpeg;base64,)", page)
    assert "default-src 'none'" in page


@pytest.mark.slow
def test_report__pictures_are_small_copies_of_the_stored_files(folder):
    made = contact_sheets(folder, read_build(folder), progress=False)
    assert [sheet.column for sheet in made] == ["jpeg", "label"]
    by_label = {part.name: part for part in made[1].classes}
    assert {name: part.rows for name, part in by_label.items()} == {"cat": 5, HOSTILE: 4}
    assert {p.photo_id for p in by_label["cat"].photos} == {f"{i}.jpg" for i in range(5)}
    for photo in by_label["cat"].photos:
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(photo.jpeg))), dtype=float)
        original = Image.open(io.BytesIO(photo_bytes(int(photo.photo_id[0])))).convert("RGB")
        original.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        assert np.abs(picture - np.asarray(original, dtype=float)).mean() < 12


@pytest.mark.slow
def test_report__at_most_so_many_classes_and_photos(tmp_path):
    files = {f"{i:03d}.jpg": photo_bytes(i % 7) + bytes([i]) for i in range(80)}
    photos = PhotoSet.of_bytes("many", files, labels=[f"c{i % 20}" for i in range(80)])
    build_processed(photos, tmp_path / "out", duplicates="ignore", progress=False)
    made = contact_sheets(tmp_path / "out", read_build(tmp_path / "out"), progress=False)
    assert made[1].count == 20
    assert len(made[1].classes) == MAX_CLASSES
    assert max(len(part.photos) for sheet in made for part in sheet.classes) <= PHOTOS_OF_CLASS


def test_thumbnail__of_what_is_no_photo_is_none():
    assert thumbnail_in_worker(b"no picture")["jpeg"] == ""
    large = image_bytes(np.zeros((400, 1000, 3), dtype=np.uint8), "PNG")
    made = thumbnail_in_worker(large)
    assert (made["width"], made["height"], made["codec"]) == (THUMBNAIL_SIDE, 45, "PNG")


@pytest.mark.parametrize(
    ("name", "permits"),
    [
        ("cc0-1.0", (True, True, True, False, False)),
        ("cc-by-4.0", (True, True, True, True, False)),
        ("cc-by-sa-2.0", (True, True, True, True, True)),
        ("cc-by-nc-nd-4.0", (True, False, False, True, False)),
        ("all-rights-reserved", (False, False, False, False, False)),
        ("somebody's own", (None,) * 5),
    ],
)
def test_licence_row__what_a_licence_permits(name, permits):
    row = licence_row(Count(name, 1, 1.0))
    assert (row.redistribute, row.change, row.commercial, row.credit, row.share_alike) == permits


def test_report__of_no_build_is_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) != 0
    assert "finished" in capsys.readouterr().err


def test_report__a_damaged_shard_is_one_sentence(photo_folder, tmp_path):
    build_processed(open_photos(f"folder:{photo_folder}"), tmp_path / "out", progress=False)
    shard = next((tmp_path / "out").rglob("train*.parquet"))
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataError, match="not a Parquet file"):
        write_report(tmp_path / "out", progress=False)


@pytest.mark.slow
def test_report__left_out_of_an_untrusted_recipe_is_text(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    build = json.loads((copy / "build.json").read_text())
    build["recipe"]["left_out"] = {HOSTILE: 7, "odd": "many"}
    (copy / "build.json").write_text(json.dumps(build))
    page = write_report(copy, progress=False).read_text()
    assert "<script" not in page
    first = report_facts(copy).missing[0]
    assert (first.reason, first.photos) == (HOSTILE, 7)


@pytest.mark.parametrize("instead", ["nothing", "a folder", "other bytes"])
def test_check__a_shard_that_is_not_the_one_that_was_built(folder, tmp_path, instead):
    shutil.copytree(folder, tmp_path / "copy")
    (shard, *_) = [shard.file for shard in read_build(folder).shards]
    path = tmp_path / "copy" / shard
    path.unlink()
    if instead == "a folder":
        path.mkdir()
    elif instead == "other bytes":
        path.write_bytes(b"PAR1")
    made = check_folder(tmp_path / "copy", progress=False)
    (check,) = [c for c in made if c.name == "files are as they were built"][:1]
    assert not check.passed
    assert path.name in check.detail
    assert any(c.name == "rows can be read" and not c.passed for c in made)
    (check,) = [c for c in check_folder(folder, progress=False) if c.name == "files are as they were built"][:1]
    assert (check.passed, check.detail) == (True, "1 files, SHA-256 equal")
