"""Association without its bias: hand-computed tables, an independent reference, and what independence gives."""

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, f_oneway
from scipy.stats.contingency import association

from benchmark.stats import correlation_ratio, ratio_p_value, table_p_value
from builders.splits import cramers_v


def test_cramers_v__by_hand():
    # chi2 = 100 * (30*30 - 20*20)^2 / 50^4 = 4; phi2 = .04; less 1/99; rows and columns 2 - 1/99
    table = np.array([[30, 20], [20, 30]])
    assert cramers_v(table, corrected=False) == pytest.approx(0.2)
    assert cramers_v(table) == pytest.approx(math.sqrt((0.04 - 1 / 99) / (1 - 1 / 99)))


def test_cramers_v__raw_is_scipys():
    rng = np.random.default_rng(0)
    for shape in ((2, 5), (4, 4), (7, 3)):
        table = rng.integers(1, 40, shape)
        assert cramers_v(table, corrected=False) == pytest.approx(association(table, "cramer"))


def test_cramers_v__bias_is_gone_under_independence():
    rng = np.random.default_rng(1)
    tables = [np.histogram2d(rng.integers(0, 20, 1200), rng.integers(0, 5, 1200), (20, 5))[0] for _ in range(200)]
    raw = np.mean([cramers_v(t, corrected=False) for t in tables])
    assert raw == pytest.approx(math.sqrt(19 / 1200), rel=0.05)  # chi2 of 19 * 4 over n * 4
    assert np.mean([cramers_v(t) ** 2 for t in tables]) < 0.0011
    assert np.mean([cramers_v(t) for t in tables]) < 0.25 * raw


@pytest.mark.parametrize(
    "table", [np.zeros((2, 2)), np.array([[5, 7]]), np.array([[5], [7]]), np.array([[5, 0], [7, 0]])]
)
def test_cramers_v__what_is_constant_is_associated_with_nothing(table):
    assert cramers_v(np.array(table)) == 0
    assert table_p_value(np.array(table)) == 1


def test_table_p_value__near_the_chi_square_law():
    rng = np.random.default_rng(2)
    for _ in range(5):
        table = np.histogram2d(rng.integers(0, 3, 600), rng.integers(0, 4, 600), (3, 4))[0].astype(int)
        assert table_p_value(table) == pytest.approx(chi2_contingency(table).pvalue, abs=0.05)


def test_table_p_value__far_tail_is_of_the_right_size():
    table = np.array([[560, 440], [440, 560]])  # chi2 = 28.8, p = 8e-8
    assert 1e-10 < table_p_value(table) < 1e-5


def test_table_p_value__is_uniform_under_independence():
    rng = np.random.default_rng(3)
    values = []
    for seed in range(200):
        table = np.histogram2d(rng.integers(0, 2, 300), rng.integers(0, 6, 300), (2, 6))[0].astype(int)
        values.append(table_p_value(table, permutations=199, seed=seed))
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.06)
    assert np.mean(np.array(values) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_correlation_ratio__by_hand():
    # groups (1, 3) and (5, 7): between 16, total 20; corrected: 1 - .2 * 3 / 2 = .7
    counts, sums = np.array([2, 2]), np.array([4.0, 12.0])
    assert correlation_ratio(counts, sums, 84.0, corrected=False) == pytest.approx(math.sqrt(0.8))
    assert correlation_ratio(counts, sums, 84.0) == pytest.approx(math.sqrt(0.7))


def test_correlation_ratio__nothing_to_compare():
    assert correlation_ratio(np.array([4, 0]), np.array([4.0, 0.0]), 10.0) == 0
    assert correlation_ratio(np.array([2, 2]), np.array([2.0, 2.0]), 4.0) == 0
    assert correlation_ratio(np.zeros(2), np.zeros(2), 0.0) == 0


def test_ratio_p_value__near_the_f_test():
    rng = np.random.default_rng(4)
    groups = np.repeat([0, 1, 2], 60)
    for shift in (0.0, 0.2):
        values = rng.normal(0, 1, 180) + shift * groups
        expected = f_oneway(*(values[groups == k] for k in range(3))).pvalue
        assert ratio_p_value(values, groups) == pytest.approx(expected, abs=0.05)
    assert ratio_p_value(np.ones(9), np.arange(9) % 3) == 1
