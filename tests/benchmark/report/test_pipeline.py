"""A photo under each processing of a file: rows, cut-outs, table and page, as a whole."""

import math

import numpy as np
import pytest
from PIL import Image

from benchmark.report import Processed, pipeline_page, pipeline_rows, pipeline_table
from benchmark.report.pipeline import _cut, decibel
from builders.errors import PhotoError
from builders.pixels import decode_rgb, engine_of, open_processed, processed_file, psnr, read_definitions, ssim
from tests.support.images import image_bytes

FILE = """schema = 1
[[processing]]
name = "random"
steps = [{step = "jpeg", quality = [20, 90]}]
[[processing]]
name = "before"
steps = [{step = "crop", left = 20}, {step = "png"}, {step = "jpeg", quality = 80}]
[[processing]]
name = "small"
steps = [{step = "resize", scale = 0.5, filter = "box"}, {step = "png"}]
[[processing]]
name = "lost"
steps = [{step = "crop", left = 90}, {step = "png"}]
"""


@pytest.fixture
def definitions(tmp_path):
    (tmp_path / "mine.toml").write_text(FILE)
    return read_definitions(str(tmp_path / "mine.toml"))


def picture(width=90, height=60):
    return Image.fromarray(np.random.default_rng(2).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("seed", [0, 7])
def test_pipeline_rows__every_field(definitions, seed):
    data = image_bytes(picture())
    photo = decode_rgb(data)
    rows = pipeline_rows(data, "a.png", definitions, seed)
    expected = []
    for name, processing in definitions.processings.items():
        drawn = processing.drawn("a.png", seed)
        about = name, str(drawn), engine_of(processing, (90, 60))
        if name == "lost":
            with pytest.raises(PhotoError) as error:
                processed_file(photo, drawn, "a.png", seed)
            expected.append(Processed(*about, (0, 0), 0, None, None, "", str(error.value)))
            continue
        file = processed_file(photo, drawn, "a.png", seed)
        view = open_processed(file)
        pair = np.asarray(view), np.asarray(photo.resize(view.size, Image.Resampling.LANCZOS))
        likeness = (None, None) if name == "before" else (psnr(*pair), ssim(*pair))
        expected.append(Processed(*about, view.size, len(file), *likeness, _cut(view)))
    assert rows == expected
    assert [row.name for row in rows] == ["random", "before", "small", "lost"]
    assert rows[0].steps != str(definitions.processings["random"])  # with the number of this photo
    assert pipeline_rows(data, "a.png", definitions) == (
        rows if seed == 0 else pipeline_rows(data, "a.png", definitions, 0)
    )


ROWS = [
    Processed("a", "steps", "Pillow", (1200, 90), 12345, 31.46, 0.98765, "cut"),
    Processed("b", "steps", "exact engine", (12, 9), 7, math.inf, 1.0, "cut"),
    Processed("c", "steps", "both", (12, 9), 7, None, None, "cut"),
    Processed("d", "steps", "Pillow", (0, 0), 0, None, None, "", "no pixel is left"),
]


def test_pipeline_table__and_decibel():
    assert pipeline_table(ROWS) == [
        ["a", "1200 x 90", "12,345", "31.5 dB", "0.9877", "Pillow"],
        ["b", "12 x 9", "7", "equal", "1.0000", "exact engine"],
        ["c", "12 x 9", "7", "-", "-", "both"],
        ["d", "no pixel is left", "0", "-", "-", "Pillow"],
    ]
    assert [decibel(value) for value in (0.04, 31.25, math.inf, None)] == ["0.0 dB", "31.2 dB", "equal", "-"]


def test_pipeline_page__the_numbers_of_each_row():
    page = pipeline_page("mine.toml", "a.png", image_bytes(picture()), ROWS)
    figures = page.split("<figure>")[1:]
    assert [figure.partition("<h2>")[2].partition("</h2>")[0] for figure in figures] == ["the photo", *"abcd"]
    facts = ["".join(figure.partition("<dl>")[2].partition("</dl>")[0].split("\n")) for figure in figures]
    about = "<dt>steps</dt><dd>steps</dd><dt>made by</dt><dd>{}</dd>"
    assert facts[1] == (
        "<dt>size</dt><dd>1200 x 90</dd><dt>file</dt><dd>12,345 bytes</dd><dt>PSNR</dt><dd>31.5 dB</dd>"
        f"<dt>SSIM</dt><dd>0.9877</dd>{about.format('Pillow')}"
    )
    assert facts[4] == f"<dt>failed</dt><dd>no pixel is left</dd>{about.format('Pillow')}"


@pytest.mark.parametrize("where", ["first", "last", "alone"])
@pytest.mark.parametrize("move", ['{step = "orient", exif = 3}', '{step = "crop", left = 1}'])
def test_pipeline_rows__no_likeness_where_a_step_of_any_stage_moves_pixels(tmp_path, move, where):
    """Turned by 180 degrees a picture has its size: likeness would be measured if the step were overlooked."""
    steps = {
        "first": f'{move}, {{step = "png"}}, {{step = "jpeg", quality = 80}}',
        "last": f'{{step = "jpeg", quality = 80}}, {move}, {{step = "png"}}',
        "alone": f'{move}, {{step = "png"}}',
    }[where]
    plain = '[[processing]]\nname = "plain"\nsteps = [{step = "jpeg", quality = 80}, {step = "png"}]\n'
    (tmp_path / "mine.toml").write_text(f'schema = 1\n[[processing]]\nname = "moved"\nsteps = [{steps}]\n{plain}')
    moved, other = pipeline_rows(image_bytes(picture()), "a.png", read_definitions(str(tmp_path / "mine.toml")))
    assert (moved.psnr, moved.ssim, moved.failure) == (None, None, "")
    assert other.psnr > 10
    assert 0 < other.ssim <= 1
