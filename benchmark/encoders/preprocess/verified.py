"""The fast preprocessing of a library's encoder, used only where it is verified to equal the library's callable.

A library's callable makes a normalised float tensor. Where 8-bit pixels (``pixels.py``) and a mean and standard
deviation on the device give the same, loader workers send a quarter of the bytes. The two are compared at load on
pictures of several shapes. If they differ, or no candidate describes the callable, the callable is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.encoders.network import Normalisation, probe_image
from benchmark.encoders.preprocess.pixels import (
    CenterCrop,
    CenterPad,
    Pixels,
    ResizeInside,
    ResizeLong,
    ResizeShort,
    ResizeTo,
    Step,
    describe,
)
from builders.errors import CamtraceError, EncoderError
from builders.untrusted import describe_error

TOLERANCE = 1e-5
"""Largest difference after normalisation that counts as equal: float32 rounds in a different order."""

PROBE_SIZES = ((500, 375), (333, 500), (641, 427), (224, 224), (97, 60), (60, 131))
"""(width, height) of the compared pictures: both orientations, odd margins, exact size, enlargement."""

SHRUNK = (2.7, 1.9)
"""(width, height) of one more picture, as factors of the output's: libraries may agree when they enlarge, and round
differently when many pixels become one."""

Library = Callable[[Image.Image], np.ndarray]
"""RGB photo -> float32 [3, height, width], normalised, by the library's code. Picklable."""


@dataclass(frozen=True)
class Candidate:
    """A fast preprocessing that may equal a library's callable."""

    pixels: Pixels
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False
    """True if channels are in the order blue, green, red; mean and std too."""


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of an encoder, verified."""

    preprocess: Callable[[Image.Image], np.ndarray]
    normalise: Normalisation | None
    record: Mapping[str, Any]


def verified(
    name: str, library: Library, candidates: Iterable[Candidate], backend: str, **record: Any
) -> Preprocessing:
    """The first candidate that equals ``library`` on every probe picture, else ``library`` itself.

    Args:
        name: of the encoder, for messages.
        library: the library's callable.
        candidates: likely ones first.
        backend: of the library's resize, for the record.
        record: further entries of the record.

    Raises:
        EncoderError: the library's callable fails, or the shape of its result depends on the photo.
    """
    expected = {size: _preprocessed(name, library, size) for size in PROBE_SIZES}
    shapes = {array.shape for array in expected.values()}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        listed = ", ".join(str(shape) for shape in sorted(shapes))
        raise EncoderError(f"{name}: its preprocessing does not give images of one size ({listed})")
    size = list(next(iter(shapes))[1:])
    larger = (int(SHRUNK[0] * size[1]), int(SHRUNK[1] * size[0]))
    for candidate in candidates:
        if not _equal(candidate, expected):
            continue
        if larger not in expected:
            expected[larger] = _preprocessed(name, library, larger)
        if _equal(candidate, {larger: expected[larger]}):
            more = {**({"channels": "BGR"} if candidate.bgr else {}), **record}
            return Preprocessing(
                candidate.pixels,
                Normalisation(candidate.mean, candidate.std, candidate.bgr),
                describe(candidate.pixels, candidate.mean, candidate.std, backend, **more),
            )
    return Preprocessing(library, None, {"size": size, "backend": backend, "transport": "float32", **record})


def _preprocessed(name: str, library: Library, size: tuple[int, int]) -> np.ndarray:
    try:
        return library(probe_image(*size))
    except CamtraceError:
        raise
    except Exception as error:  # any library, any error
        raise EncoderError(f"{name}: its preprocessing fails ({describe_error(error)})") from error


def _equal(candidate: Candidate, expected: Mapping[tuple[int, int], np.ndarray]) -> bool:
    normalise = Normalisation(candidate.mean, candidate.std, candidate.bgr)
    for (width, height), array in expected.items():
        pixels = candidate.pixels(probe_image(width, height))
        if pixels.shape[:2] != array.shape[1:]:
            return False
        normalised = normalise(torch.from_numpy(pixels)[None])[0].numpy()
        if not np.abs(normalised - array).max() <= TOLERANCE:
            return False
    return True


@dataclass(frozen=True)
class FromTransform:
    """A torchvision-style transform (PIL -> tensor) as a ``Library``."""

    transform: Callable[[Any], torch.Tensor]

    def __call__(self, image: Image.Image) -> np.ndarray:
        return np.asarray(self.transform(image), dtype=np.float32)


def candidates_of_transform(transform: Any) -> list[Candidate]:
    """The candidate of a ``torchvision.transforms.Compose`` of resize, crop, conversion and normalisation, by its
    steps."""
    from torchvision import transforms

    steps: list[Step] = []
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    for part in getattr(transform, "transforms", []):
        if isinstance(part, transforms.Resize):
            resample = _pil_filter(part.interpolation)
            size = part.size if isinstance(part.size, int) else tuple(part.size)
            if isinstance(size, int) or len(size) == 1:
                steps.append(ResizeShort(size if isinstance(size, int) else size[0], resample))
            else:
                steps.append(ResizeTo(size[1], size[0], resample))
        elif type(part).__name__ == "ResizeKeepRatio" and getattr(part, "longest", 0) == 1:
            height, width = part.size
            steps.append(ResizeInside(width, height, _pil_filter(part.interpolation)))
        elif isinstance(part, transforms.CenterCrop) or type(part).__name__ == "CenterCropOrPad":
            height, width = part.size
            fill = _fill(getattr(part, "fill", 0))
            plain = fill == (0, 0, 0)
            steps.append(CenterCrop(width, height, "round") if plain else CenterPad(width, height, fill=fill))
        elif isinstance(part, transforms.Normalize):
            mean, std = _triple(part.mean), _triple(part.std)
    return [Candidate(Pixels(tuple(steps)), mean, std)] if steps else []


def candidates_of_preset(preset: Any) -> list[Candidate]:
    """The candidate of torchvision's ``ImageClassification`` preset."""
    resample = _pil_filter(preset.interpolation)
    crop = CenterCrop(preset.crop_size[0], preset.crop_size[0], "round")
    pixels = Pixels((ResizeShort(preset.resize_size[0], resample), crop))
    return [Candidate(pixels, _triple(preset.mean), _triple(preset.std))]


