"""Resampling statistics against closed forms, plain resampling, and simulated truth."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from benchmark.stats.intervals import (
    holm,
    independent_rank_intervals,
    paired_difference,
    photo_interval,
    photo_intervals,
    rank_intervals,
    standard_error,
)
from benchmark.stats.resampling import resampled_means
from builders.errors import DataError


def script(name: str) -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "scripts" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


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


def test_paired_difference__equal_encoders_are_tied() -> None:
    rng = np.random.default_rng(6)
    values = rng.random(300) < 0.6
    same = paired_difference(values, values)
    assert (same.value, same.low < 0 < same.high, same.p_value > 0.5) == (0, True, True)


def test_paired_difference__a_real_difference_is_found() -> None:
    rng = np.random.default_rng(7)
    difficulty = rng.random(800)
    found = paired_difference(difficulty < 0.70, difficulty < 0.66)
    assert found.low > 0
    assert found.p_value < 1e-4
    # unpaired, the same two shares could not be told apart
    alone = photo_interval(difficulty < 0.70), photo_interval(difficulty < 0.66)
    assert alone[0].low < alone[1].high


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.3])
def test_paired_difference__p_value_is_near_the_paired_t_test(shift: float) -> None:
    rng = np.random.default_rng(8)
    first = rng.beta(4, 4, 150)
    second = np.clip(first - shift * rng.random(150) + 0.2 * (rng.random(150) - 0.5), 0, 1)
    ours = paired_difference(first, second).p_value
    expected = reference.ttest_rel(first, second).pvalue
    if expected > 1e-3:
        assert ours == pytest.approx(expected, rel=0.15, abs=0.03)
    else:
        assert ours < 1e-2


def test_paired_difference__swaps_sign() -> None:
    rng = np.random.default_rng(9)
    first, second = rng.random(100), rng.random(100)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.value == -other.value
    assert one.low == pytest.approx(-other.high, abs=0.01)
    assert one.p_value == pytest.approx(other.p_value, abs=0.03)


def test_paired_difference__needs_the_same_photos() -> None:
    with pytest.raises(DataError, match="3 and 2 photos"):
        paired_difference([1, 0, 1], [1, 0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_holm__is_the_step_down_rule(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, i in enumerate(order):
            if p_values[i] * (len(p_values) - step) > level:
                break
            rejected.add(int(i))
        assert {int(i) for i in np.flatnonzero(adjusted <= level)} == rejected


def test_holm__of_none() -> None:
    assert holm([]).shape == (0,)


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
    single = paired_difference(board[0], board[1], resamples=100_000)
    assert rank_intervals(board).p_values[0, 1] == pytest.approx(single.p_value, abs=0.01)


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


def test_independent_rank_intervals__from_published_numbers() -> None:
    error = standard_error(0.68, 0.72)
    assert error == pytest.approx(0.04 / 3.92, rel=1e-3)
    ranks = independent_rank_intervals([0.70, 0.71, 0.5], [error] * 3)
    assert ranks.tied_with_best.tolist() == [True, True, False]
    exact = independent_rank_intervals([0.7, 0.7, 0.71], [0, 0, 0])
    assert exact.low.tolist() == [2, 2, 1]


@pytest.mark.parametrize(
    ("values", "trials", "message"),
    [
        ([], None, "no photo"),
        ([0.5, np.nan], None, "not finite"),
        ([0.5, 3.0], None, "outside 0..1"),
        ([1, 1], [1, 1, 1], "2 photos but 3"),
        ([0, 0], [0, 0], "no photo has a row"),
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


def test_coverage__of_the_95_percent_interval_is_between_93_and_97() -> None:
    table = script("interval_coverage").rows(trials=500, quick=True, resamples=500)
    assert len(table) >= 7
    for row in table:
        # 1 % is one standard error of 500 trials
        assert 0.93 - 0.02 <= row.ours <= 0.97 + 0.02, row
