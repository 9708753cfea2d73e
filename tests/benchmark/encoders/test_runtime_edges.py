"""Which library computes a network: chunks, obstacles and their words, stored choices, without any conversion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.encoders.encoder import Encoder, Runtime
from benchmark.encoders.network import Network, Normalisation, network_encoder
from benchmark.encoders.placement import Placement, placement
from benchmark.encoders.provenance import family_of, group_and_data, statement
from benchmark.encoders.runtime.cache import NO_FILE
from benchmark.encoders.runtime.choose import (
    RuntimeEmbedder,
    chunk_sizes,
    compiled_file,
    largest_relative_error,
    leaves_views_unchanged,
    on_runtime,
)
from benchmark.encoders.runtime.speed import Choice, cached_choice, choice_of, store_choice
from builders.errors import CamtraceError

CHOOSE = "benchmark.encoders.runtime.choose"


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((8, 8)))


def means(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return pixels.mean((2, 3))


def encoder_of(module: nn.Module | None = None, **more: Any) -> Encoder:
    network = Network("mine", "callable", module or nn.Linear(3, 2), small, {}, Normalisation((0.0,) * 3, (1.0,) * 3),
                      means, "mean", **more)  # fmt: skip
    return network_encoder(network, Placement("cpu", "float32"))


def refusal(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


@pytest.mark.parametrize("sizes", [(), (1,), (4, 1), (16,), (8, 4, 1)])
def test_chunk_sizes__whole_rounds_of_large_chunks_then_the_rest(sizes: tuple[int, ...]) -> None:
    for threads in (1, 2, 3):
        for count in range(1, 60):
            *large, least = sizes or (min(8, (count + threads - 1) // threads),)
            expected: list[int] = []
            left = count
            for size in large:
                while left >= size * threads:
                    expected += [size] * threads
                    left -= size * threads
            while left:
                expected.append(min(least, left))
                left -= expected[-1]
            assert chunk_sizes(count, threads, sizes) == expected, (count, threads)


class Chunks:
    """A network of another library that returns, for each view, its mean; or fails."""

    version, batch_sizes = "1", (2,)

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.sizes = error, []  # type: ignore[var-annotated]

    def __call__(self, chunks: Any) -> Any:
        if self.error is not None:
            raise self.error
        self.sizes.append([len(chunk) for chunk in chunks])
        return [chunk.reshape(len(chunk), -1).mean(1, keepdims=True) for chunk in chunks]


def test_runtime_embedder__chunks_in_order_and_errors_in_words() -> None:
    network = Chunks()
    vectors = RuntimeEmbedder("mine", network)(torch.arange(10.0).reshape(5, 2))
    assert (vectors.flatten().tolist(), network.sizes) == ([0.5, 2.5, 4.5, 6.5, 8.5], [[2, 2, 1]])
    views = torch.zeros(3, 2)
    assert (
        refusal(RuntimeEmbedder("mine", network), views[:0]) == "EncoderError: mine: an empty batch has no embeddings"
    )
    for error, message in (
        (MemoryError(), "mine: 3 views at a time do not fit into memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "mine: 3 views at a time do not fit into memory"),
        (RuntimeError("bad\nmore"), "mine: the forward pass failed (bad); try --runtime torch"),
        (TypeError("bad"), "mine: the forward pass failed (bad); try --runtime torch"),
    ):
        assert refusal(RuntimeEmbedder("mine", Chunks(error)), views) == f"EncoderError: {message}"
    assert refusal(RuntimeEmbedder("mine", Chunks(ValueError("bad")), ""), views).endswith("(bad)")
    assert leaves_views_unchanged(RuntimeEmbedder("mine", network))
    assert compiled_file(replace(encoder_of(), embed=RuntimeEmbedder("mine", network))) is NO_FILE
    assert compiled_file(encoder_of()) is NO_FILE


def test_largest_relative_error__edges() -> None:
    for embeddings, expected, error in (
        ([[0.0, 1.0], [2.0, 0.0]], [[0.0, 1.0], [0.0, 4.0]], 20**0.5 / 4),
        ([[3.0], [2.0]], [[0.0], [4.0]], 3 / 4),  # of one of length 0, to the longest
        ([[0.5]], [[0.0]], 0.5),
        ([[1.0]], [[1.0], [1.0]], np.inf),
        ([[np.nan]], [[1.0]], np.inf),
        (np.zeros((0, 2)), np.zeros((0, 2)), 0),
    ):
        measured = largest_relative_error(np.array(embeddings), np.array(expected))
        assert measured == pytest.approx(error)


def test_on_runtime__encoders_whose_library_is_fixed() -> None:
    in_torch = encoder_of()
    fixed = replace(in_torch, embed=RuntimeEmbedder("mine", Chunks()), runtime=Runtime("onnxruntime", "1"))
    assert on_runtime(fixed, "auto") is fixed
    assert on_runtime(fixed, "onnxruntime") is fixed
    assert on_runtime(replace(fixed, in_torch=lambda: in_torch), "torch") is in_torch
    for wanted in ("torch", "openvino"):
        assert (
            refusal(on_runtime, fixed, wanted)
            == f"UsageError: --runtime {wanted}: mine is computed by ONNX Runtime alone"
        )
    other = replace(fixed, runtime=Runtime("theirs", "1"))
    assert refusal(on_runtime, other, "torch") == "UsageError: --runtime torch: mine is computed by theirs alone"
    none = replace(fixed, runtime=None)
    assert on_runtime(none, "auto") is none
    assert on_runtime(none, "torch") is none
    assert refusal(on_runtime, none, "openvino") == (
        "UsageError: --runtime openvino: mine is no torch network, there is nothing to convert"
    )
    by_torch = on_runtime(in_torch, "torch").runtime
    assert by_torch == Runtime("torch", torch.__version__)


def test_on_runtime__obstacles_are_reasons_of_auto_and_refusals_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTRACE_RUNTIME", "openvino")
    encoder = encoder_of()
    for changed, why in (
        (replace(encoder, device="cuda:1"), "OpenVINO computes on the CPU, and the device is cuda:1"),
        (replace(encoder, dtype="bfloat16"), "OpenVINO is used in float32, and the dtype is bfloat16"),
        (replace(encoder, dtype="tf32"), "OpenVINO is used in float32, and the dtype is tf32"),
        (replace(encoder, compiled=True), "--compile is for torch's own compiler, not for OpenVINO"),
    ):
        runtime = on_runtime(changed, "auto").runtime
        assert runtime == Runtime("torch", torch.__version__, reason=why)
        assert refusal(on_runtime, changed, "openvino") == f"UsageError: --runtime openvino: {why}"
    monkeypatch.setattr(f"{CHOOSE}.platform.machine", lambda: "arm64")
    runtime = on_runtime(encoder, "auto").runtime
    assert runtime is not None
    assert runtime.reason == "auto takes OpenVINO on x86-64, where it was measured, and this is arm64"
    monkeypatch.setattr(f"{CHOOSE}.platform.machine", lambda: "AMD64")
    monkeypatch.setattr(f"{CHOOSE}.free_on_host", lambda: 0)
    large = encoder_of(nn.Linear(10_000, 2500, bias=False))
    runtime = on_runtime(large, "auto").runtime
    assert runtime is not None
    assert runtime.reason == "OpenVINO needs 0.4 GB for its copy of the weights, and 0.0 GB are free"


def test_choices__stored_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.choice.json"
    assert cached_choice(file) is None
    assert cached_choice(None) is None
    store_choice(None, Choice("", 2.0))
    for choice in (Choice("", 2.0), Choice("why", None), Choice("why", 1.0)):
        store_choice(file, choice)
        assert cached_choice(file) == choice
    for empty in (Choice("", None), Choice("", 0.0)):
        store_choice(file, empty)
        assert cached_choice(file) is None
    store_choice(tmp_path / "none" / "b" / "c.json", Choice("why"))
    assert choice_of(1.0499, "X") == Choice("", 1.05)
    assert choice_of(1.0449, "X") == Choice("X is 1.04 times as fast as torch here, and 1.05 times is required", 1.04)


def test_runtime__part_of_a_key() -> None:
    assert Runtime("torch", "2", reason="x", views=4).key() is None
    whole = Runtime("openvino", "1", 1e-7, speed=2.0, views=4).key()
    assert whole == {"name": "openvino", "version": "1", "relative_error": 1e-7, "views": 4}


class WithTable(nn.Module):
    """A network with a table that no checkpoint holds."""

    def __init__(self, value: float = 1.0, name: str = "table") -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        nn.init.ones_(self.layer.weight)
        nn.init.ones_(self.layer.bias)
        self.register_buffer(name, torch.full((2,), value), persistent=False)
        self.register_buffer("stored", torch.ones(2))
        self.register_buffer("count", torch.ones(2, dtype=torch.int64), persistent=False)


def test_placement__words_of_refusals() -> None:
    assert placement("cpu", "bfloat16", True) == Placement("cpu", "bfloat16", True)
    assert refusal(placement, "cpu", "float8") == (
        "UsageError: --dtype float8: choose one of float32, tf32, bfloat16, float16"
    )
    assert refusal(placement, "cpu", "tf32") == (
        "UsageError: --dtype tf32 is a way of NVIDIA GPUs to multiply, and the device is cpu; use float32"
    )


def test_training__of_the_study_of_families_and_of_names() -> None:
    study = statement("timm/resnet50.a1_in1k@main")
    assert study["training_source"] == "Ramos et al., ICCV 2025"
    assert statement("hf-hub:timm/resnet50.a1_in1k?size=9")["training_source"] == study["training_source"]
    assert statement("mine") == {}
    family = family_of("facebook/dinov2-base?output=x")
    assert family is not None
    assert statement("facebook/dinov2-base") in (
        {"training_source": family.source, "year": family.year},
        {"training_source": "Ramos et al., ICCV 2025", "year": family.year},
    )
    assert family_of("mine") is None
    for name, options, expected in (
        ("mine", {"architecture": "my_CoCa_vit"}, ("CVL", "unknown")), ("mine", {"architecture": "align"}, ("CVL",
         "unknown")),
        ("mine", {"contrastive": True, "classes": 3}, ("CVL", "unknown")), ("mine", {"classes": 1}, ("SUP", "unknown")),
        ("mine", {"architecture": "resnet"}, ("unknown", "unknown")),
    ):  # fmt: skip
        assert tuple(group_and_data(name, **options)) == expected  # type: ignore[arg-type]
