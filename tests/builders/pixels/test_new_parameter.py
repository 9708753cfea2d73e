"""A parameter more is one entry in ``builders/pixels/parameters.py``: tried with WebP in a copy of the sources."""

import importlib.util
import io
import json
from pathlib import Path

import datasets
import pytest
from PIL import Image, features

from tests.support.source_copy import END_OF_LIST, SourceCopy

ENTRY = """
    Parameter(
        "webp",
        ("q50", "q75", "q95"),
        tuple(Processing(f"webp-q{quality}", quality, file_format="WEBP") for quality in (50, 75, 95)),
        title="WebP",
        explain="Which of 3 WebP qualities: 50, 75 or 95.",
    ),"""

BUILD = """
import sys
from builders.__main__ import main

photos, out = sys.argv[1:]
options = ["--source", photos, "--parameter", "webp", "--assignment", "every", "--output", out]
assert main(["folder", *options]) == 0
assert main(["check", out]) == 0

from datasets import load_dataset
from builders import with_processing

# the same photos under the same ids, processed as they are read
original = load_dataset("imagefolder", data_dir=photos, split="train")
ids = ["train/" + row["image"]["path"].split("/train/")[1] for row in original.cast_column("image", type(
    original.features["image"])(decode=False))]
built = load_dataset(out, "webp", split="train").cast_column("image", type(original.features["image"])(decode=False))
views = with_processing(original, "webp", assignment="every", photo_id=ids, decode=False, folder=photos)
stored = {(row["photo_id"], row["webp"]): row["image"] for row in built}
assert {(row["photo_id"], row["webp"]): row["image"] for row in views} == stored
assert with_processing(original, "webp", photo_id=ids, folder=photos)[0]["image"].format == "WEBP"
"""

SCORE = """
import sys
from benchmark.__main__ import main

photos, built, out = sys.argv[1:]
assert main(["list", "parameters"]) == 0
for data, folder in ((f"folder:{photos}", "folder"), (f"built:{built}", "built")):
    options = ["--model", "control:jpeg-statistics", "--tasks", "*/webp", "--workers", "0"]
    assert main([*options, "--data", data, "--output", f"{out}/{folder}"]) == 0
"""

