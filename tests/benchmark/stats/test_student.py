"""Student's t and its corrections: against scipy where nothing leans, by hand, and by laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from benchmark.stats.student import _bent, _unbent, ends, p_values, unit_means


def of(values: list[float] | np.ndarray, width: float = 1.0):
    return unit_means(np.atleast_2d(np.asarray(values, dtype=float)), np.ones(len(values)), width)


SYMMETRIC = [0.3, -0.1, 0.12, 0.08, 0.1, 0.2, 0.0]
LEANING = [0.0] * 35 + [1.0] * 4 + [-1.0]
"""Skewness 2.4, six times its standard error."""


def formula(values: np.ndarray, greater: bool, far: bool) -> float:
    """The p-value in plain numbers: Student's of Hall's cubic, whose bend is the skewness beyond its standard error."""
    n, mean = len(values), sum(values) / len(values)
    square, cube = (sum((v - mean) ** power for v in values) / n for power in (2, 3))
    t = abs(mean) / math.sqrt(square / (n - 1))
    by_chance = math.sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))
    skewness = math.copysign(1, mean) * cube / square**1.5
    bend = math.copysign(max(abs(skewness) - by_chance, 0), skewness) / (6 * math.sqrt(n))
    near = min(t, (1 - math.sqrt(0.5)) / 2 / -bend) if far and bend < 0 else t
    cubic = near + bend + 2 * bend * near**2 + 4 / 3 * bend**2 * near**3 + t - near
    one = min(reference.t.sf(max(min(t, cubic), 0), n - 1), 0.5)
    return (one if mean > 0 else 1 - one) if greater else 2 * one


@pytest.mark.parametrize("greater", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_p_values__are_the_formula_in_plain_numbers(greater: bool, far: bool) -> None:
    rng, seen = np.random.default_rng(0), []
    for n in (2, 3, 5, 12, 40):
        for power in (1, 3):
            values = np.clip(rng.normal(0.2, 0.25, n), -1, 1) ** power
            table = np.array([values, -values, 1 - np.abs(values)])
            expected = [formula(row, greater, far) for row in table]
            np.testing.assert_allclose(
                p_values(unit_means(table, np.ones(n), 1.0), greater=greater, far=far), expected, rtol=1e-9
            )
            seen += expected
    assert min(seen) < 1e-6


def test_p_values__without_lean_are_student_s() -> None:
    for values in (SYMMETRIC, [0.2, 0.4], [-0.5, 0.1, 0.1, -0.5]):
        assert p_values(of(values))[0] == pytest.approx(reference.ttest_1samp(values, 0).pvalue, rel=1e-9)


def test_ends__without_lean_are_student_s() -> None:
    low, high = ends(of(SYMMETRIC), 0.9)
    expected = reference.ttest_1samp(SYMMETRIC, 0).confidence_interval(0.9)
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_p_values__one_sided() -> None:
    expected = reference.ttest_1samp(SYMMETRIC, 0, alternative="greater").pvalue
    assert p_values(of(SYMMETRIC), greater=True)[0] == pytest.approx(expected, rel=1e-9)
    assert p_values(of(-np.array(SYMMETRIC)), greater=True)[0] == pytest.approx(1 - expected, rel=1e-9)
    assert p_values(of([0.0] * 9), greater=True)[0] == 0.5


def test_ends__the_longer_tail_gets_a_longer_interval() -> None:
    """Hall's end by hand: invert T + b + 2 b T^2 + 4/3 b^2 T^3 at the quantile of Student's t, by root finding."""
    from scipy.optimize import brentq

    values = np.array(LEANING)
    n = len(values)
    skewness = reference.skew(values) - np.sqrt(6 * (n - 2) / ((n + 1) * (n + 3)))
    b = skewness / (6 * np.sqrt(n))
    quantile = reference.t.ppf(0.975, n - 1)
    t_low = brentq(lambda t: t + b + 2 * b * t**2 + 4 / 3 * b**2 * t**3 + quantile, -50, 50)
    error = values.std(ddof=1) / np.sqrt(n)
    low, high = ends(of(values), 0.95)
    assert t_low < -quantile
    assert high[0] == pytest.approx(values.mean() - t_low * error, rel=1e-9)
    # the other side stays as cautious as Student's t
    assert low[0] == pytest.approx(values.mean() - quantile * error, rel=1e-9)


@pytest.mark.parametrize("n", [1, 2, 8, 30])
def test_p_values__units_that_agree_are_a_sign_test(n: int) -> None:
    assert p_values(of([1.0] * n))[0] == pytest.approx(reference.binomtest(n, n).pvalue)


def test_ends__no_unit_differs() -> None:
    """An event that n trials did not show has a probability of up to 1 - 0.025^(1/n): Clopper and Pearson's end."""
    low, high = ends(of([0.0] * 40, width=0.5), 0.95)
    unseen = reference.binomtest(0, 40).proportion_ci(method="exact").high
    assert (low[0], high[0]) == pytest.approx((-0.5 * unseen, 0.5 * unseen))
    assert p_values(of([0.0] * 40))[0] == 1


