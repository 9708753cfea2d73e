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
from torch import nn

from benchmark.encoders.loaders.transformers.embeddings import (
    TOWERS,
    Arguments,
    Embedding,
    Loaded,
    fitted,
    general_embedding,
    last_hidden,
    plain,
    tile,
)
from benchmark.encoders.loaders.transformers.positions import Positions, positions_of

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


def tower_names(model: Any) -> list[str]:
    """Names of the submodules that may be the vision tower of a model, the likeliest first: those of ``TOWERS``, then
    modules inside of them and inside of a wrapper (``model.vision_tower``, ``backbone.conv_encoder.model``)."""
    reads_pictures = "pixel_values" in getattr(model, "main_input_name", "")
    base = str(getattr(model, "base_model_prefix", ""))
    names = (*TOWERS, "vision_backbone", "conv_encoder.model", *(["encoder"] if reads_pictures else []))
    paths: list[str] = []
    for inside in ("", *INSIDE):
        paths += [
            path
            for name in names
            if isinstance(_submodule(model, path := ".".join(filter(None, (inside, name)))), nn.Module)
        ]
    deeper = [
        f"{path}.{end}" for path in paths for end in WITHIN if isinstance(_submodule(model, f"{path}.{end}"), nn.Module)
    ]
    whole = [base] if reads_pictures and base and isinstance(_submodule(model, base), nn.Module) else []
    return list(dict.fromkeys([*paths, *deeper, *whole]))


INSIDE = ("model", "model.model", "vlm", "vlm.model", "encoder", "backbone", "detector_model", "pixel_level_module")
"""Modules of models in which a vision tower may be."""

WITHIN = ("model", "conv_encoder.model", "backbone", "vision_backbone", "_backbone", "encoder")
"""Modules of vision towers that take a picture alone, where the tower itself takes more."""


def _submodule(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name, None)
    return model


def tower_embedding(loaded: Loaded) -> Embedding | None:
    """The embedding of a model's vision tower, as if it had been saved alone; None if it needs more than a picture."""
    if tile in (loaded.arguments, getattr(loaded.arguments, "pictures", None)):  # a tower sees one picture
        loaded = replace(loaded, arguments=plain)
    for name in tower_names(loaded.model):
        try:
            embedding = general_embedding(loaded.part(name))
            with torch.no_grad():
                vectors = embedding.forward(loaded.model.get_submodule(name), loaded.views)
        except Exception:  # any model, any error: it needs more than a picture
            continue
        if vectors.ndim == 2 and len(vectors) == len(loaded.views):
            return Embedding(embedding.forward, f"vision tower, not projected: {embedding.words}", name)
    return None


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
            with torch.no_grad():
                given = fitted(model.get_image_features, arguments(loaded.views))
                hidden = last_hidden(model.get_image_features(**given))
            positions = positions_of(hidden, given, model, len(loaded.views))
            embeddings["tower"] = Embedding(TowerTokens(arguments, positions), words)
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
        tokens = model.get_image_features(**fitted(model.get_image_features, self.arguments(views))).pooler_output
        if len(tokens) != len(views):  # all pictures joined
            tokens = tokens.reshape(len(views), -1, tokens.shape[-1])
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
    positions: Positions

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        arguments = fitted(model.get_image_features, self.arguments(views))
        hidden = last_hidden(model.get_image_features(**arguments))
        return self.positions.mean(hidden, arguments, len(views))
