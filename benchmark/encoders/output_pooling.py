"""What one layer holds of a batch, and how it becomes one vector a view: class token, mean, maximum, GeM, regions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from benchmark.encoders.outputs import GRID, grid_cell
from builders.errors import UsageError

GEM_POWER = 3
"""p of the generalised mean (Radenovic, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation",
TPAMI 2018): their starting value, not learnt here."""

GEM_LEAST = 1e-6
"""What is less is raised to it before the power, as theirs does: negative features do not count."""


@dataclass(frozen=True)
class Layer:
    """A layer's features of a batch of n views, without register tokens."""

    patches: torch.Tensor
    """[n, patches, d], row by row where ``grid`` is known; or a map [n, d, height, width]."""
    tokens: torch.Tensor | None = None
    """[n, class tokens, d]; None where the network has no class token."""
    grid: tuple[int, int] | None = None
    """Rows and columns of ``patches`` [n, patches, d]; None where their order is not known."""

    @property
    def count(self) -> int:
        """Patches of a view."""
        return math.prod(self.patches.shape[2:]) if self.patches.ndim == 4 else self.patches.shape[1]


def pool(layer: Layer, pooling: str) -> torch.Tensor:
    """float32 [n, d].

    Args:
        layer: of a batch.
        pooling: of ``POOLINGS``, or ``grid-ROW-COLUMN``.

    Raises:
        UsageError: the layer has no class token, or too few patches for a region.

    >>> layer = Layer(torch.tensor([[[1.0], [3.0], [2.0]]]), torch.tensor([[[7.0]]]))
    >>> [round(pool(layer, how).item(), 3) for how in ("cls", "mean", "max", "gem")]
    [7.0, 2.0, 3.0, 2.289]
    """
    if pooling == "cls":
        if layer.tokens is None:
            raise UsageError("it has no class token")
        # a network of several class tokens gives their mean
        return layer.tokens[:, 0].float() if layer.tokens.shape[1] == 1 else layer.tokens.mean(1, dtype=torch.float32)
    over = (2, 3) if layer.patches.ndim == 4 else (1,)
    if pooling == "mean":
        return layer.patches.mean(over, dtype=torch.float32)
    if pooling == "max":
        return layer.patches.amax(over).float()
    if pooling == "gem":
        powers = layer.patches.float().clamp(min=GEM_LEAST).pow(GEM_POWER)
        return powers.mean(over).pow(1 / GEM_POWER)
    return _region(layer, pooling).float()


def _region(layer: Layer, pooling: str) -> torch.Tensor:
    """The mean over a part of the picture."""
    maps = as_map(layer)
    height, width = maps.shape[2:]
    inside = region_mask(pooling, height, width, maps.device)
    return maps[:, :, inside].mean(2, dtype=torch.float32)


def region_mask(pooling: str, height: int, width: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """bool [height, width]: the patches of a region.

    ``border``: within an eighth of the side from the edge, at least one patch; ``centre``: the middle half of each
    side; a part of the grid: 1 of 4 x 4, of as equal sizes as the patches allow.

    Raises:
        UsageError: there are fewer than 4 patches on a side.

    >>> region_mask("border", 4, 4).int().tolist()
    [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    >>> region_mask("grid-0-3", 4, 8).nonzero().tolist()
    [[0, 6], [0, 7]]
    """
    if min(height, width) < GRID:
        raise UsageError(f"its layer has {height} x {width} patches, and regions need {GRID} x {GRID}")
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None]
    if cell := grid_cell(pooling):
        in_row = (rows * GRID).div(height, rounding_mode="floor") == cell[0]
        return in_row & ((columns * GRID).div(width, rounding_mode="floor") == cell[1])
    if pooling == "border":
        ring = max(1, height // 8), max(1, width // 8)
        inner = (rows >= ring[0]) & (rows < height - ring[0]) & (columns >= ring[1]) & (columns < width - ring[1])
        return ~inner
    half = height // 4, width // 4
    return (rows >= half[0]) & (rows < height - half[0]) & (columns >= half[1]) & (columns < width - half[1])


def as_map(layer: Layer) -> torch.Tensor:
    """[n, d, height, width].

    Raises:
        UsageError: it is not known where in the picture its patches are.
    """
    if layer.patches.ndim == 4:
        return layer.patches
    if layer.grid is None or math.prod(layer.grid) != layer.count:
        raise UsageError("it is not known where in the picture its patches lie, so it has no regions")
    return layer.patches.transpose(1, 2).unflatten(2, layer.grid)
