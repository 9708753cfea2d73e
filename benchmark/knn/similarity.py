"""How similar queries are to photos of their own class and of others, under their own processing and under others.

Similarities are counted in fine steps while blocks of products pass by, so that memory is bounded for any number of
photos; what is told of a query follows from its counts alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.compute import budget, exact_device, rounded_as_asked
from benchmark.knn.search import Embeddings, read_unit_rows

STEPS = 1 << 14
"""Steps of equal width between -1 and 1 in which similarities are counted: exact in binary, 1/8192 wide."""

BINS = 48
"""Of a histogram at most, between the steps of a query's least and greatest similarity."""

KINDS = (
    "other-class other-processing",
    "same-class other-processing",
    "other-class same-processing",
    "same-class same-processing",
)
"""Of a photo of the collection, seen from the query; the rows of ``similarity_counts``."""

OWN_ELSEWHERE, OTHERS_ALIKE = 1, 2
"""Rows of ``KINDS``: what content would put first, and what processing would."""

_COLUMNS = 1 << 14
_ROWS = 128


@dataclass(frozen=True, eq=False)
class Similarities:
    """Of queries (a test photo under one processing) to a whole collection (every train photo under each)."""

    beats: np.ndarray
    """float64 [queries]: ``beats``."""
    overlap: np.ndarray
    """float64 [queries]: ``overlap``."""


def beats(counts: np.ndarray) -> float:
    """Of one query's counts [4 kinds, ``STEPS``]: the share of pairs (a photo of another class under the query's
    processing, one of its own class under another processing) in which the first is more similar to the query; two in
    one step count half.

    0 where only content counts, 1/2 where neither does, 1 where only processing counts; NaN where a side is empty.
    """
    alike, own = counts[OTHERS_ALIKE].astype(np.int64), counts[OWN_ELSEWHERE].astype(np.int64)
    pairs = int(alike.sum()) * int(own.sum())
    # Twice the pairs that are won, so that halves stay whole.
    return int((alike * (2 * own.cumsum() - own)).sum()) / (2 * pairs) if pairs else float("nan")


def overlap(counts: np.ndarray) -> float:
    """Of one query's counts [4 kinds, ``STEPS``]: the common area of the two histograms that ``beats`` compares, each
    of area 1: 1 where they are alike, 0 where no bin holds both; NaN where a side is empty."""
    two = histogram(counts).counts[[OWN_ELSEWHERE, OTHERS_ALIKE]]
    totals = two.sum(axis=1, keepdims=True)
    return float((two / totals).min(axis=0).sum()) if totals.all() else float("nan")


@dataclass(frozen=True, eq=False)
class Histogram:
    """One query's similarities as people look at them."""

    edges: np.ndarray
    """float64 [bins + 1], rising."""
    counts: np.ndarray
    """int64 [4 kinds, bins]."""


