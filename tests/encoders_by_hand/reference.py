"""Small networks, and their embeddings by the library that they are of."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
import torchvision
import transformers as tf
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import nn

from tests.encoders_by_hand.case import VIT, randomise, vit_processor

Embed = Callable[[list[Image.Image]], np.ndarray]

VIT_OPTIONS = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 4}

ARGUMENTS = "&".join(f"arch.{name}={value}" for name, value in VIT_OPTIONS.items())


@dataclass(frozen=True)
class Trained:
    """What a trainer wrote."""

    spec: str
    """As ``--model`` takes it."""
    embed: Embed | None
    """By the model in memory; None where the checkpoint is refused."""
    words: str = ""
    """A part of the notices, or of the refusal."""


Write = Callable[[Path], Trained]


def timm_network(name: str = "test_resnet", **options: Any) -> nn.Module:
    """A small network of timm with a classifier, and norms whose statistics are of the photos."""
    torch.manual_seed(0)
    network: nn.Module = timm.create_model(name, pretrained=False, num_classes=7, **options)
    randomise(network)
    return with_statistics(network)


def with_statistics(network: nn.Module) -> nn.Module:
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 64, 64) if not hasattr(network, "pos_embed") else torch.rand(4, 3, 32, 32))
    return network.eval()


def by_timm(network: nn.Module, **data: Any) -> Embed:
    """Features before the classifier, through timm's own transform."""
    config = resolve_data_config(data, model=network)
    transform = create_transform(**config, is_training=False)
    network = copy.deepcopy(network).eval()

    def embed(pictures: list[Image.Image]) -> np.ndarray:
        with torch.no_grad():
            pixels = torch.stack([transform(picture) for picture in pictures])
            return network.forward_head(network.forward_features(pixels), pre_logits=True).numpy()

    return embed


def by_module(network: nn.Module, transform: Callable[[Any], torch.Tensor]) -> Embed:
    """A module that returns the embedding."""
    network = copy.deepcopy(network).eval()

    def embed(pictures: list[Image.Image]) -> np.ndarray:
        with torch.no_grad():
            return network(torch.stack([transform(picture) for picture in pictures])).numpy()

    return embed


def torchvision_transform(side: int, mean: list[float], std: list[float]) -> Callable[[Any], torch.Tensor]:
    """Torchvision's resize, crop and normalisation."""
    parts = torchvision.transforms
    steps = [parts.Resize(side), parts.CenterCrop(side), parts.ToTensor(), parts.Normalize(mean, std)]
    transform: Callable[[Any], torch.Tensor] = parts.Compose(steps)
    return transform


def by_vit(network: nn.Module, processor: Callable[[], Any] = vit_processor) -> Embed:
    """What the classifier reads: the class token after the last norm."""
    network = copy.deepcopy(network).eval()
    with tempfile.TemporaryDirectory() as folder:
        processor().save_pretrained(folder)
        made = tf.AutoImageProcessor.from_pretrained(folder, backend="pil")

    def embed(pictures: list[Image.Image]) -> np.ndarray:
        with torch.no_grad():
            pixels = torch.cat([made(images=p, return_tensors="pt")["pixel_values"] for p in pictures])
            return network.vit(pixels).last_hidden_state[:, 0].numpy()

    return embed


CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
}


def clip_network(folder: Path) -> nn.Module:
    """A small CLIP of a configuration that open_clip knows from now on."""
    (folder / "configs").mkdir()
    (folder / "configs" / "ViT-tiny-test.json").write_text(json.dumps(CLIP))
    open_clip.add_model_config(folder / "configs")
    torch.manual_seed(0)
    network: nn.Module = open_clip.create_model("ViT-tiny-test", pretrained=None)
    randomise(network)
    return network.eval()


def hf_network(num_labels: int = 7) -> nn.Module:
    """A small classifier of transformers."""
    torch.manual_seed(0)
    network = tf.ViTForImageClassification(tf.ViTConfig(**VIT, num_labels=num_labels))
    randomise(network)
    return network.eval()
