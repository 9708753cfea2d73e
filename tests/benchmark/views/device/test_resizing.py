"""Resize and sharpening compared with the installed Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from benchmark.views.device import resize as taps_module
from benchmark.views.device.resize import FILTERS, Axis, Resize, resized, taps
from benchmark.views.device.sharpening import sharpened
from builders.pixels.requests import SHORTER_FIRST

CASES = [
    (7, 5, 7, 5),  # nothing to do
    (7, 5, 14, 10),
    (40, 1, 3, 9),
    (1, 40, 2, 3),
    (97, 61, 48, 30),
    (61, 97, 73, 116),
    (300, 40, 33, 39),
    (40, 300, 39, 33),  # tall, and shrunk: the height comes first from Pillow 13 on
    (33, 200, 66, 20),
]


def whole(width, height, to_width, to_height, resample):
    return Resize(Axis(0, width, to_width, 0, to_width), Axis(0, height, to_height, 0, to_height), resample)


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_resized__equals_pillow(case, resample, pictures, planes):
    photos = pictures(*case[:2])
    made = resized(planes(photos), [whole(*case, resample)] * len(photos))
    for photo, result in zip(photos, made, strict=True):
        expected = np.asarray(Image.fromarray(photo).resize(case[2:], resample))
        np.testing.assert_array_equal(result.permute(1, 2, 0), expected)


@pytest.mark.parametrize("resample", FILTERS)
def test_resized__photos_of_a_batch_to_different_sizes(resample, pictures, planes):
    photos = pictures(30, 90)
    targets = [(29, 10), (24, 72), (36, 108), (1, 107)]  # the first two shrink in different orders
    orders = [whole(30, 90, *target, resample).vertical_first for target in targets]
    assert orders == [SHORTER_FIRST, SHORTER_FIRST, False, False]
    resizes = [Resize(Axis(0, 30, w, 0, 40), Axis(0, 90, h, 0, 112), resample) for w, h in targets]
    made = resized(planes(photos), resizes)
    for photo, (width, height), result in zip(photos, targets, made, strict=True):
        alone = np.asarray(Image.fromarray(photo).resize((width, height), resample))
        expected = np.pad(alone, ((0, 112 - height), (0, 40 - width), (0, 0)), mode="constant")
        np.testing.assert_array_equal(result.permute(1, 2, 0), expected)


def test_resized__crops_before_and_after_with_black_outside(pictures, planes):
    photos = pictures(50, 40)
    resize = Resize(Axis(10, 30, 20, -3, 26), Axis(5, 31, 16, 2, 11), Image.Resampling.BICUBIC)
    made = resized(planes(photos), [resize] * len(photos))
    for photo, result in zip(photos, made, strict=True):
        cut = Image.fromarray(photo).crop((10, 5, 40, 36)).resize((20, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(result.permute(1, 2, 0), np.asarray(cut.crop((-3, 2, 23, 13))))


def test_taps__by_hand():
    column = np.array([[4], [2]])
    first, weights = taps(column, np.array([[2], [2]]), np.array([[0, 1], [1, 0]]), Image.Resampling.BILINEAR)
    assert first.tolist() == [[0, 1], [1, 0]]
    # distances -0.5, 0.5, 1.5 source pixels from the centre, of a triangle stretched by 2: weights 3, 3, 1 of 7
    halved = [[round(2**22 * w / 7) for w in (3, 3, 1)], [round(2**22 * w / 7) for w in (1, 3, 3)]]
    assert weights.tolist() == [halved, [[2**22, 0, 0], [2**22, 0, 0]]]


def test_taps__lanczos_equals_that_with_the_sine_of_the_c_library(monkeypatch):
    random = np.random.default_rng(0)
    lengths, targets = random.integers(1, 900, (2, 60, 1))
    rows = random.integers(0, 900, (60, 200)) % targets
    _, fast = taps(lengths, targets, rows, Image.Resampling.LANCZOS)
    monkeypatch.setattr(taps_module, "UNDECIDED", 1.0)
    _, by_c = taps(lengths, targets, rows, Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(fast, by_c)


@pytest.mark.parametrize("factor", [0, 2, 4, 7])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (2, 9), (9, 2), (3, 3), (17, 23)], ids=str)
def test_sharpened__equals_pillow(size, factor, pictures, planes):
    photos = pictures(*size)
    for photo, result in zip(photos, sharpened(planes(photos), factor), strict=True):
        expected = ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(factor)
        np.testing.assert_array_equal(result.permute(1, 2, 0), np.asarray(expected))


def test_sharpened__every_sum_of_a_neighbourhood_rounds_as_pillow():
    photo = np.zeros((3, 3 * 3316, 3), np.uint8)
    totals = np.arange(3316)  # 0..13 * 255, each in a separate neighbourhood
    tiles = photo.reshape(3, 3316, 3, 3)
    rest = totals.copy()
    for place in np.ndindex(3, 3):
        weight = 5 if place == (1, 1) else 1
        value = np.minimum(rest // weight, 255) if place != (2, 2) else np.minimum(rest, 255)
        tiles[place[0], :, place[1]] = value[:, None]
        rest -= weight * value
    made = sharpened(torch.from_numpy(photo).permute(2, 0, 1)[None].contiguous(), 4)[0].permute(1, 2, 0)
    np.testing.assert_array_equal(made, np.asarray(ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(4)))