def test_ends__one_unit_knows_next_to_nothing() -> None:
    low, high = ends(of([0.25]), 0.95)
    assert high[0] - low[0] > 1.9
    assert p_values(of([0.25]))[0] == 1


@given(
    st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.0, 1 / 6, 1.0]), min_size=1, max_size=40),
    st.sampled_from([0.5, 0.9, 0.95, 0.999]),
)
@settings(max_examples=300, deadline=None)
def test_ends__zero_is_outside_exactly_where_p_is_small(values: list[float], level: float) -> None:
    means = of(values)
    p_value = p_values(means)[0]
    (low,), (high,) = ends(means, level)
    assert low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= high
    if abs(p_value - (1 - level)) > 1e-9:
        assert (low > 0 or high < 0) == (p_value < 1 - level)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
@settings(max_examples=200, deadline=None)
def test_p_values__never_below_student_s(values: list[float]) -> None:
    if np.std(values) > 1e-3:
        assert p_values(of(values))[0] >= reference.ttest_1samp(values, 0).pvalue * (1 - 1e-9)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_student__a_mirror_changes_the_sign_alone(values: list[float]) -> None:
    one, other = of(values), of(-np.array(values))
    assert p_values(one)[0] == pytest.approx(p_values(other)[0])
    assert ends(one, 0.95)[0][0] == pytest.approx(-ends(other, 0.95)[1][0])


@given(st.floats(-0.3, 0.3), st.floats(-6, 6))
@settings(max_examples=200, deadline=None)
def test_bent__has_its_inverse(bend: float, t: float) -> None:
    assert float(_unbent(float(_bent(np.array(t), np.array(bend))), np.array(bend))) == pytest.approx(t, abs=1e-5)


def test_p_values__never_jump() -> None:
    """One difference, spread between photos growing by a thousandth at a time: no p-value is far from the last."""
    rng = np.random.default_rng(0)
    values = rng.choice([0.0, 0.0, 1 / 6, 0.5, -1 / 6], 120)
    apart = values - values.mean()
    steps = [p_values(of(0.133 + scale * apart))[0] for scale in np.geomspace(0.8, 3, 1300)]
    ratios = np.array(steps[1:]) / np.array(steps[:-1])
    assert steps[0] < 1e-9
    assert steps[-1] > 0.01
    assert (ratios > 1).all()
    assert ratios.max() < 1.1


def test_unit_means__ratio_of_unequal_units_is_the_jackknifes() -> None:
    rng = np.random.default_rng(1)
    rows = rng.integers(5, 15, 80).astype(float)
    sums = rng.normal(0.1, 0.3, 80) * rows
    means = unit_means(sums[None], rows, 1.0)
    without = (sums.sum() - sums) / (rows.sum() - rows)
    jackknife = np.sqrt(79 / 80 * np.square(without - without.mean()).sum())
    assert means.value[0] == pytest.approx(sums.sum() / rows.sum())
    assert means.error[0] == pytest.approx(jackknife, rel=0.03)


def test_unit_means__a_unit_without_rows_is_none() -> None:
    with_empty = unit_means(np.array([[0.2, 0.0, 0.6]]), np.array([1.0, 0.0, 1.0]), 1.0)
    assert with_empty.units == 2
    assert p_values(with_empty)[0] == p_values(of([0.2, 0.6]))[0]
