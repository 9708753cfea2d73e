"""Sizes and places of every step of a preprocessing, by hand and by loops: short sides, long sides, odd margins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.encoders import Pixels, pixel_backend
from benchmark.encoders.preprocess.pixels import (
    ENCODER_CODE,
    ENGINE,
    PILLOW,
    CenterCrop,
    CenterPad,
    CenterSquare,
    ResizeInside,
    ResizeLong,
    ResizeShort,
    ResizeTo,
    describe,
)
from builders.errors import PhotoError
from builders.pixels import Rectangle

NEAREST, BICUBIC = int(Image.Resampling.NEAREST), int(Image.Resampling.BICUBIC)


@pytest.mark.parametrize(
    ("step", "size", "target"),
    [
        (ResizeShort(8, BICUBIC), (31, 17), (14, 8)),  # 14.6 is truncated
        (ResizeShort(8, BICUBIC), (17, 31), (8, 14)),
        (ResizeShort(8, BICUBIC), (9, 9), (8, 8)),
        (ResizeShort(8, BICUBIC), (2, 1), (16, 8)),
        (ResizeTo(5, 9, BICUBIC), (31, 17), (5, 9)),
        (ResizeInside(16, 12, BICUBIC), (31, 17), (16, 9)),  # 8.77 is rounded
        (ResizeInside(16, 12, BICUBIC), (17, 31), (7, 12)),  # 6.58
        (ResizeInside(16, 12, BICUBIC), (4, 3), (16, 12)),
        (ResizeLong(50, BICUBIC), (100, 33), (50, 16)),  # of 16.5 the even number
        (ResizeLong(50, BICUBIC), (33, 100), (16, 50)),
        (ResizeLong(100, BICUBIC), (1000, 357), (100, 36)),
        (ResizeLong(50, BICUBIC, 14), (100, 10), (50, 14)),
        (ResizeLong(50, BICUBIC, 14), (10, 100), (14, 50)),
        (ResizeLong(50, BICUBIC), (1000, 1), (50, 1)),
    ],
)
def test_target__of_each_resize(step: Any, size: tuple[int, int], target: tuple[int, int]) -> None:
    assert step.target(*size) == target
    assert step(Image.new("RGB", size)).size == target
    same = Image.new("RGB", target)
    if step.target(*target) == target:
        assert step(same) is same


@pytest.mark.parametrize(
    ("step", "size", "words"),
    [
        (ResizeInside(16, 12, BICUBIC), (1, 100), "100"),
        (ResizeInside(16, 12, BICUBIC), (100, 1), "100"),
        (ResizeTo(0, 3, BICUBIC), (4, 5), "resized"),
        (ResizeLong(8, BICUBIC, 0), (100, 1), "100"),
    ],
)
def test_target__without_pixels_is_refused(step: Any, size: tuple[int, int], words: str) -> None:
    for refused in (lambda: step.target(*size), lambda: step(Image.new("RGB", size))):
        with pytest.raises(PhotoError) as error:
            refused()
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("margin", "side", "target", "offset"),
    [
        *(("floor", side, 4, offset) for side, offset in ((4, 0), (5, 0), (6, 1), (7, 1), (3, -1), (2, -1), (1, -2))),
        *(("round", side, 4, offset) for side, offset in ((4, 0), (5, 0), (6, 1), (7, 2), (9, 2), (11, 4), (3, 0))),
        *(("round", side, 4, offset) for side, offset in ((2, -1), (1, -1))),
    ],
)
def test_center_crop__its_place_on_either_axis(margin: Any, side: int, target: int, offset: int) -> None:
    crop = CenterCrop(target, 6, margin)
    assert crop.box(side, 6) == Rectangle(offset, 0, offset + target, 6)
    assert CenterCrop(6, target, margin).box(6, side) == Rectangle(0, offset, 6, offset + target)
    levels = np.arange(1, side + 1, dtype=np.uint8)[None, :, None].repeat(6, 0).repeat(3, 2)
    cut = np.asarray(crop(Image.fromarray(levels)))[0, :, 0].tolist()
    assert cut == [at + 1 if 0 <= at < side else 0 for at in range(offset, offset + target)]


def test_center_pad__its_colour_around_the_picture() -> None:
    pad = CenterPad(5, 2, fill=(9, 8, 7))
    made = np.asarray(pad(Image.new("RGB", (2, 4), (1, 2, 3))))
    assert made.shape == (2, 5, 3)
    assert [tuple(pixel) for pixel in made[0].tolist()] == [(9, 8, 7), (1, 2, 3), (1, 2, 3), (9, 8, 7), (9, 8, 7)]
    assert CenterPad(5, 2) == CenterPad(5, 2, "round", (0, 0, 0))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.875, 1.0])
def test_center_square__of_photos_of_every_size_down_to_one_pixel(fraction: float) -> None:
    """As TensorFlow's code has it: the offset of a spare pixel is rounded up."""
    for width, height in ((1, 1), (1, 5), (5, 1), (2, 3), (7, 4), (8, 8), (31, 40)):
        side = max(1, int(min(width, height) * fraction))
        left, top = (width - side + 1) // 2, (height - side + 1) // 2
        square = CenterSquare(fraction)
        assert square.box(width, height) == Rectangle(left, top, left + side, top + side)
        assert square(Image.new("RGB", (width, height))).size == (side, side)


