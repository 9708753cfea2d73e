"""Parts of the pixel features by references: centre, border, DCT, comb of earlier steps, and all numbers together."""

import io
import itertools

import numpy as np
import pytest
import scipy.fft
from PIL import Image

from benchmark.audit import pixel_features as module
from benchmark.audit.features import FEATURES
from benchmark.audit.pixel_features import PIXEL_FEATURES, earlier_quality, pixel_facts
from benchmark.encoders import load_encoder
from builders.pixels import scaled_tables
from builders.splits import photo_hash
from tests.benchmark.audit.planted import jpeg, opened, picture

ZIGZAG = [1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18]
"""The first AC coefficients of ITU-T T.81, figure A.6, in rows of 8."""


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("side", "first", "last"),
    [
        (5, 0, 5), (1023, 0, 1023), (1024, 0, 1024), (1025, 0, 1024), (1055, 0, 1024), (1056, 16, 1040),
        (1100, 32, 1056), (3000, 976, 2000),
    ],
)  # fmt: skip
def test_centre__the_middle_from_a_multiple_of_16(side, first, last):
    assert module._centre(side) == slice(first, last)


@pytest.mark.parametrize(
    ("height", "rows"),
    [
        (20, range(20)),
        (32, range(32)),
        (33, [*range(16), *range(16, 32)]),
        (100, [*range(16), *range(80, 96)]),  # the last 16 rows begin at 84, which is cut to the grid
        (639, [*range(16), *range(608, 624)]),
        (640, [*range(32), *range(608, 640)]),
        (1000, [*range(48), *range(944, 992)]),
    ],
)
def test_border__a_tenth_of_the_rows_and_at_least_16_on_each_side_on_the_grid(height, rows):
    pixels = noise(height, 8)
    np.testing.assert_array_equal(np.asarray(module._border(pixels)), pixels[list(rows)])


def test_coefficients__the_first_twelve_of_each_whole_block_by_scipy():
    plane = np.random.default_rng(1).normal(0, 40, (19, 27)).astype(np.float32)
    blocks = [plane[y : y + 8, x : x + 8] for y, x in itertools.product(range(0, 16, 8), range(0, 24, 8))]
    expected = [scipy.fft.dctn(block, norm="ortho").ravel()[ZIGZAG] for block in blocks]
    np.testing.assert_allclose(module._coefficients(plane), expected, atol=1e-3)
    assert module._ZIGZAG.tolist() == ZIGZAG


def test_luma__weights_of_jpeg_around_0_of_the_centre():
    pixels = noise(1060, 40)
    part = pixels[16:1040].astype(float)
    expected = 0.299 * part[..., 0] + 0.587 * part[..., 1] + 0.114 * part[..., 2] - 128
    np.testing.assert_allclose(module._luma(pixels), expected, atol=1e-3)


def test_comb__coefficients_away_from_0_at_the_period():
    values = np.repeat([7.0, -14.0, 21.0], 4)
    assert module._comb(values, 7.0) == pytest.approx(1)
    assert module._comb(values + 3.5, 7.0) == pytest.approx(-1)
    assert module._comb(values[:-1], 7.0) == 0  # fewer than twelve
    near = np.full(50, 4.1)  # less than 0.6 steps from 0
    assert module._comb(np.r_[values, near], 7.0) == pytest.approx(1)
    assert module._comb(np.r_[values, -near], 7.0) == pytest.approx(1)
    assert module._comb(np.r_[values, np.full(12, 4.3)], 7.0) == pytest.approx((1 + np.cos(2 * np.pi * 4.3 / 7)) / 2)


def test_quantised__to_multiples_of_a_step_above_1():
    values = np.array([-7.6, 0.4, 2.6, 8.1])
    assert module._quantised(values, 3.0).tolist() == [-9, 0, 3, 9]
    assert module._quantised(values, 1.0) is values


def evidence(pixels, last, quality):
    """Mean evidence of an earlier quality by plain loops, NaN where fewer than three steps are coarse enough."""
    luma = module._luma(pixels)
    on, off = module._coefficients(luma), module._coefficients(luma[4:-4, 4:-4])
    earlier, values = np.array(scaled_tables(quality)[0]), []
    for k, at in enumerate(ZIGZAG):
        step, step_of_file = float(earlier[at]), 1.0 if last is None else float(last[at])
        if step < 3 or step < 1.3 * step_of_file:
            continue
        shifted = off[:, k] if step_of_file <= 1 else np.round(off[:, k] / step_of_file) * step_of_file
        values.append(module._comb(on[:, k], step) - module._comb(shifted, step))
    return np.mean(values) if len(values) >= 3 else np.nan


