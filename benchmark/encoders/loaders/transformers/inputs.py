"""Inputs of transformers models: the image processor's output as an array of fixed shape, and the model's arguments.

Most processors give a picture of one size. Others preserve the photo's aspect ratio, with as many patches as a budget
allows (NaFlex SigLIP2, Qwen-VL), or with one picture (Pixtral, Idefics2). These are padded to the budget and stored
with their true size, so that all views have one shape and the model gets the arguments that the library would give it.
Processors that cut a photo into tiles are configured to make one tile of the whole photo.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers.embeddings import Arguments, plain, tile
from benchmark.encoders.network import probe_image
from benchmark.encoders.preprocess.stated import alone, stated
from benchmark.encoders.preprocess.verified import PROBE_SIZES, Preprocessing, candidates_of_processor, verified
from builders.errors import EncoderError, UsageError
from builders.untrusted import describe_error

PATCHES = 1024
"""Default budget of patches; a smaller budget of the checkpoint takes precedence."""

ONE_PICTURE = {
    "do_image_splitting": False,
    "crop_to_patches": False,
    "do_pan_and_scan": False,
    "keep_aspect_ratio": False,
}
"""Settings of processors with which the whole photo becomes one picture of one size."""

DIGITS = 128
"""Base of sizes in views: two digits below it, which every float type represents exactly."""


@dataclass(frozen=True)
class Inputs:
    """How views are made and passed to a model."""

    preprocessing: Preprocessing
    arguments: Arguments
    """A batch of views -> arguments of the model."""


def image_inputs(checkpoint: Checkpoint, config: Any, patches: int | None, trust_remote_code: bool) -> Inputs:
    """The preprocessing of a checkpoint.

    Args:
        checkpoint: a folder that holds ``preprocessor_config.json`` or ``processor_config.json``.
        config: of the model.
        patches: budget of patches; None for the checkpoint's, at most ``PATCHES``.
        trust_remote_code: run the code of a processor that is in the folder.

    Raises:
        UsageError: ``patches`` for a processor that makes pictures of one size.
        EncoderError: there is no processor, or its pictures differ in size.
    """
    options = stated(checkpoint.options)
    if options and (options.size is None or _has_processor(checkpoint)):
        raise UsageError(f"{checkpoint.name}: {_NOT_STATED if options.size else 'state its size too, as ?size=224'}")
    if options:
        return Inputs(alone(options), plain)
    processor = _processor(checkpoint, trust_remote_code)
    changed = _set_one_picture(processor)
    backend = str(getattr(processor, "backend", "unknown"))
    record: dict[str, Any] = {"processor": type(processor).__name__, **({"told": changed} if changed else {})}
    sample = _processed(checkpoint.name, processor, probe_image())
    kind = next((kind for kind in _KINDS if kind.fits(processor, sample)), None)
    if kind is None:
        if patches is not None:
            raise UsageError(f"{checkpoint.name}: its pictures are of one size, so ?patches= has no place")
        library = FirstPicture(processor)
        processing = verified(checkpoint.name, library, candidates_of_processor(processor), backend, **record)
        return Inputs(processing, tile if np.ndim(pixels_of(sample)) == 5 else plain)
    patch = _patch_side(processor, config)
    budget = patches or min(PATCHES, kind.default_budget(processor, patch) or PATCHES)
    kind.set_budget(processor, budget, patch)
    packed = kind.packing(processor, budget, patch)
    for width, height in PROBE_SIZES:
        _processed(checkpoint.name, packed, probe_image(width, height))
    side = math.isqrt(budget) * patch
    size = {"size": [side, side], "patches": budget, "patch": patch, "aspect_ratio": "kept", "backend": backend}
    return Inputs(Preprocessing(packed, None, {**size, "transport": "float32", **record}), packed.arguments)


_STATE_IT = "?size=224&mean=0.5&std=0.5&interpolation=bicubic"
_NOT_STATED = "its preprocessor_config.json has its preprocessing: leave size, mean, std and interpolation out"


def _has_processor(checkpoint: Checkpoint) -> bool:
    names = ("preprocessor_config.json", "processor_config.json")
    return any((checkpoint.folder / name).is_file() for name in names)


def _processor(checkpoint: Checkpoint, trust_remote_code: bool) -> Any:
    """The checkpoint's image processor, with the PIL backend if its class has one."""
    import transformers

    if not _has_processor(checkpoint):
        what = f"{checkpoint.name} has no preprocessor_config.json, so its preprocessing is unknown"
        raise EncoderError(f"{what}: copy that file from the model that was fine-tuned, or state it: {_STATE_IT}")
    options = {"trust_remote_code": trust_remote_code}
    try:
        return transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, backend="pil", **options)
    except (ValueError, ImportError, AttributeError, KeyError):  # no PIL class of it
        return transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, **options)


