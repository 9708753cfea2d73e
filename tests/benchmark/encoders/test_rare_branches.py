"""Branches that few models reach: layers, hidden states, caches of the Hub, budgets that are exceeded, and numbers."""

from __future__ import annotations

import math
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import errors
from PIL import Image
from torch import nn

from benchmark.encoders.encoder import encoder_hash
from benchmark.encoders.layers import taps
from benchmark.encoders.layers.taps import find_tap
from benchmark.encoders.loaders import hub, scores, stored
from benchmark.encoders.loaders.checkpoint_files import fitting, reading
from benchmark.encoders.loaders.transformers import inputs, one_size, positions
from benchmark.encoders.loaders.transformers.prompts import PLAIN
from benchmark.encoders.network import call_module
from benchmark.encoders.preprocess import stated, verified
from benchmark.encoders.preprocess.pixels import Pixels, ResizeTo
from benchmark.encoders.preprocess.verified import Candidate
from benchmark.encoders.runtime import openvino_graph
from builders.errors import EncoderError
from tests.benchmark.encoders.test_layers import Blocks, States, last_mean

PIXELS = torch.rand(2, 3, 4, 4)


class Tap:
    """A way to read layers that fails, changes the embedding, or gives too few layers."""

    read = "tap"

    def __init__(self, error: Exception | None = None, change: float = 0.0, layers: int = 2) -> None:
        self.error, self.change, self.layers = error, change, layers

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Any, on_layer: Any) -> torch.Tensor:
        if self.error is not None:
            raise self.error
        for number in reversed(range(self.layers)):
            on_layer(number, f"layer {number}")
        return forward(module, pixels) + self.change


