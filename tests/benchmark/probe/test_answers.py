"""Answers of probes: every field from its fit, and statistics in plain loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmark.probe import ProbeAnswers
from benchmark.probe.answers import to_answers
from tests.benchmark.probe.test_refusals import CPU, constant_fit, problem_of


def test_to_answers__every_field() -> None:
    problem = replace(problem_of(3, 2), validation_rows=np.arange(7))
    fit = constant_fit(problem)
    predicted, expected = np.ones((2, 1, 4), np.uint16), np.array([[0, 1, 1, 2]])
    made = to_answers("name", fit, predicted, 17, problem, expected, torch.device("cuda:1"), 6)
    fields = vars(made)
    assert fields["predicted"] is predicted
    assert (fields["expected"].dtype, fields["expected"].tolist()) == (np.uint16, [[0, 1, 1, 2]])
    for name in ("final_loss", "gradient_norm", "iterations", "converged", "chosen", "search", "search_s", "fit_s"):
        assert fields[name] is getattr(fit, name)
    assert {name: fields[name] for name in ("protocol", "n_classes", "n_train", "n_validation", "features")} == {
        "protocol": "name",
        "n_classes": 3,
        "n_train": 17,
        "n_validation": 7,
        "features": None,
    }
    assert fields["constants"] == {"seed": 99, "validation_share": 0.2, "device": "cuda:1", "path": [0.5]}
    plain = to_answers("name", replace(fit, constants={}), predicted, 17, problem, expected, CPU, 6)
    assert plain.constants == {"seed": 6, "validation_share": 0.2, "device": "cpu"}


def test_answers__statistics_of_unequal_views_in_plain_loops() -> None:
    rng = np.random.default_rng(0)
    predicted, expected = rng.integers(0, 3, (4, 2, 9)).astype(np.uint8), rng.integers(0, 2, (2, 9)).astype(np.uint8)
    answers = ProbeAnswers(
        "p", predicted, expected, 5, 1, 1, {}, (), np.zeros(4), np.zeros(4), np.zeros(4, int), np.ones(4, bool), {},
        0.0, 0.0,
    )  # fmt: skip
    right = [[[int(predicted[s, v, i] == expected[v, i]) for i in range(9)] for v in range(2)] for s in range(4)]
    of_fits = [sum(map(sum, fit)) / 18 for fit in right]
    assert answers.statistics.accuracies.tolist() == pytest.approx(of_fits)
    assert answers.accuracy == pytest.approx(sum(of_fits) / 4)
    mean = sum(of_fits) / 4
    assert answers.statistics.spread == pytest.approx((sum((a - mean) ** 2 for a in of_fits) / 3) ** 0.5)
    assert answers.photo_accuracy.tolist() == pytest.approx(
        [sum(right[s][v][i] for s in range(4) for v in range(2)) / 8 for i in range(9)]
    )
    recalls = [
        np.mean([right[s][v][i] for s in range(4) for v in range(2) for i in range(9) if expected[v, i] == c])
        for c in (0, 1)
    ]
    assert answers.statistics.balanced_accuracy == pytest.approx(np.mean(recalls))
    assert answers.chance == 0.2
    assert replace(answers, predicted=predicted[:1]).statistics.spread == 0.0
    assert answers.details()["converged"] is True
    assert answers.details()["accuracy_by_seed"] == [round(a, 6) for a in of_fits]
