"""Inputs of models whose pictures have one size: the image processor's output as it is, or of photos made square."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.encoders.loaders.transformers.embeddings import Arguments, OneSize, plain, tile
from benchmark.encoders.loaders.transformers.positions import PIXELS
from benchmark.encoders.loaders.transformers.refusals import NEAREST
from benchmark.encoders.network import probe_image
from benchmark.encoders.preprocess.verified import PROBE_SIZES, Preprocessing, candidates_of_processor, verified
from builders.errors import CamtraceError, EncoderError, UsageError
from builders.untrusted import describe_error

WHOLE_FIRST = "image_grid_pinpoints"
"""Setting of processors that cut a photo into tiles and put a picture of the whole photo before them (LLaVA-NeXT)."""


@dataclass(frozen=True)
class Inputs:
    """How views are made and passed to a model."""

    preprocessing: Preprocessing
    arguments: Arguments
    """A batch of views -> arguments of the model."""


def of_one_size(name: str, processor: Any, sample: Any, backend: str, record: Mapping[str, Any]) -> Inputs:
    """Inputs of a processor that makes pictures of one size.

    Args:
        name: of the encoder.
        processor: of transformers.
        sample: its output of a picture.
        backend: of the processor.
        record: of the preprocessing.

    Raises:
        EncoderError: sizes differ, or the processor cuts a photo into several pictures.
    """
    pixels, names = np.asarray(pixels_of(sample)), list(sample) if hasattr(sample, "keys") else []
    channels = (1, 3) if pixels.ndim in (4, 5) else (3,)  # [1, patches, d] is no picture (Gemma 4)
    is_picture = pixels.ndim in (3, 4, 5) and pixels.shape[-3] in channels and pixels_name(sample) == "pixel_values"
    if not is_picture or any("grid" in name and "grids" not in name for name in names):  # patches, joined
        return _packed(name, processor, backend, record)
    count = int(np.prod(pixels.shape[:-3]))
    if count > 1 and not hasattr(processor, WHOLE_FIRST):
        raise EncoderError(f"{name}: its image processor cuts a photo into {count} pictures; {way_out(processor)}")
    arguments, others = tile if pixels.ndim == 5 else plain, _named(name, processor, sample)
    try:
        processing = verified(name, FirstPicture(processor), candidates_of_processor(processor), backend, **record)
    except EncoderError as error:
        if "of one size" not in str(error):
            raise
        raise EncoderError(f"{error}; {way_out(processor)}") from None
    return Inputs(processing, WithConstants(arguments, others) if others and count == 1 else arguments)


def _named(name: str, processor: Any, sample: Any) -> dict[str, torch.Tensor]:
    try:
        return _constants(processor, sample, PROBE_SIZES[:2])
    except EncoderError as error:
        raise EncoderError(f"{name}: in its preprocessing {error}") from None


def _packed(name: str, processor: Any, backend: str, record: Mapping[str, Any]) -> Inputs:
    """Inputs whose pictures are packed in another way; every picture must have the same shape."""
    sample = processed(name, processor, probe_image())
    pixels = np.asarray(pixels_of(sample), np.float32)
    library = AsPacked(processor)
    shapes = {processed(name, library, probe_image(*size)).shape for size in PROBE_SIZES}
    if len(shapes) > 1:
        listed = ", ".join(str(shape) for shape in sorted(shapes))
        sizes = f"its preprocessing does not give images of one size ({listed})"
        raise EncoderError(f"{name}: {sizes}; {way_out(processor)}")
    others = _named(name, processor, sample)
    size = {"size": list(pixels.shape[1:]), "backend": backend, "transport": "float32", **record}
    arguments = Packed(pixels_name(sample), len(pixels) == 1, others)
    return Inputs(Preprocessing(library, None, size), arguments)


def way_out(processor: Any) -> str:
    """What to do about a processor whose pictures differ in size."""
    size = getattr(processor, "size", None)
    sides = [value for value in dict(size).values() if value] if size is not None else []
    side = min((int(side) for side in sides if 32 <= int(side) <= 2048), default=448)
    return f"?size={side} behind its name makes every photo a square of {side} pixels"


def squares(name: str, processor: Any, side: int, backend: str, record: Mapping[str, Any]) -> Inputs:
    """Inputs with every photo as a square, by the processor's own resize if it takes such a size, else before it.

    Args:
        name: of the encoder.
        processor: of transformers; changed in place.
        side: of the square in pixels.
        backend: of the processor.
        record: of the preprocessing.

    Raises:
        UsageError: the processor does not take pictures of this size.
    """
    record = {**record, "squared": side}
    resized = copy.deepcopy(processor)
    square = {"height": side, "width": side}
    for setting in ("do_pad", "do_center_crop"):
        if getattr(resized, setting, None):
            setattr(resized, setting, False)
    try:
        resized.size = square
        sample = resized(images=probe_image(), return_tensors="np")
        if np.shape(pixels_of(sample))[-2:] == (side, side) and pixels_name(sample) == "pixel_values":
            return of_one_size(name, resized, sample, backend, record)
    except Exception:  # a processor whose size has another form: it gets squares
        pass
    resample = getattr(processor, "resample", None)  # 0 is a filter: nearest
    before = SquareFirst(processor, side, int(Image.Resampling.BICUBIC if resample is None else resample))
    try:
        return of_one_size(
            name, before, before(images=probe_image(), return_tensors="np"), f"pil, then {backend}", record
        )
    except Exception as error:
        raise UsageError(f"{name}: its image processor takes no squares of {side} ({describe_error(error)})") from None


@dataclass(frozen=True)
class SquareFirst:
    """An image processor that gets each photo as a square."""

    processor: Any
    side: int
    resample: int

    def __call__(self, images: Image.Image, return_tensors: str) -> Any:
        square = images.resize((self.side, self.side), Image.Resampling(self.resample))
        return self.processor(images=square, return_tensors=return_tensors)

    def preprocess(self) -> None:
        """Present in image processors."""

    @property
    def do_resize(self) -> bool:
        """False: its resize is none that the exact engine knows."""
        return False


OF_THE_PHOTO = ("original", "size", "width", "height", "scale", "num_", "ratios", "grids", "rows", "cols", "shapes")
"""Words in names of outputs of processors that describe the photo before its preprocessing; no tower reads them."""


def _constants(processor: Any, sample: Any, sizes: Sequence[tuple[int, int]]) -> dict[str, torch.Tensor]:
    """Further outputs of a processor, the same for every photo of the batch: [1, ...] or joined."""
    names = [name for name in sample if name != pixels_name(sample)] if hasattr(sample, "keys") else []
    values = {name: np.asarray(sample[name]) for name in names if np.asarray(sample[name]).dtype != object}
    for size in sizes:
        other = processor(images=probe_image(*size), return_tensors="np")
        for name in [name for name, value in values.items() if not np.array_equal(value, np.asarray(other[name]))]:
            if name.startswith("pixel") and "mask" not in name:
                raise EncoderError(f"{name} is a second picture of a photo; the nearest encoder is {NEAREST}")
            if not any(word in name for word in OF_THE_PHOTO):
                raise EncoderError(f"{name} differs between photos; {way_out(processor)}")
            del values[name]
    return {name: torch.from_numpy(np.array(value)) for name, value in values.items() if value.dtype.kind in "iufb"}


@dataclass(frozen=True)
class WithConstants:
    """Arguments of a model that takes more than the picture; the rest is the same for all pictures of one size."""

    pictures: Arguments
    others: Mapping[str, torch.Tensor]

    def __call__(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        return OneSize({**self.pictures(views), **_repeated(self.others, views)})


@dataclass(frozen=True)
class Interpolated:
    """Arguments of a model that interpolates its embeddings of positions to the size of the pictures, if it can."""

    pictures: Arguments

    def __call__(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        flag: Any = True
        return OneSize(self.pictures(views), interpolate_pos_encoding=flag)


@dataclass(frozen=True)
class Packed:
    """Arguments of a model whose processor gives something else than pictures, of one shape."""

    name: str
    batched: bool
    """True if the first axis counts photos, False if pictures are joined there."""
    others: Mapping[str, torch.Tensor]

    def __call__(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        return OneSize({self.name: views if self.batched else views.flatten(0, 1), **_repeated(self.others, views)})


def _repeated(others: Mapping[str, torch.Tensor], views: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        name: torch.cat([value.to(views.device)] * len(views)) if value.ndim else value.to(views.device)
        for name, value in others.items()
    }


def processed(name: str, function: Callable[..., Any], picture: Image.Image) -> Any:
    try:
        return (
            function(picture) if not hasattr(function, "preprocess") else function(images=picture, return_tensors="np")
        )
    except CamtraceError:
        raise
    except Exception as error:  # any processor, any error
        if isinstance(error, TypeError) and "missing" in str(error):
            what = f"its image processor needs more than a photo ({describe_error(error)})"
            raise UsageError(f"{name}: {what}; the nearest encoder is {NEAREST}") from None
        raise EncoderError(f"{name}: its preprocessing fails ({describe_error(error)})") from error


def pixels_of(output: Any) -> Any:
    """Pixels in the output of a processor; one class of the library returns the array itself."""
    return output[pixels_name(output)] if hasattr(output, "keys") else output


def pixels_name(output: Any) -> str:
    """Name of the pixels in the output of a processor.

    Raises:
        EncoderError: it has none.
    """
    if not hasattr(output, "keys"):
        return "pixel_values"
    name = next((name for name in PIXELS if name in output), None)
    if name is None:
        raise EncoderError(f"its image processor gives {', '.join(output)}, and no pixels by a known name")
    return name


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
class AsPacked:
    """What a transformers image processor gives of one photo, in its own shape; without an axis of one photo."""

    processor: Any

    def __call__(self, image: Image.Image) -> np.ndarray:
        pixels = np.asarray(pixels_of(self.processor(images=image, return_tensors="np")), dtype=np.float32)
        return pixels[0] if len(pixels) == 1 else pixels
