"""Layers of networks by hooks, timm and transformers: which modules, patches, tokens and outputs, on small networks."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders import Runtime, with_outputs
from benchmark.encoders.layers.hooks import HookTap, Tokens, hook_tap
from benchmark.encoders.layers.outputs import parse_output
from benchmark.encoders.layers.pooling import Layer
from benchmark.encoders.layers.taps import TimmTap, hidden_states_tap, timm_tap
from benchmark.encoders.network import call_module, network_encoder
from builders.errors import PhotoError, UsageError
from tests.support.plain_network import CPU, network


def fails(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    raise PhotoError("x")


def holder(**tokens: int) -> nn.Module:
    module = nn.Module()
    module.pool_head = nn.Module()
    for name, count in tokens.items():
        parameter = nn.Parameter(torch.zeros(1, count, 8))
        if name.startswith("head_"):
            module.pool_head.register_parameter(name.removeprefix("head_"), parameter)
        else:
            module.register_parameter(name, parameter)
    return module


def test_tokens__of_radio_and_of_a_vector() -> None:
    radio = holder(cls_register_token=6)
    radio.config = SimpleNamespace(num_cls_tokens=2)  # type: ignore[assignment]
    assert Tokens.of(radio) == Tokens(2, 4)
    flat = nn.Module()
    flat.class_embedding = nn.Parameter(torch.zeros(8))
    assert Tokens.of(flat) == Tokens(1, 0)


@pytest.mark.parametrize(
    ("tokens", "count", "patches", "classes"),
    [
        (Tokens(0, 0), 9, slice(0, 9), 0), (Tokens(1, 0), 10, slice(1, 10), 1), (Tokens(1, 4), 14, slice(5, 14), 1),
        (Tokens(0, 4), 13, slice(4, 13), 0), (Tokens(1, 0, 3), 13, slice(1, 10), 1),
        (Tokens(0, 0, 4), 13, slice(0, 9), 0),
        (Tokens(1, 0), 9, slice(0, 9), 0),  # the class token comes in a later layer
        (Tokens(0, 0, 4), 9, slice(0, 9), 0), (Tokens(1, 1, 2), 9, slice(0, 9), 0),
        (Tokens(1, 0), 8, slice(1, 8), 1), (Tokens(2, 0), 11, slice(2, 11), 2),
    ],
)  # fmt: skip
def test_tokens__which_positions_are_patches(tokens: Tokens, count: int, patches: slice, classes: int) -> None:
    features = torch.rand(2, count, 3)
    for picture in (None, (24, 24)):
        layer = tokens.layer(features, 2, picture)
        assert torch.equal(layer.patches, features[:, patches])
        assert layer.grid == ((3, 3) if layer.count == 9 else None)
        assert (layer.tokens is None) == (not classes)
        if classes:
            assert torch.equal(layer.tokens, features[:, :classes])  # type: ignore[arg-type]


class Blocks(nn.Module):
    """A sequence of patches through blocks, of which the last list is the longest."""

    def __init__(self, blocks: int = 3, stem: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(*[nn.Identity() for _ in range(stem)])
        self.blocks = nn.ModuleList([nn.Linear(3, 3) for _ in range(blocks)])
        self.head = nn.Linear(3, 4)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = self.stem(pixels.flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = tokens + block(tokens)
        return self.head(tokens).mean(1)


class Stages(nn.Module):
    """Maps that become smaller twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 2, 2), nn.BatchNorm2d(4)
        self.three, self.last = nn.Conv2d(4, 5, 2, 2), nn.AdaptiveAvgPool2d(1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.last(self.three(self.norm(self.two(self.one(pixels))))).flatten(1)


def test_hook_tap__blocks_or_the_last_module_of_each_size() -> None:
    pixels = torch.rand(2, 3, 8, 8)
    for module, names in (
        (Blocks(), ("blocks.0", "blocks.1", "blocks.2")),
        (Blocks(2, 3), ("stem.0", "stem.1", "stem.2")),
        (Blocks(3, 3), ("stem.0", "stem.1", "stem.2")),
        (Stages().eval(), ("one", "norm", "three")),
    ):
        tap = hook_tap(module, pixels, call_module)
        assert tap is not None
        assert (tap.names, tap.read) == (names, f"hooks on {names[0]} ... {names[-1]}")
    assert hook_tap(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), pixels, call_module) is None


def test_hook_tap__is_silent_outside_of_its_pass() -> None:
    module, pixels = Blocks(), torch.rand(2, 3, 8, 8)
    tap = HookTap.on(module, ["blocks.0"], "")
    layers: list[int] = []
    tap(module, pixels, call_module, lambda number, layer: layers.append(number))
    module(pixels)
    assert layers == [0]
    with pytest.raises(PhotoError):
        tap(module, pixels, fails, lambda number, layer: None)
    assert tap.state.on_output is None


