"""Edges of short answers: answers of models, detectors, two data sets, scenes and parts of the variance."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.judgement import (
    Finding,
    answer_moves,
    answer_texts,
    biases,
    biases_text,
    components_text,
    conclude,
    pairs_text,
    reliance,
    statements,
)
from benchmark.judgement.differences import flip_shares
from benchmark.results import Score
from tests.benchmark.judgement.test_rules import PLAIN, QUESTIONS, SAME, equal_semantics, output, result, score, shift


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


@pytest.mark.parametrize(
    ("value", "half", "words"),
    [
        (0.5, 0.1, "photos whose embedding moves more flip more (rank correlation +0.50, +0.40 to +0.60, n = 2000)."),
        (-0.5, 0.1, "photos whose embedding moves more flip less (rank correlation -0.50, -0.60 to -0.40, n = 2000)."),
        (0.01, 0.05, "flips follow the movement of the embedding by less than 0.1 (rank correlation +0.01, -0.04 to"),
        (0.0, 0.3, "undecided whether photos whose embedding moves more flip more (rank correlation +0.00"),
    ],
)
def test_answer_texts__movement(value: float, half: float, words: str) -> None:
    movement = {"value": value, "low": value - half, "high": value + half}
    rows = {"a": flip_row(change=(0.0, 0.004, 0.9))}
    texts = answer_texts(result(answers(rows, movement=movement), answers({}, "answers/resizing", movement=4)))
    assert texts is not None
    assert len(texts.movement) == 1
    assert texts.movement[0].startswith(f"answers/jpeg: {words}")
    units = answers(rows, movement={"value": 0.01, "low": -0.05, "high": 0.07}, resampled="scene", units=9)
    texts = answer_texts(result(units))  # one of nine weighs more than the bound
    assert texts is not None
    assert "undecided" in texts.movement[0]


def bias_row(bias: float, p: float, half: float = 0.002) -> dict[str, float]:
    return {"bias": bias, "low": bias - half, "high": bias + half, "p_value": p}


def test_biases__sides_and_sentences() -> None:
    rows = {"a": bias_row(0.2, 1e-6), "b": bias_row(-0.3, 1e-6), "c": bias_row(0.001, 0.8)}
    rows |= {"d": bias_row(0.1, 0.6, 0.2), "e": {"bias": 0.5}, "f": 7}
    crossing = score("forensics/crossing", "bias", 0.2, by_processing=rows)
    assert {name: (b.value, b.decision.answer) for name, b in biases(crossing).items()} == {
        "a": (0.2, "yes"), "b": (-0.3, "yes"), "c": (0.001, "no"), "d": (0.1, "undecided"),
    }  # fmt: skip
    assert biases_text(crossing) == (
        "Processing that looks generated to the detector: a (+20.0 points); that looks real: b (-30.0 points); shown "
        "to move it by less than 1 point: c (+0.1 points); undecided: d (+10.0 points). Shown: p < 0.05 after Holm's "
        "correction over 4 processings."
    )
    real = score("forensics/crossing", "bias", 0.2, by_processing={"b": rows["b"]})
    assert biases_text(real).startswith("That looks real: b")
    few = score("forensics/crossing", "bias", 0.2, by_processing={"c": rows["c"]}, resampled="scene", units=50)
    assert biases(few)["c"].decision.answer == "undecided"  # one scene of 50 weighs more than a point
    assert biases_text(score("a", "b", 0.1)) == biases_text(score("a", "b", 0.1, by_processing={})) == ""


def test_reliance__what_limits_a_detector() -> None:
    def made(*scores: Score) -> Any:
        return reliance(result(*scores), QUESTIONS)

    auc = score("forensics/detect", "auc", 0.9, chance=0.5, audit={"flagged": False})
    margin = score("forensics/detect", "margin", 0.2)
    worst = score("forensics/leave-one-out", "worst", 0.505, 0.001, 0.5, generator="g" * 120)
    rows = {"a": bias_row(0.0101, 1e-6), "b": bias_row(-0.02, 1e-6), "c": bias_row(0.0099, 1e-6, 0.0005)}
    bias = score("forensics/crossing", "bias", 0.01, by_processing=rows)
    controls = made(auc, margin, worst, bias)
    assert (controls.answer, controls.title) == ("limited", "It recognises generated photos, with limits")
    assert controls.reasons == (
        "2 of 3 processings make photos look more generated or more real to it, most b (processing generated instead "
        "of real photos moves the AUC by -2.0 points).",
    )
    lost = dataclasses.replace(worst, value=0.5, low=0.499, high=0.501)
    assert (
        made(auc, margin, lost, bias).reasons[0] == f"{'g' * 100} is not shown to be found (AUC 50.0 %, 49.9 to 50.1)."
    )
    assert made(auc, margin, dataclasses.replace(lost, details={}), bias).reasons[0].startswith("One generator is not")
    flagged = dataclasses.replace(auc, details={"audit": {"flagged": True}})
    everything = made(flagged, score("forensics/detect", "margin", 0.0), lost, bias)
    assert (everything.answer, len(everything.reasons)) == ("no", 4)
    assert everything.reasons[1].endswith("(margin +0.0 points, -2.0 to +2.0).")
    missing = made(dataclasses.replace(auc, details={"audit": "none"}))
    assert missing.answer == "unknown"
    assert missing.reasons == (
        "The files were not audited.",
        "The floor is not known: name the sources of the real photos (source=).",
        "No generator was left out of training.",
        "No class was processed alone.",
    )
    assert made(margin) is None


def test_finding__share_of_the_way_from_chance() -> None:
    def share(value: float, reference: float) -> float:
        statement = SimpleNamespace(value=value, reference=reference)
        return Finding("a", "toy", statement, "").share  # type: ignore[arg-type]

    assert [share(0.75, 0.5), share(0.5, 0.5), share(1.0, 1.0)] == [0.5, 0.0, 0.0]


def trace(name: str, value: float, data: str = "toy", p: float = 1e-6, **details: Any) -> Score:
    return score(f"probe/{name}", "accuracy", value, 0.005, 0.2, p_chance=p, **details)


def test_conclude__names_levels_and_photos() -> None:
    scores = [
        trace("jpeg", 0.9),
        trace("make", 0.8),
        trace("iso", 0.7),
        trace("flash", 0.21),
        trace("scale", 0.202, p=0.9),
    ]
    short = conclude([result(*scores, score("knn/jpeg", "spd", 0.3))], QUESTIONS)
    assert short.keeps.text == (
        "Best read: JPEG (90.0 % right, chance 20.0 %) and make (80.0 % right, chance 20.0 %). Weakly read, less than "
        "5 % of the way from chance to always right: flash. Shown to be less than 5 % of the way above chance: scale."
    )
    assert [f.name for f in short.findings] == ["JPEG", "make", "ISO", "flash", "scale", "JPEG"]
    assert [f.if_positive != "" for f in short.findings] == [False] * 5 + [True]
    undecided = conclude([result(trace("jpeg", 0.21, p=0.5, resampled="scene", units=3))], QUESTIONS)
    assert undecided.keeps.text == "Of none it is shown that it is there, and of none that it is absent."
    assert undecided.photos == "Test photos: 2,000 of toy (3 scenes)."
    one = [result(trace("jpeg", 0.9, resampled="owner", units=1)), result(data="empty"), result(PLAIN, data="b")]
    assert conclude(one, QUESTIONS).photos == "Test photos: 2,000 of toy (1 owner); 2,000 of b."
    most = result(
        trace("jpeg", 0.9),
        dataclasses.replace(trace("make", 0.9), n=3000, details={"resampled": "near_duplicates", "units": 1700}),
    )
    assert conclude([most], QUESTIONS).photos == "Test photos: 3,000 of toy (1,700 groups of near-duplicates)."
    odd = result(trace("jpeg", 0.9, resampled="scene", units="many"))
    assert conclude([odd], QUESTIONS).photos == "Test photos: 2,000 of toy."


def test_conclude__moves_of_two_sets_and_accuracies_that_rise() -> None:
    gain = {"value": 0.1, "low": 0.05, "high": 0.15, "p_value": 1e-6}
    curve = {"learning_curve": {"gain": gain, "rises": True}}
    knn = dataclasses.replace(trace("jpeg", 0.9, **curve), metric="accuracy-knn")
    first = result(trace("jpeg", 0.9, **curve), trace("make", 0.9, **curve), knn, score("knn/jpeg", "spd", 0.3))
    short = conclude([first, result(score("knn/jpeg", "spd", -0.4), data="b")], QUESTIONS)
    assert short.sure.text == "2 accuracies still rise with more training photos."
    assert short.costs.title == "Search moves by up to 40.0 points"
    assert short.costs.text.startswith(
        "JPEG (b): the difference is below 0 (-40.0 points, -42.0 to -38.0). JPEG (toy): "
    )
    assert [f.name for f in short.findings] == ["JPEG", "make", "JPEG (toy)", "JPEG (b)"]
    alone = conclude([result(score("knn/jpeg", "spd", -0.4))], QUESTIONS)
    assert alone.costs.title == "Search moves by 40.0 points"
    assert (alone.sure.title, alone.sure.text) == ("Yes or no to 1 of 1 question", "")
    unsure = conclude([result(score("knn/jpeg", "spd", 0.0, 0.05))], QUESTIONS)
    assert unsure.sure.text == "Undecided: whether search is moved by JPEG."
    assert unsure.sure.title == "Yes or no to 0 of 1 question"


def test_conclude__answers_of_a_model_by_set() -> None:
    rows = {"jpeg-q75-420": flip_row(0.3, change=(-0.2, 0.02, 1e-6)), "b": flip_row(0.1, change=(0.0, 0.004, 0.9))}
    noise = {"png": flip_row(0.02), "other-batch": flip_row(0.01)}
    first, other = answers(rows, noise=noise), answers({"b": flip_row(0.4, change=(0.1, 0.02, 1e-6))})
    short = conclude([result(first), result(other, data="two")], QUESTIONS)
    assert short.keeps.title == "Up to 40.0 % flip"
    assert short.keeps.text.startswith(
        "toy: No noise floor was measured, so flips are not judged. Most flip under jpeg-q75"
    )
    assert " two: " in short.keeps.text
    assert short.costs.title == "Moves under 2 of 3 processings"
    assert (short.sure.title, short.sure.text) == (
        "Up to 2.0 % flip without a processing",
        "toy: png 2.0 % and toy: other-batch 1.0 %.",
    )
    one = conclude([result(other), result(PLAIN, data="two")][:1], QUESTIONS)
    assert one.costs.title == "Moves under 1 of 1 processing"
    assert not one.keeps.text.startswith("toy: ")
    assert one.sure.text == "No view of it is there: saved as PNG, another batch, another precision."
    mixed = conclude([result(trace("jpeg", 0.9), first)], QUESTIONS)
    assert mixed.keeps.title == "1 of 1 trace can be read"
    assert mixed.sure.text == (
        "Answers: Up to 30.0 % flip. Accuracy: Moves under 1 of 2 processings. "
        "Noise floor: Up to 2.0 % flip without a processing."
    )


def test_statements__an_output_has_the_numbers_of_the_best_or_of_the_embedding() -> None:
    final = score("knn/jpeg", "spd", 0.5)
    less = output("a", score("knn/jpeg", "spd", 0.1, n=700, **shift(-0.4)), equal_semantics())
    equal = output("a", score("knn/jpeg", "spd", 0.5, n=700, **SAME), equal_semantics())
    for layer, answer, value, n in ((less, "yes", 0.1, 700), (equal, "no", 0.5, 2000)):
        made = [s for s in statements(result(final, PLAIN, outputs=(layer,)), QUESTIONS) if s.kind == "output"]
        assert [(s.answer, s.value, s.n, s.units, s.reference) for s in made] == [(answer, value, n, n, 0.5)]


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


def test_pairs_text__directions_are_decided_together() -> None:
    def text(value: float, half: float, cells: dict[tuple[int, int], float], cell_half: float = 0.02) -> str:
        return pairs_text(
            score("retrieval/pairs", "at-1", value, half, 0.02, group_matrix=matrix(cells, cell_half), pairs=6)
        )

    made = text(0.6, 0.05, {(0, 1): 0.9, (1, 0): 0.3, (2, 0): 0.021})
    assert made == (
        "Photos of one scene are found in other groups more often than by chance: recall@1 is 60.0 % (55.0 to 65.0), "
        "chance 2.0 %, median over 6 pairs of groups. Of 3 directions between two groups, decided together, 2 are "
        "above chance, 1 hardly, 0 undecided; from 2.1 % (z to x) to 90.0 % (x to y)."
    )
    assert "hardly more often than by chance: " in text(0.02, 0.005, {(0, 1): 0.9})
    assert "Of 1 directions" not in text(0.02, 0.005, {(0, 1): 0.9})
    assert text(0.06, 0.2, {}).startswith("Whether photos of one scene are found in other groups more often than by")
    assert "0 are above chance, 0 hardly, 2 undecided" in text(0.6, 0.05, {(0, 1): 0.05, (1, 2): 0.1}, 0.3)
    assert pairs_text(score("retrieval/pairs", "at-1", 0.6, group_matrix=4)) == ""


def test_components_text__parts_of_the_variance() -> None:
    def row(effect: str, share: float, p: float, half: float = 0.002, estimate: float | None = None) -> dict[str, Any]:
        value = share if estimate is None else estimate
        return {"effect": effect, "share": share, "low": share - half, "high": share + half, "estimate": value,
                "p_value": p, "cells": 9}  # fmt: skip

    rows = [
        row("scene", 0.5, 1e-6),
        row("device", 0.0, 0.9, estimate=-0.004),
        row("x", 0.3, 0.4, 0.3),
        row("rest", 0.2, 1e-9),
    ]
    assert components_text(score("variance/components", "scene", 0.5, components=rows)) == (
        "Of the embedding's variance a part is shown to be: scene 50.0 % (49.8 to 50.2). Shown to be less than 1 %: "
        "device 0.0 % (-0.2 to 0.2). Undecided: x 30.0 % (0.0 to 60.0). Estimates below 0, which chance gives where a "
        "share is small, are shown as 0: device (-0.4 %)."
    )
    assert components_text(score("variance/components", "scene", 0.5, components=rows[3:])) == ""
    few = score("variance/components", "scene", 0.5, components=[row("device", 0.0, 0.9)], resampled="scene", units=50)
    assert components_text(few).startswith("Shown to be less than 1 %: device")  # whatever one of 50 scenes weighs
    assert components_text(score("variance/components", "scene", 0.5)) == ""
