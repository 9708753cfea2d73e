"""Pooling of a layer to one vector per view: class token, mean, maximum, GeM, regions, single patches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.encoders.layers.outputs import GRID, Cell, grid_cell
from builders.errors import UsageError

STEPS = 1 << 16
"""Number of positions along each side of a part."""

MIDDLE = STEPS // 2

ONE_PATCH = "; one patch of each view, at a place drawn by the photo's id (draw 0)"
"""Description of single patches for banks and results. Another random draw would have another number."""

_SEED = b"patch, draw 0"
"""Fixed, so that the rows of a bank do not depend on options of a run."""


def photo_places(photo_ids: Sequence[str]) -> np.ndarray:
    """Positions at which single patches are read.

    They are drawn by the SHA-256 of the photo's id, so that they do not depend on the photo set.

    Args:
        photo_ids: ids of the photos.

    Returns:
        int64 [photos, 2]: position down and to the right inside each part, in 65,536ths of its sides.

    >>> photo_places(["a", "b", "a"]).tolist()
    [[56490, 754], [22127, 64310], [56490, 754]]
    """
    digests = b"".join(
        hashlib.sha256(_SEED + b"\0" + name.encode("utf-8", "surrogateescape")).digest()[:4] for name in photo_ids
    )
    return np.frombuffer(digests, ">u2").reshape(-1, 2).astype(np.int64)


def _index_at(first: int, count: int, places: torch.Tensor) -> torch.Tensor:
    """int64 [n]: indices of the patches at positions along a side that has ``count`` patches from index ``first``.

    >>> _index_at(4, 3, torch.tensor([0, MIDDLE, STEPS - 1])).tolist()
    [4, 5, 6]
    """
    return first + (places * count).div(STEPS, rounding_mode="floor")


GEM_POWER = 3
"""p of the generalised mean (Radenovic, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation",
TPAMI 2018): their initial value, which is not trained here."""

GEM_LEAST = 1e-6
"""Lower bound of features before the power, as in their code: negative features do not count."""


@dataclass(frozen=True)
class Layer:
    """Features of a layer for n views, without register tokens."""

    patches: torch.Tensor
    """[n, patches, d], row by row where ``grid`` is known; or a map [n, d, height, width]."""
    tokens: torch.Tensor | None = None
    """[n, class tokens, d]; None where the network has no class token."""
    grid: tuple[int, int] | None = None
    """Rows and columns of ``patches`` [n, patches, d]; None where their order is not known."""

    @property
    def count(self) -> int:
        """Number of patches of a view."""
        return math.prod(self.patches.shape[2:]) if self.patches.ndim == 4 else self.patches.shape[1]


def pool(layer: Layer, pooling: str, places: torch.Tensor | None = None) -> torch.Tensor:
    """Pool a layer to one vector per view.

    Args:
        layer: of n views.
        pooling: one of ``POOLINGS``, or a part: ``grid-ROW-COLUMN``, ``patch-ROW-COLUMN``.
        places: int64 [n, 2], positions inside the parts for ``patch`` (``photo_places``); by default their middle.

    Returns:
        float32 [n, d].

    Raises:
        UsageError: the layer has no class token, or too few patches for a region.

    >>> layer = Layer(torch.tensor([[[1.0], [3.0], [2.0]]]), torch.tensor([[[7.0]]]))
    >>> [round(pool(layer, how).item(), 3) for how in ("cls", "mean", "max", "gem")]
    [7.0, 2.0, 3.0, 2.289]
    """
    if pooling == "cls":
        if layer.tokens is None:
            raise UsageError("it has no class token")
        # the mean of several class tokens
        return layer.tokens[:, 0].float() if layer.tokens.shape[1] == 1 else layer.tokens.mean(1, dtype=torch.float32)
    over = (2, 3) if layer.patches.ndim == 4 else (1,)
    if pooling == "mean":
        return layer.patches.mean(over, dtype=torch.float32)
    if pooling == "max":
        return layer.patches.amax(over).float()
    if pooling == "gem":
        powers = layer.patches.float().clamp(min=GEM_LEAST).pow(GEM_POWER)
        return powers.mean(over).pow(1 / GEM_POWER)
    if (cell := grid_cell(pooling)) is not None and cell.single:
        return _single(layer, cell, places).float()
    return _region(layer, pooling).float()


def _region(layer: Layer, pooling: str) -> torch.Tensor:
    """Mean over a part of the picture."""
    maps = as_map(layer)
    height, width = maps.shape[2:]
    inside = region_mask(pooling, height, width, maps.device)
    return maps[:, :, inside].mean(2, dtype=torch.float32)


def _single(layer: Layer, cell: Cell, places: torch.Tensor | None) -> torch.Tensor:
    """One patch of a part of the picture."""
    maps = as_map(layer)
    if places is None:
        places = torch.full((len(maps), 2), MIDDLE)
    places = places.to(maps.device)
    _require_patches(maps.shape[2], maps.shape[3], cell.parts)
    indices = []
    for side, part, positions in zip(maps.shape[2:], (cell.row, cell.column), places.T, strict=True):
        first, end = (-(-edge * side // cell.parts) for edge in (part, part + 1))
        indices.append(_index_at(first, end - first, positions))
    return maps[torch.arange(len(maps), device=maps.device), :, indices[0], indices[1]]


def _require_patches(height: int, width: int, parts: int) -> None:
    if min(height, width) < parts:
        raise UsageError(f"its layer has {height} x {width} patches, and regions need {parts} x {parts}")


def region_mask(pooling: str, height: int, width: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The patches of a region.

    ``border`` has the patches within an eighth of the side from the edge, at least one. ``centre`` has the middle half
    of each side. A part of a grid has sizes as equal as the patches allow.

    Args:
        pooling: ``border``, ``centre``, or a part of a grid.
        height: patches per column.
        width: patches per row.
        device: of the result.

    Returns:
        bool [height, width].

    Raises:
        UsageError: there are fewer patches on a side than parts (4 for ``border`` and ``centre``).

    >>> region_mask("border", 4, 4).int().tolist()
    [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    >>> region_mask("grid-0-3", 4, 8).nonzero().tolist()
    [[0, 6], [0, 7]]
    """
    cell = grid_cell(pooling)
    parts = cell.parts if cell else GRID
    _require_patches(height, width, parts)
    rows = torch.arange(height, device=device)[:, None]
    columns = torch.arange(width, device=device)[None]
    if cell:
        in_row = (rows * parts).div(height, rounding_mode="floor") == cell.row
        return in_row & ((columns * parts).div(width, rounding_mode="floor") == cell.column)
    if pooling == "border":
        ring = max(1, height // 8), max(1, width // 8)
        inner = (rows >= ring[0]) & (rows < height - ring[0]) & (columns >= ring[1]) & (columns < width - ring[1])
        return ~inner
    half = height // 4, width // 4
    return (rows >= half[0]) & (rows < height - half[0]) & (columns >= half[1]) & (columns < width - half[1])


def as_map(layer: Layer) -> torch.Tensor:
    """Patches of a layer as a map [n, d, height, width].

    Raises:
        UsageError: the positions of the patches in the picture are unknown.
    """
    if layer.patches.ndim == 4:
        return layer.patches
    if layer.grid is None or math.prod(layer.grid) != layer.count:
        raise UsageError("it is not known where in the picture its patches lie, so it has no regions")
    return layer.patches.transpose(1, 2).unflatten(2, layer.grid)
