"""Layers of a timm model: ``forward_intermediates``, whose features ``forward_head`` makes the embedding of."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.encoders.embedding import pooled
from benchmark.encoders.output_pooling import Layer
from benchmark.encoders.tap import Forward, See


@dataclass(frozen=True)
class TimmTap:
    """Layers of a timm model."""

    as_map: bool
    """It gives maps [n, d, height, width], not positions."""
    prefix: bool
    """It gives class and register tokens apart."""
    read: str = "timm's forward_intermediates, before the final norm"

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, see: See) -> torch.Tensor:
        network: Any = module
        given = {
            "output_fmt": "NCHW" if self.as_map else "NLC",
            **({"return_prefix_tokens": True} if self.prefix else {}),
        }
        return self._call(network, pixels, given, see)

    def _call(self, network: Any, pixels: torch.Tensor, given: dict[str, Any], see: See) -> torch.Tensor:
        features, layers = network.forward_intermediates(pixels, **given)
        grid = _timm_grid(network)
        has_class = getattr(network, "cls_token", None) is not None
        for number, layer in enumerate(layers):
            patches, prefix = layer if isinstance(layer, tuple | list) else (layer, None)
            tokens = prefix[:, :1] if prefix is not None and has_class and prefix.shape[1] else None
            see(number, Layer(patches, tokens, grid if patches.ndim == 3 else None))
        return pooled(network.forward_head(features))


def _timm_grid(network: Any) -> tuple[int, int] | None:
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid is not None else None


def timm_tap(module: Any) -> TimmTap | None:
    """Of a timm model; None where it has no ``forward_intermediates``."""
    function = getattr(module, "forward_intermediates", None)
    if function is None or not hasattr(module, "forward_head"):
        return None
    known = inspect.signature(function).parameters
    return TimmTap(as_map="return_prefix_tokens" not in known, prefix="return_prefix_tokens" in known)
