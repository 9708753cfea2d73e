"""Inputs of transformers models: the image processor's output as an array of fixed shape, and the model's arguments.

Most processors give a picture of one size. Others preserve the photo's aspect ratio, with as many patches as a budget
allows (NaFlex SigLIP2, Qwen-VL), or with one picture (Pixtral, Idefics2). These are padded to the budget and stored
with their true size, so that all views have one shape and the model gets the arguments that the library would give it.
Processors that cut a photo into tiles are configured to make one tile of the whole photo.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers.embeddings import plain
from benchmark.encoders.loaders.transformers.one_size import (
    FirstPicture,
    Inputs,
    Interpolated,
    of_one_size,
    pixels_of,
    processed,
    squares,
    way_out,
)
from benchmark.encoders.network import probe_image
from benchmark.encoders.preprocess.pixels import Pixels
from benchmark.encoders.preprocess.stated import Stated, alone, restated, stated
from benchmark.encoders.preprocess.verified import PROBE_SIZES, Preprocessing
from builders.errors import EncoderError, UsageError
from builders.untrusted import describe_error

PATCHES = 1024
"""Default budget of patches; a smaller budget of the checkpoint takes precedence."""

ONE_PICTURE = {
    "do_image_splitting": False,
    "do_split_image": False,
    "crop_to_patches": False,
    "do_pan_and_scan": False,
    "keep_aspect_ratio": False,
    "split_image": False,
    "slice_mode": False,
    "vision_input_type": "vanilla",
}
"""Settings of processors with which the whole photo becomes one picture of one size."""

LARGEST_PROBE = 2048
"""Largest side in pixels of a square that is tried."""

DIGITS = 128
"""Base of sizes in views: two digits below it, which every float type represents exactly."""


def image_inputs(checkpoint: Checkpoint, config: Any, patches: int | None, trust_remote_code: bool) -> Inputs:
    """The preprocessing of a checkpoint.

    Args:
        checkpoint: a folder that holds ``preprocessor_config.json`` or ``processor_config.json``.
        config: of the model.
        patches: budget of patches; None for the checkpoint's, at most ``PATCHES``.
        trust_remote_code: run the code of a processor that is in the folder.

    Raises:
        UsageError: ``patches`` for a processor that makes pictures of one size, or a ``size`` that it does not take.
        EncoderError: there is no processor, or its pictures differ in size.
    """
    options = stated(checkpoint.options)
    more = replace(options, size=None)
    if options and not _has_processor(checkpoint):
        if options.size is None:
            raise UsageError(f"{checkpoint.name}: state its size too, as ?size=224")
        return Inputs(alone(options), Interpolated(plain))
    if more and not checkpoint.of_base:
        raise UsageError(f"{checkpoint.name}: {_NOT_STATED}")
    inputs = _of_processor(checkpoint, options, config, patches, trust_remote_code)
    if not more:
        return inputs
    processing = restated(checkpoint.name, inputs.preprocessing, options)
    if not isinstance(inputs.preprocessing.preprocess, Pixels):  # code, of which nothing is left
        return Inputs(processing, Interpolated(plain))
    return replace(inputs, preprocessing=processing)


def _of_processor(
    checkpoint: Checkpoint, options: Stated, config: Any, patches: int | None, trust_remote_code: bool
) -> Inputs:
    """The preprocessing of a checkpoint's image processor; of ``options`` only the size counts."""
    side = options.size[0] if options.size else None
    if options.size and options.size[0] != options.size[1]:
        raise UsageError(f"{checkpoint.name}: with its own image processor photos become squares: ?size={side}")
    processor = _processor(checkpoint, trust_remote_code)
    changed = _set_one_picture(processor)
    backend = str(getattr(processor, "backend", "unknown"))
    record: dict[str, Any] = {"processor": type(processor).__name__, **({"told": changed} if changed else {})}
    if side is not None:
        if patches is not None:
            raise UsageError(f"{checkpoint.name}: ?size= and ?patches= exclude each other")
        inputs = squares(checkpoint.name, processor, side, backend, record)
        return replace(inputs, arguments=Interpolated(inputs.arguments))
    sample = processed(checkpoint.name, processor, probe_image())
    kind = next((kind for kind in _KINDS if kind.fits(processor, sample)), None)
    if kind is None:
        if patches is not None:
            raise UsageError(f"{checkpoint.name}: its pictures are of one size, so ?patches= has no place")
        return of_one_size(checkpoint.name, processor, sample, backend, record)
    patch = _patch_side(processor, config)
    budget = patches or min(PATCHES, kind.default_budget(processor, patch) or PATCHES)
    kind.set_budget(processor, budget, patch)
    packed = kind.packing(processor, budget, patch)
    try:
        for width, height in _probes(budget, patch):
            packed(probe_image(width, height))
    except Exception as error:
        what = f"its preprocessing fails ({describe_error(error)})"
        raise EncoderError(f"{checkpoint.name}: {what}; {way_out(processor)}") from error
    length = math.isqrt(budget) * patch
    size = {"size": [length, length], "patches": budget, "patch": patch, "aspect_ratio": "kept", "backend": backend}
    return Inputs(Preprocessing(packed, None, {**size, "transport": "float32", **record}), packed.arguments)


_STATE_IT = "?size=224&mean=0.5&std=0.5&interpolation=bicubic"
_NOT_STATED = "its preprocessor_config.json has its preprocessing: leave resize, mean, std and interpolation out"


