"""Association without its bias: hand-computed tables, an independent reference, and what independence gives."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, f_oneway
from scipy.stats.contingency import association

from benchmark.stats import correlation_ratio, ratio_p_value, table_p_value
from benchmark.stats.association import _upper_tail
from builders.splits import chi_square, cramers_v, without_empty


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


@pytest.mark.parametrize("shape", [(2, 2), (2, 5), (5, 2), (3, 4), (7, 3), (4, 4)])
def test_cramers_v__corrected_by_the_degrees_of_freedom_as_bergsma_has_it(shape):
    """Against scipy's statistic and degrees of freedom, and the paper's formula in its own letters."""
    table = np.random.default_rng(sum(shape)).integers(5, 60, shape)
    table[0, 0] += 200
    reference = chi2_contingency(table, correction=False)
    assert chi_square(table) == pytest.approx(reference.statistic)
    n, (r, c) = table.sum(), shape
    phi2 = reference.statistic / n - reference.dof / (n - 1)
    r_tilde, c_tilde = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    assert phi2 > 0.01  # else the test would say nothing
    assert cramers_v(table) == pytest.approx(math.sqrt(phi2 / min(r_tilde - 1, c_tilde - 1)), rel=1e-12)


@pytest.mark.parametrize(
    ("counts", "raw", "corrected"),
    [
        ([[1, 0], [0, 1]], 1.0, 0.0),  # two rows: no more than chance gives, 1 - 1 / 1
        ([[1, 1], [1, 1]], 0.0, 0.0),
        ([[2, 0], [0, 1]], 1.0, 1.0),  # phi2 1 - 1 / 2, over 2 - 1 / 2 - 1
        ([[3, 0, 0], [0, 0, 2]], 1.0, 1.0),  # an empty column
        ([[3, 0], [0, 0], [0, 2]], 1.0, 1.0),  # an empty row
        ([[5, 7]], 0.0, 0.0),
        ([[5], [7]], 0.0, 0.0),
        ([[1, 0], [0, 0]], 0.0, 0.0),
    ],
)
def test_cramers_v__the_smallest_tables(counts, raw, corrected):
    assert cramers_v(np.array(counts), corrected=False) == pytest.approx(raw)
    assert cramers_v(np.array(counts)) == pytest.approx(corrected)


def test_without_empty__rows_and_columns_of_zeros_alone():
    table = np.array([[0, 0, 0], [0, 3, 1], [0, 0, 2]])
    assert without_empty(table).tolist() == [[3, 1], [0, 2]]


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


def test_correlation_ratio__is_the_root_of_the_f_tests_adjusted_share():
    """Against F: eta squared is (k - 1) F over ((k - 1) F + n - k); corrected, its adjusted form."""
    rng = np.random.default_rng(5)
    for sizes in ((2, 3), (3, 4, 5), (2, 2, 9, 4)):
        groups = [rng.normal(shift, 1, size) for shift, size in enumerate(sizes)]
        n, k = sum(sizes), len(sizes)
        f = f_oneway(*groups).statistic
        eta2 = (k - 1) * f / ((k - 1) * f + n - k)
        sums, squares = np.array([g.sum() for g in groups]), float(sum((g**2).sum() for g in groups))
        counts = np.array(sizes)
        assert correlation_ratio(counts, sums, squares, corrected=False) == pytest.approx(math.sqrt(eta2))
        adjusted = max(0.0, 1 - (1 - eta2) * (n - 1) / (n - k))
        assert correlation_ratio(counts, sums, squares) == pytest.approx(math.sqrt(adjusted))
        # a group of nobody is none
        assert correlation_ratio(np.append(counts, 0), np.append(sums, 0.0), squares) == pytest.approx(
            math.sqrt(adjusted)
        )


def test_correlation_ratio__as_many_numbers_as_groups_and_one_more():
    assert correlation_ratio(np.array([1, 1]), np.array([0.0, 1.0]), 1.0) == 0
    assert correlation_ratio(np.array([2, 1]), np.array([0.0, 1.0]), 1.0) == 1


def test_ratio_p_value__of_few_values_by_all_orders():
    """Four values in two groups of two, the least two apart: two of the six ways to deal them reach that."""
    values = np.array([0.0, 1.0, 10.0, 11.0])
    p_value = ratio_p_value(values, np.array([0, 0, 1, 1]), permutations=2000)
    ways = [abs(values[list(pair)].sum() - 11) for pair in itertools.combinations(range(4), 2)]
    assert p_value == pytest.approx(np.mean(np.array(ways) >= 10 - 1e-9), abs=0.04)
    # three are enough, two are not
    assert 0.2 < ratio_p_value(np.array([0.0, 1.0, 10.0]), np.array([0, 0, 1]), permutations=2000) < 0.45
    assert ratio_p_value(np.array([0.0, 1.0]), np.array([0, 1])) == 1


def test_table_p_value__of_few_counts_by_all_tables():
    """Margins (3, 3): of the 20 ways to draw three of six, two have all of one kind."""
    assert table_p_value(np.array([[3, 0], [0, 3]]), permutations=4000) == pytest.approx(2 / 20, abs=0.02)
    assert table_p_value(np.array([[2, 1], [1, 2]]), permutations=4000) == 1  # no table has less
    # fewer than are affordable are drawn all the same, and themselves counted: hundredths
    few = table_p_value(np.array([[3, 0], [0, 3]]), permutations=1)
    assert few * 100 == pytest.approx(round(few * 100))
    assert 0.02 < few < 0.25


def test_upper_tail__of_draws_that_are_all_alike():
    """There is no tail to fit: the observed value is the only one of its kind."""
    assert _upper_tail(np.full(99, 1.0), 2.0) == 1 / 100
    assert _upper_tail(np.full(99, 1.0), 1.0) == 1
    assert _upper_tail(np.append(np.full(90, 1.0), np.full(9, 3.0)), 2.0) <= 10 / 100
    assert _upper_tail(np.append(np.full(90, 1.0), np.full(10, 3.0)), 2.0) == 11 / 101


def test_correlation_ratio__nothing_to_compare():
    assert correlation_ratio(np.array([4, 0]), np.array([4.0, 0.0]), 10.0) == 0
    assert correlation_ratio(np.array([2, 2]), np.array([2.0, 2.0]), 4.0) == 0
    assert correlation_ratio(np.zeros(2), np.zeros(2), 0.0) == 0


def test_ratio_p_value__a_group_without_values_changes_nothing():
    rng = np.random.default_rng(5)
    groups, values = np.arange(60) % 3, rng.normal(size=60) + np.arange(60) % 3 * 0.3
    assert ratio_p_value(values, groups * 2) == ratio_p_value(values, groups)
    assert 0 < ratio_p_value(values, groups) < 0.5
    assert ratio_p_value(values[:2], groups[:2]) == ratio_p_value(np.ones(60), groups) == 1.0
    assert ratio_p_value(values, np.full(60, 2)) == 1.0


def test_ratio_p_value__near_the_f_test():
    rng = np.random.default_rng(4)
    groups = np.repeat([0, 1, 2], 60)
    for shift in (0.0, 0.2):
        values = rng.normal(0, 1, 180) + shift * groups
        expected = f_oneway(*(values[groups == k] for k in range(3))).pvalue
        assert ratio_p_value(values, groups) == pytest.approx(expected, abs=0.05)
    assert ratio_p_value(np.ones(9), np.arange(9) % 3) == 1
