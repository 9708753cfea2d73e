"""The C x C similarity blocks of kNN, and the lists of the nearest positives and negatives for each pair of classes.

Blocks are cut over test photos and over train photos, so that memory is bounded for any number of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch

from benchmark.compute import budget, chunks, parallel_map, threads_of_work
from benchmark.knn.keys import GROUP, NOTHING
from benchmark.knn.search import Embeddings, NeighbourSink, QueryBlock, read_unit_rows, round_up, search_of

CPU_BLOCK = 1 << 25
"""Most similarities of a block on a CPU (128 MiB): larger blocks are no faster, and their first use is slower."""

CPU_COLUMNS, CUDA_COLUMNS = 1 << 15, 1 << 16
"""Most train photos of a block: wider blocks need fewer merges, narrower ones less memory for embeddings."""

PART_WORK = {True: 1 << 42, False: 1 << 50}
"""Multiply-adds of a part of the test photos, after which it is stored, on a CPU (True; a minute on two cores) and on a
GPU. An interrupted run loses at most this."""

LEAST_QUERIES = 4096
"""Least test photos x classes of a part. With fewer, reading the train photos again is expensive compared with the
products."""

LEAST_KEYS = 1 << 20
"""Least keys that a piece of the test photos searches: threads with shorter steps wait for Python's lock longer
than they compute."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class KnnQuestion:
    """The checked input of one kNN suite."""

    train: Sequence[Embeddings]
    test: Sequence[Embeddings]
    train_labels: np.ndarray
    """int64 [train photos], 0 .. labels - 1."""
    test_labels: np.ndarray
    """int64 [test photos], the same labels."""
    train_assignments: np.ndarray
    """int64 [seeds, train photos], classes."""
    test_assignments: np.ndarray
    """int64 [seeds, test photos], classes."""
    k: int
    """Number of neighbours that vote."""
    device: torch.device

    @property
    def classes(self) -> int:
        """C, the number of classes of the parameter."""
        return len(self.train)

    @property
    def dimension(self) -> int:
        """Dimension of the embeddings."""
        return self.train[0].shape[1]


@dataclass(frozen=True)
class BlockPlan:
    """Sizes of parts and blocks, and lengths of lists."""

    photos: int
    """Test photos of a part; the train photos are read once for each part."""
    columns: int
    """Train photos of a block, a multiple of ``GROUP``."""
    rows: int
    """Test photos of a block."""
    same_depth: int
    """Length of the lists of positives and of negatives if test and train class are equal."""
    other_depth: int
    """The same if they differ."""

    def depth(self, test_class: int, train_class: int) -> int:
        """Length of the lists for a pair of classes."""
        return self.same_depth if test_class == train_class else self.other_depth


class Lists(NamedTuple):
    """Lists ``[t][c]`` for test class t and train class c: int64 keys [test photos, depth], in falling order."""

    positives: list[list[torch.Tensor]]
    negatives: list[list[torch.Tensor]]

    def of(self, rows: slice) -> Lists:
        """Lists of some of the test photos, without a copy."""
        return Lists(*([[keys[rows] for keys in of_class] for of_class in side] for side in self))


def by_photos(work: Callable[[slice], Answer], question: KnnQuestion, photos: int) -> list[Answer]:
    """Results of ``work`` for slices of the test photos, in order; on a CPU in parallel, a single one on one thread."""
    if question.device.type != "cpu":
        return [work(slice(0, photos))]
    each = question.classes * len(question.train_assignments) * merged_width(question)
    pieces = chunks(photos, max(1, LEAST_KEYS // each))
    if len(pieces) > 1:
        return parallel_map(work, pieces)
    with threads_of_work(0):
        return [work(pieces[0])]


def merged_width(question: KnnQuestion) -> int:
    """Keys per test photo and class that ``uniform`` searches."""
    return 3 * question.classes * question.k


def plan_blocks(question: KnnQuestion, memory_bytes: int | None) -> BlockPlan:
    """Cut the work so that everything that grows with the number of photos fits ``memory_bytes`` together.

    Set-ups with p and n need k neighbours of each pair of classes. ``uniform`` needs k neighbours among a C-th part of
    each list, and if neighbours of the query's class are far nearer than all others it takes nearly all from that list;
    hence the depths. Neighbours that the lists do not contain are computed by ``uniform`` in another way.
    """
    c, k, dimension = question.classes, question.k, question.dimension
    n_train, n_test = len(question.train_labels), len(question.test_labels)
    on_cpu = question.device.type == "cpu"
    if memory_bytes is None:
        memory_bytes = budget(question.device)
    other, same = (k, k) if c == 1 else (5 * k, 2 * k * c + 8)
    list_bytes = 2 * c * (same + (c - 1) * other) * 8
    search_bytes = 2 * c * 2 * max(same, other) * 8
    mixed_bytes = 4 * c * len(question.train_assignments) * k * 8
    per_photo = 4 * c * dimension + 2 * list_bytes + search_bytes + 16 * c * c * k * 8 + mixed_bytes + 1024
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
    progress: Callable[[int], object] = lambda pairs: None,
) -> Lists:
    """The nearest positives and negatives of these queries in each bank, by one pass over the train photos.

    After each block ``progress`` is called with the number of pairs of a test and a train photo compared.
    """
    lists = _empty_lists(question, queries.shape[1], plan)
    block = QueryBlock(queries, question.test_labels[photos])
    embeddings = torch.empty((plan.columns, question.dimension), dtype=torch.float32, device=question.device)
    n_train = len(question.train_labels)
    search = search_of(block, plan.rows, min(n_train, plan.columns))
    for start in range(0, n_train, plan.columns):
        stop = min(start + plan.columns, n_train)
        for c, bank in enumerate(question.train):
            read_unit_rows(bank, start, stop, embeddings, what=f"train class {c}")
            positives, negatives = ([of_class[c] for of_class in side] for side in lists)
            search(embeddings, question.train_labels[start:stop], NeighbourSink(positives, negatives, start))
            progress(queries.shape[1] * (stop - start))
    return lists


def _even_parts(total: int, largest: int) -> int:
    """Size of nearly equal parts of at most ``largest``: a narrow last product would be slow."""
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
