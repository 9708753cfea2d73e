"""What image classifiers of transformers read: the input of their last linear layer."""

from __future__ import annotations

import contextlib
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
    has_class_token,
    last_hidden,
)
from benchmark.encoders.loaders.transformers.positions import positions_of
from builders.errors import EncoderError

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
        output = model(**fitted(model.forward, self.arguments(views)))
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
    arguments = loaded.arguments(loaded.views)
    usual: dict[str, torch.Tensor] = {}
    if hidden.ndim == 3 and has_class_token(loaded.model):
        patches = hidden[:, 1 + int(getattr(loaded.model.config, "num_register_tokens", 0) or 0) :].mean(1)
        usual["class token after the last norm"] = hidden[:, 0]
        usual["mean over patches"] = patches
        usual["class token and mean over patches, one after the other"] = torch.cat([hidden[:, 0], patches], 1)
    if pooler is not None:
        usual["pooler_output"] = pooler.flatten(1)
    with contextlib.suppress(EncoderError):  # its positions are not known
        positions = replace(positions_of(hidden, arguments, loaded.model, len(loaded.views)), skip=0, after=0)
        usual["mean over positions"] = positions.mean(hidden, arguments, len(loaded.views))
    equal = (words for words, v in usual.items() if v.shape == vector.shape and torch.allclose(v, vector, 1e-4, 1e-5))
    return next(equal, "the input of its last layer")
