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

from benchmark.encoders import NO_FILE, Encoder, Runtime, compiled_file, largest_relative_error, leaves_views_unchanged
from benchmark.encoders.network import Network, Normalisation, network_encoder
from benchmark.encoders.placement import Placement
from benchmark.encoders.runtime.choose import RuntimeEmbedder, chunk_sizes, on_runtime
from benchmark.encoders.runtime.speed import Choice, cached_choice, choice_of, store_choice
from builders.errors import CamtraceError


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
    assert "EncoderError" in refusal(RuntimeEmbedder("mine", network), views[:0])
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
        assert f"{wanted}" in refusal(on_runtime, fixed, wanted)
    other = replace(fixed, runtime=Runtime("theirs", "1"))
    assert "--runtime" in refusal(on_runtime, other, "torch")
    none = replace(fixed, runtime=None)
    assert on_runtime(none, "auto") is none
    assert on_runtime(none, "torch") is none
    assert "--runtime" in refusal(on_runtime, none, "openvino")
    by_torch = on_runtime(in_torch, "torch").runtime
    assert by_torch == Runtime("torch", torch.__version__)


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
