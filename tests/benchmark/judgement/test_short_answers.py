"""Edges of short answers: answers of models, detectors, two data sets, scenes and parts of the variance."""

from __future__ import annotations

from typing import Any

from benchmark.judgement import (
    answer_moves,
    answer_texts,
)
from benchmark.judgement.differences import flip_shares
from benchmark.results import Score
from tests.benchmark.judgement.test_rules import PLAIN, result, score


def flip_row(flips: float = 0.1, **claims: tuple[float, float, float]) -> dict[str, float]:
    row = {"flips": flips, "flips_low": flips - 0.01, "flips_high": flips + 0.01}
    for claim, (value, half, p) in claims.items():
        row |= {claim: value, f"{claim}_low": value - half, f"{claim}_high": value + half, f"{claim}_p": p}
    return row


def answers(rows: dict[str, Any], task: str = "answers/jpeg", **details: Any) -> Score:
    return score(task, "flips", 0.1, by_processing=rows, **details)


def test_answer_moves__rows_that_are_whole_each_processing_once() -> None:
    clear, faint, none = (-0.2, 0.02, 1e-6), (0.01, 0.05, 0.7), (0.0, 0.004, 0.9)
    first = answers({"a": flip_row(0.3, change=clear, beyond=(0.1, 0.02, 1e-6)), "b": flip_row(change=faint), "c": 3,
                     "d": {"flips": 0.4, "change": 0.9}}, resampled="scene", units=800)  # fmt: skip
    again = answers({"a": flip_row(0.9, change=faint), "e": flip_row(0.2, change=none)}, "answers/resizing")
    half = dict(flip_row(0.25, change=clear))
    del half["change_p"]
    made = answer_moves(result(first, again, answers({"f": half}, "answers/sharpening")))
    assert {claim: list(rows) for claim, rows in made.items()} == {"beyond": ["a"], "change": ["a", "b", "e"]}
    change = made["change"]
    assert [(m.value, m.units, m.decision and m.decision.answer) for m in change.values()] == [
        (-0.2, 800, "yes"), (0.01, 800, "undecided"), (0.0, 2000, "no"),
    ]  # fmt: skip
    assert [m.decision and m.decision.family for m in change.values()] == [3, 3, 3]
    assert flip_shares(result(first, again), "by_processing") == {"a": 0.3, "b": 0.1, "e": 0.2}
    assert flip_shares(result(first), "noise") == {}
    assert answer_moves(result(PLAIN)) == {}
    assert answer_texts(result(PLAIN)) is None
    texts = answer_texts(result(first, again))
    assert texts is not None
    assert texts.flips == "Answers flip more than under the noise floor: a (+10.0 points)."
    assert texts.accuracy == (
        "Accuracy rises: under none that was shown; falls: a (-20.0 points); shown to change by less than a point: e; "
        "undecided: b."
    )
    assert texts.rule == "Shown: p < 0.05 after Holm's correction over 3 processings."
    assert texts.movement == ()
    raised = answers({"a": flip_row(change=(0.2, 0.02, 1e-6)), "b": flip_row(change=clear)})
    texts = answer_texts(result(raised))
    assert texts is not None
    assert texts.accuracy == "Accuracy rises: a (+20.0 points); falls: b (-20.0 points)."


def bias_row(bias: float, p: float, half: float = 0.002) -> dict[str, float]:
    return {"bias": bias, "low": bias - half, "high": bias + half, "p_value": p}


def matrix(cells: dict[tuple[int, int], float], half: float = 0.02) -> dict[str, Any]:
    table = [[cells.get((i, j)) for j in range(3)] for i in range(3)]
    moved = [[[None if v is None else v + d for v in row] for row in table] for d in (-half, half)]
    same = [[[None if v is None else number for v in row] for row in table] for number in (500, 0.02)]
    return {
        "groups": ["x", "y", "z"],
        "recall": {"1": table},
        "low": moved[0],
        "high": moved[1],
        "n": same[0],
        "chance": same[1],
    }
