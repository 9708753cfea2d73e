"""Clusters of unequal size: weights and variance by hand and by brute force, and the level in a small simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.stats import against_chance, paired_difference, photo_interval, rank_intervals
from benchmark.stats.clusters import balanced_weights, photo_weights, scaled_deviations, weighted_mean
from benchmark.stats.resampling import clustered_tail
from benchmark.stats.student import cluster_means
from scripts.checks.clusters import cluster_sizes, draw, measure

SIZES = np.array([40, 12, 5, 5, 2, 1, 1])


def working_covariance(sizes: np.ndarray) -> np.ndarray:
    """Covariance of the clusters' means where two photos of one cluster correlate by 0.1."""
    return np.diag([(1 + (n - 1) * 0.1) / n for n in sizes])


@pytest.mark.parametrize("weights_of", [photo_weights, balanced_weights])
def test_weights__the_variance_is_unbiased_under_the_working_correlation(weights_of) -> None:
    """E[sum c (w (y - mean))^2] by matrices: the quadratic form's trace against the variance of the weighted mean."""
    weights, covariance = weights_of(SIZES.astype(float)), working_covariance(SIZES)
    less_mean = np.eye(len(SIZES)) - weights.weights[None]
    form = less_mean.T @ np.diag(weights.correction * weights.weights**2) @ less_mean
    of_mean = weights.weights @ covariance @ weights.weights
    assert np.trace(form @ covariance) == pytest.approx(of_mean)


def test_balanced_weights__are_the_most_precise_under_the_working_correlation() -> None:
    inverse = np.linalg.inv(working_covariance(SIZES))
    expected = inverse.sum(axis=1) / inverse.sum()
    np.testing.assert_allclose(balanced_weights(SIZES.astype(float)).weights, expected)


def test_scaled_deviations__moments_are_those_of_the_mean() -> None:
    """Mean square over G - 1 of G: the corrected variance, summed by a loop."""
    rng = np.random.default_rng(0)
    sizes, sums = SIZES.astype(float), rng.random((3, len(SIZES))) * SIZES
    weights = balanced_weights(sizes)
    scaled = scaled_deviations(sums, sizes, weights)
    for row, of_row in zip(sums, scaled, strict=True):
        means = row / sizes
        centre = float(sum(w * m for w, m in zip(weights.weights, means, strict=True)))
        terms = zip(weights.weights, weights.correction, means, strict=True)
        variance = sum(c * (w * (m - centre)) ** 2 for w, c, m in terms)
        assert (of_row**2).mean() / (len(SIZES) - 1) == pytest.approx(variance)


def test_cluster_means__of_equal_clusters_is_the_t_test_of_their_means() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random((2, 9, 11)) < 0.6
    expected = stats.ttest_rel(first.mean(axis=1), second.mean(axis=1)).pvalue
    detected = paired_difference(first.ravel(), second.ravel(), clusters=np.arange(9).repeat(11)).p_value
    assert detected == pytest.approx(expected)


def test_paired_difference__by_hand() -> None:
    """Clusters of 6, 2 and 1: weights 6 / 1.5, 2 / 1.1 and 1."""
    clusters, first = np.repeat([0, 1, 2], [6, 2, 1]), np.array([1, 1, 1, 0, 0, 1, 1, 1, 0.0])
    second = np.array([0, 0, 1, 0, 0, 1, 1, 0, 0.0])
    weights = np.array([4, 2 / 1.1, 1]) / (5 + 2 / 1.1)
    means = np.array([2 / 6, 1 / 2, 0])
    centre = weights @ means
    error = np.sqrt((weights**2 * (means - centre) ** 2 / (1 - weights)).sum())
    expected = 2 * stats.t.sf(centre / error, 1 / (weights**2).sum() - 1)
    detected = paired_difference(first, second, clusters=clusters)
    assert (detected.value, detected.n, detected.units) == (pytest.approx(3 / 9), 9, 3)
    assert detected.p_value == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(8))
def test_paired_difference__zero_lies_outside_exactly_below_five_per_cent(seed: int) -> None:
    rng = np.random.default_rng(seed)
    clusters = np.arange(len(SIZES)).repeat(SIZES)
    # a cluster's own difference, so that the mean over photos and the weighted mean may have opposite signs
    shift = rng.normal(0.1, 0.4, len(SIZES))[clusters]
    first = np.clip(0.5 + shift / 2 + rng.normal(0, 0.05, len(clusters)), 0, 1)
    second = np.clip(0.5 - shift / 2, 0, 1)
    detected = paired_difference(first, second, clusters=clusters)
    assert detected.low <= detected.value <= detected.high
    if detected.p_value >= 0.05:
        assert detected.low <= 0 <= detected.high


