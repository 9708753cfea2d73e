"""Similarities of queries to photos of the same and of other classes, in the same and in other processings.

Similarities are counted in fine steps block by block, so that memory is bounded for any number of photos. All results
of a query follow from its counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.compute import budget, exact_device, float32_rounding
from benchmark.knn.search import Embeddings, read_unit_rows

STEPS = 1 << 14
"""Steps of equal width between -1 and 1 in which similarities are counted: exact in binary, 1/8192 wide."""

BINS = 48
"""Most bins of a histogram, from the least to the greatest similarity of a query."""

KINDS = (
    "other-class other-processing",
    "same-class other-processing",
    "other-class same-processing",
    "same-class same-processing",
)
"""Kinds of photos of the collection relative to the query; the rows of ``similarity_counts``."""

SAME_CLASS_ELSEWHERE, OTHERS_ALIKE = 1, 2
"""Rows of ``KINDS``: the most similar kind if only content counts, and if only processing counts."""

_COLUMNS = 1 << 14
_ROWS = 128


@dataclass(frozen=True, eq=False)
class Similarities:
    """Similarities of queries (a test photo in one processing) to a collection (every train photo in each)."""

    beats: np.ndarray
    """float64 [queries], results of ``beats``."""
    overlap: np.ndarray
    """float64 [queries], results of ``overlap``."""


def beats(counts: np.ndarray) -> float:
    """How often processing beats content, from a query's counts [4 kinds, ``STEPS``].

    The share of pairs (a photo of another class in the query's processing, one of its class in another processing) in
    which the first is more similar to the query; pairs in one step count half. It is 0 if only content counts, 1/2 if
    neither does, 1 if only processing counts; NaN if a side is empty.
    """
    same_processing, same_class = counts[OTHERS_ALIKE].astype(np.int64), counts[SAME_CLASS_ELSEWHERE].astype(np.int64)
    pairs = int(same_processing.sum()) * int(same_class.sum())
    # Twice the number of pairs, so that halves are integers.
    return (
        int((same_processing * (2 * same_class.cumsum() - same_class)).sum()) / (2 * pairs) if pairs else float("nan")
    )


def overlap(counts: np.ndarray) -> float:
    """Common area of the two histograms (each of area 1) that ``beats`` compares, from counts [4 kinds, ``STEPS``].

    1 if they are equal, 0 if no bin has both; NaN if a side is empty.
    """
    pair = histogram(counts).counts[[SAME_CLASS_ELSEWHERE, OTHERS_ALIKE]]
    totals = pair.sum(axis=1, keepdims=True)
    return float((pair / totals).min(axis=0).sum()) if totals.all() else float("nan")


@dataclass(frozen=True, eq=False)
class Histogram:
    """Histogram of the similarities of a query, for display."""

    edges: np.ndarray
    """float64 [bins + 1], rising."""
    counts: np.ndarray
    """int64 [4 kinds, bins]."""


def histogram(counts: np.ndarray, bins: int = BINS) -> Histogram:
    """Sum counts [4 kinds, ``STEPS``] in at most ``bins`` bins of equal width, from the first to the last used step.

    >>> counts = np.zeros((4, STEPS), np.int64)
    >>> counts[0, [STEPS // 2, STEPS // 2 + 95]] = 3, 1
    >>> bins = histogram(counts)
    >>> bins.counts[0, [0, -1]].tolist(), len(bins.edges), float(bins.edges[0])
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
    """Effect of processing on the similarities of each query to every train photo in every processing.

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
    measured = np.full((2, len(queries)), np.nan)
    for some, counts in _counted(train, queries, train_labels, query_labels, query_classes, device):
        measured[:, some] = [[beats(one) for one in counts], [overlap(one) for one in counts]]
    return Similarities(*measured)


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
    all_counts = np.empty((len(queries), len(KINDS), STEPS), np.int64)
    for selected, counts in _counted(train, queries, train_labels, query_labels, query_classes, device):
        all_counts[selected] = counts
    return all_counts


def _counted(
    train: Sequence[Embeddings],
    queries: np.ndarray,
    train_labels: np.ndarray,
    query_labels: np.ndarray,
    query_classes: np.ndarray,
    device: str | torch.device,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Blocks of queries, with their counts int32 [queries, 4 kinds, ``STEPS``]."""
    resolved_device = exact_device(device)
    n_train, dimension = train[0].shape
    columns = max(1, min(n_train, _COLUMNS, budget(resolved_device) // 8 // (8 * dimension + 40 * _ROWS)))
    block = torch.empty((columns, dimension), dtype=torch.float32, device=resolved_device)
    labels = torch.from_numpy(np.asarray(train_labels, np.int64)).to(resolved_device)
    for first in range(0, len(queries), _ROWS):
        selected = slice(first, min(first + _ROWS, len(queries)))
        rows = selected.stop - first
        with torch.inference_mode(), float32_rounding():
            unit_queries = torch.empty((rows, dimension), dtype=torch.float32, device=resolved_device)
            read_unit_rows(queries[selected], 0, rows, unit_queries, what="queries")
            class_labels = torch.from_numpy(np.asarray(query_labels[selected], np.int64)).to(resolved_device)[:, None]
            processings = torch.from_numpy(np.asarray(query_classes[selected], np.int64)).to(resolved_device)[:, None]
            base = torch.arange(rows, dtype=torch.int32, device=resolved_device)[:, None] * len(KINDS)
            counted = torch.zeros(rows * len(KINDS) * STEPS, dtype=torch.int32, device=resolved_device)
            for start in range(0, n_train, columns):
                stop = min(start + columns, n_train)
                same_class = (class_labels == labels[start:stop]).int()
                ones = torch.ones(rows * (stop - start), dtype=torch.int32, device=resolved_device)
                for c, bank in enumerate(train):
                    read_unit_rows(bank, start, stop, block, what=f"train class {c}")
                    bins = _steps(unit_queries @ block[: stop - start].T)
                    bins += (base + 2 * (processings == c) + same_class) * STEPS
                    counted.scatter_add_(0, bins.flatten().long(), ones)
        yield selected, counted.view(rows, len(KINDS), STEPS).cpu().numpy()


def _steps(products: torch.Tensor) -> torch.Tensor:
    """int32: the step of each similarity, exact in float32; rounding may put a similarity slightly beyond 1 or -1."""
    half = STEPS // 2
    return ((products * half).floor_().int() + half).clamp_(0, STEPS - 1)
