"""The C x C similarity blocks of kNN; for each pair of classes the nearest positives and negatives are kept.

Blocks are cut over test photos and over train photos, so that memory is bounded for any number of either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from benchmark.compute import budget, chunks, parallel_map, threads_of_work
from benchmark.knn.search import (
    GROUP,
    NOTHING,
    Embeddings,
    NeighbourSink,
    QueryBlock,
    read_unit_rows,
    round_up,
    search_of,
)

CPU_BLOCK = 1 << 25
"""Similarities of one block on a CPU at most (128 MiB): larger blocks are no faster, their first use is slower."""

CPU_COLUMNS, CUDA_COLUMNS = 1 << 15, 1 << 16
"""Train photos of one block at most: wider blocks need fewer merges, narrower ones less memory for embeddings."""

PART_WORK = {True: 1 << 42, False: 1 << 50}
"""Multiply-adds after which a part of the test photos ends and is kept, on a CPU (a minute on two cores) and on a GPU:
what a kill costs."""

LEAST_QUERIES = 4096
"""Test photos x classes of a part at least. Fewer make reading the train photos again dear beside the products."""

LEAST_KEYS = 1 << 20
"""Keys that a piece of the test photos looks through at least: threads that share Python's lock, and have shorter
steps, wait for it longer than they compute."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class KnnQuestion:
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
class BlockPlan:
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

    def of(self, rows: slice) -> Lists:
        """Those of some of the test photos, without a copy."""
        return Lists(*([[keys[rows] for keys in of_class] for of_class in side] for side in self))


def by_photos(work: Callable[[slice], Answer], question: KnnQuestion, photos: int) -> list[Answer]:
    """``work`` on slices of so many test photos, in order: on a CPU large ones side by side, few on one thread."""
    if question.device.type != "cpu":
        return [work(slice(0, photos))]
    each = question.classes * len(question.train_assignments) * merged_width(question)
    pieces = chunks(photos, max(1, LEAST_KEYS // each))
    if len(pieces) > 1:
        return parallel_map(work, pieces)
    with threads_of_work(0):
        return [work(pieces[0])]


def merged_width(question: KnnQuestion) -> int:
    """Keys of each test photo and class that ``uniform`` looks through."""
    return 3 * question.classes * question.k


def plan_blocks(question: KnnQuestion, memory_bytes: int | None) -> BlockPlan:
    """Cut the work so that everything that grows with the number of photos fits ``memory_bytes`` together.

    Set-ups with p and n need k neighbours of each pair of classes. ``uniform`` looks for k neighbours among the C-th
    part of each list, and where neighbours of the query's own class are far nearer than all others it finds nearly all
    of them there; hence the depths. What they do not suffice for is found by ``knn_uniform`` in another way.
    """
    c, k, dimension = question.classes, question.k, question.dimension
    n_train, n_test = len(question.train_labels), len(question.test_labels)
    on_cpu = question.device.type == "cpu"
    if memory_bytes is None:
        memory_bytes = budget(question.device)
    other, same = (k, k) if c == 1 else (5 * k, 2 * k * c + 8)
    kept = 2 * c * (same + (c - 1) * other) * 8
    searched = 2 * c * 2 * max(same, other) * 8
    mixed = 4 * c * len(question.train_assignments) * k * 8
    per_photo = 4 * c * dimension + 2 * kept + searched + 16 * c * c * k * 8 + mixed + 1024
    work = max(LEAST_QUERIES // c, PART_WORK[on_cpu] // (c * c * n_train * dimension))
    photos = _even_parts(n_test, max(1, min(memory_bytes // 4 // per_photo, work)))
    columns = min(round_up(n_train), CPU_COLUMNS if on_cpu else CUDA_COLUMNS)
    columns = max(GROUP, min(columns, memory_bytes // 8 // (8 * dimension + 8) // GROUP * GROUP))
    # Similarities of all classes; and of one class, should all of them be positives: their copy, places and keys.
    per_pair = 4 * c + 32
    pairs = memory_bytes // 2 // per_pair
    rows = _even_parts(photos, max(1, (min(pairs, CPU_BLOCK // c) if on_cpu else pairs) // columns))
    return BlockPlan(photos, columns, rows, same, other)


def read_queries(question: KnnQuestion, photos: slice) -> torch.Tensor:
    """float32 [C, test photos of the part, dimension], of unit length."""
    shape = (question.classes, photos.stop - photos.start, question.dimension)
    queries = torch.empty(shape, dtype=torch.float32, device=question.device)
    for t, bank in enumerate(question.test):
        read_unit_rows(bank, photos.start, photos.stop, queries[t], what=f"test class {t}")
    return queries


def neighbour_lists(
    question: KnnQuestion,
    queries: torch.Tensor,
    photos: slice,
    plan: BlockPlan,
    tell: Callable[[int], object] = lambda pairs: None,
) -> Lists:
    """The nearest positives and negatives of these queries in each bank, by one pass over the train photos.

    ``tell`` hears after each block how many pairs of a test and a train photo were compared.
    """
    lists = _empty_lists(question, queries.shape[1], plan)
    asked = QueryBlock(queries, question.test_labels[photos])
    embeddings = torch.empty((plan.columns, question.dimension), dtype=torch.float32, device=question.device)
    n_train = len(question.train_labels)
    search = search_of(asked, plan.rows, min(n_train, plan.columns))
    for start in range(0, n_train, plan.columns):
        stop = min(start + plan.columns, n_train)
        for c, bank in enumerate(question.train):
            read_unit_rows(bank, start, stop, embeddings, what=f"train class {c}")
            positives, negatives = ([of_class[c] for of_class in side] for side in lists)
            search(embeddings, question.train_labels[start:stop], NeighbourSink(positives, negatives, start))
            tell(queries.shape[1] * (stop - start))
    return lists


def _even_parts(total: int, largest: int) -> int:
    """The size of parts that are nearly equal and not larger than asked: a narrow last product would be slow."""
    parts = -(-total // largest)
    return -(-total // parts)


def _empty_lists(question: KnnQuestion, photos: int, plan: BlockPlan) -> Lists:
    def side() -> list[list[torch.Tensor]]:
        classes = range(question.classes)
        return [
            [
                torch.full((photos, plan.depth(t, c)), NOTHING, dtype=torch.int64, device=question.device)
                for c in classes
            ]
            for t in classes
        ]

    with threads_of_work(photos * max(plan.same_depth, plan.other_depth)):
        return Lists(side(), side())
