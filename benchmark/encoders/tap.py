"""What all ways to read layers share: the protocol ``Tap``, what hooks tell, what the positions of a sequence are."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from benchmark.encoders.output_pooling import Layer

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""(module, batch of views) -> embeddings [n, dimension]."""

See = Callable[[int, Layer], None]
"""Told each layer's number and what it holds."""


class Tap(Protocol):
    """One way to read layers."""

    @property
    def read(self) -> str:
        """In words, for results."""
        ...

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, see: See) -> torch.Tensor:
        """One forward pass: the embedding [n, dimension]; ``see`` is told every layer."""
        ...


class Seen(threading.local):
    """What hooks tell, each thread its own: chunks of a batch may pass a network side by side."""

    see: Callable[[int, Any], None] | None = None
    last: Any = None


@dataclass(frozen=True)
class Tokens:
    """Which positions of a sequence are no patches: class tokens come first, then those that are left out."""

    classes: int
    others: int
    """Registers, and the token of distillation."""

    @classmethod
    def of(cls, module: nn.Module) -> Tokens:
        """From the names and shapes of a network's own parameters; a query of a pooling head is none of its tokens.

        >>> holder = nn.Module()
        >>> holder.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        >>> holder.register_tokens = nn.Parameter(torch.zeros(1, 4, 8))
        >>> Tokens.of(holder)
        Tokens(classes=1, others=4)
        """
        classes = others = 0
        for name, parameter in module.named_parameters():
            place, _, last = name.rpartition(".")
            count = parameter.shape[-2] if parameter.ndim > 1 else 1
            if last in ("cls_token", "class_token", "class_embedding") and "head" not in place and "pool" not in place:
                classes = count
            elif last in ("register_tokens", "reg_token", "distillation_token", "dist_token"):
                others += count
        return cls(classes, others)

    def layer(self, features: torch.Tensor, views: int) -> Layer:
        """Features of so many views as a layer.

        Raises:
            ValueError: they are of another form.

        >>> layer = Tokens(1, 4).layer(torch.zeros(2, 9 + 5, 8), 2)
        >>> layer.patches.shape, layer.tokens.shape, layer.grid
        (torch.Size([2, 9, 8]), torch.Size([2, 1, 8]), (3, 3))
        """
        if features.ndim == 4 and len(features) == views:
            return Layer(features if not _channels_last(features) else features.permute(0, 3, 1, 2))
        if features.ndim == 3 and len(features) != views and features.shape[1] == views:
            features = features.transpose(0, 1)  # positions first, as older code of CLIP has it
        if features.ndim != 3 or len(features) != views:
            raise ValueError(f"a layer of shape {tuple(features.shape)} for {views} views")
        skip, count = self.classes + self.others, features.shape[1]
        if skip and _square(count) and not _square(count - skip):
            skip = 0  # the class token comes in a later layer
        tokens = features[:, : self.classes] if skip and self.classes else None
        return Layer(features[:, skip:], tokens, _square(count - skip))


def _square(count: int) -> tuple[int, int] | None:
    """Rows and columns of so many patches, if they may be a square."""
    side = math.isqrt(max(0, count))
    return (side, side) if side and side**2 == count else None


def _channels_last(features: torch.Tensor) -> bool:
    """Whether a map is [n, height, width, d]: its pictures are square, or nearly so, and d is another number."""
    _, a, b, c = features.shape
    return a == b != c


def first_tensor(output: Any) -> torch.Tensor:
    """What a module gives on to the next one."""
    while isinstance(output, tuple | list):
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise ValueError(f"a layer that gives {type(output).__name__}")
    return output
