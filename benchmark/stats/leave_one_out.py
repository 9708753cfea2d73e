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

STEADY = 1e-12
"""Standard error below which all clusters count as equal, and a distance below which they are at chance."""

LEAST_SHARE = 0.5
"""Least share of the jackknife's variance that is left without the effects of pairs."""


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
        if self.error < STEADY:  # equal clusters say nothing of their spread: the rule of three
            half = (1 - (0.5 - level / 2) ** (1 / len(self.deviations))) * (bounds[1] - bounds[0]) / 2
        low, high = max(bounds[0], self.value - half), min(bounds[1], self.value + half)
        return Interval(self.value, low, high, n, self.error, len(self.deviations))

    def p_value(self, chance: float, *, greater: bool = False) -> float:
        """P-value of a statistic that is ``chance`` (two-sided), or not ``greater`` than it."""
        if self.error < STEADY:  # the sign test
            tail = 1.0 if greater and self.value < chance else 0.5 ** len(self.deviations)
            return 1.0 if abs(self.value - chance) < STEADY else tail if greater else min(1.0, 2 * tail)
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
    return statistic_of(values, clusters, freedom).interval(len(values), bounds)


def statistic_of(values: np.ndarray, clusters: np.ndarray, freedom: int) -> Jackknife:
    """A statistic with its error, from its values by photo; also the difference of two on the same photos.

    Args:
        values, clusters, freedom: as in ``statistic_interval``.
    """
    _, code, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    value, count = float(values.mean()), len(sizes)
    deviations = np.bincount(code.reshape(-1), weights=values - value) * count / len(values)
    error = float(np.sqrt(np.square(deviations).sum() / max(count * (count - 1), 1)))
    return Jackknife(value, error, max(freedom, 1), deviations)


def jackknife(
    value: float, left_out: np.ndarray, strata: np.ndarray | None = None, two_left_out: np.ndarray | None = None
) -> Jackknife:
    """The error of a statistic from its values without each cluster.

    Clusters are independent, and each stratum has a fixed number of them. A statistic without one of N clusters is that
    of N - 1, with no more weight for those left in its stratum. So with m clusters in a stratum the variance is the sum
    over strata of m / (m - 1) times the squared deviations within it, times ((N - 1) / N)^2; for one stratum this is
    the usual (N - 1) / N. A stratum with one cluster adds nothing, since nothing is known of its spread. A value that
    is not finite, because without the cluster there is no statistic, counts as the mean.

    The jackknife counts what two clusters do only together twice (Efron and Stein, Annals of Statistics 9, 1981): here,
    that photos of one are neighbours of the other's. ``two_left_out`` tells how much that is, U. The variance V becomes
    V - U, but not less than V / 2, which is what remains where clusters do all they do in pairs.
    ``scripts/checks/robustness.py`` measures coverage.

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
    of_strata = np.where(counts > 1, counts / np.maximum(counts - 1, 1), 0.0)
    scale = (of_strata * (1 - 1 / int(known.sum())) ** 2)[groups]
    variance = float((np.square(apart) * scale).sum())
    shrunk = 1.0
    if two_left_out is not None and variance:
        together = value - left_out[:, None] - left_out[None] + two_left_out
        of_pairs = _of_pairs(np.where(np.isfinite(together), together, 0.0), groups)
        shrunk = max(1 - of_pairs / variance, LEAST_SHARE)
    total = len(left_out)
    deviations = apart * np.sqrt(shrunk * scale * total * (total - 1))
    return Jackknife(value, float(np.sqrt(shrunk * variance)), freedom, deviations)


def _of_pairs(together: np.ndarray, strata: np.ndarray) -> float:
    """Sum over pairs of the squared interactions [G, G], without the means of rows and columns of two strata.

    What the means take away is given back by degrees of freedom. Pairs of which none are left add nothing.
    """
    members = [np.flatnonzero(strata == stratum) for stratum in range(int(strata.max()) + 1)]
    total = 0.0
    for i, first in enumerate(members):
        for second in members[i:]:
            part = together[np.ix_(first, second)]
            if second is first:
                total += _within(part)
            elif min(part.shape) > 1:
                rest = part - part.mean(axis=1, keepdims=True) - part.mean(axis=0) + part.mean()
                freedom = (len(first) - 1) * (len(second) - 1)
                total += float(np.square(rest).sum()) * part.size / freedom
    return total


def _within(part: np.ndarray) -> float:
    """Sum over the pairs of one stratum, from a symmetric [m, m] whose diagonal has no meaning; 0 for m below 4."""
    count = len(part)
    pairs = count * (count - 1) / 2
    if pairs <= count:
        return 0.0
    off = ~np.eye(count, dtype=bool)
    centred = np.where(off, part - part[off].mean(), 0.0)
    of_rows = centred.sum(axis=1) / (count - 2)  # least squares of one effect for each cluster
    rest = np.where(off, centred - of_rows[:, None] - of_rows, 0.0)
    return float(np.square(rest).sum()) / 2 * pairs / (pairs - count)
