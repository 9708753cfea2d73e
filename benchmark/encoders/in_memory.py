"""Encoders that exist only in this process: a ``torch.nn.Module`` or a function, handed over instead of named."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.encoders.callables import (
    AsArray,
    call,
    function_encoder,
    is_module,
    own_errors,
    probe,
)
from benchmark.encoders.encoder import Encoder
from benchmark.encoders.pixels import Pixels
from benchmark.encoders.preprocess_modes import with_preprocessing
from benchmark.encoders.registry import Request, refuse_placement
from builders.errors import EncoderError, UsageError
from builders.outside import kind_and_line

if TYPE_CHECKING:
    from torch import nn

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
    from benchmark.encoders.runtime import on_runtime

    if is_module(thing):
        request = Request(name, device, dtype, compile=compile)
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
    request = Request(name or own, device, dtype, compile=compile)
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


def _module_encoder(module: nn.Module, name: str, preprocess: Preprocess | None, request: Request) -> Encoder:
    import torch

    from benchmark.encoders.embedding import Network, Normalisation, hash_state_dict, network_encoder
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
    with own_errors(f"{name}: preprocess"):
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
        raise EncoderError(f"{name}: the module cannot be copied ({kind_and_line(error)})") from error
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
