"""The steps of processings that change the picture, by Pillow alone: the definition of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from PIL import Image, ImageEnhance, ImageFilter

from builders.errors import PhotoError
from builders.pixels.decode import MAX_PIXELS
from builders.pixels.processing import EditStep, Fit

_TRANSPOSE = Image.Transpose
_ORIENTATIONS: Mapping[int, Image.Transpose | None] = MappingProxyType(
    {
        1: None,
        2: _TRANSPOSE.FLIP_LEFT_RIGHT,
        3: _TRANSPOSE.ROTATE_180,
        4: _TRANSPOSE.FLIP_TOP_BOTTOM,
        5: _TRANSPOSE.TRANSPOSE,
        6: _TRANSPOSE.ROTATE_270,
        7: _TRANSPOSE.TRANSVERSE,
        8: _TRANSPOSE.ROTATE_90,
    }
)
"""What makes a picture upright, by its Exif orientation (CIPA DC-008, table 6)."""


def edited(image: Image.Image, step: EditStep) -> Image.Image:
    """An RGB picture after a step whose numbers are drawn.

    Raises:
        PhotoError: no pixel would be left, or too many.

    >>> edited(Image.new("RGB", (30, 20)), EditStep("crop", (("share", 0.5),))).size
    (15, 10)
    """
    return _EDITS[step.kind](image, **dict(step.values))


def size_of_resize(before: tuple[int, int], scale: float, fit: Fit | None) -> tuple[int, int]:
    """(width, height) after a resize.

    Raises:
        PhotoError: a side has no pixel, or there are too many pixels.

    >>> size_of_resize((9, 5), 0.5, None)
    (4, 2)
    """
    size = fit.size(before) if fit is not None else (int(before[0] * scale), int(before[1] * scale))
    how = f"to {fit}" if fit is not None else f"by {scale:g}"
    if min(size) < 1:
        raise PhotoError(f"{before[0]} x {before[1]} resized {how} leaves no pixel")
    if size[0] * size[1] > MAX_PIXELS:
        raise PhotoError(f"{before[0]} x {before[1]} resized {how} has more than {MAX_PIXELS} pixels")
    return size


def _orient(image: Image.Image, exif: int) -> Image.Image:
    transpose = _ORIENTATIONS[exif]
    return image if transpose is None else image.transpose(transpose)


def _crop(image: Image.Image, **values: Any) -> Image.Image:
    """A centred part of both sides (``share``, rounded half up) or of a size in pixels, or what borders leave."""
    width, height = image.size
    if values.get("share") is not None:
        size = [max(1, int(side * values["share"] + 0.5)) for side in image.size]
    elif values.get("width") is not None or values.get("height") is not None:
        size = [min(side, values.get(n) or side) for side, n in zip(image.size, ("width", "height"), strict=True)]
    else:
        left, top, right, bottom = (values.get(name) or 0 for name in ("left", "top", "right", "bottom"))
        if left + right >= width or top + bottom >= height:
            raise PhotoError(f"{width} x {height} cropped by its borders leaves no pixel")
        return image.crop((left, top, width - right, height - bottom))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    return image.crop((left, top, left + size[0], top + size[1]))


def _resize(image: Image.Image, filter: str, scale: float | None = None, **fit: Any) -> Image.Image:
    size = size_of_resize(image.size, scale or 1.0, None if scale is not None else Fit(**fit))
    return image.resize(size, Image.Resampling[filter.upper()])


def _sharpen(image: Image.Image, factor: float | None = None, **unsharp: Any) -> Image.Image:
    """``ImageEnhance.Sharpness``, or an unsharp mask."""
    if factor is not None:
        return ImageEnhance.Sharpness(image).enhance(factor)
    return image.filter(ImageFilter.UnsharpMask(**unsharp))


def _blur(image: Image.Image, radius: float) -> Image.Image:
    """Pillow's Gaussian blur: three box blurs whose variance is that of a Gaussian of this standard deviation."""
    return image.filter(ImageFilter.GaussianBlur(radius))


def _gamma(image: Image.Image, gamma: float) -> Image.Image:
    """255 (v / 255) ** (1 / gamma) of each value, rounded half up."""
    return image.point([int(255 * (v / 255) ** (1 / gamma) + 0.5) for v in range(256)] * 3)


def _greyscale(image: Image.Image) -> Image.Image:
    """Luma of ITU-R BT.601, in all three colours."""
    return image.convert("L").convert("RGB")


_EDITS: Mapping[str, Callable[..., Image.Image]] = MappingProxyType(
    {
        "orient": _orient,
        "crop": _crop,
        "resize": _resize,
        "sharpen": _sharpen,
        "blur": _blur,
        "gamma": _gamma,
        "greyscale": _greyscale,
    }
)
"""By kind."""
