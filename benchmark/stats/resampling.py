"""Random weights on photos: the resampling under the interval of a share, and how sure it is of what it did not see.

The resampling is Rubin's Bayesian bootstrap (Annals of Statistics 9, 1981): each photo gets a random weight from a flat
Dirichlet distribution, the smooth sibling of the multinomial weights of drawing photos with replacement. To the n
photos come two imagined half photos, one at each end of the range that a photo's value can have. With right-or-wrong
answers the interval is then exactly Jeffreys' (Brown, Cai and DasGupta, Statistical Science 16, 2001), so that it keeps
its coverage near 0 and 1 and has a width where every answer is right; plain resampling would claim certainty there.

Photos that belong together (27 shots of one scene, the photos of one owner) err together: shares have a closed form of
their own there, ``benchmark.stats.clusters``. Differences follow Student's t, ``benchmark.stats.student``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from builders.errors import DataError

LEVEL = 0.95
"""Coverage of every interval unless another is asked for."""

RESAMPLES = 10_000
CHUNK_VALUES = 8 << 20
"""Random weights held at once (float32: 32 MiB)."""


@dataclass(frozen=True)
class Interval:
    """A mean over photos with what resampling photos says about it."""

    value: float
    low: float
    high: float
    n: int
    """Photos."""
    standard_error: float
    units: int
    """What was resampled: photos, or clusters of them."""


def resampled_means(
    values: Any,
    trials: Any | None = None,
    *,
    bounds: tuple[float, float] | None = (0.0, 1.0),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """The K means under each random weighting of the photos, float64 [resamples, K]: the base of any other statistic.

    Photos with equal values share one Gamma draw, which changes nothing in distribution and makes most answers cheap.

    Args:
        values, trials: as in ``photo_intervals``.
        bounds: the least and the greatest value of a row, or ``None`` for no half photos. (They stand at the same end
            for all K, so a difference of two columns has none.)
        resamples: number of weightings.
        seed: of the weights.
    """
    table, counts = checked(values, trials, bounds)
    centre = table.sum(axis=1) / counts.sum()
    unit = counts.sum() / len(counts)
    patterns, shape = np.unique(np.vstack([table, counts]).T, axis=0, return_counts=True)
    weights = shape.astype(np.float64)
    if bounds is not None:
        ends = np.tile(np.asarray(bounds, dtype=np.float64)[:, None], len(table))
        patterns = np.vstack([patterns, unit * np.hstack([ends, np.ones((2, 1))])])
        weights = np.append(weights, [0.5, 0.5])
    single = weights == 1
    patterns, weights = np.vstack([patterns[single], patterns[~single]]), weights[~single]
    singles = int(single.sum())
    # centred, so that float32 sums lose nothing that matters
    columns = (patterns[:, :-1] - centre * patterns[:, -1:]).astype(np.float32)
    columns = np.hstack([columns, patterns[:, -1:].astype(np.float32)])
    rng = np.random.default_rng(seed)
    step = max(1, CHUNK_VALUES // len(patterns))
    draws = np.empty((resamples, table.shape[0]))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        gamma = np.empty((size, len(patterns)), np.float32)
        gamma[:, :singles] = rng.standard_exponential((size, singles), dtype=np.float32)
        gamma[:, singles:] = rng.standard_gamma(weights, (size, len(weights)))
        sums = (gamma @ columns).astype(np.float64)
        draws[start : start + size] = sums[:, :-1] / sums[:, -1:] + centre
    return draws


def cluster_sums(table: np.ndarray, counts: np.ndarray, clusters: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values [K, n] and rows [n] of photos summed over the photos of each cluster: [K, G] and [G].

    Raises:
        DataError: another number of photos than of cluster names.

    >>> sums, rows = cluster_sums(np.array([[1.0, 0.0, 1.0]]), np.ones(3), ["b", "a", "b"])
    >>> sums.tolist(), rows.tolist()
    ([[0.0, 2.0]], [1.0, 2.0])
    """
    names, code = np.unique(np.asarray(clusters), return_inverse=True)
    if code.shape != counts.shape:
        raise DataError(f"{len(counts)} photos but {code.size} names of clusters")
    sums = np.stack([np.bincount(code, weights=row, minlength=len(names)) for row in table])
    return sums, np.bincount(code, weights=counts, minlength=len(names))


def checked(values: Any, trials: Any | None, bounds: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """``values`` as [K, n] and ``trials`` as [n], or a ``DataError`` that says why they cannot be resampled."""
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] == 0:
        raise DataError("there is no photo to resample")
    counts = np.ones(table.shape[1]) if trials is None else np.asarray(trials, dtype=np.float64)
    if counts.shape != table.shape[1:]:
        raise DataError(f"{table.shape[1]} photos but {counts.size} numbers of rows")
    if not (np.isfinite(table).all() and np.isfinite(counts).all() and counts.min() >= 0 and counts.sum() > 0):
        raise DataError("a photo's value is not finite, or no photo has a row")
    if bounds is not None:
        slack = 1e-9 * max(1.0, math.fabs(bounds[0]), math.fabs(bounds[1])) * np.maximum(counts, 1)
        if (table < bounds[0] * counts - slack).any() or (table > bounds[1] * counts + slack).any():
            raise DataError(
                f"a photo's value is outside {bounds[0]:g}..{bounds[1]:g}: give means, or the rows per photo"
            )
    return table, counts
