"""The robustness index: which of two kinds of neighbours prevail, those of another group or those of another label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmark.knn import Box, Setup
from benchmark.robustness.cells import Cells
from benchmark.robustness.neighbours import BOXES_OF, Neighbours
from benchmark.robustness.removals import Sums

DRAWS = 400
"""Random collections of neighbours for each cell in ``simulated_chance``."""


class Statistic(NamedTuple):
    """A statistic of all photos, and its values without blocks of clusters, for ``benchmark.stats.jackknife``."""

    value: float
    left_out: np.ndarray
    """float64 [blocks], without each."""
    two_left_out: np.ndarray | None
    """float64 [blocks, blocks], without each pair; the diagonal has no meaning. None if it is not known."""
    chance: float
    """Its value for embeddings without structure."""

    @classmethod
    def of(cls, sums: Sums, function: Callable[[np.ndarray], np.ndarray], chance: float) -> Statistic:
        """A function of sums [..., columns]."""
        return cls(float(function(sums.whole)), function(sums.without), function(sums.without_two), chance)


@dataclass(frozen=True)
class IndexCurve:
    """The robustness index over k."""

    k: np.ndarray
    """int64 [K], 1, 2, ..."""
    index: np.ndarray
    """float64 [K]; NaN where no neighbour decides."""
    balanced: np.ndarray
    """float64 [K]."""
    decides: np.ndarray
    """float64 [K]: share of neighbours that are SO or OS."""


def robustness_index(neighbours: Neighbours) -> Statistic:
    """RI_k = SO / (SO + OS), neighbours summed over all queries (PathoROB, Nature Communications 2026).

    Its chance is that of neighbours drawn at random from the photos of other clusters: exact for any sizes of cells,
    (C - 1) / (B + C - 2) for B labels and C groups in balance. NaN if no neighbour decides.

    >>> from benchmark.robustness.neighbours import neighbours_of
    >>> cells = Cells.of([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 2, 3])
    >>> rows = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])  # neighbours of the same label, another group
    >>> index = robustness_index(neighbours_of(rows, cells, k=1))
    >>> index.value, index.chance
    (1.0, 0.5)
    """
    return Statistic.of(neighbours.left_out.counts, _index, chance(neighbours))


def balanced_index(neighbours: Neighbours) -> Statistic:
    """The index with each neighbour counted as one over the number of candidates in its box; its chance is one half.

    It compares the rates at which candidates of either box become neighbours, so that it does not depend on the numbers
    of labels, groups and photos.
    """
    return Statistic.of(neighbours.left_out.rates, _index, 0.5)


def group_pull(neighbours: Neighbours) -> Statistic:
    """1 - 2 times the balanced index: 0 if label and group attract alike, 1 if only the group does, -1 the label.

    Its chance is 0.
    """
    return Statistic.of(neighbours.left_out.rates, lambda sums: 1 - 2 * _index(sums), 0.0)


def deciding_share(neighbours: Neighbours) -> Statistic:
    """Share of the k nearest neighbours that are SO or OS: on so many rests the index."""
    candidates = neighbours.cells.candidates[:, neighbours.queries]
    deciding = [Box.SO, Box.OS]
    expected = float((candidates[deciding].sum(axis=0) / np.maximum(candidates.sum(axis=0), 1)).mean())

    return Statistic.of(neighbours.left_out.counts, _deciding, expected)


def older_index(neighbours: Neighbours) -> float:
    """The older form of the index, (SS + SO) / (SS + OS): neighbours of the label over those of the group."""
    same_label, same_group = neighbours.counts[[Box.SS, Box.SO]].sum(), neighbours.counts[[Box.SS, Box.OS]].sum()
    return float(same_label / same_group) if same_group else float("nan")


def setup_accuracy(neighbours: Neighbours, setup: Setup, chance: float) -> Statistic:
    """Accuracy of the k nearest neighbours in a set-up."""
    return Statistic.of(_votes(neighbours), lambda sums: _accuracy(sums, setup), chance)


def spd(neighbours: Neighbours, chance: float) -> Statistic:
    """pos-same minus neg-same."""
    return Statistic.of(
        _votes(neighbours), lambda sums: _accuracy(sums, Setup.POS_SAME) - _accuracy(sums, Setup.NEG_SAME), chance
    )


def spd_beyond_chance(distraction: Statistic, expected: float) -> Statistic:
    """SPD less what it would be if the group had no influence (``shuffled_spd``); the chance of this distance is 0.

    >>> spd_beyond_chance(Statistic(0.3, np.array([0.2, 0.4]), None, -0.1), 0.1).left_out.round(3).tolist()
    [0.1, 0.3]
    """
    two = distraction.two_left_out
    return distraction._replace(
        value=distraction.value - expected,
        left_out=distraction.left_out - expected,
        two_left_out=None if two is None else two - expected,
        chance=0.0,
    )


def _votes(neighbours: Neighbours) -> Sums:
    """Right votes of the set-ups and, last, the number of queries."""
    right, queries = neighbours.left_out.right, neighbours.left_out.queries
    return Sums(*(np.concatenate([r, np.asarray(q)[..., None]], axis=-1) for r, q in zip(right, queries, strict=True)))


def _accuracy(sums: np.ndarray, setup: Setup) -> np.ndarray:
    return np.asarray(sums[..., setup] / np.maximum(sums[..., -1], 1))


def _index(sums: np.ndarray) -> np.ndarray:
    return _share(sums[..., Box.SO], sums[..., Box.OS])


def _deciding(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., [Box.SO, Box.OS]].sum(axis=-1) / np.maximum(sums.sum(axis=-1), 1e-9))


def chance(neighbours: Neighbours) -> float:
    """Index of neighbours drawn at random: expected SO over expected SO and OS, over all queries."""
    candidates = neighbours.cells.candidates[:, neighbours.queries]
    expected = (candidates / np.maximum(candidates.sum(axis=0), 1)).sum(axis=1)
    return float(_share(expected[Box.SO], expected[Box.OS]))


def balanced_chance(labels: int, groups: int) -> float:
    """(C - 1) / (B + C - 2): chance of the index for B labels and C groups of equally many photos.

    >>> [round(balanced_chance(*shape), 3) for shape in ((2, 2), (4, 4), (6, 3), (10, 14))]
    [0.5, 0.5, 0.286, 0.591]
    """
    return (groups - 1) / (labels + groups - 2)


def simulated_chance(cells: Cells, k: int, *, draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Mean and standard deviation of the index where every photo draws its k neighbours at random.

    >>> cells = Cells.of(np.arange(400) % 2, np.arange(400) // 2 % 2, np.arange(400) // 10)
    >>> mean, deviation = simulated_chance(cells, 5, draws=50)
    >>> abs(mean - 0.5) < 0.01, 0 < deviation < 0.02
    (True, True)
    """
    rng = np.random.default_rng(seed)
    kinds, times = np.unique(cells.candidates, axis=1, return_counts=True)
    index = np.empty(draws)
    for draw in range(draws):
        so = os = 0
        for candidates, count in zip(kinds.T, times.tolist(), strict=True):
            drawn = rng.multivariate_hypergeometric(candidates, min(k, int(candidates.sum())), size=count)
            so, os = so + drawn[:, Box.SO].sum(), os + drawn[:, Box.OS].sum()
        index[draw] = _share(float(so), float(os))
    return float(index.mean()), float(index.std(ddof=1))


