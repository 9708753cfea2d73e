"""Statistics written a second time in plain loops on the same random draws, and their refusals in whole sentences."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats as reference

from benchmark.stats import (
    Difference,
    Interval,
    Jackknife,
    bootstrap_interval,
    effect_size,
    is_gain,
    jackknife,
    null_range,
    p_above,
    p_below,
    ratio_p_value,
    statistic_interval,
    statistic_of,
    table_p_value,
    upper_p_value,
)
from benchmark.stats.resampling import resampled_means
from builders.errors import DataError

RNG = np.random.default_rng(12)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("clusters", [None, np.array([5, 2, 5, 9, 2, 2, 7, 9])])
@pytest.mark.parametrize("level", [0.95, 0.5])
def test_bootstrap_interval__of_drawn_clusters_in_plain_loops(clusters: np.ndarray | None, level: float) -> None:
    values, drawn = RNG.normal(size=8), np.random.default_rng(3)
    names = list(range(8)) if clusters is None else clusters.tolist()
    units = [[i for i in range(8) if names[i] == name] for name in sorted(set(names))]
    medians = []
    for _ in range(60):
        photos = [i for u in drawn.integers(0, len(units), len(units)) for i in units[u]]
        medians.append(float(np.median(values[photos])))
    ends = bootstrap_interval(
        lambda at: float(np.median(values[at])), 8, clusters=clusters, level=level, resamples=60, seed=3
    )
    assert ends is not None
    tail = (1 - level) / 2
    assert (ends.low, ends.high) == pytest.approx(tuple(np.quantile(medians, [tail, 1 - tail])))


@pytest.mark.parametrize(("none", "known"), [(5, True), (6, False)])
def test_bootstrap_interval__none_where_most_draws_give_no_statistic(none: int, known: bool) -> None:
    calls = itertools.count()

    def statistic(at: np.ndarray) -> float | None:
        return None if next(calls) < none else 0.5

    ends = bootstrap_interval(statistic, 9, resamples=10)
    assert ends == ((0.5, 0.5) if known else None)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (2.0, 5.0), None])
@pytest.mark.parametrize("trials", [None, np.array([1.0, 2, 3, 1, 2, 1])])
def test_resampled_means__are_ratios_of_sums_with_gamma_weights(bounds: Any, trials: np.ndarray | None) -> None:
    """Six photos with values of their own, and two half photos at the ends of the range; one weight for both rows."""
    rows = np.ones(6) if trials is None else trials
    low, high = bounds or (0.0, 1.0)
    values = (low + (high - low) * RNG.random((2, 6))) * rows
    made = resampled_means(values, trials, bounds=bounds, resamples=7, seed=5)
    rng = np.random.default_rng(5)
    order = np.lexsort((rows, values[1], values[0]))  # patterns are sorted by their values
    weights = np.zeros((7, 8))
    weights[:, order] = rng.standard_exponential((7, 6), dtype=np.float32)
    if bounds is not None:
        weights[:, 6:] = rng.standard_gamma(np.array([0.5, 0.5]), (7, 2))
    unit = rows.mean()
    for draw, k in itertools.product(range(7), range(2)):
        top = weights[draw, :6] @ values[k] + unit * (weights[draw, 6] * low + weights[draw, 7] * high)
        bottom = weights[draw, :6] @ rows + unit * weights[draw, 6:].sum()
        assert made[draw, k] == pytest.approx(top / bottom, rel=1e-4)


def plain_jackknife(left_out: np.ndarray, strata: np.ndarray) -> float:
    known = np.isfinite(left_out)
    total = 0.0
    for stratum in set(strata.tolist()):
        some = left_out[known & (strata == stratum)]
        if len(some) > 1:
            total += len(some) / (len(some) - 1) * float(((some - some.mean()) ** 2).sum())
    return total * (1 - 1 / known.sum()) ** 2


def test_jackknife__strata_missing_values_deviations_and_freedom() -> None:
    left_out, strata = RNG.normal(size=9), np.array([4, 4, 4, 7, 7, 9, 4, 7, 2])
    left_out[3] = np.nan
    made = jackknife(0.5, left_out, strata)
    variance = plain_jackknife(left_out, strata)
    assert made.error == pytest.approx(math.sqrt(variance))
    assert (made.value, made.freedom) == (0.5, 3 + 1)
    assert made.deviations[[3, 5, 8]].tolist() == [0, 0, 0]
    for stratum in (4, 7):
        assert made.deviations[strata == stratum].sum() == pytest.approx(0, abs=1e-12)
    assert (made.deviations**2).sum() / (9 * 8) == pytest.approx(variance)
    assert (made.deviations[0] > 0) == (left_out[0] < np.mean(left_out[strata == 4]))
    plain = jackknife(0.5, RNG.normal(size=4))
    assert plain.freedom == 3
    with pytest.raises(DataError) as error:
        jackknife(0.5, np.array([1.0, 2.0]), np.array([0, 1]))
    assert "clusters" in str(error.value)


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_jackknife__its_interval_and_p_values(level: float) -> None:
    made = Jackknife(0.7, 0.05, 6, np.zeros(8))
    half = reference.t.ppf(0.5 + level / 2, 6) * 0.05
    assert made.interval(90, (0.0, 1.0), level) == Interval(
        0.7, pytest.approx(0.7 - half), pytest.approx(0.7 + half), 90, 0.05, 8
    )
    cut = made.interval(90, (0.65, 0.72), level)
    assert (cut.low, cut.high) == (0.65, 0.72)
    assert made.p_value(0.6) == pytest.approx(2 * reference.t.sf(2, 6))
    assert made.p_value(0.8) == pytest.approx(2 * reference.t.sf(2, 6))
    assert made.p_value(0.6, greater=True) == pytest.approx(reference.t.sf(2, 6))
    assert made.p_value(0.8, greater=True) == pytest.approx(reference.t.cdf(2, 6))
    steady = Jackknife(0.7, 0.0, 6, np.zeros(8))
    half = (1 - (0.5 - level / 2) ** (1 / 8)) * 2 / 2
    ends = steady.interval(90, (-1.0, 1.0), level)
    assert (ends.low, ends.high) == (pytest.approx(0.7 - half), pytest.approx(min(1.0, 0.7 + half)))
    assert [steady.p_value(c) for c in (0.7, 0.6, 0.8)] == [1.0, 2 / 2**8, 2 / 2**8]
    assert [steady.p_value(c, greater=True) for c in (0.7, 0.6, 0.8)] == [1.0, 1 / 2**8, 1.0]


def test_photo_values__have_the_statistic_and_its_error() -> None:
    clusters = np.repeat(np.arange(5), [4, 1, 3, 2, 6])
    made = jackknife(0.4, RNG.normal(size=5))
    values = made.photo_values(clusters)
    sizes = np.bincount(clusters)
    for photo, cluster in enumerate(clusters):
        assert values[photo] == pytest.approx(0.4 + made.deviations[cluster] * 16 / (sizes[cluster] * 5))
    again = statistic_of(values, clusters * 7 + 3, 4)
    assert (again.value, again.error, again.freedom) == (pytest.approx(0.4), pytest.approx(made.error), 4)
    np.testing.assert_allclose(again.deviations, made.deviations)
    assert statistic_of(values, clusters, 0).freedom == 1
    one = statistic_interval(values, clusters, 4, (-9.0, 9.0))
    assert one.high == pytest.approx(made.interval(16, (-9.0, 9.0)).high)
    assert (one.n, one.units) == (16, 5)


@pytest.mark.parametrize("permutations", [50, 99, 150])
def test_p_values_of_association__are_shares_of_the_same_draws(permutations: int) -> None:
    values, groups = RNG.normal(size=20), np.arange(20) % 3 * 2
    rng = np.random.default_rng(6)

    def between(order: np.ndarray) -> float:
        return sum(
            len(part) * (part.mean() - values.mean()) ** 2 for part in (values[order][groups == g] for g in (0, 2, 4))
        )

    draws = np.array([between(rng.permutation(20)) for _ in range(max(99, permutations))])
    observed = between(np.arange(20))
    assert (draws >= observed).sum() >= 10
    expected = (1 + (draws >= observed).sum()) / (1 + len(draws))
    assert ratio_p_value(values, groups, permutations=permutations, seed=6) == pytest.approx(expected)
    table = np.array([[5, 2, 3], [1, 6, 3]])
    rows, columns = table.sum(1), table.sum(0)
    wanted = np.outer(rows, columns) / table.sum()
    drawn = reference.random_table(rows, columns).rvs(max(99, permutations), random_state=np.random.default_rng(6))
    statistics = ((drawn - wanted) ** 2 / wanted).sum(axis=(1, 2))
    observed = ((table - wanted) ** 2 / wanted).sum()
    expected = (1 + (statistics >= observed * (1 - 1e-9)).sum()) / (1 + len(statistics))
    assert table_p_value(table, permutations=permutations, seed=6) == pytest.approx(expected)


def test_one_sided__by_students_t_over_the_half_interval() -> None:
    for value, low, units, at in ((0.6, 0.5, 12, 0.55), (0.6, 0.5, 12, 0.45), (0.6, 0.55, 3, 0.7), (0.6, 0.5, 1, 0.5)):
        freedom = max(units - 1, 1)
        for level in (0.95, 0.8):
            error = (value - low) / reference.t.ppf(0.5 + level / 2, freedom)
            expected = reference.t.sf((value - at) / error, freedom)
            assert p_above(value, low, units, at, level=level) == pytest.approx(expected)
            assert p_below(-value, -low, units, -at, level=level) == pytest.approx(expected)
    assert [p_above(0.6, 0.6, 9, at) for at in (0.5, 0.6, 0.7)] == [0.0, 1.0, 1.0]
    assert [p_below(0.6, 0.6, 9, at) for at in (0.5, 0.6, 0.7)] == [1.0, 1.0, 0.0]


def test_small_functions__by_hand() -> None:
    assert upper_p_value(1.5) == pytest.approx(reference.norm.sf(1.5))
    assert upper_p_value(1.5, 4) == pytest.approx(reference.t.sf(1.5, 4))
    assert upper_p_value(1.5, 0.3) == pytest.approx(reference.t.sf(1.5, 1))
    null = null_range(np.array([0.9, 0.99, 0.8]), 0.9 + 1e-13)
    assert (null.p_value, null.high) == (3 / 4, 1.0)
    for value, low, gain in ((0.005, 1e-9, True), (0.0049, 1e-9, False), (0.1, 0.0, False)):
        assert is_gain(Difference(value, low, 1.0, 0.0, 9, 0.1, 9)) is gain
    size = effect_size(0.4, 0.2, 0.7, 0.2)
    assert (size.value, size.low, size.high) == pytest.approx((0.25, 0.0, 0.625))
