"""Arguments that callers seldom give: other levels, ranges, limits and rows; and sets that all err together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as reference
from statsmodels.stats.power import TTestPower

from benchmark.stats import (
    detectable_effect,
    needed_units,
    paired_difference,
    paired_differences,
    paired_power,
    photo_intervals,
    statistic_of,
    units_of_sets,
)
from benchmark.stats.student import ends, unit_means

LEVELS = (0.6, 0.8, 0.9, 0.99)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("clusters", [None, np.arange(36) // 3])
def test_paired_differences__reach_zero_exactly_where_p_is_not_below_one_minus_the_level(level, clusters) -> None:
    clamped = 0
    for seed in range(60):
        apart = np.random.default_rng(seed).choice([-1.0, 0.0, 1.0], 36, p=[0.08, 0.7, 0.22])
        [row] = paired_differences(apart[None], clusters=clusters, binary=True, level=level)
        rule = paired_difference(apart.clip(0), (-apart).clip(0), clusters=clusters, level=level)
        expected = (rule.low, rule.high)
        if row.p_value >= 1 - level:
            expected = (min(rule.low, 0.0), max(rule.high, 0.0))
            clamped += rule.low > 0
        assert (row.low, row.high) == expected
        assert (row.value, row.standard_error) == (rule.value, rule.standard_error)
    assert clamped or level == 0.99 or clusters is not None  # the named test is the more cautious one somewhere


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("units", [5, 57])
def test_plans__at_other_levels_are_statsmodels(level, units) -> None:
    for effect in (0.0, 0.05, 0.3, 0.5):  # further ones are NaN there
        expected = TTestPower().power(effect, units, 1 - level)
        assert paired_power(effect, units, level=level) == pytest.approx(expected, rel=1e-9)
        assert paired_power(-effect, units, level=level) == pytest.approx(expected, rel=1e-9)
    effect = detectable_effect(units, power=0.7, level=level)
    assert TTestPower().power(effect, units, 1 - level) == pytest.approx(0.7, rel=1e-9)
    assert needed_units(effect, power=0.7, level=level) == pytest.approx(units, rel=1e-6)


@pytest.mark.parametrize("level", LEVELS)
def test_photo_intervals__the_range_of_a_difference_is_the_wider_of_its_bounds(level) -> None:
    """Units that agree are between the ends that their range allows, as the rule of three has it."""
    unseen = 1 - ((1 - level) / 2) ** (1 / 9)
    for bounds, width in (((-1.0, 1.0), 1.0), ((-3.0, 1.0), 3.0), ((-1.0, 2.0), 2.0)):
        [made] = photo_intervals([[0.5] * 9], bounds=bounds, level=level)
        ends_of_width = (0.5 - unseen * (0.5 + width), 0.5 + unseen * (width - 0.5))
        assert (made.low, made.high) == pytest.approx(ends_of_width)
        assert made.standard_error == pytest.approx((made.high - made.low) / (2 * reference.norm.ppf(0.5 + level / 2)))


@pytest.mark.parametrize("level", [0.7, 0.9, 0.99])
@pytest.mark.parametrize(
    ("gains", "losses"),
    [([0, 1, 20, 21, 40, 41, 60], [50, 100]), ([0, 20, 40, 60, 80, 100, 101], [])],
    ids=["rare ones", "more alike than chance"],
)
def test_paired_difference__of_gains_and_losses_in_plain_numbers(level, gains, losses) -> None:
    """Six clusters of 20 photos: Student's ends, lengthened by those of both shares, of no more than all photos."""
    clusters, apart, tail = np.arange(6).repeat(20), np.zeros(120), (1 - level) / 2
    apart[gains], apart[losses] = 1, -1

    def independent(side):
        share, variance = side.mean(), side.reshape(6, 20).mean(axis=1).var(ddof=1) / 6
        shrunk = (reference.norm.ppf(1 - tail) / reference.t.ppf(1 - tail, 5)) ** 2
        return min(share * (1 - share) / variance * shrunk, 120)

    def ends_of(share, n):
        low = reference.beta.ppf(tail, n * share, n * (1 - share) + 1) if share else 0.0
        return share, low, reference.beta.ppf(1 - tail, n * share + 1, n * (1 - share))

    of_gains = independent(apart.clip(0))
    of_losses = independent((-apart).clip(0)) if losses else of_gains  # as the other outcome clusters
    gain, gain_low, gain_high = ends_of(len(gains) / 120, of_gains)
    loss, loss_low, loss_high = ends_of(len(losses) / 120, of_losses)
    (t_low,), (t_high,) = ends(unit_means(apart.reshape(6, 20).mean(axis=1)[None], np.ones(6), 1.0), level)
    value = apart.mean()
    below, above = np.hypot(gain - gain_low, loss_high - loss), np.hypot(gain_high - gain, loss - loss_low)
    low = t_low - max(below - (value - t_low), 0) * np.clip(-t_low / (value - t_low), 0, 1)
    high = t_high + max(above - (t_high - value), 0) * np.clip(t_high / (t_high - value), 0, 1)
    made = paired_difference(apart.clip(0), (-apart).clip(0), clusters=clusters, level=level)
    assert (made.low, made.high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


UNLIKE = np.repeat(np.arange(7), [1, 2, 9, 4, 4, 1, 6])


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize(("limits", "width"), [((0.0, 1.0), 1.0), ((-1.0, 1.0), 2.0)])
def test_paired_difference__of_statistics_at_other_levels_and_limits(level, limits, width) -> None:
    """``limits`` are those of the statistics, ``bounds`` of values by photo, which a small cluster may have beyond."""
    rng = np.random.default_rng(8)
    for scale in (0.1, 2.0):
        first, second = (0.5 + scale * rng.normal(size=27) for _ in range(2))
        how = {"bounds": (-900.0, 900.0), "level": level, "freedom": 5, "limits": limits}
        made = paired_difference(first, second, clusters=UNLIKE, **how)
        expected = statistic_of(first - second, UNLIKE, 5)
        interval = expected.interval(27, (-width, width), level)
        assert (made.value, made.low, made.high, made.n, made.standard_error, made.units) == (
            interval.value, interval.low, interval.high, 27, expected.error, 7
        )  # fmt: skip
        assert made.p_value == expected.p_value(0.0)
        assert -width <= made.low < made.high <= width
        by_photo = paired_difference(first, second, **how)
        assert by_photo == paired_difference(first, second, bounds=(-900.0, 900.0), level=level)


def test_paired_difference__of_clusters_whose_photos_cancel_is_no_difference() -> None:
    """Thirty clusters of one photo gain, one of thirty photos loses as much: the mean over photos is zero."""
    clusters = np.r_[np.arange(30), np.full(30, 30)]
    first = np.r_[np.full(30, 0.875), np.full(30, 0.125)]
    made = paired_difference(first, np.full(60, 0.5), clusters=clusters)
    assert made.value == 0
    assert made.p_value == 1
    assert made.low <= 0 <= made.high


def joined(owners: list[str], sets: list[int]) -> list[int]:
    """The component of each set, by merging sets that share an owner until nothing changes."""
    component = list(range(max(sets) + 1))
    changed = True
    while changed:
        changed = False
        for (a, s), (b, t) in itertools.combinations(zip(owners, sets, strict=True), 2):
            if a == b and a and component[s] != component[t]:
                component = [min(component[s], component[t]) if c in (component[s], component[t]) else c
                             for c in component]  # fmt: skip
                changed = True
    return component


@pytest.mark.parametrize("seed", range(8))
def test_units_of_sets__are_components_or_the_sets_themselves(seed: int) -> None:
    """Sets that all err together say nothing of the spread, as sets of which no two do: each is a unit then."""
    rng = np.random.default_rng(seed)
    sets = rng.permutation(np.r_[np.arange(5), rng.integers(0, 5, 5)])
    owners = rng.choice([*"abcdefgh"[: 2 + seed % 7], ""], 10).astype(str)
    made = units_of_sets({"owner": owners}, np.arange(10), sets, "scene")
    component = joined(owners.tolist(), sets.tolist())
    distinct = len(set(owners.tolist()) - {""}) + int((owners == "").sum())
    if 2 <= distinct < 10 and 2 <= len(set(component)) < 5:
        assert (made.rule, made.count, made.alone) == ("owner", len(set(component)), False)
        assert [[a == b for b in made.index] for a in made.index] == [[a == b for b in component] for a in component]
        sizes = np.bincount(component)
        assert made.effective == pytest.approx(25 / np.square(sizes).sum())
    else:
        assert (made.rule, made.count, made.effective, made.clusters) == ("scene", 5, 5.0, None)
        assert made.index.tolist() == [0, 1, 2, 3, 4]


def test_units_of_sets__a_chain_of_all_sets() -> None:
    owners = np.array(["ann", "bob", "bob", "cid", "cid", "ann"])
    made = units_of_sets({"owner": owners}, np.arange(6), np.array([0, 0, 1, 1, 2, 2]), "pair")
    assert (made.rule, made.count, made.alone, made.index.tolist()) == ("pair", 3, True, [0, 1, 2])
