"""Intervals of means over photos: all views of a photo stay together, and photos of one cluster too.

Shares resample photos (``benchmark.stats.resampling``) or have a closed form for clusters (``clusters``); values that
may be negative, such as differences, follow Student's t (``student``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from benchmark.stats.resampling import (
    LEVEL,
    RESAMPLES,
    Interval,
    checked,
    cluster_sums,
    clustered_interval,
    resampled_means,
)
from benchmark.stats.student import Means, ends, lengthened, p_values, unit_means
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
    """The mean of a per-photo value with its interval. Arguments and errors as in ``photo_intervals``.

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
    """Intervals of K statistics of the same photos; where photos are resampled, with the same weights.

    Args:
        values: [K, n], for each photo the mean over its views (and fits) of what is averaged; with ``trials``, the sum.
        trials: [n], rows per photo, where photos have different numbers of them: the statistic is then the sum of
            ``values`` over the sum of ``trials``.
        clusters: [n], the name of what each photo belongs to (its scene, its owner), where photos of one cluster err
            together: clusters are then resampled, not photos.
        bounds: the least and the greatest value that one row can have: (0, 1) for shares; a negative first one
            says that the values are differences, (-1, 1) those of shares.
        level: coverage.
        resamples: number of weightings.
        seed: of the weights.

    Raises:
        DataError: no photo, a value that is not finite, or a value outside ``bounds``.
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
    """Intervals of K differences, and what they follow from.

    The standard error is that of the mean; where all units are equal, what the interval's width stands for.

    Args:
        table, counts: as ``checked`` gives them.
        clusters, level: as in ``photo_intervals``.
        width: a value lies between minus and plus this.
    """
    sums, rows = (table, counts) if clusters is None else cluster_sums(table, counts, clusters)
    means = unit_means(sums, rows, width)
    lows, highs = ends(means, level)
    if clusters is not None:
        lows, highs = lengthened(lows, highs, means, values=table, rows=counts, clusters=clusters, level=level)
    errors = np.where(means.equal, standard_error(lows, highs, level), means.error)
    found = [
        Interval(float(value), float(low), float(high), len(counts), float(error), means.units)
        for value, low, high, error in zip(means.value, lows, highs, errors, strict=True)
    ]
    return found, means


def standard_error(low: Any, high: Any, level: float = LEVEL) -> Any:
    """The standard error that an interval's width stands for, if nothing else of it was kept; numbers or arrays."""
    return (high - low) / (2 * NormalDist().inv_cdf(0.5 + level / 2))


def _intervals(
    draws: np.ndarray, means: np.ndarray, n: int, bounds: tuple[float, float], level: float
) -> list[Interval]:
    tail = (1 - level) / 2
    lows, highs = np.quantile(draws, [tail, 1 - tail], axis=0)
    # at an end of the range the interval reaches it (Brown et al., section 4.1.2); elsewhere it holds the value anyway
    lows = np.where(means <= bounds[0], bounds[0], np.minimum(lows, means))
    highs = np.where(means >= bounds[1], bounds[1], np.maximum(highs, means))
    return [
        Interval(float(mean), float(low), float(high), n, float(error), n)
        for mean, low, high, error in zip(means, lows, highs, draws.std(axis=0), strict=True)
    ]


@dataclass(frozen=True)
class Difference:
    """First minus second, on the same photos."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, of no difference."""
    n: int
    """Photos."""
    standard_error: float
    units: int
    """What stands alone: photos, or clusters of photos that err together."""


def paired_difference(
    first: Any,
    second: Any,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
) -> Difference:
    """The mean of ``first`` minus the mean of ``second`` on the same photos, with interval and p-value.

    Student's t over the differences of photos (of clusters, where these are given), corrected where the differences
    lean to one side: ``benchmark.stats.student``. Interval and p-value agree: zero lies outside exactly where the
    p-value is below ``1 - level``.

    Args:
        first, second: [n], one value per photo, in ``bounds``.
        clusters: [n], as in ``photo_intervals``.
        bounds: range of a photo's value; a difference then lies between minus and plus its width.
        level: coverage.

    Raises:
        DataError: as ``photo_intervals``, or the two are not of the same photos.

    >>> found = paired_difference([1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0])
    >>> found.value, round(found.p_value, 4)  # scipy.stats.ttest_rel
    (0.5, 0.0756)
    >>> same = paired_difference([1, 0, 1, 1] * 10, [1, 0, 1, 1] * 10)
    >>> same.value, same.p_value, round(same.high, 3)
    (0.0, 1.0, 0.088)
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise DataError(f"{one.size} and {other.size} photos: a paired difference needs the same ones")
    width = bounds[1] - bounds[0]
    (found,), means = difference_intervals(*checked(one - other, None, (-width, width)), clusters, width, level)
    p_value = float(p_values(means)[0])
    return Difference(found.value, found.low, found.high, p_value, found.n, found.standard_error, found.units)


class Ends(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


def wilson_interval(share: float, n: int, *, level: float = LEVEL) -> Ends:
    """Wilson's score interval around a share of n (Journal of the American Statistical Association 22, 1927).

    It holds ``share`` itself, also where rounding would push it out.

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

    It takes the two as independent. Shares of the same photos rise together, so theirs is narrower.

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
