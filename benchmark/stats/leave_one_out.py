"""Intervals of statistics that are no means over photos, by the jackknife over clusters.

A statistic of neighbours depends on each cluster twice, as queries and as a part of the collection. Resampling the
values of the queries covers only the first. The jackknife computes the statistic again without each cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from benchmark.stats.resampling import LEVEL, Interval
from builders.errors import DataError


@dataclass(frozen=True, eq=False)
class Jackknife:
    """A statistic with its error over clusters."""

    value: float
    error: float
    """Standard error."""
    freedom: int
    """Degrees of freedom of Student's t: clusters minus strata."""
    deviations: np.ndarray
    """float64 [clusters]: influence of each; their sum within a stratum is 0, and they are on the scale of values of
    equally many photos whose mean is the statistic."""

    def interval(self, n: int, bounds: tuple[float, float], level: float = LEVEL) -> Interval:
        """Student's interval, cut to ``bounds``.

        Args:
            n: number of photos, for the record.
            bounds: range of the statistic.
            level: coverage.
        """
        half = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.error
        low, high = max(bounds[0], self.value - half), min(bounds[1], self.value + half)
        return Interval(self.value, low, high, n, self.error, len(self.deviations))

    def p_value(self, chance: float, *, greater: bool = False) -> float:
        """P-value of a statistic that is ``chance`` (two-sided), or not ``greater`` than it."""
        if not self.error:
            return 1.0 if self.value == chance or (greater and self.value < chance) else 0.0
        t = (self.value - chance) / self.error
        return float(stdtr(self.freedom, -t)) if greater else 2 * float(stdtr(self.freedom, -abs(t)))

    def photo_values(self, clusters: np.ndarray) -> np.ndarray:
        """float64 [n]: values by photo whose mean is the statistic, and whose error over clusters is that of it.

        Differences of two statistics on the same photos are then paired by cluster, as those of means are.

        Args:
            clusters: int64 [n], the cluster of each photo, an index of ``deviations``.
        """
        sizes = np.bincount(clusters, minlength=len(self.deviations))
        share = len(clusters) / np.maximum(sizes * len(sizes), 1)
        values: np.ndarray = self.value + (self.deviations * share)[clusters]
        return values


def statistic_interval(values: np.ndarray, clusters: np.ndarray, freedom: int, bounds: tuple[float, float]) -> Interval:
    """The interval of a statistic from its values by photo (``Jackknife.photo_values``).

    Args:
        values: float64 [n].
        clusters: [n].
        freedom: degrees of freedom, ``Jackknife.freedom``.
        bounds: range of the statistic.

    >>> table, clusters = np.array([1.0, 2.0, 3.0, 6.0]), np.arange(4).repeat(2)
    >>> result = jackknife(3.0, (table.sum() - table) / 3)
    >>> again = statistic_interval(result.photo_values(clusters), clusters, result.freedom, (-10.0, 10.0))
    >>> abs(again.high - result.interval(8, (-10.0, 10.0)).high) < 1e-9
    True
    """
    _, code, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    value, count = float(values.mean()), len(sizes)
    deviations = np.bincount(code.reshape(-1), weights=values - value) * count / len(values)
    error = float(np.sqrt(np.square(deviations).sum() / max(count * (count - 1), 1)))
    return Jackknife(value, error, max(freedom, 1), deviations).interval(len(values), bounds)


def jackknife(
    value: float, left_out: np.ndarray, strata: np.ndarray | None = None, two_left_out: np.ndarray | None = None
) -> Jackknife:
    """The error of a statistic from its values without each cluster.

    Clusters are independent, and each stratum has a fixed number of them: the variance is the sum over strata of
    (m - 1) / m times the squared deviations within the stratum of m clusters. A stratum with one cluster adds nothing,
    since nothing is known of its spread. A value that is not finite, because without the cluster there is no statistic,
    counts as the mean.

    The jackknife counts what two clusters do only together twice (Efron and Stein, Annals of Statistics 9, 1981): here,
    that photos of one are neighbours of the other's. ``two_left_out`` tells how much that is, U. The variance V becomes
    V / (1 + U / V), nearly V - U for a small U, and never negative. ``scripts/checks/robustness.py`` measures coverage.

    Args:
        value: statistic of all clusters.
        left_out: float64 [G], the statistic without each cluster.
        strata: int64 [G]; one stratum by default.
        two_left_out: float64 [G, G], the statistic without each pair of clusters.

    Raises:
        DataError: no stratum has two clusters.

    >>> values = np.array([1.0, 2.0, 3.0, 6.0])
    >>> result = jackknife(values.mean(), (values.sum() - values) / 3)
    >>> round(result.error, 3), round(float(values.std(ddof=1)) / 2, 3), result.freedom
    (1.08, 1.08, 3)
    """
    groups = np.zeros(len(left_out), np.int64) if strata is None else np.unique(strata, return_inverse=True)[1]
    known = np.isfinite(left_out)
    counts = np.bincount(groups, weights=known).astype(np.int64)
    means = np.bincount(groups, weights=np.where(known, left_out, 0)) / np.maximum(counts, 1)
    apart = np.where(known, means[groups] - left_out, 0.0)
    freedom = int(np.maximum(counts - 1, 0).sum())
    if freedom < 1:
        raise DataError("no cell has two clusters, so the spread between clusters is unknown")
    scale = ((counts - 1).clip(min=0) / np.maximum(counts, 1))[groups]
    variance = float((np.square(apart) * scale).sum())
    shrunk = 1.0
    if two_left_out is not None and variance:
        together = value - left_out[:, None] - left_out[None] + two_left_out
        shrunk = 1 / (1 + _of_pairs(np.where(np.isfinite(together), together, 0.0), groups) / variance)
    total = len(left_out)
    deviations = apart * np.sqrt(shrunk * scale * total * (total - 1))
    return Jackknife(value, float(np.sqrt(shrunk * variance)), freedom, deviations)


def _of_pairs(together: np.ndarray, strata: np.ndarray) -> float:
    """Sum over pairs of the squared interactions [G, G], without the means of rows and columns of two strata."""
    members = [np.flatnonzero(strata == stratum) for stratum in range(int(strata.max()) + 1)]
    total = 0.0
    for i, first in enumerate(members):
        for second in members[i:]:
            part = together[np.ix_(first, second)]
            off = np.ones(part.shape, bool) if second is not first else ~np.eye(len(first), dtype=bool)
            if off.sum() < 2 or min(part.shape) < 3:
                continue
            mean = part[off].mean()
            rows = np.where(off, part - mean, 0).sum(axis=1) / (off.sum(axis=1) - (second is first))
            columns = np.where(off, part - mean, 0).sum(axis=0) / (off.sum(axis=0) - (second is first))
            rest = np.where(off, part - mean - rows[:, None] - columns, 0)
            total += float(np.square(rest).sum()) / (2 if second is first else 1)
    return total