def histogram(counts: np.ndarray, bins: int = BINS) -> Histogram:
    """Counts [4 kinds, ``STEPS``] in at most ``bins`` bins of equally many steps from the first to the last in use.

    >>> counts = np.zeros((4, STEPS), np.int64)
    >>> counts[0, [STEPS // 2, STEPS // 2 + 95]] = 3, 1
    >>> found = histogram(counts)
    >>> found.counts[0, [0, -1]].tolist(), len(found.edges), float(found.edges[0])
    ([3, 1], 49, 0.0)
    """
    used = np.flatnonzero(counts.any(axis=0))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, STEPS - 1)
    width = -(-(last + 1 - first) // bins)
    starts = np.arange(first, last + 1, width)
    summed = np.add.reduceat(counts[:, first : last + 1], starts - first, axis=1)
    return Histogram(-1 + 2 * np.append(starts, starts[-1] + width) / STEPS, summed)


def similarities(
    train: Sequence[Embeddings],
    queries: np.ndarray,
    train_labels: np.ndarray,
    query_labels: np.ndarray,
    query_classes: np.ndarray,
    *,
    device: str | torch.device = "cpu",
) -> Similarities:
    """What processing does to the similarities of each query, over every train photo under every processing.

    Args:
        train: C embeddings [train photos, dimension], one per processing, sliced ``[a:b]`` and normalised here.
        queries: float [queries, dimension].
        train_labels: int [train photos].
        query_labels: int [queries].
        query_classes: int [queries] in [0, C), the processing of each query.

    Raises:
        DataError: a value is not finite.

    >>> train = [np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]]  # of an encoder that sees processing alone
    >>> similarities(train, np.eye(2)[:1], np.array([0, 1]), np.array([0]), np.array([0])).beats.tolist()
    [1.0]
    """
    found = np.full((2, len(queries)), np.nan)
    for some, counts in _counted(train, queries, train_labels, query_labels, query_classes, device):
        found[:, some] = [[beats(one) for one in counts], [overlap(one) for one in counts]]
    return Similarities(*found)


def similarity_counts(
    train: Sequence[Embeddings],
    queries: np.ndarray,
    train_labels: np.ndarray,
    query_labels: np.ndarray,
    query_classes: np.ndarray,
    *,
    device: str | torch.device = "cpu",
) -> np.ndarray:
    """int64 [queries, 4 kinds, ``STEPS``]: photos of the collection by cosine similarity to each query, half a megabyte
    a query. Step i holds ``-1 + 2 i / STEPS <= similarity < -1 + 2 (i + 1) / STEPS``, the last one 1 too.

    Arguments and errors as in ``similarities``.

    >>> of = np.array([0])
    >>> counts = similarity_counts([np.eye(2), -np.eye(2)], np.eye(2)[:1], np.array([0, 1]), of, of)
    >>> dict(zip(KINDS, counts[0].sum(axis=1).tolist()))["same-class same-processing"], beats(counts[0])
    (1, 1.0)
    """
    found = np.empty((len(queries), len(KINDS), STEPS), np.int64)
    for some, counts in _counted(train, queries, train_labels, query_labels, query_classes, device):
        found[some] = counts
    return found


def _counted(
    train: Sequence[Embeddings],
    queries: np.ndarray,
    train_labels: np.ndarray,
    query_labels: np.ndarray,
    query_classes: np.ndarray,
    device: str | torch.device,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Some queries and their counts, int32 [queries, 4 kinds, ``STEPS``]."""
    place = exact_device(device)
    n_train, dimension = train[0].shape
    columns = max(1, min(n_train, _COLUMNS, budget(place) // 8 // (8 * dimension + 40 * _ROWS)))
    block = torch.empty((columns, dimension), dtype=torch.float32, device=place)
    labels = torch.from_numpy(np.asarray(train_labels, np.int64)).to(place)
    for first in range(0, len(queries), _ROWS):
        some = slice(first, min(first + _ROWS, len(queries)))
        rows = some.stop - first
        with torch.inference_mode(), rounded_as_asked():
            asked = torch.empty((rows, dimension), dtype=torch.float32, device=place)
            read_unit_rows(queries[some], 0, rows, asked, what="queries")
            own = torch.from_numpy(np.asarray(query_labels[some], np.int64)).to(place)[:, None]
            under = torch.from_numpy(np.asarray(query_classes[some], np.int64)).to(place)[:, None]
            base = torch.arange(rows, dtype=torch.int32, device=place)[:, None] * len(KINDS)
            counted = torch.zeros(rows * len(KINDS) * STEPS, dtype=torch.int32, device=place)
            for start in range(0, n_train, columns):
                stop = min(start + columns, n_train)
                same_class = (own == labels[start:stop]).int()
                ones = torch.ones(rows * (stop - start), dtype=torch.int32, device=place)
                for c, bank in enumerate(train):
                    read_unit_rows(bank, start, stop, block, what=f"train class {c}")
                    places = _steps(asked @ block[: stop - start].T)
                    places += (base + 2 * (under == c) + same_class) * STEPS
                    counted.scatter_add_(0, places.flatten().long(), ones)
        yield some, counted.view(rows, len(KINDS), STEPS).cpu().numpy()


def _steps(products: torch.Tensor) -> torch.Tensor:
    """int32: the step of each similarity, exact in float32; rounding may carry one a hair beyond 1 or -1."""
    half = STEPS // 2
    return ((products * half).floor_().int() + half).clamp_(0, STEPS - 1)
