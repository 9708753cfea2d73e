"""Ranks of encoders as intervals, from all paired differences at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmark.stats.clusters import photo_weights, scaled_deviations
from benchmark.stats.resampling import CHUNK_VALUES, LEVEL, checked
from benchmark.stats.significance import holm
from benchmark.stats.student import Means, p_values
from builders.errors import DataError

CANCELLED = 1e-4
"""Mean square of a pair's difference, as a share of both squares, below which products lose too many of its digits:
such a pair is computed by itself. Above, about twelve of sixteen digits remain, for the third moment too."""


@dataclass(frozen=True, eq=False)
class Deviations:
    """E statistics of the same G units (photos, or clusters of photos that err together)."""

    value: np.ndarray
    """float64 [E]: means over photos."""
    apart: np.ndarray
    """float64 [E, G]: deviation of each unit from the statistic, times its weight; rows have mean 0 if units
    are equally large."""
    freedom: float = 0.0
    """Degrees of freedom of Student's t; 0 for one less than the units."""

    def __getitem__(self, rows: slice | np.ndarray) -> Deviations:
        return Deviations(self.value[rows], self.apart[rows], self.freedom)


def unit_deviations(values: np.ndarray, units: np.ndarray | None = None, count: int = 0) -> Deviations:
    """Means of K values by photo, and the contribution of each unit to them.

    A unit's deviation counts as if all units had equally many photos, as in ``cluster_means``. The deviations of a
    weighted sum of means, also of means of different photos of the same units, are the weighted sums of theirs.

    Args:
        values: [K, n], one value per photo.
        units: int [n], the unit of each photo, 0 to G - 1; by default each photo is a unit.
        count: G; units without a photo have deviation 0.

    >>> unit_deviations(np.array([[1.0, 2.0, 3.0, 6.0]])).apart.tolist()
    [[-2.0, -1.0, 0.0, 3.0]]
    >>> pairs = unit_deviations(np.array([[1.0, 2.0, 3.0, 6.0]]), np.array([0, 0, 1, 1]), 2)
    >>> pairs.value.tolist(), pairs.apart.tolist()
    ([3.0], [[-1.5, 1.5]])
    """
    table = np.asarray(values, dtype=np.float64)
    value = table.mean(axis=1)
    if units is None:
        return Deviations(value, table - value[:, None])
    sizes = np.bincount(units, minlength=count).astype(np.float64)
    weights = photo_weights(sizes)
    if weights.equal:
        scale, apart = count / len(units), table - value[:, None]
        return Deviations(value, np.stack([scale * np.bincount(units, weights=row, minlength=count) for row in apart]))
    sums = np.stack([np.bincount(units, weights=row, minlength=count) for row in table])
    return Deviations(value, scaled_deviations(sums, sizes, weights), weights.freedom)


