"""Masks: hide most of a picture, so that its content cannot be used to predict the camera.

Order in the study (Ramos et al., ICCV 2025): the encoder's resize and crop, JPEG q95 4:4:4, the mask, then tensor and
normalisation. Never imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from builders.errors import UsageError


class Box(NamedTuple):
    """A rectangle of pixels; ``bottom`` and ``right`` are one past the last."""

    top: int
    left: int
    bottom: int
    right: int


@dataclass(frozen=True)
class CenterMask:
    """A transform that covers the centre of a picture with a rectangle and leaves a frame visible.

    Takes a PIL image, a torch tensor or a numpy array and returns a new one of the same kind; ``ratio=0`` returns the
    input itself. Arrays are ``[..., H, W]``; an array whose last dimension is 1, 3 or 4 and whose third last is not
    counts as ``[..., H, W, C]``, as numpy pictures are.

    Of a sample (dictionaries, lists, tuples) only pictures are masked: PIL images and torchvision's ``Image`` and
    ``Video``; where there is none of them, arrays with one, three or four channels. Boxes, masks of segments and
    labels pass unchanged. The mask works in ``torchvision.transforms.v2.Compose`` and in ``with_transform``.

    >>> CenterMask().visible_share(224, 224)  # a frame of 6 pixels
    0.10427295918367352
    >>> CenterMask(0.9)(Image.new("L", (10, 10), 255)).getpixel((5, 5))
    0
    """

    ratio: float = 0.9
    """Share of the area that is covered, 0 to 1: each side of the rectangle is sqrt(ratio) of the picture's."""
    fill: int = 0
    """Value of covered pixels in every channel, on the scale of the picture: mask before normalising."""
    complement: bool = False
    """Cover the frame instead and leave the rectangle visible."""

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= 1:
            raise UsageError(f"mask ratio {self.ratio}: give a number from 0 (nothing hidden) to 1 (all hidden)")

    def box(self, height: int, width: int) -> Box:
        """The rectangle in a picture of this size: equally far from opposite sides, to the nearest pixel."""
        covered = math.sqrt(self.ratio)
        top, left = (math.floor(side * (1 - covered) / 2 + 0.5) for side in (height, width))
        return Box(top, left, max(top, height - top), max(left, width - left))

    def visible_share(self, height: int, width: int) -> float:
        """Share of the pixels that stay visible, with the rounding of this mask."""
        top, left, bottom, right = self.box(height, width)
        inside = (bottom - top) * (right - left) / (height * width)
        return inside if self.complement else 1 - inside

    def __call__(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        if isinstance(sample, Mapping | list | tuple):
            return self._masked(sample, arrays=not any(map(_is_marked_picture, _leaves(sample))))
        is_array = getattr(sample, "ndim", 0) >= 2 and hasattr(sample, "shape") and not _is_other(sample)
        return self._masked_array(sample) if is_array else self._masked(sample, arrays=False)

    def _masked(self, value: Any, *, arrays: bool) -> Any:
        """A part of a sample. ``arrays``: whether arrays of the form of pictures are pictures."""
        if isinstance(value, Image.Image):
            return self._masked_image(value)
        if isinstance(value, Mapping):
            return {name: self._masked(item, arrays=arrays) for name, item in value.items()}
        if isinstance(value, list | tuple):
            items = [self._masked(item, arrays=arrays) for item in value]
            return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
        if _is_marked_picture(value) or (arrays and _has_channels(value) and not _is_other(value)):
            return self._masked_array(value)
        return value

    def _masked_image(self, image: Image.Image) -> Image.Image:
        if self._hides_nothing():
            return image
        top, left, bottom, right = self.box(image.height, image.width)
        bands = tuple(255 if band == "A" else self.fill for band in image.getbands())
        colour = bands[0] if len(bands) == 1 else bands
        box = (left, top, right, bottom)
        if not self.complement:
            masked = image.copy()
            if right > left and bottom > top:
                masked.paste(colour, box)
            return masked
        masked = Image.new(image.mode, image.size, colour)
        if right > left and bottom > top:
            masked.paste(image.crop(box), box)
        return masked

    def _masked_array(self, array: Any) -> Any:
        if self._hides_nothing():
            return array
        last = _channels_last(tuple(array.shape))
        height, width = array.shape[-3:-1] if last else array.shape[-2:]
        top, left, bottom, right = self.box(height, width)
        area = (..., slice(top, bottom), slice(left, right), *((slice(None),) if last else ()))
        masked = array.clone() if hasattr(array, "clone") else np.array(array)
        if self.complement:
            masked[...] = self.fill
            masked[area] = array[area]
        else:
            masked[area] = self.fill
        return masked

    def _hides_nothing(self) -> bool:
        return self.ratio == (1 if self.complement else 0)


def _leaves(sample: Any) -> Iterator[Any]:
    """The values of nested dictionaries, lists and tuples."""
    if isinstance(sample, Mapping | list | tuple):
        for item in sample.values() if isinstance(sample, Mapping) else sample:
            yield from _leaves(item)
    else:
        yield sample


def _kind_of_torchvision(value: Any) -> str:
    """Name of the class of torchvision's tensors with a meaning: ``Image``, ``BoundingBoxes``, ...; else empty."""
    kind = type(value)
    return kind.__name__ if kind.__module__.startswith("torchvision.tv_tensors") else ""


def _is_marked_picture(value: Any) -> bool:
    return isinstance(value, Image.Image) or _kind_of_torchvision(value) in ("Image", "Video")


def _is_other(value: Any) -> bool:
    return _kind_of_torchvision(value) not in ("", "Image", "Video")


def _has_channels(value: Any) -> bool:
    """Whether a value is an array of pictures: [..., C, H, W] or [..., H, W, C] with one, three or four channels."""
    shape = tuple(getattr(value, "shape", ()))
    return len(shape) >= 3 and (shape[-1] in (1, 3, 4) or shape[-3] in (1, 3, 4))


def _channels_last(shape: tuple[int, ...]) -> bool:
    return len(shape) >= 3 and shape[-1] in (1, 3, 4) and shape[-3] not in (1, 3, 4)
