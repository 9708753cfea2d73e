"""Refusals of processing files that other tests do not reach, as whole sentences; a sharpening before other steps."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from builders.errors import UsageError
from builders.pixels import EditStep, read_definitions
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
