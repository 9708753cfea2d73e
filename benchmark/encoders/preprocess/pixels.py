"""Resize and crop of a photo to 8-bit pixels: the part of a preprocessing that loader workers do, as plain data.

An array of bytes has a quarter of the size of the float tensor that libraries make, and NHWC is the fastest layout for
convolutions; mean and standard deviation are applied on the encoder's device. ``verified.py`` compares such a pipeline
with the library's callable at load, and never assumes that they are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from builders.errors import PhotoError
from builders.pixels import Rectangle, ResizeCrop

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of ImageNet's pixels in [0, 1], which torchvision's models expect to be subtracted."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of ImageNet's pixels in [0, 1]."""


@dataclass(frozen=True)
class ResizeShort:
    """Resize so that the shorter side becomes ``size``; the longer one is truncated, as torchvision does."""

    size: int
    resample: int

    def __call__(self, image: Image.Image) -> Image.Image:
        return _resized(image, self.target(*image.size), self.resample)

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize."""
        short, long = min(width, height), max(width, height)
        scaled = int(self.size * long / short)
        return _possible((width, height), (self.size, scaled) if width <= height else (scaled, self.size))


@dataclass(frozen=True)
class ResizeTo:
    """Resize to exactly ``width`` x ``height``, whatever the aspect ratio."""

    width: int
    height: int
    resample: int

    def __call__(self, image: Image.Image) -> Image.Image:
        return _resized(image, self.target(*image.size), self.resample)

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize."""
        return _possible((width, height), (self.width, self.height))


@dataclass(frozen=True)
class ResizeInside:
    """Resize so that the picture just fits into ``width`` x ``height``, with its aspect ratio (timm's ``border``)."""

    width: int
    height: int
    resample: int

    def __call__(self, image: Image.Image) -> Image.Image:
        return _resized(image, self.target(*image.size), self.resample)

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize."""
        ratio = max(height / self.height, width / self.width)
        return _possible((width, height), (round(width / ratio), round(height / ratio)))


@dataclass(frozen=True)
class ResizeLong:
    """Resize so that the longer side becomes ``size`` and the shorter one at least ``least`` (Janus, DeepSeek-VL)."""

    size: int
    resample: int
    least: int = 1

    def __call__(self, image: Image.Image) -> Image.Image:
        return _resized(image, self.target(*image.size), self.resample)

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize."""
        scale = self.size / max(width, height)
        return _possible((width, height), (self._side(width * scale), self._side(height * scale)))

    def _side(self, side: float) -> int:
        return max(round(side), self.least)


