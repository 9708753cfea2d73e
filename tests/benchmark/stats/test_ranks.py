"""Ranks of several encoders against known order, single pairs and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.stats import (
    holm,
    independent_p_values,
    pair_p_values,
    paired_difference,
    rank_intervals,
    ranks_of_pairs,
    standard_error,
    unit_deviations,
)


def test_rank_intervals__ties_and_gaps() -> None:
    rng = np.random.default_rng(10)
    difficulty = rng.random(500)
    noise = rng.random((5, 500)) * 0.1
    shares = np.array([0.5, 0.8, 0.8, 0.3, 0.795])
    ranks = rank_intervals(difficulty + noise - 0.05 < shares[:, None])
    assert ranks.tied_with_best.tolist() == [False, True, True, False, True]
    assert ranks.low.tolist() == [4, 1, 1, 5, 1]
    assert ranks.high.tolist() == [4, 3, 3, 5, 3]
    assert ranks.tie_class.tolist() == [2, 1, 1, 3, 1]
    assert (ranks.low <= ranks.rank).all()
    assert (ranks.rank <= ranks.high).all()
    np.testing.assert_array_equal(ranks.p_values, ranks.p_values.T)


def test_rank_intervals__pairs_agree_with_paired_difference() -> None:
    rng = np.random.default_rng(11)
    board = rng.beta(5, 3, (2, 200))
    single = paired_difference(board[0], board[1])
    assert rank_intervals(board).p_values[0, 1] == pytest.approx(single.p_value)


def test_rank_intervals__identical_encoders_share_every_rank() -> None:
    values = np.random.default_rng(12).random(50) < 0.5
    ranks = rank_intervals([values] * 4)
    assert ranks.rank.tolist() == [1] * 4
    assert (ranks.low.tolist(), ranks.high.tolist()) == ([1] * 4, [4] * 4)
    assert ranks.tied_with_best.all()


def test_rank_intervals__one_encoder() -> None:
    ranks = rank_intervals([[1, 0, 1]])
    assert (ranks.low.tolist(), ranks.high.tolist(), ranks.tie_class.tolist()) == ([1], [1], [1])


def test_rank_intervals__all_right_against_all_wrong() -> None:
    assert rank_intervals([[1.0] * 30, [0.0] * 30]).tied_with_best.tolist() == [True, False]
    # two photos cannot tell
    assert rank_intervals([[1.0] * 2, [0.0] * 2]).tied_with_best.tolist() == [True, True]


def test_rank_intervals__rarely_claims_a_false_rank() -> None:
    rng = np.random.default_rng(13)
    wrong = 0
    for _ in range(300):
        ranks = rank_intervals(rng.random((6, 120)) < 0.7)
        wrong += not (ranks.tied_with_best.all() and (ranks.high == 6).all())
    assert wrong / 300 < 0.08


def test_independent_p_values__from_published_numbers() -> None:
    error = standard_error(0.68, 0.72)
    assert error == pytest.approx(0.04 / 3.92, rel=1e-3)
    values = [0.70, 0.71, 0.5]
    ranks = ranks_of_pairs(values, independent_p_values(values, [error] * 3))
    assert ranks.tied_with_best.tolist() == [True, True, False]
    values = [0.7, 0.7, 0.71]
    exact = ranks_of_pairs(values, independent_p_values(values, [0, 0, 0]))
    assert exact.low.tolist() == [2, 2, 1]


def test_rank_intervals__all_pairs_of_scenes_agree_with_paired_difference() -> None:
    rng = np.random.default_rng(14)
    scene = np.arange(12).repeat(5)
    board = rng.random((5, 60)) < rng.beta(3, 1 + np.arange(5)[:, None], (5, 12))[:, scene]
    board[4] = board[3]
    result = rank_intervals(board, clusters=scene).p_values
    pairs = [(i, j) for i in range(5) for j in range(i)]
    single = [paired_difference(board[i], board[j], clusters=scene).p_value for i, j in pairs]
    assert [result[i, j] for i, j in pairs] == pytest.approx(list(holm(single)))
    assert result[4, 3] == 1


def test_rank_intervals__pairs_that_lean_agree_with_paired_difference() -> None:
    """Encoders that fail on a few photos only, in either order: the longer tail lies on either side."""
    board = np.ones((4, 60))
    for encoder, failures in enumerate([0, 7, 4, 12]):
        board[encoder, 5 * encoder : 5 * encoder + failures] = 0
    result = rank_intervals(board).p_values
    mirrored = rank_intervals(board[::-1]).p_values
    pairs = [(i, j) for i in range(4) for j in range(i)]
    single = [paired_difference(board[i], board[j]).p_value for i, j in pairs]
    assert [result[i, j] for i, j in pairs] == pytest.approx(list(holm(single)))
    np.testing.assert_allclose(result, mirrored[::-1, ::-1])


def test_pair_p_values__of_rows_that_hardly_differ() -> None:
    """Differences of 1e-6 where values spread over 0.3: products of the rows have lost all but four digits of them."""
    rng = np.random.default_rng(15)
    base = rng.random(500)
    board = np.clip(base + 1e-6 * rng.normal([[0.0], [0.1], [0.2]], 1, (3, 500)), 0, 1)
    rows = unit_deviations(board)
    result = pair_p_values(rows, rows, 1.0)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert result[i, j] == pytest.approx(paired_difference(board[i], board[j]).p_value, rel=1e-8)


def test_pair_p_values__of_two_groups_are_those_of_one() -> None:
    board = np.random.default_rng(16).beta(5, 3, (5, 200))
    rows = unit_deviations(board)
    whole = pair_p_values(rows, rows, 1.0)
    np.testing.assert_allclose(pair_p_values(rows[:2], rows[2:], 1.0), whole[:2, 2:], rtol=1e-9)
    np.testing.assert_allclose(whole, whole.T, rtol=1e-12)
