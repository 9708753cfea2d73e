"""kNN of several views of each test photo in one collection: the effect of an adversary who processes the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmark.compute import budget, exact_device, float32_rounding
from benchmark.knn.answers import Setup, TieRule
from benchmark.knn.keys import GROUP, NOTHING, merge, shift_indices, top_keys, unpack_indices, unpack_similarities
from benchmark.knn.search import Embeddings, read_unit_rows
from benchmark.knn.setups import knn_setups, part_of
from builders.errors import DataError

ROUNDING = 1e-6
"""Cosines that are so close are tied: unit rows are rounded to float32, and equal ones may seem 1e-7 apart."""

_COLUMNS = 1 << 14
_ROWS = 1 << 12


@dataclass(frozen=True, eq=False)
class ViewAnswers:
    """Whether the neighbours of each test photo classify it correctly, for each view of it."""

    correct: np.ndarray
    """bool [views, test photos]: by the label of the nearest tied neighbour."""
    tied: np.ndarray
    """bool [views, test photos]: two labels or more had most votes."""
    least: np.ndarray
    """bool [views, test photos]: correct under every tie rule."""
    greatest: np.ndarray
    """bool [views, test photos]: correct under some tie rule."""
    random: np.ndarray
    """float64 [views, test photos]: the probability of a correct vote if a tied label is chosen at random."""
    chance: float
    """Expected accuracy of a random train photo as neighbour, as in ``KnnAnswers``."""
    k: int
    """Number of neighbours that vote."""

    def right(self, rule: TieRule = "nearest") -> np.ndarray:
        """float64 [views, test photos] in [0, 1]: correctness under a tie rule."""
        right = {"nearest": self.correct, "random": self.random, "least": self.least, "greatest": self.greatest}[rule]
        return right.astype(np.float64)


def knn_of_views(
    train: Embeddings,
    views: Sequence[Embeddings],
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    k: int = 10,
    device: str | torch.device = "cpu",
    memory_bytes: int | None = None,
    keep: Path | None = None,
    part: tuple[int, int] | None = None,
) -> ViewAnswers:
    """Plain kNN of each view of the test photos in one collection; neighbours, votes and ties as in ``knn_setups``.

    Args:
        train: [train photos, dimension], the collection.
        views: V embeddings [test photos, dimension] of the same photos in the same order.
        train_labels: int [train photos].
        test_labels: int [test photos].
        k, device, memory_bytes, keep: as in ``knn_setups``.
        part: (number, of): this part alone of the views' photos, one view after the other; other answers are false.

    Returns:
        Whether each view of each test photo is classified correctly.

    Raises:
        DataError, UsageError: as ``knn_setups``.

    >>> rows = np.eye(2)
    >>> knn_of_views(rows, [rows, rows[::-1]], np.array([0, 1]), np.array([0, 1]), k=1).correct.tolist()
    [[True, True], [False, False]]
    """
    count = len(views)
    if not count:
        raise DataError("kNN of views needs one view at least")
    stacked = _Stacked(views)
    labels = np.asarray(test_labels)
    answers = knn_setups(
        [train],
        [stacked],
        train_labels,
        np.tile(labels, count),
        train_assignments=np.zeros((1, train.shape[0]), np.int64),
        test_assignments=np.zeros((1, stacked.shape[0]), np.int64),
        k=k,
        device=device,
        memory_bytes=memory_bytes,
        keep=keep,
        only=part and part_of(stacked.shape[0], *part),
    )
    results = {
        name: getattr(answers, name)[Setup.ALL_SAME].reshape(count, len(labels))
        for name in ("correct", "tied", "least", "greatest", "random")
    }
    flags = {name: values.astype(bool) for name, values in results.items() if name != "random"}
    return ViewAnswers(**flags, random=results["random"], chance=answers.chance, k=answers.k)


class Nearest(NamedTuple):
    """The nearest train photos of some queries, nearest first."""

    indices: np.ndarray
    """int64 [queries, k]; -1 where there are fewer train photos."""
    similarities: np.ndarray
    """float32 [queries, k], cosines; ``-inf`` for no neighbour."""


def nearest(train: Embeddings, queries: np.ndarray, k: int, *, device: str | torch.device = "cpu") -> Nearest:
    """The k nearest rows of a collection, ordered by (cosine falling, index rising) as in kNN.

    Args:
        train: [train photos, dimension].
        queries: [queries, dimension].
        k: neighbours of each.
        device: where similarities are computed.

    Raises:
        DataError: a value is not finite.

    >>> neighbours = nearest(np.array([[1, 0], [3, 4], [0, 1]]), np.array([[2, 0]]), 2)
    >>> neighbours.indices.tolist(), [round(float(s), 6) for s in neighbours.similarities[0]]
    ([[0, 1]], [1.0, 0.6])
    """
    resolved_device = exact_device(device)
    n_train, dimension = train.shape
    columns = min(_COLUMNS, budget(resolved_device) // 8 // (4 * dimension + 4 * _ROWS)) // GROUP * GROUP or GROUP
    block = torch.empty((columns, dimension), dtype=torch.float32, device=resolved_device)
    parts = []
    for first in range(0, len(queries), _ROWS):
        block_queries = np.asarray(queries[first : first + _ROWS], np.float32)
        with torch.inference_mode(), float32_rounding():
            unit_queries = torch.empty((len(block_queries), dimension), dtype=torch.float32, device=resolved_device)
            read_unit_rows(block_queries, 0, len(block_queries), unit_queries, what="queries")
            neighbours = torch.full((len(block_queries), k), NOTHING, dtype=torch.int64, device=resolved_device)
            for start in range(0, n_train, columns):
                stop = min(start + columns, n_train)
                read_unit_rows(train, start, stop, block, what="train photos")
                candidates = top_keys((unit_queries @ block[: stop - start].T).contiguous(), k)
                neighbours = merge(neighbours, shift_indices(candidates, start))
        parts.append((unpack_indices(neighbours).cpu().numpy(), unpack_similarities(neighbours).cpu().numpy()))
    if not parts:
        return Nearest(np.zeros((0, k), np.int64), np.zeros((0, k), np.float32))
    return Nearest(*(np.concatenate(side) for side in zip(*parts, strict=True)))


def cosine_distances(first: Embeddings, second: Embeddings) -> np.ndarray:
    """Cosine distance of each row of ``first`` to the same row of ``second``: float64 [photos] in [0, 2].

    A zero vector has distance 1 to everything.

    Raises:
        DataError: a value is not finite.

    >>> cosine_distances(np.array([[1, 0], [2, 0]]), np.array([[0, 3], [1, 0]])).tolist()
    [1.0, 0.0]
    """
    n, dimension = first.shape
    distances = np.empty(n)
    for start in range(0, n, _ROWS):
        stop = min(start + _ROWS, n)
        rows = [
            read_unit_rows(embeddings, start, stop, torch.empty((stop - start, dimension)), what="photos").double()
            for embeddings in (first, second)
        ]
        distances[start:stop] = 1 - (rows[0] * rows[1]).sum(dim=1).numpy()
    return np.where(np.abs(distances) < ROUNDING, 0.0, np.clip(distances, 0, 2))


class _Stacked:
    """Views concatenated as one bank that reads slices."""

    def __init__(self, views: Sequence[Embeddings]) -> None:
        self._views = views
        self._photos = views[0].shape[0]
        for i, view in enumerate(views):
            if tuple(view.shape) != tuple(views[0].shape):
                raise DataError(f"kNN: view {i} has shape {tuple(view.shape)}, expected {tuple(views[0].shape)}")

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self._views) * self._photos, self._views[0].shape[1]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        parts = []
        while start < stop:
            view, at = divmod(start, self._photos)
            end = min(self._photos, at + stop - start)
            parts.append(np.asarray(self._views[view][at:end], np.float32))
            start += end - at
        return np.concatenate(parts) if parts else np.zeros((0, self.shape[1]), np.float32)
