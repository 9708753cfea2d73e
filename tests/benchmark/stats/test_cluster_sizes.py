"""Clusters of unequal size: one mean for value, interval, p-value and rank, and its level in small simulations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.stats import against_chance, paired_difference, photo_interval, rank_intervals
from scripts.checks import heavy_tails, informative_sizes
from scripts.checks.clusters import cluster_sizes, measure


def test_paired_difference__of_equal_clusters_is_the_t_test_of_their_means() -> None:
    first, second = np.random.default_rng(1).random((2, 9, 11)) < 0.6
    expected = stats.ttest_rel(first.mean(axis=1), second.mean(axis=1)).pvalue
    detected = paired_difference(first.ravel(), second.ravel(), clusters=np.arange(9).repeat(11)).p_value
    assert detected == pytest.approx(expected)


def test_paired_difference__by_hand() -> None:
    """Clusters of 6, 2 and 1 photos: CR2 where two photos of one cluster correlate by 0.1."""
    clusters, first = np.repeat([0, 1, 2], [6, 2, 1]), np.array([1, 1, 1, 0, 0, 1, 1, 1, 0.0])
    second = np.array([0, 0, 1, 0, 0, 1, 1, 0, 0.0])
    weights, means = np.array([6, 2, 1]) / 9, np.array([2 / 6, 1 / 2, 0])
    covariance = np.diag([1.5 / 6, 1.1 / 2, 1.0])
    variance = 0.0
    for i, (weight, mean) in enumerate(zip(weights, means, strict=True)):
        less_mean = np.eye(3)[i] - weights
        variance += covariance[i, i] / (less_mean @ covariance @ less_mean) * (weight * (mean - 3 / 9)) ** 2
    expected = 2 * stats.t.sf(3 / 9 / np.sqrt(variance), max(1 / (weights**2).sum() - 1, 1))
    detected = paired_difference(first, second, clusters=clusters)
    assert (detected.value, detected.n, detected.units) == (pytest.approx(3 / 9), 9, 3)
    assert detected.p_value == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 40), min_size=2, max_size=12))
def test_paired_difference__is_about_the_mean_over_photos(seed: int, sizes: list[int]) -> None:
    """Its interval holds that mean, it leaves out zero exactly if p < 0.05, and no order or name matters."""
    rng = np.random.default_rng(seed)
    clusters = np.arange(len(sizes)).repeat(sizes)
    shift = rng.normal(0.1, 0.4, len(sizes))[clusters]
    first = np.clip(0.5 + shift / 2 + rng.normal(0, 0.05, len(clusters)), 0, 1)
    second = np.clip(0.5 - shift / 2, 0, 1)
    found = paired_difference(first, second, clusters=clusters)
    assert found.value == pytest.approx((first - second).mean())
    assert found.low <= found.value <= found.high
    if found.p_value < 0.05:
        assert found.value != 0
    else:
        assert found.low <= 0 <= found.high
    order, names = rng.permutation(len(clusters)), rng.permutation(len(sizes))
    again = paired_difference(first[order], second[order], clusters=names[clusters[order]])
    for name in ("value", "low", "high", "p_value"):
        assert getattr(again, name) == pytest.approx(getattr(found, name), abs=1e-9)


def test_rank_intervals__p_values_are_those_of_paired_differences() -> None:
    rng, clusters = np.random.default_rng(5), np.repeat(np.arange(6), [40, 12, 5, 2, 1, 1])
    board = (rng.random((4, len(clusters))) < 0.7).astype(float)
    ranks = rank_intervals(board, clusters=clusters)
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    p_values = [paired_difference(board[i], board[j], clusters=clusters).p_value for i, j in pairs]
    order = np.argsort(p_values)
    corrected = np.minimum(np.maximum.accumulate(np.array(p_values)[order] * np.arange(6, 0, -1)), 1)
    for p, at in zip(corrected, order, strict=True):
        assert ranks.p_values[pairs[at]] == pytest.approx(p)


@pytest.mark.parametrize("law", informative_sizes.LAWS)
def test_levels__where_the_effect_goes_with_the_size(law: str) -> None:
    """150 trials of 20 clusters; at a true level of 4 %, 14 and more are seen in one of 1,000 runs."""
    shares = informative_sizes.measure(law, 20, 150, 4)
    assert max(shares[name] for name in ("p", "gate 2", "gate 0", "ranks")) <= 14 / 150


@pytest.mark.parametrize("accuracy", [0.5, 0.9])
def test_levels__where_clusters_have_heavy_tails(accuracy: float) -> None:
    """Logits of Student's t with 2 degrees of freedom; Student's t over 10 clusters at 90 % rejects in 24 %."""
    coverage, small, of_t = heavy_tails.measure(10, accuracy, 1.0, photos=27, trials=150, seed=0)
    assert coverage >= 0.93
    assert small <= 0.08
    assert of_t > 0.1 or accuracy == 0.5


def test_against_chance__most_frequent_class_of_which_one_cluster_has_the_rest() -> None:
    """A constant answer on a class of 90 %: never above chance, whatever the clusters."""
    right = np.arange(200) >= 20
    assert against_chance(right, 0.9, clusters=np.arange(200) // 20) >= 0.5


def test_clusters__of_one_photo_are_photos() -> None:
    board = np.random.default_rng(2).random((3, 60)) < np.array([[0.9], [0.7], [0.6]])
    alone, plain = rank_intervals(board, clusters=np.arange(60)), rank_intervals(board)
    np.testing.assert_allclose(alone.p_values, plain.p_values)


@pytest.mark.parametrize("values", [[1, 0, 1], [1, 1, 1]])
def test_photo_interval__one_cluster_says_nothing_of_others(values: list[int]) -> None:
    interval = photo_interval(values, clusters=["a", "a", "a"])
    assert interval.units == 1
    assert interval.low < 0.05
    assert interval.high == 1


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["equal", "zipf"])
def test_levels__few_trials_of_the_published_table(shape: str) -> None:
    """400 trials of two settings; standard error of a coverage 1.1 points."""
    for count in (10, 28):
        row = measure(count, shape, 0.5, 400, 11, (0.6, 0.3))
        sizes = cluster_sizes(count, shape)
        assert row.effective == pytest.approx(sizes.sum() ** 2 / (sizes**2).sum())
        assert min(row.single, row.paired, row.paired_null, row.spd) >= 0.92
        assert max(row.size, row.spd_size, row.chance) <= 0.08
        assert row.ranks <= 0.08
        if shape == "equal":
            assert row.detected >= row.t_detected - 0.02
