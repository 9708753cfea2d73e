"""Properties of Pillow's resize that engines need, against the installed Pillow."""

import numpy as np
import pytest
from PIL import Image

from builders.pixels.requests import SHORTER_FIRST, vertical_first


@pytest.mark.parametrize(
    ("before", "after", "recent"),
    [
        ((10, 100), (5, 50), True),
        ((40, 300), (39, 33), True),
        ((20, 90), (60, 80), True),  # wider, and less tall
        ((20, 40), (10, 20), False),  # saves exactly twice as much
        ((20, 41), (10, 20), True),  # one row more
        ((300, 40), (39, 33), False),
        ((10, 100), (20, 200), False),
    ],
)
def test_vertical_first__is_the_order_of_the_installed_pillow(before, after, recent):
    assert vertical_first(before, after) == (recent and SHORTER_FIRST)
    pixels = np.random.default_rng(0).integers(0, 256, (before[1], before[0], 3), dtype=np.uint8)
    image, resample = Image.fromarray(pixels), Image.Resampling.LANCZOS
    by_order = {
        True: image.resize((before[0], after[1]), resample).resize(after, resample),
        False: image.resize((after[0], before[1]), resample).resize(after, resample),
    }
    made = np.asarray(image.resize(after, resample))
    np.testing.assert_array_equal(made, np.asarray(by_order[vertical_first(before, after)]))
    assert not np.array_equal(made, np.asarray(by_order[not vertical_first(before, after)]))
