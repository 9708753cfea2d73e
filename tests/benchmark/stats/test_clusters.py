"""Photos in clusters: intervals against scipy, the jackknife and simulation; the rest against single photos."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark.stats import paired_difference, photo_interval, photo_intervals, rank_intervals
from benchmark.stats.resampling import clopper_pearson, cluster_sums, clustered_interval
from builders.errors import DataError


def test_cluster_sums__in_order_of_names() -> None:
    sums, rows = cluster_sums(np.array([[1.0, 0, 1, 1]]), np.array([1.0, 1, 1, 2]), ["x", "a", "x", "b"])
    assert sums.tolist() == [[0.0, 1.0, 2.0]]
    assert rows.tolist() == [1.0, 2.0, 2.0]


def test_clustered_interval__photos_that_stand_alone_are_nearly_jeffreys() -> None:
    values = np.arange(300) % 3 == 0
    alone = photo_interval(values, clusters=np.arange(300))
    plain = photo_interval(values)
    assert (alone.value, alone.units) == (plain.value, 300)
    assert [alone.low, alone.high] == pytest.approx([plain.low, plain.high], abs=0.003)


def test_clustered_interval__never_surer_than_independent_photos() -> None:
    """Every scene alike: clusters say nothing against independence, and cannot say more than the photos."""
    alike = photo_interval(np.tile([1, 0, 0], 60), clusters=np.repeat(np.arange(10), 18))
    plain = photo_interval(np.tile([1, 0, 0], 60))
    assert alike.low < plain.low < plain.high < alike.high


def test_clustered_interval__few_wrong_in_few_scenes_keep_coverage() -> None:
    """98 % right in 14 scenes that differ: Jeffreys' ends hold the truth in 88 of 100 samples."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(1000):
        result = clustered_interval(
            rng.binomial(27, rng.beta(7.84, 0.16, 14)).astype(float), np.full(14, 27.0), 14 * 27
        )
        held += result.low <= 0.98 <= result.high
    assert held >= 0.92 * 1000


@pytest.mark.parametrize(("right", "n"), [(1, 8), (5, 10), (39, 40)])
def test_clopper_pearson__is_scipys_exact_interval(right: int, n: int) -> None:
    expected = scipy_stats.binomtest(right, n).proportion_ci(0.95, method="exact")
    low, high = clopper_pearson(right / n, n, 0.025)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high))


def test_clustered_interval__scales_with_bounds() -> None:
    sums, rows = np.array([9.0, 3.0, 6.0]), np.full(3, 10.0)
    unit, twice = clustered_interval(sums, rows, 30), clustered_interval(2 * sums, rows, 30, bounds=(0.0, 2.0))
    assert [twice.low, twice.high, twice.standard_error] == pytest.approx(
        [2 * unit.low, 2 * unit.high, 2 * unit.standard_error]
    )


def test_photo_interval__scenes_of_alike_photos_keep_coverage() -> None:
    """27 photos of a scene share its difficulty: resampling photos would hold the truth in two of three trials."""
    rng = np.random.default_rng(1)
    scene = np.repeat(np.arange(10), 27)
    held, held_by_photos = 0, 0
    for trial in range(300):
        right = rng.random(270) < rng.beta(3.2, 4.8, 10)[scene]
        measured = photo_interval(right, clusters=scene)
        photos = photo_interval(right, resamples=400, seed=trial)
        held += measured.low <= 0.4 <= measured.high
        held_by_photos += photos.low <= 0.4 <= photos.high
    assert held >= 0.91 * 300
    assert held_by_photos <= 0.8 * 300


def test_photo_intervals__same_rows_as_one_by_one() -> None:
    values = np.random.default_rng(2).random((3, 40))
    clusters = np.arange(40) // 4
    together = photo_intervals(values, clusters=clusters)
    assert together == [photo_interval(row, clusters=clusters) for row in values]


def test_paired_difference__copies_of_a_photo_count_once() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.random(50) < 0.8, rng.random(50) < 0.6
    once = paired_difference(first, second)
    copied = paired_difference(np.repeat(first, 9), np.repeat(second, 9), clusters=np.repeat(np.arange(50), 9))
    assert (copied.value, copied.n) == (pytest.approx(once.value), 450)
    assert [copied.low, copied.high] == pytest.approx([once.low, once.high], abs=1e-6)
    assert copied.p_value == pytest.approx(once.p_value)


def test_rank_intervals__copies_of_a_photo_count_once() -> None:
    board = np.random.default_rng(4).random((4, 60)) < np.array([[0.9], [0.8], [0.7], [0.4]])
    once = rank_intervals(board)
    copied = rank_intervals(np.repeat(board, 5, axis=1), clusters=np.repeat(np.arange(60), 5))
    assert copied.p_values == pytest.approx(once.p_values)
    assert copied.low.tolist() == once.low.tolist()


def test_photo_interval__a_name_for_every_photo() -> None:
    with pytest.raises(DataError, match="clusters"):
        photo_interval([1, 0, 1, 1], clusters=["a", "b", "b"])
