"""Rank intervals: all pairs at once against each pair by itself, and by hand where two photos differ."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark.stats import independent_p_values, paired_difference, rank_intervals, ranks_of_pairs


def reference_p(first, second, clusters=None) -> float:
    """The p-value of one pair by itself, which has its own references (t-test, sign test) in ``test_paired.py``."""
    return paired_difference(first, second, clusters=clusters).p_value


def pair(first, second, clusters=None, **options) -> float:
    return float(rank_intervals([first, second], clusters=clusters, **options).p_values[0, 1])


def shares(of: int, *right: int) -> np.ndarray:
    """Encoders that are right about the first ``right`` of ``of`` photos."""
    return np.array([np.arange(of) < n for n in right], dtype=float)


CASES = {
    "one photo of ten differs": shares(10, 5, 4),
    "three of ten": shares(10, 5, 2),
    "all of six": shares(6, 6, 0),
    "all of eight, each a little": np.array([np.full(8, 0.9), np.full(8, 0.7)]),
    "most of twenty, some more": np.array([np.linspace(0.5, 1, 20), np.full(20, 0.6)]),
    "both ways": np.array([[1, 1, 1, 1, 0, 0, 0.5], [0, 1, 0, 0, 1, 0, 0.25]]),
}


@pytest.mark.parametrize("case", CASES)
def test_rank_intervals__p_value_is_that_of_the_pair(case):
    first, second = CASES[case]
    assert pair(first, second) == pytest.approx(reference_p(first, second), rel=1e-9)
    assert pair(second, first) == pytest.approx(reference_p(first, second), rel=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_rank_intervals__of_values_twice_as_wide(case):
    first, second = CASES[case]
    assert pair(2 * first, 2 * second, bounds=(0.0, 2.0)) == pytest.approx(pair(first, second), rel=1e-9)


@pytest.mark.parametrize(
    ("sizes", "first", "second"),
    [
        ((60, *[3] * 30), 0.9, 0.5),
        ((40, 30, *[2] * 20), 0.8, 0.6),
        ((1, 2, 3, 4, 50), 0.7, 0.6),
        ((7, 7, 7, 7), 0.9, 0.3),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_rank_intervals__clusters_of_unequal_size(sizes, first, second, seed):
    """Also where the first encoder is always right about the largest cluster, and the second never."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    measured, reference = rng.random(len(clusters)) < first, rng.random(len(clusters)) < second
    largest = clusters == int(np.argmax(sizes))
    measured[largest], reference[largest] = True, False
    assert pair(measured, reference, clusters) == pytest.approx(reference_p(measured, reference, clusters), rel=1e-9)


def test_rank_intervals__a_few_photos_make_no_rank():
    """Two photos, and one of ten, could be anything; six of six against none is a sign test, and 30 of 40 against 10 is
    no chance."""
    assert pair(*shares(2, 2, 0)) > 0.05
    assert pair(*shares(10, 5, 4)) > 0.3
    assert pair(*shares(1000, 501, 500)) > 0.3
    assert pair(*shares(6, 6, 0)) == pytest.approx(2 / 2**6)
    assert pair(*shares(40, 30, 10)) < 0.001


def test_rank_intervals__low_and_high_count_who_is_better_and_worse():
    """Four encoders right about 380, 372, 200 and 60 of 400 photos: the first two are tied, the others stand alone."""
    rng = np.random.default_rng(0)
    board = np.array([rng.permutation(row) for row in shares(400, 200, 380, 60, 372)])
    ranks = rank_intervals(board)
    assert ranks.rank.tolist() == [3, 1, 4, 2]
    assert ranks.low.tolist() == [3, 1, 4, 1]
    assert ranks.high.tolist() == [3, 2, 4, 2]
    assert ranks.tied_with_best.tolist() == [False, True, False, True]
    assert ranks.tie_class.tolist() == [2, 1, 3, 1]


def test_rank_intervals__p_values_are_corrected_for_all_pairs():
    """Holm over three pairs: the smallest times three, the next times two, the last as it is, and never falling."""
    board = shares(60, 40, 30, 25)
    one, two, three = sorted(reference_p(board[i], board[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    result = rank_intervals(board).p_values
    expected = [3 * one, max(3 * one, 2 * two), max(3 * one, 2 * two, three)]
    assert sorted(result[np.triu_indices(3, 1)]) == pytest.approx(np.minimum(expected, 1), rel=1e-9)
    assert result.diagonal().tolist() == [1.0] * 3


def test_rank_intervals__level_decides_what_is_significant():
    """6 of 60 photos apart, p = 0.017: ranks at 95 %, a tie at 99 %."""
    board = shares(60, 36, 30)
    assert 0.01 < pair(*board) < 0.05
    assert rank_intervals(board, level=0.95).low.tolist() == [1, 2]
    assert rank_intervals(board, level=0.99).low.tolist() == [1, 1]


def test_independent_p_values__by_hand():
    """0.8 - 0.7 with standard errors of 0.03 and 0.04: two standard errors of 0.05 apart; three pairs are corrected."""
    values = [0.7, 0.8, 0.2]
    result = ranks_of_pairs(values, independent_p_values(values, [0.04, 0.03, 0.04]))
    assert result.p_values[0, 1] == pytest.approx(2 * scipy_stats.norm.sf(2))
    assert result.p_values[0, 2] == pytest.approx(2 * 2 * scipy_stats.norm.sf(0.5 / math.hypot(0.04, 0.04)))
    assert (result.rank.tolist(), result.low.tolist(), result.high.tolist()) == ([2, 1, 3], [2, 1, 3], [2, 1, 3])
    values = [0.7, 0.79]
    assert ranks_of_pairs(values, independent_p_values(values, [0.04, 0.03])).low.tolist() == [1, 1]
