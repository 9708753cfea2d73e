"""The mean of values that may be negative, such as differences: Student's t over photos, or over clusters of them.

Every p-value and interval of a difference follows from one rule that is continuous in the data:

- The error of the mean comes from the spread between units (photos; clusters where photos of one err together), and
  Student's t replaces the normal, because with few units that spread is itself uncertain.
- If units are skewed (a few photos have the whole difference), the t interval is too short on that side.
  Hall's transformation (Journal of the Royal Statistical Society B 54, 1992; after Johnson, Journal of the American
  Statistical Association 73, 1978) corrects for the third moment. Interval and p-value are the more cautious of both.
  Only skewness beyond its standard error under the normal distribution (Fisher 1930) counts, so that units without
  real skewness have Student's t itself.
- If all units are equal, the spread carries no information. A share of up to ``u = 1 - (alpha / 2)^(1 / G)`` of units
  could then differ without being seen in G (the rule of three: Hanley and Lippman-Hand, Journal of the American Medical
  Association 249, 1983), by as much as ``bounds`` allow. For units that are all 1 the p-value is the sign test's.

``scripts/checks/statistics.py`` measures coverage, power and p-values: docs/explanation/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from benchmark.stats.clusters import photo_weights, scaled_deviations
from benchmark.stats.resampling import clopper_pearson, cluster_sums, shrinking

STEADY = 1e-18
"""Mean squared difference of units, relative to the squared range of a value, up to which they count as equal."""

HALF_SLOPE = (1 - 0.5**0.5) / 2
"""Value of ``-bend t`` at which Hall's cubic has lost half its slope."""

STRAIGHT = 1e-7
"""Bend below which Hall's cubic is a line in float64's precision."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means of values over units, and moments of the units; arrays of one shape (or numbers)."""

    value: np.ndarray
    """Means over photos."""
    square: np.ndarray
    """Mean over units of the squared deviation; a unit's deviation counts as if all units had equally many rows."""
    cube: np.ndarray
    """Mean over units of the cubed deviation."""
    units: int
    """Number of units."""
    width: float
    """Values lie between minus and plus this."""
    freedom: float = 0.0
    """Degrees of freedom of Student's t; 0 for one less than ``units``."""

    @property
    def degrees(self) -> float:
        """Degrees of freedom, at least 1."""
        return max(self.freedom or self.units - 1, 1)

    @property
    def equal(self) -> np.ndarray:
        """bool: all units have the same value, so that the spread between them carries no information."""
        return np.asarray(self.square <= STEADY * self.width**2) | (self.units < 2)

    @property
    def error(self) -> np.ndarray:
        """Standard error of the mean; 1 (not to be used) if units are equal."""
        return np.where(self.equal, 1.0, np.sqrt(self.square / max(self.units - 1, 1)))

    @property
    def bend(self) -> np.ndarray:
        """Hall's coefficient: skewness beyond its standard error, over six times the root of the units."""
        g = self.freedom + 1 if self.freedom else self.units
        skewness = self.cube / np.where(self.equal, 1.0, self.square) ** 1.5
        by_chance = np.sqrt(6 * max(g - 2, 0) / ((g + 1) * (g + 3)))
        beyond = np.sign(skewness) * np.maximum(np.abs(skewness) - by_chance, 0)
        return np.where(self.equal, 0.0, beyond / (6 * np.sqrt(self.units)))


def unit_means(sums: np.ndarray, rows: np.ndarray, width: float) -> Means:
    """Means of K statistics from the sums of each unit.

    Args:
        sums: [K, G], values summed over the rows of each unit.
        rows: [G], rows of each unit. If units have different numbers of them the mean is a linearised ratio. Units
            without rows are ignored.
        width: values lie between minus and plus this.

    >>> means = unit_means(np.array([[1.0, 2.0, 3.0, 6.0]]), np.ones(4), 10.0)
    >>> means.value.tolist(), means.square.tolist(), means.cube.tolist()
    ([3.0], [3.5], [4.5])
    """
    sums, rows = sums[:, rows > 0], rows[rows > 0]
    value = sums.sum(axis=1) / rows.sum()
    apart = (sums - value[:, None] * rows) / rows.mean()
    square = np.square(apart)
    return Means(value, square.mean(axis=1), (square * apart).mean(axis=1), sums.shape[1], width)


