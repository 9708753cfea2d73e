"""Closed intervals of published shares against scipy and the examples of the papers."""

from __future__ import annotations

import pytest
from scipy import stats as reference

from benchmark.stats import Ends, independent_difference, wilson_interval


@pytest.mark.parametrize(("right", "n"), [(0, 20), (3, 20), (25, 50), (49, 50), (50, 50), (700, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilson_interval__is_scipys(right: int, n: int, level: float) -> None:
    expected = reference.binomtest(right, n).proportion_ci(level, method="wilson")
    assert list(wilson_interval(right / n, n, level=level)) == pytest.approx([expected.low, expected.high], abs=1e-12)


def test_wilson_interval__holds_its_share() -> None:
    for n in range(1, 200):
        for right in range(n + 1):
            low, high = wilson_interval(right / n, n)
            assert 0 <= low <= right / n <= high <= 1


def test_independent_difference__newcombes_own_example() -> None:
    """Table II, case (a) of Newcombe (1998): 56/70 - 48/80, method 10."""
    low, high = independent_difference(0.8, wilson_interval(0.8, 70), 0.6, wilson_interval(0.6, 80))
    assert (round(low, 4), round(high, 4)) == (0.0524, 0.3339)


def test_independent_difference__stays_in_its_range() -> None:
    assert independent_difference(1.0, Ends(0.5, 1.0), 0.0, Ends(0.0, 0.1)).high == 1.0
    assert independent_difference(0.0, Ends(0.0, 0.5), 1.0, Ends(0.9, 1.0)).low == -1.0
