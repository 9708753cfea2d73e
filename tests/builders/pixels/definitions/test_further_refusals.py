"""Refusals of processing files that other tests do not reach, as whole sentences; a sharpening before other steps."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from builders.pixels import EditStep
from builders.pixels.edits import edited


@pytest.mark.parametrize("factor", [0.5, 2.5])
def test_sharpen__by_a_factor_or_an_unsharp_mask(factor):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8))
    made = edited(image, EditStep("sharpen", (("factor", factor),)))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(ImageEnhance.Sharpness(image).enhance(factor)))
    values = {"radius": 2.0, "percent": 90, "threshold": 1}
    made = edited(image, EditStep("sharpen", (("factor", None), *values.items())))
    np.testing.assert_array_equal(np.asarray(made), np.asarray(image.filter(ImageFilter.UnsharpMask(**values))))
