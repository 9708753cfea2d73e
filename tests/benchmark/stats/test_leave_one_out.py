"""The jackknife over clusters against closed forms: strata of a fixed size, and what clusters do only in pairs."""

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark.stats import jackknife, paired_difference, statistic_of

SIZES = (2, 3, 5)
STRATA = np.repeat([0, 1, 2], SIZES)


def test_jackknife__of_a_mean_over_strata_is_the_stratified_variance() -> None:
    """Var = sum over strata of m s^2 / N^2 (Cochran, Sampling Techniques, 1977, section 5.3, weights m / N)."""
    values = np.random.default_rng(0).normal(size=10) + 7.0 * STRATA
    within = [values[stratum == STRATA] for stratum in range(3)]
    expected = sum(len(part) * part.var(ddof=1) for part in within) / 10**2
    result = jackknife(values.mean(), (values.sum() - values) / 9, STRATA)
    assert result.error**2 == pytest.approx(expected, rel=1e-12)
    assert result.freedom == 7


def pairs_mean(table: np.ndarray, left: tuple[int, ...] = ()) -> float:
    """Mean over the pairs of clusters that are not left out."""
    others = np.setdiff1d(np.arange(len(table)), left)
    return float(table[np.ix_(others, others)][np.triu_indices(len(others), 1)].mean())


@pytest.mark.parametrize("sizes", [(3, 3, 3, 3)], ids=str)
def test_jackknife__of_pairs_alone_has_their_variance(sizes: tuple[int, ...]) -> None:
    """A mean over pairs of independent values with variance 1 has variance 1 / pairs; a plain jackknife gives twice."""
    rng, strata = np.random.default_rng(1), np.repeat(np.arange(len(sizes)), sizes)
    corrected, plain = [], []
    for _ in range(60):
        table = np.triu(rng.normal(size=(12, 12)), 1)
        table += table.T
        one = np.array([pairs_mean(table, (a,)) for a in range(12)])
        two = np.zeros((12, 12))
        for a, b in itertools.combinations(range(12), 2):
            two[a, b] = two[b, a] = pairs_mean(table, (a, b))
        corrected.append(jackknife(pairs_mean(table), one, strata, two).error ** 2)
        plain.append(jackknife(pairs_mean(table), one, strata).error ** 2)
    assert 1.7 < np.mean(plain) * 66 < 2.6
    assert 0.9 < np.mean(corrected) * 66 < 1.5


def test_jackknife__keeps_half_of_the_variance_at_least() -> None:
    values = np.arange(8.0)
    left_out = (values.sum() - values) / 7
    two = np.random.default_rng(2).normal(size=(8, 8)) * 50
    result = jackknife(values.mean(), left_out, None, two + two.T)
    assert result.error**2 == pytest.approx(values.var(ddof=1) / 8 / 2)


@pytest.mark.parametrize("greater", [False, True])
def test_p_value__of_equal_clusters_at_chance_is_one_from_values_by_photo_too(greater) -> None:
    """The mean of values by photo rounds: 0.1 of 7 photos is not 0.1, and 0.6 of clusters without spread is."""
    for value in (0.1, 0.3, 0.5, 0.6):
        one, clusters = jackknife(value, np.full(7, value)), np.arange(7)
        again = statistic_of(one.photo_values(clusters) + 1e-16, clusters, one.freedom)
        assert (one.p_value(value, greater=greater), again.p_value(value, greater=greater)) == (1.0, 1.0)
        assert again.p_value(value - 0.01, greater=greater) == 0.5 ** (7 if greater else 6)
        assert again.p_value(value + 0.01, greater=greater) == (1.0 if greater else 0.5**6)


def test_paired_difference__of_statistics_is_students_over_clusters_within_their_range() -> None:
    """Unequal clusters, influences that alternate and one that stands out: no end leaves the range of a difference."""
    sizes, rng = np.array([3, 1, 5, 2, 4, 9, 2, 6]), np.random.default_rng(3)
    clusters, strata = np.arange(8).repeat(sizes), np.arange(8) % 2
    first, second = (jackknife(0.6, 0.6 + rng.normal(size=8) * 0.02, strata) for _ in range(2))
    values = [side.photo_values(clusters) for side in (first, second)]
    both = paired_difference(*values, clusters=clusters, bounds=(-1000.0, 1000.0), freedom=first.freedom)
    apart = first.deviations - second.deviations
    error = np.sqrt(np.square(apart).sum() / (8 * 7))
    assert both.standard_error == pytest.approx(error)
    assert both.high == pytest.approx(both.value + scipy_stats.t.ppf(0.975, 6) * error)
    assert both.p_value == pytest.approx(2 * scipy_stats.t.sf(abs(both.value) / error, 6))
    assert (both.n, both.units) == (32, 8)
    same = paired_difference(values[0], values[0], clusters=clusters, bounds=(-1000.0, 1000.0), freedom=6)
    assert (same.value, same.p_value) == (0.0, 1.0)
    assert same.high == pytest.approx(1 - 0.025 ** (1 / 8))
    wide = paired_difference(values[0], 90 * values[1], clusters=clusters, bounds=(-1000.0, 1000.0), freedom=6)
    assert wide.low == -1.0
