"""``statements``: every kind of answer about one result, as data and as sentences."""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmark.judgement import statements
from benchmark.results import OutputScores, Result, Score
from benchmark.tasks import all_tasks


def score(task: str, metric: str, value: float, half: float = 0.02, chance: float = 1 / 6, **details: Any) -> Score:
    return Score(task, "toy", metric, value, value - half, value + half, 2000, chance, details)


def result(*scores: Score, outputs: tuple[OutputScores, ...] = ()) -> Result:
    return Result({"id": "mine"}, {"name": "toy"}, {}, scores, (), {}, "", outputs=outputs)


def printed(*scores: Score, outputs: tuple[OutputScores, ...] = ()) -> list[tuple[str, str, str]]:
    made = statements(result(*scores, outputs=outputs), all_tasks())
    return [(s.kind, s.answer, s.words) for s in made]


def test_statements__distractions_are_a_family_and_have_a_sign() -> None:
    alone, many = (
        score("knn/jpeg", "spd", 0.02, 0.018, 0.0),
        [score(f"knn/{p}", "spd", 0.0, 0.02, 0.0) for p in ("sharpening", "resizing", "interpolation")],
    )
    [(_, answer, words)] = printed(alone)
    assert answer == "yes"
    assert "(+2.0 points, +0.2 to +3.8)" in words
    assert [answer for _, answer, _ in printed(alone, *many)] == ["undecided", "undecided", "undecided", "undecided"]
    [(_, answer, words)] = printed(score("knn/jpeg", "spd", -0.02, 0.01, 0.0))
    assert (answer, words) == ("yes", "knn/jpeg: SPD is below 0 (-2.0 points, -3.0 to -1.0).")
    [(_, answer, words)] = printed(score("knn/jpeg", "spd", 0.0, 0.009, 0.0))
    assert (answer, words) == ("no", "knn/jpeg: SPD is shown to be smaller than 1 point (+0.0 points, -0.9 to +0.9).")


def test_statements__extremes_stand_next_to_jitter() -> None:
    def worst(beyond: float, half: float, p: float) -> Score:
        further = {"value": beyond, "low": beyond - half, "high": beyond + half, "p_value": p}
        jitter = {"value": 0.825, "low": 0.8, "high": 0.85, "jitters": 14, "beyond": further}
        return score("knn/adversary", "worst", 0.825 - beyond, jitter=jitter)

    [(kind, answer, words)] = printed(worst(0.2, 0.02, 1e-9))
    assert (kind, answer) == ("extreme", "yes")
    assert "processing goes further than jitter of equal size without any trace (62.5 % against 82.5 %" in words
    assert [answer for _, answer, _ in printed(worst(0.0, 0.009, 1.0))] == ["no"]
    assert [answer for _, answer, _ in printed(worst(0.01, 0.02, 0.3))] == ["undecided"]


def test_statements__outputs_come_last() -> None:
    scores = score("probe/jpeg", "accuracy", 0.84), score("knn/original", "accuracy", 0.9, chance=0.1)
    layer = OutputScores("layers[0]:mean", "block 0", 0, 1, "mean", 8, "hooks", scores)
    made = statements(result(*scores, outputs=(layer,)), all_tasks())
    assert [(s.kind, s.task, s.answer) for s in made] == [
        ("trace", "probe/jpeg", "yes"),
        ("output", "probe/jpeg", "no"),
    ]


def test_statements__every_number_of_an_output() -> None:
    """Of the best output its own numbers, else those of the embedding; the reference is the embedding's score."""

    def made(*layers: tuple[float, int]) -> list[tuple[object, ...]]:
        trace, plain = score("probe/jpeg", "accuracy", 0.84, 0.01), score("knn/original", "accuracy", 0.9, 0.002, 0.1)
        same = {"against_final": {"value": 0.0, "low": -0.001, "high": 0.001, "p_value": 1.0}}
        outputs = []
        for i, (value, n) in enumerate(layers):
            change = {"value": value - 0.84, "low": value - 0.85, "high": value - 0.83, "p_value": 1e-9}
            read = dataclasses.replace(score("probe/jpeg", "accuracy", value, 0.01, against_final=change), n=n)
            scores = read, dataclasses.replace(plain, details=same)
            outputs.append(OutputScores(f"layers[{i}]:mean", f"block {i}", i, 3, "mean", 8, "hooks", scores))
        shown = [s for s in statements(result(trace, plain, outputs=tuple(outputs)), all_tasks()) if s.kind == "output"]
        return [(s.answer, s.value, s.n, s.units, s.reference, s.family, s.p_absent, s.reason, s.level) for s in shown]

    assert made((0.6, 700), (0.5, 900), (0.84, 2000)) == [("yes", 0.5, 900, 900, 0.84, 3, 1.0, "", "")]
    assert made((0.84, 700)) == [("no", 0.84, 2000, 2000, 0.84, 1, 1.0, "", "")]


def test_statements__kinds_stand_in_the_order_of_reports_and_within_a_kind_in_that_of_scores() -> None:
    further = {"value": 0.2, "low": 0.18, "high": 0.22, "p_value": 1e-9}
    jitter = {"value": 0.8, "low": 0.7, "high": 0.9, "jitters": 14, "beyond": further}
    made = printed(
        score("knn/adversary", "worst", 0.6, jitter=jitter),
        score("forensics/detect", "margin", 0.3, 0.02, 0.0),
        score("knn/resizing", "spd", 0.1, 0.02, 0.0),
        score("probe/make", "accuracy", 0.9),
        score("knn/jpeg", "spd", 0.1, 0.02, 0.0),
        score("probe/jpeg", "accuracy", 0.9),
    )
    kinds = ["trace", "trace", "distraction", "distraction", "detection", "extreme"]
    assert [kind for kind, *_ in made] == kinds
    begins = ("make can", "jpeg can", "knn/resizing", "knn/jpeg", "forensics/detect", "knn/adversary")
    assert [words.startswith(begin) for (*_, words), begin in zip(made, begins, strict=True)] == [True] * 6
