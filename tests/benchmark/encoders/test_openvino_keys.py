"""When a network in OpenVINO is read, tried, compiled and stored; its key, settings and sentences."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.compute import library_version
from benchmark.encoders import CompiledFile, Embedder, EncoderInfo
from benchmark.encoders.placement import Placement
from benchmark.encoders.runtime import onnxruntime, openvino, openvino_graph
from benchmark.encoders.runtime.openvino_graph import fixed_size_models, no_telemetry
from builders.errors import EncoderError
from tests.benchmark.encoders.test_compiled_files import Model

INFO = EncoderInfo("mine", "timm", "r", "a" * 64, 2, {"size": 8}, "mean", 8, details={"a": 1})
VIEWS = torch.arange(12.0).reshape(3, 4)


def embedder(module: nn.Module | None = None, normalise: Any = None) -> Embedder:
    module = (module or nn.Identity()).eval()
    return Embedder("mine", module, lambda m, x: m(x), normalise, Placement("cpu", "float32"))


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """OpenVINO without OpenVINO: what it is called with is recorded."""
    record = SimpleNamespace(calls=[], models=[Model(b"ab"), Model(b"c")], fails=None)

    class Compiled:
        def __init__(self, models: Any, streams: int) -> None:
            self.models, self.streams, self.stored = models, streams, None

    def compiled(*arguments: Any) -> Any:
        record.calls.append(("compile", *arguments[:2], arguments[2].tolist()))
        if record.fails is not None:
            raise record.fails
        return record.models

    def tried(*arguments: Any) -> None:
        record.calls.append(("try", *arguments[:2], arguments[2].tolist(), *arguments[3:]))

    def imported(*arguments: Any) -> Any:
        record.calls.append(("import", *arguments))
        return arguments[0]

    core = SimpleNamespace(import_model=imported, get_property=lambda device, name: f"{device} {name}")
    for name, replacement in (
        ("core", lambda: core),
        ("OpenVinoNetwork", Compiled),
        ("compile_models", compiled),
        ("_try_elsewhere", tried),
        ("_traced", lambda embed, batch: f"traced {embed.name}"),
    ):
        monkeypatch.setattr(openvino, name, replacement)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield record
    torch.set_num_threads(before)


SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "NUM_STREAMS": 2,
    "INFERENCE_NUM_THREADS": 2,
    "ENABLE_CPU_PINNING": False,
}


def opened(folder: Path, *errors: float, info: EncoderInfo = INFO) -> tuple[Any, float, int]:
    """(network, its error, number of errors that were not measured)."""
    left = list(errors)
    network, error = openvino.open_network(info, embedder(), VIEWS, folder, lambda _: left.pop(0), 1e-5)
    return network, error, len(left)


def test_open_network__tried_compiled_and_stored_once_then_read(runtime: SimpleNamespace, tmp_path: Path) -> None:
    compiled = ("compile", "traced mine", 2, VIEWS.tolist())
    first, error, left = opened(tmp_path, 1e-5)  # the largest error is allowed
    assert runtime.calls == [("try", "mine", "traced mine", VIEWS.tolist(), tmp_path, 2), compiled]
    assert (first.models, first.streams, error, left) == (runtime.models, 2, 1e-5, 0)
    assert first.stored.file == CompiledFile(3, on_disk=True, new=True)
    runtime.calls.clear()
    read, error, left = opened(tmp_path, 1e-5)
    assert runtime.calls == [("import", b"ab", "CPU", SETTINGS), ("import", b"c", "CPU", SETTINGS)]
    assert (read.models, read.streams, error, left) == ([b"ab", b"c"], 2, 1e-5, 0)
    assert read.stored.file == CompiledFile(3, on_disk=True, new=False)
    assert opened(tmp_path, 3e-7)[1] == 1e-5  # as measured when it was compiled
    runtime.calls.clear()
    again, error, left = opened(tmp_path, 1.1e-5, 4e-6)  # one that computes something else is compiled again
    assert runtime.calls[2:] == [compiled]
    assert (again.models, error, left) == (runtime.models, 1e-5, 0)
    assert again.stored.file == CompiledFile(3, on_disk=True, new=True)


def test_open_network__not_stored_where_it_differs_or_is_not_identified(
    runtime: SimpleNamespace, tmp_path: Path
) -> None:
    network, error, _ = opened(tmp_path, 1.1e-5)
    assert (network.stored, error) == (None, 1.1e-5)
    runtime.calls.clear()
    network, error, _ = opened(tmp_path, 2e-6, info=replace(INFO, weights_sha256=None))
    assert (network.stored, error) == (None, 2e-6)
    assert runtime.calls[0] == ("try", "mine", "traced mine", VIEWS.tolist(), None, 2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("of aten::b\nand prim::a, aten::b torchvision::nms, quantized::add; xaten::c, other::d"),
         "mine: OpenVINO does not convert it (it lacks aten::b, prim::a, quantized::add, torchvision::nms)"),
        (ValueError("bad\nmore"), "mine: OpenVINO does not convert it (bad)"),
        (EncoderError("as it is"), "as it is"),
    ],
)  # fmt: skip
def test_open_network__errors_in_words(
    error: Exception, message: str, runtime: SimpleNamespace, tmp_path: Path
) -> None:
    runtime.fails = error
    with pytest.raises(EncoderError) as refused:
        opened(tmp_path, 1e-7)
    assert str(refused.value) == message


def test_key__has_everything_that_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = {"FULL_DEVICE_NAME": "one"}
    core = SimpleNamespace(get_property=lambda device, name: (device, machine[name]))
    monkeypatch.setattr(openvino, "core", lambda: core)
    views = torch.zeros(3, 8, 8, 3, dtype=torch.uint8)

    def key(batch: torch.Tensor = views, **changes: Any) -> str:
        return openvino._key(replace(INFO, **changes), batch)

    first = key()
    assert (len(first), key(views[:1]), key(dimension=3, parameters=1, group="SSL")) == (20, first, first)
    keys = [
        *(key(**{name: "other"}) for name in ("id", "library", "revision", "weights_sha256", "pooling")),
        key(preprocessing={"size": 9}), key(details={"a": 2}), key(views[:, :4]), key(views.float()),
    ]  # fmt: skip
    for name, value in (("HEAVY_WEIGHTS", 9), ("VIEWS_TOGETHER", 2), ("MAX_VIEW_BYTES", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(openvino, name, value)
            keys.append(key())
    machine["FULL_DEVICE_NAME"] = "another"
    keys.append(key())
    machine["FULL_DEVICE_NAME"] = "one"
    for package in ("camtrace", "openvino", "torch", "torchvision", "timm", "transformers", "open_clip_torch"):
        with monkeypatch.context() as patch:
            patch.setattr("benchmark.encoders.runtime.cache.library_version", lambda name, other=package: name == other)
            keys.append(key())
    library_version.cache_clear()
    assert len({first, *keys}) == 1 + len(keys)
    assert key() == first


@pytest.mark.parametrize(("width", "sizes"), [(16, [4, 1]), (17, [-1])])
def test_fixed_size_models__the_ratio_of_weights_is_exact(width: int, sizes: list[int]) -> None:
    """16 numbers a view and a matrix of 16 x width: its bytes are at most 8 times those written up to a width of 16."""
    opset = openvino_graph.openvino.opset13
    views = opset.parameter([-1, 16], np.float32)
    product = opset.matmul(views, opset.constant(np.ones((16, width), np.float32)), False, False)
    models = fixed_size_models(openvino_graph.openvino.Model([product], [views]))
    lengths = [model.input(0).get_partial_shape()[0] for model in models]
    assert [-1 if length.is_dynamic else length.get_length() for length in lengths] == sizes


def test_no_telemetry__the_package_is_as_it_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    package: Any = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "openvino_telemetry", package)
    with contextlib.suppress(RuntimeError), no_telemetry():
        assert sys.modules["openvino_telemetry"] is None
        raise RuntimeError("in it")
    assert sys.modules["openvino_telemetry"] is package
    monkeypatch.delitem(sys.modules, "openvino_telemetry")
    with no_telemetry():
        pass
    assert "openvino_telemetry" not in sys.modules
    for before in (None, "0"):
        if before is None:
            monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
        else:
            monkeypatch.setenv("ORT_DISABLE_TELEMETRY", before)
        with onnxruntime._no_telemetry():
            assert os.environ["ORT_DISABLE_TELEMETRY"] == (before or "1")
        assert os.environ.get("ORT_DISABLE_TELEMETRY") == before
