"""``onnx:PATH?size=224&mean=...``: a network in an ONNX file, computed by ONNX Runtime.

A file says nothing of how a photo becomes its input, so the options do:

==================  ================================================================================================
``size``            pixels of the input, ``224`` or ``HEIGHTxWIDTH``; by default what the file's input says
``resize``          the shorter side before the centre is cut out; by default as large as the crop
``mean``, ``std``   of pixels in [0, 1], one number or one each for red, green, blue; by default ImageNet's, and said
``interpolation``   of the resizing: bilinear (default), bicubic, lanczos, box, hamming, nearest
``output``          name of the output that is the embedding; by default the first
``pooling``         of an output [n, tokens, d]: ``mean`` (default) or ``first``; maps [n, d, h, w] are averaged
``group``, ``training_data``  provenance, which the file does not hold
==================  ================================================================================================
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from PIL import Image

from benchmark.compute import parallel_map
from benchmark.encoders.encoder import GROUPS, Encoder, EncoderInfo, Runtime
from benchmark.encoders.network import Normalisation, pooled, probe_image
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD, CenterCrop, Pixels, ResizeShort, describe
from benchmark.encoders.registry import LoadRequest
from benchmark.encoders.runtime.choose import RuntimeEmbedder
from builders.errors import EncoderError, UsageError, unknown_name
from builders.untrusted import UntrustedInputError, first_line, open_untrusted

LARGEST_FILE = 2 << 30
"""Bytes of a protocol buffer; larger networks keep their weights beside it."""

LARGEST_WEIGHTS = 64 << 30
"""Bytes of one such file of weights."""

LONGEST_TEXT = 200
"""Characters that a record keeps of one entry of the file's metadata."""


@dataclass(frozen=True)
class About:
    """What a file says of itself."""

    sha256: str
    """Of the file, and of the files of weights beside it in the order of their names."""
    parameters: int
    details: Mapping[str, Any]


def read_about(path: Path, label: str) -> About:
    """Read it, but for what its weights are.

    Args:
        path: of the file.
        label: of the encoder, for sentences.

    Raises:
        EncoderError: it is no ONNX file, or it, or a file of weights beside it, cannot be read.
    """
    import onnx

    digest = hashlib.sha256()
    try:
        with open_untrusted(path, limit=LARGEST_FILE) as stream:
            data = stream.read(LARGEST_FILE)
        digest.update(data)
        model = _protocol_buffer(onnx.ModelProto, data, label)
        beside = sorted({_location(tensor) for tensor in _tensors(model) if tensor.data_location == tensor.EXTERNAL})
        for name in beside:
            with open_untrusted(path.parent / name, limit=LARGEST_WEIGHTS, inside=path.parent) as stream:
                digest.update(f"\0{name}\0".encode())
                while part := stream.read(1 << 24):
                    digest.update(part)
    except UntrustedInputError as error:
        raise EncoderError(f"{label}: {at_home(error, path)}") from None
    if not model.graph.node:
        raise EncoderError(f"{label}: it is no ONNX file, or holds no network")
    details: dict[str, Any] = {
        "file": path.name,
        "producer": f"{model.producer_name} {model.producer_version}".strip() or "unknown",
        "opset": {one.domain or "ai.onnx": one.version for one in model.opset_import},
        "graph": model.graph.name[:LONGEST_TEXT],
        "metadata": {p.key[:LONGEST_TEXT]: p.value[:LONGEST_TEXT] for p in model.metadata_props},
    }
    if beside:
        details["weights_beside"] = beside
    parameters = sum(math.prod(tensor.dims) for tensor in model.graph.initializer)
    return About(digest.hexdigest(), parameters, details)


def _protocol_buffer(kind: Any, data: bytes, label: str) -> Any:
    try:
        return kind.FromString(data)
    except Exception:  # protobuf's DecodeError, and whatever its implementations raise
        raise EncoderError(f"{label}: it is no ONNX file") from None


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of a model, those of inner graphs and functions included."""
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
            graphs.extend(inner for inner in (attribute.g, *attribute.graphs) if inner.node or inner.initializer)


def _location(tensor: Any) -> str:
    """Name of the file that a tensor's numbers are in, below the folder of the model's."""
    return next((entry.value for entry in tensor.external_data if entry.key == "location"), "")


def at_home(error: Exception, path: Path) -> str:
    """An error's first line without the folder that the file lies in."""
    return first_line(error).replace(f"{path.parent}/", "").removeprefix(f"{path.name}: ")


OPTIONS = ("size", "resize", "mean", "std", "interpolation", "output", "pooling", "group", "training_data")

FILTERS = {member.name.lower(): member for member in Image.Resampling}

POOLINGS = ("mean", "first")