def candidates_of_processor(processor: Any) -> list[Candidate]:
    """Candidates of a transformers image processor by its configuration; several, since classes read it differently."""
    if not getattr(processor, "do_resize", True):
        return []
    size = _mapping(getattr(processor, "size", None))
    resample = getattr(processor, "resample", None)
    resample = int(Image.Resampling.BILINEAR if resample is None else resample)
    factor = getattr(processor, "rescale_factor", None) or 1 / 255
    mean: tuple[float, ...] = (0.0,) * 3
    std: tuple[float, ...] = (1.0,) * 3
    if getattr(processor, "do_normalize", False):
        mean, std = _triple(processor.image_mean), _triple(processor.image_std)
    unit = 255 * factor  # value of a white pixel, the unit of mean and std
    if abs(unit - 1) > 1e-9:
        mean, std = tuple(m / unit for m in mean), tuple(s / unit for s in std)
    if getattr(processor, "include_top", False):  # EfficientNet divides by the deviation once more
        std = tuple(s * t for s, t in zip(std, _triple(processor.image_std), strict=True))
    crop = _mapping(getattr(processor, "crop_size", None)) if getattr(processor, "do_center_crop", False) else {}
    crops: list[tuple[Step, ...]] = [()]
    if crop:
        crops = [(CenterCrop(crop["width"], crop["height"], margin),) for margin in ("floor", "round")]
    shortest, fraction = size.get("shortest_edge"), getattr(processor, "crop_pct", None)
    guesses: list[tuple[Step, ...]] = []
    side, least, colour = size.get("height"), getattr(processor, "min_size", None), _colour(processor)
    if side and side == size.get("width") and least and colour:  # Janus: the whole picture on a square
        guesses.append((ResizeLong(side, resample, least), CenterPad(side, side, fill=colour)))
    if shortest and fraction and shortest < 384:  # ConvNeXt: enlarge by 1 / crop_pct, then crop
        larger = ResizeShort(int(shortest / fraction), resample)
        guesses += [(larger, CenterCrop(shortest, shortest, margin)) for margin in ("floor", "round")]
    if shortest:
        guesses.append((ResizeTo(shortest, shortest, resample),))
    if shortest and crop:  # LeViT: enlarge by 256 / 224, then crop
        guesses += [(ResizeShort(int(256 / 224 * shortest), resample), *cut) for cut in crops]
    if shortest:
        guesses += [(ResizeShort(shortest, resample), *cut) for cut in crops]
    if size.get("height") and size.get("width"):
        guesses += [(ResizeTo(size["width"], size["height"], resample), *cut) for cut in crops]
    bgr = bool(getattr(processor, "do_flip_channel_order", False))
    return [Candidate(Pixels(steps), mean, std, bgr) for steps in guesses]


def _colour(processor: Any) -> tuple[int, int, int] | None:
    """The colour that a processor pads with, where its configuration has three bytes; else None."""
    colour = getattr(processor, "background_color", None)
    return _fill(colour) if isinstance(colour, tuple | list) and len(colour) == 3 else None


def _fill(fill: Any) -> tuple[int, int, int]:
    """A colour of one number or three, as bytes."""
    red, green, blue = (fill,) * 3 if isinstance(fill, int | float) else fill
    return int(red), int(green), int(blue)


def _pil_filter(interpolation: Any) -> int:
    from torchvision.transforms import InterpolationMode

    names = {InterpolationMode.BILINEAR: "BILINEAR", InterpolationMode.BICUBIC: "BICUBIC"}
    names |= {InterpolationMode.LANCZOS: "LANCZOS", InterpolationMode.NEAREST: "NEAREST"}
    return int(Image.Resampling[names.get(interpolation, "BILINEAR")])


def _triple(values: Any) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in (values if hasattr(values, "__iter__") else [values]))
    return numbers if len(numbers) == 3 else numbers * 3


def _mapping(size: Any) -> dict[str, int]:
    if isinstance(size, int):
        return {"shortest_edge": size}
    try:
        return {key: value for key, value in dict(size).items() if value} if size is not None else {}
    except (TypeError, ValueError):
        return {}
