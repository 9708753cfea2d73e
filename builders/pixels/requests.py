"""Resize and crop of one photo of known size as plain numbers: what an exact engine needs to know of a preprocessing.

Computed by whoever owns the preprocessing (``benchmark.encoders.preprocess.pixels.Pixels.plan``),
carried out by any engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import __version__ as pillow_version

Preparation = Callable[[Image.Image], np.ndarray]
"""What an encoder does to a picture: a ``ResizeCrop``, which an engine carries out, or any function."""

Planner = Callable[[int, int], Preparation]
"""(width, height) of a processed photo -> what is done to it."""

ViewArrays = np.ndarray | list[np.ndarray]
"""The views of one photo after one preprocessing: one array [views, height, width, 3] where all are of one size and
were made by an engine, so that nobody has to stack them; else a list."""


class EngineRequest(NamedTuple):
    """One processing of one photo, its random scale decided."""

    quality: int
    subsampling: str
    sharpness: float
    size: tuple[int, int]
    """(width, height) that the photo is resized to before the encode; the photo's own if it is not."""
    resample: int
    baseline_jpeg: bool = True
    """Whether quality and subsampling are all there is to say about the encode; engines know no other."""


SHORTER_FIRST = int(pillow_version.split(".")[0]) >= 13
"""Since 13.0 Pillow begins with the vertical pass where that saves more; before, always with the horizontal."""


class Rectangle(NamedTuple):
    """A rectangle of pixels in Pillow's order; ``right`` and ``bottom`` are one past the last."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.right - self.left, self.bottom - self.top


@dataclass(frozen=True)
class ResizeCrop:
    """Cut ``before``, resize it to ``size``, cut ``after``: uint8 RGB -> uint8 [height, width, 3].

    >>> plan = ResizeCrop((31, 17), Rectangle(0, 0, 31, 17), (14, 8), Image.Resampling.BICUBIC, Rectangle(3, 0, 11, 8))
    >>> plan(Image.new("RGB", (31, 17), (200, 30, 90))).shape
    (8, 8, 3)
    """

    photo: tuple[int, int]
    """(width, height) of the pictures that it is for."""
    before: Rectangle
    """In the photo, never outside it; the whole photo if nothing is cut first."""
    size: tuple[int, int]
    """(width, height) after the resize; that of ``before`` if there is none."""
    resample: int
    """``PIL.Image.Resampling``, antialiased as Pillow does it."""
    after: Rectangle
    """In the resized picture; it may reach over its edge."""
    fill: tuple[int, int, int] = (0, 0, 0)
    """RGB of what lies outside it."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The reference: the same by Pillow."""
        if self.before != (0, 0, *image.size):
            image = image.crop(self.before)
        if self.size != image.size:
            image = image.resize(self.size, Image.Resampling(self.resample))
        if self.after == (0, 0, *image.size):
            return np.array(image)
        if self.fill == (0, 0, 0):
            return np.array(image.crop(self.after))
        picture = Image.new("RGB", self.after.size, self.fill)
        picture.paste(image, (-self.after.left, -self.after.top))
        return np.array(picture)


def vertical_first(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether the installed Pillow resizes (width, height) ``before`` to ``after`` along the height first.

    The order shows, since Pillow rounds to bytes between the passes; where one side keeps its length it does not.

    >>> vertical_first((10, 100), (5, 120)), vertical_first((20, 40), (10, 20))
    (False, False)
    """
    saved = before[1] - after[1]
    return SHORTER_FIRST and saved > 0 and saved > 2 * (before[0] - after[0])
