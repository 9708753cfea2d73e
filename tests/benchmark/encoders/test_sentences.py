"""Whole sentences of outputs, of layers and of encoders that are requested twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders import AnsweringModel, load_encoder, with_outputs
from benchmark.encoders.encoder import (
    COMPLEX,
    GROUPS,
    LIBRARIES,
    Encoder,
    EncoderInfo,
    StatedDetector,
    StoredEmbeddings,
    deduplicated,
    encoder_hash,
    with_unique_id,
)
from benchmark.encoders.layers.outputs import POOLINGS, Output, parse_output, pooling_title
from benchmark.encoders.layers.pooling import Layer, pool
from benchmark.encoders.layers.taps import TimmTap, hidden_states_tap
from benchmark.encoders.network import Embedder, network_encoder
from builders.errors import CamtraceError, PhotoError
from tests.benchmark.encoders.test_layers import Blocks, States, last_mean
from tests.support.plain_network import CPU, PLAIN, means, network

NEITHER = "is neither a layer nor a slice of layers"
FORMS = "write final, layers, layers[9], layers[::4]:mean,cls, ... (layers from 0)"


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises((CamtraceError, PhotoError)) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((text, f"--outputs {text}: {FORMS}") for text in ("layer", "layers[", "", "layers[0]x", "Final")),
        ("layers[a]", f"--outputs layers[a]: 'a' {NEITHER}"),
        ("layers[]", f"--outputs layers[]: '' {NEITHER}"),
        ("layers[::0]", f"--outputs layers[::0]: '::0' {NEITHER}"),
        ("layers[1:2:3:4]", f"--outputs layers[1:2:3:4]: '1:2:3:4' {NEITHER}"),
        ("layers:mean,median", "unknown pooling 'median': did you mean 'mean'?"),
        ("layers:grid-4-0", "unknown pooling 'grid-4-0': did you mean 'grid'?"),
        ("layers:patch[17]", "unknown pooling 'patch[17]': did you mean 'patch'?"),
    ],
)
def test_parse_output__refusals(text: str, message: str) -> None:
    assert refusal(parse_output, text) == f"UsageError: {message}"


@pytest.mark.parametrize(
    ("text", "layers", "poolings"),
    [
        ("layers", slice(None), ()),
        ("layers[9]", 9, ()),
        (" layers[ -1 ]:mean ", -1, ("mean",)),
        ("layers[::4]:mean, max,mean", slice(None, None, 4), ("mean", "max")),
        ("layers[1:]", slice(1, None), ()),
        ("layers[:2]", slice(None, 2), ()),
        ("layers:patch[16]-15-15,grid[1]", slice(None), ("patch[16]-15-15", "grid[1]-0-0")),
    ],
)
def test_parse_output__layers_and_poolings(text: str, layers: Any, poolings: tuple[str, ...]) -> None:
    wanted = parse_output(text)
    assert wanted is not None
    assert (wanted.text, wanted.layers, wanted.poolings) == (text.strip(), layers, poolings)


def test_poolings__titles_and_what_an_output_says_of_itself() -> None:
    assert {name: pooling_title(name) for name in POOLINGS} == {
        "cls": "class token",
        "mean": "mean of patches",
        "max": "maximum over patches",
        "gem": "generalised mean of patches",
        "border": "mean of the patches at the border",
        "centre": "mean of the patches in the centre",
        "grid": "mean of the patches in each of 4 x 4 parts",
        "patch": "one patch of each of 4 x 4 parts, at a place of the photo's own",
    }
    output = Output("layers[2]:patch-0-3", 2, 12, "stage", "patch-0-3", 768, "")
    assert (output.depth, output.single, output.title) == (
        0.25, True, "stage 2, one patch in row 0, column 3 of 4 x 4"
    )  # fmt: skip
    assert not replace(output, pooling="grid-0-3").single
    assert TimmTap(False, False).read == "timm's forward_intermediates, before the final norm"


class Diverging(Blocks):
    """The first block gives numbers that the second one takes away."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        tokens = pixels.flatten(2).transpose(1, 2)
        self.blocks[0](tokens * torch.inf)
        for block in self.blocks[1:]:
            tokens = block(tokens)
        return self.head(tokens).mean(1)


