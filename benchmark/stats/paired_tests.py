"""Paired differences together with the test that readers know by name: exact McNemar, paired t, cluster-robust t.

A difference counts where both its rule (``benchmark.stats.student``: Student's t, more cautious where differences are
skewed or clusters unequal) and the test agree: the p-value is the greater of both, and the interval reaches zero where
that p-value is not below ``1 - level``. The named test alone is exactly the textbook's, so that it can be compared with
other software:

- **exact McNemar** for scores of 0 and 1 (McNemar, Psychometrika 12, 1947): the doubled tail of a fair coin over the
  items that differ; statsmodels' ``mcnemar(exact=True)``.
- **paired t** for other scores: statsmodels' ``DescrStatsW(differences).ttest_mean()``.
- **cluster-robust t** where items come in clusters (Liang and Zeger, Biometrika 73, 1986): the squared sums of
  residuals by cluster, times G / (G - 1), with G - 1 degrees of freedom; statsmodels' ``OLS(differences, 1)`` with
  ``cov_type="cluster"`` and ``use_t=True``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import stdtr

from benchmark.stats.intervals import Difference, difference_intervals
from benchmark.stats.resampling import LEVEL, checked, cluster_sums
from benchmark.stats.significance import mcnemar
from benchmark.stats.student import p_values, unit_means
from builders.errors import DataError

NamedTest = Literal["exact McNemar", "paired t", "cluster-robust t"]


@dataclass(frozen=True)
class PairedDifference(Difference):
    """A paired difference whose p-value is the greater of its rule's and of a named test's."""

    test: NamedTest
    test_p_value: float
    """P-value of the named test alone."""
    first_higher: int
    """Items on which the first system scores higher."""
    second_higher: int
    """Items on which the second system scores higher."""


def paired_differences(
    apart: Any, *, clusters: Any | None = None, width: float = 1.0, binary: bool = False, level: float = LEVEL
) -> list[PairedDifference]:
    """Means of K rows of paired differences, each with interval, p-value and named test.

    Args:
        apart: [K, n], the score of the first system less that of the second, by item.
        clusters: [n], the cluster of each item, as in ``photo_intervals``.
        width: differences lie between minus and plus this.
        binary: whether all scores are 0 or 1. Without clusters the test is then McNemar's.
        level: coverage of the intervals.

    Raises:
        DataError: as ``photo_intervals``.

    >>> right = np.array([[1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0]], dtype=float)
    >>> (row,) = paired_differences(right[:1] - right[1:], binary=True)
    >>> row.value, row.test, row.test_p_value, row.p_value, row.first_higher
    (0.5, 'exact McNemar', 0.25, 0.25, 3)
    """
    table, ones = checked(apart, None, (-width, width))
    if clusters is not None and np.shape(clusters) != ones.shape:
        raise DataError(f"{ones.size} items but {np.size(clusters)} names of clusters")
    intervals, means = difference_intervals(table, ones, clusters, width, level)
    by_rule = p_values(means)
    units = unit_means(*((table, ones) if clusters is None else cluster_sums(table, ones, clusters)), width)
    student = np.where(units.equal, by_rule, 2 * stdtr(units.degrees, -np.abs(units.value / units.error)))
    test: NamedTest = "cluster-robust t" if clusters is not None else "exact McNemar" if binary else "paired t"
    rows = []
    for row, interval, rule, of_t in zip(table, intervals, by_rule, student, strict=True):
        more, less = int((row > 0).sum()), int((row < 0).sum())
        named = mcnemar(more, less) if test == "exact McNemar" else float(of_t)
        p_value = max(float(rule), named)
        low, high = interval.low, interval.high
        if p_value >= 1 - level:
            low, high = min(low, 0.0), max(high, 0.0)
        ends = (interval.value, low, high, p_value, interval.n, interval.standard_error, interval.units)
        rows.append(PairedDifference(*ends, test, named, more, less))
    return rows
