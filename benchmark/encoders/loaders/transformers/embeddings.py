"""The outputs of a transformers model that are embeddings of an image.

The first line that applies:

- a family of ``FAMILIES``: as its entry says;
- an image classifier (``...ForImageClassification``): the input of its last linear layer;
- a model that describes images (LLaVA, PaliGemma, Qwen-VL, ...): its vision tower, by the lines below, and under the
  name ``projected`` the mean over the tokens that its language model reads (``towers.py``);
- an image and a text tower (CLIP, SigLIP, ALIGN, ...): ``get_image_features``, the projected image features;
- a vision tower with its projection (``CLIPVisionModelWithProjection``): ``image_embeds``;
- a pooler without weights, or with weights in the checkpoint (DINOv2 and 3, ConvNeXt, ResNet, Swin, ...):
  ``pooler_output``;
- a class token (a ViT whose pooler would be random): the class token after the last norm;
- anything else: the mean over positions of the last hidden state.

A family for which these lines are wrong has an entry in ``FAMILIES``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from benchmark.encoders.loaders.transformers.positions import Positions, is_named_width, positions_of
from builders.errors import EncoderError, UsageError

Arguments = Callable[[torch.Tensor], dict[str, torch.Tensor]]
"""A batch of views -> arguments of the model (``inputs.py``)."""

TOWERS = ("vision_tower", "vision_model", "visual", "vision_encoder", "image_encoder", "backbone")
"""Names that models give to their vision tower."""


@dataclass(frozen=True)
class Embedding:
    """How to compute an embedding, as code and in words."""

    forward: Callable[[Any, torch.Tensor], torch.Tensor]
    """(module, batch of views) -> [n, dimension]."""
    words: str
    """As a result records it, ``EncoderInfo.pooling``."""
    part: str = ""
    """Name of the submodule that is the encoder and the argument of ``forward``; empty for the whole model."""


def _unchanged(config: Any) -> None:
    """Leaves the configuration as it was saved, which is right for most families."""


@dataclass(frozen=True)
class TransformersFamily:
    """A ``model_type`` whose embedding the general lines would not give."""

    embedding: Embedding
    """The default embedding."""
    configure: Callable[[Any], None] = _unchanged
    """Changes the configuration before the model is made."""
    others: Mapping[str, Embedding] = field(default_factory=dict)
    """Further embeddings, by the name that ``?output=`` takes."""


@dataclass(frozen=True)
class Loaded:
    """A loaded model and what is needed to find its embedding."""

    model: Any
    """In evaluation mode."""
    missing: frozenset[str]
    """Names of the weights that the checkpoint lacks."""
    views: torch.Tensor
    """A batch of two preprocessed pictures of different shapes."""
    arguments: Arguments

    def part(self, name: str) -> Loaded:
        """A submodule with the same views."""
        inside = frozenset(key.removeprefix(f"{name}.") for key in self.missing if key.startswith(f"{name}."))
        return Loaded(self.model.get_submodule(name), inside, self.views, self.arguments)


def plain(views: torch.Tensor) -> dict[str, torch.Tensor]:
    """Arguments of most models: the pictures alone."""
    return {"pixel_values": views}


def tile(views: torch.Tensor) -> dict[str, torch.Tensor]:
    """Arguments of models that take tiles: the whole picture is the only tile."""
    return {"pixel_values": views[:, None]}


def general_embedding(loaded: Loaded) -> Embedding:
    """The embedding of a model that takes pictures alone, by the last five lines of the list above.

    Raises:
        UsageError: the output has a vector for each picture that this package does not know.
        Exception: any error of the model, where it needs more than a picture.
    """
    if hasattr(loaded.model, "get_image_features"):
        features = ImageFeatures(loaded.arguments)
        with torch.no_grad():
            features(loaded.model, loaded.views)
        return Embedding(features, "projected image features (get_image_features)")
    call = Call(loaded.arguments)
    output, count = call(loaded.model, loaded.views), len(loaded.views)
    for name, words in NAMED_EMBEDDINGS.items():
        if _is_vector(getattr(output, name, None), count):
            return Embedding(Field(call, name), words)
    pooler = getattr(output, "pooler_output", None)
    with_weights = not any("pooler" in key or key.startswith("head.") for key in loaded.missing)
    if isinstance(pooler, torch.Tensor) and len(pooler) == count and pooler.ndim != 3 and with_weights:
        return Embedding(Field(call, "pooler_output"), "pooler_output")
    _refuse_unknown_vector(output, count)
    if decoding := next((name for name in output_names(output) if name.startswith(OF_DECODERS)), None):
        raise EncoderError(f"its output is of a decoder ({decoding}), not of positions of a picture")
    hidden, arguments = last_hidden(output), loaded.arguments(loaded.views)
    if getattr(output, "last_hidden_state", None) is None and hidden.ndim == 4:
        positions = Positions(axis=1)  # maps of a backbone, whose interface says so
    else:
        positions = positions_of(hidden, arguments, loaded.model, count)
    width = hidden.shape[positions.axis if hidden.ndim == 4 else -1]
    if not is_named_width(width, loaded.model):
        raise EncoderError(f"its last hidden state has {width} numbers for each position, which is none of its widths")
    if hidden.ndim == 3 and len(hidden) == count and has_class_token(loaded.model) and positions.prefixed:
        if getattr(output, "last_hidden_state", None) is None:  # a backbone for dense tasks, whose heads read patches
            return Embedding(Mean(call, positions), "mean over the patches of the last feature map")
        return Embedding(ClassToken(call), "class token after the last norm (the checkpoint has no pooler)")
    return Embedding(Mean(call, positions), "mean over positions of the last hidden state")


NAMED_EMBEDDINGS = {
    "image_embeds": "projected image features (image_embeds)",
    "summary": "summary, as the library calls its embedding of a picture",
    "cls_token_value": "class token after the last stage (cls_token_value)",
}
"""Field of an output that is the embedding of a picture -> its name in words."""

OF_DECODERS = ("encoder_", "decoder_", "transformer_decoder", "init_reference", "head_hidden_states")
"""Beginnings of fields of outputs whose last hidden state is that of a decoder: object queries, tokens of text."""

_VECTOR = re.compile(r".*(embed|feature|summary|vector|descriptor|latent|pooled|pooler|representation).*")


def output_names(output: Any) -> list[str]:
    """Names of the fields of an output that are set."""
    return [name for name in output if getattr(output, name, None) is not None] if hasattr(output, "keys") else []


def _is_vector(value: Any, count: int) -> bool:
    """True for a tensor [count, d], or [count, 1, d]."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point() or len(value) != count:
        return False
    return value.ndim == 2 or (value.ndim == 3 and value.shape[1] == 1)


