"""A threshold that some photos choose, and how many other photos then lie above it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import betabinom

from benchmark.stats.intervals import Ends
from benchmark.stats.resampling import LEVEL
from builders.errors import DataError


class Threshold(NamedTuple):
    """The lowest threshold that at most ``above`` scores reach."""

    value: float
    above: int
    """Number of scores that a threshold without ties would leave at or above it."""
    n: int
    """Number of scores that chose it."""

    @property
    def rate(self) -> float:
        """Expected share of further scores that reach it: above / (n + 1) without ties, else less."""
        return self.above / (self.n + 1)


def threshold_at(scores: np.ndarray, rate: float) -> Threshold:
    """The threshold that a share of at most ``rate`` of further scores is expected to reach, and at least one in n + 1.

    It is the k-th largest of n scores, k = ``rate`` (n + 1) rounded down, and at least 1: a further score from the same
    distribution reaches it with probability k / (n + 1) (Wilks, Annals of Mathematical Statistics 12, 1941). Where
    scores are tied with the (k + 1)-th, it is the next larger score, or just above the largest.

    Args:
        scores: float [n], at least one.
        rate: in (0, 1).

    Raises:
        DataError: there is no score, or one is not finite.

    >>> threshold_at(np.arange(199.0), 0.01)
    Threshold(value=197.0, above=2, n=199)
    >>> threshold_at(np.array([1.0, 2.0, 2.0, 2.0]), 0.4).value > 2
    True
    """
    falling = -np.sort(-np.asarray(scores, np.float64))
    if not len(falling) or not np.isfinite(falling).all():
        raise DataError("a threshold needs scores, and all of them finite")
    above = min(max(1, int(np.floor(rate * (len(falling) + 1) + 1e-9))), len(falling))
    value = falling[above - 1]
    if above < len(falling) and falling[above] == value:
        larger = falling[falling > value]
        value = larger[-1] if len(larger) else np.nextafter(value, np.inf)
    return Threshold(float(value), above, len(falling))


def expected_above(threshold: Threshold, n: int, *, level: float = LEVEL) -> Ends:
    """The range of the number of n further scores that reach a threshold: a prediction interval.

    Given the threshold, the share above it is unknown; over samples it is Beta(k, n + 1 - k), so that the number is
    beta-binomial (Wilks, 1942). It assumes that scores are independent.

    Args:
        threshold: of ``threshold_at``.
        n: number of further scores.
        level: coverage, which is at least this.

    >>> expected_above(Threshold(0.9, 2, 199), 200)
    Ends(low=0.0, high=7.0)
    """
    tail = (1 - level) / 2
    of_further = betabinom(n, threshold.above, threshold.n + 1 - threshold.above)
    return Ends(float(of_further.ppf(tail)), float(of_further.ppf(1 - tail)))
