"""Paired differences against scipy's paired t-test, and simulated truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from benchmark.stats import Difference, is_gain, paired_difference, photo_interval, photo_intervals
from builders.errors import DataError
from scripts.checks import statistics


@pytest.mark.parametrize(
    ("value", "low", "gain"), [(0.005, 0.001, True), (0.0049, 0.001, False), (0.02, 0.0, False), (-0.02, -0.03, False)]
)
def test_is_gain__half_a_point_or_more_with_an_interval_above_zero(value: float, low: float, gain: bool) -> None:
    assert is_gain(Difference(value, low, 0.05, 0.01, 100, 0.02, 100)) is gain


def test_paired_difference__equal_encoders_are_tied() -> None:
    rng = np.random.default_rng(6)
    values = rng.random(300) < 0.6
    same = paired_difference(values, values)
    assert (same.value, same.low < 0 < same.high, same.p_value > 0.5) == (0, True, True)


def test_paired_difference__a_real_difference_is_found() -> None:
    rng = np.random.default_rng(7)
    difficulty = rng.random(800)
    detected = paired_difference(difficulty < 0.70, difficulty < 0.66)
    assert detected.low > 0
    assert detected.p_value < 1e-4
    # unpaired, the same two shares could not be told apart
    alone = photo_interval(difficulty < 0.70), photo_interval(difficulty < 0.66)
    assert alone[0].low < alone[1].high


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.1, 0.3])
def test_paired_difference__is_the_paired_t_test(shift: float) -> None:
    rng = np.random.default_rng(8)
    first = rng.beta(4, 4, 150)
    second = np.clip(first - shift * rng.random(150) + 0.2 * (rng.random(150) - 0.5), 0, 1)
    measured = paired_difference(first, second).p_value
    assert measured == pytest.approx(reference.ttest_rel(first, second).pvalue, rel=1e-6)


def test_paired_difference__swaps_sign() -> None:
    rng = np.random.default_rng(9)
    first, second = rng.random(100), rng.random(100)
    one, other = paired_difference(first, second), paired_difference(second, first)
    assert one.value == -other.value
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == pytest.approx(other.p_value)


def test_paired_difference__needs_the_same_photos() -> None:
    with pytest.raises(DataError, match="3 and 2 photos"):
        paired_difference([1, 0, 1], [1, 0])


def test_paired_difference__scenes_are_the_t_test_of_their_means() -> None:
    rng = np.random.default_rng(10)
    scene = np.arange(10).repeat(27)
    first = rng.random(270) < rng.normal(0.7, 0.1, 10)[scene]
    second = rng.random(270) < rng.normal(0.6, 0.1, 10)[scene]
    detected = paired_difference(first, second, clusters=scene)
    of_scenes = (first.astype(float) - second).reshape(10, 27).mean(axis=1)
    expected = reference.ttest_1samp(of_scenes, 0)
    ends = expected.confidence_interval()
    assert (detected.n, detected.units) == (270, 10)
    assert [detected.p_value, detected.low, detected.high] == pytest.approx(
        [expected.pvalue, ends.low, ends.high], rel=1e-6
    )
    assert detected.standard_error == pytest.approx(of_scenes.std(ddof=1) / np.sqrt(10))


def test_paired_difference__one_photo_is_no_evidence() -> None:
    """Whatever their number, photos that agree do not make a single one significant."""
    for n in (2, 40, 5000):
        first, second = np.ones(n), np.ones(n)
        second[0] = 0
        assert paired_difference(first, second).p_value > 0.3


def test_photo_interval__of_a_difference_is_paired_difference() -> None:
    rng = np.random.default_rng(11)
    first, second = rng.random((2, 60)).round(1)
    scene = np.arange(60) // 6
    for clusters in (None, scene):
        interval = photo_interval(first - second, clusters=clusters, bounds=(-1, 1))
        detected = paired_difference(first, second, clusters=clusters)
        assert (interval.low, interval.high, interval.units) == (detected.low, detected.high, detected.units)


def test_photo_intervals__differences_of_photos_with_different_numbers_of_rows() -> None:
    rng = np.random.default_rng(12)
    rows = rng.integers(1, 9, 200).astype(float)
    apart = rng.normal(0.05, 0.2, 200).clip(-1, 1) * rows
    interval = photo_intervals([apart], rows, bounds=(-1, 1))[0]
    residual = (apart - interval.value * rows) / rows.mean()
    assert interval.value == pytest.approx(apart.sum() / rows.sum())
    assert interval.standard_error == pytest.approx(residual.std(ddof=1) / np.sqrt(200))


@pytest.mark.slow
def test_simulation__coverage_and_power() -> None:
    """Between 93 and 97 % as docs/explanation/statistics.md says, within three standard errors (1.1 %) of 400 trials.

    Above that where equal encoders at 98 % differ in next to nothing, as with Student's t."""
    table = statistics.difference_rows(trials=400, quick=True)
    assert len(table) == 12
    for row in table:
        nothing = row.accuracy == 0.98 and not row.truth
        assert 0.93 - 0.033 <= row.coverage <= (1 if nothing else 0.97 + 0.033), row
        assert row.detected >= row.t_detected - 0.05, row
    worse = [row for row in table if row.accuracy == 0.98 and row.truth and "scenes" in row.world]
    assert len(worse) == 2
    assert all(row.coverage > row.t_coverage + 0.03 for row in worse), worse


@pytest.mark.slow
@pytest.mark.parametrize("world", [(40, 1, 60), (10, 27, 6)])
def test_simulation__null_p_values_are_uniform(world: tuple[int, int, int]) -> None:
    """Of photos and of scenes: Kolmogorov and Smirnov's test, and the share below 5 % (one standard error: 0.56 %)."""
    row = statistics.measure_difference(statistics.World(*world, 0.8, 0.8), 1500, seed=1)
    assert row.ks is not None
    assert row.ks > 0.001
    assert abs(row.detected - 0.05) < 0.02


def test_simulation__a_true_difference_is_what_many_photos_show() -> None:
    world = statistics.World(4000, 27, 1, 0.8, 0.65)
    first, second = statistics.draw_world(world, np.random.default_rng(0))
    assert (first.mean(), second.mean()) == pytest.approx((0.8, 0.65), abs=0.015)
