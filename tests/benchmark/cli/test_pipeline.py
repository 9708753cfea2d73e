"""``camtrace pipeline``: its table, its page, and what it refuses."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from benchmark.cli.pipeline import parser, run
from benchmark.report import pipeline_rows
from builders.cli import run_command
from builders.errors import DataError
from builders.pixels import psnr, read_definitions, ssim
from tests.support.images import image_bytes

FILE = """schema = 1
[[processing]]
name = "half"
steps = [{step = "resize", scale = 0.5, filter = "box"}, {step = "jpeg", quality = 40}]
[[processing]]
name = "same"
steps = [{step = "png"}]
[[processing]]
name = "cut"
steps = [{step = "crop", left = 30}, {step = "png"}]
"""


@pytest.fixture
def photo(tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    (tmp_path / "<b>.png").write_bytes(image_bytes(picture))
    (tmp_path / "mine.toml").write_text(FILE, encoding="utf-8")
    return tmp_path / "<b>.png"


def test_pipeline_rows__by_hand(photo):
    half, same, cut = pipeline_rows(photo.read_bytes(), "a", read_definitions(str(photo.parent / "mine.toml")))
    image = Image.open(photo)
    file = io.BytesIO()
    small = image.resize((30, 20), Image.Resampling.BOX)
    small.save(file, "JPEG", quality=40, subsampling="4:2:0")
    view, reference = np.asarray(Image.open(file)), np.asarray(image.resize((30, 20), Image.Resampling.LANCZOS))
    assert (half.size, half.count) == ((30, 20), len(file.getvalue()))
    assert (half.psnr, half.ssim) == (psnr(view, reference), ssim(view, reference))
    assert (same.psnr, same.ssim) == (float("inf"), 1.0)
    assert (cut.size, cut.psnr, cut.ssim) == ((30, 40), None, None)


def test_run__writes_a_page_that_loads_nothing(photo, capsys):
    page = photo.parent / "page.html"
    words = [str(photo.parent / "mine.toml"), "--photo", str(photo), "-o", str(page)]
    assert run(parser().parse_args(words)) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\| same +\| 60 x 40 \|.*equal +\| +1\.0000 \| Pillow", printed)
    text = page.read_text(encoding="utf-8")
    assert "&lt;b&gt;.png under mine.toml" in text
    assert "<b>" not in text
    assert not re.search(r"(?:src|href)=\"(?!data:image/png;base64,)", text)
    assert text.count("<figure>") == 4


def test_run__a_processing_without_a_result_is_said(photo, capsys):
    (photo.parent / "mine.toml").write_text(FILE.replace("left = 30", "left = 60"), encoding="utf-8")
    page = photo.parent / "page.html"
    words = [str(photo.parent / "mine.toml"), "--photo", str(photo), "-o", str(page)]
    assert run(parser().parse_args(words)) == 1
    assert "60 x 40" in capsys.readouterr().out
    assert "no pixel" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "why"), [(None, "does not exist|cannot be read|no such"), (b"text", "not an image")]
)
def test_run__what_is_no_photo(photo, content, why):
    other = photo.parent / "other.jpg"
    if content is not None:
        other.write_bytes(content)
    with pytest.raises(DataError, match=f"--photo .*other.jpg: .*({why})"):
        run(parser().parse_args([str(photo.parent / "mine.toml"), "--photo", str(other)]))


def test_run__equal_pixels_have_no_psnr_in_json(photo, capsys):
    def refuse(constant):
        raise AssertionError(constant)

    words = [str(photo.parent / "mine.toml"), "--photo", str(photo), "--json"]
    assert run_command(parser().parse_args(words)) == 0
    half, same, cut = json.loads(capsys.readouterr().out, parse_constant=refuse)["processings"]
    assert (half["psnr"] > 5, half["ssim"] < 1) == (True, True)
    assert [(one["psnr"], one["ssim"]) for one in (same, cut)] == [(None, 1.0), (None, None)]
