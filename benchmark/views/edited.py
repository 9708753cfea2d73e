"""Near-copies of a photo: views that show the same picture, but not all of it, or not as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from benchmark.views.recipe import ORIGINAL, Preprocess, original_key
from builders.pixels import EditStep, Processing, codec_canary, decode_rgb, process_all

EDITS: Mapping[str, Processing] = MappingProxyType(
    {
        processing.name: processing
        for processing in (
            Processing("crop-80", edits=(EditStep("crop", (("share", 0.8),)),)),
            Processing("crop-50", edits=(EditStep("crop", (("share", 0.5),)),)),
            Processing("mirrored", edits=(EditStep("orient", (("exif", 2),)),)),
            Processing("turned", edits=(EditStep("orient", (("exif", 6),)),)),
            Processing("greyscale", edits=(EditStep("greyscale"),)),
        )
    }
)
"""By name: the centre of each side, left and right exchanged, a quarter turn, no colour; saved as JPEG q95 4:4:4."""


@dataclass(frozen=True)
class EditedViews:
    """The photo itself, and near-copies of it."""

    names: tuple[str, ...] = (*EDITS, ORIGINAL)
    upright: bool = True
    """Whether the Exif orientation is applied before."""

    kind: ClassVar[str] = "edited"

    def settings(self) -> dict[str, Any]:
        return {"upright": self.upright}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        """The key of ``original`` is that of other recipes.

        >>> EditedViews(("mirrored",)).view_keys()["mirrored"]["edits"]
        ['orient exif 2']
        """
        keys = {}
        for name in self.names:
            if name == ORIGINAL:
                keys[name] = original_key(self.upright)
                continue
            steps = [str(edit) for edit in EDITS[name].edits]
            key = {"kind": self.kind, "name": name, "edits": steps, "codec": codec_canary()}
            keys[name] = key if self.upright else {**key, "orientation": "stored"}
        return keys

    def only(self, names: Sequence[str]) -> EditedViews:
        return replace(self, names=tuple(name for name in self.names if name in names))

    def merged(self, other: EditedViews) -> EditedViews:
        return replace(self, names=tuple(n for n in (*EDITS, ORIGINAL) if n in {*self.names, *other.names}))

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[list[np.ndarray]]:
        photo = decode_rgb(data, upright=self.upright)
        wanted = [EDITS[name] for name in self.names if name != ORIGINAL]
        edited = dict(zip((p.name for p in wanted), process_all(photo, wanted, photo_id), strict=True))
        images: list[Image.Image] = [photo if name == ORIGINAL else edited[name] for name in self.names]
        return [[preprocess(image) for image in images] for preprocess in preprocesses]
