"""How far a difference may reach in what was seldom seen: ends of intervals over few clusters.

Where two encoders seldom differ, all that differs lies in a few clusters, and a sample that missed one of them has a
difference that is too small with a spread that is too small as well: Student's t then misses the truth beyond the end
that is farther from zero. What such a sample still holds are its photos. A difference is what is gained (first right,
second wrong) less what is lost, two shares with intervals of their own: Korn and Graubard's, Clopper and Pearson's with
the number of independent photos that the spread between clusters stands for (Survey Methodology 24, 1998). Zou and
Donner's way (Statistics in Medicine 27, 2008; MOVER) makes of both an interval of the difference.

Where every photo is a cluster of its own, its spread is known and nothing is lengthened.

Each end is the farther of the two rules', except that an end which excludes zero stays where it is, and one that lies
little beyond zero moves little: p-values, and what is significant, do not change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.stats.clusters import clopper_pearson, shrinking
from benchmark.stats.resampling import cluster_sums
from benchmark.stats.student import Means


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
    """Ends [K] of K differences over clusters, no nearer to the mean than they were.

    Args:
        low, high: [K], from ``student.ends``.
        means: [K], of the clusters.
        values: [K, n], differences by photo, summed over the photo's rows.
        rows: [n], rows of each photo.
        clusters: [n], the cluster of each photo.
        level: coverage.

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
    # Of what never happened nothing is known but that it would come in clusters as the other does.
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
    """Shares [K] and how many independent photos, n at most, would be as sure of each; NaN where a share is 0 or 1."""
    sums, per_cluster = cluster_sums(values, rows, clusters)
    total, groups = rows.sum(), sums.shape[1]
    share = sums.sum(axis=1) / total
    variance = np.square(sums - share[:, None] * per_cluster).sum(axis=1) * groups / max(groups - 1, 1) / total**2
    binomial = share * (1 - share)
    with np.errstate(divide="ignore", invalid="ignore"):
        independent = np.minimum(binomial / variance * shrinking(groups, level), len(rows))
    return share, np.where(binomial > 0, independent, np.nan)
