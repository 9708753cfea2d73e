"""``onnx:PATH?size=224&mean=...``: a network in an ONNX file, computed by ONNX Runtime.

An ONNX file does not describe its preprocessing, so options do:

==================  ================================================================================================
``size``            pixels of the input, ``224`` or ``HEIGHTxWIDTH``; by default the size of the file's input
``resize``          the shorter side before the crop of the centre; by default as large as the crop
``mean``, ``std``   of pixels in [0, 1], one number or one each for red, green, blue; by default ImageNet's, with a note
``interpolation``   of the resize: bilinear (default), bicubic, lanczos, box, hamming, nearest
``output``          name of the output that is the embedding; by default the first
``pooling``         of an output [n, tokens, d]: ``mean`` (default) or ``first``; maps [n, d, h, w] are averaged
``group``, ``training_data``  provenance, which the file does not have
==================  ================================================================================================
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.compute import parallel_map
from benchmark.encoders.encoder import GROUPS, Encoder, EncoderInfo, Runtime
from benchmark.encoders.network import Normalisation, pooled, probe_image
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort, describe
from benchmark.encoders.preprocess.stated import STATED, resampling, shorter_side, sides, three_numbers
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
        EncoderError: it is no ONNX file, or it or an external file of weights cannot be read.
    """
    import onnx

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
    return OnnxDescription(digest.hexdigest(), parameters, details)


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


OPTIONS = (*STATED, "output", "pooling", "group", "training_data")

POOLINGS = ("mean", "first")

INPUTS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


def load_onnx(request: LoadRequest) -> Encoder:
    """Load ``onnx:PATH?...``.

    Raises:
        UsageError: an option is wrong, or a required one is missing.
        EncoderError: the file does not exist, is no network, or does not map pictures to vectors.
    """
    path, options = _parsed(request.spec)
    if request.device not in ("auto", "cpu") or request.dtype != "float32" or request.compile:
        raise UsageError(
            f"{request.spec}: an ONNX file is computed on the CPU as it is: --device, --dtype, --compile do not apply"
        )
    label = f"onnx:{path.name}"
    description = read_description(path, label)
    from benchmark.encoders.runtime.onnxruntime import OnnxNetwork

    try:
        network = OnnxNetwork(path, options.get("output"))
    except Exception as error:  # ONNX Runtime's errors are direct subclasses of Exception
        raise EncoderError(f"{label}: ONNX Runtime cannot load it ({_without_folder(error, path)})") from error
    network_input = _input_of(network, label)
    height, width = _size(options, network_input, label)
    short = shorter_side(options.get("resize", str(max(height, width))), height, width)
    resize = ResizeShort(short, resampling(options.get("interpolation", "bilinear")))
    pixels = Pixels((resize, CenterCrop(width, height, "round")))
    normalise, assumed = _normalisation(options, network_input, label)
    forward = _Forward(network, network_input, normalise, options.get("output"), options.get("pooling", "mean"))
    name = f"{label}@{description.sha256[:8]}{_options_text(options)}"
    embed = RuntimeEmbedder(name, forward, hint="")
    view = torch.from_numpy(pixels(probe_image()))
    first = embed(view[None])
    if not torch.isfinite(first).all():
        raise EncoderError(f"{label}: the embedding of a plain picture is not finite")
    mean, std = (normalise.mean, normalise.std) if normalise else ((0.0,) * 3, (1 / 255,) * 3)
    info = EncoderInfo(
        id=name,
        library="onnx",
        revision=None,
        weights_sha256=description.sha256,
        dimension=first.shape[1],
        preprocessing=describe(pixels, mean, std, "pil", **({"assumed": assumed} if assumed else {})),
        pooling=forward.described(),
        parameters=description.parameters,
        group=options.get("group", "unknown"),
        training_data=options.get("training_data", "unknown"),
        details=description.details,
    )
    runtime = Runtime("onnxruntime", OnnxNetwork.version)
    notices = (f"{label}: {' and '.join(assumed)} not given, ImageNet's taken",) if assumed else ()
    return Encoder(info, pixels, embed, "cpu", "float32", runtime=runtime, notices=notices)


