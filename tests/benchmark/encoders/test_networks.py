"""Forward passes of networks: chunks, places, errors, and what a result records."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.encoders import Embedder
from benchmark.encoders.network import Normalisation, hash_state_dict, network_encoder
from benchmark.encoders.placement import Placement
from builders.errors import EncoderError
from tests.support.plain_network import CPU, PLAIN, means, network, small


def batch(views: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (views, 8, 8, 3), dtype=np.uint8))


def test_normalisation__by_hand_and_with_channels_turned() -> None:
    pixels = torch.tensor([[[[0, 51, 255], [255, 102, 0]]]], dtype=torch.uint8)
    mean, std = (0.0, 0.5, 1.0), (1.0, 0.5, 2.0)
    expected = torch.tensor([[[[0.0, 1.0]], [[-0.6, -0.2]], [[0.0, -0.5]]]])
    torch.testing.assert_close(Normalisation(mean, std)(pixels), expected)
    expected = torch.tensor([[[[1.0, 0.0]], [[-0.6, -0.2]], [[-0.5, 0.0]]]])
    torch.testing.assert_close(Normalisation(mean, std, True)(pixels), expected)


@pytest.mark.parametrize(("views", "chunks"), [(1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1])])
def test_embedder__chunks_on_a_cpu(views: int, chunks: list[int]) -> None:
    sizes: list[int] = []

    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        return pixels.mean((2, 3))

    for normalise, given in ((PLAIN, batch(views)), (None, batch(views).permute(0, 3, 1, 2).float())):
        sizes.clear()
        embed = Embedder("mine", nn.Identity(), forward, normalise, CPU, cpu_chunk=4)
        vectors = embed(given)
        assert sizes == chunks
        torch.testing.assert_close(vectors, batch(views).float().mean((1, 2)), atol=1e-4, rtol=1e-5)


def test_embedder__a_batch_that_others_share_is_not_written() -> None:
    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return pixels.mul_(0).mean((2, 3))

    for given, normalise in ((torch.ones(2, 3, 4, 4), None), (batch(2), PLAIN)):
        before = given.clone()
        Embedder("mine", nn.Identity(), forward, normalise, CPU)(given)
        assert torch.equal(given, before)


def test_embedder__places_go_with_their_views() -> None:
    def at_places(module: nn.Module, pixels: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        return torch.cat([places.float(), pixels.mean((2, 3))], 1)

    embed = Embedder("mine", nn.Identity(), means, PLAIN, CPU, 2, at_places=at_places)
    places = torch.arange(10).reshape(5, 2)
    assert torch.equal(embed.start(batch(5), places)()[:, :2], places.float())
    assert embed(batch(5)).shape == (5, 3)
    assert Embedder("mine", nn.Identity(), means, PLAIN, CPU, 2).start(batch(5), places)().shape == (5, 3)


def raises(error: Exception) -> Any:
    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        raise error

    return forward


@pytest.mark.parametrize(
    ("forward", "place", "message"),
    [
        (lambda m, x: x, CPU, "mine: expected embeddings [2, dimension], the network gave (2, 3, 8, 8)"),
        (lambda m, x: [x], CPU, "mine: expected embeddings [2, dimension], the network gave list"),
        (lambda m, x: x.mean((2, 3))[:1], CPU, "mine: expected embeddings [2, dimension], the network gave (1, 3)"),
        (lambda m, x: x.mean((2, 3)) * 1j, CPU, "mine: "),
        (raises(ValueError("bad\nmore")), CPU, "mine: the forward pass failed (bad)"),
        (raises(ValueError("bad")), replace(CPU, compile=True),
         "mine: the forward pass failed (bad); it may go without --compile"),
        (raises(MemoryError()), CPU, "mine: 2 views at a time do not fit into memory"),
        (raises(EncoderError("as it is")), CPU, "as it is"),
    ],
)  # fmt: skip
def test_embedder__errors_are_one_sentence(forward: Any, place: Placement, message: str) -> None:
    with pytest.raises(EncoderError) as refused:
        Embedder("mine", nn.Identity(), forward, PLAIN, place)(batch(2))
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_network_encoder__what_a_result_records() -> None:
    layer = nn.Linear(3, 2)
    prepared: list[nn.Module] = []

    def prepare(module: nn.Module) -> nn.Module:
        prepared.append(module)
        return nn.Sequential(nn.Linear(9, 9), module)

    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return module[1](pixels.mean((2, 3)))  # type: ignore[index]

    layer.train()
    encoder = network_encoder(network(layer, forward, prepare=prepare, revision="r", group="SSL", training_data="t",
                                      details={"a": 1}), CPU)  # fmt: skip
    info = encoder.info
    assert (info.id, info.library, info.revision, info.group, info.training_data) == (
        "mine",
        "callable",
        "r",
        "SSL",
        "t",
    )
    assert (info.dimension, info.parameters, info.pooling, info.details) == (2, 8, "mean", {"a": 1})
    assert info.weights_sha256 == hash_state_dict(layer.state_dict())
    assert (prepared, layer.training, layer.weight.requires_grad) == ([layer], False, False)
    assert (encoder.device, encoder.dtype, encoder.compiled, encoder.preprocess) == ("cpu", "float32", False, small)
    for given in (None, "0" * 64):
        assert network_encoder(network(weights_sha256=given), CPU).info.weights_sha256 == given
    for stateless, compiled in ((True, False), (False, False)):
        embed: Any = network_encoder(network(stateless=stateless, cpu_chunk=3), replace(CPU, compile=compiled)).embed
        assert (embed.parallel, embed.cpu_chunk) == (stateless, 3)
    with pytest.raises(EncoderError, match="bfloat16"):
        network_encoder(network(forward=lambda m, x: x.mean((2, 3)) / 0), Placement("cpu", "bfloat16"))
    for number in (torch.nan, torch.inf):
        one = torch.tensor([1.0, number, 1.0])
        with pytest.raises(EncoderError, match="float32"):
            network_encoder(network(forward=lambda m, x, one=one: x.mean((2, 3)) * one), CPU)


def test_hash__of_names_types_shapes_and_bytes() -> None:
    tensors = {"b": torch.tensor([1.5, 2.0]), "a": torch.tensor(3, dtype=torch.int8), "c": torch.zeros(0, 2)}
    text = b"a\0int8\0()\0\x03" + b"b\0float32\0(2,)\0" + np.float32([1.5, 2]).tobytes() + b"c\0float32\0(0, 2)\0"
    assert hash_state_dict(tensors) == hashlib.sha256(text).hexdigest()
    turned = {"a": torch.arange(6).reshape(2, 3).T}
    assert hash_state_dict(turned) == hash_state_dict({"a": turned["a"].contiguous()})