INPUTS = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


def load_onnx(request: LoadRequest) -> Encoder:
    """Load ``onnx:PATH?...``.

    Raises:
        UsageError: an option is wrong, or one that is needed is missing.
        EncoderError: the file is not there, no network, or does not map pictures to vectors.
    """
    path, asked = _parsed(request.spec)
    if request.device not in ("auto", "cpu") or request.dtype != "float32" or request.compile:
        raise UsageError(
            f"{request.spec}: an ONNX file is computed on the CPU as it is: --device, --dtype, --compile do not apply"
        )
    label = f"onnx:{path.name}"
    about = read_about(path, label)
    from benchmark.encoders.runtime.onnxruntime import OnnxNetwork

    try:
        network = OnnxNetwork(path, asked.get("output"))
    except Exception as error:  # ONNX Runtime's own tree of errors
        raise EncoderError(f"{label}: ONNX Runtime cannot load it ({at_home(error, path)})") from error
    given = _input_of(network, label)
    height, width = _size(asked, given, label)
    pixels = Pixels((ResizeShort(_resize(asked, height, width), _filter(asked)), CenterCrop(width, height)))
    normalise, assumed = _normalisation(asked, given, label)
    computes = _Computes(network, given, normalise, asked.get("output"), asked.get("pooling", "mean"))
    name = f"{label}@{about.sha256[:8]}{_shown(asked)}"
    embed = RuntimeEmbedder(name, computes, hint="")
    view = torch.from_numpy(pixels(probe_image()))
    first = embed(view[None])
    if not torch.isfinite(first).all():
        raise EncoderError(f"{label}: the embedding of a plain picture is not finite")
    mean, std = (normalise.mean, normalise.std) if normalise else ((0.0,) * 3, (1 / 255,) * 3)
    info = EncoderInfo(
        id=name,
        library="onnx",
        revision=None,
        weights_sha256=about.sha256,
        dimension=first.shape[1],
        preprocessing=describe(pixels, mean, std, "pil", **({"assumed": assumed} if assumed else {})),
        pooling=computes.described(),
        parameters=about.parameters,
        group=asked.get("group", "unknown"),
        training_data=asked.get("training_data", "unknown"),
        details=about.details,
    )
    runtime = Runtime("onnxruntime", OnnxNetwork.version)
    notices = (f"{label}: {' and '.join(assumed)} not given, ImageNet's taken",) if assumed else ()
    return Encoder(info, pixels, embed, "cpu", "float32", runtime=runtime, notices=notices)


def _parsed(spec: str) -> tuple[Path, dict[str, str]]:
    place, _, query = spec.partition(":")[2].partition("?")
    try:
        pairs = parse_qsl(query, strict_parsing=True) if query else []
    except ValueError:
        raise UsageError(f"{spec}: write options as onnx:PATH?name=value&name=value") from None
    asked = dict(pairs)
    if len(asked) < len(pairs):
        raise UsageError(f"{spec}: an option stands there twice")
    for name in asked:
        if name not in OPTIONS:
            raise unknown_name("option of onnx:", name, OPTIONS)
    if asked.get("pooling", "mean") not in POOLINGS:
        raise unknown_name("pooling", asked["pooling"], POOLINGS)
    if asked.get("group", "unknown") not in GROUPS:
        raise unknown_name("group", asked["group"], GROUPS)
    if not place:
        raise UsageError("onnx: needs a file, as in onnx:PATH?size=224")
    return Path(place).expanduser(), asked


def _shown(asked: Mapping[str, str]) -> str:
    """What of the options tells encoders of one file apart, for the id."""
    told = [f"{name}={asked[name]}" for name in OPTIONS if name in asked and name not in ("group", "training_data")]
    return f"?{'&'.join(told)}" if told else ""


@dataclass(frozen=True)
class _Input:
    """What a network takes."""

    dtype: Any
    channels_last: bool
    batch: int | None
    """Views that it takes at a time; None for any number."""
    height: int | None
    width: int | None


def _input_of(network: Any, label: str) -> _Input:
    inputs = network.session.get_inputs()
    if len(inputs) != 1:
        raise EncoderError(
            f"{label}: it takes {len(inputs)} inputs ({', '.join(i.name for i in inputs)}), not a picture"
        )
    [one] = inputs
    if one.type not in INPUTS or len(one.shape) != 4:
        raise EncoderError(f"{label}: its input is {one.type} {one.shape}, not pictures [n, 3, height, width]")
    batch, *rest = (side if isinstance(side, int) and side > 0 else None for side in one.shape)
    if rest[0] in (None, 3):
        return _Input(INPUTS[one.type], False, batch, rest[1], rest[2])
    if rest[2] in (None, 3):
        return _Input(INPUTS[one.type], True, batch, rest[0], rest[1])
    raise EncoderError(f"{label}: its input {one.shape} has no axis of three colours")


