"""Cramer's V of a table of counts, without its bias.

Raw Cramer's V of independent columns is about sqrt((min(r, c) - 1) / n) and not 0, so what is printed is corrected.
"""

from __future__ import annotations

import math

import numpy as np


def cramers_v(counts: np.ndarray, *, corrected: bool = True) -> float:
    """Cramer's V of a table of counts, 0 (no association) to 1.

    Corrected as in Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", Journal of the Korean Statistical
    Society 42 (2013): phi2 less its expectation under independence, over the corrected number of rows and columns.

    Args:
        counts: [rows, columns], non-negative. Empty rows and columns are left out.
        corrected: False gives the usual, biased value.

    Returns:
        0 where a column or a row is alone, or nothing was counted: what is constant is associated with nothing.

    >>> cramers_v(np.array([[10, 0], [0, 10]])), cramers_v(np.array([[5, 5], [5, 5]]))
    (1.0, 0.0)
    """
    table = without_empty(counts)
    n, (r, c) = table.sum(), table.shape
    if min(r, c) < 2 or n < 2:
        return 0.0
    phi2 = chi_square(table) / n
    if not corrected:
        return float(min(1.0, math.sqrt(phi2 / (min(r, c) - 1))))
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    room = min(rows, columns) - 1
    return float(min(1.0, math.sqrt(phi2 / room))) if room > 0 else 0.0


def without_empty(counts: np.ndarray) -> np.ndarray:
    """The rows and columns of a table of counts in which something was counted."""
    table = np.asarray(counts)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    return np.asarray(table)


def chi_square(table: np.ndarray) -> float:
    """Pearson's statistic of a table without empty rows and columns."""
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return float((np.square(table - expected) / expected).sum())