ENGINES = """
import json
import numpy as np
import torch
from PIL import Image
from benchmark.bank.gates import neighbouring
from benchmark.views import ProcessingViews
from benchmark.views.device.views import equals_pillow
from benchmark.views.device.views import possible, torch_views
from builders.pixels import PROCESSINGS, STUDY_PROCESSINGS, chosen_engine, codec_canary, codec_versions
from builders.pixels import process_all, process_by_pillow, request

pixels = np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)
photo = Image.fromarray(pixels)
engine = chosen_engine()
taken = [n for n, p in PROCESSINGS.items() if engine and engine.takes(request(p, photo.size, "a", 0), photo.size)]
try:
    torch_views(torch.zeros((1, 9, 9, 3), dtype=torch.uint8), ["a"], ["webp-q50"], [])
    refused = ""
except ValueError as error:
    refused = str(error)
made = dict(zip(PROCESSINGS, process_all(photo, list(PROCESSINGS.values()), "a")))
webp = [name for name in PROCESSINGS if name not in STUDY_PROCESSINGS]
names = tuple(PROCESSINGS)
print(json.dumps({
    "engine": engine is not None,
    "taken": taken,
    "unequal": [n for n, p in PROCESSINGS.items()
                if not np.array_equal(made[n], process_by_pillow(photo, p, "a"))],
    "webp": webp,
    "device makes the study's": possible(51, 37, "a", STUDY_PROCESSINGS, []),
    "device makes webp": possible(51, 37, "a", webp[:1], []),
    "refused": refused,
    "device equals pillow": equals_pillow(torch.device("cpu")),
    "gate": [[names[a], names[b]] for a, b in neighbouring(names) if {names[a], names[b]} & {*webp}],
    "canary": codec_canary(),
    "canary with webp": codec_canary(webp),
    "versions": codec_versions(),
    "key": json.dumps(ProcessingViews(STUDY_PROCESSINGS).view_keys()),
}))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> SourceCopy:
    made = SourceCopy(tmp_path_factory.mktemp("sources") / "copy")
    made.insert("builders/pixels/parameters.py", END_OF_LIST, ENTRY)
    return made


@pytest.fixture(scope="module")
def built(copy: SourceCopy, photo_folder: Path) -> Path:
    """A build of every photo in every class, checked, and compared with ``with_processing``."""
    out = copy.folder / "out"
    copy.run(BUILD, photo_folder, out)
    return out


@pytest.mark.slow
def test_new_parameter__is_built_as_files_of_its_format(built: Path, photo_folder: Path) -> None:
    data = datasets.load_dataset(str(built), "webp", split="validation", cache_dir=str(built.parent / "hub"))
    assert data.features["webp"].names == ["q50", "q75", "q95"]
    assert len(data) == 12 * 3
    for row in data.cast_column("image", datasets.Image(decode=False)):
        quality = (50, 75, 95)[row["webp"]]
        saved = io.BytesIO()
        with Image.open(photo_folder / row["photo_id"]) as original:
            original.convert("RGB").save(saved, "WEBP", quality=quality)
        assert row["image"]["bytes"] == saved.getvalue()
        assert row["image"]["path"] == f"{row['photo_id'].replace('/', '_')}.q{quality}.webp"
        with Image.open(photo_folder / row["photo_id"]) as original:
            assert (row["width"], row["height"]) == original.size
    card = (built / "README.md").read_text()
    assert "| `webp` | WebP. Which of 3 WebP qualities: 50, 75 or 95. | q50, q75, q95 | 0.333 |" in card
    assert "| `webp` | q75 | WEBP of quality 75 |" in card
    assert "a WEBP file" in card


@pytest.mark.slow
def test_new_parameter__is_scored_from_photos_and_from_the_built_set_alike(
    copy: SourceCopy, built: Path, photo_folder: Path
) -> None:
    results = copy.folder / "results"
    printed = copy.run(SCORE, photo_folder, built, results)
    assert "| webp          |" in printed
    scores = {}
    for data in ("folder", "built"):
        result = json.loads((results / data / "result.json").read_text())
        assert not result["failures"]
        scores[data] = {(score["task"], score["metric"]): score["value"] for score in result["scores"]}
        probe = next(score for score in result["scores"] if score["task"] == "probe/webp")
        assert probe["details"]["class_names"] == ["q50", "q75", "q95"]
        assert probe["chance"] == pytest.approx(1 / 3)
        assert probe["n"] == 12
    assert scores["folder"] == scores["built"]
    assert len(scores["folder"]) == 1 + 8


def test_new_parameter__engines_leave_it_to_pillow_and_the_study_stays_comparable(copy: SourceCopy) -> None:
    from builders.pixels import STUDY_PROCESSINGS, codec_canary

    measured = json.loads(copy.run(ENGINES).splitlines()[-1])
    assert measured["webp"] == ["webp-q50", "webp-q75", "webp-q95"]
    assert measured["engine"] == (importlib.util.find_spec("numba") is not None)  # its self-test passes
    assert measured["taken"] == (list(STUDY_PROCESSINGS) if measured["engine"] else [])
    assert measured["unequal"] == []
    assert measured["device makes the study's"]
    assert not measured["device makes webp"]
    assert "webp-q50" in measured["refused"]
    assert measured["device equals pillow"]
    assert measured["gate"] == [["webp-q50", "webp-q75"], ["webp-q50", "webp-q95"], ["webp-q75", "webp-q95"]]
    assert measured["canary"] == codec_canary()
    assert measured["canary with webp"].startswith(f"{codec_canary()}-")
    assert measured["versions"]["webp"] == features.version("webp")
    assert "webp" not in measured["key"]
