"""Intervals of means over photos: all views of a photo stay together, and photos of one cluster too.

Intervals of shares come from resampled photos, or from a closed form for clusters (both in ``resampling``). Values that
may be negative, such as differences, follow Student's t (``student``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from benchmark.stats.leave_one_out import statistic_of
from benchmark.stats.resampling import (
    LEVEL,
    RESAMPLES,
    Interval,
    checked,
    cluster_sums,
    clustered_interval,
    resampled_means,
)
from benchmark.stats.student import Means, cluster_means, ends, lengthened, p_values, unit_means
from builders.errors import DataError


def photo_interval(
    values: Any,
    trials: Any | None = None,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean of a per-photo value with its interval. Arguments and errors as in ``photo_intervals``.

    >>> interval = photo_interval([1.0] * 20)
    >>> interval.value, round(interval.low, 1), interval.high
    (1.0, 0.9, 1.0)
    """
    options: dict[str, Any] = {"clusters": clusters, "bounds": bounds, "level": level}
    return photo_intervals([values], trials, resamples=resamples, seed=seed, **options)[0]


def photo_intervals(
    values: Any,
    trials: Any | None = None,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Interval]:
    """Intervals of K statistics of the same photos; if photos are resampled, with the same weights for all.

    Args:
        values: [K, n], for each photo the mean over its views (and fits); with ``trials``, the sum.
        trials: [n], rows per photo, if photos have different numbers of them: the statistic is then the sum of
            ``values`` over the sum of ``trials``.
        clusters: [n], the name of the cluster of each photo (its scene, its owner), if photos of one cluster err
            together: the units are then clusters, not photos.
        bounds: least and greatest value of a row: (0, 1) for shares, (-1, 1) for differences of shares. A negative
            first bound means that the values are differences.
        level: coverage.
        resamples: number of weightings.
        seed: of the weights.

    Returns:
        K intervals.

    Raises:
        DataError: there is no photo, or a value is not finite or outside ``bounds``.
    """
    table, counts = checked(values, trials, bounds)
    n = len(counts)
    if bounds[0] < 0:
        return difference_intervals(table, counts, clusters, max(-bounds[0], bounds[1]), level)[0]
    if clusters is not None:
        sums, rows = cluster_sums(table, counts, clusters)
        return [clustered_interval(row, rows, n, bounds=bounds, level=level) for row in sums]
    draws = resampled_means(table, trials, bounds=bounds, resamples=resamples, seed=seed)
    return _intervals(draws, table.sum(axis=1) / counts.sum(), n, bounds, level)


def difference_intervals(
    table: np.ndarray, counts: np.ndarray, clusters: Any | None, width: float, level: float
) -> tuple[list[Interval], Means]:
    """Intervals of K differences, and the means that they follow from.

    The standard error is that of the mean, or if all units are equal, the one that corresponds to the interval's width.

    Args:
        table, counts: results of ``checked``.
        clusters, level: as in ``photo_intervals``.
        width: values lie between minus and plus this.
    """
    if clusters is None:
        means = unit_means(table, counts, width)
    else:
        means = cluster_means(*cluster_sums(table, counts, clusters), len(counts), width)
    lows, highs = ends(means, level)
    if clusters is not None:
        lows, highs = lengthened(lows, highs, means, values=table, rows=counts, clusters=clusters, level=level)
    errors = np.where(means.equal, standard_error(lows, highs, level), means.error)
    intervals = [
        Interval(float(value), float(low), float(high), len(counts), float(error), means.units)
        for value, low, high, error in zip(means.value, lows, highs, errors, strict=True)
    ]
    return intervals, means


def standard_error(low: Any, high: Any, level: float = LEVEL) -> Any:
    """The standard error that corresponds to the width of an interval; for numbers or arrays."""
    return (high - low) / (2 * NormalDist().inv_cdf(0.5 + level / 2))


