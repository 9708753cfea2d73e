"""Identities of files that are read in several parts are those of the whole; tensors of a network at any depth."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from benchmark.encoders.loaders.onnx.file import _tensors, read_description
from benchmark.encoders.loaders.scores import load_scores
from benchmark.encoders.loaders.stored import load_embeddings
from benchmark.encoders.registry import LoadRequest

PART = 1 << 24
"""Bytes that are read at a time."""

NOISE = np.random.default_rng(0).bytes(PART)


def sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize(("load", "column"), [(load_embeddings, "embedding"), (load_scores, "score")])
def test_tables__of_more_than_one_part(load: Any, column: str, tmp_path: Path) -> None:
    values: list[Any] = [[1.0, 2.0], [3.0, 4.0]] if column == "embedding" else [0.25, 0.5]
    table = {"photo_id": ["a", "b"], "other": [NOISE, b"the second part"], column: values}
    pq.write_table(pa.table(table), tmp_path / "e.parquet", compression="none", use_dictionary=False)
    content = (tmp_path / "e.parquet").read_bytes()
    assert len(content) > PART
    encoder = load(LoadRequest(f"{'embeddings' if column == 'embedding' else 'scores'}:{tmp_path}/e.parquet"))
    assert encoder.info.weights_sha256 == sha256(content)
    assert encoder.stored.vectors.tolist() == [v if isinstance(v, list) else [v] for v in values]


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


def test_tensors__of_every_graph_node_and_function() -> None:
    count = itertools.count()

    def tensor() -> Any:
        return helper.make_tensor(f"t{next(count)}", TensorProto.FLOAT, [1], [0.5])

    def sparse() -> Any:
        return onnx.SparseTensorProto(values=tensor(), indices=tensor(), dims=[2])

    def node(*graphs: Any) -> Any:
        made = helper.make_node("Op", [], [])
        for name, values in (
            ("t", tensor()), ("tensors", [tensor(), tensor()]), ("sparse_tensor", sparse()),
            ("sparse_tensors", [sparse(), sparse()]),
        ):  # fmt: skip
            attribute = made.attribute.add(name=name)
            if isinstance(values, list):
                getattr(attribute, name).extend(values)
            else:
                getattr(attribute, name).CopyFrom(values)
        if graphs:
            made.attribute.add(name="g").g.CopyFrom(graphs[0])
            made.attribute.add(name="graphs").graphs.extend(graphs[1:])
        return made

    def graph(*nodes: Any) -> Any:
        return helper.make_graph(
            list(nodes), "g", [], [], [tensor(), tensor()], sparse_initializer=[sparse(), sparse()]
        )

    sparse_alone = helper.make_graph([], "g", [], [], sparse_initializer=[sparse()])
    deep = graph(node(), node(graph(), graph(node()), sparse_alone, graph(node(graph()))))
    model = helper.make_model(graph(node(), node(deep)))
    model.functions.extend(onnx.FunctionProto(name=f"f{i}", node=[node(), node(graph(node()))]) for i in range(2))
    names = sorted(each.name for each in _tensors(model) if each.name)
    assert names == sorted(each.name for each in every_tensor(model))
    assert len(names) == len(set(names)) > 90
