"""Exact nearest neighbours with a fixed order: cosine similarities in bounded blocks, neighbours as keys (``keys``)."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from benchmark.compute import threads_of_work
from benchmark.knn.keys import (
    COMPILED_FROM,
    GROUP,
    compiled,
    merge,
    replace_indices,
    shift_indices,
    top_keys,
    unpack_indices,
)
from builders.errors import DataError


class Embeddings(Protocol):
    """Interface of embeddings: an array, a memory map, or any object that reads rows when it is sliced."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(photos, dimension)``."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """The rows of a slice ``[a:b]`` as an array-like of numbers."""
        ...


def read_unit_rows(embeddings: Embeddings, start: int, stop: int, out: torch.Tensor, *, what: str) -> torch.Tensor:
    """Write rows ``[start:stop]`` at unit length to ``out``, and return it; only this slice is read.

    A zero vector stays zero and thus has similarity 0 to everything.

    Args:
        embeddings: [photos, dimension].
        start, stop: the rows.
        out: float32 [stop - start or more, dimension] on any device; rows beyond are set to zero.
        what: name of the embeddings in error messages.

    Raises:
        DataError: a value is not finite, or the slice has a wrong shape.
    """
    raw = np.asarray(embeddings[start:stop], dtype=np.float32)
    if raw.shape != (stop - start, embeddings.shape[1]):
        raise DataError(f"{what}: rows {start} to {stop} have shape {raw.shape}; embed the photos again")
    if not raw.flags.writeable or not raw.flags.c_contiguous:
        raw = np.array(raw)  # torch warns about read-only memory, such as a memory map
    with threads_of_work(raw.size):
        rows = torch.from_numpy(raw).to(out.device)
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        out[stop - start :] = 0
        # Squares of very small or large numbers leave float32's range: such rows, and zeros, are divided in float64.
        odd = ((norms < 1e-15) | (norms > 1e15) | norms.isnan()).flatten().nonzero().flatten()
        torch.div(rows, norms, out=out[: stop - start])
        if len(odd):
            wide = rows[odd].double()
            if not bool(wide.isfinite().all()):
                raise DataError(
                    f"{what}: embeddings of rows {start} to {stop} hold a NaN or infinity; embed them again"
                )
            lengths = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
            out[odd] = torch.where(lengths > 0, wide / lengths, 0.0).float()
    return out


class QueryBlock(NamedTuple):
    """Test photos to search neighbours for."""

    queries: torch.Tensor
    """float32 [C, test photos, d], of unit length."""
    labels: np.ndarray
    """int64 [test photos], 0 or more."""
    clusters: np.ndarray | None = None
    """int64 [test photos]; train photos of a test photo's cluster are not searched. None: all are."""


class NeighbourSink(NamedTuple):
    """Lists that collect neighbours among the train photos from ``start`` on, by class of the test photos."""

    positives: list[torch.Tensor]
    """C times int64 [test photos, depth]."""
    negatives: list[torch.Tensor]
    """The same."""
    start: int
    """Index of the first train photo."""

    @property
    def depths(self) -> list[int]:
        """Length of the lists of each class."""
        return [stored.shape[1] for stored in self.positives]

    def add(self, stored: torch.Tensor, rows: slice | torch.Tensor, keys: torch.Tensor) -> None:
        """Merge keys, whose indices count from ``start``, into some rows of a list."""
        keys = shift_indices(keys, self.start)
        stored[rows] = merge(stored[rows], keys) if self.start else keys


class Search(Protocol):
    """Searches some train photos."""

    def __call__(
        self, keys: torch.Tensor, labels: np.ndarray, sink: NeighbourSink, clusters: np.ndarray | None = None
    ) -> None:
        """Add neighbours to lists.

        Args:
            keys: float32 [train photos or more, d], of unit length.
            labels: int64 [train photos].
            sink: lists of neighbours.
            clusters: int64 [train photos]; given exactly if the queries have clusters.
        """
        ...


