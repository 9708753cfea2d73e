"""``onnx:PATH?size=224&mean=...``: a network in an ONNX file, computed by ONNX Runtime.

An ONNX file does not describe its preprocessing, so options do:

==================  ================================================================================================
``size``            pixels of the input, ``224`` or ``HEIGHTxWIDTH``; by default the size of the file's input
``resize``          the shorter side before the crop of the centre; by default as large as the crop
``mean``, ``std``   of pixels in [0, 1], one number or one each for red, green, blue; by default ImageNet's, with a note
``interpolation``   of the resize: bilinear (default), bicubic, lanczos, box, hamming, nearest
``output``          name of the tensor that is the embedding, an output or any other; by default the first output
``pooling``         of tokens: ``mean`` (default) or ``first``; maps are averaged
``channels``        of tokens and maps: ``first`` or ``last`` of the axes after the batch, where neither the graph nor a
                    picture of another size proves it
``group``, ``training_data``  provenance, which the file does not have
==================  ================================================================================================
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.encoders.encoder import GROUPS, Encoder, EncoderInfo, Runtime
from benchmark.encoders.loaders.onnx import graph
from benchmark.encoders.loaders.onnx.output import OnnxForward, OnnxInput, admit
from benchmark.encoders.network import Normalisation, probe_image
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort, describe
from benchmark.encoders.preprocess.stated import (
    STATED,
    in_words,
    resampling,
    shorter_side,
    sides,
    three_numbers,
)
from benchmark.encoders.registry import LoadRequest
from benchmark.encoders.runtime.choose import RuntimeEmbedder
from builders.cli import parse_query
from builders.errors import EncoderError, UsageError, unknown_name
from builders.untrusted import UntrustedInputError, first_line, open_untrusted

LARGEST_FILE = 2 << 30
"""Largest size of a protocol buffer in bytes; larger networks store their weights in other files."""

LARGEST_WEIGHTS = 64 << 30
"""Largest size of a file of weights in bytes."""

LONGEST_TEXT = 200
"""Largest number of characters of one entry of the file's metadata in a record."""


@dataclass(frozen=True)
class OnnxDescription:
    """Contents of an ONNX file without its weights."""

    model: Any
    """``onnx.ModelProto``."""
    sha256: str
    """Hash of the file and its external files of weights, in the order of their names."""
    parameters: int
    details: Mapping[str, Any]