def test_with_outputs__refusals() -> None:
    torch.manual_seed(0)

    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return module(pixels)

    encoder = network_encoder(network(Blocks(), forward), CPU)
    none = load_encoder("control:jpeg-statistics")
    flat = network_encoder(network(nn.Linear(3, 2), lambda m, x: m(x.mean((2, 3)))), CPU)
    diverging = network_encoder(network(Diverging(), forward), CPU)
    for refused, outputs, message in (
        (none, "layers", f"UsageError: {none.info.id}: --outputs reads layers of networks that torch computes, and it "
         "is none"),
        (replace(encoder, compiled=True), "layers", "UsageError: mine: --outputs reads layers in a forward pass as it "
         "is written: leave out --compile"),
        (encoder, "layers:cls", "UsageError: mine: --outputs layers:cls: it has no class token"),
        (encoder, "layers[3]", "UsageError: mine: --outputs layers[3]: there are 3 layers, 0 to 2"),
        (encoder, "layers[3:]", "UsageError: mine: --outputs layers[3:]: no layer is left of the 3, 0 to 2"),
        (encoder, "layers:grid[9]", "UsageError: mine: --outputs layers:grid[9]: its layer has 8 x 8 patches, and "
         "regions need 9 x 9"),
        (flat, "layers", "UsageError: mine: no layers were found in Linear that give its embedding bit for bit"),
        (diverging, "layers", "EncoderError: mine: layer 0 gives numbers that are not finite"),
    ):  # fmt: skip
        assert refusal(with_outputs, refused, [outputs]) == message
    assert refusal(pool, Layer(torch.zeros(1, 5, 2), None, (2, 2)), "centre") == (
        "UsageError: it is not known where in the picture its patches lie, so it has no regions"
    )


class Masked(States):
    """Hidden states of a sequence with padding."""

    def forward(self, pixels: torch.Tensor, output_hidden_states: bool = False, **masks: Any) -> Any:
        return super().forward(pixels, output_hidden_states)


@pytest.mark.parametrize(
    ("masks", "padded"),
    [
        ({"attention_mask": torch.tensor([[1, 1, 0]])}, True),
        ({"spatial_shapes": torch.tensor([[1, 1]])}, True),
        ({"attention_mask": torch.ones(1, 3)}, False),
        ({"pixel_mask": None}, False),
        ({"attention_mask": torch.ones(1, 3), "pixel_mask": torch.tensor([[1, 0]])}, True),
        ({"attention_mask": torch.tensor([[0, 1]]), "pixel_mask": torch.ones(1, 3)}, True),
        ({"attention_mask": torch.ones(1, 3), "pixel_mask": torch.ones(1, 2, dtype=torch.bool)}, False),
        ({"mask": [0, 1], "other": torch.zeros(1, 2)}, False),
    ],
)
def test_hidden_states_tap__padded_sequences(masks: dict[str, Any], padded: bool) -> None:
    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return module(pixels, **masks).last_hidden_state.mean(1)

    module = Masked(False)
    if padded:
        assert refusal(hidden_states_tap, module, torch.rand(2, 3, 4, 4), forward) == (
            "UsageError: its sequences are padded, and --outputs does not tell patches from padding"
        )
    else:
        assert hidden_states_tap(module, torch.rand(2, 3, 4, 4), forward) is not None
    assert hidden_states_tap(States(False), torch.rand(2, 3, 4, 4), last_mean) is not None


def encoder_of(**changes: Any) -> Encoder:
    info = EncoderInfo("mine", "timm", None, "0" * 64, 2, {"mean": [0.5] * 3, "std": [0.5] * 3}, "mean", 8)
    return Encoder(replace(info, **changes), np.asarray, lambda batch: batch, "cpu", "float32")


