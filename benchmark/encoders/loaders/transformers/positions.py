"""Means over the positions of pictures in hidden states of transformers models: sequences, maps, joined pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.encoders.layers.hooks import Tokens, is_grid
from benchmark.encoders.network import channel_axis
from builders.errors import EncoderError

PIXELS = ("pixel_values", "image_pixel_values", "flattened_patches", "pixel_patches")
"""Names that models give to their pictures."""

GRIDS = ("image_grid_thw", "grid_thw", "image_grid_hw", "image_sizes")
"""Arguments with the rows and columns of each picture of a joined sequence, in patches; ``image_sizes`` in pixels."""


@dataclass(frozen=True)
class Positions:
    """How hidden states hold the positions of a picture; found once, at load."""

    axis: int = 2
    """Axis of channels: 2 in sequences [n, positions, d]; 1 or 3 in maps."""
    skip: int = 0
    """Number of positions at the beginning of a sequence that are no patches."""
    after: int = 0
    """Number of positions at its end that are no patches."""
    patch: int = 1
    """Side of a patch in pixels, for pictures whose sizes are given in pixels."""
    prefixed: bool = True
    """False if it is seen that all positions are patches: a network may leave its class token out (Unlimited OCR)."""

    def mean(self, hidden: torch.Tensor, arguments: Mapping[str, torch.Tensor], views: int) -> torch.Tensor:
        """The mean over the positions of each picture: [views, d].

        Args:
            hidden: [views, positions, d], a map, or all pictures joined, [positions, d] or [1, positions, d].
            arguments: of the model; masked positions do not count.
            views: number of pictures.
        """
        if hidden.ndim == 4:
            return hidden.mean((2, 3) if self.axis == 1 else (1, 2))
        if hidden.ndim == 3 and len(hidden) == views:
            hidden = hidden[:, self.skip : hidden.shape[1] - self.after]
            mask = arguments.get("pixel_attention_mask")
            return hidden.mean(1) if mask is None or views == 0 else _masked_mean(hidden, mask, self.patch)
        return self._of_joined(hidden.reshape(-1, hidden.shape[-1]), arguments, views)

    def _of_joined(self, hidden: torch.Tensor, arguments: Mapping[str, torch.Tensor], views: int) -> torch.Tensor:
        patches = self._patches(arguments)
        if patches is None:
            return hidden.unflatten(0, (views, -1)).mean(1)
        # Towers may merge patches before their last hidden state, or count merged ones in their grids.
        merged = patches * (len(hidden) - views * (self.skip + self.after)) // int(patches.sum())
        parts = hidden.split((merged + self.skip + self.after).tolist())
        return torch.stack([part[self.skip : len(part) - self.after].mean(0) for part in parts])

    def _patches(self, arguments: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """Number of patches of each picture, as the arguments have it; None where they have none."""
        name = next((name for name in GRIDS if name in arguments), None)
        if name is None:
            return None
        grids = arguments[name] // self.patch if name == "image_sizes" else arguments[name]
        return grids.prod(1)


def _masked_mean(hidden: torch.Tensor, mask: torch.Tensor, patch: int) -> torch.Tensor:
    """hidden [n, positions, d], mask of positions [n, positions] or of pixels [n, 1, height, width] -> [n, d]."""
    if mask.ndim > 2:
        pixels = mask.reshape(len(hidden), 1, *mask.shape[-2:]).float()
        mask = nn.functional.max_pool2d(pixels, patch).flatten(1)
    if mask.shape != hidden.shape[:2]:
        return hidden.mean(1)
    weights = mask.to(hidden.dtype)[..., None]
    return (hidden * weights).sum(1) / weights.sum(1)


def patch_side(config: Any) -> int:
    """Side of a patch by a configuration; 1 where it names none."""
    vision = getattr(config, "vision_config", config)
    patch = getattr(vision, "patch_size", 1) or 1
    if isinstance(patch, Mapping):
        return int(patch.get("height", 1))
    return patch if isinstance(patch, int) else int(patch[0])


def picture_sides(arguments: Mapping[str, torch.Tensor]) -> tuple[int, int] | None:
    """Height and width of the pictures; None for packed patches."""
    pixels = next((arguments[name] for name in PIXELS if name in arguments), None)
    if pixels is None or pixels.ndim < 4 or pixels.shape[-3] not in (1, 3, 4):
        return None
    return int(pixels.shape[-2]), int(pixels.shape[-1])


def _prefix_tokens(module: nn.Module) -> tuple[int, int]:
    """Numbers of positions at the beginning and at the end of a sequence that are no patches, by names of parameters.

    >>> holder = nn.Module()
    >>> holder.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
    >>> holder.detection_tokens = nn.Parameter(torch.zeros(1, 100, 8))
    >>> _prefix_tokens(holder)
    (1, 100)
    """
    tokens = Tokens.of(module)
    return tokens.classes + tokens.others, tokens.last


def positions_of(hidden: torch.Tensor, arguments: Mapping[str, torch.Tensor], module: Any, views: int) -> Positions:
    """How a hidden state of a module holds the positions of pictures.

    Args:
        hidden: of a batch.
        arguments: of the module, with the pictures.
        module: has a configuration.
        views: number of pictures.

    Raises:
        EncoderError: the hidden state holds no grid of patches of the picture, or its layout is not known.
    """
    patch, picture = patch_side(getattr(module, "config", None)), picture_sides(arguments)
    if hidden.ndim == 4:
        axis = channel_axis(hidden.shape, picture, _widths_of_network(module))
        if axis is None:
            shape = " x ".join(map(str, hidden.shape[1:]))
            raise EncoderError(f"it is not known which side of its map of {shape} holds the channels")
        return Positions(axis=axis)
    if hidden.ndim not in (2, 3):
        raise EncoderError(f"its last hidden state has {hidden.ndim} axes")
    skip, after = _prefix_tokens(module)
    if hidden.ndim == 2 or len(hidden) != views:
        return _of_joined(hidden.reshape(-1, hidden.shape[-1]), arguments, views, Positions(2, skip, after, patch))
    if picture is None or "pixel_attention_mask" in arguments:
        return Positions(patch=patch)
    count = hidden.shape[1]
    for before, behind in dict.fromkeys(((skip, after), (0, 0))):
        if is_grid(count - before - behind, picture):
            return Positions(skip=before, after=behind, patch=patch, prefixed=before > 0)
    size = " x ".join(map(str, picture))
    raise EncoderError(f"its last hidden state has {count} positions, which is no grid of patches of {size} pixels")


def _of_joined(hidden: torch.Tensor, arguments: Mapping[str, torch.Tensor], views: int, known: Positions) -> Positions:
    """Positions of pictures that are joined in one sequence."""
    patches = known._patches(arguments)
    if patches is None:
        return Positions(patch=known.patch)
    total, count = int(patches.sum()), len(hidden)
    for skip, after in dict.fromkeys(((known.skip, known.after), (0, 0))):
        rest = count - views * (skip + after)
        if rest > 0 and (total % rest == 0 or rest % total == 0):
            return Positions(skip=skip, after=after, patch=known.patch)
    raise EncoderError(f"its last hidden state has {count} positions for {views} pictures of {total} patches together")


def widths_of(config: Any) -> frozenset[int]:
    """Widths that a configuration names, in all its parts.

    >>> from types import SimpleNamespace
    >>> sorted(widths_of(SimpleNamespace(hidden_size=768, num_hidden_layers=12, hidden_sizes=[96, 192])))
    [96, 192, 768]
    """
    widths: set[int] = set()
    for name, value in (vars(config) if hasattr(config, "__dict__") else {}).items():
        if hasattr(value, "__dict__") and not isinstance(value, type):
            widths |= widths_of(value)
        elif any(word in name for word in _WIDTHS) and not any(word in name for word in _NO_WIDTHS):
            numbers = value if isinstance(value, list | tuple) else [value]
            widths |= {number for number in numbers if isinstance(number, int) and not isinstance(number, bool)}
    return frozenset(widths)


_WIDTHS = ("hidden", "dim", "width", "channels", "projection", "embed", "d_model", "size")
_NO_WIDTHS = ("num_", "image_size", "patch_size", "layers")


def is_named_width(dimension: int, module: nn.Module) -> bool:
    """True if an embedding may have so many numbers: a width of the configuration, or of a layer of the network, or
    several of them one after the other.

    Layers count, since configurations of convolutional networks name multipliers instead of widths.

    Args:
        dimension: of an embedding.
        module: the network.
    """
    widths = _widths_of_network(module)
    return any(dimension == times * width for width in widths if width > 1 for times in range(1, MOST_JOINED + 1))


def _widths_of_network(module: nn.Module) -> frozenset[int]:
    """Widths that the configuration of a network or its weights name."""
    of_weights = (parameter.shape[0] for parameter in module.parameters() if parameter.ndim)
    return widths_of(getattr(module, "config", None)) | frozenset(of_weights)


MOST_JOINED = 4
"""Most vectors of one width that make an embedding: RADIO joins its summaries."""
