"""Named tests of paired differences and plans against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm as normal
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from benchmark.stats import (
    detectable_effect,
    needed_units,
    paired_difference,
    paired_differences,
    paired_power,
)
from builders.errors import DataError

TABLES = range(12)


def of_one(first: np.ndarray, second: np.ndarray, **options):
    (row,) = paired_differences((first - second)[None], **options)
    return row


def binary(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 2000))
    hard = rng.normal(size=n)
    return tuple((hard + rng.normal(size=n) < rng.normal(0.2, 0.3)).astype(float) for _ in range(2))


def continuous(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 2000))
    hard = rng.gamma(1.5, size=n) / 20
    return tuple(np.clip(0.5 - hard + rng.normal(0, 0.1, n) + rng.normal(0, 0.02), 0, 1) for _ in range(2))


@pytest.mark.parametrize("seed", TABLES)
def test_mcnemar__is_statsmodels_exact_test(seed):
    first, second = binary(seed)
    table = [[np.sum((first == i) & (second == j)) for j in (1, 0)] for i in (1, 0)]
    reference = mcnemar(table, exact=True).pvalue
    row = of_one(first, second, binary=True)
    assert row.test == "exact McNemar"
    assert row.test_p_value == pytest.approx(reference, rel=1e-9)
    assert (row.first_higher, row.second_higher) == (table[0][1], table[1][0])


@pytest.mark.parametrize("seed", TABLES)
def test_paired_t__is_statsmodels(seed):
    first, second = continuous(seed)
    _, reference, freedom = DescrStatsW(first - second).ttest_mean()
    row = of_one(first, second)
    assert row.test == "paired t"
    assert row.test_p_value == pytest.approx(reference, rel=1e-9)
    assert row.n - 1 == freedom


@pytest.mark.parametrize("seed", TABLES)
def test_cluster_robust_t__is_statsmodels_ols_of_a_constant(seed):
    first, second = (binary if seed % 2 else continuous)(seed)
    rng = np.random.default_rng(100 + seed)
    clusters = rng.zipf(1.6, len(first)).clip(max=40) if seed % 3 else rng.integers(0, 12, len(first))
    clusters[:2] = 0, 1  # at least two
    apart = first - second
    fit = sm.OLS(apart, np.ones(len(apart))).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
    row = of_one(first, second, clusters=clusters, binary=bool(seed % 2))
    assert row.test == "cluster-robust t"
    assert row.test_p_value == pytest.approx(fit.pvalues[0], rel=1e-9)
    assert row.value == pytest.approx(fit.params[0], abs=1e-12)
    assert row.units == len(set(clusters))


@pytest.mark.parametrize("seed", TABLES)
def test_p_value__is_the_greater_of_rule_and_test_and_the_interval_agrees(seed):
    first, second = binary(seed)
    for clusters in (None, np.arange(len(first)) // 7):
        rule = paired_difference(first, second, clusters=clusters)
        row = of_one(first, second, clusters=clusters, binary=True)
        assert row.p_value == max(rule.p_value, row.test_p_value)
        assert (row.low > 0 or row.high < 0) == (row.p_value < 0.05)
        assert row.low <= rule.low
        assert row.high >= rule.high


def test_interval__reaches_zero_where_only_the_rule_excludes_it():
    apart = np.concatenate([np.ones(8), -np.ones(1), np.zeros(11)])
    rule = paired_difference((apart > 0) * 1.0, (apart < 0) * 1.0)
    row = of_one(apart, np.zeros(20), binary=True)
    # nine items differ: by McNemar 2 (1 + 9) / 2^9 = 0.039; of eight, one less for the first, 2 (1 + 8) / 2^8
    assert row.test_p_value == pytest.approx(20 / 512)
    apart[0] = 0
    rule = paired_difference((apart > 0) * 1.0, (apart < 0) * 1.0)
    row = of_one(apart, np.zeros(20), binary=True)
    assert (row.p_value, row.low) == (pytest.approx(18 / 256), 0.0)
    assert rule.p_value < 0.05 < row.p_value
    assert rule.low > 0


def test_equal_systems__have_no_difference_and_no_warning():
    same = np.array([1.0, 0.0, 1.0, 1.0])
    row = of_one(same, same, binary=True)
    assert (row.value, row.p_value, row.test_p_value, row.first_higher) == (0.0, 1.0, 1.0, 0)
    assert of_one(same, same, clusters=np.array([0, 0, 1, 1])).p_value == 1.0


def test_many_rows__are_each_row_alone():
    rng = np.random.default_rng(1)
    apart = rng.normal(size=(5, 90))
    clusters = rng.integers(0, 9, 90)
    together = paired_differences(apart, clusters=clusters, width=10.0)
    alone = [paired_differences(row[None], clusters=clusters, width=10.0)[0] for row in apart]
    numbers = ("value", "low", "high", "p_value", "test_p_value", "standard_error", "first_higher", "units")
    for name in numbers:
        assert [getattr(r, name) for r in together] == pytest.approx([getattr(r, name) for r in alone], rel=1e-12)


def test_clusters__of_another_number_of_items_are_an_error():
    with pytest.raises(DataError, match="clusters"):
        paired_differences(np.zeros((1, 4)), clusters=np.zeros(3))


@pytest.mark.parametrize("sizes", ["equal", "unequal"])
def test_clustered_intervals__hold_the_true_difference_in_95_percent(sizes):
    """Items of a cluster are hard together: an interval by item would hold it in about 68 or 47 %."""
    rng = np.random.default_rng(11)
    of_cluster = np.full(40, 10) if sizes == "equal" else np.tile([1, 2, 4, 8, 35], 8)
    clusters, repeats = np.repeat(np.arange(40), of_cluster), 2000
    apart = np.empty((repeats, len(clusters)))
    for row in apart:  # each system has its own strengths by cluster
        skill = rng.normal([[0.3], [0.0]], 1.0, (2, 40))[:, clusters]
        right = skill + rng.normal(size=(2, len(clusters))) > 0
        row[:] = right[0] * 1.0 - right[1]
    true = normal.cdf(0.3 / np.sqrt(2)) - 0.5
    rows = paired_differences(apart, clusters=clusters, binary=True)
    covered = np.mean([row.low <= true <= row.high for row in rows])
    by_item = np.mean([row.low <= true <= row.high for row in paired_differences(apart, binary=True)])
    assert 0.935 < covered < 0.98  # 0.95 and two standard errors of 0.005, or more cautious
    assert by_item < 0.85


@pytest.mark.parametrize("effect", [0.02, 0.1, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_plans__are_statsmodels(effect, power):
    reference = TTestPower()
    assert paired_power(effect, 57) == pytest.approx(reference.power(effect, 57, 0.05), rel=1e-9)
    expected = reference.solve_power(effect, power=power, alpha=0.05) if effect < 2 else None
    if expected is not None:
        assert needed_units(effect, power=power) == pytest.approx(expected, rel=1e-4)
    units = needed_units(effect, power=power)
    assert paired_power(effect, units) == pytest.approx(power, abs=1e-9)
    assert detectable_effect(units, power=power) == pytest.approx(effect, rel=1e-6)


def test_plans__of_no_effect_and_of_two_units():
    assert needed_units(0.0) is None
    assert needed_units(1e3) == 2.0
    assert paired_power(detectable_effect(2), 2) == pytest.approx(0.8)
