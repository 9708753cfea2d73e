"""Intervals of statistics without values by photo, such as a recall at a threshold that the same photos set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.stats.intervals import Ends
from benchmark.stats.resampling import LEVEL


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float | None],
    n: int,
    *,
    clusters: np.ndarray | None = None,
    level: float = LEVEL,
    resamples: int = 400,
    seed: int = 0,
) -> Ends | None:
    """Percentile interval of a statistic over photos, or over clusters of them, drawn with replacement.

    Efron, Annals of Statistics 7, 1979. The statistic is computed again for each draw, so it should be fast.

    Args:
        statistic: of the positions of photos, int64 with repeats; None where these photos give none.
        n: number of photos.
        clusters: [n], which photos err together: whole clusters are drawn.
        level: coverage.
        resamples: number of draws.
        seed: of the draws.

    Returns:
        None if most of the draws give no statistic.

    >>> values = np.arange(100.0)
    >>> ends = bootstrap_interval(lambda at: float(np.median(values[at])), 100)
    >>> ends.low < 49.5 < ends.high
    True
    """
    rng = np.random.default_rng(seed)
    code = np.arange(n) if clusters is None else np.unique(clusters, return_inverse=True)[1].reshape(-1)
    order = np.argsort(code, kind="stable")
    sizes = np.bincount(code)
    starts = np.cumsum(sizes) - sizes
    values: list[float] = []
    for _ in range(resamples):
        drawn = rng.integers(0, len(sizes), len(sizes))
        lengths = sizes[drawn]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        value = statistic(order[np.repeat(starts[drawn], lengths) + within])
        if value is not None:
            values.append(value)
    if len(values) < resamples / 2:
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Ends(float(low), float(high))
