"""Answers that only one of two systems has right on the same items: McNemar's test."""

from __future__ import annotations

from scipy.special import bdtr

from builders.errors import DataError


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test (Psychometrika 12, 1947): the sign test on the items that differ.

    Items on which both are right, or both wrong, say nothing. It assumes that items are independent; of items that err
    together ``paired_difference`` over clusters gives the p-value.

    Args:
        only_first: number of items that only the first has right.
        only_second: number of items that only the second has right.

    Raises:
        DataError: a number is negative.

    >>> round(mcnemar(1, 9), 6), mcnemar(0, 0), mcnemar(4, 4)  # 22 of 1,024 draws of ten coins
    (0.021484, 1.0, 1.0)
    """
    if min(only_first, only_second) < 0:
        raise DataError(f"{only_first} and {only_second} items: numbers of items are not negative")
    differing = only_first + only_second
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), differing, 0.5))) if differing else 1.0
