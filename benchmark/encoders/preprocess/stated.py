"""Preprocessing that a specification states: ``size``, ``resize``, ``mean``, ``std`` and ``interpolation``.

A crop is torchvision's, with which most networks are trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from benchmark.encoders.network import Normalisation
from benchmark.encoders.preprocess.pixels import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CenterCrop,
    Pixels,
    ResizeInside,
    ResizeLong,
    ResizeShort,
    ResizeTo,
    Step,
    describe,
)
from benchmark.encoders.preprocess.verified import Preprocessing
from builders.errors import UsageError, unknown_name

STATED = ("size", "resize", "mean", "std", "interpolation")
"""Names of the options."""

LARGEST_SIDE = 1 << 14
"""Largest side of a view in pixels."""

FILTERS = {member.name.lower(): int(member) for member in Image.Resampling}


def sides(text: str) -> tuple[int, int]:
    """(height, width) of ``size=224`` or ``size=HEIGHTxWIDTH``.

    >>> sides("224"), sides("192x256")
    ((224, 224), (192, 256))
    """
    parts = text.split("x")
    if len(parts) > 2 or not all(part.isdecimal() and 0 < int(part) <= LARGEST_SIDE for part in parts):
        raise UsageError(f"size={text}: give pixels, 224 or HEIGHTxWIDTH")
    return int(parts[0]), int(parts[-1])


def shorter_side(text: str, height: int, width: int) -> int:
    """The shorter side of ``resize=256``, before a crop of ``height`` x ``width``."""
    if not text.isdecimal() or int(text) < min(height, width) or int(text) > LARGEST_SIDE:
        raise UsageError(f"resize={text}: give the shorter side in pixels, at least {min(height, width)}")
    return int(text)


def three_numbers(name: str, text: str) -> tuple[float, ...]:
    """``mean`` or ``std`` of pixels in [0, 1]: one number, three with commas, or ``imagenet``.

    >>> three_numbers("mean", "0.5"), three_numbers("std", "imagenet")
    ((0.5, 0.5, 0.5), (0.229, 0.224, 0.225))
    """
    if text == "imagenet":
        return IMAGENET_MEAN if name == "mean" else IMAGENET_STD
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{name}={text}: give one number, three with commas, or imagenet, for pixels in [0, 1]")
    if name == "std" and min(numbers) <= 0:
        raise UsageError(f"std={text}: give numbers above 0")
    return numbers * (3 // len(numbers))


def resampling(text: str) -> int:
    """Pillow's number of a filter, by name."""
    if text not in FILTERS:
        raise unknown_name("interpolation", text, FILTERS)
    return FILTERS[text]


@dataclass(frozen=True)
class Stated:
    """What a specification states of the preprocessing; None where it does not."""

    size: tuple[int, int] | None = None
    """(height, width) of the crop."""
    resize: str | None = None
    """Shorter side before the crop, as text: its bounds depend on the crop."""
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resample: int | None = None

    def __bool__(self) -> bool:
        return self != Stated()


def stated(options: Mapping[str, str]) -> Stated:
    """The options of a specification, checked.

    Raises:
        UsageError: one of them is malformed.
    """
    return Stated(
        size=sides(options["size"]) if "size" in options else None,
        resize=options.get("resize"),
        mean=three_numbers("mean", options["mean"]) if "mean" in options else None,
        std=three_numbers("std", options["std"]) if "std" in options else None,
        resample=resampling(options["interpolation"]) if "interpolation" in options else None,
    )


def alone(options: Stated) -> Preprocessing:
    """A preprocessing of which nothing else is known; what is not stated is ImageNet's, and the record says so.

    Args:
        options: with a size.
    """
    height, width = options.size or (224, 224)
    short = shorter_side(options.resize, height, width) if options.resize else max(height, width)
    resample = int(Image.Resampling.BILINEAR) if options.resample is None else options.resample
    pixels = Pixels((ResizeShort(short, resample), CenterCrop(width, height, "round")))
    mean, std = options.mean or IMAGENET_MEAN, options.std or IMAGENET_STD
    assumed = [name for name in ("mean", "std") if getattr(options, name) is None]
    record = describe(pixels, mean, std, "pil", **({"assumed": assumed} if assumed else {}))
    return Preprocessing(pixels, Normalisation(mean, std), record)


def restated(name: str, known: Preprocessing, options: Stated) -> Preprocessing:
    """A preprocessing with what a specification states instead; the resize before a crop keeps its ratio to the crop.

    Args:
        name: of the encoder.
        known: of the architecture.
        options: what is stated.

    Raises:
        UsageError: ``known`` is not a resize, a crop and a normalisation, so that all of it must be stated.
    """
    if not options:
        return known
    if not isinstance(known.preprocess, Pixels) or known.normalise is None:
        if options.size and options.mean and options.std:
            return alone(options)
        raise UsageError(
            f"{name}: its preprocessing is code, of which no part can be replaced: state size, mean and std"
        )
    pixels = _with_sides(name, known.preprocess, options)
    normalise = replace(
        known.normalise, mean=options.mean or known.normalise.mean, std=options.std or known.normalise.std
    )
    fresh = describe(pixels, normalise.mean, normalise.std, str(known.record.get("backend", "pil")))
    more = {key: value for key, value in known.record.items() if key not in fresh and key != "data_config"}
    return Preprocessing(pixels, normalise, {**fresh, **more})


def in_words(record: Mapping[str, Any]) -> str:
    """Size, steps, mean and standard deviation of a preprocessing, for a notice.

    >>> in_words(alone(Stated(size=(8, 6))).record)
    'size 8 x 6 (ResizeShort 8 bilinear, CenterCrop 6 8 round), mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225'
    """
    steps = [" ".join(map(str, step.values())) for step in record.get("steps", ())]
    size = " x ".join(map(str, record.get("size", ())))
    numbers = [f"{name} {', '.join(f'{v:g}' for v in record[name])}" for name in ("mean", "std") if name in record]
    return ", ".join([f"size {size} ({', '.join(steps) or 'by its code'})", *numbers])


def _with_sides(name: str, pixels: Pixels, options: Stated) -> Pixels:
    """Steps with another size, resize or filter."""
    height, width = options.size or _output(pixels)
    before = min(_output(pixels))
    steps: list[Step] = []
    for step in pixels.steps:
        if isinstance(step, ResizeShort | ResizeTo | ResizeInside | ResizeLong) and options.resample is not None:
            step = replace(step, resample=options.resample)
        if isinstance(step, ResizeShort | ResizeTo) and options.resize is not None:
            step = ResizeShort(shorter_side(options.resize, height, width), step.resample)
        elif isinstance(step, ResizeShort) and options.size:
            step = replace(step, size=step.size * min(height, width) // before)
        elif isinstance(step, ResizeTo | CenterCrop):
            step = replace(step, width=width, height=height)
        elif options.size or options.resize:
            raise UsageError(f"{name}: its {type(step).__name__} has no other size: leave size and resize out")
        steps.append(step)
    if options.resize is not None and not any(isinstance(step, CenterCrop) for step in steps):
        steps.append(CenterCrop(width, height, "round"))
    return Pixels(tuple(steps))


def _output(pixels: Pixels) -> tuple[int, int]:
    """(height, width) of the views."""
    height, width, _ = pixels(Image.new("RGB", (320, 240))).shape
    return height, width
