"""Nearest positives and negatives of all queries among some train photos of one class: in blocks, or compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

from benchmark.compute import threads_of_work
from benchmark.knn.topk import (
    COMPILED_FROM,
    GROUP,
    compiled,
    merge,
    replace_indices,
    shift_indices,
    top_keys,
    unpack_indices,
)


class AskedBlock(NamedTuple):
    """The test photos whose neighbours are wanted."""

    queries: torch.Tensor
    """float32 [C, test photos, d], of unit length."""
    labels: np.ndarray
    """int64 [test photos], 0 or more."""


class FoundBlock(NamedTuple):
    """Where neighbours among the train photos from ``start`` on go, by class of the test photos."""

    positives: list[torch.Tensor]
    """C times int64 [test photos, depth]."""
    negatives: list[torch.Tensor]
    start: int

    @property
    def depths(self) -> list[int]:
        """Neighbours wanted, of positives and of negatives each."""
        return [kept.shape[1] for kept in self.positives]

    def add(self, kept: torch.Tensor, rows: slice | torch.Tensor, keys: torch.Tensor) -> None:
        """Merge keys, whose indices count from ``start``, into some rows of what is kept for one class."""
        keys = shift_indices(keys, self.start)
        kept[rows] = merge(kept[rows], keys) if self.start else keys


Search = Callable[[torch.Tensor, np.ndarray, FoundBlock], None]
"""(float32 [train photos or more, d] of unit length, int64 [train photos] their labels, where neighbours go)."""


def search_of(asked: AskedBlock, rows: int, columns: int) -> Search:
    """The faster search for so many test photos at a time and so many train photos."""
    fast = compiled(asked.queries.device, asked.queries.shape[0] * asked.queries.shape[1] * columns)
    return _BlockSearch(asked, rows, columns) if fast is None else _CompiledSearch(asked, fast)


class _CompiledSearch:
    """By ``benchmark.knn.topk_compiled``."""

    def __init__(self, asked: AskedBlock, module: ModuleType) -> None:
        self._asked, self._module = asked, module
        self._own = np.tile(asked.labels, len(asked.queries)).astype(np.int32)

    def __call__(self, keys: torch.Tensor, labels: np.ndarray, found: FoundBlock) -> None:
        queries, depths = self._asked.queries, found.depths
        both = self._module.nearest_by_label(
            queries.flatten(0, 1).numpy(),
            self._own,
            keys[: len(labels)].numpy(),
            labels.astype(np.int32),
            np.repeat(depths, queries.shape[1]),
        )
        with threads_of_work(2 * both[0].numel()):
            for side, near in zip(found[:2], both, strict=True):
                for t, mine in enumerate(near.view(len(depths), queries.shape[1], -1)):
                    found.add(side[t], slice(None), mine[:, : depths[t]])


class _BlockSearch:
    """By torch, in blocks [C * rows, columns] of similarities."""

    def __init__(self, asked: AskedBlock, rows: int, columns: int) -> None:
        self._asked, self._rows = asked, rows
        size = len(asked.queries) * min(rows, len(asked.labels)) * round_up(columns)
        self._buffer = torch.empty(size, dtype=torch.float32, device=asked.queries.device)

    def __call__(self, keys: torch.Tensor, labels: np.ndarray, found: FoundBlock) -> None:
        queries = self._asked.queries
        similarities = len(queries) * min(self._rows, queries.shape[1]) * len(labels)
        with threads_of_work(similarities * queries.shape[2] if similarities >= COMPILED_FROM else 0):
            self._search(keys, labels, found)

    def _search(self, keys: torch.Tensor, labels: np.ndarray, found: FoundBlock) -> None:
        queries, own = self._asked
        width, shelf = round_up(len(labels)), _Shelf.of(labels)
        for first in range(0, len(own), self._rows):
            rows = slice(first, min(first + self._rows, len(own)))
            # One product for all classes of the test photos: a product of few rows wastes a tenth of its time.
            some = queries[:, rows].reshape(-1, queries.shape[2])
            blocks = self._buffer[: len(some) * width].view(len(some), width)
            torch.mm(some, keys[:width].T, out=blocks)
            blocks[:, len(labels) :] = -torch.inf
            parts = shelf.positives(own[rows], blocks.device)
            for t, block in enumerate(blocks.view(len(queries), -1, width)):
                for part in parts:
                    found.add(found.positives[t], part.rows + first, part.take(block, found.depths[t]))
                found.add(found.negatives[t], rows, top_keys(block, found.depths[t]))


def round_up(photos: int) -> int:
    """The next multiple of ``GROUP``."""
    return -(-photos // GROUP) * GROUP


class _Positives(NamedTuple):
    """The train photos of one block that share a query's label, for some of the block's queries."""

    rows: torch.Tensor
    """int64 [queries], rows of the block."""
    columns: torch.Tensor
    """int64 [queries, width], rising; a query with fewer positives than the width repeats its last one."""
    widths: torch.Tensor
    """int64 [queries], positives of each."""

    def take(self, block: torch.Tensor, count: int) -> torch.Tensor:
        """Their nearest ``count`` as keys whose indices are columns; afterwards the block is without them."""
        places = (self.rows[:, None] * block.shape[1] + self.columns).flatten()
        similarities = block.view(-1).index_select(0, places).view(self.columns.shape)
        block.view(-1).index_fill_(0, places, -torch.inf)
        surplus = torch.arange(self.columns.shape[1], device=block.device) >= self.widths[:, None]
        nearest = top_keys(similarities.masked_fill_(surplus, -torch.inf), count)
        return replace_indices(nearest, self.columns.gather(1, unpack_indices(nearest).clamp(min=0)))


@dataclass(frozen=True, eq=False)
class _Shelf:
    """The train photos of one block, by label."""

    order: np.ndarray
    """int64 [photos]: positions sorted by (label, position)."""
    labels: np.ndarray
    """int64 [photos]: the labels in that order."""

    @classmethod
    def of(cls, labels: np.ndarray) -> _Shelf:
        order = np.argsort(labels, kind="stable")
        return cls(order, labels[order])

    def own(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where in ``order`` the photos of each of these labels begin, and how many they are."""
        starts = np.searchsorted(self.labels, labels, side="left")
        return starts, np.searchsorted(self.labels, labels, side="right") - starts

    def positives(self, labels: np.ndarray, device: torch.device) -> list[_Positives]:
        """The positives of queries with these labels, cut so that a part's queries have similar numbers of them."""
        starts, counts = self.own(labels)
        parts = []
        scale = np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
        for size in np.unique(scale[counts > 0]):
            rows = np.flatnonzero((scale == size) & (counts > 0))
            width = int(counts[rows].max())
            steps = np.arange(width if width < GROUP else round_up(width))
            columns = self.order[starts[rows, None] + np.minimum(steps, counts[rows, None] - 1)]
            parts.append(_Positives(*(torch.from_numpy(x).to(device) for x in (rows, columns, counts[rows]))))
        return parts
