"""The engine's formulas on numpy arrays, against their definitions."""

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy.fft import dct, idct

pytest.importorskip("numba")

from builders.pixels.engine.colour import to_rgb, to_ycc
from builders.pixels.engine.dct import forward_1d, inverse_1d, tables, tables_of_steps
from builders.pixels.engine.filters import BICUBIC, BILINEAR, BOX, LANCZOS, blended, weights


def test_quantiser__equals_integer_division_for_every_coefficient_and_step():
    """Half away from zero of x / (8 q), as libjpeg divides, in the float32 arithmetic of ``Lanes.rounded_quotient``."""
    magnitudes = np.arange(2**14, dtype=np.int64)
    steps = np.arange(1, 256)
    table = tables_of_steps(steps)
    for q in steps:
        exact = (magnitudes + 4 * q) // (8 * q)
        for sign in (1, -1):
            x = (sign * magnitudes).astype(np.float32)
            scaled = x * table.reciprocal[q - 1] + np.copysign(table.offset[q - 1], x)
            assert scaled.dtype == np.float32
            np.testing.assert_array_equal(scaled.astype(np.int32), sign * exact)
        assert table.step[q - 1] == q


def test_colour__equals_the_weights_of_libjpeg_for_every_colour_of_a_grid():
    r, g, b = np.meshgrid(*[np.r_[0:256:3]] * 3, indexing="ij")
    y, cb, cr = to_ycc(r, g, b)
    np.testing.assert_array_equal(y, (19595 * r + 38470 * g + 7471 * b + 32768) >> 16)
    np.testing.assert_array_equal(cb, (-11059 * r - 21709 * g + 32768 * b + (128 << 16) + 32767) >> 16)
    np.testing.assert_array_equal(cr, (32768 * r - 27439 * g - 5329 * b + (128 << 16) + 32767) >> 16)
    blue, red = b - 128, r - 128
    made = to_rgb(g, b, r)
    np.testing.assert_array_equal(made[0], g + ((91881 * red + 32768) >> 16))
    np.testing.assert_array_equal(made[1], g + ((-22554 * blue - 46802 * red + 32768) >> 16))
    np.testing.assert_array_equal(made[2], g + ((116130 * blue + 32768) >> 16))


@pytest.mark.parametrize("quality", [1, 5, 30, 49, 50, 75, 85, 95, 100])
def test_tables__are_those_that_pillow_writes(quality, tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, quality=quality)
    with Image.open(path) as opened:
        written = opened.quantization
    steps = tables((quality,)).step.reshape(2, 8, 8)
    for k in range(2):
        np.testing.assert_array_equal(steps[k].T.ravel(), written[k])


def test_transforms__are_the_scaled_cosine_transform_and_its_inverse():
    generator = np.random.default_rng(0)
    samples = generator.integers(-128, 128, (8, 500))
    exact = dct(samples, axis=0, norm="ortho") * math.sqrt(8)
    np.testing.assert_allclose(np.stack(forward_1d(list(samples), 13)), exact, atol=0.6)
    np.testing.assert_allclose(np.stack(forward_1d(list(samples), 11)), 4 * exact, atol=0.8)
    coefficients = generator.integers(-500, 500, (8, 500))
    exact = idct(coefficients, axis=0, norm="ortho") * math.sqrt(8)
    np.testing.assert_allclose(np.stack(inverse_1d(list(coefficients), 13)), exact, atol=0.7)


def test_colour__every_corner_and_grey():
    grey = np.arange(256)
    y, cb, cr = to_ycc(grey, grey, grey)
    np.testing.assert_array_equal(y, grey)
    assert set(cb) == set(cr) == {128}
    assert to_ycc(255, 0, 0) == (76, 85, 255)  # JFIF: 76.245, 84.97, 255.5
    assert to_ycc(0, 0, 255) == (29, 255, 107)
    assert to_rgb(76, 85, 255) == (254, 0, 0)


def test_blended__equals_pillows_filter_and_blend():
    pixels = np.random.default_rng(1).integers(0, 256, (40, 50), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).filter(ImageFilter.SMOOTH))[1:-1, 1:-1].astype(int)
    wide = pixels.astype(int)
    around = sum(wide[i : i + 38, j : j + 48] for i in range(3) for j in range(3))
    np.testing.assert_array_equal(blended(around, wide[1:-1, 1:-1], 0), smooth)
    np.testing.assert_array_equal(blended(around, wide[1:-1, 1:-1], 1), wide[1:-1, 1:-1])


@pytest.mark.parametrize("resample", [BOX, BILINEAR, BICUBIC, LANCZOS])
@pytest.mark.parametrize(("before", "after"), [(100, 13), (13, 100), (500, 1)])
def test_weights__sum_to_one_and_stay_inside(resample, before, after):
    table = weights(before, after, resample)
    values = table.values.reshape(after, table.taps)
    np.testing.assert_allclose(values.sum(1) / 2**22, 1, atol=table.taps / 2**22)
    assert table.first.min() >= 0
    assert (table.first + table.number).max() <= before
    assert (values[np.arange(table.taps)[None] >= table.number[:, None]] == 0).all()


def test_weights__by_hand():
    bilinear = weights(
        4, 2, BILINEAR
    )  # output 0 is centred on 1.0 and reaches 2 pixels: weights 3/8, 3/8, 1/8, cut left
    np.testing.assert_allclose(bilinear.values.reshape(2, -1)[0, :3] / 2**22, [3 / 7, 3 / 7, 1 / 7], atol=1e-6)
    assert (bilinear.first.tolist(), bilinear.number.tolist()) == ([0, 1], [3, 3])