def test_paired_difference__of_opposite_means_is_none() -> None:
    """One cluster of 90 photos is worse, nine of one photo are better: the photos' mean and the clusters' disagree."""
    clusters = np.r_[np.zeros(90, int), np.arange(1, 31)]
    first = np.r_[np.full(90, 0.4), np.full(30, 0.8)] + np.random.default_rng(0).normal(0, 0.01, 120)
    detected = paired_difference(first, np.full(120, 0.5), clusters=clusters)
    assert detected.value == pytest.approx(0, abs=0.01)
    assert detected.low <= detected.value <= detected.high
    worse = paired_difference(first - 0.1, np.full(120, 0.5), clusters=clusters)
    assert worse.value < 0 < worse.high
    assert worse.p_value == 1


def test_against_chance__most_frequent_class_of_which_one_cluster_has_the_rest() -> None:
    """A constant answer on a class of 90 %: never above chance, whatever the clusters."""
    right = np.arange(200) >= 20
    assert against_chance(right, 0.9, clusters=np.arange(200) // 20) >= 0.5


def test_clustered_tail__few_wrong_answers_count_with_two_clusters_of_the_working_correlation() -> None:
    """Nine wrong of 200 in ten clusters, chance 90 %: variance, design effect and binomial tail by hand."""
    wrong = np.array([3, 2, 1, 1, 1, 1, 0, 0, 0, 0])
    share, chance = 191 / 200, 0.9
    between = ((wrong / 20).var(ddof=1)) / 10
    correlated = share * (1 - share) / 200 * (1 + 19 * 0.1)
    assert correlated > between
    variance = (9 * between + 2 * correlated) / 11
    shrunk = (stats.norm.ppf(0.95) / stats.t.ppf(0.95, 11)) ** 2
    effective = share * (1 - share) / variance * shrunk
    expected = stats.beta.cdf(chance, effective * share, effective * (1 - share) + 1)
    assert clustered_tail(20.0 - wrong, np.full(10, 20.0), 200, chance) == pytest.approx(expected)


def test_against_chance__of_a_frequent_class_in_unlike_clusters_holds_its_level() -> None:
    """400 trials of 28 geometric clusters at a chance of 98 %: 13.9 % were below 5 % in 2,000 trials before."""
    rng, sizes = np.random.default_rng(3), cluster_sizes(28, "geometric")
    (rights,) = draw(rng, 400, sizes, (0.98,), (1.0, 0.5))
    clusters = np.arange(28).repeat(sizes)
    assert np.mean([against_chance(right, 0.98, clusters=clusters) < 0.05 for right in rights]) <= 0.1


def test_clustered__sizes_of_one_are_single_photos() -> None:
    """A cluster for every photo is no cluster: the same p-values as without."""
    board = np.random.default_rng(2).random((3, 60)) < np.array([[0.9], [0.7], [0.6]])
    alone, plain = rank_intervals(board, clusters=np.arange(60)), rank_intervals(board)
    np.testing.assert_allclose(alone.p_values, plain.p_values)


def test_cluster_means__one_cluster_among_empty_ones() -> None:
    means = cluster_means(np.array([[3.0, 0.0]]), np.array([4.0, 0.0]), 4, 1.0, balanced=True)
    assert (means.units, float(means.value[0]), bool(means.equal[0])) == (1, 0.75, True)
    assert photo_interval([1, 0, 1], clusters=["a", "a", "a"]).units == 1


@pytest.mark.parametrize("shape", ["equal", "geometric", "zipf"])
def test_levels__few_trials_of_the_published_table(shape: str) -> None:
    """400 trials of two settings; standard error of a coverage 1.1 points. The rule before held Zipf's in 88 %."""
    for count in (10, 28):
        row = measure(count, shape, 0.5, 400, 11, (0.6, 0.3))
        assert row.effective == pytest.approx(
            cluster_sizes(count, shape).sum() ** 2 / (cluster_sizes(count, shape) ** 2).sum()
        )
        assert min(row.single, row.paired, row.paired_null, row.spd) >= 0.92
        assert max(row.size, row.spd_size, row.chance) <= 0.08
        assert row.ranks <= 0.08
        assert row.detected >= row.t_detected - 0.03


@pytest.mark.parametrize("weights_of", [photo_weights, balanced_weights])
def test_clusters_without_photos__add_nothing(weights_of) -> None:
    sums, rows = np.array([[3.0, 0.0, 1.0, 2.0], [0.5, 0.0, 2.0, 1.0]]), np.array([4.0, 0.0, 2.0, 9.0])
    present = rows > 0
    weights, others = weights_of(rows), weights_of(rows[present])
    np.testing.assert_allclose(
        weighted_mean(sums, rows, weights), weighted_mean(sums[:, present], rows[present], others)
    )
    measured = scaled_deviations(sums, rows, weights)
    expected = scaled_deviations(sums[:, present], rows[present], others)
    assert not measured[:, 1].any()
    # on the scale of four clusters instead of three
    np.testing.assert_allclose(measured[:, present], expected * np.sqrt(4 * 3 / (3 * 2)))
