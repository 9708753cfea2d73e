"""The first conversion in a process of its own: native code that crashes or hangs costs that process, not the run."""

import subprocess
import sys

import pytest
import torch

from builders.errors import EncoderError
from tests.support.bad_conversions import ends_by_a_signal, fails, hangs
from tests.support.networks import Small, made

pytestmark = pytest.mark.usefixtures("as_for_users")


def by(function, monkeypatch):
    """Let workers call a function that does not convert."""
    for name in ("trial.compile_for_openvino", "onnxruntime.run_in_worker"):
        monkeypatch.setattr(f"benchmark.encoders.runtime.{name}", function)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (ends_by_a_signal, "OpenVINO ends the process that converts it (SIGFPE)"),
        (fails, "OpenVINO does not convert it (it lacks aten::svd)"),
    ],
)
def test_trial__what_fails_means_torch_and_is_not_tried_again(function, reason, tmp_path, monkeypatch, views):
    by(function, monkeypatch)
    encoder = made(Small(), tmp_path)
    assert (encoder.runtime.name, encoder.runtime.reason.partition(": ")[2]) == ("torch", reason)
    assert torch.equal(encoder.embed(views), made(Small(), tmp_path, "torch").embed(views))
    monkeypatch.setattr("benchmark.encoders.runtime.openvino.open_network", lambda *_: pytest.fail("tried again"))
    assert made(Small(), tmp_path).runtime == encoder.runtime


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_trial__a_requested_runtime_that_crashes_is_an_error(runtime, tmp_path, monkeypatch):
    pytest.importorskip(runtime)
    by(ends_by_a_signal, monkeypatch)
    with pytest.raises(EncoderError, match="converts"):
        made(Small(), tmp_path, runtime)


@pytest.mark.slow
def test_trial__a_hang_ends_and_is_no_verdict_for_other_days(tmp_path, monkeypatch):
    by(hangs, monkeypatch)
    monkeypatch.setattr("benchmark.encoders.runtime.trial.START_S", 0.2)
    encoder = made(Small(), tmp_path)
    assert encoder.runtime.name == "torch"
    assert "OpenVINO" in encoder.runtime.reason
    monkeypatch.undo()
    monkeypatch.delenv("CAMTRACE_RUNTIME", raising=False)
    monkeypatch.setattr("benchmark.encoders.runtime.choose.times_as_fast", lambda *_: 2.0)
    assert made(Small(), tmp_path).runtime.name == "openvino"


def test_trial__the_worker_starts_without_torch():
    modules = "benchmark.encoders.runtime.trial, benchmark.encoders.runtime.openvino_graph"
    done = subprocess.run([sys.executable, "-c", f"import sys, {modules}; sys.exit('torch' in sys.modules)"])
    assert done.returncode == 0
