"""All pairs of many statistics of the same units at once: p-values of ``paired_difference`` from matrix products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.stats.resampling import CHUNK_VALUES
from benchmark.stats.student import Means, p_values

CANCELLED = 1e-4
"""Mean square of a pair's difference, as a share of both squares, below which the products have lost too many digits of
it (about twelve of sixteen remain above, for the third moment too): such a pair is computed by itself."""


@dataclass(frozen=True, eq=False)
class Deviations:
    """E statistics of the same G units (photos; clusters where photos of one err together)."""

    value: np.ndarray
    """float64 [E]."""
    apart: np.ndarray
    """float64 [E, G]: how far each unit is from the statistic, times its weight; rows have mean 0."""

    def __getitem__(self, rows: slice | np.ndarray) -> Deviations:
        return Deviations(self.value[rows], self.apart[rows])


def unit_deviations(values: np.ndarray, units: np.ndarray | None = None, count: int = 0) -> np.ndarray:
    """What each unit adds to the means of K values by photo, less its share of the mean: float64 [K, G].

    A unit's deviation counts as if all units had equally many photos, as in ``unit_means``. The deviations of a
    weighted sum of means, also of means of different photos of the same units, are the weighted sums of theirs.

    Args:
        values: [K, n], one value per photo.
        units: int [n], the unit of each photo, 0 to G - 1; every photo is a unit by default.
        count: G; units without a photo have deviation 0.

    >>> unit_deviations(np.array([[1.0, 2.0, 3.0, 6.0]])).tolist()
    [[-2.0, -1.0, 0.0, 3.0]]
    >>> unit_deviations(np.array([[1.0, 2.0, 3.0, 6.0]]), np.array([0, 0, 0, 1]), 2).tolist()  # -3 and 3, of 2 each
    [[-1.5, 1.5]]
    """
    apart = np.asarray(values, dtype=np.float64)
    apart = apart - apart.mean(axis=1, keepdims=True)
    if units is None:
        return apart
    scale = count / len(units)
    return np.stack([scale * np.bincount(units, weights=row, minlength=count) for row in apart])


def pair_p_values(first: Deviations, second: Deviations, width: float) -> np.ndarray:
    """Two-sided p-values [E, F] of no difference, for every pair of one of ``first`` and one of ``second``.

    Those of ``paired_difference``: the second and third moments of a difference follow from products of the rows, so
    that 200 x 200 pairs of 50,000 photos take two matrix products of that size.

    Args:
        first, second: statistics of the same units; one object twice for all pairs of its own.
        width: what a difference may be at most.

    >>> right = np.array([[1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0]], dtype=float)
    >>> board = Deviations(right.mean(axis=1), unit_deviations(right))
    >>> pair_p_values(board, board, 1.0).round(4).tolist()  # paired_difference(*right).p_value off the diagonal
    [[1.0, 0.0756], [0.0756, 1.0]]
    """
    a, b = first.apart, second.apart
    own, units = b is a, a.shape[1]
    a2, a3, b2, b3 = (np.zeros(len(rows)) for rows in (a, a, b, b))
    ab, a2b, ab2 = (np.zeros((len(a), len(b))) for _ in range(3))
    step = max(1, CHUNK_VALUES // max(len(a), len(b), 1))
    for start in range(0, units, step):
        x = a[:, start : start + step]
        y = x if own else b[:, start : start + step]
        xx = np.square(x)
        yy = xx if own else np.square(y)
        ab += x @ y.T
        a2b += xx @ y.T
        ab2 += 0 if own else x @ yy.T
        for squares, cubes, part, power in ((a2, a3, x, xx), (b2, b3, y, yy)):
            squares += power.sum(axis=1)
            cubes += np.einsum("eu,eu->e", power, part)
    if own:
        ab2 = a2b.T
    both = a2[:, None] + b2
    square = np.maximum(both - 2 * ab, 0) / units
    cube = (a3[:, None] - 3 * a2b + 3 * ab2 - b3) / units
    for i, j in np.argwhere(square * units <= CANCELLED * both):
        apart = a[i] - b[j]
        squared = np.square(apart)
        square[i, j], cube[i, j] = squared.mean(), (squared * apart).mean()
    return p_values(Means(first.value[:, None] - second.value, square, cube, units, width))