def cluster_means(sums: np.ndarray, rows: np.ndarray, n: int, width: float) -> Means:
    """Means of K statistics over clusters, whose sizes may differ (``benchmark.stats.clusters``).

    Args:
        sums: [K, G], values summed over the rows of each cluster.
        rows: [G], rows of each cluster; clusters without rows are ignored.
        n: number of photos.
        width: values lie between minus and plus this.

    >>> sums, rows = np.array([[30.0, 0.0, 2.0]]), np.array([30.0, 3.0, 2.0])
    >>> means = cluster_means(sums, rows, 35, 1.0)
    >>> round(float(means.value[0]), 3), round(means.freedom, 2)
    (0.914, 0.34)
    """
    sums, rows = sums[:, rows > 0], rows[rows > 0]
    weights = photo_weights(rows * (n / rows.sum()))
    if weights.equal:
        return unit_means(sums, rows, width)
    apart = scaled_deviations(sums, rows, weights)
    square = np.square(apart)
    moments = (square.mean(axis=1), (square * apart).mean(axis=1))
    return Means(sums.sum(axis=1) / rows.sum(), *moments, sums.shape[1], width, weights.freedom)


def p_values(means: Means, *, greater: bool = False, far: bool = False) -> np.ndarray:
    """P-values of a mean of zero, of the shape of ``means.value``: two-sided, or of a mean that is not ``greater``.

    Args:
        means: the means and moments of the units.
        greater: one-sided.
        far: the mean may lie far from zero with its units at an end of their range, which skews them whatever the
            difference: the correction for the third moment stops growing where Hall's cubic has lost half its slope.

    >>> units = np.array([[0.1, 0.3, 0.2, 0.2, 0.4]])
    >>> round(float(p_values(unit_means(units, np.ones(5), 1.0))[0]), 4)  # scipy.stats.ttest_1samp
    0.0093
    >>> p_values(unit_means(np.ones((1, 8)), np.ones(8), 1.0)).tolist()  # 2 / 2^8
    [0.0078125]
    """
    size = np.abs(means.value)
    t = size / means.error
    # towards the side of the value, so that a bend away from zero never makes a p-value smaller
    bent = _bent(t, means.bend * np.where(means.value < 0, -1, 1), far)
    spread = stdtr(means.degrees, -np.maximum(np.minimum(t, bent), 0))
    steady = (means.width / (size + means.width)) ** means.units
    one = np.minimum(np.where(means.equal, steady, spread), 0.5)
    return np.where(means.value > 0, one, 1 - one) if greater else 2 * one


