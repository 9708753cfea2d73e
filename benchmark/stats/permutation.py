"""What probes that learnt shuffled labels score: the null distribution of a permutation test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from benchmark.stats.resampling import LEVEL


@dataclass(frozen=True)
class NullRange:
    """What probes that know nothing score on the same test photos."""

    accuracy: float
    """Their mean."""
    low: float
    """95 % of them lie from here ..."""
    high: float
    """... to here (a normal prediction interval)."""
    mean_low: float
    """95 % interval of the mean (Student's t): holds chance where classes are balanced."""
    mean_high: float
    spread: float
    """Standard deviation of one of them."""
    permutations: int
    p_value: float
    """Share of them, the value itself counted in, that read at least as well: (1 + count) / (1 + permutations)."""


def null_range(accuracies: np.ndarray, value: float) -> NullRange:
    """Summarise the accuracies [P] of shuffled labels, P at least 2, beside the accuracy of the true ones.

    The p-value counts the true labels as one of the shufflings (Ojala and Garriga, JMLR 11, 2010).

    >>> null = null_range(np.array([0.2, 0.3, 0.4, 0.3]), 0.4)
    >>> round(null.accuracy, 3), round(null.mean_low, 3), round(null.high, 3), null.p_value
    (0.3, 0.17, 0.591, 0.4)
    """
    count, mean, spread = len(accuracies), float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    times = float(stdtrit(count - 1, 0.5 + LEVEL / 2))
    one, of_mean = times * spread * math.sqrt(1 + 1 / count), times * spread / math.sqrt(count)
    return NullRange(
        accuracy=mean,
        low=max(mean - one, 0.0),
        high=min(mean + one, 1.0),
        mean_low=mean - of_mean,
        mean_high=mean + of_mean,
        spread=spread,
        permutations=count,
        p_value=(1 + int((accuracies >= value - 1e-12).sum())) / (1 + count),
    )
