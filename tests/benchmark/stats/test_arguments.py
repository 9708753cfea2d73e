"""What each argument of the intervals changes: level, bounds, clusters and rows, against closed forms."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from benchmark.stats import paired_difference, photo_interval, photo_intervals, standard_error
from builders.errors import DataError

THIRTY_OF_FIFTY = [1] * 30 + [0] * 20


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99])
def test_photo_interval__level(level):
    result = photo_interval(THIRTY_OF_FIFTY, level=level, resamples=40_000)
    expected = scipy_stats.beta.ppf([0.5 - level / 2, 0.5 + level / 2], 30.5, 20.5)
    assert [result.low, result.high] == pytest.approx(expected, abs=0.005)


def test_paired_difference__a_lower_level_is_narrower_and_the_same_test():
    rng = np.random.default_rng(0)
    first, second = rng.random(400), rng.random(400)
    usual, narrow = paired_difference(first, second), paired_difference(first, second, level=0.8)
    assert (narrow.high - narrow.low) / (usual.high - usual.low) == pytest.approx(1.2816 / 1.96, rel=0.06)
    assert narrow.p_value == usual.p_value


def test_paired_difference__bounds():
    """Answers twice as large within twice the range: everything twice as large, and the same p-value."""
    rng = np.random.default_rng(2)
    first, second = rng.random(80), rng.random(80) * 0.8
    one, two = paired_difference(first, second), paired_difference(2 * first, 2 * second, bounds=(0.0, 2.0))
    assert [two.value, two.low, two.high] == pytest.approx([2 * one.value, 2 * one.low, 2 * one.high], rel=1e-4)
    assert two.p_value == pytest.approx(one.p_value, abs=1e-3)
    with pytest.raises(DataError, match="outside"):
        paired_difference([2.0, 0.0], [0.0, 0.0])


def test_paired_difference__a_tiny_p_value_is_two_sided():
    """60 of 400 photos for the first, 10 for the second: six standard errors either way."""
    apart = np.repeat([1.0, -1.0, 0.0], [60, 10, 330])
    one, other = (paired_difference(np.maximum(s * apart, 0), np.maximum(-s * apart, 0)) for s in (1, -1))
    assert one.value == -other.value == pytest.approx(50 / 400)
    assert one.p_value == pytest.approx(other.p_value, rel=1e-9)
    by_t = 2 * scipy_stats.t.sf(one.value / (apart.std(ddof=1) / 20), 399)
    assert by_t * (1 - 1e-9) <= one.p_value < 10 * by_t


def test_photo_interval__holds_its_value_at_the_edge_of_the_range():
    """All 20 photos at 0.001: nearly every weighting of the two imagined half photos is above it."""
    low, high = photo_interval([0.001] * 20), photo_interval([0.999] * 20)
    assert low.low == low.value == pytest.approx(0.001)
    assert high.high == high.value == pytest.approx(0.999)


def test_photo_intervals__differences_in_clusters_say_how_many():
    """Three scenes of 20 photos: what is resampled is scenes, and three of them know less than 60 photos."""
    values = np.repeat([0.5, 0.0, -0.25], 20)
    by_scene = photo_interval(values, clusters=np.repeat(["a", "b", "c"], 20), bounds=(-1.0, 1.0))
    by_photo = photo_interval(values, bounds=(-1.0, 1.0))
    assert (by_scene.n, by_scene.units, by_photo.units) == (60, 3, 60)
    assert by_scene.value == by_photo.value == pytest.approx(0.25 / 3)
    assert by_scene.high - by_scene.low > 3 * (by_photo.high - by_photo.low)


def test_photo_interval__shares_in_clusters_are_not_resampled_by_photo():
    right = np.repeat([1, 1, 0, 1], 25)
    by_scene = photo_interval(right, clusters=np.repeat(np.arange(4), 25))
    assert (by_scene.units, by_scene.n) == (4, 100)
    assert by_scene.low < 0.4


@pytest.mark.parametrize("clusters", [None, np.arange(60) // 4])
@pytest.mark.parametrize("share", [0.0, 0.7, 1.0])
def test_photo_interval__of_values_on_another_scale_is_on_that_scale(clusters, share):
    values = np.random.default_rng(0).random(60).round(1) if share == 0.7 else np.full(60, share)
    plain = photo_interval(values, clusters=clusters)
    scaled = photo_interval(2 + 3 * values, clusters=clusters, bounds=(2.0, 5.0))
    assert [scaled.value, scaled.low, scaled.high] == pytest.approx(
        [2 + 3 * end for end in (plain.value, plain.low, plain.high)]
    )
    assert scaled.standard_error == pytest.approx(3 * plain.standard_error)
    assert (scaled.n, scaled.units) == (plain.n, plain.units)


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint8, np.float32])
def test_photo_interval__of_any_kind_of_number_is_that_of_float64(kind):
    values = np.random.default_rng(1).integers(0, 2, 50).astype(kind)
    for more in ({}, {"clusters": np.arange(50) // 5}, {"bounds": (-1.0, 1.0)}):
        assert photo_interval(values, **more) == photo_interval(values.astype(np.float64), **more)


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-500.0, 2.0), (3.0, 700.0)])
def test_photo_interval__values_may_leave_the_range_by_rounding_alone(bounds, rows):
    slack = 1e-9 * max(1, *map(abs, bounds)) * rows
    for side, end in ((-1, bounds[0]), (1, bounds[1])):
        given = np.full((3, 2), (bounds[0] + bounds[1]) / 2 * rows)
        given[1, 0] = end * rows + side * slack * 0.9
        photo_interval(given[:, 0], np.full(3, rows), bounds=bounds)
        given[1, 0] = end * rows + side * slack * 1.1
        with pytest.raises(DataError, match="outside"):
            photo_interval(given[:, 0], np.full(3, rows), bounds=bounds)


def test_photo_interval__an_end_of_the_range_is_reached():
    for value, end in ((0.0, "low"), (1.0, "high")):
        assert getattr(photo_interval([value] * 9), end) == value
        assert getattr(photo_interval([2 * value] * 9, bounds=(0.0, 2.0)), end) == 2 * value
        assert getattr(photo_interval([value] * 9, clusters=[0, 1, 2] * 3), end) == value


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_standard_error__of_a_normal_interval(level):
    z = scipy_stats.norm.ppf(0.5 + level / 2)
    assert standard_error(0.5 - 0.02 * z, 0.5 + 0.02 * z, level) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("values", "trials", "message"),
    [
        ([-0.1, 0.5], None, "outside 0..1"),
        ([1.1, 0.5], None, "outside 0..1"),
        ([0, 1], [-1, 2], "photo"),
        ([3, 1], [2, 2], "outside 0..1"),
        ([0.5, 1], [1, np.inf], "not finite"),
    ],
)
def test_photo_intervals__says_what_is_wrong(values, trials, message):
    with pytest.raises(DataError, match=message):
        photo_intervals([values], trials)
