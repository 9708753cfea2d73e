"""Intervals, differences and ranks by resampling photos: all views of a photo stay together, set-ups stay paired.

How photos are weighted, and why so, is in ``benchmark.stats.resampling``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy.special import ndtr

from benchmark.stats.clusters import clustered_interval
from benchmark.stats.resampling import (
    CHUNK_VALUES,
    LEVEL,
    RESAMPLES,
    Interval,
    checked,
    cluster_sums,
    reach,
    resampled_means,
)
from builders.errors import DataError

FEWEST_TAIL_DRAWS = 50
"""A p-value that rests on fewer draws beyond zero comes from the normal tail with the same standard error."""


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


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where each of E encoders may stand, all statements together true with the given confidence."""

    rank: np.ndarray
    """int [E], 1 is best; equal values share the better rank."""
    low: np.ndarray
    """int [E]: one more than the number of encoders that are significantly better."""
    high: np.ndarray
    """int [E]: E less the number of encoders that are significantly worse."""
    tied_with_best: np.ndarray
    """bool [E]: no encoder is significantly better."""
    tie_class: np.ndarray
    """int [E], from 1: going down the board, a class ends where an encoder is significantly worse than its first."""
    p_values: np.ndarray
    """float [E, E], two-sided, after Holm's correction over all pairs; 1 on the diagonal."""


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
    """Intervals of K statistics of the same photos, resampled with the same weights.

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
    if clusters is not None and bounds[0] >= 0:
        sums, rows = cluster_sums(table, counts, clusters)
        return [clustered_interval(row, rows, len(counts), bounds=bounds, level=level) for row in sums]
    draws = resampled_means(table, trials, clusters=clusters, bounds=bounds, resamples=resamples, seed=seed)
    units = table.shape[1] if clusters is None else len(np.unique(np.asarray(clusters)))
    return _intervals(draws, table.sum(axis=1) / counts.sum(), table.shape[1], bounds, level, units)


def paired_difference(
    first: Any,
    second: Any,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """The mean of ``first`` minus the mean of ``second`` on the same photos, with interval and p-value.

    The p-value inverts the interval: twice the share of weightings under which the difference has the other sign.

    Args:
        first, second: [n], one value per photo, in ``bounds``.
        clusters: as in ``photo_intervals``.
        bounds: range of a photo's value; a difference then lies between minus and plus its width.
        level, resamples, seed: as in ``photo_intervals``.

    Raises:
        DataError: as ``photo_intervals``, or the two are not of the same photos.

    >>> same = paired_difference([1, 0, 1, 1] * 10, [1, 0, 1, 1] * 10)
    >>> same.value, same.p_value > 0.9
    (0.0, True)
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise DataError(f"{one.size} and {other.size} photos: a paired difference needs the same ones")
    width = bounds[1] - bounds[0]
    apart = one - other
    table, _ = checked(apart, None, (-width, width))
    drawn = resampled_means(table, clusters=clusters, bounds=(-width, width), resamples=resamples, seed=seed)
    interval = _intervals(drawn, table.mean(axis=1), len(apart), (-width, width), level, len(apart))[0]
    draws = drawn[:, 0]
    beyond = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    if beyond >= FEWEST_TAIL_DRAWS:
        p_value = min(1.0, 2 * beyond / len(draws))
    else:
        p_value = float(2 * ndtr(-abs(draws.mean()) / max(draws.std(), 1e-300)))
    return Difference(interval.value, interval.low, interval.high, p_value, len(apart), interval.standard_error)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """P-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), float64 [m].

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def rank_intervals(
    values: Any, *, clusters: Any | None = None, bounds: tuple[float, float] = (0.0, 1.0), level: float = LEVEL
) -> Ranks:
    """Ranks of E encoders on the same photos, from all paired differences at once.

    Intervals as in Mogstad, Romano, Shaikh and Wilhelm (Review of Economic Studies 91, 2024): an encoder's rank is
    bounded by how many others are significantly better and worse, with all pairs corrected together (Holm). A pair's
    p-value is the normal tail with mean and standard error of ``paired_difference``'s weightings, in closed form.

    Args:
        values: [E, n], one value per encoder and photo, larger is better.
        clusters: as in ``photo_intervals``.
        bounds: range of a photo's value.
        level: confidence that all rank intervals hold together.

    Raises:
        DataError: as ``photo_intervals``.

    >>> rng = np.random.default_rng(0)
    >>> board = rng.random((3, 400)) < np.array([[0.9], [0.9], [0.5]])
    >>> ranks = rank_intervals(board)
    >>> ranks.tied_with_best.tolist(), ranks.low.tolist(), ranks.high.tolist()
    ([True, True, False], [1, 1, 3], [2, 2, 3])
    """
    table, counts = checked(values, None, bounds)
    width = bounds[1] - bounds[0]
    if clusters is not None:  # each cluster's share in the mean, as if it were one photo
        in_clusters, counts = cluster_sums(table, counts, clusters)
        means, unit = table.mean(axis=1, keepdims=True), counts.mean()
        table = means + (in_clusters - means * counts) / unit
        width *= counts.max() / unit
    n = table.shape[1]
    sums = table.sum(axis=1)
    squares = np.zeros((len(table), len(table)))
    largest = np.zeros_like(squares)
    step = max(1, CHUNK_VALUES // len(table))
    for start in range(0, n, step):
        block = table[:, start : start + step]
        for i in range(len(table)):
            apart = np.abs(block - block[i])
            largest[i] = np.maximum(largest[i], apart.max(axis=1))
            squares[i] += np.einsum("en,en->e", apart, apart)
    total = n + 1  # n photos and two half ones
    mean = (sums[:, None] - sums[None]) / total
    # variance of a Dirichlet-weighted mean
    ends = reach(largest, squares / n, width) ** 2
    variance = np.maximum((squares + ends) / total - mean**2, 0) / (total + 1)
    return _ranks(sums / n, mean / np.sqrt(np.maximum(variance, 1e-300)), level)


def independent_rank_intervals(
    values: Sequence[float] | np.ndarray, standard_errors: Sequence[float] | np.ndarray, *, level: float = LEVEL
) -> Ranks:
    """Ranks of E encoders of which only values and standard errors are known (published ones), taken as independent.

    On the same photos the answers of two encoders agree more than by chance, so this finds fewer differences than
    ``rank_intervals``. A pair with no standard error at all is tied only if equal.

    Args:
        values: [E], larger is better.
        standard_errors: [E].
        level: confidence that all rank intervals hold together.
    """
    value = np.asarray(values, dtype=np.float64)
    error = np.asarray(standard_errors, dtype=np.float64)
    apart = value[:, None] - value[None]
    return _ranks(value, apart / np.sqrt(np.maximum(error[:, None] ** 2 + error[None] ** 2, 1e-300)), level)


def standard_error(low: float, high: float, level: float = LEVEL) -> float:
    """The standard error that an interval's width stands for, if nothing else of it was kept."""
    return (high - low) / (2 * NormalDist().inv_cdf(0.5 + level / 2))


