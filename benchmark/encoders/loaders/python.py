"""``module:function``: any Python object of yours as an encoder, without touching this package.

The name after the colon may be

- an ``Encoder``, or a function without required arguments that returns one (full control);
- a ``torch.nn.Module``, or a function or class without required arguments that gives one: batch [n, 3, height,
  width] -> [n, dimension]. If it has a method or attribute ``preprocess`` (RGB ``PIL.Image`` -> array or tensor of one
  shape: float values as the network takes them, or uint8 pixels [height, width, 3] with ``mean`` and ``std`` beside
  it), that is used, else the standard ImageNet preprocessing (256 px bilinear, 224 px centre crop, ImageNet mean, std);
  a ``Pixels`` of ``encoders/pixels.py`` is made faster, and once for all encoders that have the same;
- a function of one required argument, RGB ``PIL.Image`` -> vector of one length (numpy, torch or a list of numbers).

What a Python object computes cannot be seen from its name, so its bank is not kept between runs, unless it says
with an attribute ``cache_key`` (a text that you change when you change what it computes) that it may be.
Further attributes are read if present: ``pooling``, ``group``, ``training_data``.

An example, ``brightness.py``, for ``--model brightness:encode``::

    import numpy as np

    def encode(image):
        pixels = np.asarray(image, dtype=np.float32)
        return np.r_[pixels.mean((0, 1)), pixels.std((0, 1))]

    encode.cache_key = "mean and deviation, 1"
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.encoders.encoder import COMPLEX, GROUPS, Encoder, EncoderInfo
from benchmark.encoders.preprocess.modes import with_preprocessing
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_PIXELS, IMAGENET_STD, Pixels, describe
from benchmark.encoders.registry import LoadRequest, refuse_placement
from builders.errors import CamtraceError, EncoderError, UsageError
from builders.untrusted import describe_error

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn


def load_callable(request: LoadRequest) -> Encoder:
    """Load ``module:name`` (or ``callable:module:name``).

    Raises:
        UsageError: the module or the name does not exist, or the object is none of the kinds above.
        EncoderError: it fails, or does not do what an encoder does.
    """
    found = _import(request.spec)
    made = found
    if not isinstance(found, Encoder) and callable(found) and not is_module(found) and _required_arguments(found) == 0:
        with user_errors(request.spec):
            made = found()
    if isinstance(made, Encoder):
        refuse_placement(request, made.device, made.dtype, "an Encoder that is ready")
        return made if made.info.id else replace(made, info=replace(made.info, id=request.spec))
    if is_module(made):
        return _of_module(request, made, found)
    if callable(made) and _required_arguments(made) == 1:
        return function_encoder(request, made)
    raise UsageError(
        f"{request.spec} is {type(made).__name__}, not an encoder: "
        "give an Encoder, a torch.nn.Module, or a function from an image to a vector"
    )


def _of_module(request: LoadRequest, module: nn.Module, found: Any) -> Encoder:
    from benchmark.encoders.network import Network, Normalisation, hash_state_dict, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    mean, std = _attribute("mean", module, found), _attribute("std", module, found)
    own = _attribute("preprocess", module, found)
    if own is None:
        preprocess: Callable[[Image.Image], np.ndarray] = IMAGENET_PIXELS
        normalise: Normalisation | None = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
        preprocessing = describe(IMAGENET_PIXELS, IMAGENET_MEAN, IMAGENET_STD, "pil", source="default")
    else:
        preprocess = own if isinstance(own, Pixels) else AsArray(own)  # plain data can be shared, and made faster
        with user_errors(request.spec):
            sample = preprocess(probe())
        if sample.dtype == np.uint8 and (mean is None or std is None):
            raise EncoderError(f"{request.spec}: preprocess gives uint8 pixels, so mean and std are needed beside it")
        normalise = Normalisation(tuple(mean), tuple(std)) if sample.dtype == np.uint8 else None
        preprocessing = {"size": list(sample.shape), "backend": "your own", "transport": str(sample.dtype)}
        if isinstance(own, Pixels):
            preprocessing |= {"steps": own.describe(), "backend": "pil"}
        if normalise is not None:
            preprocessing |= {"mean": list(normalise.mean), "std": list(normalise.std)}
    key = _attribute("cache_key", module, found)
    identity = None if key is None else _keyed(f"{key}\0{hash_state_dict(module.state_dict())}")
    return network_encoder(
        Network(
            name=request.spec,
            library="callable",
            module=module,
            preprocess=preprocess,
            preprocessing=preprocessing,
            normalise=normalise,
            forward=call,
            pooling=str(_attribute("pooling", module, found) or "what the module returns"),
            weights_sha256=identity,
            group=_group(request.spec, _attribute("group", module, found)),
            training_data=str(_attribute("training_data", module, found) or "unknown"),
            details={"class": type(module).__qualname__},
        ),
        place,
    )


def function_encoder(request: LoadRequest, function: Callable[[Any], Any]) -> Encoder:
    """Of a function from an RGB image to a vector.

    Raises:
        UsageError: a device or a precision was asked for, which only the function itself can choose.
        EncoderError: it fails, or gives no vector of one length.
    """
    refuse_placement(request, "cpu", "float32", "a plain function, which computes as it likes")
    encode = _AsVector(request.spec, function)
    with user_errors(request.spec):
        first, second = encode(probe()), encode(probe(200, 300))
    if first.shape != second.shape:
        raise EncoderError(
            f"{request.spec}: vectors of different lengths ({len(first)}, {len(second)}) for photos of different sizes"
        )
    key = getattr(function, "cache_key", None)
    info = EncoderInfo(
        id=request.spec,
        library="callable",
        revision=None,
        weights_sha256=None if key is None else _keyed(str(key)),
        dimension=len(first),
        preprocessing={"size": "the photo's own", "backend": "your own", "transport": "float32"},
        pooling=str(getattr(function, "pooling", "what the function returns")),
        parameters=0,
        group=_group(request.spec, getattr(function, "group", None)),
        training_data=str(getattr(function, "training_data", "unknown")),
    )
    return Encoder(info, encode, _as_float32, "cpu", "float32")


@dataclass(frozen=True)
class _AsVector:
    """A user's function with its result checked."""

    spec: str
    function: Callable[[Any], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
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
    """A user's preprocessing, as an array: uint8 stays, everything else becomes float32."""

    function: Callable[[Any], Any]

    def __call__(self, image: Image.Image) -> np.ndarray:
        array = np.asarray(_to_numpy(self.function(image)))
        if array.dtype.kind not in "fiub":
            raise EncoderError(f"preprocess gives {array.dtype}, not an array or a tensor of numbers for one picture")
        return array if array.dtype == np.uint8 else array.astype(np.float32, copy=False)


def _import(spec: str) -> Any:
    module_name, _, name = spec.removeprefix("callable:").rpartition(":")
    with _working_folder_importable():
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            missing = error.name or module_name
            if module_name == missing or module_name.startswith(f"{missing}."):
                raise UsageError(f"no module named {module_name!r} for --model {spec}: is it in this folder?") from None
            raise EncoderError(f"{spec}: importing {module_name} failed: no module named {missing!r}") from None
        except (Exception, SystemExit) as error:  # the user's module may raise anything while it is imported
            raise EncoderError(f"{spec}: importing {module_name} failed ({describe_error(error)})") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"the module {module_name!r} has no {name!r} for --model {spec}")
        found = getattr(found, part)
    return found


