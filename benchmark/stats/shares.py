"""Intervals of a share of which only the value and the number of photos are known, as of published ones."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from benchmark.stats.resampling import LEVEL


class Ends(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


def wilson_interval(share: float, n: int, *, level: float = LEVEL) -> Ends:
    """Wilson's score interval around a share of n (Journal of the American Statistical Association 22, 1927).

    It holds ``share`` itself, also where rounding would push it out.

    >>> low, high = wilson_interval(0.8, 50)
    >>> round(low, 3), round(high, 3)
    (0.67, 0.888)
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Ends(min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def independent_difference(first: float, first_ends: Ends, second: float, second_ends: Ends) -> Ends:
    """Newcombe's interval of the difference of two shares (Statistics in Medicine 17, 1998, method 10).

    It takes the two as independent. Shares of the same photos rise together, so theirs is narrower.

    Args:
        first, second: the shares; the difference is ``first - second``.
        first_ends, second_ends: their intervals, Wilson's for Newcombe's method.

    >>> ends = [wilson_interval(56 / 70, 70), wilson_interval(48 / 80, 80)]
    >>> low, high = independent_difference(56 / 70, ends[0], 48 / 80, ends[1])
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    value = first - second
    low = value - math.hypot(first - first_ends.low, second_ends.high - second)
    high = value + math.hypot(first_ends.high - first, second - second_ends.low)
    return Ends(max(-1.0, low), min(1.0, high))
