"""Embeddings of models that describe images: their vision tower, and the tokens that their language model reads.

Neither needs the language model. It is made without layers, so that of a checkpoint with seven billion weights only the
tower and the projection are read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmark.encoders.loaders.transformers.embeddings import (
    TOWERS,
    Arguments,
    Embedding,
    Loaded,
    general_embedding,
    plain,
    tile,
)

LAYERS = ("num_hidden_layers", "num_layers", "decoder_layers", "encoder_layers", "num_decoder_layers")
"""Names that configurations of language models give to their depth."""


def describes_images(config: Any) -> bool:
    """True for the configuration of a model from image and text to text.

    >>> from types import SimpleNamespace
    >>> describes_images(SimpleNamespace(model_type="llava")), describes_images(SimpleNamespace(model_type="clip"))
    (True, False)
    """
    from transformers.models.auto import modeling_auto

    kinds = {
        **modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        **modeling_auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    }
    return config.model_type in kinds and config.model_type not in ("blip", "vision-encoder-decoder")


def without_language_layers(config: Any) -> None:
    """Change a configuration, in place, so that the language model is made without layers."""
    text = config.get_text_config()
    if text is getattr(config, "vision_config", None):
        return
    for name in LAYERS:
        if getattr(text, name, None) is not None:
            setattr(text, name, 0)
    with contextlib.suppress(AttributeError):
        if text.layer_types is not None:
            text.layer_types = []


def tower_name(model: Any) -> str | None:
    """Name of the submodule that is the vision tower of a model; None if there is none."""
    names = (*TOWERS, "encoder") if getattr(model, "main_input_name", "") == "pixel_values" else TOWERS
    return next((name for name in names if isinstance(getattr(model, name, None), torch.nn.Module)), None)


def tower_embedding(loaded: Loaded) -> Embedding | None:
    """The embedding of a model's vision tower, as if it had been saved alone; None if it needs more than a picture."""
    name = tower_name(loaded.model)
    if name is None:
        return None
    if loaded.arguments is tile:  # a tower sees one picture
        loaded = replace(loaded, arguments=plain)
    try:
        embedding = general_embedding(loaded.part(name))
        with torch.no_grad():
            vectors = embedding.forward(loaded.model.get_submodule(name), loaded.views)
    except Exception:  # any model, any error: it needs more than a picture
        return None
    if vectors.ndim != 2 or len(vectors) != len(loaded.views):
        return None
    return Embedding(embedding.forward, f"vision tower, not projected: {embedding.words}", name)


def image_text_embeddings(loaded: Loaded) -> dict[str, Embedding]:
    """Embeddings by name: ``tower`` and, where the model has it, ``projected``; the first is the default."""
    embeddings: dict[str, Embedding] = {}
    model, arguments = loaded.model, loaded.arguments
    tower = tower_embedding(loaded)
    if tower is not None:
        embeddings["tower"] = tower
    project = _projection(loaded)
    if project is not None:
        if tower is None:
            words = "vision tower, not projected: mean over positions of the last hidden state"
            embeddings["tower"] = Embedding(TowerTokens(arguments, _patch_size(model.config)), words)
        words = "mean over the projected image tokens that its language model reads"
        embeddings["projected"] = Embedding(project, words)
    return embeddings


def _projection(loaded: Loaded) -> Callable[[Any, torch.Tensor], torch.Tensor] | None:
    for project in (ProjectedTokens(loaded.arguments), LlavaTokens()):
        try:
            with torch.no_grad():
                vectors = project(loaded.model, loaded.views)
        except Exception:  # any model, any error
            continue
        if vectors.ndim == 2 and len(vectors) == len(loaded.views):
            return project
    return None


@dataclass(frozen=True)
class ProjectedTokens:
    """For each picture, the mean over the tokens that ``get_image_features`` passes to the language model."""

    arguments: Arguments

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        tokens = model.get_image_features(**self.arguments(views)).pooler_output
        return torch.stack([of_picture.reshape(-1, of_picture.shape[-1]).mean(0) for of_picture in tokens])


@dataclass(frozen=True)
class LlavaTokens:
    """The mean over projected tokens of models with tiles (LLaVA-NeXT); the whole picture is the only tile."""

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        config = model.config
        output = model.vision_tower(pixel_values=views, output_hidden_states=True)
        layers = config.vision_feature_layer
        chosen = [output.hidden_states[layer] for layer in ([layers] if isinstance(layers, int) else layers)]
        if config.vision_feature_select_strategy == "default":
            chosen = [hidden[:, 1:] for hidden in chosen]
        return model.multi_modal_projector(torch.cat(chosen, -1)).mean(1)


@dataclass(frozen=True)
class TowerTokens:
    """For each picture, the mean over the tower's last hidden state, which may join pictures of many sizes."""

    arguments: Arguments
    patch: int

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        arguments = self.arguments(views)
        hidden = model.get_image_features(**arguments).last_hidden_state
        mask = arguments.get("pixel_attention_mask")
        if mask is not None:
            return _masked_mean(hidden, mask, self.patch)
        if "image_grid_thw" in arguments:
            patches = arguments["image_grid_thw"].prod(1)
        elif "image_sizes" in arguments:
            patches = (arguments["image_sizes"] // self.patch).prod(1)
        else:
            return hidden.reshape(len(views), -1, hidden.shape[-1]).mean(1)
        flat = hidden.reshape(-1, hidden.shape[-1])
        merged = int(patches.sum()) // len(flat)  # towers that merge patches before their last hidden state
        return torch.stack([part.mean(0) for part in flat.split((patches // merged).tolist())])


def _masked_mean(hidden: torch.Tensor, mask: torch.Tensor, patch: int) -> torch.Tensor:
    """hidden [n, positions, d], mask of positions [n, positions] or of pixels [n, 1, height, width] -> [n, d]."""
    if mask.ndim > 2:
        pixels = mask.reshape(len(hidden), 1, *mask.shape[-2:]).float()
        mask = torch.nn.functional.max_pool2d(pixels, patch).flatten(1)
    weights = mask.to(hidden.dtype)[..., None]
    return (hidden * weights).sum(1) / weights.sum(1)


def _patch_size(config: Any) -> int:
    vision = getattr(config, "vision_config", config)
    patch = getattr(vision, "patch_size", 1)
    return patch if isinstance(patch, int) else int(patch[0])
