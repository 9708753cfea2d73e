"""Exact nearest neighbours with a fixed order: cosine similarities in bounded blocks, neighbours as sortable keys.

A neighbour is one int64 key: the float32 similarity in the upper half, the train index (reversed) in the lower, so that
sorting keys downwards orders neighbours by (similarity descending, train index ascending). Equal similarities are thus
never in doubt, lists merge by concatenation and top-k, and the k nearest are the same however the work is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from benchmark.compute import compiled_module, threads_of_work
from builders.errors import DataError

NOTHING = torch.iinfo(torch.int64).min
"""The key of no neighbour: fills lists that are longer than there are neighbours. Below every real key."""

GROUP = 32
"""Columns per group of the prefilter in ``top_keys``; blocks whose width is a multiple of it are searched fastest."""

KEPT_GROUPS = (GROUP, 8)
"""The same for what the first prefilter leaves."""

COMPILED_FROM = 1 << 20
"""Similarities from which the compiled search is used: loading it takes some tenths of a second. Below, a search is
many small steps, which one thread takes: two are a third faster alone, and take twice as long beside a busy process."""

_LOW = 0xFFFFFFFF

_SIGN_FREE = 0x7FFFFFFF

_BATCH = 1 << 21  # similarities that are packed into keys at once: 16 MiB of keys, which the cache still helps with


class Embeddings(Protocol):
    """What embeddings must offer: an array, a memory map, or anything that reads rows when they are sliced."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(photos, dimension)``."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """The rows of a slice ``[a:b]`` as an array-like of numbers."""
        ...


def read_unit_rows(embeddings: Embeddings, start: int, stop: int, out: torch.Tensor, *, what: str) -> torch.Tensor:
    """Rows ``[start:stop]`` at unit length, into ``out`` (which is returned); a zero vector stays zero.

    Only this slice is read. A zero vector thus has similarity 0 to everything.

    Args:
        out: float32 [stop - start or more, dimension] on the device wanted; rows beyond are set to zero.
        what: a name of the embeddings for error messages.

    Raises:
        DataError: a value is not finite, or the slice has not the promised shape.
    """
    raw = np.asarray(embeddings[start:stop], dtype=np.float32)
    if raw.shape != (stop - start, embeddings.shape[1]):
        raise DataError(f"{what}: rows {start} to {stop} have shape {raw.shape}; embed the photos again")
    if not raw.flags.writeable or not raw.flags.c_contiguous:
        raw = np.array(raw)  # torch warns about memory it may not write to, such as a read-only memory map
    with threads_of_work(raw.size):
        rows = torch.from_numpy(raw).to(out.device)
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        out[stop - start :] = 0
        # Squares of very small or large numbers leave float32's range: such rows, and true zeros, are done in float64.
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
    """Keys of neighbours: larger is nearer, and of two equally similar ones the lower index is nearer.

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
    """The indices that were packed; -1 for ``NOTHING``."""
    return torch.where(keys == NOTHING, -1, _LOW - (keys & _LOW))


def unpack_similarities(keys: torch.Tensor) -> torch.Tensor:
    """The float32 similarities that were packed; ``-inf`` for ``NOTHING``.

    >>> unpack_similarities(pack_keys(torch.tensor([0.5, -0.25, -float("inf")]), torch.tensor([4, 2, 9]))).tolist()
    [0.5, -0.25, -inf]
    """
    ordered = (keys >> 32).int()
    bits = ordered ^ ((ordered >> 31) & _SIGN_FREE)
    return torch.where(keys == NOTHING, -torch.inf, bits.view(torch.float32))


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` nearest columns of each row as falling keys, padded with ``NOTHING``; exact, ties included.

    Wide blocks are searched by group maxima: the nearest ``count`` columns are in the ``count`` groups with the largest
    maxima. Only where something as near as the last neighbour was left out, all keys of the row are compared.

    Args:
        block: float32 [rows, columns], contiguous, ``-inf`` where there is no neighbour.
        count: neighbours per row, at least 1.

    Returns:
        int64 [rows, count]; the packed index is the column.
    """
    if block.is_contiguous() and (fast := compiled(block.device, block.numel())) is not None:
        return fast.top_keys(block, count)
    columns = block.shape[1]
    if columns <= count:
        found = pack_keys(block, torch.arange(columns, device=block.device)).sort(dim=1, descending=True).values
        return torch.nn.functional.pad(found, (0, count - columns), value=NOTHING)
    nearest, places, left_out = _largest(block, count, KEPT_GROUPS)
    found = pack_keys(nearest, places)
    level = (nearest[:, 1:] == nearest[:, :-1]) & (nearest[:, 1:] > -torch.inf)
    swapped = level.any(dim=1).nonzero().flatten()
    if len(swapped):
        found[swapped] = found[swapped].sort(dim=1, descending=True).values
    last = nearest[:, -1]
    _compare_all_keys(block, ((last <= left_out) & (last > -torch.inf)).nonzero().flatten(), found)
    return found


