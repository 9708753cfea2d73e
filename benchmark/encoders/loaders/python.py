"""Python objects as encoders: ``module:function`` on the command line (``load_callable``), in memory (``as_encoder``).

The name after the colon may be

- an ``Encoder``, or a function without required arguments that returns one (full control);
- a ``torch.nn.Module``, or a function or class without required arguments that gives one: batch [n, 3, height,
  width] -> [n, dimension]. Its preprocessing is its method or attribute ``preprocess`` (RGB ``PIL.Image`` -> array or
  tensor of one shape: float values as the network takes them, or uint8 pixels [height, width, 3] if it also has
  ``mean`` and ``std``), else the standard one of ImageNet (256 px bilinear, 224 px centre crop, ImageNet mean, std). A
  ``Pixels`` of ``preprocess/pixels.py`` is faster, and is computed once for all encoders with the same one;
- a function of one required argument, RGB ``PIL.Image`` -> vector of one length (numpy, torch or a list of numbers).

A name does not identify what a Python object computes, so its bank is not cached between runs, unless the object has an
attribute ``cache_key``: a text that you change when you change the computation. Further attributes are read if present:
``pooling``, ``group``, ``training_data``.

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
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import benchmark
from benchmark.compute import first_forward, foreign_code
from benchmark.encoders.encoder import GROUPS, Encoder, EncoderInfo
from benchmark.encoders.loaders.user_code import AsArray, AsVector, required_arguments, user_errors
from benchmark.encoders.preprocess.modes import with_preprocessing
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_PIXELS, IMAGENET_STD, Pixels, describe
from benchmark.encoders.registry import LoadRequest, refuse_placement
from builders.errors import EncoderError, UsageError
from builders.plugins import load_plugin
from builders.untrusted import describe_error

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import nn


def load_callable(request: LoadRequest) -> Encoder:
    """Load ``module:name`` (or ``callable:module:name``).

    Raises:
        UsageError: the module or the name does not exist, or the object is none of the kinds above.
        EncoderError: it fails, or does not behave as an encoder.
    """
    return _of_import(request, _import(request.spec))


def load_of_plugin(request: LoadRequest) -> Encoder:
    """Load ``PREFIX:NAME`` of an installed package, whose function makes one of the kinds above from the name.

    Raises:
        UsageError: the package cannot be imported, or makes none of these kinds.
        EncoderError: it fails, or does not behave as an encoder.
    """
    prefix, _, name = request.spec.partition(":")
    with foreign_code(enters_folder=True):
        make: Any = load_plugin("encoders", prefix, object)
    if not callable(make):
        raise UsageError(f"{request.spec}: {make!r:.60} is no function from the name of an encoder to an encoder")
    with user_errors(request.spec):
        made = make(name)
    return _of_import(request, made)


def _of_import(request: LoadRequest, imported: Any) -> Encoder:
    item = imported
    if callable(item) and not isinstance(item, Encoder) and not is_module(item) and required_arguments(item) == 0:
        with user_errors(request.spec):
            item = item()
    if isinstance(item, Encoder):
        refuse_placement(request, item.device, item.dtype, "an Encoder that is ready")
        return item if item.info.id else replace(item, info=replace(item.info, id=request.spec))
    if is_module(item):
        return _of_module(request, item, imported)
    if callable(item) and required_arguments(item) == 1:
        return function_encoder(request, item)
    raise UsageError(
        f"{request.spec} is {type(item).__name__}, not an encoder: "
        "give an Encoder, a torch.nn.Module, or a function from an image to a vector"
    )


def _of_module(request: LoadRequest, module: nn.Module, factory: Any) -> Encoder:
    """An encoder of an imported module; ``factory`` is what the name refers to, with further attributes."""
    from benchmark.encoders.network import Network, Normalisation, call_module, hash_state_dict, network_encoder
    from benchmark.encoders.placement import placement
    from benchmark.encoders.preprocess.stated import in_words

    place = placement(request.device, request.dtype, request.compile)
    mean, std = _attribute("mean", module, factory), _attribute("std", module, factory)
    native = _attribute("preprocess", module, factory)
    if native is None:
        preprocess: Callable[[Image.Image], np.ndarray] = IMAGENET_PIXELS
        normalise: Normalisation | None = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
        preprocessing = describe(IMAGENET_PIXELS, IMAGENET_MEAN, IMAGENET_STD, "pil", source="default")
    else:
        preprocess = native if isinstance(native, Pixels) else AsArray(native, request.spec)
        with user_errors(request.spec):
            sample = preprocess(_probe_image())
        if sample.dtype == np.uint8 and (mean is None or std is None):
            raise EncoderError(f"{request.spec}: preprocess gives uint8 pixels, so mean and std are needed too")
        normalise = Normalisation(tuple(mean), tuple(std)) if sample.dtype == np.uint8 else None
        preprocessing = {"size": list(sample.shape), "backend": "your own", "transport": str(sample.dtype)}
        if isinstance(native, Pixels):
            preprocessing |= {"steps": native.describe(), "backend": "pil"}
        if normalise is not None:
            preprocessing |= {"mean": list(normalise.mean), "std": list(normalise.std)}
    key = _attribute("cache_key", module, factory)
    identity = None if key is None else _sha256(f"{key}\0{hash_state_dict(module.state_dict())}")
    encoder = network_encoder(
        Network(
            name=request.spec,
            library="callable",
            module=module,
            preprocess=preprocess,
            preprocessing=preprocessing,
            normalise=normalise,
            forward=call_module,
            pooling=str(_attribute("pooling", module, factory) or "what the module returns"),
            weights_sha256=identity,
            group=_group(request.spec, _attribute("group", module, factory)),
            training_data=str(_attribute("training_data", module, factory) or "unknown"),
            details={"class": type(module).__qualname__},
        ),
        place,
    )
    if native is not None:
        return encoder
    return replace(encoder, notices=(f"{request.spec} has no preprocess, ImageNet's taken: {in_words(preprocessing)}",))


def function_encoder(request: LoadRequest, function: Callable[[Any], Any]) -> Encoder:
    """An encoder of a function from an RGB image to a vector.

    Args:
        request: gives the name; device and precision cannot apply.
        function: RGB ``PIL.Image`` -> vector of one length.

    Raises:
        UsageError: a device or a precision was requested, which only the function itself can choose.
        EncoderError: the function fails, or does not return vectors of one length.
    """
    refuse_placement(request, "cpu", "float32", "a plain function, which computes as it likes")
    encode = AsVector(request.spec, function)
    with user_errors(request.spec), first_forward():
        first, second = encode(_probe_image()), encode(_probe_image(200, 300))
    if first.shape != second.shape:
        raise EncoderError(
            f"{request.spec}: vectors of different lengths ({len(first)}, {len(second)}) for photos of different sizes"
        )
    key = getattr(function, "cache_key", None)
    info = EncoderInfo(
        id=request.spec,
        library="callable",
        revision=None,
        weights_sha256=None if key is None else _sha256(str(key)),
        dimension=len(first),
        preprocessing={"size": "the photo's own", "backend": "your own", "transport": "float32"},
        pooling=str(getattr(function, "pooling", "what the function returns")),
        parameters=0,
        group=_group(request.spec, getattr(function, "group", None)),
        training_data=str(getattr(function, "training_data", "unknown")),
    )
    return Encoder(info, encode, _as_float32, "cpu", "float32")


def _import(spec: str) -> Any:
    module_name, _, name = spec.removeprefix("callable:").rpartition(":")
    with _working_folder_importable():
        try:
            with foreign_code(enters_folder=True):
                item: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            missing = error.name or module_name
            if module_name == missing or module_name.startswith(f"{missing}."):
                raise UsageError(f"no module named {module_name!r} for --model {spec}: is it in this folder?") from None
            raise EncoderError(f"{spec}: importing {module_name} failed: no module named {missing!r}") from None
        except Exception as error:  # of the user's module
            raise EncoderError(f"{spec}: importing {module_name} failed ({describe_error(error)})") from error
    for part in name.split("."):
        if not hasattr(item, part):
            raise UsageError(f"the module {module_name!r} has no {name!r} for --model {spec}")
        item = getattr(item, part)
    return item


@contextlib.contextmanager
def _working_folder_importable() -> Iterator[None]:
    """Append the working folder to the path of imports, as ``python -m`` does and the console script does not.

    The folder of this project is appended before it: a ``benchmark.py`` or ``cards/`` in the working folder must not
    replace the project's, here or in a worker process that inherits the path.
    """
    project, working_folder = str(Path(benchmark.__file__).parents[1]), os.getcwd()
    if working_folder not in sys.path and "" not in sys.path:
        sys.path += [path for path in (project, working_folder) if path not in sys.path]
    importlib.invalidate_caches()
    yield


def is_module(value: Any) -> bool:
    """True for a ``torch.nn.Module``. Does not import torch: code that has a module has imported it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def _attribute(name: str, *holders: Any) -> Any:
    return next((getattr(holder, name) for holder in holders if getattr(holder, name, None) is not None), None)