def pair_p_values(first: Deviations, second: Deviations, width: float) -> np.ndarray:
    """Two-sided p-values [E, F] of no difference, for every pair of one of ``first`` and one of ``second``.

    As in ``paired_difference``: the second and third moments of a difference follow from products of the rows, so
    that 200 x 200 pairs of 50,000 photos take two matrix products of that size.

    Args:
        first, second: statistics of the same units; the same object twice for all its pairs.
        width: differences lie between minus and plus this.

    >>> right = np.array([[1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0]], dtype=float)
    >>> board = unit_deviations(right)
    >>> pair_p_values(board, board, 1.0).round(4).tolist()  # paired_difference(*right).p_value off the diagonal
    [[1.0, 0.0756], [0.0756, 1.0]]
    """
    a, b = first.apart, second.apart
    is_same, units = b is a, a.shape[1]
    a2, a3, b2, b3 = (np.zeros(len(rows)) for rows in (a, a, b, b))
    ab, a2b, ab2 = (np.zeros((len(a), len(b))) for _ in range(3))
    step = max(1, CHUNK_VALUES // max(len(a), len(b), 1))
    for start in range(0, units, step):
        x = a[:, start : start + step]
        y = x if is_same else b[:, start : start + step]
        xx = np.square(x)
        yy = xx if is_same else np.square(y)
        ab += x @ y.T
        a2b += xx @ y.T
        ab2 += 0 if is_same else x @ yy.T
        for squares, cubes, part, power in ((a2, a3, x, xx), (b2, b3, y, yy)):
            squares += power.sum(axis=1)
            cubes += np.einsum("eu,eu->e", power, part)
    if is_same:
        ab2 = a2b.T
    both = a2[:, None] + b2
    square = np.maximum(both - 2 * ab, 0) / units
    cube = (a3[:, None] - 3 * a2b + 3 * ab2 - b3) / units
    for i, j in np.argwhere(square * units <= CANCELLED * both):
        row = a[i] - b[j]
        squared = np.square(row)
        square[i, j], cube[i, j] = squared.mean(), (squared * row).mean()
    return p_values(Means(first.value[:, None] - second.value, square, cube, units, width, first.freedom))


@dataclass(frozen=True, eq=False)
class Ranks:
    """Rank intervals of E encoders, which all hold together with the given confidence."""

    rank: np.ndarray
    """int [E], 1 is best; equal values share the better rank."""
    low: np.ndarray
    """int [E]: one more than the number of encoders that are significantly better."""
    high: np.ndarray
    """int [E]: E less the number of encoders that are significantly worse."""
    tied_with_best: np.ndarray
    """bool [E]: no encoder is significantly better."""
    tie_class: np.ndarray
    """int [E], from 1: going down the board, a class ends where an encoder is significantly worse than its first."""
    p_values: np.ndarray
    """float [E, E], two-sided, after Holm's correction over all pairs; 1 on the diagonal."""


def rank_intervals(
    values: Any, *, clusters: Any | None = None, bounds: tuple[float, float] = (0.0, 1.0), level: float = LEVEL
) -> Ranks:
    """Ranks of E encoders on the same photos, from all paired differences at once.

    Intervals as in Mogstad, Romano, Shaikh and Wilhelm (Review of Economic Studies 91, 2024): an encoder's rank is
    bounded by the numbers of others that are significantly better and worse, with all pairs corrected together (Holm).
    P-values of pairs are those of ``paired_difference`` (``pair_p_values``).

    Args:
        values: [E, n], one value per encoder and photo, larger is better.
        clusters: as in ``photo_intervals``.
        bounds: range of a photo's value.
        level: confidence that all rank intervals hold together.

    Raises:
        DataError: as ``photo_intervals``.

    >>> rng = np.random.default_rng(0)
    >>> board = rng.random((3, 400)) < np.array([[0.9], [0.9], [0.5]])
    >>> ranks = rank_intervals(board)
    >>> ranks.tied_with_best.tolist(), ranks.low.tolist(), ranks.high.tolist()
    ([True, True, False], [1, 1, 3], [2, 2, 3])
    """
    table, _ = checked(values, None, bounds)
    units, count = None, 0
    if clusters is not None:
        names, units = np.unique(np.asarray(clusters), return_inverse=True)
        count = len(names)
        if units.shape != table.shape[1:]:
            raise DataError(f"{table.shape[1]} photos but {units.size} names of clusters")
    board = unit_deviations(table, units, count)
    return ranks_of_pairs(board.value, pair_p_values(board, board, bounds[1] - bounds[0]), level=level)


def independent_p_values(
    values: Sequence[float] | np.ndarray, standard_errors: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Two-sided p-values [E, E] of no difference, of values [E] with independent standard errors [E].

    For published values, of which nothing else is known. On the same photos two encoders agree more than by chance, so
    this detects fewer differences than ``pair_p_values``. Values with standard errors of 0 are tied only if equal.

    >>> round(float(independent_p_values([0.7, 0.8], [0.04, 0.03])[0, 1]), 4)  # two standard errors of 0.05 apart
    0.0455
    """
    value = np.asarray(values, dtype=np.float64)
    error = np.asarray(standard_errors, dtype=np.float64)
    apart = value[:, None] - value[None]
    z = apart / np.sqrt(np.maximum(error[:, None] ** 2 + error[None] ** 2, 1e-300))
    p: np.ndarray = 2 * ndtr(-np.abs(z))
    return p


def ranks_of_pairs(
    values: Sequence[float] | np.ndarray, p_values: Sequence[Sequence[float]] | np.ndarray, *, level: float = LEVEL
) -> Ranks:
    """Ranks from uncorrected p-values of all pairs, to which Holm's correction is applied.

    Args:
        values: [E], larger is better.
        p_values: [E, E], two-sided; only the part above the diagonal is used.
        level: confidence that all rank intervals hold together.

    >>> ranks_of_pairs([0.9, 0.8, 0.5], [[1, 0.2, 0.01], [0.2, 1, 0.02], [0.01, 0.02, 1]]).high.tolist()
    [2, 2, 3]
    """
    values, pairs = np.asarray(values, dtype=np.float64), np.asarray(p_values, dtype=np.float64)
    count = len(values)
    upper = np.triu_indices(count, 1)
    corrected = np.ones((count, count))
    corrected[upper] = holm(pairs[upper])
    corrected.T[upper] = corrected[upper]
    better = (corrected < 1 - level) & (values[:, None] > values[None])  # [i, j]: i is significantly better than j
    low, high = 1 + better.sum(axis=0), count - better.sum(axis=1)
    rank = 1 + (values[None] > values[:, None]).sum(axis=1)
    tie_class = np.zeros(count, dtype=np.int64)
    first, current = -1, 0
    for i in np.argsort(-values, kind="stable"):
        if first < 0 or better[first, i]:
            first, current = i, current + 1
        tie_class[i] = current
    return Ranks(rank, low, high, low == 1, tie_class, corrected)
