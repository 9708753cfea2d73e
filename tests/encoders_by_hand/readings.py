"""Embeddings by hand of models of the inventory: which module is called, and what of its output is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tests.encoders_by_hand.case import ByHand

Read = Callable[[Any], torch.Tensor]
"""Output of a module -> [1, dimension]."""


def pooler(output: Any) -> torch.Tensor:
    return output.pooler_output.flatten(1)


def tokens(output: Any) -> torch.Tensor:
    return output.last_hidden_state.mean(1)


def patches(output: Any) -> torch.Tensor:
    """All but the class token."""
    return output.last_hidden_state[:, 1:].mean(1)


def first(output: Any) -> torch.Tensor:
    return output.last_hidden_state[:, 0]


def channels_first(output: Any) -> torch.Tensor:
    return output.last_hidden_state.mean((2, 3))


def channels_last(output: Any) -> torch.Tensor:
    return output.last_hidden_state.mean((1, 2))


def feature_map(output: Any) -> torch.Tensor:
    return output.feature_maps[-1].mean((2, 3))


def feature_tokens(output: Any) -> torch.Tensor:
    """A feature map of tokens, without its class token."""
    return output.feature_maps[-1][:, 1:].mean(1)


def last_of_list(output: Any) -> torch.Tensor:
    return output[-1].mean((2, 3))


def joined(output: Any) -> torch.Tensor:
    """Last hidden state of one photo, in any shape that ends with the channels."""
    return output.last_hidden_state.reshape(-1, output.last_hidden_state.shape[-1]).mean(0)[None]


def whole(read: Read) -> ByHand:
    """The whole model on the picture."""
    return lambda model, inputs: read(model(inputs["pixel_values"]))


def part(path: str, read: Read) -> ByHand:
    """A part of the model on the picture."""
    return lambda model, inputs: read(model.get_submodule(path)(inputs["pixel_values"]))


def first_picture(path: str, read: Read) -> ByHand:
    """A part of the model on the first of several pictures."""

    def by_hand(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        pixels = inputs["pixel_values"]
        pixels = pixels[0] if pixels.ndim == 5 else pixels
        return read(model.get_submodule(path)(pixels[:1]))

    return by_hand


def features(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """Last hidden state of ``get_image_features`` with all that it takes."""
    return joined(model.get_image_features(**{k: v for k, v in inputs.items() if isinstance(v, torch.Tensor)}))