def _group(spec: str, group: Any) -> str:
    if group is not None and group not in GROUPS:
        raise UsageError(f"{spec}: group {group!r} is none of {', '.join(GROUPS)}")
    return group or "unknown"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _probe_image(width: int = 320, height: int = 240) -> Image.Image:
    from benchmark.encoders.network import probe_image

    return probe_image(width, height)


def _as_float32(batch: torch.Tensor) -> torch.Tensor:
    return batch.float()


def as_encoder(
    thing: Encoder | nn.Module | Callable[[Any], Any],
    *,
    name: str = "",
    preprocess: Callable[[Any], Any] | None = None,
    device: str = "auto",
    dtype: str = "float32",
    compile: bool = False,
    runtime: str = "auto",
    cache: Path | None = None,
    mode: str = "own",
) -> Encoder:
    """Make an encoder of a Python object.

    Args:
        thing: a module (batch [n, 3, height, width] -> [n, dimension]; it is copied and not changed), a function of one
            RGB ``PIL.Image`` that returns a vector, or an ``Encoder``.
        name: as results name it; by default the class and the beginning of the weights' hash, or the function's name.
        preprocess: of a module: RGB ``PIL.Image`` -> float array or tensor of one shape, as for its evaluation (resize,
            crop, normalise). A module with an attribute ``preprocess`` needs none.
        device, dtype, compile, runtime, cache: of a module, as for ``load_encoder``.
        mode: ``own``, ``study``, ``short-side`` or ``squash``, as ``preprocess`` of ``load_encoder``.

    Embeddings of a module are cached between calls under the hash of its weights, of two preprocessed pictures and of
    their embeddings; those of a function only if it has a ``cache_key`` (see the head of this module).

    Raises:
        UsageError: ``thing`` cannot encode, or ``preprocess`` is missing or cannot apply.
        EncoderError: it fails, or does not behave as an encoder.

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
        options: dict[str, Any] = {"preprocess": preprocess, "device": device, "runtime": "torch", "mode": mode}
        return replace(encoder, in_float32=partial(as_encoder, thing, name=encoder.info.id, **options))
    if preprocess is not None:
        raise UsageError("preprocess goes with a torch.nn.Module; a function or an Encoder does its own")
    default_name = getattr(thing, "__name__", type(thing).__name__).strip("<>")
    request = LoadRequest(name or default_name, device, dtype, compile=compile)
    if isinstance(thing, Encoder):
        request = replace(request, spec=name or thing.info.id)
        refuse_placement(request, thing.device, thing.dtype, "an Encoder that is ready")
        encoder = with_preprocessing(replace(thing, info=replace(thing.info, id=name)) if name else thing, mode)
        return encoder if runtime == "auto" else on_runtime(encoder, runtime, cache)
    if not callable(thing):
        raise UsageError(
            f"{thing!r:.60} is no encoder: give a name, an Encoder, a torch.nn.Module, or a function from an image to a"
            " vector"
        )
    return on_runtime(with_preprocessing(function_encoder(request, thing), mode), runtime)


def _module_encoder(
    module: nn.Module, name: str, preprocess: Callable[[Any], Any] | None, request: LoadRequest
) -> Encoder:
    """An encoder of a module in memory, identified by its weights and by two pictures."""
    import torch

    from benchmark.encoders.network import Network, Normalisation, call_module, hash_state_dict, network_encoder
    from benchmark.encoders.placement import placement

    place = placement(request.device, request.dtype, request.compile)
    weights = hash_state_dict(module.state_dict())
    name = name or f"{type(module).__qualname__}-{weights[:8]}"
    native = preprocess or getattr(module, "preprocess", None)
    if native is None:
        raise UsageError(
            f"{name}: how does a picture become its input? give preprocess=..., the transform that its weights were "
            "evaluated with (RGB PIL.Image -> tensor [3, height, width])"
        )
    pixels = native if isinstance(native, Pixels) else AsArray(native, name)
    with user_errors(f"{name}: preprocess"):
        pictures = [_probe_image(), _probe_image(200, 300)]
        arrays, repeated = ([pixels(picture) for picture in pictures] for _ in range(2))
    if any(not np.array_equal(a, b) for a, b in zip(arrays, repeated, strict=True)):
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
    except Exception as error:  # of attributes that cannot be copied
        raise EncoderError(f"{name}: the module cannot be copied ({describe_error(error)})") from error
    encoder = network_encoder(
        Network(
            name=name,
            library="callable",
            module=copied,
            preprocess=pixels,
            preprocessing={"size": list(arrays[0].shape), "backend": "your own", "transport": str(arrays[0].dtype)},
            normalise=normalise,
            forward=call_module,
            pooling="what the module returns",
            weights_sha256=weights,
            details={"class": type(module).__qualname__},
        ),
        place,
    )
    embeddings = encoder.embed(torch.from_numpy(np.stack(arrays)))
    digest = hashlib.sha256(b"".join(array.tobytes() for array in (*arrays, embeddings.numpy()))).hexdigest()
    preprocessing = {**encoder.info.preprocessing, "two_pictures_sha256": digest}
    return replace(encoder, info=replace(encoder.info, preprocessing=preprocessing))
