"""``--preprocess``: an encoder with its native preprocessing, the study's, or a plain one of the same input size.

==============  ====================================================================================================
``own``         as the library or the authors state it for these weights
``study``       as the ICCV 2025 study's released loader did it for its 47 encoders; for any other encoder the same
                rule, which is ``short-side``
``short-side``  resize the short side to the side of the input, crop the centre: no margin, aspect ratio preserved
``squash``      resize to the input's height and width: nothing is cropped, the aspect ratio is lost
==============  ====================================================================================================

The last two keep the encoder's filter, mean and standard deviation. The steps of every mode are in
``EncoderInfo.preprocessing``, and so in the key of the bank: two modes share a bank only where their pixels are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from PIL import Image

from benchmark.encoders.encoder import Encoder
from benchmark.encoders.preprocess.pixels import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    CenterCrop,
    Pixels,
    ResizeShort,
    ResizeTo,
    Step,
    describe,
)
from benchmark.encoders.provenance import STUDY
from benchmark.encoders.registry import EncoderRow
from benchmark.options import PREPROCESS
from builders.errors import UsageError, unknown_name

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

_HALF = (0.5, 0.5, 0.5)

_HALF_NORMALISED = ("siglip", ".orig_in21k", "CLIP-ViT-L-14-laion2B")
"""Parts of specifications whose library subtracts 0.5 and divides by 0.5: SigLIP, ViTs of ImageNet-21k, LAION's
ViT-L/14."""


@dataclass(frozen=True)
class StudyTransform:
    """Preprocessing of one of the study's encoders: resize the short side, crop the centre, normalise."""

    crop_px: int
    """Side of the crop in pixels, to which the short side is resized before."""
    resample: Image.Resampling
    """Antialiased, as Pillow does it."""
    mean: tuple[float, float, float]
    """Of pixels in [0, 1]."""
    std: tuple[float, float, float]
    unlike_own: str
    """What the library or the authors' code does instead, in words; empty where it is the same."""

    @property
    def pixels(self) -> Pixels:
        """Photo -> uint8 [crop, crop, 3]; margins are rounded as torchvision does."""
        resize = ResizeShort(self.crop_px, int(self.resample))
        return Pixels((resize, CenterCrop(self.crop_px, self.crop_px, "round")))


def study_transform(encoder_id: str) -> StudyTransform | None:
    """Preprocessing of the study's encoder with this id, with or without a revision; None if it is none of the 47.

    >>> study_transform("timm/resnet50.a1_in1k@main").crop_px, study_transform("timm/resnet50.a1_in1k").unlike_own
    (224, '235 -> 224')
    >>> study_transform("bundled:imgsim") is None
    True
    """
    # "@" begins a revision; no name of the study contains it.
    return _TRANSFORMS.get(encoder_id.removeprefix("hf-hub:").partition("@")[0])


def _transform(row: EncoderRow) -> StudyTransform:
    assert row.input_px is not None
    bicubic = not row.spec.startswith("checkpoint:mocov3")
    resample = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if any(part in row.spec for part in _HALF_NORMALISED):
        mean, std = _HALF, _HALF
    elif row.published_name and row.published_name.startswith(("CLIP", "OpenCLIP")):
        mean, std = _CLIP_MEAN, _CLIP_STD
    return StudyTransform(row.input_px, resample, mean, std, _unlike_own(row))


def _unlike_own(row: EncoderRow) -> str:
    if "siglip" in row.spec:
        return "284 -> 256"
    if row.spec.endswith(".orig_in21k"):
        return "248 -> 224"
    if row.spec.startswith("timm/resnet"):
        return "235 -> 224"
    if row.spec.startswith("timm/convnext"):
        return "squash to 384 x 384"
    if row.group == "SSL":
        return "256 -> 224"
    return ""


_TRANSFORMS = {row.spec: _transform(row) for row in STUDY}