def _intervals(
    draws: np.ndarray, means: np.ndarray, n: int, bounds: tuple[float, float], level: float, units: int
) -> list[Interval]:
    tail = (1 - level) / 2
    lows, highs = np.quantile(draws, [tail, 1 - tail], axis=0)
    # at an end of the range the interval reaches it (Brown et al., section 4.1.2); elsewhere it holds the value anyway
    lows = np.where(means <= bounds[0], bounds[0], np.minimum(lows, means))
    highs = np.where(means >= bounds[1], bounds[1], np.maximum(highs, means))
    return [
        Interval(float(mean), float(low), float(high), n, float(error), units)
        for mean, low, high, error in zip(means, lows, highs, draws.std(axis=0), strict=True)
    ]


def _ranks(values: np.ndarray, z: np.ndarray, level: float) -> Ranks:
    count = len(values)
    upper = np.triu_indices(count, 1)
    p_values = np.ones((count, count))
    p_values[upper] = holm(2 * ndtr(-np.abs(z[upper])))
    p_values.T[upper] = p_values[upper]
    better = (p_values < 1 - level) & (values[:, None] > values[None])  # [i, j]: i is significantly better than j
    low, high = 1 + better.sum(axis=0), count - better.sum(axis=1)
    rank = 1 + (values[None] > values[:, None]).sum(axis=1)
    tie_class = np.zeros(count, dtype=np.int64)
    first, current = -1, 0
    for i in np.argsort(-values, kind="stable"):
        if first < 0 or better[first, i]:
            first, current = i, current + 1
        tie_class[i] = current
    return Ranks(rank, low, high, low == 1, tie_class, p_values)