def _set_one_picture(processor: Any) -> dict[str, Any]:
    """Apply ``ONE_PICTURE``; returns the settings that changed."""
    changed = {name: value for name, value in ONE_PICTURE.items() if getattr(processor, name, None)}
    for name, value in changed.items():
        setattr(processor, name, value)
    return changed


def _processed(name: str, function: Callable[..., Any], picture: Image.Image) -> Any:
    try:
        return (
            function(picture) if not hasattr(function, "preprocess") else function(images=picture, return_tensors="np")
        )
    except Exception as error:  # any processor, any error
        raise EncoderError(f"{name}: its preprocessing fails ({describe_error(error)})") from error


def pixels_of(output: Any) -> Any:
    """Pixels in the output of a processor; one class of the library returns the array itself."""
    return output["pixel_values"] if hasattr(output, "keys") else output


def _patch_side(processor: Any, config: Any) -> int:
    vision = getattr(config, "vision_config", config)
    side = getattr(processor, "patch_size", None) or getattr(vision, "patch_size", None) or 16
    side = side if isinstance(side, int) else side["height"] if "height" in side else side[0]
    return int(side)


@dataclass(frozen=True)
class FirstPicture:
    """A transformers image processor as a library preprocessing. Of several pictures the first shows the whole
    photo."""

    processor: Any

    def __call__(self, image: Image.Image) -> np.ndarray:
        pixels = np.asarray(pixels_of(self.processor(images=image, return_tensors="np")), dtype=np.float32)
        while pixels.ndim > 3:
            pixels = pixels[0]
        return pixels


