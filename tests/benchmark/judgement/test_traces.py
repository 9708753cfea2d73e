"""Verdicts on hand-made scores, flags of a board, and planted readers without a trace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.judgement import chance_flags, judge, training_margin
from benchmark.judgement.scores import units_of
from benchmark.judgement.training import rising
from benchmark.results import Score
from benchmark.stats import against_chance, wilson_interval


def score(low: float = 0.4, value: float = 0.5, high: float = 0.6, chance: float = 0.25, **details: Any) -> Score:
    return Score("probe/x", "toy", "accuracy", value, low, high, 100, chance, details)


def of_answers(right: np.ndarray, chance: float, **details: Any) -> Score:
    """The score of answers by photo, as a task makes it."""
    value, ends = float(right.mean()), wilson_interval(float(right.mean()), len(right))
    guess = max(chance, details.get("most_frequent_class", 0.0))
    details |= {"p_chance": against_chance(right, guess)}
    return Score("probe/x", "toy", "accuracy", value, ends.low, ends.high, len(right), chance, details)


def traces(*scores: Score, **rule: float) -> list[str]:
    return [verdict.trace for verdict in judge(scores, **rule)]


def test_judge__weak_is_shown_by_an_equivalence_test() -> None:
    """5,000 photos show that 27 % is less than 5 % of the way from 25 %; of 100 photos 27 % may be more."""

    def near(n: int) -> Score:
        return of_answers(np.repeat([1.0, 0.0], [27 * n // 100, 73 * n // 100]), 0.25)

    assert traces(near(100_000)) == ["weak"]
    assert traces(near(1_600)) == ["readable"]
    assert traces(near(100)) == ["undecided"]


def test_judge__a_group_is_read_beyond_its_label() -> None:
    assert traces(score(p_chance=0.001, p_within_label=0.2)) == ["undecided"]
    assert traces(score(p_chance=0.001, p_within_label=0.01)) == ["readable"]


@pytest.mark.parametrize(("shuffled", "trace"), [(0.05, "readable"), (0.051, "undecided")])
def test_judge__shuffled_labels_are_a_second_condition(shuffled: float, trace: str) -> None:
    assert traces(score(p_chance=0.001, controls={"shuffled": {"p_value": shuffled}})) == [trace]


def test_judge__without_a_p_value_the_interval_decides_in_the_same_family() -> None:
    assert traces(score(low=0.27), score(low=0.25)) == ["readable", "readable"]
    assert traces(*[score(low=0.26)] * 3) == ["undecided"] * 3
    assert [v.p_value is None for v in judge([score(p_chance=0.01), score()])] == [False, True]


def test_judge__an_absent_trace_needs_many_photos() -> None:
    """8 of 10 right where a guess is right in half proves neither; nor do 65 % of 20; 5,000 photos at chance do."""
    few = of_answers(np.repeat([1.0, 0.0], [8, 2]), 0.5), of_answers(np.repeat([1.0, 0.0], [13, 7]), 0.5)
    assert traces(few[1]) == ["undecided"]
    assert "none" not in traces(*few)
    assert traces(of_answers(np.tile([1.0, 0.0], 2500), 0.5)) == ["none"]


@pytest.mark.parametrize(("largest", "chance"), [(0.8, 0.5), (0.7, 1 / 3)])
def test_judge__a_constant_answer_is_no_trace(largest: float, chance: float) -> None:
    right = np.repeat([1.0, 0.0], [round(300 * largest), 300 - round(300 * largest)])
    constant = of_answers(right, chance, most_frequent_class=largest)
    assert constant.details["p_chance"] == pytest.approx(0.5, abs=1e-6)
    assert traces(constant) == ["undecided"]
    assert chance_flags([constant], ["trace"]) == ["undecided"]


def test_judge__three_null_readers_are_read_in_5_of_100_at_most() -> None:
    rng = np.random.default_rng(3)
    read = 0
    for _ in range(400):
        readers = [of_answers((rng.random(60) < 0.5).astype(float), 0.5) for _ in range(3)]
        read += any(v.answer == "yes" for v in judge(readers))
    assert read <= 29  # the 97.5 % quantile of Binomial(400, 0.05)


def test_chance_flags__are_those_of_the_judge() -> None:
    strong, faint, under = score(0.4), score(0.2, 0.26, 0.32), score(0.05, 0.1, 0.15)
    assert chance_flags([strong, faint, under], ["trace"] * 3) == ["", "undecided", "below-chance"]
    assert chance_flags([faint, under], ["accuracy", "difference"]) == ["", ""]
    assert chance_flags([of_answers(np.tile([1.0, 0.0], 2500), 0.5)], ["trace"]) == ["at-chance"]


def curve(p: float, *, rises: bool = True) -> dict[str, Any]:
    return {"rises": rises, "gain": {"value": 0.03, "low": 0.001, "high": 0.059, "p_value": p}}


def test_rising__curves_are_one_family() -> None:
    assert rising([score(learning_curve=curve(0.04)), score()]) == [True, False]
    assert rising([score(learning_curve=curve(0.06)), *[score(learning_curve=curve(0.9))] * 3]) == [False] * 4
    assert rising([score(learning_curve=curve(0.001, rises=False))]) == [False]


def test_verdict__does_not_rise_where_the_trace_is_not_there() -> None:
    rise = {"learning_curve": curve(0.001)}
    assert [v.rises for v in judge([score(p_chance=0.001, **rise), score(p_chance=0.5, **rise)])] == [True, False]


def test_training_margin__only_where_it_matters() -> None:
    assert training_margin(score(0.45, 0.5, 0.55, training_spread={"deviation": 0.005, "probes": 8})) is None
    assert training_margin(score()) is None
    assert training_margin(score(0.45, 0.5, 0.55, training_spread={"deviation": 0.02, "probes": 8})) == pytest.approx(
        0.0473,
        abs=1e-4,  # t with 7 degrees of freedom: 2.365
    )


def test_units_of__effective_units_come_first() -> None:
    assert units_of(score()) == 100
    assert units_of(score(resampled="owner", units=9)) == 9
    assert units_of(score(resampled="owner", units=9, effective_units=4.5)) == 4.5


def test_chance_flags__have_the_degrees_of_freedom_of_units() -> None:
    """Three accuracies 1.1 half widths below chance: p = 3 x 0.0155 over photos, 3 x 0.0183 over six clusters."""
    ends = {"value": 0.3, "low": 0.3 - 0.2 / 1.1, "high": 0.3 + 0.2 / 1.1, "n": 100_000, "chance": 0.5}
    alone = SimpleNamespace(**ends, details={})
    clustered = SimpleNamespace(**ends, details={"resampled": "scene", "units": 6, "effective_units": 6.0})
    assert chance_flags([alone] * 3, ["accuracy"] * 3) == ["below-chance"] * 3
    assert chance_flags([clustered] * 3, ["accuracy"] * 3) == [""] * 3
