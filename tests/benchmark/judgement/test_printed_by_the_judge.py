"""No sentence of judgement is printed that the judge did not write: in the sources, the pages and rendered reports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmark.erasing import Row, verdict

ROOT = Path(__file__).parents[3]


OF_THE_JUDGE = ("if_positive", "if_negative")


@pytest.mark.slow
def test_if_positive__is_printed_by_the_judge_alone() -> None:
    readers = {
        path.parent.name
        for path in (ROOT / "benchmark").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in OF_THE_JUDGE
    }
    assert readers == {"judgement"}


def test_erase__the_verdict_is_the_judges() -> None:
    row = Row(
        *("probe/jpeg", "accuracy", "toy", "trace", "knn"),
        *(0.9, 0.8, 1.0, 0.86, 0.8, 0.92, -0.04, -0.1, 0.02, 0.2, 50, 1 / 6),
        before_answer="yes",
        after_answer="undecided",
    )
    assert "is undecided" in verdict([row], "jpeg")
    assert "still read by" not in verdict([row], "jpeg").replace("whether jpeg is still read by", "")
