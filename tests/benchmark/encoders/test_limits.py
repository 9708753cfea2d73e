"""How many bytes of each file of others are read at most, by every loader that opens one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper

from benchmark.encoders.loaders import hub, scores, stored
from benchmark.encoders.loaders.checkpoint_files import formats
from benchmark.encoders.loaders.onnx import file as onnx_file
from benchmark.encoders.loaders.transformers import answering
from benchmark.encoders.registry import LoadRequest
from builders.errors import EncoderError
from builders.untrusted import MAX_CONFIG_BYTES, MAX_HUB_FILE_BYTES

GIB = 1 << 30


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The name of each file that is opened, or the columns that are read of it, and the limits."""
    record: list[tuple[str, dict[str, Any]]] = []

    def recorded(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, *more: Any, **named: Any) -> Any:
            record.append((file.name if isinstance(file, Path) else str(more), named))
            return real(file, *more, **named)

        return call

    for module in (answering, formats, hub, onnx_file, scores, stored):
        for name in ("open_untrusted", "read_untrusted", "read_columns"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, recorded(getattr(module, name)))
    return record


def test_limits__of_tables_with_embeddings_and_scores(limits: Any, tmp_path: Path) -> None:
    columns = {"photo_id": ["a", "b"], "embedding": [[1.0], [2.0]], "score": [1.0, 2.0]}
    pq.write_table(pa.table(columns), tmp_path / "e.parquet")
    np.save(tmp_path / "e.npy", np.ones((2, 3)))
    (tmp_path / "e.csv").write_text("photo_id,score\na,1\nb,2\n")
    for spec, expected in (
        ("e.parquet", [("e.parquet", {"limit": 64 * GIB}), ("(['photo_id', 'embedding'],)", {"limit": 64 * GIB})]),
        ("e.npy", [("e.npy", {"limit": 64 * GIB}), ("e.csv", {"limit": 4 * GIB})]),
    ):
        stored.load_embeddings(LoadRequest(f"embeddings:{tmp_path}/{spec}"))
        assert limits == expected
        limits.clear()
    for name in ("e.parquet", "e.csv"):
        scores.load_scores(LoadRequest(f"scores:{tmp_path}/{name}"))
        assert limits == [(name, {"limit": 8 * GIB})]
        limits.clear()


def test_limits__of_files_of_weights(limits: Any, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"12345678{}")
    answering._files_hash([tmp_path / "model.safetensors"])
    formats.format_of(tmp_path / "model.safetensors", "mine")
    assert limits == [("model.safetensors", {"limit": MAX_HUB_FILE_BYTES})] * 2
    limits.clear()
    outside = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="b.bin")
    (tmp_path / "b.bin").write_bytes(b"x")
    node = helper.make_node("Identity", ["w"], ["y"])
    graph = helper.make_graph([node], "g", [], [helper.make_tensor_value_info("y", 1, [3])], [outside])
    (tmp_path / "a.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    onnx_file.read_description(tmp_path / "a.onnx", "onnx:a.onnx")
    assert limits == [("a.onnx", {"limit": 2 * GIB}), ("b.bin", {"limit": 64 * GIB, "inside": tmp_path})]


def test_limits__of_the_files_of_a_repo(limits: Any, tmp_path: Path) -> None:
    weights = ("a.safetensors", "b.bin", "c.pth", "d.pt")
    others = ("e.json", "f.txt", "g.model")
    for name in (*weights, *others, "h.py", "i.jinja", "README.md"):
        (tmp_path / name).write_text("---\nlibrary_name: timm\n---\n")
    hub.check_files(tmp_path, "mine")
    assert limits == [
        *((name, {"limit": MAX_HUB_FILE_BYTES}) for name in weights),
        *((name, {"limit": 256 << 20}) for name in others),
    ]
    limits.clear()
    assert hub.library_of_card(tmp_path) == "timm"
    assert limits == [("README.md", {"limit": MAX_CONFIG_BYTES})]


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "spiece.model"])
def test_check_files__a_description_that_is_too_large(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").touch()
    (tmp_path / name).touch()
    os.truncate(tmp_path / name, 256 << 20)
    hub.check_files(tmp_path, "mine")
    os.truncate(tmp_path / name, (256 << 20) + 1)
    with pytest.raises(EncoderError, match=rf"^mine: {name}: .* more than the 256 MiB that such a file may have"):
        hub.check_files(tmp_path, "mine")
    os.truncate(tmp_path / "model.safetensors", (256 << 20) + 1)
    (tmp_path / name).write_text(json.dumps({}))
    hub.check_files(tmp_path, "mine")


@pytest.mark.parametrize("name", ["a.safetensors", "b.bin", "c.pth", "d.pt", "e.json", "f.txt", "g.model"])
def test_check_files__a_link_to_nothing_and_a_pipe(name: str, tmp_path: Path) -> None:
    for make in (os.mkfifo, lambda file: os.symlink("absent", file)):
        (tmp_path / "model.safetensors").touch()
        make(tmp_path / name)
        with pytest.raises(EncoderError, match=rf"^mine: {name}: "):
            hub.check_files(tmp_path, "mine")
        (tmp_path / name).unlink()
    hub.check_files(tmp_path, "mine")