class SharedClusters:
    """Pairs of a query and a train photo of one cluster, of which no block has to be searched."""

    def __init__(self, queries: np.ndarray, keys: np.ndarray) -> None:
        """
        Args:
            queries: int64 [queries], the cluster of each, 0 or more.
            keys: int64 [train photos].
        """
        self._queries, self._width = queries, len(keys)
        order = np.argsort(keys, kind="stable")
        self._columns, self._codes = order, keys[order] * len(keys) + order

    def pairs(self, rows: slice, start: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, within a block, of its pairs of one cluster.

        >>> rows, columns = SharedClusters(np.array([7, 8]), np.array([8, 7, 8])).pairs(slice(0, 2), 1, 2)
        >>> rows.tolist(), columns.tolist()  # columns count from the block's first
        ([0, 1], [0, 1])
        """
        base = self._queries[rows] * self._width
        low = np.searchsorted(self._codes, base + start)
        counts = np.searchsorted(self._codes, base + start + columns) - low
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(np.arange(len(base)), counts), self._columns[np.repeat(low, counts) + offsets] - start

    def exclude(self, values: np.ndarray, first: int, start: int) -> None:
        """Set the similarities of these pairs in a block [rows, columns] to ``-inf``."""
        rows, columns = self.pairs(slice(first, first + len(values)), start, values.shape[1])
        values[rows, columns] = -np.inf


def search_of(block: QueryBlock, rows: int, columns: int) -> Search:
    """The faster search for ``rows`` test photos at a time and ``columns`` train photos."""
    kernels = compiled(block.queries.device, block.queries.shape[0] * block.queries.shape[1] * columns)
    return _BlockSearch(block, rows, columns) if kernels is None else _CompiledSearch(block, kernels)


class _CompiledSearch:
    """By ``benchmark.knn.search_compiled``."""

    def __init__(self, block: QueryBlock, module: ModuleType) -> None:
        self._queries, self._module = block, module
        self._labels = np.tile(block.labels, len(block.queries)).astype(np.int32)

    def __call__(
        self, keys: torch.Tensor, labels: np.ndarray, sink: NeighbourSink, clusters: np.ndarray | None = None
    ) -> None:
        queries, depths = self._queries.queries, sink.depths
        its_values = self._queries.clusters
        shared = (
            None
            if its_values is None or clusters is None
            else SharedClusters(np.tile(its_values, len(queries)), clusters)
        )
        sides = self._module.nearest_by_label(
            queries.flatten(0, 1).numpy(),
            self._labels,
            keys[: len(labels)].numpy(),
            labels.astype(np.int32),
            np.repeat(depths, queries.shape[1]),
            shared and shared.exclude,
        )
        with threads_of_work(2 * sides[0].numel()):
            for side, nearest in zip(sink[:2], sides, strict=True):
                for t, class_keys in enumerate(nearest.view(len(depths), queries.shape[1], -1)):
                    sink.add(side[t], slice(None), class_keys[:, : depths[t]])


class _BlockSearch:
    """By torch, in blocks [C * rows, columns] of similarities."""

    def __init__(self, block: QueryBlock, rows: int, columns: int) -> None:
        self._queries, self._rows = block, rows
        size = len(block.queries) * min(rows, len(block.labels)) * round_up(columns)
        self._buffer = torch.empty(size, dtype=torch.float32, device=block.queries.device)

    def __call__(
        self, keys: torch.Tensor, labels: np.ndarray, sink: NeighbourSink, clusters: np.ndarray | None = None
    ) -> None:
        queries, its_values = self._queries.queries, self._queries.clusters
        shared = None if its_values is None or clusters is None else SharedClusters(its_values, clusters)
        similarities = len(queries) * min(self._rows, queries.shape[1]) * len(labels)
        with threads_of_work(similarities * queries.shape[2] if similarities >= COMPILED_FROM else 0):
            self._search(keys, labels, sink, shared)

    def _search(
        self, keys: torch.Tensor, labels: np.ndarray, sink: NeighbourSink, shared: SharedClusters | None
    ) -> None:
        queries, query_labels, _ = self._queries
        width, index = round_up(len(labels)), _LabelIndex.of(labels)
        for first in range(0, len(query_labels), self._rows):
            rows = slice(first, first + self._rows)
            # One product for all classes of the test photos: products of few rows take a tenth more time.
            block_queries = queries[:, rows].reshape(-1, queries.shape[2])
            blocks = self._buffer[: len(block_queries) * width].view(len(block_queries), width)
            torch.mm(block_queries, keys[:width].T, out=blocks)
            blocks[:, len(labels) :] = -torch.inf
            if shared is not None:
                pairs = shared.pairs(rows, 0, len(labels))
                at = [torch.from_numpy(x).to(blocks.device) for x in pairs]
                blocks.view(len(queries), -1, width)[:, at[0], at[1]] = -torch.inf
            parts = index.positives(query_labels[rows], blocks.device)
            for t, block in enumerate(blocks.view(len(queries), -1, width)):
                for part in parts:
                    sink.add(sink.positives[t], part.rows + first, part.take(block, sink.depths[t]))
                sink.add(sink.negatives[t], rows, top_keys(block, sink.depths[t]))


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
        """Their nearest ``count`` as keys whose indices are columns; sets them to ``-inf`` in the block."""
        places = (self.rows[:, None] * block.shape[1] + self.columns).flatten()
        similarities = block.view(-1).index_select(0, places).view(self.columns.shape)
        block.view(-1).index_fill_(0, places, -torch.inf)
        surplus = torch.arange(self.columns.shape[1], device=block.device) >= self.widths[:, None]
        nearest = top_keys(similarities.masked_fill_(surplus, -torch.inf), count)
        return replace_indices(nearest, self.columns.gather(1, unpack_indices(nearest).clamp(min=0)))


@dataclass(frozen=True, eq=False)
class _LabelIndex:
    """The train photos of one block, by label."""

    order: np.ndarray
    """int64 [photos]: positions sorted by (label, position)."""
    labels: np.ndarray
    """int64 [photos]: the labels in that order."""

    @classmethod
    def of(cls, labels: np.ndarray) -> _LabelIndex:
        order = np.argsort(labels, kind="stable")
        return cls(order, labels[order])

    def ranges(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Start in ``order`` and number of the photos of each label."""
        starts = np.searchsorted(self.labels, labels, side="left")
        return starts, np.searchsorted(self.labels, labels, side="right") - starts

    def positives(self, labels: np.ndarray, device: torch.device) -> list[_Positives]:
        """Positives of queries with these labels, in parts whose queries have similar numbers of them."""
        starts, counts = self.ranges(labels)
        parts = []
        scale = np.ceil(np.log2(np.maximum(counts, 1))).astype(int)
        for size in np.unique(scale[counts > 0]):
            rows = np.flatnonzero((scale == size) & (counts > 0))
            width = int(counts[rows].max())
            steps = np.arange(width if width < GROUP else round_up(width))
            columns = self.order[starts[rows, None] + np.minimum(steps, counts[rows, None] - 1)]
            parts.append(_Positives(*(torch.from_numpy(x).to(device) for x in (rows, columns, counts[rows]))))
        return parts
