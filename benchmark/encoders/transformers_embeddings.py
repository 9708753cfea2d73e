"""Which output of a transformers model is the embedding of an image.

The first line that applies:

- a family of ``FAMILIES``: what its entry says;
- an image and a text tower (CLIP, SigLIP, ALIGN, ...): ``get_image_features``, the projected image features;
- a vision tower with its projection (``CLIPVisionModelWithProjection``): ``image_embeds``;
- a pooler without weights, or with weights that are in the checkpoint (DINOv2 and 3, ConvNeXt, ResNet, Swin, ...):
  ``pooler_output``;
- a class token (a ViT that was saved as a classifier; its pooler would be random): it, after the last norm;
- anything else: the mean over positions of the last hidden state.

A family that these general lines would misread is one entry in ``FAMILIES``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.encoders.embedding import pooled


@dataclass(frozen=True)
class Embedding:
    """Which embedding, as code and in words."""

    forward: Callable[[Any, torch.Tensor], torch.Tensor]
    """(model, pixels [n, 3, height, width]) -> [n, dimension]."""
    words: str
    """What a result records as pooling."""


def _unchanged(config: Any) -> None:
    """Most families are loaded as they were saved."""


@dataclass(frozen=True)
class TransformersFamily:
    """A ``model_type`` whose embedding the general lines would misread."""

    embedding: Embedding
    configure: Callable[[Any], None] = _unchanged
    """Told the configuration before the model is made."""


def choose_embedding(model: Any, config: Any, missing: set[str], pixels: torch.Tensor) -> Embedding:
    """Which embedding, by the lines at the top.

    Args:
        model: loaded, in evaluation mode.
        config: its configuration; ``model_type`` is looked up in ``FAMILIES``.
        missing: names of the weights that the checkpoint did not have.
        pixels: one preprocessed image, [1, 3, height, width].
    """
    if config.model_type in FAMILIES:
        return FAMILIES[config.model_type].embedding
    if hasattr(model, "get_image_features"):
        return Embedding(_image_features, "projected image features (get_image_features)")
    with torch.inference_mode():
        output = model(pixel_values=pixels)
    if getattr(output, "image_embeds", None) is not None:
        return Embedding(_image_embeds, "projected image features (image_embeds)")
    if getattr(output, "pooler_output", None) is not None and not any("pooler" in key for key in missing):
        return Embedding(_pooler_output, "pooler_output")
    if output.last_hidden_state.ndim == 3 and _has_class_token(model):
        return Embedding(_class_token, "class token after the last norm (the checkpoint has no pooler)")
    return Embedding(_mean, "mean over positions of the last hidden state")


def _image_features(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    features = model.get_image_features(pixel_values=pixels)
    return pooled(features if isinstance(features, torch.Tensor) else features.pooler_output)


def _image_embeds(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=pixels).image_embeds


def _pooler_output(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=pixels).pooler_output.flatten(1)


def _class_token(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=pixels).last_hidden_state[:, 0]


def _mean(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return pooled(model(pixel_values=pixels).last_hidden_state)


def _unmasked_class_token(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    patches = model.embeddings.patch_embeddings.num_patches
    order = torch.arange(patches, device=pixels.device, dtype=torch.float32).expand(len(pixels), -1)
    return model(pixel_values=pixels, noise=order).last_hidden_state[:, 0]


def _has_class_token(model: nn.Module) -> bool:
    return any(name.rpartition(".")[2] in ("cls_token", "class_embedding") for name, _ in model.named_parameters())


def _mask_nothing(config: Any) -> None:
    config.mask_ratio = 0.0


FAMILIES: dict[str, TransformersFamily] = {
    "vit_mae": TransformersFamily(
        Embedding(_unmasked_class_token, "class token after the last norm, no patch masked"), _mask_nothing
    ),
}
"""By ``model_type``. A new family is an entry here and a tiny checkpoint in its test."""