@dataclass(frozen=True)
class Patches:
    """Patches of a photo, [budget + 1, values]; the last row holds the numbers of rows and columns of patches."""

    processor: Any
    budget: int
    patch: int

    def __call__(self, image: Image.Image) -> np.ndarray:
        output = self.processor(images=image, return_tensors="np")
        rows = np.asarray(output["pixel_values"], dtype=np.float32)
        rows = rows[0] if rows.ndim == 3 else rows.reshape(len(rows), -1)
        array = np.zeros((self.budget + 1, rows.shape[1]), np.float32)
        if len(rows) > self.budget:
            raise EncoderError(f"{len(rows)} patches, where {self.budget} were requested")
        array[: len(rows)] = rows
        grid = output["spatial_shapes"] if "spatial_shapes" in output else output["image_grid_thw"]
        array[-1, :4] = _digits(np.asarray(grid)[0][-2:])
        return array

    def arguments(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        raise NotImplementedError


@dataclass(frozen=True)
class PaddedPatches(Patches):
    """NaFlex: patches padded to the budget, with a mask."""

    def arguments(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        shapes = _numbers(views[:, -1, :4])
        positions = torch.arange(self.budget, device=views.device)
        mask = (positions[None] < shapes.prod(1, keepdim=True)).to(torch.int32)
        return {"pixel_values": views[:, :-1], "pixel_attention_mask": mask, "spatial_shapes": shapes}


@dataclass(frozen=True)
class JoinedPatches(Patches):
    """Qwen-VL: the patches of all photos in one sequence, with their grids."""

    form: tuple[int, ...] = ()
    """Shape of one patch, where the model does not take flat patches (PaddleOCR-VL)."""

    def arguments(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        shapes = _numbers(views[:, -1, :4])
        grids = torch.cat([torch.ones_like(shapes[:, :1]), shapes], 1)
        patches = torch.cat([view[:n] for view, n in zip(views, shapes.prod(1).tolist(), strict=True)])
        return {"pixel_values": patches.unflatten(1, self.form) if self.form else patches, "image_grid_thw": grids}


@dataclass(frozen=True)
class Canvas:
    """A picture with the photo's aspect ratio on a square, [3, side + 1, side]; the last row holds its true size."""

    processor: Any
    side: int
    masked: bool
    """True if the model takes a mask of pixels, False if it takes sizes."""

    def __call__(self, image: Image.Image) -> np.ndarray:
        pixels = FirstPicture(self.processor)(image)
        _, height, width = pixels.shape
        if max(height, width) > self.side:
            raise EncoderError(f"a picture of {width} x {height}, where {self.side} is the longest side requested")
        array = np.zeros((3, self.side + 1, self.side), np.float32)
        array[:, :height, :width] = pixels
        array[0, -1, :4] = _digits(np.array([height, width]))
        return array

    def arguments(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        sizes, pixels = _numbers(views[:, 0, -1, :4]), views[:, :, :-1].contiguous()
        if not self.masked:
            return {"pixel_values": pixels, "image_sizes": sizes}
        along = torch.arange(self.side, device=views.device)
        down, across = (along[None] < sizes[:, [0]])[:, :, None], (along[None] < sizes[:, [1]])[:, None]
        return {"pixel_values": pixels[:, None], "pixel_attention_mask": (down & across)[:, None]}


def _digits(numbers: np.ndarray) -> np.ndarray:
    """Integers as pairs of digits to the base ``DIGITS``.

    >>> _digits(np.array([3, 300])).tolist()
    [0, 3, 2, 44]
    """
    return np.stack([numbers // DIGITS, numbers % DIGITS], 1).reshape(-1)


def _numbers(digits: torch.Tensor) -> torch.Tensor:
    """Inverse of ``_digits``: [n, 4] -> int64 [n, 2]."""
    pairs = digits.round().long().reshape(len(digits), 2, 2)
    return pairs[..., 0] * DIGITS + pairs[..., 1]


class _NaFlex:
    """Padded patches with ``spatial_shapes``."""

    @staticmethod
    def fits(processor: Any, sample: Any) -> bool:
        return "spatial_shapes" in sample

    @staticmethod
    def default_budget(processor: Any, patch: int) -> int:
        return int(processor.max_num_patches)

    @staticmethod
    def set_budget(processor: Any, budget: int, patch: int) -> None:
        processor.max_num_patches = budget

    @staticmethod
    def packing(processor: Any, budget: int, patch: int) -> PaddedPatches:
        return PaddedPatches(processor, budget, patch)


class _Grid:
    """Joined patches with ``image_grid_thw``."""

    @staticmethod
    def fits(processor: Any, sample: Any) -> bool:
        return "image_grid_thw" in sample

    @staticmethod
    def default_budget(processor: Any, patch: int) -> int:
        return int(processor.size["longest_edge"]) // patch**2

    @staticmethod
    def set_budget(processor: Any, budget: int, patch: int) -> None:
        most = budget * patch**2
        processor.size = {"shortest_edge": min(int(processor.size["shortest_edge"]), most), "longest_edge": most}

    @staticmethod
    def packing(processor: Any, budget: int, patch: int) -> JoinedPatches:
        sample = np.asarray(processor(images=probe_image(), return_tensors="np")["pixel_values"])
        return JoinedPatches(processor, budget, patch, sample.shape[1:] if sample.ndim == 4 else ())


class _Canvas:
    """Pictures of several sizes with a mask or ``image_sizes``."""

    @staticmethod
    def fits(processor: Any, sample: Any) -> bool:
        if "pixel_attention_mask" not in sample and "image_sizes" not in sample:
            return False
        shapes = {FirstPicture(processor)(probe_image(*size)).shape for size in PROBE_SIZES}
        return len(shapes) > 1

    @staticmethod
    def default_budget(processor: Any, patch: int) -> int:
        return (int(processor.size["longest_edge"]) // patch) ** 2

    @staticmethod
    def set_budget(processor: Any, budget: int, patch: int) -> None:
        side = math.isqrt(budget) * patch
        shortest = processor.size.get("shortest_edge")
        processor.size = {**({"shortest_edge": min(shortest, side)} if shortest else {}), "longest_edge": side}

    @staticmethod
    def packing(processor: Any, budget: int, patch: int) -> Canvas:
        sample = processor(images=probe_image(), return_tensors="np")
        return Canvas(processor, math.isqrt(budget) * patch, "pixel_attention_mask" in sample)


_KINDS = (_NaFlex, _Grid, _Canvas)
