"""Refusals of processing files that other tests do not reach, as whole sentences; a sharpening before other steps."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from builders.errors import UsageError
from builders.pixels import EditStep, read_definitions
from builders.pixels.definitions.fields import STEP_FIELDS
from builders.pixels.edits import edited
from tests.builders.pixels.definitions.test_read import FILE


def refusal(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as error:
        read_definitions(str(path))
    return str(error.value).replace(str(path), "FILE")


PARAMETER = '[[parameter]]\nname = "pipeline"\nclasses = {small = "small", plain = "plain"}\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{FILE}{PARAMETER}", "--processings FILE: line 18, name: pipeline is defined twice"),
        (FILE.replace("quality = 80},\n]", "},\n]").replace(", }", "}"), "--processings FILE: line 7, step 2, "),
        (FILE.replace("width = 640, ", ""), "--processings FILE: line 6, step 1, "),
        ("schema = 1\nprocessing = [3]\n", "--processings FILE: line 2, processing: a processing is a table"),
        (f"{FILE}parameters = 1\n", "--processings FILE: "),
        (FILE.replace("schema = 1", "schema = true"), "--processings FILE: line 1, schema: schema = 1 is needed"),
        (FILE.replace("schema = 1", "schema = 2"), "--processings FILE: line 1, schema: schema = 1 is needed"),
        ("schema = 1\n", "--processings FILE: line 1, processing: 1 to 200 are needed, and none is stated"),
        (
            "schema = 1\nprocessing = []\n",
            "--processings FILE: line 2, processing: 1 to 200 are needed, and 0 are stated",
        ),
    ],
)
def test_read_definitions__refuses(tmp_path, text, sentence):
    made = refusal(tmp_path, text)
    assert made == sentence or (sentence.endswith(" ") and made.startswith(sentence)), made


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_sharpen__by_a_factor_or_an_unsharp_mask(factor):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
    made = edited(image, EditStep("sharpen", (("factor", factor),)))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(ImageEnhance.Sharpness(image).enhance(factor)))
    values = {"radius": 2.0, "percent": 90, "threshold": 1}
    made = edited(image, EditStep("sharpen", (("factor", None), *values.items())))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(image.filter(ImageFilter.UnsharpMask(**values))))


def number(low, high, default=None, *, whole=False, random=False, required=False):
    return (low, high, whole, random, default, required)


def quality(low):
    return number(low, 100, whole=True, random=True)


PIXELS, BORDER = number(1, 16_384, whole=True), number(0, 4096, whole=True)
NUMBERS = {
    "orient": {"exif": number(1, 8, whole=True, required=True)},
    "resize": {"scale": number(0.05, 8, random=True), "width": PIXELS, "height": PIXELS},
    "crop": {
        "share": number(0.05, 1, random=True), "width": PIXELS, "height": PIXELS,
        "left": BORDER, "top": BORDER, "right": BORDER, "bottom": BORDER,
    },
    "sharpen": {
        "factor": number(0, 10, random=True), "radius": number(0.1, 20, random=True),
        "percent": number(1, 500, 150, whole=True, random=True), "threshold": number(0, 255, 3, whole=True),
    },
    "blur": {"radius": number(0, 20, random=True, required=True)},
    "gamma": {"gamma": number(0.2, 5, random=True, required=True)},
    "jpeg": {"quality": quality(1)},
    "webp": {"quality": quality(0), "method": number(0, 6, 4, whole=True)},
    "avif": {"quality": quality(0), "speed": number(0, 10, 6, whole=True)},
    "heic": {"quality": quality(0)},
    "jxl": {"quality": quality(1), "effort": number(1, 9, 7, whole=True)},
}  # fmt: skip
OTHERS = {
    "resize": {
        "filter": (("bilinear", "bicubic", "lanczos", "box", "hamming", "nearest"), "bilinear"),
        "rule": (("fit", "cover", "exact"), "fit"), "enlarge": ("flag", False),
    },
    "jpeg": {
        "chroma": (("4:2:0", "4:2:2", "4:4:4"), "4:2:0"), "progressive": ("flag", False), "optimise": ("flag", False),
        "tables": ("tables", None),
    },
    "webp": {"lossless": ("flag", False)},
    "avif": {"chroma": (("4:2:0", "4:2:2", "4:4:4"), "4:2:0")},
    "heic": {"chroma": (("4:2:0", "4:2:2", "4:4:4"), "4:2:0")},
    "jxl": {"lossless": ("flag", False)},
}  # fmt: skip


def test_step_fields__bounds_defaults_and_choices_of_each():
    numbers, others = {}, {}
    for kind, fields in STEP_FIELDS.items():
        for name, field in fields.items():
            if field.choices or field.flag or field.tables:
                what = field.choices or ("flag" if field.flag else "tables")
                others.setdefault(kind, {})[name] = (what, field.default)
            else:
                numbers.setdefault(kind, {})[name] = number(
                    field.low, field.high, field.default, whole=field.whole, random=field.random,
                    required=field.required,
                )  # fmt: skip
    assert numbers == NUMBERS
    assert {kind: set(fields) for kind, fields in others.items()} == {kind: set(f) for kind, f in OTHERS.items()}
    assert {
        (k, n): (set(w) if isinstance(w, tuple) else w, d) for k, f in others.items() for n, (w, d) in f.items()
    } == {(k, n): (set(w) if isinstance(w, tuple) else w, d) for k, f in OTHERS.items() for n, (w, d) in f.items()}
    assert list(STEP_FIELDS) == [
        "decode", "orient", "resize", "crop", "sharpen", "blur", "gamma", "greyscale", "jpeg", "webp", "avif", "heic",
        "jxl", "png",
    ]  # fmt: skip
