"""Planning of a paired comparison: how many units show a difference, and which difference a number of units shows."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.special import nctdtr, stdtrit

from benchmark.stats.resampling import LEVEL

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
