"""Numbers of decoded pixels, on pictures whose values are known."""

import numpy as np
import pytest

from benchmark.audit.pixel_features import _blockiness, _saturation, _sharpness


def picture(grey):
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def test_saturation__is_the_mean_range_of_the_colours():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = (255, 0, 55)
    pixels[1, 1] = (10, 20, 40)
    assert _saturation(pixels) == (255 + 30) / 4


def test_sharpness__is_the_variance_of_the_second_difference():
    grey = np.zeros((5, 5))
    grey[2, 2] = 60
    second = np.zeros((3, 3))
    second[1, 1], second[0, 1], second[2, 1], second[1, 0], second[1, 2] = 240, -60, -60, -60, -60
    assert _sharpness(picture(grey)) == pytest.approx(np.log2(second.var() + 1))
    assert _sharpness(picture(np.add.outer(np.arange(6), 2 * np.arange(6)))) == 0  # a plane has no second difference
    assert np.isnan(_sharpness(picture(np.zeros((2, 9)))))


def test_blockiness__steps_at_the_edges_of_blocks_over_others():
    columns = np.repeat([0, 40, 80, 120], 8)  # steps of 40 after columns 7, 15 and 23
    assert _blockiness(picture(np.tile(columns, (4, 1)))) == pytest.approx(np.log2(40.1 / 0.1))
    ramp = np.tile(3 * np.arange(40), (4, 1))
    assert _blockiness(picture(ramp)) == 0
    assert not np.isnan(_blockiness(picture(ramp[:, :17])))
    assert np.isnan(_blockiness(picture(ramp[:, :16])))  # 15 steps, of which one is at an edge
