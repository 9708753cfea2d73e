"""Intervals of means over photos: all views of a photo stay together, and photos of one cluster too.

Shares resample photos (``benchmark.stats.resampling``) or have a closed form for clusters (``clusters``); values that
may be negative, such as differences, follow Student's t (``student``).
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from benchmark.stats.clusters import clustered_interval
from benchmark.stats.discordance import lengthened
from benchmark.stats.resampling import LEVEL, RESAMPLES, Interval, checked, cluster_sums, resampled_means
from benchmark.stats.student import Means, ends, unit_means


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
