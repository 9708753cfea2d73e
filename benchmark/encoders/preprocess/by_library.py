"""The steps of a preprocessing, carried out by another library, with another filter, or without antialiasing.

==========================================  =======================================================================
``own``, ``pillow``                         Pillow, as ``pixels.py`` does it
``opencv``                                  ``cv2.resize``: no antialiasing by default; with it, the filter ``box``
``torchvision``                             its resize of uint8 tensors, antialiased by default
``timm``, ``open_clip``                     their evaluation transform, which is made for the same rule
``transformers-slow``, ``transformers-fast``  the image processor of CLIP, with its PIL and its torchvision backend
==========================================  =======================================================================

The last four carry out one rule: the short side and a crop, or a squash. They are used without normalisation, which is
the encoder's own in every case.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.preprocess.pixels import CenterCrop, CenterSquare, Pixels, ResizeShort, ResizeTo, Step
from builders.errors import EncoderError, UsageError, missing_package, unknown_name

LIBRARIES = ("own", "pillow", "opencv", "torchvision", "timm", "open_clip", "transformers-slow", "transformers-fast")
"""What can carry out a resize and a crop."""

FILTERS = ("own", "nearest", "box", "bilinear", "bicubic", "lanczos")
"""Filters of a resize; ``own`` is the encoder's."""

ANTIALIAS = ("own", "yes", "no")
"""Whether a filter is widened when a picture becomes smaller; ``own`` is what the library does by default."""


def with_library(encoder: Encoder, library: str = "own", filter: str = "own", antialias: str = "own") -> Encoder:
    """The encoder with the steps of its preprocessing carried out in another way; ``own`` three times changes nothing.

    Args:
        encoder: as loaded.
        library: one of ``LIBRARIES``.
        filter: one of ``FILTERS``.
        antialias: one of ``ANTIALIAS``.

    Raises:
        UsageError: an unknown name, a missing package, or what the library cannot do.
        EncoderError: the preprocessing of the encoder is code, not steps.
    """
    for kind, name, choices in (
        ("library", library, LIBRARIES),
        ("filter", filter, FILTERS),
        ("antialias", antialias, ANTIALIAS),
    ):
        if name not in choices:
            raise unknown_name(kind, name, choices)
    if (library, filter, antialias) == ("own", "own", "own"):
        return encoder
    own = encoder.preprocess
    if not isinstance(own, Pixels | StepsThen):
        raise EncoderError(
            f"{encoder.info.id}: its preprocessing is code, of which no part can be replaced: add resize=short-side or "
            "resize=squash on both sides"
        )
    steps = own.steps
    if filter != "own":
        number = int(Image.Resampling[filter.upper()])
        steps = tuple(s if isinstance(s, CenterCrop | CenterSquare) else replace(s, resample=number) for s in steps)
    pixels = Pixels(steps)
    preprocess: Callable[[Image.Image], np.ndarray]
    if library in ("own", "pillow", "opencv", "torchvision"):
        name = "pillow" if library == "own" else library
        antialiased = name != "opencv" if antialias == "own" else antialias == "yes"
        preprocess = pixels if (name, antialiased) == ("pillow", True) else ByLibrary(pixels, name, antialiased)
    else:
        if antialias == "no":
            raise UsageError(f"antialias=no: {library} always antialiases; use pillow, opencv or torchvision")
        preprocess = LibraryTransform(pixels, library)
    try:
        preprocess(Image.new("RGB", (320, 240)))
    except ModuleNotFoundError as error:
        raise UsageError(missing_package(error.name or "", f"library={library}")) from None
    if isinstance(own, StepsThen):
        preprocess = replace(own, carried_out=preprocess)
    how = {"library": library, "filter": filter, "antialias": antialias}
    record = {**encoder.info.preprocessing, "steps": pixels.describe(), "carried_out": how}
    again = partial(_again, library=library, filter=filter, antialias=antialias)
    return replace(
        encoder,
        info=replace(encoder.info, preprocessing=record),
        preprocess=preprocess,
        in_torch=None if encoder.in_torch is None else partial(again, encoder.in_torch),
        in_float32=None if encoder.in_float32 is None else partial(again, encoder.in_float32),
        reload=None,
    )


def _again(load: Callable[[], Encoder], **how: str) -> Encoder:
    return with_library(load(), **how)


@dataclass(frozen=True)
class StepsThen:
    """A preprocessing of steps, which a library carries out, and of code after them."""

    steps: tuple[Step, ...]
    carried_out: Callable[[Image.Image], np.ndarray]
    """Photo -> uint8 [height, width, 3] after the steps."""
    then: Callable[[np.ndarray], np.ndarray]

    def __call__(self, image: Image.Image) -> np.ndarray:
        return self.then(self.carried_out(image))


@dataclass(frozen=True)
class ByLibrary:
    """The steps of ``pixels``, each resize by one library.

    >>> halves = ByLibrary(Pixels((ResizeTo(2, 1, Image.Resampling.BILINEAR),)), "pillow", False)
    >>> halves(Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3)))[0, :, 0].tolist()
    [7, 13]
    """

    pixels: Pixels
    library: str
    """``pillow``, ``opencv`` or ``torchvision``."""
    antialias: bool

    def __call__(self, image: Image.Image) -> np.ndarray:
        for step in self.pixels.steps:
            if isinstance(step, CenterCrop | CenterSquare):
                image = step(image)
            elif (size := step.target(*image.size)) != image.size:
                filter = Image.Resampling(step.resample).name.lower()
                image = Image.fromarray(_RESIZES[self.library](np.asarray(image), size, filter, self.antialias))
        return np.array(image)


