"""Ends of intervals over few clusters: by hand and by laws; ``test_paired`` simulates how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from benchmark.stats import paired_difference, photo_interval
from benchmark.stats.student import ends, unit_means

SCENES = np.arange(6).repeat(20)


def ends_of_t(values, clusters):
    """Student's t with its correction, over clusters of equally many photos."""
    units = np.asarray(values, dtype=float).reshape(clusters.max() + 1, -1).mean(axis=1)
    low, high = ends(unit_means(units[None], np.ones(len(units)), 1.0), 0.95)
    return float(low[0]), float(high[0])


def difference(values, clusters=SCENES):
    result = photo_interval(values, clusters=clusters, bounds=(-1, 1))
    return result.low, result.high


def test_lengthened__is_korn_graubard_and_mover_by_hand() -> None:
    """Seven of 120 photos gained in four scenes, two lost in two: each share by itself, then both together."""
    values = np.zeros(120)
    values[[0, 1, 20, 21, 40, 41, 60]] = 1
    values[[50, 100]] = -1

    def ends_of(side):
        share = side.mean()
        between = side.reshape(6, 20).mean(axis=1).var(ddof=1) / 6
        n = share * (1 - share) / between * (reference.norm.ppf(0.975) / reference.t.ppf(0.975, 5)) ** 2
        n = min(n, 120)
        low = reference.beta.ppf(0.025, n * share, n * (1 - share) + 1)
        return share, low, reference.beta.ppf(0.975, n * share + 1, n * (1 - share))

    gain, _, gain_high = ends_of(np.maximum(values, 0))
    loss, loss_low, _ = ends_of(np.maximum(-values, 0))
    far = values.mean() + np.hypot(gain_high - gain, loss - loss_low)
    low, high = difference(values)
    t_low, t_high = ends_of_t(values, SCENES)
    assert t_low < 0 < values.mean() < t_high < far
    assert high == pytest.approx(far, rel=1e-9)
    # The nearer end moves by the share of its half that lies beyond zero.
    gain_low = ends_of(np.maximum(values, 0))[1]
    loss_high = ends_of(np.maximum(-values, 0))[2]
    by_photos = values.mean() - np.hypot(gain - gain_low, loss_high - loss)
    beyond = -t_low / (values.mean() - t_low)
    assert low == pytest.approx(t_low + min(by_photos - t_low, 0) * beyond, rel=1e-9)


def test_lengthened__many_differences_are_student_s() -> None:
    rng = np.random.default_rng(0)
    values = rng.choice([-1.0, 0.0, 1.0], 600, p=[0.2, 0.4, 0.4])
    scenes = np.arange(30).repeat(20)
    assert difference(values, scenes) == pytest.approx(ends_of_t(values, scenes))


def test_lengthened__photos_alone_in_their_cluster_stay_photos() -> None:
    """With many answers a photo's value says more than right or wrong."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.02, 0.1, 200).clip(-1, 1)
    low, high = difference(values, np.arange(200))
    alone = paired_difference(values.clip(0), (-values).clip(0))
    assert (low, high) == pytest.approx((alone.low, alone.high))


def test_lengthened__where_clusters_agree_the_rule_of_three_stays() -> None:
    for value in (0.0, 1.0, 0.25):
        same = np.full(120, value)
        low, high = difference(same)
        t_low, t_high = ends_of_t(same, SCENES)
        assert (low, high) == pytest.approx((t_low, t_high))


@st.composite
def clustered(draw):
    scenes = draw(st.integers(2, 8))
    each = draw(st.integers(1, 6))
    allowed = st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.0, 0.0, 1 / 6, 1.0])
    values = draw(st.lists(allowed, min_size=scenes * each, max_size=scenes * each))
    return np.array(values), np.arange(scenes).repeat(each)


@pytest.mark.slow
@given(clustered(), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=300, deadline=None)
def test_lengthened__never_changes_what_is_significant_and_never_shortens(data, level) -> None:
    values, clusters = data
    result = paired_difference(values.clip(0), (-values).clip(0), clusters=clusters, level=level)
    units = values.reshape(clusters.max() + 1, -1).mean(axis=1)
    (low,), (high,) = ends(unit_means(units[None], np.ones(len(units)), 1.0), level)
    assert -1 <= result.low <= low + 1e-12
    assert high - 1e-12 <= result.high <= 1
    if abs(result.p_value - (1 - level)) > 1e-9:
        assert (result.low > 0 or result.high < 0) == (result.p_value < 1 - level)


@given(clustered())
@settings(max_examples=100, deadline=None)
def test_lengthened__a_mirror_changes_the_sign_alone(data) -> None:
    values, clusters = data
    low, high = difference(values, clusters)
    mirrored = difference(-values, clusters)
    assert (low, high) == pytest.approx((-mirrored[1], -mirrored[0]))


def test_lengthened__ends_do_not_jump_where_the_difference_turns_or_becomes_significant() -> None:
    """A scene's photos move from losing to gaining a thousandth at a time; the mean crosses zero, then zero leaves."""
    rng = np.random.default_rng(2)
    base = rng.choice([0.0, 0.0, 0.0, 0.5, -0.5], 120) * 0.4
    steps = np.array([difference(base + shift) for shift in np.linspace(-0.15, 0.15, 601)])
    assert steps[0, 1] < 0 < steps[-1, 0]
    assert np.abs(np.diff(steps, axis=0)).max() < 0.002