def compiled(device: torch.device, similarities: int) -> ModuleType | None:
    """``benchmark.knn.search_compiled`` where it pays: on the CPU, with numba, for so many similarities at once."""
    pays = device.type == "cpu" and similarities >= COMPILED_FROM
    return compiled_module("benchmark.knn.search_compiled", "kNN's search") if pays else None


class _Largest(NamedTuple):
    values: torch.Tensor
    """[rows, count], falling; the order of equal values is open."""
    columns: torch.Tensor
    left_out: torch.Tensor
    """[rows]: no value is larger that is not among these."""


def _largest(values: torch.Tensor, count: int, groups: tuple[int, ...]) -> _Largest:
    """The ``count`` largest values of each row of more."""
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


def _compare_all_keys(block: torch.Tensor, rows: torch.Tensor, found: torch.Tensor) -> None:
    """Search these rows without a shortcut and write what is nearest into ``found``."""
    indices = torch.arange(block.shape[1], device=block.device)
    for some in rows.split(max(1, _BATCH // block.shape[1])):
        found[some] = pack_keys(block[some], indices).topk(found.shape[1], dim=1).values


def shift_indices(keys: torch.Tensor, start: int) -> torch.Tensor:
    """The same keys with ``start`` added to every index."""
    return torch.where(keys == NOTHING, NOTHING, keys - start)


def replace_indices(keys: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """The same similarities with other indices; ``NOTHING`` stays."""
    return torch.where(keys == NOTHING, NOTHING, (keys & ~_LOW) | (_LOW - indices))


def merge(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The nearest of two lists of keys [..., n] and [..., m], in falling order: [..., n]."""
    return torch.cat([first, second], dim=-1).topk(first.shape[-1], dim=-1).values


class QueryBlock(NamedTuple):
    """The test photos whose neighbours are wanted."""

    queries: torch.Tensor
    """float32 [C, test photos, d], of unit length."""
    labels: np.ndarray
    """int64 [test photos], 0 or more."""


class NeighbourSink(NamedTuple):
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


Search = Callable[[torch.Tensor, np.ndarray, NeighbourSink], None]
"""(float32 [train photos or more, d] of unit length, int64 [train photos] their labels, where neighbours go)."""


def search_of(asked: QueryBlock, rows: int, columns: int) -> Search:
    """The faster search for so many test photos at a time and so many train photos."""
    fast = compiled(asked.queries.device, asked.queries.shape[0] * asked.queries.shape[1] * columns)
    return _BlockSearch(asked, rows, columns) if fast is None else _CompiledSearch(asked, fast)


class _CompiledSearch:
    """By ``benchmark.knn.search_compiled``."""

    def __init__(self, asked: QueryBlock, module: ModuleType) -> None:
        self._asked, self._module = asked, module
        self._own = np.tile(asked.labels, len(asked.queries)).astype(np.int32)

    def __call__(self, keys: torch.Tensor, labels: np.ndarray, found: NeighbourSink) -> None:
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

    def __init__(self, asked: QueryBlock, rows: int, columns: int) -> None:
        self._asked, self._rows = asked, rows
        size = len(asked.queries) * min(rows, len(asked.labels)) * round_up(columns)
        self._buffer = torch.empty(size, dtype=torch.float32, device=asked.queries.device)

    def __call__(self, keys: torch.Tensor, labels: np.ndarray, found: NeighbourSink) -> None:
        queries = self._asked.queries
        similarities = len(queries) * min(self._rows, queries.shape[1]) * len(labels)
        with threads_of_work(similarities * queries.shape[2] if similarities >= COMPILED_FROM else 0):
            self._search(keys, labels, found)

    def _search(self, keys: torch.Tensor, labels: np.ndarray, found: NeighbourSink) -> None:
        queries, own = self._asked
        width, shelf = round_up(len(labels)), _LabelIndex.of(labels)
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