def _size(asked: Mapping[str, str], given: _Input, label: str) -> tuple[int, int]:
    """(height, width)."""
    fixed = given.height and given.width and (given.height, given.width)
    if "size" not in asked:
        if not fixed:
            raise UsageError(f"{label} takes pictures of any size: say which, as in onnx:PATH?size=224")
        return fixed
    parts = asked["size"].split("x")
    if len(parts) > 2 or not all(part.isdecimal() and 0 < int(part) <= 1 << 14 for part in parts):
        raise UsageError(f"size={asked['size']}: give pixels, 224 or HEIGHTxWIDTH")
    size = int(parts[0]), int(parts[-1])
    for side, want in zip(size, (given.height, given.width), strict=True):
        if want and side != want:
            raise UsageError(f"size={asked['size']}: {label} takes {given.height} x {given.width} (height x width)")
    return size


def _resize(asked: Mapping[str, str], height: int, width: int) -> int:
    text = asked.get("resize", str(max(height, width)))
    if not text.isdecimal() or int(text) < min(height, width) or int(text) > 1 << 14:
        raise UsageError(f"resize={text}: give the shorter side in pixels, at least {min(height, width)}")
    return int(text)


def _filter(asked: Mapping[str, str]) -> int:
    name = asked.get("interpolation", "bilinear")
    if name not in FILTERS:
        raise unknown_name("interpolation", name, FILTERS)
    return int(FILTERS[name])


def _normalisation(asked: Mapping[str, str], given: _Input, label: str) -> tuple[Normalisation | None, list[str]]:
    """None for a network that takes bytes; and the names of what nobody said."""
    if given.dtype == np.uint8:
        if {"mean", "std"} & set(asked):
            raise UsageError(f"{label} takes 8-bit pixels: mean and std do not apply")
        return None, []
    assumed = [name for name in ("mean", "std") if name not in asked]
    mean, std = _three(asked, "mean", IMAGENET_MEAN), _three(asked, "std", IMAGENET_STD)
    if min(std) <= 0:
        raise UsageError(f"std={asked['std']}: give numbers above 0")
    return Normalisation(mean, std), assumed


def _three(asked: Mapping[str, str], name: str, usual: tuple[float, ...]) -> tuple[float, ...]:
    if name not in asked:
        return usual
    try:
        numbers = tuple(float(part) for part in asked[name].split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise UsageError(f"{name}={asked[name]}: give one number, or three with commas, for pixels in [0, 1]")
    return numbers * (3 // len(numbers))


class _Computes:
    """uint8 views [n, height, width, 3] -> embeddings, see ``Computes`` in ``runtime.py``."""

    def __init__(
        self, network: Any, given: _Input, normalise: Normalisation | None, output: str | None, pooling: str
    ) -> None:
        self.version: str = network.version
        self.batch_sizes: tuple[int, ...] = (given.batch,) if given.batch else ()
        self._network, self._given, self._normalise = network, given, normalise
        self._output, self._pooling, self._axes = output or network.session.get_outputs()[0].name, pooling, 0

    def __call__(self, chunks: Sequence[np.ndarray]) -> list[np.ndarray]:
        return parallel_map(self._one, chunks)

    def described(self) -> str:
        """Which vector is taken, in words."""
        how = {2: "as it is", 3: f"{self._pooling} of its tokens", 4: "mean over its positions"}
        return f"output {self._output}, {how[self._axes]}"

    def _one(self, views: np.ndarray) -> np.ndarray:
        batch = torch.from_numpy(views)
        if self._given.batch and len(batch) < self._given.batch:
            batch = torch.cat([batch, batch[-1:].expand(self._given.batch - len(batch), -1, -1, -1)])
        pixels = self._normalise(batch) if self._normalise else batch.permute(0, 3, 1, 2)
        if self._given.channels_last:
            pixels = pixels.permute(0, 2, 3, 1)
        found = self._network.run(np.ascontiguousarray(pixels.numpy().astype(self._given.dtype, copy=False)))
        if not isinstance(found, np.ndarray) or found.ndim not in (2, 3, 4) or len(found) != len(batch):
            shape = getattr(found, "shape", type(found).__name__)
            raise RuntimeError(f"its output {self._output} is {shape}, not an embedding of each of {len(batch)} views")
        if found.dtype.kind != "f":
            raise RuntimeError(f"its output {self._output} holds {found.dtype}, not numbers of an embedding")
        self._axes = found.ndim
        return pooled(torch.from_numpy(found).float(), self._pooling == "first")[: len(views)].numpy()
