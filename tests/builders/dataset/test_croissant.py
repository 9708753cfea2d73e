"""``croissant.json`` of built sets, by MLCommons' own validator and reader."""

import json

import datasets
import pytest

from builders.data_specs import open_photos
from builders.dataset import CROISSANT_FILE
from builders.processed.build import build_processed
from tests.support.croissant import described_as_loaded, records, valid_description


@pytest.fixture
def processed(photo_folder, tmp_path):
    photos = open_photos(f"folder:{photo_folder}")
    options = {"parameters": ["jpeg", "interpolation"], "license": "cc-by-4.0", "progress": False}
    build_processed(photos, tmp_path / "out", **options)
    return tmp_path / "out"


def test_croissant__processed_photos(processed, tmp_path):
    described = described_as_loaded(processed, tmp_path / "cache")
    metadata = valid_description(processed).metadata
    assert metadata.license == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    assert "second* compression" in described["rai:dataLimitations"]
    assert "works on the decoded RGB photo" in described["rai:dataPreprocessingProtocol"]


def test_croissant__its_reader_gives_the_rows_of_load_dataset(processed):
    rows = records(processed, "jpeg/validation")
    loaded = datasets.load_dataset(str(processed), "jpeg", split="validation")
    assert len(rows) == len(loaded)
    by_id = {row["photo_id"]: row for row in loaded}
    for record in rows:
        row = by_id[record["jpeg/validation/photo_id"].decode()]
        assert record["jpeg/validation/jpeg"] == row["jpeg"]
        assert record["jpeg/validation/image"].tobytes() == row["image"].tobytes()


def test_croissant__is_removed_with_its_build(processed, photo_folder):
    (processed / CROISSANT_FILE).write_text("of an earlier build")
    photos = open_photos(f"folder:{photo_folder}")
    build_processed(photos, processed, parameters=["resizing"], fresh=True, progress=False)
    assert {r["name"].partition("/")[0] for r in json.loads((processed / CROISSANT_FILE).read_text())["recordSet"]} == {
        "resizing"
    }