def test_timm_tap__needs_both_calls_of_timm() -> None:
    both = SimpleNamespace(forward_intermediates=lambda x, return_prefix_tokens: 0, forward_head=len)
    tap = timm_tap(both)
    assert tap is not None
    assert (tap.as_map, tap.prefix) == (False, True)
    tap = timm_tap(SimpleNamespace(forward_intermediates=lambda x: 0, forward_head=len))
    assert tap is not None
    assert (tap.as_map, tap.prefix) == (True, False)
    assert timm_tap(SimpleNamespace(forward_intermediates=len)) is None
    assert timm_tap(SimpleNamespace(forward_head=len)) is None


@pytest.mark.parametrize("prefixes", [None, 0, 1, 5])
@pytest.mark.parametrize("class_token", [True, False])
@pytest.mark.parametrize("grid", [None, (1, 2)])
def test_timm_tap__the_first_prefix_is_the_class_token_of_a_network_that_has_one(
    prefixes: int | None, class_token: bool, grid: Any
) -> None:
    patches, options = [torch.rand(2, 2, 3) for _ in range(2)], []
    prefix = None if prefixes is None else torch.rand(2, prefixes, 3)
    given = [each if prefix is None else (each, prefix) for each in patches]
    network_ = SimpleNamespace(
        forward_intermediates=lambda x, **named: options.append(named) or (patches[1], given),
        forward_head=lambda features: 2 * features[:, 0],
        cls_token=torch.zeros(1) if class_token else None,
        patch_embed=SimpleNamespace(grid_size=grid),
    )
    layers: dict[int, Layer] = {}
    tap: Any = TimmTap(as_map=False, prefix=prefixes is not None)
    final = tap(network_, torch.rand(2, 3, 4, 4), call_module, layers.__setitem__)
    assert torch.equal(final, 2 * patches[1][:, 0])
    assert options == [{"output_fmt": "NLC", **({} if prefixes is None else {"return_prefix_tokens": True})}]
    assert [layers[i].patches is patches[i] for i in range(2)] == [True, True]
    assert {layers[i].grid for i in range(2)} == {grid}
    tokens = layers[0].tokens
    if class_token and prefixes:
        assert torch.equal(tokens, prefix[:, :1])  # type: ignore[arg-type,index]
    else:
        assert tokens is None


class States(nn.Module):
    """Hidden states as transformers gives them; ``normed`` says whether the last hidden state is after a norm."""

    def __init__(self, normed: bool, input_too: bool = True) -> None:
        super().__init__()
        self.config, self.normed, self.input_too = SimpleNamespace(), normed, input_too
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(3)])

    def forward(self, pixels: torch.Tensor, output_hidden_states: bool = False) -> Any:
        tokens = pixels.flatten(2).transpose(1, 2)
        states = [tokens] if self.input_too else []
        for layer in self.layers:
            tokens = layer(tokens)
            states.append(tokens)
        last = 2 * tokens if self.normed else tokens
        return SimpleNamespace(last_hidden_state=last, hidden_states=states if output_hidden_states else None)