def ends(means: Means, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the intervals; zero lies outside exactly if the two-sided p-value is below 1 - level.

    >>> low, high = ends(unit_means(np.array([[0.1, 0.3, 0.2, 0.2, 0.4]]), np.ones(5), 1.0), 0.95)
    >>> round(float(low[0]), 4), round(float(high[0]), 4)  # 0.24 -+ 2.7764 * 0.05099
    (0.0984, 0.3816)
    """
    tail = 0.5 - level / 2
    quantile = stdtrit(means.degrees, 1 - tail)
    below = means.error * np.maximum(quantile, _unbent(quantile, means.bend))
    above = means.error * np.maximum(quantile, -_unbent(-quantile, means.bend))
    unseen = 1 - tail ** (1 / means.units)
    below = np.where(means.equal, unseen * (means.value + means.width), below)
    above = np.where(means.equal, unseen * (means.width - means.value), above)
    return np.maximum(means.value - below, -means.width), np.minimum(means.value + above, means.width)


def _bent(t: np.ndarray, bend: np.ndarray, far: bool = False) -> np.ndarray:
    """Hall's cubic of a studentised mean whose units have skewness ``6 sqrt(G) bend``, nearly symmetric.

    Its slope is ``(1 + 2 bend t)^2``. An expansion around the critical values, it goes flat at ``-1 / (2 bend)``; with
    ``far`` it continues as a line from where its slope is one half.
    """
    steep = np.where(bend < 0, HALF_SLOPE / np.maximum(-bend, STRAIGHT), np.inf)
    near = np.minimum(t, steep) if far else t
    return near + bend + 2 * bend * near**2 + 4 / 3 * bend**2 * near**3 + (t - near)


def _unbent(y: float, bend: np.ndarray) -> np.ndarray:
    """The inverse of ``_bent``."""
    slope = np.where(np.abs(bend) < STRAIGHT, 1.0, 2 * bend)
    return np.where(np.abs(bend) < STRAIGHT, y - bend, (np.cbrt(1 + 3 * slope * (y - bend)) - 1) / slope)


def lengthened(
    low: np.ndarray,
    high: np.ndarray,
    means: Means,
    *,
    values: np.ndarray,
    rows: np.ndarray,
    clusters: Any,
    level: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Lengthen the intervals of K differences over clusters whose gains and losses are rare.

    Args:
        low, high: [K], results of ``ends``.
        means: [K], of the clusters.
        values: [K, n], differences by photo, summed over the photo's rows.
        rows: [n], rows of each photo.
        clusters: [n], the cluster of each photo.
        level: coverage.

    Returns:
        Lower and upper ends [K], no nearer to the mean than ``low`` and ``high``.

    >>> from benchmark.stats.student import ends, unit_means
    >>> values, clusters = np.zeros((1, 120)), np.arange(6).repeat(20)
    >>> values[0, [0, 1, 20, 21, 40, 60]] = 1  # 6 of 120 photos gained, in four scenes of six
    >>> means = unit_means(values.reshape(1, 6, 20).sum(axis=2), np.full(6, 20.0), 1.0)
    >>> low, high = ends(means, 0.95)
    >>> further = lengthened(low, high, means, values=values, rows=np.ones(120), clusters=clusters, level=0.95)
    >>> [round(float(end[0]), 3) for end in (low, high, *further)]
    [0.003, 0.097, 0.003, 0.121]
    """
    if means.units == len(rows):
        return low, high
    sides = [np.maximum(sign * values, 0) / means.width for sign in (1, -1)]
    (gain, independent_gains), (loss, independent_losses) = (_share(side, rows, clusters, level) for side in sides)
    # Nothing is known of an outcome that never happened, except that it would cluster as the other one does.
    gains = np.where(gain > 0, independent_gains, independent_losses)
    losses = np.where(loss > 0, independent_losses, independent_gains)
    tail = 0.5 - level / 2
    with np.errstate(invalid="ignore"):
        gain_low, gain_high = clopper_pearson(gain, gains, tail)
        loss_low, loss_high = clopper_pearson(loss, losses, tail)
        below = means.width * np.hypot(gain - gain_low, loss_high - loss)
        above = means.width * np.hypot(gain_high - gain, loss - loss_low)
    value = means.value
    # The share of either half of the interval that lies beyond zero: 1 on the side away from zero.
    beyond_below = np.clip(-low / np.maximum(value - low, 1e-300), 0, 1)
    beyond_above = np.clip(high / np.maximum(high - value, 1e-300), 0, 1)
    below = np.where(means.equal, 0.0, np.fmax(below - (value - low), 0)) * beyond_below
    above = np.where(means.equal, 0.0, np.fmax(above - (high - value), 0)) * beyond_above
    return np.maximum(low - below, -means.width), np.minimum(high + above, means.width)


def _share(values: np.ndarray, rows: np.ndarray, clusters: Any, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares [K] and their effective numbers of independent photos, at most n; NaN if a share is 0 or 1."""
    means = cluster_means(*cluster_sums(values, rows, clusters), len(rows), 1.0)
    share = means.value
    variance = means.square / max(means.units - 1, 1)
    binomial = share * (1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        independent = np.minimum(binomial / variance * shrinking(means.degrees, level), len(rows))
    return share, np.where(binomial > 0, independent, np.nan)