def setup_chances(neighbours: Neighbours, *, draws: int = DRAWS, seed: int = 0) -> dict[Setup, float]:
    """Accuracy in each set-up of k neighbours drawn at random from it, ties broken at random.

    Exact in expectation for any sizes of cells; simulated for each cell of label and group, own clusters of a typical
    size left out.
    """
    rng = np.random.default_rng(seed)
    cells = neighbours.cells
    same = np.bincount(cells.clusters)[cells.clusters]
    accuracies = dict.fromkeys(Setup, 0.0)
    in_cells = np.bincount(cells.cell[neighbours.queries], minlength=cells.n_cells)
    for cell in np.flatnonzero(in_cells):
        label, group = divmod(int(cell), cells.n_groups)
        sizes = cells.sizes.copy()
        sizes[label, group] = max(0, sizes[label, group] - round(float(same[cells.cell == cell].mean())))
        for setup, allowed in BOXES_OF.items():
            accuracies[setup] += in_cells[cell] * _drawn_accuracy(
                sizes, label, group, allowed, neighbours.k, draws, rng
            )
    result = {setup: float(value / len(neighbours.queries)) for setup, value in accuracies.items()}
    share = (cells.n_groups - 1) / cells.n_groups
    result[Setup.UNIFORM_TEST] = (1 - share) * result[Setup.ALL_SAME] + share * result[Setup.ALL_DIFF]
    return result


def _drawn_accuracy(
    sizes: np.ndarray,
    label: int,
    group: int,
    allowed: tuple[Box, ...],
    k: int,
    draws: int,
    rng: np.random.Generator,
) -> float:
    """Expected share of right votes of random neighbours for queries of one cell."""
    labels, groups = np.indices(sizes.shape)
    boxes = Box.OS * (labels != label) + Box.SO * (groups != group)
    by_label = np.where(np.isin(boxes, allowed), sizes, 0).sum(axis=1)
    if not by_label.sum():
        return 0.0
    votes = rng.multivariate_hypergeometric(by_label, min(k, int(by_label.sum())), size=draws)
    leading = votes == votes.max(axis=1, keepdims=True)
    return float((leading[:, label] / leading.sum(axis=1)).mean())


def index_curve(neighbours: Neighbours) -> IndexCurve:
    """The index, its balanced form and the share of neighbours that decide, for k from 1 on."""
    weights = 1 / np.maximum(neighbours.cells.candidates[:, neighbours.queries], 1)
    sums = {}
    for box in (Box.SO, Box.OS):
        there = neighbours.boxes == box
        sums[box] = (
            there.sum(axis=0).cumsum().astype(float),
            (there * weights[box][:, None]).sum(axis=0).cumsum(),
        )
    all_neighbours = (neighbours.boxes <= Box.OO).sum(axis=0).cumsum()
    (so, so_rate), (os, os_rate) = sums[Box.SO], sums[Box.OS]
    ks = np.arange(1, neighbours.boxes.shape[1] + 1)
    return IndexCurve(ks, _share(so, os), _share(so_rate, os_rate), (so + os) / np.maximum(all_neighbours, 1))


def _share(so: np.ndarray | float, os: np.ndarray | float) -> np.ndarray:
    """so / (so + os); NaN where both are 0."""
    total = np.asarray(so, float) + np.asarray(os, float)
    return np.where(total > 0, so / np.where(total > 0, total, 1), np.nan)