def last_mean(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return module(pixels).last_hidden_state.mean(1)


@pytest.mark.parametrize("normed", [True, False])
@pytest.mark.parametrize("input_too", [True, False])
def test_hidden_states__say_whether_the_last_is_before_the_norm(normed: bool, input_too: bool) -> None:
    module, pixels = States(normed, input_too), torch.rand(2, 3, 4, 4)
    tap = hidden_states_tap(module, pixels, last_mean)
    assert tap is not None
    which = "hidden states" if input_too else "all hidden states"
    end = "before the final norm" if normed else "the last is last_hidden_state"
    assert (tap.read, tap.first) == (f"{which} of transformers, {end}", int(input_too))
    layers: dict[int, Layer] = {}
    final = tap(module, pixels, last_mean, layers.__setitem__)
    assert torch.equal(final, last_mean(module, pixels))
    assert list(layers) == [0, 1, 2]
    torch.testing.assert_close(layers[2].patches * (1 + normed), module(pixels).last_hidden_state)


def test_with_outputs__records_runtime_layers_and_columns() -> None:
    torch.manual_seed(0)
    encoder = network_encoder(network(Blocks(), call_module), CPU)
    layered = with_outputs(encoder, ["layers[2]:mean", "layers[0]:max,mean", "layers[2]:mean", "final"])
    assert [(o.name, o.layer, o.layers, o.kind, o.dimension) for o in layered.outputs] == [
        ("layers[0]:max", 0, 3, "block", 3), ("layers[0]:mean", 0, 3, "block", 3), ("layers[2]:mean", 2, 3, "block", 3),
    ]  # fmt: skip
    assert layered.columns() == {
        "layers[0]:max": slice(4, 7),
        "layers[0]:mean": slice(7, 10),
        "layers[2]:mean": slice(10, 13),
    }
    assert layered.together.info.dimension == 13
    assert layered.together.in_torch is None
    embed: Any = layered.together.embed
    assert embed.at_places is None
    patches = with_outputs(encoder, ["layers[0]:patch"])
    assert patches.outputs[0].read.endswith("; one patch of each view, at a place drawn by the photo's id (draw 0)")
    embed = patches.together.embed
    assert embed.at_places is not None
    other = Runtime("openvino", "1")
    faster = replace(encoder, embed=len, in_torch=lambda: encoder, runtime=other)  # type: ignore[arg-type]
    alone = with_outputs(faster, ["layers[0]"]).encoder
    assert (alone.runtime.name, alone.runtime.reason) == ("torch", "layers are read there")
    assert with_outputs(encoder, ["layers[0]"]).encoder.runtime == encoder.runtime
    with pytest.raises(UsageError, match="--outputs"):
        with_outputs(replace(encoder, compiled=True), ["layers"])
    with pytest.raises(UsageError) as refused:
        with_outputs(encoder, ["layers[3:]"])
    assert "--outputs" in str(refused.value)
    stages = network_encoder(network(Stages(), call_module), CPU)
    assert {output.kind for output in with_outputs(stages, ["layers"]).outputs} == {"stage"}
    for layers, kind in (
        ([nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 2, 2), nn.Conv2d(4, 4, 2, 2)], "stage"),  # of one width, not of one size
        ([nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 2, 2)], "stage"),
    ):
        maps = network_encoder(network(nn.Sequential(*layers), lambda m, x: m(x).mean((2, 3))), CPU)
        assert {output.kind for output in with_outputs(maps, ["layers"]).outputs} == {kind}
    flat = network_encoder(network(nn.Linear(3, 2), lambda m, x: m(x.mean((2, 3)))), CPU)
    with pytest.raises(UsageError, match="embedding"):
        with_outputs(flat, ["layers"])


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("layers", [0, 1, 2, 3, 4]), ("layers[-5]", [0]), ("layers[4]", [4]), ("layers[1:3]", [1, 2]),
        ("layers[::]", [0, 1, 2, 3, 4]), ("layers[1:3:]", [1, 2]),
        ("layers[::-2]", [4, 2, 0]), ("layers[:]", [0, 1, 2, 3, 4]), (" layers[ 2 : ] ", [2, 3, 4]),
        ("layers[5]", "there are 5 layers, 0 to 4"), ("layers[-6]", "there are 5 layers, 0 to 4"),
        ("layers[3:1]", "no layer is left of the 5, 0 to 4"),
        ("layers[1:2:3:4]", "--outputs layers[1:2:3:4]: '1:2:3:4' is neither a layer nor a slice of layers"),
    ],
)  # fmt: skip
def test_layer_numbers__as_in_a_slice_of_python(text: str, numbers: Any) -> None:
    if isinstance(numbers, str):
        with pytest.raises(UsageError) as refused:
            parse_output(text).layer_numbers(5)  # type: ignore[union-attr]
        assert str(refused.value) == numbers
        return
    wanted = parse_output(text)
    assert wanted is not None
    assert list(wanted.layer_numbers(5)) == numbers


def test_with_outputs__is_loaded_again_with_its_outputs_and_reads_patches_at_places() -> None:
    torch.manual_seed(0)
    encoder = network_encoder(network(Blocks(), call_module), CPU)
    assert with_outputs(encoder, ["layers[0]"]).together.reload is None
    devices: list[str] = []

    def load(device: str) -> Any:
        devices.append(device)
        return encoder

    layered = with_outputs(replace(encoder, reload=load), ["layers[0]:patch[1]", "layers[1]:mean"])
    assert layered.encoder.reload is load
    assert layered.together.reload is not None
    again = layered.together.reload(device="cuda:1")
    assert (devices, again.info) == (["cuda:1"], layered.together.info)
    batch = torch.randint(0, 256, (3, 8, 8, 3), dtype=torch.uint8)
    places = torch.tensor([[0, 0], [65535, 0], [32768, 65535]])
    embed: Any = layered.together.embed
    vectors = embed.start(batch, places)()
    columns = layered.columns()["layers[0]:patch[1]-0-0"]
    with torch.inference_mode():
        pixels = encoder.embed.normalise(batch).flatten(2).transpose(1, 2)  # type: ignore[attr-defined]
        layer = encoder.embed.module.blocks[0](pixels).unflatten(1, (8, 8))  # type: ignore[attr-defined]
    expected = torch.stack([layer[0, 0, 0], layer[1, 7, 0], layer[2, 4, 7]])
    torch.testing.assert_close(vectors[:, columns], expected)
    assert torch.equal(vectors[:, :4], encoder.embed(batch))
