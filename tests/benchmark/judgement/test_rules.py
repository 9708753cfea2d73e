"""Edges of judgement: equal values, nothing, zero, the sign of a trace, levels and families."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmark.judgement import (
    AGAINST_FINAL,
    chance_flags,
    chance_of,
    choose_outputs,
    decide_differences,
    depth_curves,
    extremes,
    find_score,
    judge,
    loss_level,
    moves,
    training_margin,
)
from benchmark.judgement.deciding import Comparison, decide, p_of_less, p_of_more
from benchmark.judgement.scores import units_of
from benchmark.judgement.training import rising
from benchmark.results import OutputScores, Result, Score
from benchmark.stats import Difference, p_above, p_below
from benchmark.tasks import all_tasks

QUESTIONS = all_tasks()


def score(task: str, metric: str, value: float, half: float = 0.02, chance: float = 0.0, n: int = 2000, **details: Any):
    return Score(task, "toy", metric, value, value - half, value + half, n, chance, details)


def result(*scores: Score, outputs: tuple[OutputScores, ...] = (), data: str = "toy") -> Result:
    return Result({"id": "mine"}, {"name": data}, {}, scores, (), {}, "", outputs=outputs)


def output(name: str, *scores: Score, layer: int = 0, pooling: str = "mean") -> OutputScores:
    return OutputScores(name, f"title of {name}", layer, 4, pooling, 8, "hooks", scores)


PLAIN = score("knn/original", "accuracy", 0.9, 0.002, 0.1)
SAME = {AGAINST_FINAL: {"value": 0.0, "low": -0.001, "high": 0.001, "p_value": 1.0}}


def shift(value: float, half: float = 0.02) -> dict[str, Any]:
    return {AGAINST_FINAL: {"value": value, "low": value - half, "high": value + half, "p_value": 1e-9}}


def equal_semantics() -> Score:
    return dataclasses.replace(PLAIN, details=SAME)


@pytest.mark.parametrize("sign", [1, -1])
def test_choose_outputs__the_best_has_the_smallest_trace_of_either_sign(sign: int) -> None:
    """Traces of 0.5 at the embedding; of 0.3, 0.1 and 0.2 at the outputs, and of 0.05 with worse semantics."""
    final = score("knn/jpeg", "spd", 0.5 * sign)
    outputs = [
        output(f"of {size}", score("knn/jpeg", "spd", size * sign, **shift((size - 0.5) * sign)), semantics)
        for size, semantics in (
            (0.3, equal_semantics()),
            (0.1, equal_semantics()),
            (0.2, equal_semantics()),
            (0.05, dataclasses.replace(PLAIN, value=0.5, low=0.49, high=0.51, details=shift(-0.4))),
        )
    ]
    [choice] = choose_outputs(result(final, PLAIN, outputs=tuple(outputs)), QUESTIONS)
    assert (choice.answer, choice.less, choice.outputs, choice.family) == ("yes", 4, 4, 4)
    assert choice.best is not None
    assert choice.best.output.name == "of 0.1"
    assert choice.bound == 0.01


def test_choose_outputs__only_what_embedding_and_output_both_have() -> None:
    trace, other = (score(f"probe/{name}", "accuracy", 0.8, chance=0.2) for name in ("jpeg", "resizing"))
    both = output("both", trace, equal_semantics())
    assert choose_outputs(result(trace, outputs=(both,)), QUESTIONS) == []  # no plain kNN of the embedding
    assert choose_outputs(result(trace, PLAIN, outputs=(output("a", trace),)), QUESTIONS) == []  # nor of the output
    assert choose_outputs(result(PLAIN, outputs=(both,)), QUESTIONS) == []  # no trace of the embedding
    chosen = choose_outputs(result(trace, PLAIN, outputs=(both, output("b", other, equal_semantics()))), QUESTIONS)
    assert [(c.task, c.outputs) for c in chosen] == [("probe/jpeg", 1)]
    unknown = output("c", score("mine/new", "accuracy", 0.5), equal_semantics())
    assert choose_outputs(result(PLAIN, outputs=(unknown,)), QUESTIONS) == []
    guess = score("probe/jpeg", "accuracy", 0.8, chance=0.2, most_frequent_class=0.5)
    [choice] = choose_outputs(result(guess, PLAIN, outputs=(both,)), QUESTIONS)
    assert choice.bound == pytest.approx(0.05 * 0.5)


def test_depth_curves__layers_in_order_for_poolings_of_the_whole_picture() -> None:
    outputs = [
        output(f"{pooling} {layer}", score("knn/jpeg", "spd", layer / 10), PLAIN, layer=layer, pooling=pooling)
        for layer, pooling in (
            (3, "gem"),
            (0, "gem"),
            (1, "max"),
            (2, "cls"),
            (2, "border"),
            (1, "grid-0-0"),
            (0, "mean"),
        )
    ]
    final = score("knn/jpeg", "spd", 0.7)
    curves = depth_curves(result(final, outputs=tuple(outputs)), QUESTIONS)
    assert [(c.task, c.metric.name, c.of_semantics, c.final) for c in curves] == [
        ("knn/original", "accuracy", True, None), ("knn/jpeg", "spd", False, final),
    ]  # fmt: skip
    for curve in curves:
        depths = {pooling: [point.depth for point in points] for pooling, points in curve.by_pooling.items()}
        assert depths == {"gem": [0.25, 1.0], "max": [0.5], "cls": [0.75], "mean": [0.25]}
    regions = result(final, outputs=(output("a", final, pooling="border"),))
    assert depth_curves(regions, QUESTIONS) == []


def test_judge__of_one_class_there_is_nothing_to_read() -> None:
    [verdict] = judge([score("probe/jpeg", "accuracy", 1.0, 0.0, 1.0, p_chance=1.0)])
    assert (verdict.trace, verdict.effect, verdict.most_frequent) == ("undecided", None, False)
    [verdict] = judge([score("probe/jpeg", "accuracy", 0.9, 0.01, 0.2, p_chance=1e-6, most_frequent_class=1.0)])
    assert (verdict.trace, verdict.effect, verdict.chance) == ("none", None, 1.0)
    [verdict] = judge([score("probe/jpeg", "accuracy", 0.9, 0.01, 0.2, p_chance=1e-6, most_frequent_class=0.2)])
    assert (verdict.trace, verdict.most_frequent) == ("readable", False)
    assert chance_of(score("a", "b", 0.5, chance=0.2, most_frequent_class=None)) == 0.2


def test_judge__another_level_holds_for_p_values_and_for_shuffled_labels() -> None:
    def answers(level: float, **details: Any) -> str:
        return judge([score("probe/jpeg", "accuracy", 0.9, 0.01, 0.2, **details)], level=level)[0].answer

    assert [answers(level, p_chance=0.03) for level in (0.05, 0.01)] == ["yes", "undecided"]
    shuffled = {"p_chance": 1e-6, "controls": {"shuffled": {"p_value": 0.03}}}
    assert [answers(level, **shuffled) for level in (0.05, 0.01)] == ["yes", "undecided"]
    assert answers(0.05, p_chance=1e-6, controls={"whole": {"p_value": 0.9}}) == "yes"


def test_chance_flags__traces_and_accuracies_are_families_of_their_own() -> None:
    """An accuracy a little below chance is below it alone, and not as one of three; traces do not count."""
    under = score("knn/original", "accuracy", 0.3, 0.18, 0.5)
    assert chance_flags([under] * 3, ["accuracy", "trace", "difference"]) == ["below-chance", "below-chance", ""]
    assert chance_flags([under] * 6, ["accuracy"] * 6) == [""] * 6
    assert chance_flags([], []) == []


@pytest.mark.parametrize(
    ("details", "units"),
    [
        ({}, 90.0),
        ({"units": 7}, 90.0),
        ({"units": 7, "resampled": "scene"}, 7.0),
        ({"units": 7.5, "resampled": "scene"}, 90.0),
        ({"resampled": "scene"}, 90.0),
        ({"units": 7, "resampled": "scene", "effective_units": 4}, 4.0),
        ({"effective_units": None, "units": 7, "resampled": "pair"}, 7.0),
    ],
)
def test_units_of(details: dict[str, Any], units: float) -> None:
    assert units_of(score("a", "b", 0.5, n=90, **details)) == units


def test_find_score__of_task_and_metric() -> None:
    scores = [score("a", "x", 0.1), score("b", "x", 0.2), score("a", "y", 0.3), score("a", "y", 0.4)]
    listed = [find_score(scores, *key) for key in (("a", "y"), ("b", "x"), ("b", "y"))]
    assert [s and s.value for s in listed] == [0.3, 0.2, None]


def test_training__curves_without_a_gain_a_p_value_or_a_movement() -> None:
    def curve(value: float | None, p: float | None = None, half: float = 0.01, rises: bool = True) -> Score:
        gain = None if value is None else {"value": value, "low": value - half, "high": value + half}
        if gain is not None and p is not None:
            gain["p_value"] = p
        return score("a", "b", 0.5, learning_curve={"gain": gain, "rises": rises})

    assert rising([curve(0.05)]) == [True]  # from its interval
    assert rising([curve(0.05, half=0.06)]) == [False]
    assert rising([curve(0.0, 0.01)]) == [False]
    assert rising([curve(None), curve(0.05, 0.01)]) == [False, True]
    assert rising([score("a", "b", 0.5, learning_curve=3), curve(0.05, 0.09)]) == [False, True]
    few = dataclasses.replace(curve(0.05, half=0.045), n=2)  # by Student's t over its own units: p of 0.022
    assert rising([curve(0.05), few]) == rising([few, curve(0.05)])[::-1] == [True, True]
    assert rising([curve(0.05), few, curve(0.05, 0.9)]) == [True, True, False]
    assert rising([few, few]) == [True, True]
    assert rising([few, few, few]) == [False] * 3  # and of 2000 units a third of the level would do
    assert rising([dataclasses.replace(few, n=2000)] * 3) == [True] * 3
    assert training_margin(score("a", "b", 0.5, training_spread=None)) is None


def compared(value: float, half: float, **more: Any) -> Comparison:
    given = {"units": 1000, "bound": 0.05, **more}
    return Comparison(value, value - half, value + half, **given)


def test_decide__weights_levels_references_and_reasons() -> None:
    def first(*family: Comparison, level: float = 0.05) -> tuple[str, str, bool]:
        decision = decide(family, level=level)[0]
        return decision.answer, decision.reason, decision.below

    assert decide([]) == []
    assert first(compared(0.0, 0.001, units=0)) == ("undecided", "bound", False)
    assert first(compared(0.0, 0.001, units=20)) == ("undecided", "bound", False)  # one of 20 weighs 0.05
    low = compared(0.1, 0.1, reference=0.19)
    assert [first(low, level=level)[2] for level in (0.05, 0.01)] == [True, False]
    assert first(compared(0.3, 0.01, reference=0.3)) == ("no", "", False)
    ties = {"reference": 0.5, "p_value": 1e-6}
    assert first(compared(0.6, 0.01, choices=(0.49, 0.7), **ties))[:2] == ("undecided", "ties")
    assert first(compared(0.6, 0.01, choices=(0.51, 0.7), **ties))[:2] == ("yes", "")
    near = {"reference": 0.5, "p_value": 0.9}
    assert first(compared(0.5, 0.01, choices=(0.46, 0.549), **near))[:2] == ("no", "")
    assert first(compared(0.5, 0.01, choices=(0.44, 0.5), **near))[:2] == ("undecided", "ties")
    assert first(compared(0.5, 0.01, choices=(0.5, 0.55), **near))[:2] == ("undecided", "ties")
    # shuffled labels are read as well, and the trace is shown to be small: absent
    assert first(compared(0.01, 0.002, p_value=1e-6, permuted=0.5))[:2] == ("no", "")
    assert first(compared(0.2, 0.01, p_value=1e-6, permuted=0.5))[:2] == ("undecided", "shuffled labels")
    # a veto is the reason even where the bound proves nothing
    assert first(compared(0.2, 0.01, units=5, p_value=1e-6, permuted=0.5))[:2] == ("undecided", "shuffled labels")
    made = decide([compared(0.2, 0.01, units=70, bound=0.03), compared(0.2, 0.01)])
    assert [(d.bound, d.units, d.family) for d in made] == [(0.03, 70, 2), (0.05, 1000, 2)]


def test_p_of_more_and_less__one_and_two_sided() -> None:
    one, two = compared(-0.03, 0.02), compared(-0.03, 0.02, two_sided=True)
    assert p_of_more(one) == p_above(-0.03, -0.05, 1000, 0)
    assert p_of_more(two) == pytest.approx(2 * p_below(-0.03, -0.01, 1000, 0))
    assert p_of_more(compared(0.0, 0.02, two_sided=True)) == 1.0
    assert p_of_more(compared(-0.03, 0.02, two_sided=True, p_value=0.123)) == 0.123
    assert p_of_less(one) == pytest.approx(p_below(-0.03, -0.01, 1000, 0.05))
    assert p_of_less(two) == pytest.approx(p_above(-0.03, -0.05, 1000, -0.05))
    assert p_of_less(two) > p_of_less(one)
    assert p_of_less(compared(0.3, 0.02, reference=0.28)) == pytest.approx(p_below(0.3, 0.32, 1000, 0.33))


def difference(value: float, p: float, half: float = 0.005, units: int = 1000) -> Difference:
    return Difference(value, value - half, value + half, p, units, half / 2, units)


def test_decide_differences__families_and_the_bound() -> None:
    rows = [difference(0.03, 0.04), difference(0.03, 0.03), difference(0.03, 0.045), difference(0.0, 0.9)]
    together = decide_differences(rows[:3], ["a", "a", "a"])
    assert [d.answer for d in together] == ["undecided"] * 3
    apart = decide_differences(rows, ["a", "b", "c", "b"])
    assert [(d.answer, d.family) for d in apart] == [("yes", 1), ("undecided", 2), ("yes", 1), ("no", 2)]
    assert [d.p_value for d in apart] == pytest.approx([0.04, 0.06, 0.045, 0.9])
    small = [difference(0.02, 0.5)]
    assert [decide_differences(small, [0], [b])[0].answer for b in (0.03, 0.01)] == ["no", "undecided"]
    assert decide_differences(small, [0], [0.03])[0].bound == 0.03
    assert decide_differences([], []) == []
    assert loss_level(10, level=0.1) == pytest.approx(0.98)


def test_extremes__units_of_a_sample_and_one_side() -> None:
    def worst(value: float, p: float, half: float = 0.02, **more: Any) -> tuple[str, float, float]:
        beyond = {"value": value, "low": value - half, "high": value + half, "p_value": p}
        jitter = {"value": 0.8, "low": 0.7, "high": 0.9, "jitters": 14, "beyond": beyond, **more}
        [decision] = extremes(result(score("knn/adversary", "worst", 0.6, jitter=jitter))).values()
        return decision.answer, decision.p_value, decision.units

    assert worst(0.1, 0.08) == ("yes", 0.04, 2000)
    assert worst(-0.1, 0.08)[1:] == (0.96, 2000)
    assert worst(0.0, 0.5)[1] == 0.75
    assert worst(0.1, 0.08, units=90)[2] == 90
    assert worst(0.1, 0.08, units=5000)[2] == 2000
    assert extremes(result(score("knn/adversary", "worst", 0.6, jitter=3))) == {}


def test_moves__need_every_rule_for_ties_and_stand_in_their_own_family() -> None:
    ties = {"least": -0.001, "greatest": 0.05}
    made = moves(
        result(score("knn/jpeg", "spd", 0.03, 0.01, ties=ties), score("probe/jpeg", "accuracy", 0.9)), QUESTIONS
    )
    assert {key: (d.answer, d.reason, d.family) for key, d in made.items()} == {
        ("knn/jpeg", "spd"): ("undecided", "ties", 1)
    }
    [decision] = moves(result(score("knn/jpeg", "spd", -0.03, 0.01)), QUESTIONS).values()
    assert decision.answer == "yes"
