"""The interval of a share whose photos come in clusters (scenes, owners) and err together within them."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

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
    """The interval of a share whose photos come in clusters: Clopper and Pearson's with the effective number of photos.

    The variance between clusters says how many independent photos would be as sure; Student's t stands for the normal
    because that variance comes from few clusters: the way of Korn and Graubard (Survey Methodology 24, 1998).
    Near 100 % few clusters hold all that is wrong, and a sample that missed one of them has a share that is too large
    with a variance that is too small: there Jeffreys' ends, which are nearer, miss the truth 3 to 6 times in a hundred
    oftener. ``scripts/interval_coverage.py`` measures both from 6 clusters on.
    Where no photo is wrong (or none right), nothing is known of how errors go together, and each cluster counts as one.

    Args:
        sums: [G], values summed over the photos of each cluster.
        rows: [G], photos (or rows) of each cluster.
        n: photos; the effective number is never larger.
        bounds: range of a photo's value.
        level: coverage.

    >>> interval = clustered_interval(np.array([9.0, 3.0, 6.0, 6.0]), np.full(4, 10.0), 40)
    >>> interval.value, interval.units, round(interval.low, 2), round(interval.high, 2)
    (0.6, 4, 0.18, 0.93)
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
    low, high = (float(end) for end in clopper_pearson(share, effective, 0.5 - level / 2))
    low = bounds[0] if share == 0 else min(bounds[0] + width * low, mean)
    high = bounds[1] if share == 1 else max(bounds[0] + width * high, mean)
    first, second = effective * share + 0.5, effective * (1 - share) + 0.5  # of Jeffreys' posterior: never 0
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


def clopper_pearson(share: Any, n: Any, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """Clopper and Pearson's ends (Biometrika 26, 1934) of shares of n, which need not be whole numbers.

    Args:
        share: 0..1; a number or an array, as ``n``.
        n: independent photos.
        tail: what lies beyond each end, 0.025 for 95 %.

    >>> low, high = clopper_pearson(0.9, 10, 0.025)
    >>> round(float(low), 3), round(float(high), 4)
    (0.555, 0.9975)
    """
    right, wrong = n * share, n * (1 - share)
    low = np.where(share > 0, betaincinv(np.maximum(right, 1e-12), wrong + 1, tail), 0.0)
    high = np.where(share < 1, betaincinv(right + 1, np.maximum(wrong, 1e-12), 1 - tail), 1.0)
    return low, high
