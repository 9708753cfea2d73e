"""The C x C similarity blocks of kNN; for each pair of classes the nearest positives and negatives are kept.

Blocks are cut over test photos and over train photos, so that memory is bounded for any number of either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from benchmark.topk import (
    GROUP,
    NOTHING,
    Embeddings,
    compiled,
    merge,
    read_unit_rows,
    replace_indices,
    shift_indices,
    top_keys,
    unpack_indices,
)

CPU_BLOCK = 1 << 25
"""Similarities of one block on a CPU at most (128 MiB): larger blocks are no faster, their first use is slower."""

CPU_COLUMNS, CUDA_COLUMNS = 1 << 15, 1 << 16
"""Train photos of one block at most: wider blocks need fewer merges, narrower ones less memory for embeddings."""


@dataclass(frozen=True, eq=False)
class Question:
    """The checked input of one kNN suite."""

    train: Sequence[Embeddings]
    test: Sequence[Embeddings]
    train_labels: np.ndarray
    """int64 [train photos], 0 .. labels - 1"""
    test_labels: np.ndarray
    train_assignments: np.ndarray
    test_assignments: np.ndarray
    k: int
    device: torch.device

    @property
    def classes(self) -> int:
        """C, the classes of the parameter."""
        return len(self.train)

    @property
    def dimension(self) -> int:
        """Of every embedding."""
        return self.train[0].shape[1]


@dataclass(frozen=True)
class Plan:
    """How the work is cut."""

    photos: int
    """Test photos whose lists are kept at a time; the train photos are read once for each such part."""
    columns: int
    """Train photos of a block, a multiple of ``GROUP``."""
    rows: int
    """Test photos of a block."""
    same_depth: int
    """Neighbours kept, of positives and of negatives each, where test and train class agree."""
    other_depth: int
    """The same where they differ."""

    def depth(self, test_class: int, train_class: int) -> int:
        """Neighbours kept for one pair of classes."""
        return self.same_depth if test_class == train_class else self.other_depth


class Lists(NamedTuple):
    """For test class t and train class c, ``[t][c]``: int64 keys [test photos, depth], in falling order."""

    positives: list[list[torch.Tensor]]
    negatives: list[list[torch.Tensor]]


def plan_blocks(question: Question, memory_bytes: int | None) -> Plan:
    """Cut the work so that everything that grows with the number of photos fits ``memory_bytes`` together.

    Set-ups with p and n need k neighbours of each pair of classes. ``uniform`` looks for k neighbours among the C-th
    part of each list, and where neighbours of the query's own class are far nearer than all others it finds nearly all
    of them there; hence the depths. What they do not suffice for is found by ``knn_uniform`` in another way.
    """
    c, k, dimension = question.classes, question.k, question.dimension
    n_train, n_test = len(question.train_labels), len(question.test_labels)
    on_cpu = question.device.type == "cpu"
    if memory_bytes is None:
        on_cuda = question.device.type == "cuda"
        memory_bytes = torch.cuda.mem_get_info(question.device)[0] // 2 if on_cuda else 2 << 30
    other, same = (k, k) if c == 1 else (4 * k, 2 * k * c + 8)
    kept = 2 * c * (same + (c - 1) * other) * 8
    mixed = 4 * c * len(question.train_assignments) * k * 8
    per_photo = 4 * c * dimension + 2 * kept + 16 * c * c * k * 8 + mixed + 1024
    photos = _even_parts(n_test, max(1, memory_bytes // 4 // per_photo))
    columns = min(round_up(n_train), CPU_COLUMNS if on_cpu else CUDA_COLUMNS)
    columns = max(GROUP, min(columns, memory_bytes // 8 // (8 * dimension + 8) // GROUP * GROUP))
    # Similarities of all classes; and of one class, should all of them be positives: their copy, places and keys.
    per_pair = 4 * c + 32
    pairs = memory_bytes // 2 // per_pair
    rows = _even_parts(photos, max(1, (min(pairs, CPU_BLOCK // c) if on_cpu else pairs) // columns))
    return Plan(photos, columns, rows, same, other)


def read_queries(question: Question, photos: slice) -> torch.Tensor:
    """float32 [C, test photos of the part, dimension], of unit length."""
    shape = (question.classes, photos.stop - photos.start, question.dimension)
    queries = torch.empty(shape, dtype=torch.float32, device=question.device)
    for t, bank in enumerate(question.test):
        read_unit_rows(bank, photos.start, photos.stop, queries[t], what=f"test class {t}")
    return queries


def neighbour_lists(question: Question, queries: torch.Tensor, photos: slice, plan: Plan) -> Lists:
    """The nearest positives and negatives of these queries in each bank, by one pass over the train photos."""
    lists = _empty_lists(question, queries.shape[1], plan)
    labels = question.test_labels[photos]
    c_total, dimension = question.classes, question.dimension
    buffer = torch.empty(c_total * plan.rows * plan.columns, dtype=torch.float32, device=question.device)
    embeddings = torch.empty((plan.columns, dimension), dtype=torch.float32, device=question.device)
    for start in range(0, len(question.train_labels), plan.columns):
        stop = min(start + plan.columns, len(question.train_labels))
        shelf = _Shelf.of(question.train_labels[start:stop])
        width = round_up(stop - start)
        for c, bank in enumerate(question.train):
            keys = read_unit_rows(bank, start, stop, embeddings[:width], what=f"train class {c}")
            for first in range(0, len(labels), plan.rows):
                rows = slice(first, min(first + plan.rows, len(labels)))
                # One product for all classes of the test photos: a product of few rows wastes a tenth of its time.
                asked = queries[:, rows].reshape(-1, dimension)
                blocks = buffer[: len(asked) * width].view(len(asked), width)
                torch.mm(asked, keys.T, out=blocks)
                blocks[:, stop - start :] = -torch.inf
                depths = [plan.depth(t, c) for t in range(c_total)]
                columns = [[side[t][c] for t in range(c_total)] for side in lists]
                _search(blocks, shelf, labels, rows, depths, start, *columns)
    return lists


def _search(
    blocks: torch.Tensor,
    shelf: _Shelf,
    labels: np.ndarray,
    rows: slice,
    depths: Sequence[int],
    start: int,
    positives: Sequence[torch.Tensor],
    negatives: Sequence[torch.Tensor],
) -> None:
    """Merge what is nearest in ``blocks`` [C * queries, train photos from ``start`` on] into the lists of each class.

    Args:
        shelf: those train photos.
        labels: of all queries of the part, of which these are ``rows``.
        depths: neighbours kept for each class of the queries.
        positives, negatives: int64 [queries of the part, depth] for each class of the queries.
    """
    if (fast := compiled(blocks)) is not None:  # all classes at once
        own = shelf.own(np.tile(labels[rows], len(depths)))
        both = fast.split_keys(blocks, shelf.order, *own, np.repeat(depths, len(labels[rows])))
        for side, found in zip((positives, negatives), both, strict=True):
            for t, keys in enumerate(found.view(len(depths), -1, found.shape[1])):
                _update(side[t], rows, keys[:, : depths[t]], start)
        return
    parts = shelf.positives(labels[rows], blocks.device)
    for t, block in enumerate(blocks.view(len(depths), -1, blocks.shape[1])):
        for part in parts:
            _update(positives[t], part.rows + rows.start, part.take(block, depths[t]), start)
        _update(negatives[t], rows, top_keys(block, depths[t]), start)


def round_up(photos: int) -> int:
    """The next multiple of ``GROUP``."""
    return -(-photos // GROUP) * GROUP


def _even_parts(total: int, largest: int) -> int:
    """The size of parts that are nearly equal and not larger than asked: a narrow last product would be slow."""
    parts = -(-total // largest)
    return -(-total // parts)


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


def _empty_lists(question: Question, photos: int, plan: Plan) -> Lists:
    def side() -> list[list[torch.Tensor]]:
        classes = range(question.classes)
        return [
            [
                torch.full((photos, plan.depth(t, c)), NOTHING, dtype=torch.int64, device=question.device)
                for c in classes
            ]
            for t in classes
        ]

    return Lists(side(), side())


def _update(kept: torch.Tensor, rows: slice | torch.Tensor, found: torch.Tensor, start: int) -> None:
    found = shift_indices(found, start)
    kept[rows] = merge(kept[rows], found) if start else found