def _parsed(spec: str) -> tuple[Path, dict[str, str]]:
    """Path and options of a specification."""
    path, _, query = spec.partition(":")[2].partition("?")
    options = dict(parse_query(query, spec)) if query else {}
    for name in options:
        if name not in OPTIONS:
            raise unknown_name("option of onnx:", name, OPTIONS)
    if options.get("pooling", "mean") not in POOLINGS:
        raise unknown_name("pooling", options["pooling"], POOLINGS)
    if options.get("group", "unknown") not in GROUPS:
        raise unknown_name("group", options["group"], GROUPS)
    if not path:
        raise UsageError("onnx: needs a file, as in onnx:PATH?size=224")
    return Path(path).expanduser(), options


def _options_text(options: Mapping[str, str]) -> str:
    """The options that distinguish encoders of one file, for the id."""
    names = [name for name in OPTIONS if name in options and name not in ("group", "training_data")]
    return f"?{'&'.join(f'{name}={options[name]}' for name in names)}" if names else ""


@dataclass(frozen=True)
class _Input:
    """Input of a network."""

    dtype: Any
    channels_last: bool
    batch: int | None
    """Number of views that it takes at a time; None for any number."""
    height: int | None
    width: int | None


def _input_of(network: Any, label: str) -> _Input:
    inputs = network.session.get_inputs()
    if len(inputs) != 1:
        raise EncoderError(
            f"{label}: it takes {len(inputs)} inputs ({', '.join(i.name for i in inputs)}), not a picture"
        )
    [picture] = inputs
    if picture.type not in INPUTS or len(picture.shape) != 4:
        raise EncoderError(f"{label}: its input is {picture.type} {picture.shape}, not pictures [n, 3, height, width]")
    batch, *sides = (side if isinstance(side, int) and side > 0 else None for side in picture.shape)
    if sides[0] == 3 or (sides[0] is None and sides[2] != 3):
        return _Input(INPUTS[picture.type], False, batch, sides[1], sides[2])
    if sides[2] in (None, 3):
        return _Input(INPUTS[picture.type], True, batch, sides[0], sides[1])
    raise EncoderError(f"{label}: its input {picture.shape} has no axis of three colours")


def _size(options: Mapping[str, str], network_input: _Input, label: str) -> tuple[int, int]:
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
    options: Mapping[str, str], network_input: _Input, label: str
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


class _Forward:
    """uint8 views [n, height, width, 3] -> embeddings; a ``RuntimeNetwork`` of ``runtime/choose.py``."""

    def __init__(
        self, network: Any, network_input: _Input, normalise: Normalisation | None, output: str | None, pooling: str
    ) -> None:
        self.version: str = network.version
        self.batch_sizes: tuple[int, ...] = (network_input.batch,) if network_input.batch else ()
        self._network, self._input, self._normalise = network, network_input, normalise
        self._output, self._pooling, self._axes = output or network.session.get_outputs()[0].name, pooling, 0

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return parallel_map(self._chunk, chunks)

    def described(self) -> str:
        """Which vector is the embedding, in words."""
        how = {2: "as it is", 3: f"{self._pooling} of its tokens", 4: "mean over its positions"}
        return f"output {self._output}, {how[self._axes]}"

    def _chunk(self, views: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(views)
        if self._input.batch and len(batch) < self._input.batch:
            batch = torch.cat([batch, batch[-1:].expand(self._input.batch - len(batch), -1, -1, -1)])
        pixels = self._normalise(batch) if self._normalise else batch.permute(0, 3, 1, 2)
        if self._input.channels_last:
            pixels = pixels.permute(0, 2, 3, 1)
        output = self._network.run(np.ascontiguousarray(pixels.numpy().astype(self._input.dtype, copy=False)))
        if not isinstance(output, np.ndarray) or output.ndim not in (2, 3, 4) or len(output) != len(batch):
            shape = getattr(output, "shape", type(output).__name__)
            raise RuntimeError(f"its output {self._output} is {shape}, not an embedding of each of {len(batch)} views")
        if output.dtype.kind != "f":
            raise RuntimeError(f"its output {self._output} holds {output.dtype}, not numbers of an embedding")
        self._axes = output.ndim
        return pooled(torch.from_numpy(output).float(), self._pooling == "first")[: len(views)].numpy()
