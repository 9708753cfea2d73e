"""Steps of a file as stages: which become fields of the processing, which stay edits, and what Pillow is given."""

import pytest
from PIL import Image

from builders.pixels import Processing, read_definitions
from builders.pixels.processing import Fit

TABLE = "[" + ", ".join(["[" + ", ".join(["7"] * 64) + "]"]) + "]"


@pytest.fixture
def processing(tmp_path):
    """Steps as text -> their processing."""

    def read(steps):
        path = tmp_path / "mine.toml"
        path.write_text(f'schema = 1\n[[processing]]\nname = "mine"\nsteps = [{steps}]\n', encoding="utf-8")
        return read_definitions(str(path)).processings["mine"]

    return read


JPEG = '{step = "jpeg", quality = 80}'


@pytest.mark.parametrize(
    ("steps", "edits", "fields"),
    [
        (JPEG, [], {}),
        ('{step = "sharpen", factor = 2}, ' + JPEG, [], {"sharpness": 2}),
        ('{step = "sharpen", factor = 1}, ' + JPEG, [], {}),
        ('{step = "sharpen", factor = 2.5}, ' + JPEG, [], {"sharpness": 2.5}),
        ('{step = "sharpen", factor = [1, 3]}, ' + JPEG, [], {"random": (("sharpness", (1.0, 3.0)),)}),
        ('{step = "sharpen", radius = 2}, ' + JPEG, ["sharpen"], {}),
        ('{step = "resize", scale = 0.5}, ' + JPEG, [], {"scale": 0.5}),
        ('{step = "resize", scale = 1}, ' + JPEG, [], {}),
        ('{step = "resize", scale = [0.8, 1.2]}, ' + JPEG, [], {"scale": None}),
        ('{step = "resize", scale = [0.8, 1.3]}, ' + JPEG, [], {"random": (("scale", (0.8, 1.3)),)}),
        (
            '{step = "sharpen", factor = [1, 3]}, {step = "resize", scale = [0.5, 2]}, '
            '{step = "jpeg", quality = [80, 90]}',
            [],
            {"quality": 95, "random": (("quality", (80, 90)), ("scale", (0.5, 2.0)), ("sharpness", (1.0, 3.0)))},
        ),
        ('{step = "resize", scale = 2, filter = "box"}, ' + JPEG, [], {"scale": 2, "resample": Image.Resampling.BOX}),
        ('{step = "resize", width = 9}, ' + JPEG, [], {"fit": Fit(9, None)}),
        (
            '{step = "resize", width = 9, height = 8, rule = "exact", enlarge = true}, ' + JPEG,
            [],
            {"fit": Fit(9, 8, "exact", True)},
        ),
        ('{step = "sharpen", factor = 2}, {step = "resize", scale = 2}, ' + JPEG, [], {"sharpness": 2, "scale": 2}),
        ('{step = "resize", scale = 2}, {step = "sharpen", factor = 2}, ' + JPEG, ["resize"], {"sharpness": 2}),
        ('{step = "resize", scale = 2}, {step = "resize", scale = 3}, ' + JPEG, ["resize"], {"scale": 3}),
        ('{step = "sharpen", factor = 2}, {step = "blur", radius = 1}, ' + JPEG, ["sharpen", "blur"], {}),
        ('{step = "greyscale"}, {step = "resize", scale = 2}, ' + JPEG, ["greyscale"], {"scale": 2}),
        ('{step = "decode"}, {step = "orient", exif = 6}, ' + JPEG, ["orient"], {}),
    ],
)
def test_processing_of__the_last_sharpening_and_resize_are_fields(steps, edits, fields, processing):
    made = processing(steps)
    assert [edit.kind for edit in made.edits] == edits
    expected = Processing("mine", **{"quality": 80, "subsampling": "4:2:0", "edits": made.edits, **fields})
    assert made == expected
    for name in ("sharpness", "scale"):  # 2 is not 2.0 in a key
        assert type(getattr(made, name)) is type(getattr(expected, name)) or getattr(made, name) == 1


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ('{step = "jpeg", quality = 1}', {"quality": 1, "subsampling": "4:2:0"}),
        ('{step = "jpeg", quality = 95, chroma = "4:2:2"}', {"quality": 95, "subsampling": "4:2:2"}),
        (
            '{step = "jpeg", quality = [1, 9], progressive = true, optimise = true}',
            {
                "subsampling": "4:2:0",
                "random": (("quality", (1, 9)),),
                "options": (("progressive", True), ("optimize", True)),
            },
        ),
        ('{step = "jpeg", quality = 9, progressive = false}', {"quality": 9, "subsampling": "4:2:0"}),
        (
            f'{{step = "jpeg", tables = {TABLE}}}',
            {"quality": 100, "subsampling": "4:2:0", "options": (("qtables", ((7,) * 64,)),)},
        ),
        ('{step = "webp", quality = 0}', {"quality": 0, "file_format": "WEBP"}),
        ('{step = "webp", quality = 5, method = 4}', {"quality": 5, "file_format": "WEBP"}),
        (
            '{step = "webp", quality = 5, method = 6}',
            {"quality": 5, "file_format": "WEBP", "options": (("method", 6),)},
        ),
        ('{step = "webp", lossless = true}', {"file_format": "WEBP", "options": (("lossless", True),)}),
        (
            '{step = "avif", quality = 5}',
            {
                "quality": 5,
                "file_format": "AVIF",
                "options": (("subsampling", "4:2:0"), ("speed", 6), ("max_threads", 1)),
            },
        ),
        (
            '{step = "avif", quality = 5, speed = 0, chroma = "4:4:4"}',
            {
                "quality": 5,
                "file_format": "AVIF",
                "options": (("subsampling", "4:4:4"), ("speed", 0), ("max_threads", 1)),
            },
        ),
        (
            '{step = "heic", quality = 5, chroma = "4:4:4"}',
            {"quality": 5, "file_format": "HEIF", "options": (("subsampling", "4:4:4"),)},
        ),
        ('{step = "jxl", quality = 5, effort = 7}', {"quality": 5, "file_format": "JXL"}),
        (
            '{step = "jxl", lossless = true, effort = 1}',
            {"file_format": "JXL", "options": (("lossless", True), ("effort", 1))},
        ),
        ('{step = "png"}', {"file_format": "PNG"}),
    ],
)
def test_processing_of__files(file, expected, processing):
    assert processing(file) == Processing("mine", **expected)


def test_processing_of__stages_end_with_files(processing):
    first, second = '{step = "greyscale"}, {step = "webp", quality = 3}', '{step = "resize", scale = 2}, {step = "png"}'
    made = processing(f"{first}, {second}, {JPEG}")
    assert [(s.name, s.file_format, s.quality, s.scale, [e.kind for e in s.edits]) for s in made.before] == [
        ("", "WEBP", 3, 1, ["greyscale"]),
        ("", "PNG", 95, 2, []),
    ]
    assert (made.name, made.file_format, made.quality, made.edits, made.scale) == ("mine", "JPEG", 80, (), 1)
