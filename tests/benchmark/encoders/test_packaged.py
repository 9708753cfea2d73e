"""Networks in packages: found by path, refused unless they are the ones of the table, read as their packages do."""

import dataclasses
import hashlib

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmark.encoders import PACKAGED, load_encoder, with_library
from benchmark.encoders.loaders.packaged import load_packaged
from benchmark.encoders.loaders.packaged_networks import BILINEAR, NETWORKS, PackagedNetwork, Reading, ResizeLine
from benchmark.encoders.preprocess.pixels import ResizeTo
from benchmark.encoders.registry import LoadRequest
from builders.errors import EncoderError, UsageError

RNG = np.random.default_rng(0)
FILTERS = RNG.normal(size=(16, 3, 1, 1)).astype(np.float32)
REQUEST = LoadRequest("bundled:double")


def graph(width):
    """A classifier: convolution, mean over positions, a layer of three classes, softmax."""
    weights = [
        numpy_helper.from_array(FILTERS, "filters"),
        numpy_helper.from_array(RNG.normal(size=(16, 3)).astype(np.float32), "classes"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "filters"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("MatMul", ["features", "classes"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["shares"]),
    ]
    pictures = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, width])
    shares = helper.make_tensor_value_info("shares", TensorProto.FLOAT, ["n", 3])
    made = helper.make_graph(nodes, "double", [pictures], [shares], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def packaged(tmp_path, monkeypatch, reading, width=8, **changes):
    """A package of that name with a double in it, and its row of the table."""
    folder = tmp_path / "double_of_a_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('no code of a package runs')\n")
    onnx.save(graph(width), folder / "double.onnx")
    monkeypatch.syspath_prepend(str(tmp_path))
    sha256 = hashlib.sha256((folder / "double.onnx").read_bytes()).hexdigest()
    row = PackagedNetwork(
        "double", "double-of-a-package", "double_of_a_package", "double.onnx", sha256, "MIT", "nothing", reading, 16
    )
    return dataclasses.replace(row, **changes)


def test_packaged__embedding_is_what_the_last_layer_reads(tmp_path, monkeypatch):
    reading = Reading((ResizeTo(8, 8, BILINEAR),), bgr=True, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    encoder = load_packaged(packaged(tmp_path, monkeypatch, reading), REQUEST)
    photo = Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    levels = np.asarray(photo, np.float64)[..., ::-1] / 255
    expected = ((levels - reading.mean) / reading.std).mean((0, 1)) @ FILTERS[:, :, 0, 0].T
    given = encoder.embed(torch.from_numpy(encoder.preprocess(photo))[None]).numpy()[0]
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4)
    assert encoder.info.details["licence"] == "MIT"
    assert encoder.info.library == "bundled"


def test_packaged__zeros_stand_where_a_line_ends(tmp_path, monkeypatch):
    reading = Reading((ResizeLine(32, 8, BILINEAR),), opencv=True, mean=(0.5,) * 3, std=(0.5,) * 3, padded_width=32)
    encoder = load_packaged(packaged(tmp_path, monkeypatch, reading, width=32), REQUEST)
    view = encoder.preprocess(Image.new("RGB", (40, 20), (255, 255, 255)))
    assert (view.shape, view.dtype) == ((8, 32, 3), np.float32)
    assert (view[:, :16] == 1).all()
    assert (view[:, 16:] == 0).all()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sha256": "0" * 64}, "package"),
        ({"file": "other.onnx"}, "other.onnx"),
        ({"dimension": 17}, "16"),
    ],
)
def test_packaged__other_weights_than_those_of_the_table(changes, named, tmp_path, monkeypatch):
    row = packaged(tmp_path, monkeypatch, Reading((ResizeTo(8, 8, BILINEAR),)), **changes)
    with pytest.raises(EncoderError, match=named):
        load_packaged(row, REQUEST)


def test_packaged__a_package_that_is_not_installed(tmp_path, monkeypatch):
    row = packaged(tmp_path, monkeypatch, Reading((ResizeTo(8, 8, BILINEAR),)), module="rapidocr_of_nobody")
    with pytest.raises(UsageError, match="rapidocr_of_nobody"):
        load_packaged(row, REQUEST)


def test_table__every_network_states_its_licence_and_weights():
    assert len(PACKAGED) == len({n.sha256 for n in NETWORKS}) >= 8
    assert all(network.licence and network.trained and len(network.sha256) == 64 for network in NETWORKS)


def test_a_network_of_the_table__where_its_package_is_installed():
    pytest.importorskip("rapidocr_onnxruntime")
    encoder = load_encoder("bundled:ppocr-direction")
    assert encoder.info.dimension == 200
    assert encoder.preprocess(Image.new("RGB", (300, 200))).shape == (48, 192, 3)


def test_packaged__another_library_carries_out_the_steps_alone(tmp_path, monkeypatch):
    reading = Reading((ResizeLine(32, 8, BILINEAR),), opencv=True, mean=(0.5,) * 3, std=(0.5,) * 3, padded_width=32)
    encoder = load_packaged(packaged(tmp_path, monkeypatch, reading, width=32), REQUEST)
    photo = Image.fromarray(RNG.integers(0, 256, (40, 80, 3), dtype=np.uint8))
    view = with_library(encoder, "pillow").preprocess(photo)
    resized = np.asarray(photo.resize((16, 8), Image.Resampling.BILINEAR), np.float32)
    np.testing.assert_allclose(view[:, :16], resized / 127.5 - 1, atol=1e-6)
    assert (view[:, 16:] == 0).all()
    assert np.abs(encoder.preprocess(photo) - view).max() > 0.1