def _by_pillow(pixels: np.ndarray, size: tuple[int, int], filter: str, antialias: bool) -> np.ndarray:
    image, number = Image.fromarray(pixels), Image.Resampling[filter.upper()]
    if antialias:
        return np.asarray(image.resize(size, number))
    if filter not in ("nearest", "bilinear", "bicubic"):
        raise UsageError(f"antialias=no: Pillow has no {filter} without it; use nearest, bilinear or bicubic")
    scale = image.width / size[0], image.height / size[1]
    # ``transform`` reads outside the picture as black: a border of two pixels repeats the edge
    framed = Image.fromarray(np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge"))
    affine = (scale[0], 0.0, 2.0, 0.0, scale[1], 2.0)
    return np.asarray(framed.transform(size, Image.Transform.AFFINE, affine, number))


def _by_opencv(pixels: np.ndarray, size: tuple[int, int], filter: str, antialias: bool) -> np.ndarray:
    import cv2

    if antialias and filter not in ("box", "nearest"):
        raise UsageError("antialias=yes: OpenCV antialiases by area alone: add filter=box")
    if not antialias and filter == "box":
        raise UsageError("filter=box: OpenCV's filter of that name is antialiased: add antialias=yes")
    names = {"bilinear": "LINEAR", "bicubic": "CUBIC", "lanczos": "LANCZOS4", "box": "AREA", "nearest": "NEAREST"}
    return cv2.resize(pixels, size, interpolation=getattr(cv2, f"INTER_{names[filter]}"))


def _by_torchvision(pixels: np.ndarray, size: tuple[int, int], filter: str, antialias: bool) -> np.ndarray:
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    if filter not in ("nearest", "bilinear", "bicubic"):
        raise UsageError(f"filter={filter}: torchvision resizes tensors by nearest, bilinear or bicubic")
    channels = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    mode = InterpolationMode[filter.upper()]
    resized = functional.resize(channels, [size[1], size[0]], interpolation=mode, antialias=antialias)
    return np.ascontiguousarray(resized.numpy().transpose(1, 2, 0))


_RESIZES = {"pillow": _by_pillow, "opencv": _by_opencv, "torchvision": _by_torchvision}


@dataclass(frozen=True)
class LibraryTransform:
    """The rule of ``pixels`` by the evaluation transform of timm or open_clip, or an image processor of transformers.

    >>> steps = (ResizeShort(8, Image.Resampling.BICUBIC), CenterCrop(8, 8))
    >>> LibraryTransform(Pixels(steps), "timm")(Image.new("RGB", (31, 17), (200, 30, 90)))[0, 0].tolist()
    [200, 30, 90]
    """

    pixels: Pixels
    library: str

    def __call__(self, image: Image.Image) -> np.ndarray:
        shares = np.asarray(_transform(self.pixels, self.library)(image), np.float64)  # [3, height, width] in [0, 1]
        levels = 255 * shares.transpose(1, 2, 0)
        rounded = np.rint(levels)
        if np.abs(levels - rounded).max() > 0.01:
            raise EncoderError(f"library={self.library}: its pixels are no 8-bit levels, which the encoder takes")
        return rounded.astype(np.uint8)


@functools.lru_cache(maxsize=16)
def _transform(pixels: Pixels, library: str) -> Callable[[Image.Image], Any]:
    """Picture -> [3, height, width] in [0, 1], by the library's own code."""
    rule = _rule(pixels, library)
    if library == "timm":
        from timm.data import create_transform

        share = 1.0 if rule.short is None else min(rule.size) / (rule.short + 0.5)
        return create_transform(
            input_size=(3, *rule.size),
            interpolation=rule.filter,
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            crop_pct=share if rule.short != min(rule.size) else 1.0,
            crop_mode="squash" if rule.short is None else "center",
        )
    if library == "open_clip":
        from open_clip.transform import image_transform

        if rule.short not in (None, min(rule.size)):
            raise UsageError("library=open_clip: it resizes to the crop, with no margin: add resize=short-side")
        mode = "squash" if rule.short is None else "shortest"
        zero, one = (0.0,) * 3, (1.0,) * 3
        options: dict[str, Any] = {"resize_mode": mode, "interpolation": rule.filter, "mean": zero, "std": one}
        return image_transform(rule.size, is_train=False, **options)
    import transformers

    name = "CLIPImageProcessorPil" if library == "transformers-slow" else "CLIPImageProcessor"
    height, width = rule.size
    crop = {"height": height, "width": width}
    processor = getattr(transformers, name)(
        size=crop if rule.short is None else {"shortest_edge": rule.short},
        do_center_crop=rule.short is not None,
        crop_size=crop,
        resample=int(Image.Resampling[rule.filter.upper()]),
        do_normalize=False,
    )
    return lambda image: processor(images=image, return_tensors="np")["pixel_values"][0]


@dataclass(frozen=True)
class _Rule:
    size: tuple[int, int]
    """(height, width) of the result."""
    short: int | None
    """The short side before a crop; None for a squash."""
    filter: str


def _rule(pixels: Pixels, library: str) -> _Rule:
    match pixels.steps:
        case (ResizeTo() as squash,):
            return _Rule((squash.height, squash.width), None, Image.Resampling(squash.resample).name.lower())
        case (ResizeShort() as short, CenterCrop() as crop) if type(crop) is CenterCrop:
            return _Rule((crop.height, crop.width), short.size, Image.Resampling(short.resample).name.lower())
    raise UsageError(
        f"library={library} resizes the short side and crops, or squashes, and the encoder does something else: add "
        "resize=short-side or resize=squash on both sides"
    )
