"""Thresholds, recalls and calibration of detectors at the edges of their rules, by exhaustive loops."""

import itertools

import numpy as np
import pytest

from benchmark.detection import (
    auc,
    balanced_accuracy,
    best_threshold,
    calibration_error,
    cross,
    difference,
    mean_over,
    recall_at,
)


@pytest.mark.parametrize("seed", range(6))
def test_best_threshold__of_equal_ones_the_lowest_halfway_between_two_scores(seed):
    rng = np.random.default_rng(seed)
    scores, generated = rng.integers(0, 6, 14) / 2, rng.random(14) < 0.5
    generated[:2] = False, True
    values = np.unique(scores)
    cuts = [(low + high) / 2 for low, high in itertools.pairwise(values)]

    def reached(cut):
        return (scores[generated] > cut).mean() + (scores[~generated] <= cut).mean()

    best = max(reached(cut) for cut in cuts)
    assert best_threshold(scores, generated) == next(cut for cut in cuts if reached(cut) >= best - 1e-12)


def test_best_threshold__of_one_score_and_of_the_last_two():
    assert best_threshold(np.array([2.0, 2.0]), np.array([False, True])) == 2.0
    assert best_threshold(np.array([0.0, 1.0, 2.0, 4.0]), np.array([False, False, False, True])) == 3.0


@pytest.mark.parametrize(
    ("real", "rate", "allowed"),
    [(500, 0.01, 5), (499, 0.01, None), (50, 0.1, 5), (100, 0.29, 29), (100, 0.07, 7), (99, 0.07, 6), (5, 0.99, None)],
)
def test_recall_at__as_many_false_alarms_as_the_rate_allows(real, rate, allowed):
    scores = np.r_[np.arange(real) / real, 0.0, 0.5, 0.999, 2.0]
    point = recall_at(scores, np.arange(real + 4) >= real, rate)
    if allowed is None:
        assert point is None
        return
    assert point.threshold == (real - 1 - allowed) / real
    assert (point.false_alarms, point.recall) == (allowed / real, (scores[real:] > point.threshold).mean())


def test_recall_at__equal_scores_at_the_threshold_are_no_alarms():
    scores = np.r_[np.zeros(90), np.ones(10), 1.0, 1.0, 2.0]
    point = recall_at(scores, np.arange(103) >= 100, 0.05)
    assert (point.threshold, point.false_alarms, point.recall) == (1.0, 0.0, pytest.approx(1 / 3))


def test_calibration_error__bins_of_equal_width_with_their_lower_edge():
    probabilities = np.array([0.0, 0.24, 0.25, 0.5, 0.74, 0.75, 1.0])
    generated = np.array([True, False, False, True, True, False, True])
    apart = [abs(1 - 0.24), 0.25, abs(2 - 1.24), abs(1 - 1.75)]
    assert calibration_error(probabilities, generated, bins=4) == pytest.approx(sum(apart) / 7)
    assert calibration_error(np.array([1 / 15]), np.array([True])) == pytest.approx(14 / 15)


def test_statistics__values_lie_within_their_bounds_and_means_weigh_parts_equally():
    rng = np.random.default_rng(2)
    n = 40
    generated = np.arange(n) % 4 == 0
    first, second = rng.normal(size=n), rng.normal(size=n) + generated
    few = np.arange(12)
    of_all, of_few = auc(second, generated), auc(first[few], generated[few])
    whole = mean_over([(of_all, np.arange(n)), (of_few, few)], n)
    assert whole.value == pytest.approx((of_all.value + of_few.value) / 2)
    expected = np.full(n, whole.value) + (of_all.photo_values - of_all.value) / 2
    expected[few] += (of_few.photo_values - of_few.value) * n / 24
    assert whole.photo_values == pytest.approx(expected)
    right = balanced_accuracy((second > 0) == generated, generated)
    apart = difference(of_all, right)
    assert apart.value == pytest.approx(of_all.value - right.value)
    assert apart.photo_values == pytest.approx(of_all.photo_values - right.photo_values)
    assert apart.bound == of_all.bound + right.bound
    assert of_all.bound == right.bound == 1 + n / 10  # the ten generated photos weigh four times
    for statistic in (of_all, of_few, whole, right, apart):
        assert np.abs(statistic.photo_values).max() <= statistic.bound


def test_balanced_accuracy__of_shares_of_several_answers():
    shares, generated = np.array([0.5, 1.0, 0.25, 0.75, 0.0]), np.array([False, False, True, True, True])
    result = balanced_accuracy(shares, generated)
    assert result.value == pytest.approx((0.75 + 1 / 3) / 2)
    real, fake = shares[:2] - 0.75, shares[2:] - 1 / 3
    assert result.photo_values == pytest.approx(result.value + np.r_[real * 5 / 4, fake * 5 / 6])


def test_cross__both_classes_one_class_and_the_difference():
    original, processed = np.array([0.0, 1.0, 2.0, 3.0]), np.array([2.5, 0.5, 0.0, 9.0])
    generated = np.array([False, False, True, True])
    cell = cross(processed, original, generated)
    pairs = {
        "both": [(0.0, 2.5), (0.0, 0.5), (9.0, 2.5), (9.0, 0.5)],
        "real_only": [(2.0, 2.5), (2.0, 0.5), (3.0, 2.5), (3.0, 0.5)],
        "generated_only": [(0.0, 0.0), (0.0, 1.0), (9.0, 0.0), (9.0, 1.0)],
    }
    shares = {name: np.mean([(f > r) + 0.5 * (f == r) for f, r in some]) for name, some in pairs.items()}
    assert {name: getattr(cell, name).value for name in shares} == pytest.approx(shares)
    assert cell.bias.value == pytest.approx(shares["generated_only"] - shares["real_only"])
    assert cell.bias.photo_values.mean() == pytest.approx(cell.bias.value)


def test_mean_over__its_bound_holds_every_value_and_is_that_of_its_parts():
    """By hand: a part of m of n photos, one of k parts, moves a value by (value - mean of the part) * n / (m k)."""
    flags = np.array([False, True])
    one, other = auc(np.array([0.0, 1.0]), flags), auc(np.array([1.0, 0.0]), flags)
    assert (one.value, one.bound, other.value, other.bound) == (1.0, 3.0, 0.0, 3.0)
    assert mean_over([(one, np.array([0, 1])), (other, np.array([1, 2]))], 3).bound == pytest.approx(
        0.5 + (3 + 1) * 3 / 4 + 3 * 3 / 4
    )
    assert mean_over([(one, np.array([0, 1]))], 8).bound == pytest.approx(1 + (3 + 1) * 8 / 2)
    negative = difference(other, one)
    assert (negative.value, negative.bound) == (-1.0, 6.0)
    assert mean_over([(negative, np.array([1, 0]))], 2).bound == pytest.approx(1 + 6 + 1)
