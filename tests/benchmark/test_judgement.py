"""Verdicts on hand-made scores; and a search of the sources: no other module compares a score with chance."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.judgement import (
    at_least,
    chance_flag,
    is_confounded,
    is_positive,
    judge,
    least_output,
    still_read,
    training_margin,
)
from benchmark.results import Score

ROOT = Path(__file__).parents[2]


def score(low: float = 0.4, value: float = 0.5, high: float = 0.6, chance: float = 0.25, **details: Any) -> Score:
    return Score("probe/x", "toy", "accuracy", value, low, high, 100, chance, details)


def test_judge__a_p_value_at_the_level_is_not_below_it() -> None:
    assert [v.trace for v in judge([score(p_chance=0.049)])] == ["readable"]
    assert [v.trace for v in judge([score(p_chance=0.05)])] == ["none"]
    assert [v.trace for v in judge([score(p_chance=0.05)], level=0.06)] == ["readable"]
    assert [v.p_value for v in judge([score(p_chance=0.01), score(), score(p_chance=0.02)])] == [0.02, None, 0.02]


def test_judge__weak_is_less_than_a_share_of_the_way() -> None:
    near = score(0.26, 0.28, 0.3, p_chance=0.001)
    assert judge([near])[0].trace == "weak"
    assert judge([near], weak_below=0.03)[0].trace == "readable"


def test_judge__the_most_frequent_class_is_chance_where_it_is_more() -> None:
    often, seldom = judge([score(p_chance=0.001, most_frequent_class=m) for m in (0.48, 0.2)])
    assert (often.chance, often.most_frequent, often.trace) == (0.48, True, "weak")
    assert (seldom.chance, seldom.most_frequent, seldom.trace) == (0.25, False, "readable")


@pytest.mark.parametrize(("shuffled", "trace"), [(0.05, "readable"), (0.051, "none")])
def test_judge__shuffled_labels_are_a_second_condition(shuffled: float, trace: str) -> None:
    controls = {"shuffled": {"p_value": shuffled}}
    assert judge([score(p_chance=0.001, controls=controls)])[0].trace == trace


def test_judge__without_a_p_value_the_interval_lies_above_chance() -> None:
    assert [v.trace for v in judge([score(low=0.26), score(low=0.25)])] == ["readable", "none"]


def test_interval__that_ends_at_chance_reaches_it() -> None:
    assert not still_read(0.25, 0.25)
    assert chance_flag(0.25, 0.3, 0.25, trace=True) == "at-chance"
    assert chance_flag(0.2, 0.25, 0.25, trace=False) == ""
    assert not is_positive(score(0.0))
    assert is_positive(score(0.001))


def test_is_confounded__needs_significance_and_size() -> None:
    rule = {"level": 0.01, "smallest": 0.05}
    flags = [is_confounded(p, effect, **rule) for p, effect in [(0.009, 0.05), (0.01, 0.05), (0.009, 0.049)]]
    assert flags == [True, False, False]


def test_least_output__none_where_the_embedding_has_least_or_semantics_are_worse() -> None:
    assert least_output([0.4], [0.9], 0.4, 0.9) is None
    assert least_output([0.1], [0.88], 0.4, 0.9) is None
    least = least_output([0.1, -0.05], [0.89, 0.9], 0.4, 0.9)
    assert least is not None
    assert (least.index, least.candidates) == (1, 2)  # a difference counts by its size


def test_training__a_margin_that_matters_and_an_accuracy_that_rises() -> None:
    assert training_margin(score(0.45, 0.5, 0.55, training_spread={"deviation": 0.005})) is None
    assert training_margin(score()) is None
    assert at_least(score(learning_curve={"rises": True}))
    assert not at_least(score(learning_curve={"rises": False}))
    assert not at_least(score())


WORDS = {"adjusted", "alpha", "chance", "holm_p", "level", "p", "p_chance", "p_value", "p_values", "smallest_effect"}
"""Names of values that only ``judgement`` may compare with anything."""

EXCEPTIONS = {
    ("benchmark/probe/parts.py", "self.gain.low > 0"): "a gain between parts of the train photos, recorded as a fact",
    ("benchmark/results/summary.py", "0 < chance < 1"): "log-odds are defined there only",
    ("benchmark/stats/significance.py", "chance < 1"): "no division by zero",
    ("benchmark/stats/ranks.py", "corrected < 1 - level"): "ranks are this statistic: Holm over the pairs of a column",
}
"""Comparisons in other modules that judge no score, by module and text, with the reason."""


def named(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id.lower()
        elif isinstance(part, ast.Attribute):
            yield part.attr.lower()
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value  # details["p_chance"]


def judges(node: ast.Compare) -> bool:
    """Whether a comparison by size names chance, a p-value, a level or 0.05, or compares an interval's end with 0."""
    if not any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops):
        return False
    names, sides = set(named(node)), [node.left, *node.comparators]
    numbers = [side.value for side in sides if isinstance(side, ast.Constant)]
    ends = {side.attr for side in sides if isinstance(side, ast.Attribute)} & {"low", "high"}
    return bool(names & WORDS) or 0.05 in numbers or (bool(ends) and 0 in numbers)


def test_sources__compare_nothing_with_chance_or_a_level_but_in_judgement() -> None:
    comparisons = {
        (str(path.relative_to(ROOT)), ast.unparse(node))
        for path in (ROOT / "benchmark").rglob("*.py")
        if path.name != "judgement.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare) and judges(node)
    }
    assert comparisons == set(EXCEPTIONS)
