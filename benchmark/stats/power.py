"""Planning of a paired comparison: how many units show a difference, and which difference a number of units shows."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import bdtr, gammaln, nctdtr, stdtrit, xlog1py, xlogy

from benchmark.stats.resampling import LEVEL
from benchmark.stats.student import Means, p_values

POWER = 0.8
"""Default share of repeated comparisons that find the difference."""

FARTHEST = 37.0
"""Noncentrality beyond which SciPy gives no number; power is above 99 % there even with two units."""

MOST_UNITS = 1e12
"""Units beyond which a difference counts as none."""


def paired_power(effect: float, units: float, *, level: float = LEVEL) -> float:
    """Probability that a two-sided paired t-test finds a difference (noncentral t distribution).

    Args:
        effect: true mean difference over the standard deviation of units' differences.
        units: number of units, at least 2.
        level: confidence of the test.

    >>> round(paired_power(0.5, 34), 4)  # statsmodels: TTestPower().power(0.5, 34, 0.05)
    0.8078
    """
    freedom = units - 1
    critical = float(stdtrit(freedom, 0.5 + level / 2))
    distance = abs(effect) * math.sqrt(units)
    if distance > FARTHEST:
        return 1.0
    wrong_side = float(nctdtr(freedom, distance, -critical))  # NaN where it is less than float64 can hold
    return float(1 - nctdtr(freedom, distance, critical)) + (0.0 if math.isnan(wrong_side) else wrong_side)


def needed_units(effect: float, *, power: float = POWER, level: float = LEVEL) -> float | None:
    """Number of units with which a paired t-test finds a difference with some power; None if none would do.

    Args:
        effect: as in ``paired_power``.
        power, level: of the test.

    >>> round(needed_units(0.5), 2)  # statsmodels: TTestPower().solve_power(0.5, power=0.8, alpha=0.05)
    33.37
    """

    def missing(units: float) -> float:
        return power - paired_power(effect, units, level=level)

    most = 2.0
    while missing(most) > 0:
        most *= 2
        if most > MOST_UNITS:
            return None
    return most if most == 2 else float(brentq(missing, most / 2, most, rtol=1e-12))


def detectable_effect(units: float, *, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest true effect that a paired t-test of so many units finds with some power.

    >>> round(detectable_effect(34), 3)  # statsmodels: TTestPower().solve_power(nobs=34, power=0.8, alpha=0.05)
    0.495
    """

    def missing(effect: float) -> float:
        return power - paired_power(effect, units, level=level)

    most = 1e-9
    while missing(most) > 0:
        most *= 2
    return float(brentq(missing, most / 2, most, rtol=1e-12))


MOST_DIFFERING = 2_000
"""Expected number of items that differ above which the exact test and Student's t decide alike."""


def share_power(difference: float, differing: float, n: int, *, level: float = LEVEL) -> float:
    """Probability that the rule and McNemar's exact test both find a paired difference of right and wrong answers.

    A difference counts where both find it (``paired_differences``), so a plan for either alone promises too much.

    Args:
        difference: true difference of the two shares.
        differing: share of the items that only one of the two has right, at least the difference.
        n: items, independent of each other.
        level: confidence of the tests.

    >>> round(share_power(0.1, 0.2, 100), 2)  # a t-test alone finds it in 62 %
    0.54
    """
    if n * differing > MOST_DIFFERING:
        return paired_power(difference / math.sqrt(differing - difference**2), n, level=level)
    half = 6 * math.sqrt(n * differing * (1 - differing)) + 1
    counts = np.arange(max(0, math.floor(n * differing - half)), min(n, math.ceil(n * differing + half)) + 1)
    more = [np.arange(count + 1) for count in counts]
    differ, first = np.repeat(counts, [len(m) for m in more]), np.concatenate(more)
    value, share = (2 * first - differ) / n, differ / n
    square = share - value**2
    cube = (first - (differ - first)) / n - 3 * value * share + 2 * value**3
    rule = p_values(Means(value, square, cube, n, 1.0))
    exact = np.minimum(1.0, 2 * bdtr(np.minimum(first, differ - first), differ, 0.5))
    side = (1 + difference / differing) / 2
    likely = np.exp(
        _log_binomial(counts, n, differing)[differ - counts[0]] + _log_binomial(first, differ, min(max(side, 0.0), 1.0))
    )
    alpha = 1 - level
    return float(likely[np.maximum(rule, exact) < alpha].sum())


def detectable_share(differing: float, n: int, *, power: float = POWER, level: float = LEVEL) -> float | None:
    """The smallest true difference of two shares that ``share_power`` finds with some power; None if none would do.

    Args:
        differing: share of the items that only one of the two has right.
        n: items.
        power, level: of the tests.

    >>> round(detectable_share(0.2, 100), 2)
    0.13
    """

    def missing(difference: float) -> float:
        return power - share_power(difference, differing, n, level=level)

    most = differing * (1 - 1e-9)
    if differing <= 0 or missing(most) > 0:
        return None
    return float(brentq(missing, 0.0, most, xtol=1e-4 * differing))


def _log_binomial(k: np.ndarray, n: np.ndarray | int, share: float) -> np.ndarray:
    """Logarithm of the binomial probability of k of n."""
    log: np.ndarray = (
        gammaln(np.add(n, 1)) - gammaln(k + 1) - gammaln(n - k + 1) + xlogy(k, share) + xlog1py(n - k, -share)
    )
    return log
