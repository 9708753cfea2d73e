"""Broken checkpoints: each is refused in one sentence, or embeds as the whole one and says what was different."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
import transformers as tf
from PIL import Image
from safetensors.torch import save_file

from benchmark.encoders import Encoder, load_encoder
from builders.errors import CamtraceError
from tests.encoders_by_hand.case import VIT, randomise, vit_processor

Tensors = dict[str, torch.Tensor]
OPTIONS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}


@dataclass(frozen=True)
class Network:
    """A small network, and how a specification names it."""

    tensors: Tensors
    query: str
    head: str
    """Beginning of the names of its classifier."""
    layer: str
    """Name of its first layer, before its number."""


def _timm(folder: Path) -> Network:
    model = timm.create_model("vit_tiny_patch16_224", num_classes=7, **OPTIONS)
    randomise(model)
    arguments = "&".join(f"arch.{name}={value}" for name, value in OPTIONS.items())
    return Network(model.state_dict(), f"arch=timm:vit_tiny_patch16_224&{arguments}&size=32", "head.", "blocks.")


def _torchvision(folder: Path) -> Network:
    model = torchvision.models.shufflenet_v2_x0_5(num_classes=7)
    randomise(model)
    return Network(model.state_dict(), "arch=torchvision:shufflenet_v2_x0_5&size=32", "fc.", "stage2.")


def _transformers(folder: Path) -> Network:
    model = tf.ViTForImageClassification(tf.ViTConfig(**VIT, num_labels=7))
    randomise(model)
    model.config.architectures = ["ViTForImageClassification"]
    model.config.save_pretrained(folder)
    vit_processor().save_pretrained(folder)
    return Network(model.state_dict(), f"arch=transformers:{folder}", "classifier.", "vit.layers.")


NETWORKS: Mapping[str, Callable[[Path], Network]] = {
    "timm": _timm,
    "torchvision": _torchvision,
    "transformers": _transformers,
}

Break = Callable[[Network, np.random.Generator], Any]
"""(network, generator) -> contents of the file."""


def _one(network: Network, generator: np.random.Generator, of: Callable[[torch.Tensor], bool] = lambda t: True) -> str:
    body = {key: tensor for key, tensor in network.tensors.items() if not key.startswith(network.head)}
    return str(generator.choice(sorted(key for key, tensor in body.items() if tensor.ndim and of(tensor))))


def _renamed(network: Network, generator: np.random.Generator) -> Tensors:
    renamed = _one(network, generator)
    return {f"{key}_old" if key == renamed else key: tensor for key, tensor in network.tensors.items()}


def _without_layer(network: Network, generator: np.random.Generator) -> Tensors:
    layer = f"{_one(network, generator).rpartition('.')[0]}."
    left = {key: tensor for key, tensor in network.tensors.items() if not key.startswith(layer)}
    return left if layer != "." else {key: tensor for key, tensor in network.tensors.items() if "." in key}


def _layer_too_many(network: Network, generator: np.random.Generator) -> Tensors:
    first = {key: t for key, t in network.tensors.items() if key.startswith(f"{network.layer}0.")}
    return network.tensors | {key.replace(f"{network.layer}0.", f"{network.layer}9."): t for key, t in first.items()}


def _classes(network: Network, generator: np.random.Generator) -> Tensors:
    head = {key: torch.cat([t, t[:3]]) for key, t in network.tensors.items() if key.startswith(network.head)}
    return network.tensors | head


def _without_head(network: Network, generator: np.random.Generator) -> Tensors:
    return {key: tensor for key, tensor in network.tensors.items() if not key.startswith(network.head)}


def _head_alone(network: Network, generator: np.random.Generator) -> Tensors:
    return {key: tensor for key, tensor in network.tensors.items() if key.startswith(network.head)}


def _transposed(network: Network, generator: np.random.Generator) -> Tensors:
    key = _one(network, generator, lambda t: t.ndim >= 2 and t.shape[0] != t.shape[1])
    return network.tensors | {key: network.tensors[key].transpose(0, 1).contiguous()}


def _not_finite(network: Network, generator: np.random.Generator) -> Tensors:
    key = _one(network, generator, lambda t: t.is_floating_point())
    broken = network.tensors[key].clone()
    broken.view(-1)[int(generator.integers(broken.numel()))] = float(generator.choice([np.nan, np.inf]))
    return network.tensors | {key: broken}


def _half(network: Network, generator: np.random.Generator) -> Tensors:
    names = sorted(network.tensors)
    return {key: network.tensors[key] for key in names[: len(names) // 2]}


def _unknown_prefix(network: Network, generator: np.random.Generator) -> Tensors:
    return {f"my_net.trunk.{key}": tensor for key, tensor in network.tensors.items()}


def _averaged_alone(network: Network, generator: np.random.Generator) -> dict[str, Tensors]:
    return {"state_dict_ema": network.tensors}


def _two_copies(network: Network, generator: np.random.Generator) -> dict[str, Tensors]:
    other = {key: tensor + 1 for key, tensor in network.tensors.items()}
    return {"student": network.tensors, "teacher": other}


def _two_equal_copies(network: Network, generator: np.random.Generator) -> Tensors:
    alias = {f"alias.{key}": tensor for key, tensor in network.tensors.items()}
    return {f"net.{key}": tensor for key, tensor in network.tensors.items()} | alias


def _copy_lacks_a_weight(network: Network, generator: np.random.Generator) -> dict[str, Tensors]:
    """Half trained: one copy is whole, the other one lacks a weight and is not averaged."""
    key = _one(network, generator)
    lacking = {name: tensor + 1 for name, tensor in network.tensors.items() if name != key}
    return {"state_dict": lacking, "model_ema": network.tensors}


BREAKS: Mapping[str, Break] = {
    "renamed": _renamed,
    "layer missing": _without_layer,
    "layer too many": _layer_too_many,
    "other classes": _classes,
    "no head": _without_head,
    "head alone": _head_alone,
    "transposed": _transposed,
    "not finite": _not_finite,
    "half": _half,
    "unknown prefix": _unknown_prefix,
    "averaged alone": _averaged_alone,
    "two copies": _two_copies,
    "two equal copies": _two_equal_copies,
    "a weight missing, averaged whole": _copy_lacks_a_weight,
}
"""14 kinds."""

EACH = [(list(NETWORKS)[i % len(NETWORKS)], kind) for i, kind in enumerate(BREAKS)]
"""Networks take their turns."""

HARMLESS = {"other classes", "no head", "unknown prefix", "two equal copies"}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Network]:
    torch.manual_seed(0)
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in NETWORKS.items()}


@pytest.fixture(scope="module")
def whole(networks: dict[str, Network], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Encoder]:
    folder = tmp_path_factory.mktemp("whole")
    for name, network in networks.items():
        torch.save(network.tensors, folder / f"{name}.pth")
    return {name: _load(folder / f"{name}.pth", network) for name, network in networks.items()}


def _load(file: Path, network: Network) -> Encoder:
    return load_encoder(f"weights:{file}?{network.query}", device="cpu", runtime="torch")


@pytest.mark.parametrize(("name", "kind"), EACH)
def test_broken__is_refused_or_embeds_as_the_whole_one_and_says_so(
    name: str,
    kind: str,
    networks: dict[str, Network],
    whole: dict[str, Encoder],
    tmp_path: Path,
    photos: list[Image.Image],
    embed_photos: Any,
) -> None:
    network, generator = networks[name], np.random.default_rng([len(name), *kind.encode()])
    torch.save(BREAKS[kind](network, generator), tmp_path / "broken.pth")
    if kind not in HARMLESS:
        with pytest.raises(CamtraceError) as caught:
            _load(tmp_path / "broken.pth", network)
        assert "\n" not in str(caught.value)
        assert "transformers cannot load" not in str(caught.value)
        return
    encoder = _load(tmp_path / "broken.pth", network)
    assert encoder.info.weights_sha256 == whole[name].info.weights_sha256
    np.testing.assert_allclose(embed_photos(encoder, photos), embed_photos(whole[name], photos), atol=1e-6)
    printed = encoder.notices[-1]
    assert {"unknown prefix": "my_net.trunk.", "two equal copies": "'alias."}.get(kind, "") in printed
    assert (kind == "no head") == (f"{network.head}bias" not in printed)


@pytest.mark.parametrize("part", [1, 2])
def test_broken__half_of_the_shards(part: int, networks: dict[str, Network], tmp_path: Path) -> None:
    network = networks["timm"]
    names = sorted(network.tensors)
    save_file({key: network.tensors[key] for key in names[::2]}, tmp_path / f"model-0000{part}-of-00002.safetensors")
    with pytest.raises(CamtraceError, match=f"{3 - part}"):
        _load(tmp_path, network)
    index = {"weight_map": {key: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, key in enumerate(names)}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CamtraceError, match="missing"):
        _load(tmp_path, network)


def test_broken__adapter_without_its_base(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "base_model_name_or_path": str(tmp_path / "gone" / "vit")}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(CamtraceError, match="merge_and"):
        load_encoder(str(tmp_path), device="cpu")
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(CamtraceError, match="base_model_name_or_path"):
        load_encoder(str(tmp_path), device="cpu")