def _has_processor(checkpoint: Checkpoint) -> bool:
    names = ("preprocessor_config.json", "processor_config.json")
    return any((checkpoint.folder / name).is_file() for name in names)


def _processor(checkpoint: Checkpoint, trust_remote_code: bool) -> Any:
    """The checkpoint's image processor, with the PIL backend if its class has one."""
    import transformers

    if not _has_processor(checkpoint):
        what = f"{checkpoint.name} has no preprocessor_config.json, so its preprocessing is unknown"
        raise EncoderError(f"{what}: copy that file from the model that was fine-tuned, or state it: {_STATE_IT}")
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    try:
        return transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, backend="pil", **options)
    except (ValueError, ImportError, AttributeError, KeyError):  # no PIL class of it
        return transformers.AutoImageProcessor.from_pretrained(checkpoint.folder, **options)


def _set_one_picture(processor: Any) -> dict[str, Any]:
    """Apply ``ONE_PICTURE``; returns the settings that changed."""
    changed = {
        name: value for name, value in ONE_PICTURE.items() if getattr(processor, name, None) not in (None, value)
    }
    for name, value in changed.items():
        setattr(processor, name, value)
    return changed


def _patch_side(processor: Any, config: Any) -> int:
    vision = getattr(config, "vision_config", config)
    side = getattr(processor, "patch_size", None) or getattr(vision, "patch_size", None) or 16
    side = side if isinstance(side, int) else side["height"] if "height" in side else side[0]
    return int(side)


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
    others: tuple[tuple[str, torch.Tensor], ...] = ()
    """Further arguments, the same for every photo: [1] each."""

    def arguments(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        shapes = _numbers(views[:, -1, :4])
        grids = torch.cat([torch.ones_like(shapes[:, :1]), shapes], 1)
        patches = torch.cat([view[:n] for view, n in zip(views, shapes.prod(1).tolist(), strict=True)])
        others = {name: value.to(views.device).repeat(len(views)) for name, value in self.others}
        pixels = patches.unflatten(1, self.form) if self.form else patches
        return {"pixel_values": pixels, "image_grid_thw": grids, **others}


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


JOINED_TOO = ("image_merge_sizes",)
"""Outputs of processors of joined patches that are the same for every photo (VideoLLaMA 3)."""


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
        size = _size_of(processor)
        return "image_grid_thw" in sample and bool(size.get("longest_edge") and size.get("shortest_edge"))

    @staticmethod
    def default_budget(processor: Any, patch: int) -> int:
        counted = int(processor.size["longest_edge"]) // _pixels_of_patch(processor, patch)
        return max(counted, _most_patches(processor, PATCHES, patch))

    @staticmethod
    def set_budget(processor: Any, budget: int, patch: int) -> None:
        if budget == _Grid.default_budget(processor, patch):
            return
        most = budget * _pixels_of_patch(processor, patch)
        least = min(int(processor.size["shortest_edge"]), most)
        processor.size = {"shortest_edge": least, "longest_edge": most}
        if _most_patches(processor, budget, patch) > budget:  # enlarged to the least, and rounded up
            processor.size = {"shortest_edge": least // 4, "longest_edge": most}
        for _ in range(4):  # a rule for the longer side gives squares more patches (GLM-Image)
            if (count := _most_patches(processor, budget, patch)) > budget:
                most = most * budget // count
                processor.size = {"shortest_edge": min(least // 4, most), "longest_edge": most}

    @staticmethod
    def packing(processor: Any, budget: int, patch: int) -> JoinedPatches:
        output = processor(images=probe_image(), return_tensors="np")
        sample = np.asarray(output["pixel_values"])
        others = tuple((name, torch.from_numpy(np.asarray(output[name]))) for name in JOINED_TOO if name in output)
        return JoinedPatches(processor, budget, patch, sample.shape[1:] if sample.ndim == 4 else (), others)


def _size_of(processor: Any) -> dict[str, Any]:
    size = getattr(processor, "size", None)
    return dict(size) if size is not None and not isinstance(size, int) else {}


def _probes(budget: int, patch: int) -> tuple[tuple[int, int], ...]:
    """Sizes of pictures that a budget must be enough for: also a square and a strip that are cut down to it."""
    side = min(4 * math.isqrt(budget) * patch, LARGEST_PROBE)
    return (*PROBE_SIZES, (side, side), (side, side // 4))


def _most_patches(processor: Any, budget: int, patch: int) -> int:
    grids = (processor(images=probe_image(*s), return_tensors="np")["image_grid_thw"] for s in _probes(budget, patch))
    return max(int(np.prod(np.asarray(grid)[0])) for grid in grids)


def _pixels_of_patch(processor: Any, patch: int) -> int:
    """Pixels that a processor counts for a patch: GLM counts those of the frames that a patch joins.

    Measured on a picture of 80 x 60 patches, since the rule stands in the code of each class.
    """
    trial = copy.copy(processor)
    trial.size = {"shortest_edge": patch**2, "longest_edge": PATCHES * patch**2}
    output = trial(images=probe_image(80 * patch, 60 * patch), return_tensors="np")
    patches = int(np.prod(np.asarray(output["image_grid_thw"])[0]))
    return patch**2 * max(1, round(PATCHES / patches))


class _Canvas:
    """Pictures of several sizes with a mask or ``image_sizes``."""

    @staticmethod
    def fits(processor: Any, sample: Any) -> bool:
        if "pixel_attention_mask" not in sample and "image_sizes" not in sample:
            return False
        if np.asarray(pixels_of(sample)).shape[-3] != 3 or "longest_edge" not in _size_of(processor):
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
