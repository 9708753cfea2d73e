"""Steps that change a picture, on pictures whose pixels say where they stood."""

import numpy as np
import pytest
from PIL import Image

from builders.errors import PhotoError
from builders.pixels import EditStep
from builders.pixels.edits import edited, size_of_resize
from builders.pixels.processing import Fit


def picture(width, height):
    """Red is the column, green the row."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def step(kind, **values):
    return EditStep(kind, tuple(values.items()))


@pytest.mark.parametrize(
    ("values", "box"),
    [  # left, top, right, bottom of 9 x 6
        ({"share": 0.5}, (2, 1, 7, 4)),  # 4.5 rounds up to 5
        ({"share": 0.01}, (4, 2, 5, 3)),
        ({"share": 1.0}, (0, 0, 9, 6)),
        ({"width": 4}, (2, 0, 6, 6)),
        ({"height": 3}, (0, 1, 9, 4)),
        ({"width": 4, "height": 3}, (2, 1, 6, 4)),
        ({"width": 10, "height": 7}, (0, 0, 9, 6)),
        ({"left": 1}, (1, 0, 9, 6)),
        ({"top": 2}, (0, 2, 9, 6)),
        ({"right": 3}, (0, 0, 6, 6)),
        ({"bottom": 4}, (0, 0, 9, 2)),
        ({"left": 1, "right": 7}, (1, 0, 2, 6)),
        ({"top": 1, "bottom": 4}, (0, 1, 9, 2)),
    ],
)
def test_crop__of_a_share_a_size_or_borders(values, box):
    left, top, right, bottom = box
    made = np.asarray(edited(picture(9, 6), step("crop", **values)))
    assert (made == np.asarray(picture(9, 6))[top:bottom, left:right]).all()


def test_edit_step__as_text_without_fields_that_have_no_value():
    assert str(step("crop", share=0.5, left=None, width=3)) == "crop share 0.5 width 3"
    assert str(step("grey")) == "grey"


@pytest.mark.parametrize("borders", [{"left": 9}, {"left": 2, "right": 7}, {"top": 6}, {"top": 3, "bottom": 3}])
def test_crop__that_leaves_no_pixel(borders):
    with pytest.raises(PhotoError):
        edited(picture(9, 6), step("crop", **borders))


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a[:, ::-1].transpose(1, 0, 2),
}
"""CIPA DC-008, table 6: what row 0 and column 0 of a file are in the scene."""


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orient__turns_as_exif_says(orientation):
    made = np.asarray(edited(picture(5, 3), step("orient", exif=orientation)))
    assert (made == UPRIGHT[orientation](np.asarray(picture(5, 3)))).all()


def test_resize__sizes():
    assert [size_of_resize((9, 5), scale, None) for scale in (0.2, 1.0, 1.99)] == [(1, 1), (9, 5), (17, 9)]
    assert size_of_resize((178_956_970, 1), 1.0, None) == (178_956_970, 1)
    with pytest.raises(PhotoError, match=r"0\.19"):
        size_of_resize((9, 5), 0.19, None)
    with pytest.raises(PhotoError, match="178956971"):
        size_of_resize((178_956_971, 1), 1.0, None)
    fit = Fit(width=4, height=4)
    assert size_of_resize((9, 5), 0.5, fit) == fit.size((9, 5))
    assert edited(picture(9, 5), step("resize", filter="box", scale=0.5)).size == (4, 2)
    assert edited(picture(9, 5), step("resize", filter="box", width=4, height=4)).size == fit.size((9, 5))


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos", "box", "hamming", "nearest"])
@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"scale": 0.55}, (5, 3)), ({"scale": 1.7}, (17, 11)), ({"width": 5, "height": None}, (5, 4)),
        ({"width": 4, "height": 6, "rule": "exact"}, (4, 6)),
        ({"width": 4, "height": 6, "rule": "outside"}, (9, 6)),
        ({"width": None, "height": 9, "enlarge": True}, (13, 9)),
        ({"width": None, "height": 9}, (10, 7)),
    ],
)  # fmt: skip
def test_resize__before_other_steps_by_its_filter(name, values, size):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (7, 10, 3), dtype=np.uint8))
    made = edited(image, step("resize", filter=name, **values))
    expected = image.resize(size, Image.Resampling[name.upper()])
    np.testing.assert_array_equal(np.asarray(made), np.asarray(expected), strict=True)


def test_gamma_and_greyscale__by_their_formulas():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.stack([values, values[::-1], values.T], -1))
    expected = np.floor(255 * (np.asarray(image) / 255) ** (1 / 2.2) + 0.5)
    assert (np.asarray(edited(image, step("gamma", gamma=2.2))) == expected).all()
    red, green, blue = np.moveaxis(np.asarray(image).astype(float), -1, 0)
    grey = np.asarray(edited(image, step("greyscale"))).astype(float)
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()
    assert np.abs(grey[..., 0] - (0.299 * red + 0.587 * green + 0.114 * blue)).max() < 1
