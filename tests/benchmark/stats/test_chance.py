"""Effect sizes by hand, and tests against chance: scipy's t-test, the size under chance, few clusters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from benchmark.stats import against_chance, effect_size, holm
from builders.errors import DataError


@pytest.mark.parametrize(("value", "chance", "expected"), [(1, 0.5, 1), (0.5, 0.5, 0), (0.6, 0.2, 0.5), (0.0, 0.5, -1)])
def test_effect_size__by_hand(value: float, chance: float, expected: float) -> None:
    result = effect_size(value, value - 0.1, value + 0.2, chance)
    assert result.value == pytest.approx(expected)
    assert result.high - result.low == pytest.approx(0.3 / (1 - chance))


def test_effect_size__of_a_difference_is_itself() -> None:
    assert effect_size(-0.2, -0.3, -0.1, 0.0).low == -0.3


def test_effect_size__of_one_class() -> None:
    with pytest.raises(DataError, match="one possible answer"):
        effect_size(1, 1, 1, 1)


def test_against_chance__is_the_one_sided_t_test() -> None:
    values = np.array([0.2, 0.4, 0.3, 0.35, 0.25, 0.3])
    expected = reference.ttest_1samp(values, 0.25, alternative="greater").pvalue
    assert against_chance(values, 0.25) == pytest.approx(expected)
    expected = reference.ttest_1samp(values, 0.25).pvalue
    assert against_chance(values, 0.25, two_sided=True) == pytest.approx(expected)
    scene = np.arange(6).repeat(10)
    assert against_chance(values.repeat(10), 0.25, clusters=scene) == pytest.approx(against_chance(values, 0.25))


def test_against_chance__rows_are_not_photos() -> None:
    assert against_chance([3.0, 4, 2, 3], 0.25, [6, 8, 4, 6]) == against_chance([0.5] * 4, 0.25)
    assert against_chance([3.0, 5, 2, 3], 0.25, [6, 8, 4, 6]) < 0.05


def test_against_chance__a_weak_score_among_many_questions_is_not_a_finding() -> None:
    """17.0 % of 300 photos where one in six is chance, beside 11 questions that find as little; and one that does."""
    weak = against_chance([1.0] * 51 + [0.0] * 249, 1 / 6)
    strong = against_chance([1.0] * 90 + [0.0] * 210, 1 / 6)
    assert weak == pytest.approx(0.44, abs=0.01)
    result = holm([weak] * 11 + [strong])
    assert result[0] == 1
    assert result[-1] < 0.001


def test_against_chance__all_right() -> None:
    """As many agreeing units, each as far from chance as it can be: a sign test at even chance."""
    assert against_chance([1.0] * 10, 0.5) == pytest.approx(2.0**-10)
    assert against_chance([0.0] * 10, 0.5) > 0.99


@pytest.mark.parametrize("classes", [2, 6, 30])
def test_against_chance__seldom_finds_what_is_not_there(classes: int) -> None:
    rng = np.random.default_rng(classes)
    for photos, answers in ((40, 1), (300, 6)):
        draws = rng.binomial(answers, 1 / classes, (600, photos)) / answers
        result = np.mean([against_chance(values, 1 / classes) < 0.05 for values in draws])
        assert result <= 0.05 + 3 * 0.0089


def test_against_chance__scenes_near_the_ceiling_are_no_doubt_about_chance() -> None:
    """Ten scenes at 58 to 100 %, chance 50 %: their lean is that of the ceiling, and a t-test has no doubt either."""
    scenes = np.array([0.82, 0.95, 1, 0.95, 0.94, 0.95, 0.94, 0.58, 0.93, 1])
    by_t = reference.ttest_1samp(scenes, 0.5, alternative="greater").pvalue
    result = against_chance(scenes, 0.5)
    assert by_t <= result < 1e-3
    near = scenes - scenes.mean() + 0.56  # the same lean near chance: more cautious than the t-test, as it was
    assert against_chance(near, 0.5) > 1.05 * reference.ttest_1samp(near, 0.5, alternative="greater").pvalue


@given(st.lists(st.floats(0, 1), min_size=5, max_size=30), st.floats(0, 0.3))
@settings(max_examples=100, deadline=None)
def test_against_chance__never_rises_as_chance_falls(values: list[float], down: float) -> None:
    assert against_chance(values, 0.3 - down) <= against_chance(values, 0.3) + 1e-9
