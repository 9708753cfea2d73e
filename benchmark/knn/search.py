"""Exact nearest neighbours with a fixed order: cosine similarities in bounded blocks, neighbours as sortable keys.

A neighbour is one int64 key: the float32 similarity in the upper half, the train index (reversed) in the lower, so that
sorting keys downwards orders neighbours by (similarity descending, train index ascending). Ties are thus
always resolved, lists merge by concatenation and top-k, and the k nearest do not depend on how the work is cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from benchmark.compute import compiled_module, threads_of_work
from builders.errors import DataError

NOTHING = torch.iinfo(torch.int64).min
"""Key of no neighbour, which fills lists that are longer than the number of neighbours. Below every real key."""

GROUP = 32
"""Columns per group of the prefilter in ``top_keys``; blocks whose width is a multiple of it are searched fastest."""

PREFILTER_GROUPS = (GROUP, 8)
"""Columns per group of the successive prefilters."""

COMPILED_FROM = 1 << 20
"""Least similarities for the compiled search: loading it takes some tenths of a second. Smaller searches are many small
steps, for which torch has one thread: two are a third faster on an idle machine, and take twice as long on a busy
one."""

_LOW = 0xFFFFFFFF

_SIGN_FREE = 0x7FFFFFFF

_BATCH = 1 << 21  # similarities packed into keys at once: 16 MiB of keys, which still profit from the cache


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


def pack_keys(similarities: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Pack neighbours into keys: larger is nearer, and of two equally similar ones the lower index is nearer.

    Args:
        similarities: float32, any shape; ``-inf`` means "no neighbour" and gives ``NOTHING``.
        indices: int64 in [0, 2**32), broadcast against ``similarities``.

    >>> keys = pack_keys(torch.tensor([0.5, 0.5, 0.75, -float("inf")]), torch.tensor([4, 2, 9, 0]))
    >>> unpack_indices(keys.sort(descending=True).values).tolist()
    [9, 2, 4, -1]
    """
    bits = (similarities + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    ordered = bits ^ ((bits >> 31) & _SIGN_FREE)  # IEEE 754 floats as integers of the same order
    keys = (ordered.long() << 32) | (_LOW - indices)
    return torch.where(similarities == -torch.inf, NOTHING, keys)


def unpack_indices(keys: torch.Tensor) -> torch.Tensor:
    """Indices of keys; -1 for ``NOTHING``."""
    return torch.where(keys == NOTHING, -1, _LOW - (keys & _LOW))


def unpack_similarities(keys: torch.Tensor) -> torch.Tensor:
    """float32 similarities of keys; ``-inf`` for ``NOTHING``.

    >>> unpack_similarities(pack_keys(torch.tensor([0.5, -0.25, -float("inf")]), torch.tensor([4, 2, 9]))).tolist()
    [0.5, -0.25, -inf]
    """
    ordered = (keys >> 32).int()
    bits = ordered ^ ((ordered >> 31) & _SIGN_FREE)
    return torch.where(keys == NOTHING, -torch.inf, bits.view(torch.float32))


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` nearest columns of each row as falling keys, padded with ``NOTHING``; exact, ties included.

    Wide blocks are searched by group maxima: the nearest ``count`` columns are in the ``count`` groups with the largest
    maxima. All keys of a row are compared only if a column outside is as near as the last neighbour.

    Args:
        block: float32 [rows, columns], contiguous, ``-inf`` for no neighbour.
        count: neighbours per row, at least 1.

    Returns:
        int64 [rows, count]; the packed index is the column.
    """
    if block.is_contiguous() and (kernels := compiled(block.device, block.numel())) is not None:
        return kernels.top_keys(block, count)
    columns = block.shape[1]
    if columns <= count:
        keys = pack_keys(block, torch.arange(columns, device=block.device)).sort(dim=1, descending=True).values
        return torch.nn.functional.pad(keys, (0, count - columns), value=NOTHING)
    nearest, places, left_out = _largest(block, count, PREFILTER_GROUPS)
    keys = pack_keys(nearest, places)
    is_tied = (nearest[:, 1:] == nearest[:, :-1]) & (nearest[:, 1:] > -torch.inf)
    swapped = is_tied.any(dim=1).nonzero().flatten()
    if len(swapped):
        keys[swapped] = keys[swapped].sort(dim=1, descending=True).values
    last = nearest[:, -1]
    _compare_all_keys(block, ((last <= left_out) & (last > -torch.inf)).nonzero().flatten(), keys)
    return keys


def compiled(device: torch.device, similarities: int) -> ModuleType | None:
    """``benchmark.knn.search_compiled`` if it is faster: on the CPU, with numba, for enough similarities; else None."""
    is_worthwhile = device.type == "cpu" and similarities >= COMPILED_FROM
    return compiled_module("benchmark.knn.search_compiled", "kNN's search") if is_worthwhile else None


class _Largest(NamedTuple):
    values: torch.Tensor
    """[rows, count], falling; the order of equal values is arbitrary."""
    columns: torch.Tensor
    """[rows, count], columns of the values."""
    left_out: torch.Tensor
    """[rows]: no value outside is larger."""


def _largest(values: torch.Tensor, count: int, groups: tuple[int, ...]) -> _Largest:
    """The ``count`` largest values of each row, which has more."""
    rows, columns = values.shape
    for i, size in enumerate(groups):
        if columns % size == 0 and columns >= 2 * size * (count + 1):
            parts = columns // size
            maxima, chosen = values.view(rows, parts, size).amax(dim=2).topk(count + 1, dim=1, sorted=False)
            first = torch.arange(rows, device=values.device)[:, None] * parts
            near = values.view(rows * parts, size).index_select(0, (first + chosen).flatten())
            largest, places, left_out = _largest(near.view(rows, (count + 1) * size), count, groups[i + 1 :])
            original = chosen.gather(1, places // size) * size + places % size
            return _Largest(largest, original, torch.maximum(left_out, maxima.amin(dim=1)))
    largest, places = values.topk(count + 1, dim=1)
    return _Largest(largest[:, :count], places[:, :count], largest[:, count])


def _compare_all_keys(block: torch.Tensor, rows: torch.Tensor, nearest: torch.Tensor) -> None:
    """Search these rows completely and write the nearest keys to ``nearest``."""
    indices = torch.arange(block.shape[1], device=block.device)
    for some in rows.split(max(1, _BATCH // block.shape[1])):
        nearest[some] = pack_keys(block[some], indices).topk(nearest.shape[1], dim=1).values


def shift_indices(keys: torch.Tensor, start: int) -> torch.Tensor:
    """The same keys with ``start`` added to every index."""
    return torch.where(keys == NOTHING, NOTHING, keys - start)


def replace_indices(keys: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Keys with the same similarities and other indices; ``NOTHING`` stays."""
    return torch.where(keys == NOTHING, NOTHING, (keys & ~_LOW) | (_LOW - indices))


def merge(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The nearest of two lists of keys [..., n] and [..., m], in falling order: [..., n]."""
    return torch.cat([first, second], dim=-1).topk(first.shape[-1], dim=-1).values


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

    def pairs(self, first: int, rows: int, start: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, within a block, of its pairs of one cluster.

        >>> rows, columns = SharedClusters(np.array([7, 8]), np.array([8, 7, 8])).pairs(0, 2, 1, 2)
        >>> rows.tolist(), columns.tolist()  # columns count from the block's first
        ([0, 1], [0, 1])
        """
        base = self._queries[first : first + rows] * self._width
        low = np.searchsorted(self._codes, base + start)
        counts = np.searchsorted(self._codes, base + start + columns) - low
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.repeat(np.arange(len(base)), counts), self._columns[np.repeat(low, counts) + offsets] - start

    def exclude(self, values: np.ndarray, first: int, start: int) -> None:
        """Set the similarities of these pairs in a block [rows, columns] to ``-inf``."""
        rows, columns = self.pairs(first, *(values.shape[0], start, values.shape[1]))
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
            rows = slice(first, min(first + self._rows, len(query_labels)))
            # One product for all classes of the test photos: products of few rows take a tenth more time.
            block_queries = queries[:, rows].reshape(-1, queries.shape[2])
            blocks = self._buffer[: len(block_queries) * width].view(len(block_queries), width)
            torch.mm(block_queries, keys[:width].T, out=blocks)
            blocks[:, len(labels) :] = -torch.inf
            if shared is not None:
                pairs = shared.pairs(first, rows.stop - first, 0, len(labels))
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
