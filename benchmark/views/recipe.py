"""Recipes: which views are made of a photo, and how.

A view is one photo under one processing, ready for one encoder's preprocessing. A ``ViewRecipe`` makes all of its views
of one photo, which is decoded once for all views and all encoders; ``loading`` runs recipes in workers while encoders
process earlier photos.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from PIL import Image

from benchmark.compute import foreign_code
from benchmark.encoders import Pixels
from builders.pixels import (
    ALL_PROCESSINGS,
    Planner,
    Processing,
    codec_canary,
    decode_rgb,
    preprocess_all,
    processings_in_use,
    use_processings,
)
from builders.sources import unpack
from builders.untrusted import ForeignCodeError

if TYPE_CHECKING:
    import torch

Preprocess = Callable[[Image.Image], np.ndarray]
"""RGB image -> array of the same shape and dtype for any photo; picklable."""

Views = Any
"""The views of one photo under one preprocessing: a stacked array, or a list of arrays."""


class ViewRecipe(Protocol):
    """Which views are made of a photo, and how.

    Names are local to a recipe: two recipes may give the same name to different views. The key identifies a view.
    """

    @property
    def kind(self) -> str:
        """Kind of recipe. Only recipes of the same kind with equal settings are merged."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each view, in order."""
        ...

    def settings(self) -> dict[str, Any]:
        """The parameters of the recipe other than its names, as JSON values."""
        ...

    def view_keys(self) -> dict[str, dict[str, Any]]:
        """By name of a view, exactly what decides its pixels, as JSON values."""
        ...

    def only(self, names: Sequence[str]) -> ViewRecipe:
        """The same recipe with some of its views, in the recipe's order."""
        ...

    def merged(self, other: Any) -> ViewRecipe:
        """A recipe that makes the views of both; ``other`` has the same kind and equal settings."""
        ...

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[Views] | DecodedPhoto:
        """Make the views of one photo.

        Args:
            data: bytes of the photo, which are decoded once.
            photo_id: identity of the photo.
            preprocesses: the distinct preprocessings of the encoders.

        Returns:
            Per preprocessing, the views in the order of ``names``; or the decoded photo, if a device makes the views.

        Raises:
            PhotoError: the photo cannot be used.
        """
        ...


ORIGINAL = "original"
"""Name of the view without any processing."""


def original_key(upright: bool) -> dict[str, Any]:
    """Key of the view ``original``. It is the same for every recipe, so that they share the file in a bank."""
    key = {"kind": "plain", "name": ORIGINAL}
    return key if upright else {**key, "orientation": "stored"}


@dataclass(frozen=True)
class ProcessingViews:
    """The photo under each of some processings and, if ``names`` contains ``ORIGINAL``, without any."""

    names: tuple[str, ...]
    """Names in ``ALL_PROCESSINGS``, or ``ORIGINAL``."""
    seed: int = 0
    """Seed of the random scale of ``interpolation``."""
    upright: bool = True
    """Whether the Exif orientation is applied; otherwise pixels stay as the file stores them."""
    definitions: str = field(default_factory=processings_in_use)
    """The processing file that defines the names, for workers that did not inherit it."""

    kind: ClassVar[str] = "processing"

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, "upright": self.upright}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        """Only the keys of views with a random scale contain the seed.

        >>> ProcessingViews(("resizing-x2",), seed=5).view_keys()["resizing-x2"]["scale"]
        2
        """
        return {
            name: original_key(self.upright) if name == ORIGINAL else self._view_key(ALL_PROCESSINGS[name])
            for name in self.names
        }

    def _view_key(self, processing: Processing) -> dict[str, Any]:
        seed = {"seed": self.seed} if processing.is_random else {}
        codec = codec_canary((processing.name,))  # the canary in the bank's key covers only the study's codecs
        key = {"kind": self.kind, **processing.key(), **seed, "codec": codec}
        return key if self.upright else {**key, "orientation": "stored"}

    def only(self, names: Sequence[str]) -> ProcessingViews:
        return dataclasses.replace(self, names=tuple(name for name in self.names if name in names))

    def merged(self, other: ProcessingViews) -> ProcessingViews:
        wanted = {*self.names, *other.names}
        known = (*ALL_PROCESSINGS, ORIGINAL)
        return dataclasses.replace(self, names=tuple(name for name in known if name in wanted))

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[Views]:
        use_processings(self.definitions)
        photo = decode_rgb(data, upright=self.upright)
        processed = [name for name in self.names if name != ORIGINAL]
        planners = [_planner(preprocess) for preprocess in preprocesses]
        processings = [ALL_PROCESSINGS[name] for name in processed]
        made = (
            preprocess_all(photo, processings, photo_id, planners, self.seed) if processed else [[] for _ in planners]
        )
        if len(processed) == len(self.names):
            return list(made)
        originals = [preprocess(photo) for preprocess in preprocesses]
        return [
            [original if name == ORIGINAL else views[processed.index(name)] for name in self.names]
            for original, views in zip(originals, made, strict=True)
        ]


