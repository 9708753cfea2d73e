"""Views of photos as they came from the camera: with most of the picture hidden, with the border hidden, or whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from benchmark.views.views import Preprocess
from builders.pixels import CenterMask, decode_rgb, reencode_jpeg


@dataclass(frozen=True)
class MaskedViews:
    """The crop that an encoder sees, saved as JPEG q95 4:4:4 and partly hidden: semantics cannot stand in for a label.

    Views: ``whole`` (nothing hidden), ``masked`` (a centred black rectangle hides ``ratio`` of the area) and
    ``complement`` (the border is black, that rectangle visible). The order is the study's: the encoder's resize and
    crop, the JPEG re-encode, the mask, then tensor and normalisation. Where a preprocessing does not end in 8-bit
    pixels (a forensic feature), the same happens to the photo before it.
    """

    ratio: float = 0.9

    @property
    def names(self) -> tuple[str, ...]:
        return ("whole", "masked", "complement") if self.ratio else ("whole",)

    def key(self) -> dict[str, Any]:
        return {"kind": "masked", "ratio": self.ratio, "reencode": "JPEG q95 4:4:4"}

    def merged(self, other: MaskedViews) -> MaskedViews:
        return self

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[list[np.ndarray]]:
        photo = decode_rgb(data)
        return [self._views(photo, preprocess) for preprocess in preprocesses]

    def _views(self, photo: Image.Image, preprocess: Preprocess) -> list[np.ndarray]:
        crop = preprocess(photo)
        if crop.dtype == np.uint8 and crop.ndim == 3 and crop.shape[-1] == 3:
            saved = np.asarray(_reencoded(Image.fromarray(crop)))
            return [np.asarray(mask(saved)) for mask in self._masks()]
        saved_photo = _reencoded(photo)
        return [preprocess(mask(saved_photo)) for mask in self._masks()]

    def _masks(self) -> list[CenterMask]:
        masks = [CenterMask(ratio=0.0)]
        if self.ratio:
            masks += [CenterMask(ratio=self.ratio), CenterMask(ratio=self.ratio, complement=True)]
        return masks


@dataclass(frozen=True)
class PlainViews:
    """The photo as it is: one view, no processing."""

    names: tuple[str, ...] = ("photo",)

    def key(self) -> dict[str, Any]:
        return {"kind": "plain"}

    def merged(self, other: PlainViews) -> PlainViews:
        return self

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[list[np.ndarray]]:
        photo = decode_rgb(data)
        return [[preprocess(photo)] for preprocess in preprocesses]


def _reencoded(image: Image.Image) -> Image.Image:
    return reencode_jpeg(image, 95, "4:4:4")