def tap_of(first: Any, hooks: Any, library: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("timm_tap", "hidden_states_tap"):
        monkeypatch.setattr(taps, name, lambda *_: first)
    monkeypatch.setattr(taps, "hook_tap", lambda *_: hooks)
    return find_tap(Blocks(), library, PIXELS, call_module)


@pytest.mark.parametrize("library", ["timm", "transformers"])
@pytest.mark.parametrize(
    "first",
    [
        None,
        Tap(change=1e-6),
        Tap(layers=1),
        *(Tap(kind("x")) for kind in (TypeError, ValueError, RuntimeError, AssertionError, AttributeError)),
        Tap(NotImplementedError()),
    ],
)
def test_find_tap__hooks_where_the_librarys_way_does_not_work(
    library: str, first: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = Tap(layers=3)
    result = tap_of(first, hooks, library, monkeypatch)
    assert (result.tap, result.layers) == (hooks, ["layer 0", "layer 1", "layer 2"])
    assert tap_of(first, None, library, monkeypatch) is None
    assert tap_of(first, Tap(layers=1), library, monkeypatch) is None
    works = Tap()
    assert tap_of(works, hooks, library, monkeypatch).tap is works
    assert tap_of(works, hooks, "torchvision", monkeypatch).tap is hooks
    with pytest.raises(KeyError):
        tap_of(Tap(KeyError("x")), hooks, library, monkeypatch)


@pytest.mark.parametrize(
    ("name", "other", "before"),
    [
        ("a.0", "a.1", True), ("a.1", "a.0", False), ("a.9", "a.10", True), ("a.0", "a.0", False),
        ("a.0", "a.0.1", False), ("a.b", "a.c", False), ("a.0.b.0", "a.1.b.1", False), ("0.a", "1.a", True),
    ],
)  # fmt: skip
def test_stands_before__in_one_list(name: str, other: str, before: bool) -> None:
    assert taps._stands_before(name, other) is before


def test_hidden_states_tap__none_without_states_and_of_the_outermost_module_that_is_called_once() -> None:
    class Without(nn.Module):
        config = SimpleNamespace()

        def forward(self, pixels: torch.Tensor) -> Any:
            return SimpleNamespace(last_hidden_state=pixels.flatten(2).transpose(1, 2))

    class Whole(nn.Module):
        config = SimpleNamespace()

        def __init__(self) -> None:
            super().__init__()
            self.twice, self.inner = States(False), States(True)

        def forward(self, pixels: torch.Tensor) -> Any:
            self.twice(self.twice(pixels).last_hidden_state.transpose(1, 2).unflatten(2, (4, 4)))
            return self.inner(pixels)

    assert taps.hidden_states_tap(Without(), PIXELS, last_mean) is None
    torch.manual_seed(0)
    module = Whole()
    tap = taps.hidden_states_tap(module, PIXELS, last_mean)
    assert tap is not None
    assert tap.read.endswith("before the final norm")  # of ``inner``
    layers: dict[int, Any] = {}
    assert torch.equal(tap(module, PIXELS, last_mean, layers.__setitem__), last_mean(module, PIXELS))
    assert len(layers) == 3
    assert module.inner(PIXELS).hidden_states is None  # outside of a pass nothing is requested


def test_encoder_hash__of_mappings_and_sequences_of_any_type() -> None:
    plain = {"id": "a", "preprocessing": {"mean": [1, 2], "more": {"a": [3]}}}
    other = {"id": "a", "preprocessing": MappingProxyType({"mean": np.array([1, 2]).tolist(), "more": MappingProxyType(
        {"a": range(3, 4)})})}  # fmt: skip
    assert encoder_hash(plain) == encoder_hash(other)


def test_cached__a_folder_that_lacks_files_which_are_never_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    state: dict[str, Any] = {"error": None}

    def download(*given: Any, **named: Any) -> str:
        calls.append((given, named))
        if state["error"] is not None:
            raise state["error"]
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert hub._cached("a/b", "v") == tmp_path
    assert calls == [(("a/b",), {"revision": "v", "local_files_only": True})]
    error = errors.LocalEntryNotFoundError("x")
    error.snapshot_path = str(tmp_path / "part")  # type: ignore[attr-defined]
    state["error"] = error
    assert hub._cached("a/b", None) == tmp_path / "part"
    for absent in (errors.LocalEntryNotFoundError("x"), errors.LocalEntryNotFoundError("x")):
        absent.snapshot_path = None  # type: ignore[attr-defined]
        state["error"] = absent
        with pytest.raises(errors.LocalEntryNotFoundError):
            hub._cached("a/b", None)


class Rounding:
    """A processor of joined patches; ``rule`` gives (rows, columns) from its size and the photo."""

    backend, patch_size = "pil", 8

    def __init__(self, rule: Any, longest: int, shortest: int) -> None:
        self.rule, self.size = rule, {"longest_edge": longest, "shortest_edge": shortest}

    def __call__(self, images: Image.Image, return_tensors: str) -> Any:
        rows, columns = self.rule(self.size, images.size)
        return {"pixel_values": np.ones((rows * columns, 5)), "image_grid_thw": np.array([[1, rows, columns]])}


def test_budget__enlarged_pictures_are_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_pixels_of_patch", lambda processor, patch: 64)

    def rule(size: Any, photo: Any) -> tuple[int, int]:
        """So many patches as the least requires, and one more row."""
        return max(1, size["shortest_edge"] // 64 // 4) + 1, 4

    processor = Rounding(rule, 10_000 * 64, 16 * 64)
    inputs._Grid.set_budget(processor, 16, 8)
    assert processor.size == {"shortest_edge": 4 * 64, "longest_edge": 16 * 64}
    enough = Rounding(lambda size, photo: (4, 4), 10_000 * 64, 40 * 64)
    inputs._Grid.set_budget(enough, 16, 8)
    assert enough.size == {"shortest_edge": 16 * 64, "longest_edge": 16 * 64}


def test_budget__a_rule_for_the_longer_side_gives_squares_more_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_pixels_of_patch", lambda processor, patch: 64)

    def rule(size: Any, photo: Any) -> tuple[int, int]:
        """Twice as many patches as the pixels allow."""
        side = math.isqrt(2 * size["longest_edge"] // 64)
        return side, side

    processor = Rounding(rule, 10_000 * 64, 64)
    inputs._Grid.set_budget(processor, 100, 8)
    assert processor.size == {"shortest_edge": 16, "longest_edge": 100 * 64 * 100 // 196}
    assert inputs._most_patches(processor, 100, 8) == 100
    unchanged = Rounding(lambda size, photo: (30, 30), 900 * 64, 64)
    inputs._Grid.set_budget(unchanged, 900, 8)
    assert unchanged.size == {"longest_edge": 900 * 64, "shortest_edge": 64}  # the budget is its own
    assert inputs._Grid.default_budget(unchanged, 8) == 900
    assert inputs._Grid.default_budget(Rounding(lambda size, photo: (40, 30), 900 * 64, 64), 8) == 1200


def test_openvino__an_operation_with_a_name_that_is_not_its_own() -> None:
    operations = [SimpleNamespace(get_friendly_name=lambda name=name: name) for name in ("a", "b", "b")]
    model = SimpleNamespace(get_ordered_ops=lambda: operations)
    for name, count in (("b", 2), ("c", 0)):
        with pytest.raises(RuntimeError, match=rf"^{count} operations are called {name}$"):
            openvino_graph._result_of(model, name)
    operations[0].output = lambda at: ("tensor", at)
    assert openvino_graph._result_of(model, "a") == ("tensor", 0)


def test_numbers_and_names_of_loaders() -> None:
    assert (scores.LARGEST_FILE, stored.LARGEST_FILE, stored.LARGEST_IDS) == (8 << 30, 64 << 30, 4 << 30)
    names = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
    assert [stated.FILTERS[name] for name in names] == [0, 1, 2, 3, 4, 5]
    assert stated.LARGEST_SIDE == 1 << 14
    assert (verified.TOLERANCE, verified.SHRUNK) == (1e-5, (2.7, 1.9))
    assert verified.PROBE_SIZES == ((500, 375), (333, 500), (641, 427), (224, 224), (97, 60), (60, 131))
    assert (fitting.LEAST, reading.DEEPEST, positions.MOST_JOINED) == (0.2, 6, 4)
    assert fitting.CONTAINERS == ("state_dict", "model_state_dict", "model", "net", "network", "weights", "params")
    assert reading.WRAPPERS == ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
    assert (one_size.WHOLE_FIRST, inputs.JOINED_TOO) == ("image_grid_pinpoints", ("image_merge_sizes",))
    assert positions.Positions() == positions.Positions(axis=2, skip=0, after=0, patch=1, prefixed=True)
    assert tuple(PLAIN["paligemma"]) == ("{image}answer en {question}", "\n", "")
    assert tuple(PLAIN["blip-2"]) == ("Question: {question} Answer:", "", " ")
    for family in ("llava", "llava_next", "vipllava"):
        assert tuple(PLAIN[family]) == ("USER: {image}\n{question} ASSISTANT:", "", " ")


@pytest.mark.parametrize(
    ("prefix", "averaged"),
    [
        *((name, True) for name in ("ema.", "state_dict_ema.", "ema_model.net.", "params_EMA.", "model_ema_x.")),
        *((name, True) for name in ("swa_model.", "swa_weights.", "swa_state_dict.", "a.ema.b.")),
        *((name, False) for name in ("swa.", "emma.", "schema.", "", "model.")),
    ],
)  # fmt: skip
def test_averaged__by_a_component_of_the_prefix(prefix: str, averaged: bool) -> None:
    assert fitting._averaged(prefix) is averaged


@pytest.mark.parametrize(("change", "equal"), [(0.0, True), (0.9e-5, True), (1.1e-5, False), (np.nan, False)])
def test_verified__up_to_the_tolerance(change: float, equal: bool) -> None:
    pixels = Pixels((ResizeTo(8, 8, 2),))

    black = [Image.new("RGB", size) for size in ((9, 9), (30, 20))]
    expected = {image.size: np.zeros((3, 8, 8)) + change for image in black}
    candidate = Candidate(pixels, (0.0,) * 3, (1.0,) * 3)
    assert candidate.bgr is False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified, "probe_image", lambda width, height: Image.new("RGB", (width, height)))
        assert verified._equal(candidate, expected) is equal
        assert not verified._equal(candidate, {(9, 9): np.zeros((3, 8, 9))})


def test_of_one_size__other_errors_of_a_preprocessing_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise EncoderError("mine: another error")

    monkeypatch.setattr(one_size, "verified", fails)
    picture = {"pixel_values": np.zeros((1, 3, 4, 4))}
    with pytest.raises(EncoderError, match=r"^mine: another error$"):
        one_size.of_one_size("mine", lambda images, return_tensors: picture, picture, "pil", {})
