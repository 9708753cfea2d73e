"""Compiled networks on disk, and the worker process of a first conversion: what is stored, passed, limited and said."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.encoders.runtime import cache, onnxruntime, openvino_graph, trial
from benchmark.encoders.runtime.cache import CompiledFile, CompiledNetwork, package_versions
from builders.errors import EncoderError
from builders.processes import SandboxError, WorkerLost


class Model:
    """A compiled model that is its bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def export_model(self) -> io.BytesIO:
        return io.BytesIO(self.data)


def stored(folder: Path) -> CompiledNetwork:
    network = CompiledNetwork(folder, "key")
    assert network.write([Model(b"abc"), Model(b""), Model(b"de")], 2e-7) == 2e-7
    return network


def test_package_versions__of_those_that_are_installed() -> None:
    assert package_versions(["torch", "no-such-package", "numpy"]) == {
        "torch": torch.__version__, "numpy": np.__version__
    }  # fmt: skip


def test_compiled_network__what_is_written_and_read_again(tmp_path: Path) -> None:
    absent = CompiledNetwork(tmp_path, "key")
    assert absent.read() is None
    assert (absent.error, absent.file) == (math.inf, CompiledFile(0, on_disk=False, new=False))
    assert stored(tmp_path).file == CompiledFile(5, on_disk=True, new=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.blob", "key.json"]
    blob, about = tmp_path / "key.blob", tmp_path / "key.json"
    assert blob.read_bytes() == b"abcde"
    digest = hashlib.sha256(b"abcde").hexdigest()
    assert json.loads(about.read_text()) == {"relative_error": 2e-7, "sha256": digest, "bytes": [3, 0, 2]}
    assert about.read_text().endswith("}\n")
    os.utime(blob, (1, 1))
    again = CompiledNetwork(tmp_path, "key")
    assert again.read() == [b"abc", b"", b"de"]
    assert (again.error, again.file) == (2e-7, CompiledFile(5, on_disk=True, new=False))
    assert blob.stat().st_mtime > 1  # the last use decides which one is removed
    assert again.write([Model(b"xy")], 9e-6) == 2e-7  # known under the error of the first compilation
    assert json.loads(about.read_text())["relative_error"] == 2e-7
    assert CompiledNetwork(tmp_path, "key").read() == [b"xy"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sha256": "0" * 64}, 2e-7),
        ({"bytes": 5}, 2e-7),
        ({"bytes": None}, 2e-7),
        ({"relative_error": "much"}, math.inf),
        ({"relative_error": None}, math.inf),
        *((text, math.inf) for text in ("", "{", "[]", "null")),
    ],
)
def test_compiled_network__a_damaged_description_is_none(change: Any, error: float, tmp_path: Path) -> None:
    stored(tmp_path)
    about = tmp_path / "key.json"
    about.write_text(
        change if isinstance(change, str) else json.dumps({**json.loads(about.read_text()), **change}),
    )
    network = CompiledNetwork(tmp_path, "key")
    assert network.read() is None
    assert (network.error, network.file) == (error, CompiledFile(0, on_disk=True, new=False))


@pytest.mark.parametrize("missing", ["sha256", "bytes", "relative_error"])
def test_compiled_network__a_description_without_an_entry_is_none(missing: str, tmp_path: Path) -> None:
    stored(tmp_path)
    about = json.loads((tmp_path / "key.json").read_text())
    about.pop(missing)
    (tmp_path / "key.json").write_text(json.dumps(about))
    assert CompiledNetwork(tmp_path, "key").read() is None


def test_compiled_network__a_file_that_was_removed_leaves_the_error(tmp_path: Path) -> None:
    stored(tmp_path)
    (tmp_path / "key.blob").unlink()
    network = CompiledNetwork(tmp_path, "key")
    assert network.read() is None
    assert (network.error, network.file) == (2e-7, CompiledFile(0, on_disk=False, new=False))


def test_write__one_that_exceeds_the_limit_alone_is_described_and_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 5)
    (tmp_path / "old.blob").write_bytes(b"1")
    os.utime(tmp_path / "old.blob", (1, 1))
    assert stored(tmp_path).file == CompiledFile(5, on_disk=True, new=True)
    assert not (tmp_path / "old.blob").exists()
    large = CompiledNetwork(tmp_path, "large")
    large.write([Model(b"123456")], 1e-6)
    assert large.file == CompiledFile(6, on_disk=False, new=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.blob", "key.json", "large.json"]


def test_write__a_full_disk_costs_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "write_bytes_atomically", full)
    assert stored(tmp_path).file == CompiledFile(5, on_disk=False, new=True)
    assert list(tmp_path.iterdir()) == []


