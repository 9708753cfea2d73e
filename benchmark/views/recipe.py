"""Photos x views -> preprocessed arrays; each photo is read and decoded once for all its views and all encoders.

A view is one photo under one processing, ready for one encoder's preprocessing. A ``ViewRecipe`` says which views are
made; ``loading`` has workers make them while the encoder runs on earlier ones.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from PIL import Image

from benchmark.encoders import Pixels
from builders.pixels import (
    ALL_PROCESSINGS,
    Planner,
    Processing,
    codec_canary,
    decode_rgb,
    preprocess_all,
)
from builders.sources import unpack
from builders.untrusted import first_line

if TYPE_CHECKING:
    import torch

Preprocess = Callable[[Image.Image], np.ndarray]
"""RGB image -> array of the same shape and dtype for any photo; picklable."""

Views = Any
"""The views of one photo for one preprocessing: an array that stacks them already, or a list of arrays."""


class ViewRecipe(Protocol):
    """Which views are made of a photo.

    Names are the recipe's own: another may call another view the same. What a view *is* stands in its key.
    """

    @property
    def kind(self) -> str:
        """Of recipe. Only recipes of one kind and equal settings are merged."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each view, in order."""
        ...

    def settings(self) -> dict[str, Any]:
        """What the recipe was told besides the names, as JSON values."""
        ...

    def view_keys(self) -> dict[str, dict[str, Any]]:
        """By name, everything that decides the pixels of that view, as JSON values; nothing that does not."""
        ...

    def only(self, names: Sequence[str]) -> ViewRecipe:
        """The recipe of some of its views, in its own order."""
        ...

    def merged(self, other: Any) -> ViewRecipe:
        """The recipe that makes the views of both, which are of one kind and equal settings."""
        ...

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[Views] | DecodedPhoto:
        """The views of one photo for each preprocessing, in the order of ``names``, ready for the encoder.

        Args:
            data: bytes of the photo, decoded here once.
            photo_id: identity of the photo.
            preprocesses: the distinct preprocessings of the encoders.

        Raises:
            PhotoError: the photo cannot be used.
        """
        ...


ORIGINAL = "original"
"""The view without any processing of ours."""


def original_key(upright: bool) -> dict[str, Any]:
    """What decides the pixels of the view ``original``, whichever recipe makes it: they share its file in a bank."""
    key = {"kind": "plain", "name": ORIGINAL}
    return key if upright else {**key, "orientation": "stored"}


@dataclass(frozen=True)
class ProcessingViews:
    """The photo under each of some processings, and as it is where that is asked for."""

    names: tuple[str, ...]
    """Names in ``ALL_PROCESSINGS``, or ``ORIGINAL``."""
    seed: int = 0
    """Of the random scale of ``interpolation``."""
    upright: bool = True
    """Whether the Exif orientation is applied; without it pixels stay as the file stores them."""

    kind: ClassVar[str] = "processing"

    def settings(self) -> dict[str, Any]:
        return {"seed": self.seed, "upright": self.upright}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        """Only views with a scale of each photo's own depend on the seed.

        >>> ProcessingViews(("resizing-x2",), seed=5).view_keys()["resizing-x2"]["scale"]
        2
        """
        return {
            name: original_key(self.upright) if name == ORIGINAL else self._view_key(ALL_PROCESSINGS[name])
            for name in self.names
        }

    def _view_key(self, processing: Processing) -> dict[str, Any]:
        seed = {"seed": self.seed} if processing.scale is None else {}
        codec = codec_canary((processing.name,))  # the bank's own canary knows the codecs of the study alone
        key = {"kind": self.kind, **dataclasses.asdict(processing), **seed, "codec": codec}
        return key if self.upright else {**key, "orientation": "stored"}

    def only(self, names: Sequence[str]) -> ProcessingViews:
        return dataclasses.replace(self, names=tuple(name for name in self.names if name in names))

    def merged(self, other: ProcessingViews) -> ProcessingViews:
        wanted = {*self.names, *other.names}
        known = (*ALL_PROCESSINGS, ORIGINAL)
        return dataclasses.replace(self, names=tuple(name for name in known if name in wanted))

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Preprocess]) -> list[Views]:
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
    """A preprocessing that is not ours, on a copy of the picture; what it gives is copied too.

    It may draw on the picture, which the next processing or encoder starts from, or give the same buffer at each call.

    >>> darker = OnACopy(lambda image: image.putpixel((0, 0), (9, 9, 9)) or np.asarray(image))
    >>> picture = Image.new("RGB", (2, 2))
    >>> darker(picture)[0, 0].tolist(), picture.getpixel((0, 0))
    ([9, 9, 9], (0, 0, 0))
    """

    preprocess: Preprocess

    def __call__(self, image: Image.Image) -> np.ndarray:
        try:
            return np.array(self.preprocess(image.copy()))
        except SystemExit as error:  # would end the worker, or the run with status 0
            raise RuntimeError(first_line(error)) from None


def on_a_copy(preprocess: Preprocess) -> Preprocess:
    """``Pixels`` are plain data and change nothing; whatever else it is gets a copy of each picture."""
    return preprocess if isinstance(preprocess, Pixels | OnACopy) else OnACopy(preprocess)


def _planner(preprocess: Preprocess) -> Planner:
    """Resize and cuts as numbers, which an engine carries out without ever making the picture, where there are any."""
    if isinstance(preprocess, Pixels):
        return lambda width, height: preprocess.plan(width, height) or preprocess
    return lambda width, height: preprocess


@dataclass(frozen=True)
class StoredViews:
    """Processed photos that a built set stores: decoded, not made again."""

    names: tuple[str, ...]
    """The views wanted."""
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
    """What a recipe makes of a photo whose views are left to a device."""

    pixels: np.ndarray
    """uint8 [height, width, 3]."""


@dataclass(frozen=True)
class PhotoViews:
    """All views of one photo, or the reason why there are none."""

    index: int
    """Index of the photo in its set."""
    arrays: tuple[torch.Tensor, ...]
    """One per preprocessing: [views, ...]. Empty if the photo failed, and where all its views did; the place of a view
    that failed alone is held by another of the same photo."""
    failure: str
    """Why there is no view for any preprocessing, in one sentence; empty if there is one."""
    source_jpeg: str
    """The photo's own compression, for example ``q75 4:2:0``."""
    seconds: float
    """Time of one worker spent on it."""
    own_failures: tuple[Mapping[str, str], ...] = ()
    """One per preprocessing: the reason by name of each view that failed; none at all where all went well."""
    decoded: torch.Tensor | None = None
    """uint8 [height, width, 3]: the photo, where a device is still to make its views; ``arrays`` is then empty."""
    digest: bytes = b""
    """``photo_digest`` of the bytes that were read; empty where they could not be."""
    there: Any = None
    """A CUDA event after which ``arrays`` on a GPU may be read; None where they are there."""
