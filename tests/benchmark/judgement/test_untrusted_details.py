"""Results of others: whatever detail is null or lacks a part, the file is refused, or everything is judged."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from benchmark.extras.copies.judged import found_texts, threshold_text, thresholds
from benchmark.judgement import (
    answer_texts,
    biases_text,
    choose_outputs,
    components_text,
    conclude,
    depth_curves,
    extremes,
    extremes_text,
    moves,
    moves_text,
    outputs_text,
    pairs_text,
    readers_text,
    reliance,
    statements,
    traces_text,
    training_margin,
    units_text,
    verdicts,
)
from benchmark.judgement.differences import flip_shares
from benchmark.results import OutputScores, Result, Score
from benchmark.results.check import check_forms
from benchmark.tasks import all_tasks
from tests.benchmark.judgement.test_short_answers import bias_row, flip_row, matrix

QUESTIONS = all_tasks()
CONTROL = {"accuracy": 0.2, "low": 0.1, "high": 0.3, "mean": 0.2, "mean_low": 0.1, "mean_high": 0.3, "p_value": 0.01}
GAIN = {"value": 0.03, "low": 0.01, "high": 0.05, "p_value": 0.001}
CURVE = {name: [0.1, 0.2] for name in ("share", "n_train", "accuracy", "low", "high")}
AGAINST = {"value": -0.1, "low": -0.2, "high": -0.05, "p_value": 0.001}
CLUSTERED = {"resampled": "scene", "units": 40, "effective_units": 20.0}
COPIES = {"threshold": 0.9, "threshold_low": 0.85, "threshold_high": 0.95, "stated_rate": 0.02, "chosen_on": 99}
CELLS = matrix({(0, 1): 0.5})
MATRIX = {**CELLS, "attributes": {"site": ["1", "2", "2"]}, "cosine": CELLS["low"], "cosine_apart": CELLS["high"]}
COMPONENT = {"effect": "scene", "share": 0.5, "low": 0.4, "high": 0.6, "estimate": 0.5, "p_value": 0.001, "cells": 9}

DETAILS: dict[tuple[str, str], dict[str, Any]] = {
    ("probe/jpeg", "accuracy"): {
        **CLUSTERED, "p_chance": 1e-6, "most_frequent_class": 0.3, "controls": {"shuffled": CONTROL},
        "learning_curve": {**CURVE, "rises": True, "gain": GAIN}, "training_spread": {"deviation": 0.1, "probes": 8},
    },
    ("knn/jpeg", "spd"): {**CLUSTERED, "ties": {"share": 0.1, "least": 0.01, "greatest": 0.2, "random": 0.1}},
    ("knn/original", "accuracy"): {**CLUSTERED, "k": 10},
    ("knn/adversary", "worst"): {
        "jitter": {"value": 0.8, "low": 0.7, "high": 0.9, "jitters": 14, "queries": 9, "units": 9, "beyond": GAIN},
    },
    ("forensics/detect", "auc"): {**CLUSTERED},
    ("forensics/detect", "margin"): {**CLUSTERED},
    ("forensics/leave-one-out", "worst"): {**CLUSTERED},
    ("forensics/crossing", "bias"): {"by_processing": {"a": bias_row(0.2, 1e-6), "b": bias_row(-0.1, 1e-6)}},
    ("answers/jpeg", "flips"): {
        "by_processing": {"a": flip_row(change=(0.1, 0.02, 1e-6), beyond=(0.1, 0.02, 1e-6))},
        "noise": {"png": flip_row()}, "movement": {"value": 0.5, "low": 0.4, "high": 0.6},
    },
    ("copies/processed", "false-matches"): {**COPIES, "matches": 2, "expected_matches": [0, 6]},
    ("copies/processed", "recall"): {"collection": 1220},
    ("copies/processed", "matched"): {"by_copy": {"x": 0.5}},
    ("retrieval/pairs", "at-1"): {"pairs": 6, "group_matrix": MATRIX},
    ("variance/components", "scene"): {"components": [COMPONENT]},
}  # fmt: skip


def made(details: dict[tuple[str, str], Any]) -> Result:
    scores = tuple(Score(task, "toy", metric, 0.5, 0.4, 0.6, 200, 0.2, d) for (task, metric), d in details.items())
    layer = OutputScores("layers[0]:mean", "block 0", 0, 1, "mean", 8, "hooks", scores)
    return Result({"id": "mine"}, {"name": "toy"}, {}, scores, (), {}, "2026-01-01T00:00:00+00:00", outputs=(layer,))


def judged(result: Result) -> Iterator[object]:
    """Everything that the judge says about a result."""
    known, scores = verdicts(result, QUESTIONS), result.scores
    yield from (traces_text(scores, known), readers_text(scores, known, QUESTIONS))
    yield from (statements(result, QUESTIONS), conclude([result], QUESTIONS), reliance(result, QUESTIONS))
    yield from (
        depth_curves(result, QUESTIONS),
        outputs_text(choices := choose_outputs(result, QUESTIONS), ["x"] * len(choices)),
    )
    yield moves_text(scores, moves(result, QUESTIONS), QUESTIONS)
    yield extremes_text(scores, extremes(result), QUESTIONS)
    yield from (answer_texts(result), flip_shares(result, "noise"), found_texts(result, QUESTIONS), units_text(scores))
    yield from (threshold_text(score) for score in thresholds(result))
    for score in scores:
        yield from (
            biases_text(score),
            components_text(score),
            pairs_text(score),
            training_margin(score),
            units_text([score]),
        )
    for family in ("forensics", "copies", "answers"):
        some = tuple(score for score in scores if score.task.startswith(family))
        yield conclude([dataclasses.replace(result, scores=some, outputs=())], QUESTIONS)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of everything within details."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield (*path, name)
        yield from places(part, (*path, name))


WRONG = {"null": None, "text": "x", "absent": ...}


@pytest.mark.parametrize("key", [*DETAILS], ids=lambda key: key[0])
@pytest.mark.parametrize("kind", WRONG)
def test_details__of_others_are_refused_or_judged(key: tuple[str, str], kind: str) -> None:
    whole = {
        key: {**DETAILS[key], AGAINST_KEY: AGAINST},
        ("knn/original", "accuracy"): DETAILS["knn/original", "accuracy"],
    }
    whole |= {other: DETAILS[other] for other in DETAILS if other[0].partition("/")[0] == key[0].partition("/")[0]}
    whole[key] = {**DETAILS[key], AGAINST_KEY: AGAINST}
    check_forms(made(whole))
    assert list(judged(made(whole)))
    accepted = refused = 0
    for path in places(whole[key]):
        changed = copy.deepcopy(whole)
        part: Any = changed[key]
        for name in path[:-1]:
            part = part[name]
        if WRONG[kind] is ...:
            del part[path[-1]]
        else:
            part[path[-1]] = WRONG[kind]
        try:
            check_forms(made(changed))
        except ValueError:
            refused += 1
            continue
        accepted += 1
        assert list(judged(made(changed))), path
    assert accepted + refused > 0
    assert kind != "absent" or accepted  # a field may be absent
    assert kind != "text" or refused


AGAINST_KEY = "against_final"


@pytest.mark.parametrize(
    ("key", "detail", "value"),
    [
        ("probe/jpeg", "learning_curve", {**CURVE, "rises": True, "gain": {**GAIN, "p_value": "x"}}),
        ("probe/jpeg", "against_final", {"value": 0.1}),
        ("forensics/crossing", "by_processing", {"a": {"p_value": 0.1}}),
        ("answers/jpeg", "by_processing", {"a": {"flips_low": 0.1}}),
        ("answers/jpeg", "noise", {"png": {"flips_low": 0.1, "flips": 0.2}}),
    ],
)
def test_check_forms__refuses_parts_that_the_judge_needs(key: str, detail: str, value: Any) -> None:
    details = {one: {**d, **({detail: value} if one[0] == key else {})} for one, d in DETAILS.items()}
    with pytest.raises(ValueError, match=f"{key} .*: details.{detail} is not "):
        check_forms(made(details))


def test_units__that_a_record_does_not_count_are_not_named() -> None:
    score = Score("probe/jpeg", "toy", "accuracy", 0.5, 0.4, 0.6, 200, 0.2, {"resampled": "scene"})
    assert units_text([score]) == ""
    null = dataclasses.replace(score, details={"resampled": None, "units": 9})
    assert units_text([null]) == ""
    [statement] = statements(Result({"id": "a"}, {"name": "toy"}, {}, (null,), (), {}, ""), QUESTIONS)
    assert statement.units == 200
