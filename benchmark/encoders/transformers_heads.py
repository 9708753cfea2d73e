"""Image classifiers of transformers: the embedding is what their last linear layer reads.

``AutoModel`` would drop the head and choose another vector for some families (SigLIP's head reads the mean over
patches, DINOv2's that mean beside the class token, data2vec's that mean after a norm), and a probe of it would tell of
another vector than the head was trained on. So the classifier is loaded as what it is, and its last layer becomes the
identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.encoders.transformers_embeddings import (
    TOWERS,
    Arguments,
    Embedding,
    Loaded,
    has_class_token,
    last_hidden,
    mean_over_positions,
)

CLASSIFIERS = ("ForImageClassification", "ForImageClassificationWithTeacher")
"""How the names of classes end."""

NO_PIXELS = ("imagegpt", "perceiver", "shieldgemma2")
"""``model_type`` of classifiers that read something else than a picture's pixels."""


def classifier_class(config: Any) -> Any | None:
    """The class of an image classifier that a checkpoint names, or None."""
    import transformers

    name = (getattr(config, "architectures", None) or [""])[0]
    if not name.endswith(CLASSIFIERS) or config.model_type in NO_PIXELS:
        return None
    return getattr(transformers, name, None)


def last_linears(model: nn.Module, classes: int) -> list[str]:
    """Names of the layers that give the logits: the last one, and that of its teacher's tokens where there are two.

    >>> last_linears(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), 2)
    ['2']
    """
    linear = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    last = [name for name in linear if getattr(model.get_submodule(name), "out_features", 0) == classes]
    heads = [name for name in last if "dist" in name]
    own = [name for name in last if name not in heads]
    return own[-1:] + heads[-1:]


def cut_classifier(model: nn.Module, classes: int) -> bool:
    """Replace those layers by the identity, in place. False if there is none."""
    names = last_linears(model, classes)
    for name in names:
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, nn.Identity())
    return bool(names)


def classifier_embedding(loaded: Loaded) -> Embedding:
    """Of a model whose classifier is cut: its logits are now what the classifier reads."""
    forward = _Read(loaded.arguments)
    return Embedding(forward, f"what its classifier reads: {_words(loaded, forward)}")


@dataclass(frozen=True)
class _Read:
    arguments: Arguments

    def __call__(self, model: Any, views: torch.Tensor) -> torch.Tensor:
        output = model(**self.arguments(views))
        own = getattr(output, "cls_logits", None)  # with a teacher: the class token's, not the mean of two tokens'
        return (output.logits if own is None else own).flatten(1)


@torch.no_grad()
def _words(loaded: Loaded, forward: _Read) -> str:
    """Which vector that is, found by comparing it with the usual ones on one picture."""
    seen: list[Any] = []
    names = (loaded.model.base_model_prefix, *TOWERS)
    base = next((part for name in names if isinstance(part := getattr(loaded.model, name, None), nn.Module)), None)
    if base is None:
        return "the input of its last layer"
    hook = base.register_forward_hook(lambda module, args, output: seen.append(output))
    try:
        vector = forward(loaded.model, loaded.views)
    finally:
        hook.remove()
    if not seen or isinstance(seen[0], tuple):
        return "the input of its last layer"
    hidden, pooler = last_hidden(seen[0]), getattr(seen[0], "pooler_output", None)
    usual: dict[str, torch.Tensor] = {}
    if hidden.ndim == 3 and has_class_token(loaded.model):
        patches = hidden[:, 1 + int(getattr(loaded.model.config, "num_register_tokens", 0) or 0) :].mean(1)
        usual["class token after the last norm"] = hidden[:, 0]
        usual["mean over patches"] = patches
        usual["class token and mean over patches, one after the other"] = torch.cat([hidden[:, 0], patches], 1)
    if pooler is not None:
        usual["pooler_output"] = pooler.flatten(1)
    usual["mean over positions"] = mean_over_positions(hidden, loaded.arguments(loaded.views))
    near = (words for words, v in usual.items() if v.shape == vector.shape and torch.allclose(v, vector, 1e-4, 1e-5))
    return next(near, "the input of its last layer")
