"""Jitter: embeddings as far from those of the unprocessed photos as processed ones are, but in random directions.

The least of 14 accuracies is low whatever the 14 are. The least over 14 jitters of equal size, which hold no trace of
any processing, is what an extreme has to be compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from benchmark.knn.answers import TieRule, flipped_by, worst_of
from benchmark.knn.query_views import knn_of_views
from benchmark.knn.search import Embeddings

DIRECTIONS = 4096
"""Random directions that photos share; no photo has one twice."""


class Extremes(NamedTuple):
    """Values by photo of an adversary who chooses the view of each photo."""

    worst: np.ndarray
    """float64 [photos], as ``KnnAnswers.of_worst``."""
    flipped: np.ndarray
    """float64 [photos], as ``KnnAnswers.flipped``."""


def extremes_of_jitters(
    train: Sequence[Embeddings],
    test: Sequence[Embeddings],
    train_labels: np.ndarray,
    test_labels: np.ndarray,
    *,
    k: int,
    rule: TieRule = "nearest",
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Extremes:
    """The extremes of ``knn_setups`` for an adversary who has jitters instead of processings.

    In each of the C collections the query has its processing, or is moved from there in a random direction, as far as
    one of the C - 1 other processings moves it.

    Args:
        train, test, train_labels, test_labels, k, device: as in ``knn_setups``.
        rule: how tied votes count.
        seed: of the directions.

    >>> rows = [np.eye(4)[:2], np.eye(4)[:2]]  # processing that moves nothing: so does its jitter
    >>> extremes_of_jitters(rows, rows, np.array([0, 1]), np.array([0, 1]), k=1).worst.tolist()
    [1.0, 1.0]
    """
    tables, count = [], len(test) * (len(test) - 1)
    directions = _directions(seed, test[0].shape[0] * count, test[0].shape[1])
    numbers = iter(range(count))
    for c, (collection, still) in enumerate(zip(train, test, strict=True)):
        moving = [view for t, view in enumerate(test) if t != c]
        moved = [Jittered(view, still, directions, next(numbers), count) for view in moving]
        answers = knn_of_views(collection, [*moved, still], train_labels, test_labels, k=k, device=device)
        tables.append(answers.right(rule))
    worst, flipped = (np.mean([of(table) for table in tables], axis=0) for of in (worst_of, flipped_by))
    return Extremes(worst, flipped)


def jittered(views: Sequence[Embeddings], originals: Embeddings, *, seed: int = 0) -> list[Jittered]:
    """For each of V views, jitters of the same photos at the same distances.

    Args:
        views: V embeddings [photos, dimension].
        originals: [photos, dimension], embeddings of the unprocessed photos.
        seed: of the directions.
    """
    directions = _directions(seed, originals.shape[0] * len(views), originals.shape[1])
    return [Jittered(view, originals, directions, at, len(views)) for at, view in enumerate(views)]


def _directions(seed: int, moves: int, dimension: int) -> np.ndarray:
    """float32 [directions, dimension], as many as there are moves, at most ``DIRECTIONS``; fewer are the first ones."""
    shape = (min(DIRECTIONS, moves), dimension)
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


class Jittered:
    """Unit rows at the distance of a view's unit rows from the unit rows of the originals, read one slice at a time.

    Args:
        view, originals: [photos, dimension].
        directions: [at most ``DIRECTIONS``, dimension].
        number, count: of this view among all; views take different directions for one photo.

    >>> originals, view = np.array([[2.0, 0.0, 0.0]]), np.array([[0.0, 3.0, 0.0]])
    >>> row = Jittered(view, originals, np.ones((1, 3), np.float32), 0, 1)[:]
    >>> np.abs(row).astype(float).round(3).tolist()  # orthogonal to the original, as the view is
    [[0.0, 0.707, 0.707]]
    """

    def __init__(
        self, view: Embeddings, originals: Embeddings, directions: np.ndarray, number: int, count: int
    ) -> None:
        self._view, self._originals = view, originals
        self._directions, self._number, self._count = directions, number, count
        self.shape = originals.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        original, processed = (_unit(embeddings[rows]) for embeddings in (self._originals, self._view))
        photos = np.arange(self.shape[0])[rows]
        drawn = self._directions[(photos * self._count + self._number) % len(self._directions)].astype(np.float64)
        sideways = _unit(drawn - (drawn * original).sum(axis=1, keepdims=True) * original)
        chord = np.linalg.norm(processed - original, axis=1, keepdims=True)
        cosine, sine = 1 - chord**2 / 2, chord * np.sqrt(np.maximum(0, 1 - chord**2 / 4))
        return (cosine * original + sine * sideways).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    """float64 rows of length 1; zeros stay zeros."""
    rows = np.asarray(rows, np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
