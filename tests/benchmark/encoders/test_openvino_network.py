"""Networks in OpenVINO: the number of views at a time, compiled networks on disk, signals."""

import hashlib
import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.encoders import Embedder, largest_relative_error
from benchmark.encoders.placement import Placement
from benchmark.encoders.runtime.cache import CompiledNetwork, remove_least_recently_used
from benchmark.encoders.runtime.openvino import _traced
from benchmark.encoders.runtime.openvino_graph import OpenVinoNetwork, core, openvino, settings
from tests.support.networks import Small, made

pytestmark = pytest.mark.usefixtures("as_for_users")


@pytest.mark.slow
def test_compiled__stored_and_read_again_bit_for_bit(tmp_path, monkeypatch, views):
    first = made(Small(), tmp_path)
    [blob] = (tmp_path / "compiled").glob("*.blob")
    about = json.loads(blob.with_suffix(".json").read_text())
    assert about["sha256"] == hashlib.sha256(blob.read_bytes()).hexdigest()
    blob.with_suffix(".json").write_text(json.dumps({**about, "relative_error": 1.25e-7}))
    with monkeypatch.context() as patch:
        patch.setattr("benchmark.encoders.runtime.openvino._traced", lambda *_: pytest.fail("it was converted again"))
        again = made(Small(), tmp_path)
    assert torch.equal(again.embed(views), first.embed(views))
    assert again.runtime.relative_error == 1.2e-7  # the error in the keys of its banks
    blob.write_bytes(blob.read_bytes() + bytes(100))  # OpenVINO reads it all the same
    mended = made(Small(), tmp_path)
    assert torch.equal(mended.embed(views), first.embed(views))
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == json.loads(blob.with_suffix(".json").read_text())["sha256"]
    assert mended.runtime == again.runtime


@pytest.mark.slow
def test_compiled__of_another_network_is_detected(tmp_path, views):
    """Two networks under one name, as if the key lacked their difference."""
    made(Small(), tmp_path)
    other = Small()
    other.layers[0].weight.data.mul_(1.5)
    expected = made(other, tmp_path / "alone")
    [stale] = (tmp_path / "compiled").glob("*.blob")
    [other_blob] = (tmp_path / "alone" / "compiled").glob("*.blob")
    data, about = stale.read_bytes(), stale.with_suffix(".json").read_text()
    (tmp_path / "compiled" / other_blob.name).write_bytes(data)
    (tmp_path / "compiled" / other_blob.name).with_suffix(".json").write_text(about)
    assert torch.equal(made(other, tmp_path).embed(views), expected.embed(views))


def test_remove_least_recently_used__until_the_size_is_small_enough(tmp_path):
    for age, name in enumerate("cab"):
        (tmp_path / f"{name}.blob").write_bytes(bytes(10))
        os.utime(tmp_path / f"{name}.blob", (1000 + age, 1000 + age))
    (tmp_path / "c.json").write_text("{}")
    remove_least_recently_used(tmp_path, 30)
    assert len(list(tmp_path.glob("*.blob"))) == 3
    remove_least_recently_used(tmp_path, 29)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.blob", "b.blob", "c.json"]
    remove_least_recently_used(tmp_path, 10)
    assert sorted(path.name for path in tmp_path.glob("*.blob")) == ["b.blob"]


@pytest.mark.parametrize("trained", [False, True])
def test_openvino__weights_that_may_still_be_trained_are_converted_too(trained, views):
    """Weights of a traced function are constants; torch refuses those that require gradients."""
    module = Small().eval().requires_grad_(trained)
    embed = Embedder("e", module, lambda m, x: m(x), None, Placement("cpu", "float32"))
    network = OpenVinoNetwork([core().compile_model(_traced(embed, views[:3]), "CPU", settings(1))], 1)
    assert largest_relative_error(network([views.numpy()])[0], embed(views).numpy()) < 2e-6


@pytest.mark.slow
def test_openvino__signals_are_handled_after_networks_are_gone(tmp_path):
    """With a core for each network, the stack of signal handlers belonged to a destroyed core (SIGSEGV)."""
    code = (
        "import faulthandler, gc, os, pathlib, signal, sys\n"
        "faulthandler.enable()\n"
        "import torch\n"
        "from benchmark.encoders import as_encoder\n"
        "from benchmark.encoders.runtime.choose import on_runtime\n"
        "from tests.support.networks import Small, made\n"
        "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n"
        "networks = [made(Small(), pathlib.Path(sys.argv[1]) / f'{i}', 'openvino') for i in range(2)]\n"
        "assert all(encoder.runtime.name == 'openvino' for encoder in networks)\n"
        "while networks:\n"
        "    del networks[0]\n"
        "    gc.collect()\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
    )
    process = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert (process.returncode, process.stdout.split()) == (0, ["handled"] * 2), process.stderr


def test_openvino__not_one_embedding_for_each_view_is_an_error(views):
    from openvino import opset13 as ops

    given = ops.parameter([-1, 3, 16, 16], np.float32)
    mean = ops.reshape(ops.reduce_mean(given, np.array([0, 2, 3])), np.array([1, 3]), special_zero=False)
    model = openvino.Model([mean], [given])
    wrong = OpenVinoNetwork([core().compile_model(model, "CPU")], 1)
    with pytest.raises(RuntimeError, match="embedding"):
        wrong([views[:4].numpy()])


def test_write__networks_in_a_folder_take_four_gibibytes_at_most(tmp_path):
    for i, gibibytes in enumerate((3, 1)):  # sparse: they take no space
        with open(tmp_path / f"{i}.blob", "wb") as stream:
            stream.truncate(gibibytes << 30)
        os.utime(tmp_path / f"{i}.blob", (i, i))
    CompiledNetwork(tmp_path, "new").write([], 0.0)
    assert sorted(path.name for path in tmp_path.glob("*.blob")) == ["0.blob", "1.blob", "new.blob"]
    model = SimpleNamespace(export_model=lambda: io.BytesIO(b"one byte more"))
    CompiledNetwork(tmp_path, "newer").write([model], 0.0)
    assert sorted(path.name for path in tmp_path.glob("*.blob")) == ["1.blob", "new.blob", "newer.blob"]
