"""The first conversion in a process of its own: native code that crashes or hangs costs that process, not the run."""

import json
import subprocess
import sys

import pytest
import torch

from benchmark.__main__ import main
from benchmark.encoders.runtime import trial
from benchmark.encoders.runtime.choose import on_runtime
from benchmark.results import read_result
from builders.errors import EncoderError
from tests.support.bad_conversions import crashes_for_large_networks, ends_by_a_signal, fails, hangs
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
    with pytest.raises(EncoderError, match=r"ends the process that converts it \(SIGFPE\)"):
        made(Small(), tmp_path, runtime)


def test_trial__a_hang_ends_and_is_no_verdict_for_other_days(tmp_path, monkeypatch):
    by(hangs, monkeypatch)
    monkeypatch.setattr("benchmark.encoders.runtime.trial.START_S", 0.2)
    encoder = made(Small(), tmp_path)
    assert encoder.runtime.name == "torch"
    assert "the conversion to OpenVINO took longer than 0.2" in encoder.runtime.reason
    monkeypatch.undo()
    monkeypatch.delenv("CAMTRACE_RUNTIME", raising=False)
    monkeypatch.setattr("benchmark.encoders.runtime.choose.times_as_fast", lambda *_: 2.0)
    assert made(Small(), tmp_path).runtime.name == "openvino"


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_trial__once_for_a_network(runtime, tmp_path, monkeypatch, views):
    pytest.importorskip(runtime)
    in_torch = made(Small(), tmp_path, "torch")
    first = on_runtime(in_torch, runtime, tmp_path)
    assert not list((tmp_path / "compiled").glob("trial-*"))
    for blob in (tmp_path / "compiled").glob("*.blob"):
        blob.unlink()  # as if it had been removed for space: compiled again, in this process
    monkeypatch.setattr(trial, "in_own_process", lambda *_, **__: pytest.fail("it was tried again"))
    again = on_runtime(in_torch, runtime, tmp_path)
    assert torch.equal(first.embed(views), again.embed(views))


NETWORKS = """
import numpy as np
import torch
from PIL import Image

class First(torch.nn.Module):
    cache_key, width = "1", 8

    def __init__(self):
        super().__init__()
        torch.manual_seed(self.width)
        first = torch.nn.Conv2d(3, 8, 3, 4)
        self.layers = torch.nn.Sequential(first, torch.nn.Flatten(), torch.nn.Linear(288, self.width))

    @staticmethod
    def preprocess(image):
        return np.asarray(image.resize((24, 24), Image.Resampling.BILINEAR), dtype=np.float32).transpose(2, 0, 1) / 255

    def forward(self, x):
        return self.layers(x)

class Crashing(First):
    width = 96

class Last(First):
    width = 9
"""


@pytest.mark.usefixtures("unpainted", "brief")
def test_sweep__of_three_networks_of_which_one_crashes_openvino(tmp_path, photo_folder, monkeypatch):
    (tmp_path / "networks_of_trial.py").write_text(NETWORKS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    by(crashes_for_large_networks, monkeypatch)
    names = [f"networks_of_trial:{name}" for name in ("First", "Crashing", "Last")]
    models = [word for name in names for word in ("--model", name)]
    data = ("--data", f"folder:{photo_folder}", "--tasks", "probe/resizing", "--workers", "0", "--quiet")
    assert main(["sweep", *models, *data, "--output", "out", "--cache", "cache"]) == 0
    rows = json.loads((tmp_path / "out" / "sweep.json").read_text())["rows"]
    assert [row["state"] for row in rows] == ["scored"] * 3
    files = sorted((tmp_path / "out").glob("*/*/result.json"))
    runtimes = {read_result(file).encoder["id"]: read_result(file).environment["runtime"] for file in files}
    assert [runtimes[name]["name"] for name in names] == ["openvino", "torch", "openvino"]
    assert "OpenVINO ends the process that converts it (SIGFPE)" in runtimes[names[1]]["reason"]


def test_trial__the_worker_starts_without_torch():
    modules = "benchmark.encoders.runtime.trial, benchmark.encoders.runtime.openvino_graph"
    done = subprocess.run([sys.executable, "-c", f"import sys, {modules}; sys.exit('torch' in sys.modules)"])
    assert done.returncode == 0
