"""Neighbours of the query's own group beyond those that label and chance explain.

A neighbour of label y is expected to be of the query's group g as often as photos of label y are: so a group that only
goes with the label is worth nothing. The exact expectation is that over groups shuffled within labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmark.robustness.cells import Cells
from benchmark.robustness.shuffles import (
    MOST_AGREEMENT,
    SHUFFLE_SEED,
    SHUFFLES,
    agreement_of_shuffles,
    shuffled_groups,
)

SHUFFLED_QUERIES = 2_000
"""Most queries whose neighbours are counted again after each shuffling."""


@dataclass(frozen=True, eq=False)
class SameGroup:
    """Pairs of a query and a neighbour of it, and whether both are of one group."""

    cells: Cells
    first: np.ndarray
    """int64 [pairs], the query, a photo of ``cells``."""
    second: np.ndarray
    """int64 [pairs], its neighbour."""
    same: np.ndarray
    """bool [pairs]: of one group."""
    expected: np.ndarray
    """float64 [pairs]: share of the photos of the neighbour's label that are of the query's group, without the query's
    cluster."""

    @property
    def excess(self) -> np.ndarray:
        """float64 [pairs], whose mean is the share of neighbours of one group beyond label and chance."""
        return self.same - self.expected

    @property
    def deciding(self) -> float:
        """Share of the pairs whose label has photos of the group and of another: the others can show nothing."""
        return float(((self.expected > 0) & (self.expected < 1)).mean()) if len(self.first) else 0.0


def same_group(cells: Cells, first: np.ndarray, second: np.ndarray) -> SameGroup:
    """Compare neighbours with their queries.

    Args:
        cells: labels, groups and clusters of the photos.
        first, second: int64 [pairs], queries and neighbours, of different clusters.

    >>> cells = Cells.of([0, 0, 0, 0], [0, 0, 1, 1], [0, 1, 2, 3])
    >>> pairs = same_group(cells, np.array([0, 2]), np.array([1, 3]))
    >>> pairs.same.tolist(), pairs.expected.round(2).tolist()  # of three others, one is of the group
    ([True, True], [0.33, 0.33])
    """
    expected = _expectation(cells, first, second)(cells.groups[first])
    return SameGroup(cells, first, second, cells.groups[first] == cells.groups[second], expected)


def p_of_shuffles(pairs: SameGroup) -> float | None:
    """P-value of the excess among groups shuffled within labels, one-sided; None where clusters cannot be exchanged.

    Only photos of these pairs exchange groups. Of many queries some, at equal distances, are counted.
    """
    queries = np.unique(pairs.first)
    some = queries[np.unique(np.linspace(0, len(queries) - 1, min(SHUFFLED_QUERIES, len(queries))).astype(np.int64))]
    used = np.isin(pairs.first, some)
    first, second, whole = pairs.first[used], pairs.second[used], pairs.cells
    photos, at = np.unique(np.concatenate([first, second]), return_inverse=True)
    left, right = at.reshape(2, -1)
    codes = np.unique(whole.clusters[photos], return_inverse=True)[1].reshape(-1)
    cells = Cells(whole.labels[photos], whole.groups[photos], codes, whole.n_labels, whole.n_groups)
    every = [np.arange(len(photos))]
    if agreement_of_shuffles(cells, every) > MOST_AGREEMENT:
        return None
    rng = np.random.default_rng(SHUFFLE_SEED)
    observed, expected = float(pairs.excess[used].mean()), _expectation(whole, first, second)
    reached = 0
    for _ in range(SHUFFLES):
        groups = shuffled_groups(cells, every, rng)
        same = groups[left] == groups[right]
        reached += bool((same - expected(groups[left])).mean() >= observed - 1e-12)
    return (1 + reached) / (1 + SHUFFLES)


def _expectation(cells: Cells, first: np.ndarray, second: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """``SameGroup.expected`` as a function of the groups of the queries; their clusters keep together."""
    labels = cells.labels[second]
    by_label = cells.clusters * cells.n_labels + cells.labels
    own = cells.clusters[first] * cells.n_labels + labels
    of_label = np.maximum(cells.sizes.sum(axis=1)[labels] - _counted(by_label, own), 1)
    in_group = _counted(by_label * cells.n_groups + cells.groups, own * cells.n_groups + cells.groups[first])
    return lambda groups: np.clip((cells.sizes[labels, groups] - in_group) / of_label, 0.0, 1.0)


def _counted(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """How often each wanted code is among the codes."""
    values, counts = np.unique(codes, return_counts=True)
    at = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[at] == wanted, counts[at], 0)
