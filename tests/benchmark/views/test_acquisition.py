"""Masked views: the part that each shows of a picture with a frame of one grey around a square of another."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import CenterCrop
from benchmark.views import MaskedViews
from tests.support.images import image_bytes

FRAME, CENTRE = 60, 200


def framed(side: int = 32) -> bytes:
    """A grey frame, 8 pixels wide (a whole block of JPEG), around a lighter square."""
    pixels = np.full((side, side, 3), FRAME, np.uint8)
    pixels[8:-8, 8:-8] = CENTRE
    return image_bytes(pixels, "PNG")


def as_it_is(image: Image.Image) -> np.ndarray:
    return np.asarray(image)


def corner_and_middle(image: Image.Image) -> np.ndarray:
    """A preprocessing that does not return pixels."""
    pixels = np.asarray(image, dtype=np.float32)
    return np.array([pixels[0, 0, 0], pixels[16, 16, 0]])


@pytest.mark.parametrize("preprocess", [as_it_is, corner_and_middle])
def test_masked_views__each_name_shows_its_part(preprocess):
    recipe = MaskedViews(0.5)
    (made,) = recipe.make(framed(), "id", [preprocess])
    shown = {
        name: view if view.ndim == 1 else view[[0, 16], [0, 16], 0]
        for name, view in zip(recipe.names, made, strict=True)
    }
    assert {name: [round(float(v) / 20) * 20 for v in values] for name, values in shown.items()} == {
        "whole": [FRAME, CENTRE],
        "masked": [FRAME, 0],
        "complement": [0, CENTRE],
    }


@pytest.mark.parametrize("engine", ["pillow", "numba"])
def test_masked_views__whole_equals_the_crop_saved_and_opened_by_pillow(engine, monkeypatch):
    if engine == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("CAMTRACE_ENGINE", engine)
    noise = np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8)
    buffer, saved = io.BytesIO(), io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    crop = Pixels((CenterCrop(24, 24),))
    Image.fromarray(crop(Image.fromarray(noise))).save(saved, "JPEG", quality=95, subsampling="4:4:4")
    whole, masked, _ = MaskedViews(0.5).make(buffer.getvalue(), "id", [crop])[0]
    np.testing.assert_array_equal(whole, np.asarray(Image.open(saved)), strict=True)
    np.testing.assert_array_equal(masked[:3], whole[:3])
    assert whole[8:-8, 8:-8].any()
    assert not masked[8:-8, 8:-8].any()


def test_masked_views__a_larger_ratio_hides_more():
    """Of 32 pixels, 0.25 masks the middle 16, 0.9 the middle 30: only the smaller mask shows the frame between."""
    names = MaskedViews().names
    at = {ratio: MaskedViews(ratio).make(framed(), "id", [as_it_is])[0][names.index("masked")] for ratio in (0.25, 0.9)}
    assert abs(int(at[0.25][4, 4, 0]) - FRAME) <= 3
    assert at[0.9][4, 4].tolist() == [0, 0, 0]