def read_description(path: Path, label: str) -> OnnxDescription:
    """Read an ONNX file and hash its weights.

    Args:
        path: of the file.
        label: of the encoder, for messages.

    Raises:
        UsageError: there is no such file.
        EncoderError: it is no ONNX file, or it or an external file of weights cannot be read.
    """
    import onnx

    if not os.path.lexists(path):
        raise UsageError(f"{label}: there is no such file")
    digest = hashlib.sha256()
    try:
        with open_untrusted(path, limit=LARGEST_FILE) as stream:
            data = stream.read(LARGEST_FILE)
        digest.update(data)
        model = _protocol_buffer(onnx.ModelProto, data, label)
        external = sorted({_location(tensor) for tensor in _tensors(model) if tensor.data_location == tensor.EXTERNAL})
        for name in external:
            with open_untrusted(path.parent / name, limit=LARGEST_WEIGHTS, inside=path.parent) as stream:
                digest.update(f"\0{name}\0".encode())
                while part := stream.read(1 << 24):
                    digest.update(part)
    except UntrustedInputError as error:
        raise EncoderError(f"{label}: {_without_folder(error, path)}") from None
    if not model.graph.node:
        raise EncoderError(f"{label}: it is no ONNX file, or holds no network")
    details: dict[str, Any] = {
        "file": path.name,
        "producer": f"{model.producer_name} {model.producer_version}".strip() or "unknown",
        "opset": {opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        "graph": model.graph.name[:LONGEST_TEXT],
        "metadata": {p.key[:LONGEST_TEXT]: p.value[:LONGEST_TEXT] for p in model.metadata_props},
    }
    if external:
        details["weights_beside"] = external
    parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    return OnnxDescription(model, digest.hexdigest(), parameters, details)


def _protocol_buffer(kind: Any, data: bytes, label: str) -> Any:
    try:
        return kind.FromString(data)
    except Exception:  # protobuf's DecodeError and others, by implementation
        raise EncoderError(f"{label}: it is no ONNX file") from None


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of a model, including those of inner graphs and functions."""
    graphs, nodes = [model.graph], [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            graphs.extend((attribute.g, *attribute.graphs))


def _location(tensor: Any) -> str:
    """Path of the file with a tensor's values, relative to the folder of the model."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def _without_folder(error: Exception, path: Path) -> str:
    """First line of an error without the folder of the file."""
    return first_line(error).replace(f"{path.parent}/", "").removeprefix(f"{path.name}: ")


OPTIONS = (*STATED, "output", "pooling", "channels", "group", "training_data")

CHOICES = {"pooling": ("mean", "first"), "channels": ("first", "last"), "group": GROUPS}
"""Option -> its values."""

DTYPES = {1: np.float32, 10: np.float16, 2: np.uint8}
"""Numbers of the protocol buffer -> types of pixels."""

LOOP_S = 30.0
"""Seconds that a graph with a loop may take for the first pictures; 20 times as many for each later batch."""


def load_onnx(request: LoadRequest) -> Encoder:
    """Load ``onnx:PATH?...``.

    Raises:
        UsageError: an option is wrong, or a required one is missing.
        EncoderError: the file does not exist, is no network, or does not map pictures to embeddings.
    """
    path, options = _parsed(request.spec)
    if request.device not in ("auto", "cpu") or request.dtype != "float32" or request.compile:
        raise UsageError(
            f"{request.spec}: an ONNX file is computed on the CPU as it is: --device, --dtype, --compile do not apply"
        )
    label = f"onnx:{path.name}"
    description = read_description(path, label)
    from benchmark.encoders.runtime.onnxruntime import OnnxNetwork

    whole = description.model
    outputs = {each.name: [d.dim_value for d in each.type.tensor_type.shape.dim] for each in whole.graph.output}
    output = options.get("output") or next(iter(outputs))
    if output not in (names := [*outputs, *graph.tensor_names(whole)]):
        raise unknown_name(f"tensor of {label}:", output, names)
    part = graph.cut(whole, output)
    picture = _picture_of(part, label, outputs)

    def session(model: Any) -> OnnxNetwork:
        try:
            return OnnxNetwork(model.SerializeToString(), folder=path.parent)
        except Exception as error:  # ONNX Runtime's errors are direct subclasses of Exception
            raise EncoderError(f"{label}: ONNX Runtime cannot load it ({_without_folder(error, path)})") from error

    network_input = input_of(picture, label)
    height, width = _size(options, network_input, label)
    short = shorter_side(options.get("resize", str(max(height, width))), height, width)
    resize = ResizeShort(short, resampling(options.get("interpolation", "bilinear")))
    pixels = Pixels((resize, CenterCrop(width, height, "round")))
    normalise, assumed = _normalisation(options, network_input, label)
    network = session(part)
    if graph.may_not_end([*part.graph.node, *(node for each in part.functions for node in each.node)]):
        network.limit_s = LOOP_S
    forward = OnnxForward(label, network, part, network_input, normalise, options.get("pooling") == "first")
    views = np.stack([pixels(probe_image()), pixels(probe_image().rotate(180))])
    notice = admit(forward, views, options, outputs, session)
    network.limit_s = network.limit_s and 20 * LOOP_S
    name = f"{label}@{description.sha256[:8]}{_options_text(options)}"
    embed = RuntimeEmbedder(name, forward, hint="")
    mean, std = (normalise.mean, normalise.std) if normalise else ((0.0,) * 3, (1 / 255,) * 3)
    info = EncoderInfo(
        id=name,
        library="onnx",
        revision=None,
        weights_sha256=description.sha256,
        dimension=embed(torch.from_numpy(views[:1])).shape[1],
        preprocessing=describe(pixels, mean, std, "pil", **({"assumed": assumed} if assumed else {})),
        pooling=forward.described(),
        parameters=description.parameters,
        group=options.get("group", "unknown"),
        training_data=options.get("training_data", "unknown"),
        details=description.details,
    )
    notices = [f"{label}: {notice}"] if notice else []
    if assumed:
        notices.append(f"{label}: {' and '.join(assumed)} not given, ImageNet's taken: {in_words(info.preprocessing)}")
    runtime = Runtime("onnxruntime", OnnxNetwork.version)
    return Encoder(info, pixels, embed, "cpu", "float32", runtime=runtime, notices=tuple(notices))


def _parsed(spec: str) -> tuple[Path, dict[str, str]]:
    """Path and options of a specification."""
    path, _, query = spec.partition(":")[2].partition("?")
    options = dict(parse_query(query, spec)) if query else {}
    for name in options:
        if name not in OPTIONS:
            raise unknown_name("option of onnx:", name, OPTIONS)
    for name, values in CHOICES.items():
        if name in options and options[name] not in values:
            raise unknown_name(name, options[name], values)
    if not path:
        raise UsageError("onnx: needs a file, as in onnx:PATH?size=224")
    return Path(path).expanduser(), options


def _options_text(options: Mapping[str, str]) -> str:
    """The options that distinguish encoders of one file, for the id."""
    names = [name for name in OPTIONS if name in options and name not in ("group", "training_data")]
    return f"?{'&'.join(f'{name}={options[name]}' for name in names)}" if names else ""


def _picture_of(part: Any, label: str, outputs: Collection[str]) -> Any:
    """The one input of a part of a graph; refuses one that reads several."""
    inputs = part.graph.input
    if len(inputs) != 1 or (len(outputs) > 1 and len(inputs[0].type.tensor_type.shape.dim) != 4):
        names = ", ".join(each.name for each in inputs) or "none"
        what = f"{label}: {part.graph.output[0].name} reads {len(inputs)} inputs ({names}), not a picture alone"
        raise EncoderError(f"{what}; name a tensor of pictures by ?output=TENSOR (outputs: {', '.join(outputs)})")
    return inputs[0]


def input_of(picture: Any, label: str) -> OnnxInput:
    kind = picture.type.tensor_type
    dtype = DTYPES.get(kind.elem_type)
    shape: list[Any] = [side.dim_value or side.dim_param or "?" for side in kind.shape.dim]
    if dtype is None or len(shape) != 4:
        what = f"its input {picture.name} is {shape} of type {kind.elem_type}"
        raise EncoderError(f"{label}: {what}, not pictures [n, 3, height, width]")
    batch, *sides = (side if isinstance(side, int) and side > 0 else None for side in shape)
    if sides[0] == 3 or (sides[0] is None and sides[2] != 3):
        return OnnxInput(dtype, False, batch, sides[1], sides[2])
    if sides[2] in (None, 3):
        return OnnxInput(dtype, True, batch, sides[0], sides[1])
    raise EncoderError(f"{label}: its input {shape} has no axis of three colours")


def _size(options: Mapping[str, str], network_input: OnnxInput, label: str) -> tuple[int, int]:
    """(height, width)."""
    fixed = network_input.height and network_input.width and (network_input.height, network_input.width)
    if "size" not in options:
        if not fixed:
            raise UsageError(f"{label} takes pictures of any size: say which, as in onnx:PATH?size=224")
        return fixed
    size = sides(options["size"])
    for side, wanted in zip(size, (network_input.height, network_input.width), strict=True):
        if wanted and side != wanted:
            wanted_size = f"{network_input.height or 'any'} x {network_input.width or 'any'}"
            raise UsageError(f"size={options['size']}: {label} takes {wanted_size} (height x width)")
    return size


def _normalisation(
    options: Mapping[str, str], network_input: OnnxInput, label: str
) -> tuple[Normalisation | None, list[str]]:
    """The normalisation, None for a network that takes 8-bit pixels; and the names of assumed options."""
    if network_input.dtype == np.uint8:
        if {"mean", "std"} & set(options):
            raise UsageError(f"{label} takes 8-bit pixels: mean and std do not apply")
        return None, []
    assumed = [name for name in ("mean", "std") if name not in options]
    mean = three_numbers("mean", options["mean"]) if "mean" in options else IMAGENET_MEAN
    std = three_numbers("std", options["std"]) if "std" in options else IMAGENET_STD
    return Normalisation(mean, std), assumed