@contextlib.contextmanager
def _working_folder_importable() -> Iterator[None]:
    """The console script does not look for modules in the working folder; ``python -m`` does.

    The folder stands last, behind this package's own: somebody's ``benchmark.py`` or ``cards/`` there must not be
    found instead of ours, here or in a worker process that starts anew with this path.
    """
    own, folder = str(Path(__file__).parents[2]), os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path += [path for path in (own, folder) if path not in sys.path]
    importlib.invalidate_caches()
    yield


@contextlib.contextmanager
def user_errors(spec: str) -> Iterator[None]:
    """Whatever the user's code raises becomes one sentence."""
    try:
        yield
    except CamtraceError:
        raise
    except (Exception, SystemExit) as error:
        raise EncoderError(f"{spec} failed ({describe_error(error)})") from error


def _required_arguments(function: Any) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.default is p.empty and p.kind in (*positional, p.KEYWORD_ONLY) for p in parameters)


def is_module(value: Any) -> bool:
    """Whether it is a ``torch.nn.Module``; a user's code that has one has imported torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _attribute(name: str, *holders: Any) -> Any:
    return next((getattr(holder, name) for holder in holders if getattr(holder, name, None) is not None), None)


def _group(spec: str, group: Any) -> str:
    if group is not None and group not in GROUPS:
        raise UsageError(f"{spec}: group {group!r} is none of {', '.join(GROUPS)}")
    return group or "unknown"


def _keyed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _to_numpy(value: Any) -> Any:
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()  # numpy has no bfloat16


def probe(width: int = 320, height: int = 240) -> Image.Image:
    from benchmark.encoders.network import probe_image

    return probe_image(width, height)


def _as_float32(batch: torch.Tensor) -> torch.Tensor:
    return batch.float()


def call(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return module(pixels)


Preprocess = Callable[[Any], Any]
"""RGB ``PIL.Image`` -> what a network takes for one picture, as an array or a tensor."""


def as_encoder(
    thing: Encoder | nn.Module | Callable[[Any], Any],
    *,
    name: str = "",
    preprocess: Preprocess | None = None,
    device: str = "auto",
    dtype: str = "float32",
    compile: bool = False,
    runtime: str = "auto",
    cache: Path | None = None,
    mode: str = "own",
) -> Encoder:
    """Make an encoder of a Python object.

    Args:
        thing: a module (batch [n, 3, height, width] -> [n, dimension]; it is copied, yours stays as it is), a function
            of one RGB ``PIL.Image`` that returns a vector, or an ``Encoder``.
        name: as results name it; by default that of the class and the beginning of the weights' hash, or that of the
            function.
        preprocess: of a module: RGB ``PIL.Image`` -> float array or tensor of one shape, as for its evaluation (resize,
            crop, normalise). A module that has an attribute ``preprocess`` needs none.
        device, dtype, compile, runtime, cache: of a module, as for ``load_encoder``.
        mode: ``own``, ``study``, ``short-side`` or ``squash``, as ``load_encoder`` takes it as ``preprocess``.

    A module's embeddings are kept between calls under the hash of its weights and of what two fixed pictures become,
    before and after it; a function's only if it has a ``cache_key`` (``callables.py``).

    Raises:
        UsageError: it is nothing that can encode, or ``preprocess`` is missing or has no place.
        EncoderError: it fails, or does not do what an encoder does.

    >>> def brightness(image):
    ...     return np.asarray(image, dtype=np.float32).mean((0, 1))
    >>> as_encoder(brightness).info.dimension
    3
    """
    from benchmark.encoders.runtime.choose import on_runtime

    if is_module(thing):
        request = LoadRequest(name, device, dtype, compile=compile)
        encoder = with_preprocessing(_module_encoder(thing, name, preprocess, request), mode)  # type: ignore[arg-type]
        encoder = on_runtime(encoder, runtime, cache)
        if dtype == "float32":
            return encoder
        exact = partial(
            as_encoder,
            thing,
            name=encoder.info.id,
            preprocess=preprocess,
            device=device,
            runtime="torch",
            mode=mode,
        )
        return replace(encoder, in_float32=exact)
    if preprocess is not None:
        raise UsageError("preprocess goes with a torch.nn.Module; a function or an Encoder does its own")
    own = getattr(thing, "__name__", type(thing).__name__).strip("<>")
    request = LoadRequest(name or own, device, dtype, compile=compile)
    if isinstance(thing, Encoder):
        named = replace(request, spec=name or thing.info.id)
        refuse_placement(named, thing.device, thing.dtype, "an Encoder that is ready")
        called = with_preprocessing(replace(thing, info=replace(thing.info, id=name)) if name else thing, mode)
        return called if runtime == "auto" else on_runtime(called, runtime, cache)
    if not callable(thing):
        raise UsageError(
            f"{thing!r:.60} is no encoder: give a name, an Encoder, a torch.nn.Module, or a function from an image to a"
            " vector"
        )
    return on_runtime(with_preprocessing(function_encoder(request, thing), mode), runtime)


def _module_encoder(module: nn.Module, name: str, preprocess: Preprocess | None, request: LoadRequest) -> Encoder:
    import torch

    from benchmark.encoders.network import Network, Normalisation, hash_state_dict, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    weights = hash_state_dict(module.state_dict())
    name = name or f"{type(module).__qualname__}-{weights[:8]}"
    own = preprocess or getattr(module, "preprocess", None)
    if own is None:
        raise UsageError(
            f"{name}: how does a picture become its input? give preprocess=..., the transform that its weights were "
            "evaluated with (RGB PIL.Image -> tensor [3, height, width])"
        )
    pixels = own if isinstance(own, Pixels) else AsArray(own)
    with user_errors(f"{name}: preprocess"):
        pictures = [probe(), probe(200, 300)]
        arrays, again = ([pixels(picture) for picture in pictures] for _ in range(2))
    if any(not np.array_equal(a, b) for a, b in zip(arrays, again, strict=True)):
        raise EncoderError(
            f"{name}: preprocess gives two different arrays for one picture: give the transform of evaluation, without "
            "random augmentation"
        )
    if arrays[0].shape != arrays[1].shape:
        shapes = " and ".join(str(array.shape) for array in arrays)
        raise EncoderError(f"{name}: preprocess gives arrays of different shapes, {shapes}: it must crop or resize")
    normalise = None
    if arrays[0].dtype == np.uint8:
        mean, std = getattr(module, "mean", None), getattr(module, "std", None)
        if mean is None or std is None:
            raise EncoderError(f"{name}: preprocess gives uint8 pixels: let it give what the network takes, normalised")
        normalise = Normalisation(tuple(mean), tuple(std))
    try:
        copied = copy.deepcopy(module)
    except Exception as error:  # whatever a module holds that cannot be copied
        raise EncoderError(f"{name}: the module cannot be copied ({describe_error(error)})") from error
    encoder = network_encoder(
        Network(
            name=name,
            library="callable",
            module=copied,
            preprocess=pixels,
            preprocessing={"size": list(arrays[0].shape), "backend": "your own", "transport": str(arrays[0].dtype)},
            normalise=normalise,
            forward=call,
            pooling="what the module returns",
            weights_sha256=weights,
            details={"class": type(module).__qualname__},
        ),
        place,
    )
    answers = encoder.embed(torch.from_numpy(np.stack(arrays)))
    seen = hashlib.sha256(b"".join(array.tobytes() for array in (*arrays, answers.numpy()))).hexdigest()
    known = {**encoder.info.preprocessing, "two_pictures_sha256": seen}
    return replace(encoder, info=replace(encoder.info, preprocessing=known))
