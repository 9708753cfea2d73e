"""P-values and intervals at other levels from an interval alone: for scores whose values by photo are not at hand."""

from __future__ import annotations

from scipy.special import stdtr, stdtrit

from benchmark.stats.resampling import LEVEL


def p_above(value: float, low: float, units: float, reference: float, *, level: float = LEVEL) -> float:
    """P-value of "the mean is at most ``reference``", from the lower half of an interval (Student's t over units).

    It is below ``(1 - level) / 2`` exactly where ``reference`` lies below the interval.

    Args:
        value: the mean.
        low: lower end of its interval.
        units: number of independent units; one less are the degrees of freedom.
        reference: what the mean is compared with.
        level: coverage of the interval.

    >>> round(p_above(0.6, 0.5, 1000, 0.5), 3)
    0.025
    >>> p_above(0.6, 0.6, 10, 0.5), p_above(0.5, 0.4, 10, 0.5)
    (0.0, 0.5)
    """
    freedom = max(units - 1.0, 1.0)
    half = value - low
    if half <= 0:
        return 0.0 if value > reference else 1.0
    return float(stdtr(freedom, -(value - reference) / half * stdtrit(freedom, 0.5 + level / 2)))


def p_below(value: float, high: float, units: float, reference: float, *, level: float = LEVEL) -> float:
    """P-value of "the mean is at least ``reference``", from the upper half of an interval; else as ``p_above``.

    >>> round(p_below(0.5, 0.6, 1000, 0.6), 3)
    0.025
    """
    return p_above(-value, -high, units, -reference, level=level)


def half_width_ratio(units: float, tail: float, *, level: float = LEVEL) -> float:
    """Ratio of the half width of an interval with ``tail`` beyond each end to that of one of ``level`` (Student's t).

    Args:
        units: as in ``p_above``.
        tail: probability beyond one end.
        level: coverage of the interval that is known.

    >>> round(half_width_ratio(1000, 0.025), 3), round(half_width_ratio(1000, 0.005), 3)
    (1.0, 1.315)
    """
    freedom = max(units - 1.0, 1.0)
    return float(stdtrit(freedom, tail) / stdtrit(freedom, 0.5 - level / 2))
