"""What an ONNX file says of itself, read through the door: its hash, its weights beside it, its metadata."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import EncoderError
from builders.outside import Refused, open_outside, readable_line

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
        with open_outside(path, limit=LARGEST_FILE) as stream:
            data = stream.read(LARGEST_FILE)
        digest.update(data)
        model = _protocol_buffer(onnx.ModelProto, data, label)
        beside = sorted({_location(tensor) for tensor in _tensors(model) if tensor.data_location == tensor.EXTERNAL})
        for name in beside:
            with open_outside(path.parent / name, limit=LARGEST_WEIGHTS, inside=path.parent) as stream:
                digest.update(f"\0{name}\0".encode())
                while part := stream.read(1 << 24):
                    digest.update(part)
    except Refused as error:
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
    return readable_line(error).replace(f"{path.parent}/", "").removeprefix(f"{path.name}: ")
