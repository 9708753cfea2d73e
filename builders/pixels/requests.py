"""Requests to an engine as numbers: a processing, and the resize and crop of a preprocessing for a photo of known size.

The preprocessing computes them (``benchmark.encoders.preprocess.pixels.Pixels.plan``); any engine carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import __version__ as pillow_version

Preparation = Callable[[Image.Image], np.ndarray]
"""Preprocessing of an encoder for a picture: a ``ResizeCrop``, which an engine carries out, or any function."""

Planner = Callable[[int, int], Preparation]
"""(width, height) of a processed photo -> its preprocessing."""

ViewArrays = np.ndarray | list[np.ndarray]
"""The views of a photo after a preprocessing: an array [views, height, width, 3] if an engine made all of them in the
same size, else a list."""


class EngineRequest(NamedTuple):
    """A processing of a photo, with its random scale."""

    quality: int
    subsampling: str
    sharpness: float
    size: tuple[int, int]
    """(width, height) after the resize before the encode; that of the photo if there is no resize."""
    resample: int
    baseline_jpeg: bool = True
    """True if quality and subsampling define the encode; engines support no other."""


SHORTER_FIRST = int(pillow_version.split(".")[0]) >= 13
"""Since 13.0 Pillow begins with the vertical pass if that saves more; before, always with the horizontal pass."""


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
    """(width, height) of its input pictures."""
    before: Rectangle
    """In the photo, never outside it; the whole photo if nothing is cut first."""
    size: tuple[int, int]
    """(width, height) after the resize; that of ``before`` if there is none."""
    resample: int
    """``PIL.Image.Resampling``, antialiased as Pillow does it."""
    after: Rectangle
    """In the resized picture; it may reach over its edge."""
    fill: tuple[int, int, int] = (0, 0, 0)
    """RGB of pixels outside the resized picture."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        """The reference, by Pillow."""
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
    """True if the installed Pillow resizes (width, height) ``before`` to ``after`` along the height first.

    The order changes the result, since Pillow rounds to bytes between the passes, unless a side keeps its length.

    >>> vertical_first((10, 100), (5, 120)), vertical_first((20, 40), (10, 20))
    (False, False)
    """
    saved = before[1] - after[1]
    return SHORTER_FIRST and saved > 0 and saved > 2 * (before[0] - after[0])
