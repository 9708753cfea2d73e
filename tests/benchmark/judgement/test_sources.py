"""A search of the sources: no other package compares a score with chance, or a p-value with a level."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WORDS = {"adjusted", "alpha", "chance", "holm_p", "level", "p", "p_chance", "p_value", "p_values", "smallest_effect"}
"""Names of values that only ``judgement`` may compare with anything."""

EXCEPTIONS = {
    ("benchmark/stats/significance.py", "gain.low > 0"): "a gain between parts of the train photos, recorded as a fact",
    ("benchmark/results/summary.py", "0 < chance < 1"): "log-odds are defined there only",
    ("benchmark/stats/significance.py", "chance < 1"): "no division by zero",
    ("benchmark/stats/significance.py", "chance <= (bounds[0] + bounds[1]) / 2"): "which end of the range is nearer",
    ("benchmark/stats/leave_one_out.py", "self.value < chance"): "the side of a test statistic",
    ("benchmark/stats/leave_one_out.py", "abs(self.value - chance) < STEADY"): "equal but for rounding",
    ("benchmark/stats/paired_tests.py", "p_value >= 1 - level"): "where an interval has to reach 0 to agree with it",
    ("benchmark/stats/power.py", "np.maximum(rule, exact) < alpha"): "which outcomes both tests find, for their power",
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


@pytest.mark.slow
def test_sources__compare_nothing_with_chance_or_a_level_but_in_judgement() -> None:
    comparisons = {
        (str(path.relative_to(ROOT)), ast.unparse(node))
        for path in (ROOT / "benchmark").rglob("*.py")
        if path.parent.name != "judgement"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Compare) and judges(node)
    }
    of_names = {(f, text) for f, text in comparisons if f.startswith("benchmark/encoders/loaders/")}  # p: a prefix
    assert comparisons - of_names == set(EXCEPTIONS)