def _refuse_unknown_vector(output: Any, count: int) -> None:
    """Refuse an output with a vector for each picture that may be the library's embedding, under an unknown name.

    Args:
        output: of a model.
        count: number of pictures.

    Raises:
        UsageError: names the field.
    """
    known = (*NAMED_EMBEDDINGS, "pooler_output")
    for name in output_names(output):
        if name not in known and _VECTOR.fullmatch(name) and _is_vector(getattr(output, name), count):
            what = f"{type(output).__name__} has {name}, which may be its embedding of a picture"
            raise UsageError(
                f"{what}; camtrace does not know this output: score it as module:function, or add the family "
                "(docs/how-to/extend.md)"
            )


@dataclass(frozen=True)
class Call:
    """A forward pass."""

    arguments: Arguments

    @torch.no_grad()
    def __call__(self, model: Any, views: torch.Tensor) -> Any:
        return model(**fitted(model.forward, self.arguments(views)))


FIRST_NAMES = ("hidden_states", "input", "inputs", "images", "image", "x", "pixel_patches", "flattened_patches")
"""Names that towers give to their pictures, which are ``pixel_values`` elsewhere."""

OTHER_NAMES = {"image_grid_thw": "grid_thw", "image_grid_hw": "grid_hw", "image_position_ids": "pixel_position_ids"}
"""Argument of a whole model -> its name in the model's tower."""


class OneSize(dict[str, torch.Tensor]):
    """Arguments of pictures of one size: those that a function does not name say nothing about a picture."""


