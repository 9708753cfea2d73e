"""Where encoders may stand: ranks as intervals, from all paired differences at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmark.stats.multiplicity import holm
from benchmark.stats.pairs import Deviations, pair_p_values, unit_deviations
from benchmark.stats.resampling import LEVEL, checked
from builders.errors import DataError


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where each of E encoders may stand, all statements together true with the given confidence."""

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
    bounded by how many others are significantly better and worse, with all pairs corrected together (Holm). A pair's
    p-value is ``paired_difference``'s (``pair_p_values``).

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
    board = Deviations(table.mean(axis=1), unit_deviations(table, units, count))
    return ranks_of_pairs(board.value, pair_p_values(board, board, bounds[1] - bounds[0]), level=level)


def independent_rank_intervals(
    values: Sequence[float] | np.ndarray, standard_errors: Sequence[float] | np.ndarray, *, level: float = LEVEL
) -> Ranks:
    """Ranks of E encoders of which only values and standard errors are known (published ones), taken as independent.

    On the same photos the answers of two encoders agree more than by chance, so this finds fewer differences than
    ``rank_intervals``. A pair with no standard error at all is tied only if equal.

    Args:
        values: [E], larger is better.
        standard_errors: [E].
        level: confidence that all rank intervals hold together.
    """
    return ranks_of_pairs(values, independent_p_values(values, standard_errors), level=level)


def independent_p_values(
    values: Sequence[float] | np.ndarray, standard_errors: Sequence[float] | np.ndarray
) -> np.ndarray:
    """Two-sided p-values [E, E] of no difference, of values [E] with standard errors [E] that are taken as independent.

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
    """Ranks from p-values of all pairs, wherever each of them is from; Holm's correction over all of them is made here.

    Args:
        values: [E], larger is better.
        p_values: [E, E], two-sided, of which the part above the diagonal is read.
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