def _intervals(
    draws: np.ndarray, means: np.ndarray, n: int, bounds: tuple[float, float], level: float
) -> list[Interval]:
    tail = (1 - level) / 2
    lows, highs = np.quantile(draws, [tail, 1 - tail], axis=0)
    # at an end of the range the interval reaches it (Brown et al., section 4.1.2); elsewhere it contains the value
    lows = np.where(means <= bounds[0], bounds[0], np.minimum(lows, means))
    highs = np.where(means >= bounds[1], bounds[1], np.maximum(highs, means))
    return [
        Interval(float(mean), float(low), float(high), n, float(error), n)
        for mean, low, high, error in zip(means, lows, highs, draws.std(axis=0), strict=True)
    ]


@dataclass(frozen=True)
class Difference:
    """Mean of first minus second on the same photos, with interval and p-value."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided p-value of no difference."""
    n: int
    """Number of photos."""
    standard_error: float
    units: int
    """Number of independent units: photos, or clusters of photos that err together."""


def paired_difference(
    first: Any,
    second: Any,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
    freedom: int | None = None,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Difference:
    """The mean of ``first`` minus the mean of ``second`` on the same photos, with interval and p-value.

    Student's t over the differences of photos (of clusters, where these are given), corrected if the differences
    are skewed: ``benchmark.stats.student``. Interval and p-value agree: zero lies outside exactly if the p-value is
    below ``1 - level``.

    Args:
        first, second: [n], one value per photo, in ``bounds``.
        clusters: [n], as in ``photo_intervals``.
        bounds: range of a photo's value; a difference then lies between minus and plus its width.
        level: coverage.
        freedom: degrees of freedom of two statistics that are no means of photos, whose values by photo are those of
            ``Jackknife.photo_values``; None for means.
        limits: range of such a statistic.

    Raises:
        DataError: as ``photo_intervals``, or the two have different numbers of photos.

    >>> difference = paired_difference([1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0])
    >>> difference.value, round(difference.p_value, 4)  # scipy.stats.ttest_rel
    (0.5, 0.0756)
    >>> same = paired_difference([1, 0, 1, 1] * 10, [1, 0, 1, 1] * 10)
    >>> same.value, same.p_value, round(same.high, 3)
    (0.0, 1.0, 0.088)
    """
    first_values, second_values = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first_values.shape != second_values.shape:
        raise DataError(f"{first_values.size} and {second_values.size} photos: a paired difference needs the same ones")
    if freedom is not None and clusters is not None:
        width = limits[1] - limits[0]
        jackknife = statistic_of(first_values - second_values, np.asarray(clusters), freedom)
        interval = jackknife.interval(len(first_values), (-width, width), level)
        p_value = jackknife.p_value(0.0)
    else:
        width = bounds[1] - bounds[0]
        table, counts = checked(first_values - second_values, None, (-width, width))
        (interval,), means = difference_intervals(table, counts, clusters, width, level)
        p_value = float(p_values(means)[0])
    return Difference(
        interval.value, interval.low, interval.high, p_value, interval.n, interval.standard_error, interval.units
    )


class Ends(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def wilson_interval(share: float, n: int, *, level: float = LEVEL) -> Ends:
    """Wilson's score interval around a share of n (Journal of the American Statistical Association 22, 1927).

    It contains ``share`` itself, even if rounding would exclude it.

    >>> low, high = wilson_interval(0.8, 50)
    >>> round(low, 3), round(high, 3)
    (0.67, 0.888)
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Ends(min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def independent_difference(first: float, first_ends: Ends, second: float, second_ends: Ends) -> Ends:
    """Newcombe's interval of the difference of two shares (Statistics in Medicine 17, 1998, method 10).

    It assumes that the two are independent. Shares of the same photos rise together, so their interval is narrower.

    Args:
        first, second: the shares; the difference is ``first - second``.
        first_ends, second_ends: their intervals, Wilson's for Newcombe's method.

    >>> ends = [wilson_interval(56 / 70, 70), wilson_interval(48 / 80, 80)]
    >>> low, high = independent_difference(56 / 70, ends[0], 48 / 80, ends[1])
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    value = first - second
    low = value - math.hypot(first - first_ends.low, second_ends.high - second)
    high = value + math.hypot(first_ends.high - first, second - second_ends.low)
    return Ends(max(-1.0, low), min(1.0, high))
