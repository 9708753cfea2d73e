"""``WithPng``: a recipe with one view more, the unprocessed photo saved as PNG, which must change nothing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from benchmark.views.recipe import ORIGINAL, Preprocess, ViewRecipe, Views
from builders.pixels import decode_rgb

PNG = "png"
"""Name of the view."""


@dataclass(frozen=True)
class WithPng:
    """The views of a recipe, and ``PNG``: a ``ViewRecipe`` for preprocessings that keep pictures."""

    recipe: ViewRecipe
    """With ``ORIGINAL``, or of other views alone."""
    png: bool = True

    @property
    def kind(self) -> str:
        return self.recipe.kind

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.recipe.names, *([PNG] if self.png else []))

    def settings(self) -> dict[str, Any]:
        return self.recipe.settings()

    def view_keys(self) -> dict[str, dict[str, Any]]:
        keys = self.recipe.view_keys()
        return {**keys, **({PNG: {"kind": "resaved", "format": PNG, "of": keys[ORIGINAL]}} if self.png else {})}

    def only(self, names: Sequence[str]) -> WithPng:
        """The same with some of its views; ``PNG`` brings ``ORIGINAL`` with it, since it is made of its picture."""
        wanted = [*names, *([ORIGINAL] if PNG in names else [])]
        return WithPng(self.recipe.only(wanted), PNG in names)

    def merged(self, other: WithPng) -> WithPng:
        return WithPng(self.recipe.merged(other.recipe), self.png or other.png)

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[Views]:
        made: Any = self.recipe.make(data, photo_id, preprocesses)
        if not self.png:
            return list(made)
        at = self.recipe.names.index(ORIGINAL)
        return [[*views, preprocess(resaved(views[at]))] for views, preprocess in zip(made, preprocesses, strict=True)]


def resaved(picture: Image.Image) -> Image.Image:
    """An RGB picture saved as PNG and opened again.

    >>> resaved(Image.new("RGB", (2, 2), (1, 2, 3))).getpixel((1, 0))
    (1, 2, 3)
    """
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return decode_rgb(buffer.getvalue())
