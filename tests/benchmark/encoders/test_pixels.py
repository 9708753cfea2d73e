"""The plan of a preprocessing gives the pixels that its steps give."""

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import (
    CenterCrop,
    CenterPad,
    CenterSquare,
    ResizeInside,
    ResizeShort,
    ResizeTo,
)
from builders.errors import PhotoError

BICUBIC, BOX = int(Image.Resampling.BICUBIC), int(Image.Resampling.BOX)

STEPS = {
    "short side, cut": (ResizeShort(16, BICUBIC), CenterCrop(14, 14, "round")),
    "short side, cut wider than the picture": (ResizeShort(16, BICUBIC), CenterCrop(40, 31)),
    "square, then exactly": (CenterSquare(0.875), ResizeTo(12, 10, BOX)),
    "square, exactly, cut": (CenterSquare(0.7), ResizeTo(12, 10, BOX), CenterCrop(9, 9)),
    "inside, padded": (ResizeInside(16, 12, BICUBIC), CenterCrop(16, 12, "round")),
    "inside a square, odd padding": (ResizeInside(15, 15, BOX), CenterCrop(15, 15, "round")),
    "inside, padded with a colour": (ResizeInside(15, 12, BICUBIC), CenterPad(15, 12, fill=(10, 200, 30))),
    "cut and padded with a colour": (ResizeShort(16, BICUBIC), CenterPad(23, 9, fill=(10, 200, 30))),
    "exactly": (ResizeTo(9, 21, BICUBIC),),
    "cut alone": (CenterCrop(8, 8),),
    "nothing": (),
}


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("size", [(31, 17), (5, 40)])
def test_plan__equals_the_steps(name, size):
    noise = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels, picture = Pixels(STEPS[name]), Image.fromarray(noise)
    plan = pixels.plan(*size)
    assert plan is not None
    np.testing.assert_array_equal(plan(picture), pixels(picture))


@pytest.mark.parametrize(
    "steps",
    [
        (ResizeTo(9, 9, BICUBIC), ResizeTo(5, 5, BICUBIC)),
        (CenterCrop(9, 9), CenterCrop(5, 5)),
        (CenterCrop(40, 40), ResizeTo(5, 5, BICUBIC)),  # black is cut out before the resize
    ],
)
def test_plan__is_absent_where_one_resize_between_two_cuts_does_not_say_it(steps):
    assert Pixels(steps).plan(31, 17) is None


def test_plan__fails_as_the_steps_do():
    pixels = Pixels((ResizeTo(0, 5, BICUBIC),))
    with pytest.raises(PhotoError) as called:
        pixels(Image.new("RGB", (31, 17)))
    with pytest.raises(PhotoError) as planned:
        pixels.plan(31, 17)
    assert str(planned.value) == str(called.value)


def test_center_square__spare_pixel_is_above_and_left():
    box = CenterSquare(0.5).box(40, 31)
    assert (box.left, box.top, box.right, box.bottom) == (13, 8, 28, 23)
