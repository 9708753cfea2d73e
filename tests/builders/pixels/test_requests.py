"""Plans of resize and crop against arrays by hand; properties of Pillow's resize that engines need."""

import numpy as np
import pytest
from PIL import Image

from builders.pixels import Rectangle, ResizeCrop, vertical_first
from builders.pixels.requests import SHORTER_FIRST


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


PHOTO = np.random.default_rng(1).integers(1, 256, (12, 17, 3), dtype=np.uint8)


@pytest.mark.parametrize(("before", "fill"), [((0, 0, 17, 12), (9, 120, 200)), ((2, 1, 15, 11), (0, 0, 7))])
@pytest.mark.parametrize("size", [None, (13, 5)])
@pytest.mark.parametrize(
    "after",
    [
        None,
        (0, 0, 5, 5),
        (1, 2, 4, 5),
        (-3, -1, 12, 9),
        (2, -4, 30, 3),
        (-2, 1, 3, 14),
        (0, 0, 5, 20),
        (1, -1, 10, 4),
        (3, 2, 16, 13),
    ],
)
def test_resize_crop__cut_resized_and_cut_with_pixels_beyond_the_edge(fill, before, size, after):
    """The last cut may reach over every edge by another length: what lies there is of one colour."""
    left, top, right, bottom = before
    picture = PHOTO[top:bottom, left:right]
    size = size or (right - left, bottom - top)
    if picture.shape[1::-1] != size:
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    after = after or (0, 0, *size)
    rows, columns = range(after[1], after[3]), range(after[0], after[2])
    expected = [[picture[y, x] if 0 <= y < size[1] and 0 <= x < size[0] else fill for x in columns] for y in rows]
    plan = ResizeCrop((17, 12), Rectangle(*before), size, int(Image.Resampling.BICUBIC), Rectangle(*after), fill)
    made = plan(Image.fromarray(PHOTO))
    np.testing.assert_array_equal(made, np.array(expected, np.uint8), strict=True)
    assert plan.after.size == (made.shape[1], made.shape[0])
