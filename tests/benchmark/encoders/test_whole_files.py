"""Identities of files that are read in several parts are those of the whole; tensors of a network at any depth."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from benchmark.encoders.loaders.onnx.file import read_description

PART = 1 << 24
"""Bytes that are read at a time."""

NOISE = np.random.default_rng(0).bytes(PART)


def sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_weights__next_to_an_onnx_file(tmp_path: Path) -> None:
    node = helper.make_node("Identity", ["w"], ["y"])
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in (("offset", "0"), ("location", "b.bin"), ("length", "12")):
        outside.external_data.add(key=key, value=value)
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", 1, [3])], [outside])
    content = helper.make_model(graph).SerializeToString()
    (tmp_path / "a.onnx").write_bytes(content)
    made = []
    for last in (b"x", b"y"):
        (tmp_path / "b.bin").write_bytes(NOISE + last)
        made.append(read_description(tmp_path / "a.onnx", "onnx:a.onnx"))
        assert made[-1].sha256 == sha256(content, b"\0b.bin\0", NOISE, last)
    assert (made[0].parameters, made[0].details["weights_beside"]) == (3, ["b.bin"])
    assert made[0].sha256 != made[1].sha256


def every_tensor(message: Any) -> Iterator[Any]:
    """Tensors at any depth of a message, by its fields as protobuf lists them."""
    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                yield from every_tensor(inner)
