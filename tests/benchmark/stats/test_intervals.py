"""Resampling statistics against closed forms, plain resampling, and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from benchmark.stats import photo_interval, photo_intervals
from benchmark.stats.resampling import resampled_means
from builders.errors import DataError
from scripts.checks import statistics


@pytest.mark.parametrize(("right", "n"), [(25, 50), (49, 50), (3, 20), (180, 200), (700, 1000)])
def test_photo_interval__of_right_and_wrong_is_jeffreys(right: int, n: int) -> None:
    interval = photo_interval([1] * right + [0] * (n - right), resamples=100_000)
    expected = reference.beta.ppf([0.025, 0.975], right + 0.5, n - right + 0.5)
    np.testing.assert_allclose([interval.low, interval.high], expected, atol=0.003)
    assert interval.value == right / n
    assert interval.n == n


@pytest.mark.parametrize("n", [50, 400])
def test_photo_interval__is_near_wilson(n: int) -> None:
    right = round(0.8 * n)
    interval = photo_interval([1] * right + [0] * (n - right))
    wilson = reference.binomtest(right, n).proportion_ci(method="wilson")
    assert abs(interval.low - wilson.low) < 0.5 / n
    assert abs(interval.high - wilson.high) < 0.5 / n


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_photo_interval__certainty_has_a_width(value: float) -> None:
    interval = photo_interval([value] * 20)
    assert interval.value == value
    assert (interval.low if value == 0 else interval.high) == value
    exact = reference.binomtest(int(20 * value), 20).proportion_ci(method="exact")
    # between nothing and Clopper and Pearson's, which covers at least as much as it says
    assert 0.5 * (exact.high - exact.low) < interval.high - interval.low < exact.high - exact.low


def test_photo_interval__of_many_photos_is_the_normal_one() -> None:
    values = np.random.default_rng(0).beta(2, 3, 5000)
    interval = photo_interval(values)
    error = values.std(ddof=1) / np.sqrt(5000)
    assert interval.standard_error == pytest.approx(error, rel=0.03)
    np.testing.assert_allclose(
        [interval.low, interval.high], values.mean() + error * np.array([-1.96, 1.96]), atol=0.1 * error
    )


def test_photo_interval__views_of_a_photo_count_once() -> None:
    rng = np.random.default_rng(1)
    right = rng.random(200) < 0.7
    one_view = photo_interval(right)
    # ten copies of every view: no new photo, no new knowledge
    ten_views = photo_interval(10 * right, np.full(200, 10.0))
    assert ten_views.low == pytest.approx(one_view.low, abs=1e-6)
    assert ten_views.high == pytest.approx(one_view.high, abs=1e-6)
    as_if_photos = photo_interval(np.repeat(right, 10))
    assert one_view.high - one_view.low > 2.5 * (as_if_photos.high - as_if_photos.low)


def test_photo_interval__photos_with_different_numbers_of_rows() -> None:
    rng = np.random.default_rng(2)
    rows = rng.integers(1, 9, 300)
    right = rng.binomial(rows, 0.6)
    interval = photo_interval(right, rows)
    assert interval.value == right.sum() / rows.sum()
    # standard error of a ratio by linearisation
    residual = (right - interval.value * rows) / rows.mean()
    assert interval.standard_error == pytest.approx(residual.std() / np.sqrt(300), rel=0.05)


def test_photo_intervals__set_ups_are_paired() -> None:
    rng = np.random.default_rng(3)
    common = rng.random(400)
    first, second = common < 0.7, common < 0.6
    draws = resampled_means([first, second], resamples=4000)
    assert np.corrcoef(draws.T)[0, 1] == pytest.approx(np.corrcoef(first, second)[0, 1], abs=0.05)
    both = photo_intervals([first, second])
    assert [interval.value for interval in both] == [first.mean(), second.mean()]


def test_resampled_means__agrees_with_plain_resampling_of_distinct_values() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(2, 150))
    draws = resampled_means(values, bounds=None, resamples=20_000)
    picked = rng.multinomial(150, np.full(150, 1 / 150), 20_000) @ values.T / 150
    np.testing.assert_allclose(draws.mean(0), values.mean(1), atol=0.003)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(picked.T), rtol=0.05, atol=2e-4)
    # the exact variance of a mean under a flat Dirichlet
    np.testing.assert_allclose(draws.var(0), values.var(1) / 151, rtol=0.04)


def test_resampled_means__does_not_depend_on_how_equal_photos_are_held() -> None:
    rng = np.random.default_rng(5)
    grouped = rng.integers(0, 4, 300) / 3
    # a jitter too small to matter keeps every photo apart
    apart = np.clip(grouped + 1e-9 * rng.random(300), 0, 1)
    one, other = resampled_means(grouped, resamples=20_000), resampled_means(apart, resamples=20_000)
    np.testing.assert_allclose(np.quantile(one, [0.025, 0.975]), np.quantile(other, [0.025, 0.975]), atol=0.003)


def test_resampled_means__memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    import benchmark.stats.resampling as module

    largest = 0
    original = np.empty

    def watched(shape: object, *args: object, **kwargs: object) -> np.ndarray:
        nonlocal largest
        array = original(shape, *args, **kwargs)
        largest = max(largest, array.nbytes)
        return array

    monkeypatch.setattr(module, "CHUNK_VALUES", 1 << 16)
    monkeypatch.setattr(module.np, "empty", watched)
    resampled_means(np.random.default_rng(0).random((1, 5000)), resamples=500)
    assert largest <= 4 * (1 << 16)


@pytest.mark.parametrize(
    ("values", "trials", "message"),
    [
        ([], None, "no photo"),
        ([0.5, np.nan], None, "not finite"),
        ([0.5, 3.0], None, "outside 0..1"),
        ([1, 1], [1, 1, 1], "2 photos but 3"),
        ([0, 0], [0, 0], "photo"),
    ],
)
def test_photo_interval__says_what_is_wrong(values: list[float], trials: list[float] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        photo_interval(values, trials)


def test_photo_interval__one_photo_knows_next_to_nothing() -> None:
    interval = photo_interval([1.0])
    assert interval.low < 0.3
    assert interval.high == 1


def test_photo_interval__same_seed_same_interval() -> None:
    values = np.random.default_rng(14).random(100)
    assert photo_interval(values, seed=3) == photo_interval(values, seed=3)
    assert photo_interval(values, seed=3).low != photo_interval(values, seed=4).low


@pytest.mark.slow
def test_coverage__is_at_least_93_percent_and_of_photos_at_most_97() -> None:
    """Clusters count one that was not seen, so that their intervals may hold the truth more often."""
    for row in statistics.interval_rows(trials=300, quick=True, resamples=300):
        # 1.3 % is one standard error of 300 trials
        assert row.clustered >= 0.93 - 0.02, row
        assert row.clustered <= 0.97 + 0.02 or "scenes" in row.setting, row