_Constants = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation."""


def with_preprocessing(encoder: Encoder, mode: str) -> Encoder:
    """The encoder with another preprocessing of the same input size.

    Args:
        encoder: as loaded, with its native preprocessing.
        mode: one of ``benchmark.options.PREPROCESS``.

    Returns:
        The encoder itself for ``own``, and for ``study`` where it reads photos of any size, so that there is no resize
        to replace (statistics, plain functions).

    Raises:
        UsageError: an unknown mode, or one that this encoder cannot have: its preprocessing does not show which filter
            and which normalisation to keep.
    """
    if checked_mode(mode) == "own":
        return encoder
    of_study = study_transform(encoder.info.id) if mode == "study" else None
    if of_study is not None:
        return _replaced(encoder, mode, of_study.pixels, (of_study.mean, of_study.std))
    if mode == "study" and not _has_fixed_size(encoder):
        return encoder
    native, constants = _native(encoder, mode)
    resample = _filter(native)
    height, width = native(Image.new("RGB", (320, 240))).shape[:2]
    if mode == "squash":
        steps: tuple[Step, ...] = (ResizeTo(width, height, resample),)
    else:
        steps = (ResizeShort(_short_side(encoder, width, height), resample), CenterCrop(width, height, "round"))
    return _replaced(encoder, mode, Pixels(steps), constants)


def checked_mode(mode: str) -> str:
    """The mode, unchanged.

    Raises:
        UsageError: there is no mode of this name.
    """
    if mode not in PREPROCESS:
        raise unknown_name("preprocess", mode, PREPROCESS)
    return mode


def _replaced(encoder: Encoder, mode: str, pixels: Pixels, constants: _Constants) -> Encoder:
    from benchmark.encoders.network import Normalisation

    mean, std = constants
    same_constants = _constants(encoder) == constants
    if encoder.preprocess == pixels and same_constants:
        return encoder  # equal to its native preprocessing: the same bank
    native = {name: value for name, value in encoder.info.preprocessing.items() if name not in ("preprocess", "own")}
    record = describe(pixels, mean, std, "pil", preprocess=mode, own=native)
    changed = replace(
        encoder,
        info=replace(encoder.info, preprocessing=record),
        preprocess=pixels,
        in_float32=_with_mode(encoder.in_float32, mode),
        in_torch=_with_mode(encoder.in_torch, mode),
    )
    if same_constants:
        return changed
    embed: Any = encoder.embed
    if not hasattr(embed, "normalise"):
        raise UsageError(
            f"{encoder.info.id}: mean and standard deviation are fixed in its forward pass, and --preprocess {mode} "
            "needs others: load it by its name, or with --runtime torch"
        )
    return replace(changed, embed=replace(embed, normalise=Normalisation(mean, std)))


def _with_mode(load: Callable[[], Encoder] | None, mode: str) -> Callable[[], Encoder] | None:
    """``load`` followed by the mode; picklable."""
    return None if load is None else partial(_loaded, load, mode)


def _loaded(load: Callable[[], Encoder], mode: str) -> Encoder:
    return with_preprocessing(load(), mode)


def _native(encoder: Encoder, mode: str) -> tuple[Pixels, _Constants]:
    """Steps and constants of the encoder's preprocessing, verified to equal it."""
    if not _has_fixed_size(encoder):
        raise UsageError(
            f"{encoder.info.id} reads the photo by itself, so --preprocess {mode} has nothing to replace: use own"
        )
    constants = _constants(encoder)
    if isinstance(encoder.preprocess, Pixels) and constants is not None:
        return encoder.preprocess, constants
    native = _verified(encoder)
    if native is None:
        raise UsageError(
            f"{encoder.info.id}: how its own preprocessing resizes and normalises is not known, so --preprocess "
            f"{mode} cannot keep its filter and constants: use own, or give a torchvision Compose of Resize, "
            "CenterCrop, ToTensor and Normalize"
        )
    return native


def _verified(encoder: Encoder) -> tuple[Pixels, _Constants] | None:
    """Steps and constants of a library's callable that returns floats, if they equal it; else None."""
    from benchmark.encoders.preprocess.verified import (
        Candidate,
        candidates_of_processor,
        candidates_of_transform,
        verified,
    )

    library: Callable[[Image.Image], np.ndarray] = encoder.preprocess
    inner = next((getattr(library, n) for n in ("transform", "function", "processor") if hasattr(library, n)), None)
    candidates: Iterable[Candidate] = candidates_of_transform(inner)
    if hasattr(inner, "rescale_factor"):
        candidates = candidates_of_processor(inner)
    processing = verified(encoder.info.id, library, candidates, "pil")
    if isinstance(processing.preprocess, Pixels) and processing.normalise is not None:
        return processing.preprocess, (processing.normalise.mean, processing.normalise.std)
    return None


def _has_fixed_size(encoder: Encoder) -> bool:
    """True if its input is pixels of one size, not photos of any size or vectors."""
    return np.ndim(encoder.preprocess(Image.new("RGB", (320, 240), (128, 128, 128)))) == 3


def _constants(encoder: Encoder) -> _Constants | None:
    """Mean and standard deviation that its forward pass applies to 8-bit pixels; None where unknown."""
    embed: Any = encoder.embed
    if hasattr(embed, "normalise"):
        normalise = embed.normalise
        return None if normalise is None else (normalise.mean, normalise.std)
    recorded = [encoder.info.preprocessing.get(name) for name in ("mean", "std")]
    if not all(isinstance(part, list | tuple) and len(part) == 3 for part in recorded):
        return None
    mean, std = (tuple(float(value) for value in part) for part in recorded if part is not None)
    return mean, std


def _filter(pixels: Pixels) -> int:
    resamples = [step.resample for step in pixels.steps if isinstance(step, ResizeShort | ResizeTo)]
    return resamples[-1] if resamples else int(Image.Resampling.BICUBIC)


def _short_side(encoder: Encoder, width: int, height: int) -> int:
    if width != height:
        raise UsageError(
            f"{encoder.info.id}: its input is {width} x {height}, no square, so a short side of it is not defined: "
            "use --preprocess squash or own"
        )
    return width
