"""Networks in another library: what decides the error, what an export and a session get, what torch does meanwhile."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders.encoder import Encoder, Runtime
from benchmark.encoders.network import Network, Normalisation, network_encoder
from benchmark.encoders.placement import Placement
from benchmark.encoders.runtime import choose, onnxruntime, openvino, speed
from benchmark.encoders.runtime.export import WholeNetwork, tracing
from builders.errors import CamtraceError, EncoderError
from tests.benchmark.encoders.test_openvino_decisions import INFO, VIEWS, embedder


def small_encoder() -> Encoder:
    network = Network("mine", "timm", nn.Linear(3, 2), lambda image: np.asarray(image.resize((8, 8))), {},
                      Normalisation((0.0,) * 3, (1.0,) * 3), lambda m, x: m(x.mean((2, 3))), "mean")  # fmt: skip
    return network_encoder(network, Placement("cpu", "float32"))


@pytest.mark.parametrize(("sizes", "chunks", "views"), [((), [3, 1], None), ((4, 1), [1] * 4, 1), ((2,), [2, 1, 1], 2)])
def test_converted__the_error_of_a_batch_and_of_one_view(
    sizes: tuple[int, ...], chunks: list[int], views: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = small_encoder()
    embed: Any = encoder.embed
    lengths: list[int] = []
    state: dict[str, Any] = {"error": None, "fails": None, "factor": 1.0}

    class Other:
        version, batch_sizes = "9", sizes

        def __call__(self, parts: Any) -> Any:
            if state["fails"] is not None:
                raise state["fails"]
            lengths.extend(map(len, parts))
            return [embed(torch.from_numpy(part)).numpy() * np.float32(state["factor"]) for part in parts]

    network = Other()

    def open_network(*given: Any) -> Any:
        info, embedding, batch, folder, error_of, largest = given
        assert (info, embedding, folder, largest) == (encoder.info, embed, tmp_path / "compiled", 1e-5)
        assert batch.shape == (3, 8, 8, 3)
        measured = error_of(network)
        return network, measured if state["error"] is None else state["error"]

    monkeypatch.setattr(openvino, "open_network", open_network)
    batch = choose._probe_views(encoder)

    def converted() -> Any:
        return choose._converted(encoder, embed, "openvino", tmp_path, batch)

    result = converted()
    assert lengths == chunks
    assert result.runtime == Runtime("openvino", "9", 0.0, views=views)
    assert (result.in_torch(), result.embed.network, result.info) == (encoder, network, encoder.info)
    for error, recorded in ((1e-5, 1e-5), (1.26e-7, 1.3e-7)):
        state["error"] = error
        assert converted().runtime.relative_error == recorded
    state["error"] = 1.01e-5
    with pytest.raises(CamtraceError) as differs:
        converted()
    assert str(differs.value) == (
        "mine: OpenVINO computes something else than torch (relative error 1.0e-05, at most 1e-05 is allowed)"
    )
    state.update(error=None, factor=2.0)
    with pytest.raises(EncoderError, match=r"relative error 1\.0e\+00, at most 1e-05"):
        converted()
    state["fails"] = ValueError("bad\nmore")
    with pytest.raises(EncoderError) as refused:
        converted()
    assert str(refused.value) == "mine: OpenVINO does not run it (bad)"


def test_probe_views__of_three_pictures() -> None:
    encoder = replace(small_encoder(), preprocess=lambda image: np.array(image.size))
    assert choose._probe_views(encoder).tolist()[1:] == [[200, 300], [256, 256]]


def test_exported_network__what_the_export_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def export(*given: Any, **named: Any) -> None:
        module, inputs, file = given
        assert (module.training, torch.is_inference_mode_enabled()) == (False, True)
        assert isinstance(module, WholeNetwork)
        file.write(b"network")
        calls.append((inputs, named))

    def tried(*given: Any) -> None:
        calls.append((*given[:2], given[2].tolist(), given[3]))

    monkeypatch.setattr(torch.onnx, "export", export)
    monkeypatch.setattr(onnxruntime, "_try_elsewhere", tried)
    monkeypatch.setattr(onnxruntime, "OnnxNetwork", lambda model: ("session", model))
    assert onnxruntime.exported_network(INFO, embedder(), VIEWS, tmp_path) == ("session", b"network")
    axes = {"views": {0: "n"}, "embeddings": {0: "n"}}
    assert calls == [
        ((VIEWS,), {"dynamo": False, "opset_version": 17, "input_names": ["views"], "output_names": ["embeddings"],
                    "dynamic_axes": axes}),
        ("mine", b"network", VIEWS.tolist(), speed.choice_file(tmp_path, "onnxruntime", INFO, VIEWS)),
    ]  # fmt: skip


def test_tracing__settings_are_as_they_were_before() -> None:
    mha = torch.backends.mha
    before = mha.get_fastpath_enabled()
    try:
        for enabled in (True, False):
            mha.set_fastpath_enabled(enabled)
            with contextlib.suppress(RuntimeError), tracing():
                assert (mha.get_fastpath_enabled(), torch.is_inference_mode_enabled()) == (False, True)
                raise RuntimeError("in it")
            assert mha.get_fastpath_enabled() is enabled
    finally:
        mha.set_fastpath_enabled(before)


def test_whole_network__normalises_or_takes_floats() -> None:
    views = torch.tensor([[1, 2]], dtype=torch.uint8)
    plain = WholeNetwork(embedder())(views)
    assert (plain.dtype, plain.tolist()) == (torch.float32, [[1, 2]])
    assert WholeNetwork(embedder(normalise=lambda pixels: pixels * 2.5))(views).tolist() == [[2.5, 5]]


def test_processor__of_the_first_core_or_of_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(speed, "CPU_INFO", file)
    monkeypatch.setattr(speed.platform, "machine", lambda: "arm")
    monkeypatch.setattr(speed.platform, "processor", lambda: "m1")
    assert speed._processor() == {"machine": "arm", "processor": "m1"}
    lines = ["vendor_id\t: A", "cpu family : 6", "model : 85", "model name\t: One: two", "flags : x y", "stepping : 3"]
    file.write_text("\n".join(["processor : 0", *lines, "", "processor : 1", "model : 86", "vendor_id : B"]))
    assert speed._processor() == {
        "vendor_id": "A", "cpu family": "6", "model": "85", "model name": "One: two", "flags": "x y"
    }  # fmt: skip
    file.write_text("processor : 0\n")
    assert speed._processor() == {"machine": "arm", "processor": "m1"}