@dataclass(frozen=True)
class OnACopy:
    """A user's preprocessing, applied to a copy of the picture; its result is copied too.

    The function may draw on the picture, which other views are made from, or return the same buffer at each call.

    >>> darker = OnACopy(lambda image: image.putpixel((0, 0), (9, 9, 9)) or np.asarray(image))
    >>> picture = Image.new("RGB", (2, 2))
    >>> darker(picture)[0, 0].tolist(), picture.getpixel((0, 0))
    ([9, 9, 9], (0, 0, 0))
    """

    preprocess: Preprocess
    harm: list[ForeignCodeError] = field(default_factory=list, compare=False, repr=False)
    """What it did to the run, if it did. It is not called again: views of other encoders are made by the same calls."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        if self.harm:
            raise ForeignCodeError(str(self.harm[0]))
        try:
            with foreign_code():
                return np.array(self.preprocess(image.copy()))
        except ForeignCodeError as error:
            self.harm.append(error)
            raise


def on_a_copy(preprocess: Preprocess) -> Preprocess:
    """``OnACopy`` of a preprocessing; ``Pixels`` never change the picture and are returned as they are."""
    return preprocess if isinstance(preprocess, Pixels | OnACopy) else OnACopy(preprocess)


def _planner(preprocess: Preprocess) -> Planner:
    """The plan of a ``Pixels`` as numbers, which an engine can carry out without a picture; else the function."""
    if isinstance(preprocess, Pixels):
        return lambda width, height: preprocess.plan(width, height) or preprocess
    return lambda width, height: preprocess


@dataclass(frozen=True)
class StoredViews:
    """Processed photos that a built set stores; they are only decoded."""

    names: tuple[str, ...]
    """The views to be read."""
    stored: tuple[str, ...]
    """The views in a bundle, in its order."""

    kind: ClassVar[str] = "stored"

    def settings(self) -> dict[str, Any]:
        return {"stored": list(self.stored)}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        return {name: {"kind": self.kind, "name": name, "stored": list(self.stored)} for name in self.names}

    def only(self, names: Sequence[str]) -> StoredViews:
        return dataclasses.replace(self, names=tuple(name for name in self.names if name in names))

    def merged(self, other: StoredViews) -> StoredViews:
        wanted = {*self.names, *other.names}
        return StoredViews(tuple(name for name in self.stored if name in wanted), self.stored)

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[list[np.ndarray]]:
        files = dict(zip(self.stored, unpack(data), strict=True))
        images = [decode_rgb(files[name]) for name in self.names]
        return [[preprocess(image) for image in images] for preprocess in preprocesses]


class DecodedPhoto(NamedTuple):
    """A decoded photo, the result of a recipe whose views are made on a device."""

    pixels: np.ndarray
    """uint8 [height, width, 3]."""


@dataclass(frozen=True)
class PhotoViews:
    """All views of one photo, or why there are none."""

    index: int
    """Index of the photo in its set."""
    arrays: tuple[torch.Tensor, ...]
    """Per preprocessing, [views, ...]. Empty if the photo failed or all of its views did. If a single view failed, its
    place holds another view of the same photo."""
    failure: str
    """Why there is no view for any preprocessing, in one sentence; empty if there is a view."""
    source_jpeg: str
    """Compression of the photo's file, for example ``q75 4:2:0``."""
    seconds: float
    """Seconds that a worker spent on the photo."""
    view_failures: tuple[Mapping[str, str], ...] = ()
    """Per preprocessing, the reason by name of each view that failed; empty if none failed."""
    decoded: torch.Tensor | None = None
    """uint8 [height, width, 3]: the photo, if a device has yet to make its views; ``arrays`` is then empty."""
    digest: bytes = b""
    """``photo_digest`` of the bytes; empty if they could not be read."""
    ready: Any = None
    """CUDA event after which ``arrays`` on a GPU may be read; None if they can be read now."""
