"""Code that users wrote: their functions and preprocessing with checked results, their errors as one sentence."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.compute import blamed, foreign_code
from benchmark.encoders.encoder import COMPLEX
from builders.errors import CamtraceError, EncoderError
from builders.untrusted import describe_error

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class AsVector:
    """A user's function with checks of its result."""

    spec: str
    function: Callable[[Any], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
        with blamed(self.spec):
            vector = np.asarray(_to_numpy(self.function(image)))
        if vector.dtype.kind == "c":
            raise EncoderError(f"{self.spec}: {COMPLEX}")
        if vector.dtype.kind not in "fiub":
            raise EncoderError(f"{self.spec}: expected a vector of numbers, got {vector.dtype}")
        vector = vector.astype(np.float32)
        if vector.ndim != 1 or not len(vector):
            raise EncoderError(f"{self.spec}: expected a vector, got an array of shape {vector.shape}")
        if not np.isfinite(vector).all():
            raise EncoderError(f"{self.spec}: the vector of a photo is not finite")
        return vector


@dataclass(frozen=True)
class AsArray:
    """A user's preprocessing with an array as its result: uint8, or float32 for all other types."""

    function: Callable[[Any], Any]
    spec: str

    def __call__(self, image: Image.Image) -> np.ndarray:
        with blamed(self.spec):
            array = np.asarray(_to_numpy(self.function(image)))
        if array.dtype.kind not in "fiub":
            raise EncoderError(f"preprocess gives {array.dtype}, not an array or a tensor of numbers for one picture")
        return array if array.dtype == np.uint8 else array.astype(np.float32, copy=False)


@contextlib.contextmanager
def user_errors(spec: str) -> Iterator[None]:
    """Within it, any error of the user's code becomes an ``EncoderError`` of one sentence."""
    try:
        with foreign_code():
            yield
    except CamtraceError:
        raise
    except Exception as error:
        raise EncoderError(f"{spec} failed ({describe_error(error)})") from error


def required_arguments(function: Any) -> int:
    """Number of arguments without a default; 1 where Python cannot tell.

    >>> required_arguments(lambda image, size=224: None)
    1
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.default is p.empty and p.kind in (*positional, p.KEYWORD_ONLY) for p in parameters)


def _to_numpy(value: Any) -> Any:
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()  # numpy has no bfloat16
