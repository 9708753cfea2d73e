"""An attribute more is one entry, and one line of the allow-list where nobody read its tag before: tried with white
balance in a copy of the sources."""

import json
from pathlib import Path

import numpy as np
import piexif
import pytest
from PIL import Image

from tests.support.images import image_bytes
from tests.support.source_copy import END_OF_LIST, SourceCopy

TAG = """\
    0xA403: "WhiteBalance",
"""

FIND = """\
def _white_balance(acquisition: Acquisition, label_set: LabelSet) -> str:
    text = acquisition.raw.get("WhiteBalance", "").lower()
    return {"0": "auto", "1": "manual"}.get(text, text.partition(" ")[0] or UNKNOWN)


"""

ENTRY = """
    Attribute(
        "white_balance",
        _same(("auto", "manual")),
        _white_balance,
        title="White balance",
        explain="Whether the camera chose it.",
    ),"""

READ = """
import json, sys
from builders.exif import ATTRIBUTES, STUDY_ATTRIBUTES, acquisition_from_raw, acquisition_from_tags, label
from builders.flickrexif import photo_features
from builders.flickrexif.api.exif_answers import entries_from_response
from builders.flickrexif.assemble.rows import METADATA_FEATURES
from builders.data_specs import open_photos

photos = open_photos(f"exif-folder:{sys.argv[1]}?min-photos=5")
labels = photos.attributes["white_balance"]
entries = entries_from_response({"photo": {"exif": [
    {"tagspace": "ExifIFD", "tag": "WhiteBalance", "raw": {"_content": "Manual white balance"}}]}})
tags = ({("ExifIFD", "WhiteBalance"): "Auto"}, {("EXIF", "41987"): "1"}, {("ExifIFD", "Make"): "Canon"}, entries)
print(json.dumps({
    "attributes": list(photos.attributes),
    "names": labels.names,
    "labels": {i: labels.names[v] for i, v in zip(photos.ids, labels.values) if v >= 0},
    "flickr": [label(acquisition_from_tags(found), "white_balance") for found in tags],
    "flash": label(acquisition_from_raw({"WhiteBalance": "1"}), "flash"),
    "metadata": "label_white_balance" in METADATA_FEATURES,
    "study": list(STUDY_ATTRIBUTES),
    "task": ATTRIBUTES["white_balance"].task,
}))
"""

EXTRA = """
import contextlib, io
from builders.__main__ import main

for name in ("white_balance", "white_balanse"):
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        main(["flickrexif", "build", "--state", "none", "--output", "out", "--extra", name])
    print(errors.getvalue().strip())
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> SourceCopy:
    made = SourceCopy(tmp_path_factory.mktemp("sources") / "copy")
    made.insert("builders/exif/parser.py", "}\nTAG_NUMBERS = ", TAG)
    made.insert("builders/exif/attributes.py", "\n_ATTRIBUTES = (\n", FIND)
    made.insert("builders/exif/attributes.py", END_OF_LIST, ENTRY)
    return made


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 photos of two makers; every third has a white balance set by hand, four have none."""
    folder = tmp_path_factory.mktemp("drawer")
    for i in range(60):
        exif = {
            "0th": {piexif.ImageIFD.Make: (b"Canon", b"SONY")[i % 2]},
            "Exif": {piexif.ExifIFD.WhiteBalance: int(i % 3 == 0)} if i < 56 else {piexif.ExifIFD.Flash: 0},
        }
        noise = np.random.default_rng(i).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        (folder / f"{i:02d}.jpg").write_bytes(
            image_bytes(
                Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC), "JPEG", exif=piexif.dump(exif)
            )
        )
    return folder


@pytest.mark.slow
def test_new_attribute__is_read_from_files_and_from_flickr(copy: SourceCopy, drawer: Path) -> None:
    result = json.loads(copy.run(READ, drawer).splitlines()[-1])
    assert result["attributes"] == ["make", "white_balance"]
    assert result["names"] == ["auto", "manual"]
    assert len(result["labels"]) >= 30  # as many of each in every split
    assert result["labels"] == {i: "manual" if int(i[:2]) % 3 == 0 else "auto" for i in result["labels"]}
    assert not {"56.jpg", "57.jpg", "58.jpg", "59.jpg"} & {*result["labels"]}
    assert result["flickr"] == ["auto", "manual", "unknown", "manual"]
    assert result["flash"] == "unknown"
    assert result["metadata"]
    assert "white_balance" not in result["study"]
    assert result["task"] == "white-balance"


@pytest.mark.slow
def test_new_attribute__is_an_extra_of_flickrexif(copy: SourceCopy) -> None:
    known, misspelt = copy.run(EXTRA).splitlines()
    assert "unknown attribute" not in known  # but there is no state
    assert "unknown attribute 'white_balanse'" in misspelt
    assert "white_balance" in misspelt
