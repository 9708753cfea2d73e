"""Where encoders may stand: ranks as intervals, from all paired differences at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmark.stats.multiplicity import holm
from benchmark.stats.resampling import CHUNK_VALUES, LEVEL, checked, cluster_sums
from benchmark.stats.student import Means, p_values


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
    p-value is ``paired_difference``'s.

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
    sums, rows = checked(values, None, bounds)
    if clusters is not None:
        sums, rows = cluster_sums(sums, rows, clusters)
    value = sums.sum(axis=1) / rows.sum()
    apart = (sums - value[:, None] * rows) / rows.mean()
    units = sums.shape[1]
    square = np.zeros((len(sums), len(sums)))
    cube = np.zeros_like(square)
    step = max(1, CHUNK_VALUES // len(sums))
    for start in range(0, units, step):
        block = apart[:, start : start + step]
        for i in range(len(block) - 1):
            pair = block[i] - block[i + 1 :]
            squared = np.square(pair)
            square[i, i + 1 :] += squared.sum(axis=1)
            cube[i, i + 1 :] += np.einsum("en,en->e", squared, pair)
    differences = Means(value[:, None] - value, square / units, cube / units, units, bounds[1] - bounds[0])
    return _ranks(value, p_values(differences), level)


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
    value = np.asarray(values, dtype=np.float64)
    error = np.asarray(standard_errors, dtype=np.float64)
    apart = value[:, None] - value[None]
    z = apart / np.sqrt(np.maximum(error[:, None] ** 2 + error[None] ** 2, 1e-300))
    return _ranks(value, 2 * ndtr(-np.abs(z)), level)


def _ranks(values: np.ndarray, pairs: np.ndarray, level: float) -> Ranks:
    """Ranks from two-sided p-values [E, E] of all pairs, of which the part above the diagonal is read."""
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
