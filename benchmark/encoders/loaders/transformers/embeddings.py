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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from benchmark.encoders.network import pooled

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
        Exception: any error of the model, where it needs more than a picture.
    """
    if hasattr(loaded.model, "get_image_features"):
        return Embedding(ImageFeatures(loaded.arguments), "projected image features (get_image_features)")
    call = Call(loaded.arguments)
    output = call(loaded.model, loaded.views)
    if getattr(output, "image_embeds", None) is not None:
        return Embedding(ImageEmbeds(call), "projected image features (image_embeds)")
    has_pooler = getattr(output, "pooler_output", None) is not None
    if has_pooler and not any("pooler" in key or key.startswith("head.") for key in loaded.missing):
        return Embedding(PoolerOutput(call), "pooler_output")
    if last_hidden(output).ndim == 3 and has_class_token(loaded.model):
        if getattr(output, "last_hidden_state", None) is None:  # a backbone for dense tasks, whose heads read patches
            return Embedding(Mean(call, 1), "mean over the patches of the last feature map")
        return Embedding(ClassToken(call), "class token after the last norm (the checkpoint has no pooler)")
    return Embedding(Mean(call), "mean over positions of the last hidden state")


@dataclass(frozen=True)
class Call:
    """A forward pass."""

    arguments: Arguments

    @torch.no_grad()
    def __call__(self, model: Any, views: torch.Tensor) -> Any:
        return model(**self.arguments(views))


@dataclass(frozen=True)
class ImageFeatures:
    """``get_image_features`` of an image and a text tower."""

    arguments: Arguments

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        features = model.get_image_features(**self.arguments(views))
        return pooled(features if isinstance(features, torch.Tensor) else features.pooler_output)


@dataclass(frozen=True)
class ImageEmbeds:
    """``image_embeds`` of the output."""

    call: Call

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        return self.call(model, views).image_embeds


@dataclass(frozen=True)
class PoolerOutput:
    """``pooler_output`` of the output."""

    call: Call

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        return self.call(model, views).pooler_output.flatten(1)


@dataclass(frozen=True)
class ClassToken:
    """The first position of the last hidden state."""

    call: Call

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        return self.call(model, views).last_hidden_state[:, 0]


@dataclass(frozen=True)
class Mean:
    """The mean over positions, without those of padding."""

    call: Call
    skip: int = 0
    """Number of positions at the beginning that are no patches."""

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        hidden = last_hidden(self.call(model, views))
        return mean_over_positions(hidden[:, self.skip :] if self.skip else hidden, self.call.arguments(views))


def mean_over_positions(hidden: torch.Tensor, arguments: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """[n, positions, d] or [n, d, height, width] -> [n, d]; positions that the arguments mask do not count."""
    mask = arguments.get("pixel_attention_mask")
    if hidden.ndim == 3 and mask is not None and mask.shape == hidden.shape[:2]:
        weights = mask.to(hidden.dtype)[..., None]
        return (hidden * weights).sum(1) / weights.sum(1)
    return pooled(hidden)


def last_hidden(output: Any) -> torch.Tensor:
    """Last hidden state [n, positions, d] or [n, d, height, width]; of a backbone the last feature map."""
    hidden = getattr(output, "last_hidden_state", None)
    return hidden if hidden is not None else output.feature_maps[-1]


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
        Embedding(PoolerOutput(Call(plain)), "vision tower, not projected: pooler_output", "vision_model"),
        others={"projected": Embedding(_blip2_projected, _PROJECTED_QUERIES)},
    ),
    "instructblip": TransformersFamily(
        Embedding(PoolerOutput(Call(plain)), "vision tower, not projected: pooler_output", "vision_model"),
    ),
    "sam2": TransformersFamily(_HIERA),
    "sam2_video": TransformersFamily(_HIERA),
    "edgetam": TransformersFamily(_HIERA),
    "sam2_vision_model": TransformersFamily(
        Embedding(_channels_last_mean, "mean over positions of the last stage"),
    ),
}
"""Families by ``model_type``. A new one needs an entry here and a tiny checkpoint in its test."""

CLASSIFIERS = ("ForImageClassification", "ForImageClassificationWithTeacher")
"""Suffixes of the names of classifier classes."""

NO_PIXELS = ("imagegpt", "perceiver", "shieldgemma2")
"""``model_type`` of classifiers whose input is not pixels."""


def classifier_class(config: Any) -> Any | None:
    """Class of the image classifier that a configuration names; None if it names none."""
    import transformers

    name = (getattr(config, "architectures", None) or [""])[0]
    if not name.endswith(CLASSIFIERS) or config.model_type in NO_PIXELS:
        return None
    return getattr(transformers, name, None)


def last_linears(model: nn.Module, classes: int) -> list[str]:
    """Names of the linear layers that give the logits: the last one and, with a distillation token, that token's.

    >>> last_linears(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), 2)
    ['2']
    """
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    heads = [name for name in linear if getattr(model.get_submodule(name), "out_features", 0) == classes]
    of_distillation = [name for name in heads if "dist" in name]
    of_class_token = [name for name in heads if name not in of_distillation]
    return of_class_token[-1:] + of_distillation[-1:]


def cut_classifier(model: nn.Module, classes: int) -> bool:
    """Replace ``last_linears`` by the identity, in place. Returns False if there are none."""
    names = last_linears(model, classes)
    for name in names:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, nn.Identity())
    return bool(names)


def classifier_embedding(loaded: Loaded) -> Embedding:
    """The embedding of a model after ``cut_classifier``: its logits are now the input of its classifier."""
    forward = _ClassifierInput(loaded.arguments)
    return Embedding(forward, f"what its classifier reads: {_words(loaded, forward)}")


@dataclass(frozen=True)
class _ClassifierInput:
    arguments: Arguments

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        output = model(**self.arguments(views))
        of_class_token = getattr(output, "cls_logits", None)  # with a distillation token, logits are a mean of two
        return (output.logits if of_class_token is None else of_class_token).flatten(1)


@torch.no_grad()
def _words(loaded: Loaded, forward: _ClassifierInput) -> str:
    """Description of the classifier's input, by comparison with the usual vectors of two pictures."""
    outputs: list[Any] = []
    names = (loaded.model.base_model_prefix, *TOWERS)
    base = next((part for name in names if isinstance(part := getattr(loaded.model, name, None), nn.Module)), None)
    if base is None:
        return "the input of its last layer"
    hook = base.register_forward_hook(lambda module, args, output: outputs.append(output))
    try:
        vector = forward(loaded.model, loaded.views)
    finally:
        hook.remove()
    if not outputs or isinstance(outputs[0], tuple):
        return "the input of its last layer"
    hidden, pooler = last_hidden(outputs[0]), getattr(outputs[0], "pooler_output", None)
    usual: dict[str, torch.Tensor] = {}
    if hidden.ndim == 3 and has_class_token(loaded.model):
        patches = hidden[:, 1 + int(getattr(loaded.model.config, "num_register_tokens", 0) or 0) :].mean(1)
        usual["class token after the last norm"] = hidden[:, 0]
        usual["mean over patches"] = patches
        usual["class token and mean over patches, one after the other"] = torch.cat([hidden[:, 0], patches], 1)
    if pooler is not None:
        usual["pooler_output"] = pooler.flatten(1)
    usual["mean over positions"] = mean_over_positions(hidden, loaded.arguments(loaded.views))
    equal = (words for words, v in usual.items() if v.shape == vector.shape and torch.allclose(v, vector, 1e-4, 1e-5))
    return next(equal, "the input of its last layer")