def test_deduplicated__one_of_each_and_no_two_with_one_id() -> None:
    first, other = encoder_of(), encoder_of(preprocessing={"size": 9})
    unknown = encoder_of(weights_sha256=None)
    sentences: list[str] = []
    encoders = {"a": first, "b": first, "c": other, "d": unknown, "e": unknown, "f": encoder_of(id="alone")}
    distinct = deduplicated(encoders, sentences.append)
    assert sentences == ["b is the encoder of a, weight for weight: it is scored once, as mine"]
    ends = {name: encoder_hash(vars(encoder.info))[:4] for name, encoder in encoders.items()}
    assert {name: encoder.info.id for name, encoder in distinct.items()} == {
        "a": f"mine+{ends['a']}", "c": f"mine+{ends['c']}", "d": "mine", "e": "mine", "f": "alone"
    }  # fmt: skip
    taken: dict[str, str] = {}
    ids = [with_unique_id(encoder, taken).info.id for encoder in (first, first, other, unknown)]
    assert ids == ["mine", "mine", f"mine+{ends['c']}", "mine"]
    assert taken == {"mine": encoder_hash(vars(first.info))}


def test_encoder_hash__of_its_identity_alone() -> None:
    first = vars(encoder_of().info)
    hashes_ = {
        name: encoder_hash({**first, name: "other"})
        for name in ("id", "library", "revision", "weights_sha256", "dimension", "preprocessing", "pooling")
    }
    assert len({encoder_hash(first), *hashes_.values()}) == 8
    for name in ("parameters", "group", "training_data", "details"):
        assert encoder_hash({**first, name: "other"}) == encoder_hash(first)
    assert len(encoder_hash(first)) == 8
    assert encoder_hash({**first, "preprocessing": {"mean": (0.5,) * 3, "std": (0.5,) * 3}}) == encoder_hash(first)


def test_stored_embeddings__rows_by_photo_and_which_may_lack_some() -> None:
    vectors = np.float32([[1, 2], [3, 4]])
    stored = StoredEmbeddings("mine", vectors, {"photo": {"a": 1, "b": 0}})
    embeddings, absent = stored.of("photo", ["b", "x", "a", "y"])
    assert (embeddings.tolist(), absent) == ([[1, 2], [0, 0], [3, 4], [0, 0]], ["x", "y"])
    embeddings, absent = stored.of("jpeg", ["a"])
    assert (embeddings.tolist(), embeddings.dtype, absent) == ([[0, 0]], np.dtype(np.float32), ["a"])
    flags = [stored, replace(stored, detector=StatedDetector()), replace(stored, answers_only=True)]
    assert [each.may_lack_photos for each in flags] == [False, True, True]


def test_encoder__cacheable_if_identified_and_not_random() -> None:
    encoders = [encoder_of(), replace(encoder_of(), random=True), encoder_of(weights_sha256=None)]
    assert [encoder.cacheable for encoder in encoders] == [True, False, False]
    assert GROUPS == ("CVL", "SUP", "SSL", "distilled", "autoregressive", "control", "unknown")
    loaders = "transformers open_clip timm torchvision bundled checkpoint control callable onnx embeddings scores"
    assert (*loaders.split(), "answers") == LIBRARIES


def test_answering_model__answers_are_in_banks() -> None:
    model = AnsweringModel(SimpleNamespace(identity={"id": "vlm:mine"}), None)  # type: ignore[arg-type]
    assert refusal(model.logits, "png", []) == "EncoderError: vlm:mine: its answers are in no bank yet"
    assert (model.name, model.graded) == ("vlm:mine", True)


def test_embedder__complex_numbers() -> None:
    embed = Embedder("mine", nn.Identity(), lambda m, x: means(m, x) * 1j, PLAIN, CPU)
    assert refusal(embed, torch.zeros(1, 8, 8, 3, dtype=torch.uint8)) == f"EncoderError: mine: {COMPLEX}"
    assert COMPLEX == (
        "it gives complex numbers, which have no order and no place in a probe: give their size, or both parts"
    )