def test_plan__a_cut_before_the_resize_stays_inside_the_picture() -> None:
    """On each of the four sides; the cut after it may reach over the edge."""
    after = ResizeTo(4, 4, BICUBIC)
    for crop, size in ((CenterCrop(9, 4), (8, 8)), (CenterCrop(4, 9), (8, 8)), (CenterCrop(9, 9), (8, 8))):
        assert Pixels((crop, after)).plan(*size) is None
    inside = Pixels((CenterCrop(8, 6), after)).plan(8, 8)
    assert inside is not None
    assert (inside.before, inside.size) == (Rectangle(0, 1, 8, 7), (4, 4))
    wide = Pixels((after, CenterCrop(9, 4))).plan(8, 8)
    assert wide is not None
    assert (wide.before, wide.after) == (Rectangle(0, 0, 8, 8), Rectangle(-3, 0, 6, 4))


@pytest.mark.parametrize(
    ("preprocess", "backend"),
    [
        (Pixels((ResizeTo(8, 8, BICUBIC),)), ENGINE),
        (Pixels((CenterCrop(8, 8),)), ENGINE),
        (Pixels((ResizeTo(8, 8, NEAREST),)), PILLOW),
        (Pixels((ResizeTo(8, 8, int(Image.Resampling.HAMMING)),)), PILLOW),
        (Pixels((ResizeTo(8, 8, BICUBIC), ResizeTo(4, 4, BICUBIC))), PILLOW),
        (np.asarray, ENCODER_CODE),
    ],
)
def test_pixel_backend__of_each_kind(preprocess: Any, backend: str) -> None:
    assert (ENGINE, PILLOW, ENCODER_CODE) == ("exact engine", "Pillow", "its own code")
    assert pixel_backend(preprocess) == backend


def test_describe__the_whole_record() -> None:
    pixels = Pixels((CenterSquare(0.5), ResizeShort(9, BICUBIC), CenterPad(8, 6, fill=(1, 2, 3))))
    assert describe(pixels, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "pil", crop_mode="x") == {
        "size": [6, 8],
        "steps": [
            {"step": "CenterSquare", "fraction": 0.5},
            {"step": "ResizeShort", "size": 9, "resample": "bicubic"},
            {"step": "CenterPad", "width": 8, "height": 6, "margin": "round", "fill": (1, 2, 3)},
        ],
        "scale": "1/255",
        "mean": [0.1, 0.2, 0.3],
        "std": [0.4, 0.5, 0.6],
        "backend": "pil",
        "transport": "uint8",
        "crop_mode": "x",
    }
