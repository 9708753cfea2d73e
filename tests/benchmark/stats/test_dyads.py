"""The error of a mean over pairs of units against the sum over all pairs of pairs that share a unit."""

import numpy as np
import pytest

from benchmark.stats import dyad_mean


@pytest.mark.parametrize("seed", range(4))
def test_dyad_mean__the_variance_is_that_of_the_plain_double_sum(seed):
    rng = np.random.default_rng(seed)
    ends = np.array([(a, b) for a, b in rng.integers(0, 12, (60, 2)) if a != b])
    values = rng.normal(size=len(ends)) + ends.sum(axis=1)
    apart = values - values.mean()
    double = sum(apart[i] * apart[j] for i in range(len(ends)) for j in range(len(ends)) if set(ends[i]) & set(ends[j]))
    sizes = np.bincount(ends.ravel())
    effective = sizes.sum() ** 2 / np.square(sizes).sum()
    result = dyad_mean(values, ends[:, 0], ends[:, 1])
    assert result.value == pytest.approx(values.mean())
    assert result.error == pytest.approx((double / len(ends) ** 2 * effective / (effective - 1)) ** 0.5)
    turned = dyad_mean(values[::-1], ends[::-1, 1] * 7, ends[::-1, 0] * 7)
    assert turned.error == pytest.approx(result.error)


def test_dyad_mean__a_unit_of_many_pairs_counts_as_one():
    hub = dyad_mean(np.arange(50.0), np.zeros(50, np.int64), np.arange(1, 51))
    apart = dyad_mean(np.arange(50.0), np.arange(50), np.arange(50, 100))
    assert hub.freedom < 5 < 90 < apart.freedom
