"""A tree-structured Parzen estimator over independent log-uniform ranges, asked for several points at a time.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011. Where the paper leaves a choice, Optuna's
defaults: 10 random points first, the best tenth as the good ones, 24 candidates, a prior as wide as the range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

RANDOM_FIRST = 10
CANDIDATES = 24
GOOD_SHARE = 0.1
MOST_GOOD = 25


def suggest(
    tried: Sequence[Sequence[float]],
    values: Sequence[float],
    ranges: Sequence[tuple[float, float]],
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The next ``count`` points, float64 [count, P], given points ``tried`` with their ``values`` (larger is better).

    A point whose value is not known yet counts as a poor one for the next (Optuna's ``constant_liar``), which keeps the
    points of one round apart.

    >>> points = suggest([], [], [(0.1, 100.0)], 3, np.random.default_rng(0))
    >>> points.shape, bool((points >= 0.1).all() and (points <= 100).all())
    ((3, 1), True)
    """
    low = np.log([r[0] for r in ranges])
    high = np.log([r[1] for r in ranges])
    if len(tried) < RANDOM_FIRST:
        return np.clip(np.exp(rng.uniform(low, high, (count, len(ranges)))), np.exp(low), np.exp(high))
    seen = np.log(np.asarray(tried, dtype=np.float64))
    order = np.argsort(-np.asarray(values), kind="stable")
    good = order[: min(math.ceil(GOOD_SHARE * len(order)), MOST_GOOD)]
    poor = order[len(good) :]
    points = np.empty((count, len(ranges)))
    for p in range(len(ranges)):
        better = _Parzen(seen[good, p], low[p], high[p])
        for k in range(count):
            worse = _Parzen(np.append(seen[poor, p], points[:k, p]), low[p], high[p])
            candidates = better.sample((CANDIDATES,), rng)
            gain = better.log_density(candidates) - worse.log_density(candidates)
            points[k, p] = candidates[gain.argmax()]
    return np.clip(np.exp(points), np.exp(low), np.exp(high))


class _Parzen:
    """Equal mixture of normals cut to [low, high]: one at each point, as wide as its farther neighbour, and a prior."""

    def __init__(self, points: np.ndarray, low: float, high: float) -> None:
        self.low, self.high = low, high
        order = np.argsort(points, kind="stable")
        edges = np.concatenate([[low], points[order], [high]])
        gaps = np.diff(edges)
        width = np.maximum(gaps[:-1], gaps[1:])
        if len(points) > 1:  # the ends of the range are nobody's neighbours
            width[0], width[-1] = gaps[1], gaps[-2]
        widths = np.empty(len(points))
        widths[order] = np.clip(width, (high - low) / min(100, 2 + len(points)), high - low)
        self.centres = np.append(points, (low + high) / 2)
        self.widths = np.append(widths, high - low)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        chosen = rng.integers(len(self.centres), size=shape)
        centre, width = self.centres[chosen], self.widths[chosen]
        below, above = ndtr((self.low - centre) / width), ndtr((self.high - centre) / width)
        quantile = below + rng.random(shape) * (above - below)
        return np.clip(centre + width * ndtri(quantile), self.low, self.high)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        z = (x[..., None] - self.centres) / self.widths
        mass = ndtr((self.high - self.centres) / self.widths) - ndtr((self.low - self.centres) / self.widths)
        log_normal = -0.5 * z**2 - np.log(self.widths * math.sqrt(2 * math.pi) * mass * len(self.centres))
        return logsumexp(log_normal, axis=-1)