@dataclass(frozen=True)
class CenterCrop:
    """Crop the centre; an odd margin has its spare pixel below and right (``floor``) or as Python rounds (``round``).

    A side that is too short is padded evenly with black, as in the libraries; the spare pixel is then above and left
    (``floor``) or below and right (``round``).
    """

    width: int
    height: int
    margin: Literal["floor", "round"] = "floor"

    def __call__(self, image: Image.Image) -> Image.Image:
        if image.size == (self.width, self.height):
            return image
        return image.crop(self.box(*image.size))

    def box(self, width: int, height: int) -> Rectangle:
        """The rectangle of the crop, which may reach over the edge."""
        left, top = self._offset(width, self.width), self._offset(height, self.height)
        return Rectangle(left, top, left + self.width, top + self.height)

    def _offset(self, side: int, target: int) -> int:
        if self.margin == "floor":
            return (side - target) // 2
        return round((side - target) / 2) if side >= target else -((target - side) // 2)


@dataclass(frozen=True)
class CenterPad(CenterCrop):
    """A crop of the centre that pads a side that is too short with a colour."""

    margin: Literal["floor", "round"] = "round"
    fill: tuple[int, int, int] = (0, 0, 0)

    def __call__(self, image: Image.Image) -> Image.Image:
        box = self.box(*image.size)
        picture = Image.new("RGB", (self.width, self.height), self.fill)
        picture.paste(image, (-box.left, -box.top))
        return picture


@dataclass(frozen=True)
class CenterSquare:
    """Crop the central square with a side of ``fraction`` of the shorter side; the spare pixel is above and left.

    The order of TensorFlow's EfficientNet reference code, which crops the original photo and resizes afterwards.
    """

    fraction: float

    def __call__(self, image: Image.Image) -> Image.Image:
        return image.crop(self.box(*image.size))

    def box(self, width: int, height: int) -> Rectangle:
        """The rectangle of the crop."""
        side = max(1, int(self.fraction * min(width, height)))
        left, top = (width - side + 1) // 2, (height - side + 1) // 2
        return Rectangle(left, top, left + side, top + side)


Step = ResizeShort | ResizeTo | ResizeInside | ResizeLong | CenterCrop | CenterSquare


@dataclass(frozen=True)
class Pixels:
    """RGB photo -> uint8 [height, width, 3] by a fixed sequence of steps.

    >>> pixels = Pixels((ResizeShort(8, Image.Resampling.BICUBIC), CenterCrop(8, 8)))
    >>> array = pixels(Image.new("RGB", (31, 17), (200, 30, 90)))
    >>> array.shape, array.dtype, array[0, 0].tolist()
    ((8, 8, 3), dtype('uint8'), [200, 30, 90])
    """

    steps: tuple[Step, ...]

    def __call__(self, image: Image.Image) -> np.ndarray:
        for step in self.steps:
            image = step(image)
        return np.array(image)

    def plan(self, width: int, height: int) -> ResizeCrop | None:
        """The steps for pictures of one size as numbers; None unless they are one resize between at most two crops.

        Raises:
            PhotoError: a picture of this size cannot be resized.

        >>> Pixels((ResizeShort(8, Image.Resampling.BICUBIC), CenterCrop(8, 8))).plan(31, 17).after
        Rectangle(left=3, top=0, right=11, bottom=8)
        """
        cuts = [i for i, step in enumerate(self.steps) if isinstance(step, CenterCrop | CenterSquare)]
        resizes = [i for i in range(len(self.steps)) if i not in cuts]
        first = [i for i in cuts if resizes and i < resizes[0]]
        if len(resizes) > 1 or len(first) > 1 or len(cuts) - len(first) > 1:
            return None
        before, resample = Rectangle(0, 0, width, height), int(Image.Resampling.BILINEAR)
        size = (width, height)
        after, fill = Rectangle(0, 0, *size), (0, 0, 0)
        for i, step in enumerate(self.steps):
            if isinstance(step, ResizeShort | ResizeTo | ResizeInside | ResizeLong):
                size, resample = step.target(*size), step.resample
                after = Rectangle(0, 0, *size)
            elif i in first:
                before = step.box(*size)
                size = before.size
                after = Rectangle(0, 0, *size)
            else:
                after, fill = step.box(*size), getattr(step, "fill", fill)
        if before.left < 0 or before.top < 0 or before.right > width or before.bottom > height:
            return None
        return ResizeCrop((width, height), before, size, resample, after, fill)

    def describe(self) -> list[dict[str, Any]]:
        """The steps as JSON values, resampling filters by name."""
        return [
            {
                "step": type(step).__name__,
                **{k: Image.Resampling(v).name.lower() if k == "resample" else v for k, v in vars(step).items()},
            }
            for step in self.steps
        ]


IMAGENET_PIXELS = Pixels((ResizeShort(256, Image.Resampling.BILINEAR), CenterCrop(224, 224, "round")))
"""Preprocessing of torchvision's ImageNet models of the first generation."""


ENGINE, PILLOW, ENCODER_CODE = "exact engine", "Pillow", "its own code"
"""Implementations of a preprocessing: the engine with Pillow's pixels, Pillow, or code of the encoder."""


def pixel_backend(preprocess: Any) -> str:
    """The implementation that carries out a preprocessing: ``ENGINE``, ``PILLOW`` or ``ENCODER_CODE``.

    Where the engine is not installed, and for sizes that it does not support, Pillow makes the same pixels.

    >>> pixel_backend(Pixels((ResizeShort(8, Image.Resampling.BICUBIC),))), pixel_backend(Pixels((ResizeTo(8, 8, 0),)))
    ('exact engine', 'Pillow')
    """
    if not isinstance(preprocess, Pixels):
        return ENCODER_CODE
    plan = preprocess.plan(400, 300)
    return ENGINE if plan is not None and plan.resample in _FILTERS else PILLOW


_FILTERS = frozenset(int(Image.Resampling[name]) for name in ("BOX", "BILINEAR", "BICUBIC", "LANCZOS"))


def describe(
    pixels: Pixels, mean: tuple[float, ...], std: tuple[float, ...], backend: str, **more: Any
) -> Mapping[str, Any]:
    """The record ``EncoderInfo.preprocessing`` of an encoder.

    Args:
        pixels: steps.
        mean: of pixels in [0, 1].
        std: of pixels in [0, 1].
        backend: of the resize.
        more: further entries.
    """
    probe = pixels(Image.new("RGB", (320, 240)))
    return {
        "size": [probe.shape[0], probe.shape[1]],
        "steps": pixels.describe(),
        "scale": "1/255",
        "mean": list(mean),
        "std": list(std),
        "backend": backend,
        "transport": "uint8",
        **more,
    }


def _possible(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The target of a resize; raises ``PhotoError`` where it has no pixels."""
    if min(target) < 1:
        raise PhotoError(f"{size[0]} x {size[1]} cannot be resized to {target[0]} x {target[1]}")
    return target


def _resized(image: Image.Image, size: tuple[int, int], resample: int) -> Image.Image:
    return image.resize(size, Image.Resampling(resample)) if size != image.size else image