def fitted(function: Callable[..., Any], arguments: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Arguments under the names that a function gives to them.

    Args:
        function: the forward pass of a model or of its tower, or ``get_image_features``.
        arguments: the first is the picture.

    >>> def tower(hidden_states, grid_thw): ...
    >>> list(fitted(tower, {"pixel_values": torch.zeros(1), "image_grid_thw": torch.zeros(1)}))
    ['hidden_states', 'grid_thw']
    """
    parameters = inspect.signature(function).parameters
    renamed: dict[str, torch.Tensor] = {}
    for number, (name, value) in enumerate(arguments.items()):
        others = (name, OTHER_NAMES.get(name, name), *(FIRST_NAMES if number == 0 else ()))
        known = next((other for other in others if other in parameters), None)
        if known is not None or number == 0 or not isinstance(arguments, OneSize):
            renamed[known or name] = value
    return renamed


@dataclass(frozen=True)
class ImageFeatures:
    """``get_image_features`` of an image and a text tower."""

    arguments: Arguments

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        features = model.get_image_features(**fitted(model.get_image_features, self.arguments(views)))
        vectors = features if isinstance(features, torch.Tensor) else getattr(features, "pooler_output", None)
        if not isinstance(vectors, torch.Tensor) or len(vectors) != len(views):
            raise EncoderError("its get_image_features gives no vector for each picture")
        if vectors[0].numel() != max(vectors.shape[1:]):  # tokens for a language model
            raise EncoderError("its get_image_features gives several vectors for each picture")
        return vectors.flatten(1)


@dataclass(frozen=True)
class Field:
    """A vector of the output by its name."""

    call: Call
    name: str

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        return getattr(self.call(model, views), self.name).flatten(1)


@dataclass(frozen=True)
class ClassToken:
    """The first position of the last hidden state."""

    call: Call

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        return self.call(model, views).last_hidden_state[:, 0]


@dataclass(frozen=True)
class Mean:
    """The mean over the positions of a picture, without those of padding."""

    call: Call
    positions: Positions

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        hidden = last_hidden(self.call(model, views))
        return self.positions.mean(hidden, self.call.arguments(views), len(views))


def last_hidden(output: Any) -> torch.Tensor:
    """Last hidden state of an output; of a backbone the last feature map.

    Raises:
        EncoderError: the output has neither.
    """
    hidden, maps = getattr(output, "last_hidden_state", None), getattr(output, "feature_maps", None)
    if isinstance(output, list) and output and all(isinstance(part, torch.Tensor) for part in output):
        maps = output  # of timm, below a transformers model
    if hidden is not None:
        return hidden
    if not maps:
        raise EncoderError(f"its {type(output).__name__} has no last hidden state")
    return maps[-1]


def has_class_token(model: nn.Module) -> bool:
    """True if the first position is a class token."""
    return any(name.rpartition(".")[2] in ("cls_token", "class_embedding") for name, _ in model.named_parameters())


def _unmasked_class_token(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    patches = model.embeddings.patch_embeddings.num_patches
    order = torch.arange(patches, device=pixels.device, dtype=torch.float32).expand(len(pixels), -1)
    return model(pixel_values=pixels, noise=order).last_hidden_state[:, 0]


def _mask_nothing(config: Any) -> None:
    config.mask_ratio = 0.0


def _flava_class_token(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    features = model.get_image_features(pixel_values=pixels)
    return (features if isinstance(features, torch.Tensor) else features.pooler_output)[:, 0]


def _blip2_projected(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    patches = model.vision_model(pixel_values=pixels).last_hidden_state
    queries = model.query_tokens.expand(len(pixels), -1, -1)
    tokens = model.qformer(query_embeds=queries, encoder_hidden_states=patches).last_hidden_state
    return model.language_projection(tokens).mean(1)


def _channels_last_mean(model: Any, pixels: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=pixels).last_hidden_state.mean((1, 2))


_PROJECTED_QUERIES = "mean over the projected query tokens that its language model reads"

_HIERA = Embedding(_channels_last_mean, "mean over positions of the vision tower's last stage", "vision_encoder")

FAMILIES: dict[str, TransformersFamily] = {
    "vit_mae": TransformersFamily(
        Embedding(_unmasked_class_token, "class token after the last norm, no patch masked"), _mask_nothing
    ),
    "flava": TransformersFamily(
        Embedding(_flava_class_token, "projected class token (token 0 of get_image_features), its contrastive one")
    ),
    "blip-2": TransformersFamily(
        Embedding(Field(Call(plain), "pooler_output"), "vision tower, not projected: pooler_output", "vision_model"),
        others={"projected": Embedding(_blip2_projected, _PROJECTED_QUERIES)},
    ),
    "instructblip": TransformersFamily(
        Embedding(Field(Call(plain), "pooler_output"), "vision tower, not projected: pooler_output", "vision_model"),
    ),
    "sam2": TransformersFamily(_HIERA),
    "sam2_video": TransformersFamily(_HIERA),
    "edgetam": TransformersFamily(_HIERA),
    "sam2_vision_model": TransformersFamily(
        Embedding(_channels_last_mean, "mean over positions of the last stage"),
    ),
}
"""Families by ``model_type``. A new one needs an entry here and a tiny checkpoint in its test."""