def test_trial_folder__holds_the_views_and_is_removed(tmp_path: Path) -> None:
    views = np.arange(6, dtype=np.float32).reshape(2, 3)
    below = tmp_path / "not" / "yet"
    for where in (below, None):
        with contextlib.suppress(RuntimeError), trial.trial_folder(where, views) as folder:
            assert folder.name.startswith("trial-")
            assert (folder.parent == below) == (where is not None)
            assert [path.name for path in folder.iterdir()] == ["views.npy"]
            np.testing.assert_array_equal(np.load(folder / "views.npy"), views)
            raise RuntimeError("in it")
        assert not folder.exists()
    assert list(below.iterdir()) == []


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A worker process that returns ``answer``, or raises it; its calls are recorded."""
    record = SimpleNamespace(calls=[], answer={"failure": ""})

    class Worker:
        def __init__(self, target: str, **limits: Any) -> None:
            record.calls.append((target, limits))

        def call(self, *arguments: Any, parse: Any) -> Any:
            record.calls.append(arguments)
            if isinstance(record.answer, Exception):
                raise record.answer
            return parse(record.answer)

        def stop(self) -> None:
            record.calls.append("stopped")

    monkeypatch.setattr(trial, "Sandbox", Worker)
    return record


def test_in_own_process__the_function_its_arguments_and_limits(worker: SimpleNamespace, tmp_path: Path) -> None:
    for name, size in (("model.xml", 1_000_000), ("model.bin", 20_000_000), ("views.npy", 4_000_000)):
        (tmp_path / name).write_bytes(bytes(size))
    file = tmp_path / "model.xml"
    trial.in_own_process("mine", "OpenVINO", trial.compile_for_openvino, file, "3", memory=5)
    target = "benchmark.encoders.runtime.trial:compile_for_openvino"
    limits = {"timeout_s": 182.5, "memory_bytes": 5 + 8 * 2**30}
    assert worker.calls == [(target, limits), (file, "3"), "stopped"]


@pytest.mark.parametrize(
    ("answer", "kind", "message", "cause"),
    [
        ({"failure": "it lacks aten::x"}, "EncoderError", "X does not convert it (it lacks aten::x)", None),
        (WorkerLost(-8), "EncoderError", "X ends the process that converts it (SIGFPE)", None),
        (WorkerLost(-11), "EncoderError", "X ends the process that converts it (SIGSEGV)", None),
        (WorkerLost(-99), "EncoderError", "X ends the process that converts it (signal 99)", None),
        *((WorkerLost(status), "EncoderError", "X ends the process that converts it", None) for status in (None, 0, 1)),
        (SandboxError("took longer than 3 s"), "TrialError", "the conversion to X took longer than 3 s", None),
        (SandboxError("needs more than 5 bytes of memory"), "TrialError",
         "the conversion to X needs more than 5 bytes of memory", MemoryError),
    ],
)  # fmt: skip
def test_in_own_process__what_went_wrong_in_words(
    answer: Any, kind: str, message: str, cause: Any, worker: SimpleNamespace, tmp_path: Path
) -> None:
    worker.answer = answer
    with pytest.raises(EncoderError) as refused:
        trial.in_own_process("mine", "X", trial.compile_for_openvino, tmp_path / "model.xml", memory=0)
    assert (type(refused.value).__name__, str(refused.value)) == (kind, f"mine: {message}")
    assert type(refused.value.__cause__) is (cause or type(None))
    assert worker.calls[-1] == "stopped"


def test_compile_for_openvino__embeds_each_view_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(tmp_path / "views.npy", views)
    file, calls = tmp_path / "model.xml", []  # type: ignore[var-annotated]
    result: dict[str, Any] = {"error": None}

    def network(compiled: Any, streams: int) -> Any:
        def compute(chunks: Any) -> None:
            calls.append((compiled, streams, [chunk.tolist() for chunk in chunks]))
            if result["error"] is not None:
                raise result["error"]

        return compute

    def compile_models(model: Any, streams: int, batch: np.ndarray) -> str:
        calls.append((model, streams, batch.tolist()))
        return "compiled"

    monkeypatch.setattr(openvino_graph, "core", lambda: SimpleNamespace(read_model=lambda path: ("read", path)))
    monkeypatch.setattr(openvino_graph, "compile_models", compile_models)
    monkeypatch.setattr(openvino_graph, "OpenVinoNetwork", network)
    assert trial.compile_for_openvino(file, "2") == {"failure": ""}
    rows = views.tolist()
    assert calls == [(("read", file), 2, rows), ("compiled", 2, [[row] for row in rows])]
    for error, failure in (
        (RuntimeError("bad\nmore"), "bad"),
        (RuntimeError("no aten::b, aten::a, aten::b"), "it lacks aten::a, aten::b"),
    ):
        result["error"] = error
        assert trial.compile_for_openvino(file, "2") == {"failure": failure}
    result["error"] = MemoryError()
    with pytest.raises(MemoryError):
        trial.compile_for_openvino(file, "2")


def test_run_in_worker__embeds_all_views_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(tmp_path / "views.npy", views)
    calls: list[Any] = []
    result: dict[str, Any] = {"error": None}

    def network(model: Path) -> Any:
        def compute(chunks: Any) -> None:
            calls.append((model, [chunk.tolist() for chunk in chunks]))
            if result["error"] is not None:
                raise result["error"]

        return compute

    monkeypatch.setattr(onnxruntime, "OnnxNetwork", network)
    assert onnxruntime.run_in_worker(tmp_path / "model.onnx") == {"failure": ""}
    assert calls == [(tmp_path / "model.onnx", [views.tolist()])]
    result["error"] = ValueError("bad\nmore")
    assert onnxruntime.run_in_worker(tmp_path / "model.onnx") == {"failure": "bad"}
    result["error"] = MemoryError()
    with pytest.raises(MemoryError):
        onnxruntime.run_in_worker(tmp_path / "model.onnx")