@pytest.mark.parametrize(("earlier", "last"), [(40, 90), (60, 75), (75, 60), (85, 95), (90, None), (None, 80)])
def test_earlier_quality__the_strongest_evidence_above_the_least(earlier, last):
    image = picture(np.random.default_rng(5), 160)
    twice = image if earlier is None else opened(jpeg(image, earlier))
    table = None if last is None else np.array(scaled_tables(last)[0])
    pixels = np.asarray(twice if last is None else opened(jpeg(twice, last)))
    all_of_them = {quality: evidence(pixels, table, quality) for quality in range(30, 96, 5)}
    best = max(all_of_them, key=lambda quality: np.nan_to_num(all_of_them[quality], nan=-9))
    assert earlier_quality(pixels, table) == (best if all_of_them[best] > 0.2 else 0)


def test_earlier_quality__needs_24_pixels_a_side_and_sees_no_later_step(monkeypatch):
    monkeypatch.setattr(module, "EVIDENCE", -2.0)  # everything is evidence
    assert earlier_quality(noise(23, 400)) == 0
    assert earlier_quality(noise(400, 23)) == 0
    assert earlier_quality(noise(24, 24)) != 0
    assert earlier_quality(noise(160, 160), np.full(64, 255)) == 0


@pytest.mark.parametrize(
    ("coarse", "step", "last", "detected"),
    [(3, 3, 1, 50), (2, 3, 1, 0), (12, 2, 1, 0), (3, 13, 10, 50), (3, 12, 10, 0), (3, 4, 3, 50), (3, 3, None, 50)],
)
def test_earlier_quality__needs_three_steps_that_are_1_3_times_those_of_the_file(
    monkeypatch, coarse, step, last, detected
):
    table = np.ones(64, int)
    table[ZIGZAG[:coarse]] = step
    monkeypatch.setattr(module, "EVIDENCE", -2.0)
    monkeypatch.setattr(module, "QUALITIES", (50,))
    monkeypatch.setattr(module, "scaled_tables", lambda quality: (table, None))
    assert earlier_quality(noise(160, 160), None if last is None else np.full(64, last)) == detected


def test_last_table__of_a_jpeg_file_alone():
    image = picture(np.random.default_rng(2))
    assert module._last_table(jpeg(image, 60)).tolist() == list(scaled_tables(60)[0])
    assert module._last_table(b"no jpeg") is None


def test_pixel_facts__everything_of_a_photo_that_is_larger_than_the_centre():
    image = Image.fromarray(noise(1100, 48))
    data = jpeg(image, 90)
    pixels = np.asarray(opened(data))
    centre = pixels[32:1056]
    facts = pixel_facts(data)
    numbers = {name: feature.of(centre) for name, feature in PIXEL_FEATURES.items()}
    table = np.array(scaled_tables(90)[0])
    assert facts.numbers == numbers | {"earlier_quality": float(earlier_quality(pixels, table))}
    assert list(facts.numbers) == [
        "brightness", "contrast", "saturation", "sharpness", "blockiness", "earlier_quality",
    ]  # fmt: skip
    assert facts.numbers["brightness"] == pytest.approx(centre.mean())
    assert facts.numbers["contrast"] == pytest.approx(centre.astype(float).mean(axis=2).std())
    statistics = load_encoder("control:jpeg-statistics", device="cpu").preprocess
    np.testing.assert_array_equal(facts.whole, statistics(Image.fromarray(pixels)))
    np.testing.assert_array_equal(facts.border, statistics(module._border(pixels)))
    assert not np.array_equal(facts.whole, facts.border)
    assert facts.perceptual_hash == photo_hash(data)


def test_pixel_features__titles_and_what_a_small_picture_lacks():
    assert {name: feature.title for name, feature in PIXEL_FEATURES.items()} == {
        "brightness": "brightness", "contrast": "contrast", "saturation": "saturation", "sharpness": "sharpness",
        "blockiness": "steps at the edges of 8x8 blocks",
    }  # fmt: skip
    buffer = io.BytesIO()
    Image.new("RGB", (16, 2), (9, 9, 9)).save(buffer, "PNG")
    facts = pixel_facts(buffer.getvalue())
    assert {name for name, value in facts.numbers.items() if np.isnan(value)} == {"sharpness", "blockiness"}
    assert not set(facts.numbers) & set(FEATURES)
