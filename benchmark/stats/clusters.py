"""The interval of a share whose photos come in clusters (scenes, owners) and err together within them."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from scipy.special import betaincinv, stdtrit

from benchmark.stats.resampling import LEVEL, Interval


def clustered_interval(
    sums: np.ndarray,
    rows: np.ndarray,
    n: int,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
) -> Interval:
    """The interval of a share whose photos come in clusters: Jeffreys' with the effective number of photos.

    The variance between clusters says how many independent photos would be as sure; Student's t stands for the normal
    because that variance comes from few clusters: the way of Korn and Graubard (Survey Methodology 24, 1998) with
    Jeffreys' interval in the place of Clopper and Pearson's, one of those that Franco et al. compare (Journal of Survey
    Statistics and Methodology 7, 2019). ``scripts/interval_coverage.py`` measures it from 6 clusters on.
    Where no photo is wrong (or none right), nothing is known of how errors go together, and each cluster counts as one.

    Args:
        sums: [G], values summed over the photos of each cluster.
        rows: [G], photos (or rows) of each cluster.
        n: photos; the effective number is never larger.
        bounds: range of a photo's value.
        level: coverage.

    >>> interval = clustered_interval(np.array([9.0, 3.0, 6.0, 6.0]), np.full(4, 10.0), 40)
    >>> interval.value, interval.units, round(interval.low, 2), round(interval.high, 2)
    (0.6, 4, 0.24, 0.89)
    """
    clusters, width = len(sums), bounds[1] - bounds[0]
    mean = float(sums.sum() / rows.sum())
    share = min(max((mean - bounds[0]) / width, 0.0), 1.0)
    effective = float(clusters)
    if clusters > 1 and 0 < share < 1:
        apart = (sums - mean * rows) / rows.mean() / width
        variance = float(np.square(apart).sum() / (clusters * (clusters - 1)))
        shrunk = shrinking(clusters, level)
        effective = min(float(n), share * (1 - share) / variance * shrunk) if variance else float(n)
    first, second = effective * share + 0.5, effective * (1 - share) + 0.5
    ends = betaincinv(first, second, [0.5 - level / 2, 0.5 + level / 2])
    low = bounds[0] if share == 0 else min(float(bounds[0] + width * ends[0]), mean)
    high = bounds[1] if share == 1 else max(float(bounds[0] + width * ends[1]), mean)
    total = first + second
    error = width * math.sqrt(first * second / (total**2 * (total + 1)))
    return Interval(mean, low, high, n, error, clusters)


def shrinking(clusters: int, level: float) -> float:
    """What an effective number of photos shrinks by because its variance comes from few clusters: (z / t)^2.

    >>> round(shrinking(6, 0.95), 2), round(shrinking(100, 0.95), 2)
    (0.58, 0.98)
    """
    tail = 0.5 + level / 2
    return float((NormalDist().inv_cdf(tail) / stdtrit(max(clusters - 1, 1), tail)) ** 2)
