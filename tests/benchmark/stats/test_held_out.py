"""Thresholds that some scores choose: their rate and range on others, against theorems and simulation."""

import numpy as np
import pytest
from scipy.special import betaln, comb

from benchmark.stats import Threshold, expected_above, threshold_at
from builders.errors import DataError


def test_threshold_at__by_hand():
    scores = np.array([0.9, 0.1, 0.5, 0.7, 0.3])
    assert threshold_at(scores, 0.34) == Threshold(0.7, 2, 5)  # 2 of 6
    assert threshold_at(scores, 0.33) == Threshold(0.9, 1, 5)
    assert threshold_at(scores, 1e-9) == Threshold(0.9, 1, 5)  # one in six is the least that five photos can state
    assert threshold_at(scores, 0.34).rate == pytest.approx(2 / 6)


def test_threshold_at__ties_never_let_more_pass_than_stated():
    tied = np.array([0.2, 0.5, 0.5, 0.5, 0.9, 1.0])
    assert threshold_at(tied, 3 / 7).value == 0.9  # 0.5 would let five pass, three are allowed
    assert threshold_at(np.ones(4), 0.4).value > 1
    with pytest.raises(DataError):
        threshold_at(np.array([]), 0.1)
    with pytest.raises(DataError):
        threshold_at(np.array([np.nan, 1.0]), 0.1)


@pytest.mark.parametrize(("k", "n", "others"), [(3, 60, 40), (1, 6, 30), (2, 6, 25), (2, 199, 200), (4, 9, 12)])
def test_expected_above__the_beta_binomial_written_out(k, n, others):
    counts = range(others + 1)
    mass = [comb(others, x) * np.exp(betaln(k + x, n + 1 - k + others - x) - betaln(k, n + 1 - k)) for x in counts]
    assert sum(mass) == pytest.approx(1)
    low, high = expected_above(Threshold(0.0, k, n), others)
    assert sum(mass[: int(low)]) < 0.025 <= sum(mass[: int(low) + 1])
    assert sum(mass[int(high) + 1 :]) <= 0.025 < sum(mass[int(high) :])


@pytest.mark.parametrize("n", [40, 200])
def test_thresholds__hold_on_scores_that_did_not_choose_them_in_95_of_100_draws(n):
    rng = np.random.default_rng(n)
    within = 0
    for _ in range(400):
        scores = rng.normal(size=2 * n) ** 3
        threshold = threshold_at(scores[:n], 0.03)
        low, high = expected_above(threshold, n)
        within += low <= int((scores[n:] >= threshold.value).sum()) <= high
    assert within / 400 > 0.95 - 0.033  # three standard errors
