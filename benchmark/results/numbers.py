"""Scores as text: percent and intervals, as every sentence and table shows them."""

from __future__ import annotations


def percent(value: float, signed: bool = False) -> str:
    """A share in percent with one decimal.

    >>> percent(0.1234), percent(0.5, signed=True)
    ('12.3', '+50.0')
    """
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f}"


def interval(low: float, high: float, signed: bool = False) -> str:
    """A 95 % interval in percent.

    >>> interval(0.1, 0.25)
    '10.0 to 25.0'
    """
    return f"{percent(low, signed)} to {percent(high, signed)}"


def with_interval(value: float, low: float, high: float, signed: bool = False) -> str:
    """A share with its 95 % interval.

    >>> with_interval(0.123, 0.1, 0.25)
    '12.3 % (10.0 to 25.0)'
    """
    return f"{percent(value, signed)} % ({interval(low, high, signed)})"
