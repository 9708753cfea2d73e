"""Association of two columns: the bias-corrected correlation ratio, and permutation tests.

Cramer's V is ``builders.splits.cramers_v``, because the cards of data sets print it too.
"""

from __future__ import annotations

import math

import numpy as np

from builders.splits import chi_square, without_empty

PERMUTATIONS = 999
"""Default number of random tables or orders for a p-value."""

FEWEST_PERMUTATIONS = 99
"""Least number of random tables or orders, even for the largest tables."""

CELL_BUDGET = 20_000_000
"""Most cells of all random tables for one p-value."""

FEWEST_BEYOND = 10
"""If fewer permutations reach the observed value, the p-value comes from a Pearson III tail with their mean, deviation
and skewness (Winkler et al., "Faster permutation inference in brain imaging", NeuroImage 141, 2016)."""


def table_p_value(counts: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """P-value of Pearson's statistic among random tables with the same margins, as from shuffling one column.

    Args:
        counts: [rows, columns], non-negative integers.
        permutations: number of random tables; fewer for large ones (``CELL_BUDGET``), but at least
            ``FEWEST_PERMUTATIONS``.
        seed: of the tables.

    >>> table_p_value(np.array([[50, 0], [0, 50]])) < 1e-6, table_p_value(np.array([[25, 25], [25, 25]]))
    (True, 1.0)
    """
    from scipy.stats import random_table

    table = without_empty(counts).astype(np.int64)
    if min(table.shape) < 2:
        return 1.0
    draws = max(FEWEST_PERMUTATIONS, min(permutations, CELL_BUDGET // table.size))
    rows, columns = table.sum(1), table.sum(0)
    generator = np.random.default_rng(seed)
    distribution = random_table(rows, columns)
    expected = np.outer(rows, columns) / table.sum()
    statistics = np.empty(draws)
    step = max(1, 2_000_000 // table.size)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        random = distribution.rvs(size=size, random_state=generator)
        statistics[start : start + size] = (np.square(random - expected) / expected).sum(axis=(1, 2))
    return _upper_tail(statistics, chi_square(table))


def correlation_ratio(counts: np.ndarray, sums: np.ndarray, squares: float, *, corrected: bool = True) -> float:
    """The correlation ratio eta of a number by groups, 0 to 1: root of the share of its variance between groups.

    The bias, what random groups give, is subtracted: ``1 - (1 - eta2) (n - 1) / (n - groups)`` (Kelley, "An
    unbiased correlation ratio measure", PNAS 21, 1935); negative values are 0.

    Args:
        counts: [groups], number of values of each group.
        sums: [groups], their sums; subtract a constant near the mean first if numbers are large.
        squares: sum of all squared numbers.
        corrected: subtract the bias; False gives the usual value.

    >>> correlation_ratio(np.array([2, 2]), np.array([0.0, 2.0]), 2.0)
    1.0
    """
    is_used = counts > 0
    n, groups = float(counts.sum()), int(is_used.sum())
    total = squares - float(sums.sum()) ** 2 / n if n else 0.0
    if groups < 2 or n <= groups or total <= 1e-12 * max(squares, 1e-300):
        return 0.0
    between = float((np.square(sums[is_used]) / counts[is_used]).sum()) - float(sums.sum()) ** 2 / n
    eta2 = min(1.0, max(0.0, between / total))
    return math.sqrt(max(0.0, 1 - (1 - eta2) * (n - 1) / (n - groups)) if corrected else eta2)


def ratio_p_value(values: np.ndarray, groups: np.ndarray, *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """P-value of the correlation ratio of ``values`` [n] by ``groups`` [n, codes from 0], by shuffling the groups.

    >>> rng = np.random.default_rng(1)
    >>> ratio_p_value(np.r_[rng.normal(0, 1, 50), rng.normal(2, 1, 50)], np.repeat([0, 1], 50)) < 1e-6
    True
    """
    counts = np.bincount(groups)
    if len(values) < 3 or (counts > 0).sum() < 2 or np.ptp(values) == 0:
        return 1.0
    is_used = counts > 0
    centred = values - values.mean()

    def between(order: np.ndarray) -> float:
        sums = np.bincount(groups, weights=centred[order], minlength=len(counts))
        return float((np.square(sums[is_used]) / counts[is_used]).sum())

    generator = np.random.default_rng(seed)
    draws = max(FEWEST_PERMUTATIONS, min(permutations, CELL_BUDGET // len(values)))
    statistics = np.array([between(generator.permutation(len(values))) for _ in range(draws)])
    return _upper_tail(statistics, between(np.arange(len(values))))


def _upper_tail(draws: np.ndarray, observed: float) -> float:
    """Share of draws that reach the observed value, itself included; from a fitted tail if hardly any does."""
    from scipy.stats import pearson3, skew

    beyond = int((draws >= observed * (1 - 1e-9)).sum())
    share = (beyond + 1) / (len(draws) + 1)
    deviation = float(draws.std())
    if beyond >= FEWEST_BEYOND or deviation == 0:
        return share
    tail = pearson3.sf((observed - draws.mean()) / deviation, max(0.0, float(skew(draws))))
    return float(min(share, max(tail, 1e-300)))
