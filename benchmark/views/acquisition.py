"""Recipes for unprocessed photos: whole, with most of the picture masked, or with the border masked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from benchmark.views.recipe import ORIGINAL, Preprocess, original_key
from builders.pixels import CenterMask, Processing, Rectangle, ResizeCrop, decode_rgb, preprocess_all, reencode_jpeg

MASKED_NAMES = ("whole", "masked", "complement")


@dataclass(frozen=True)
class MaskedViews:
    """The encoder's crop, saved as JPEG q95 4:4:4 and partly masked, so that semantics cannot stand in for a label.

    Views: ``whole`` (no mask), ``masked`` (a centred black rectangle hides ``ratio`` of the area) and ``complement``
    (the border is black, that rectangle is visible). The order is the study's: the encoder's resize and crop, the JPEG
    re-encode, the mask, then tensor and normalisation. If a preprocessing does not return 8-bit pixels (a forensic
    feature), re-encode and mask are applied to the photo before it.
    """

    ratio: float = 0.9
    """Share of the area that is masked."""
    wanted: tuple[str, ...] = MASKED_NAMES
    """The views to make; with a ratio of 0, only ``whole`` is made."""

    kind: ClassVar[str] = "masked"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in (MASKED_NAMES if self.ratio else MASKED_NAMES[:1]) if name in self.wanted)

    def settings(self) -> dict[str, Any]:
        return {"ratio": self.ratio}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        """The key of ``whole`` does not contain the ratio, which does not affect its pixels.

        >>> MaskedViews(0.5).view_keys()["whole"] == MaskedViews(0.9).view_keys()["whole"]
        True
        """
        saved = {"kind": self.kind, "reencode": "JPEG q95 4:4:4"}
        return {
            name: {**saved, "name": name, **({} if name == "whole" else {"ratio": self.ratio})} for name in self.names
        }

    def only(self, names: Sequence[str]) -> MaskedViews:
        return replace(self, wanted=tuple(name for name in self.names if name in names))

    def merged(self, other: MaskedViews) -> MaskedViews:
        return replace(self, wanted=tuple(n for n in MASKED_NAMES if n in {*self.wanted, *other.wanted}))

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[list[np.ndarray]]:
        photo = decode_rgb(data)
        return [self._views(photo, preprocess) for preprocess in preprocesses]

    def _views(self, photo: Image.Image, preprocess: Preprocess) -> list[np.ndarray]:
        crop = preprocess(photo)
        if crop.dtype == np.uint8 and crop.ndim == 3 and crop.shape[-1] == 3:
            saved = _saved_pixels(Image.fromarray(crop))
            return [np.asarray(mask(saved)) for mask in self._masks()]
        saved_photo = _reencoded(photo)
        return [preprocess(mask(saved_photo)) for mask in self._masks()]

    def _masks(self) -> list[CenterMask]:
        masks = {
            "whole": CenterMask(ratio=0.0),
            "masked": CenterMask(ratio=self.ratio),
            "complement": CenterMask(ratio=self.ratio, complement=True),
        }
        return [masks[name] for name in self.names]


@dataclass(frozen=True)
class PlainViews:
    """The photo without processing: one view, ``original``, before the encoder's preprocessing."""

    upright: bool = True
    """Whether the Exif orientation is applied; otherwise pixels stay as the file stores them."""

    kind: ClassVar[str] = "plain"
    names: ClassVar[tuple[str, ...]] = (ORIGINAL,)

    def settings(self) -> dict[str, Any]:
        return {"upright": self.upright}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        return {ORIGINAL: original_key(self.upright)}

    def only(self, names: Sequence[str]) -> PlainViews:
        return self

    def merged(self, other: PlainViews) -> PlainViews:
        return self

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[list[np.ndarray]]:
        photo = decode_rgb(data, upright=self.upright)
        return [[preprocess(photo)] for preprocess in preprocesses]


_SAVED = Processing("saved", 95, "4:4:4")


def _reencoded(image: Image.Image) -> Image.Image:
    return reencode_jpeg(image, _SAVED.quality, _SAVED.subsampling)


def _saved_pixels(image: Image.Image) -> np.ndarray:
    """``_reencoded`` as uint8 [height, width, 3]; an engine does not make a picture of it."""
    return np.asarray(preprocess_all(image, (_SAVED,), "", [_whole])[0][0])


def _whole(width: int, height: int) -> ResizeCrop:
    """A plan that neither resizes nor crops."""
    whole = Rectangle(0, 0, width, height)
    return ResizeCrop((width, height), whole, (width, height), int(Image.Resampling.BILINEAR), whole)
