"""The search and the refit of ``converged`` with a planted solver: which strengths, starts, rows and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe.problem import Problem
from benchmark.probe.protocols import converged as module
from benchmark.probe.protocols.converged import CONVERGED, _refit, _validation_truth, converged
from benchmark.probe.solver.newton import Solution
from benchmark.probe.solver.objective import gradient_norm

CPU = torch.device("cpu")
RNG = np.random.default_rng(1)
N, D = 30, 6
LABELS = np.repeat([0, 1, 2], [15, 9, 6])[RNG.permutation(N)]
ROWS = RNG.normal(size=(N, D)).astype(np.float32)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


def labelled_problem(validation: int = 10) -> Problem:
    """One bank; of ten validation photos five are of class 0, three of class 1 and two of class 2."""
    held = np.concatenate([np.flatnonzero(c == LABELS)[:count] for c, count in enumerate((5, 3, 2))])[:validation]
    held = np.sort(held)
    return Problem([ROWS], np.zeros((1, N), np.int64), LABELS[None], 3, np.setdiff1d(np.arange(N), held), held)


class Planted:
    """A solver that predicts one class for each strength, and records its calls."""

    def __init__(self, classes: dict[float, int]) -> None:
        self.classes = classes
        self.calls: list[dict[str, Any]] = []

    def __call__(self, features: Any, labels: Any, strengths: Any, n_classes: int, **more: Any) -> Solution:
        groups, count = len(labels), len(strengths)
        self.calls.append(
            {"n": features.n, "labels": labels, "strengths": strengths.tolist(), "classes": n_classes, **more}
        )
        bias = torch.zeros((groups, count, n_classes), dtype=torch.float64)
        for i, strength in enumerate(strengths.tolist()):
            bias[:, i, self.classes.get(strength, 2)] = 1
        number = torch.arange(groups * count, dtype=torch.float64).reshape(groups, count)
        weights = torch.zeros((groups, count, features.mean.shape[1], n_classes), dtype=torch.float64)
        return Solution(
            weights + 1000 * len(self.calls) + number[..., None, None],
            bias,
            10 * len(self.calls) + number,
            0.5 + number,
            (3 + number).long(),
            number.long(),
            number > 0,
        )


def searched(monkeypatch: pytest.MonkeyPatch, classes: dict[float, int], problem: Problem | None = None, **more: Any):
    solver = Planted(classes)
    monkeypatch.setattr(module, "solve", solver)
    options = {"device": CPU, "seed": 0, "memory_bytes": 1 << 30, **more}
    return converged(labelled_problem() if problem is None else problem, **options), solver.calls


@pytest.mark.parametrize(
    ("classes", "more", "tried", "chosen", "at_edge"),
    [
        # validation accuracies of classes 0, 1, 2: 0.5, 0.3, 0.2
        ({0.1: 1, 0.01: 0, 0.001: 1}, {}, [0.1, 0.01, 0.001], 0.01, False),
        ({0.1: 0, 0.01: 0, 0.001: 1}, {}, [0.1, 0.01, 0.001], 0.1, True),  # of equal ones the strongest
        ({0.1: 1, 0.01: 1, 0.001: 0}, {}, [0.1, 0.01, 0.001, 1e-4], 0.001, False),
        ({0.1: 1, 0.01: 2, 0.001: 2}, {"extend": False}, [0.1, 0.01, 0.001], 0.1, True),
        ({0.1: 1, 0.01: 2, 0.001: 0}, {"extend": False}, [0.1, 0.01, 0.001], 0.001, True),
        ({0.1: 1, 0.01: 0, 0.001: 0}, {}, [0.1, 0.01, 0.001], 0.01, False),
    ],
)
def test_search__the_best_strength_and_whether_it_lies_at_an_edge(
    classes: dict[float, int],
    more: dict[str, Any],
    tried: list[float],
    chosen: float,
    at_edge: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit, calls = searched(monkeypatch, classes, strengths=(0.001, 0.1, 0.01, 0.1), **more)
    assert [row["strength"] for row in fit.search] == pytest.approx(tried, rel=1e-12)
    assert [row["validation_accuracy"] for row in fit.search] == [
        (0.5, 0.3, 0.2)[classes.get(strength, 2)] for strength in tried
    ]
    assert fit.chosen == {"strength": chosen}
    assert fit.constants["at_edge"] is at_edge
    assert fit.constants["path"] == [0.1, 0.01, 0.001]
    assert calls[-1]["strengths"] == [chosen]


def test_search__weaker_strengths_follow_one_by_one_from_the_weights_before(monkeypatch: pytest.MonkeyPatch) -> None:
    weaker = [0.01, 0.001, 0.0001]
    rises = {0.1: 2, weaker[0]: 1, weaker[1]: 0}
    fit, calls = searched(monkeypatch, rises, strengths=(0.1,) * 2 + (0.01,))
    assert [call["strengths"] for call in calls[:-1]] == [[0.1, 0.01], [0.001], [pytest.approx(1e-4)]]
    assert fit.constants["at_edge"] is False
    assert [call.get("start") is None for call in calls] == [True, False, False, False]
    assert calls[1]["start"][0].unique().item() == 1001  # of the second strength of the first call
    assert calls[2]["start"][0].unique().item() == 2000
    assert calls[3]["start"][0].unique().item() == 2000  # the chosen one
    assert [row["loss"] for row in fit.search] == [10, 11, 20, 30]
    assert [row["iterations"] for row in fit.search] == [3, 4, 3, 3]
    assert [row["converged"] for row in fit.search] == [False, True, False, False]
    monkeypatch.setattr(module, "EXTENSION", 1)
    fit, calls = searched(monkeypatch, {0.001: 0}, strengths=(0.1, 0.01))
    assert len(fit.search) == 2  # the strongest is as good as the weakest: no weaker one follows
    fit, calls = searched(monkeypatch, {0.1: 2, 0.01: 1, 0.001: 0}, strengths=(0.1, 0.01))
    assert (len(fit.search), fit.constants["at_edge"], fit.chosen) == (3, True, {"strength": 0.001})


@pytest.mark.parametrize(("tolerance", "of_search"), [(1e-6, 1e-4), (1e-3, 1e-3)])
def test_converged__rows_labels_and_tolerances_of_search_and_refit(
    tolerance: float, of_search: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = labelled_problem()
    fit, (search, refit) = searched(monkeypatch, {0.1: 1, 0.01: 0, 1e-3: 1}, problem, tolerance=tolerance,
                                    strengths=(0.1, 0.01, 1e-3))  # fmt: skip
    assert (search["n"], refit["n"]) == (20, 30)
    np.testing.assert_array_equal(search["labels"], problem.labels[:, problem.fit_rows])
    np.testing.assert_array_equal(refit["labels"], problem.labels)
    assert (search["tolerance"], refit["tolerance"]) == (of_search, tolerance)
    assert (search["classes"], refit["classes"]) == (3, 3)
    assert refit["start"][0].shape == (1, 1, D, 3)
    assert fit.constants == {
        "estimator": "multinomial logistic regression, mean cross-entropy + strength / 2 * ||W||^2, bias free",
        "strength_shared_by": "all assignments",
        "assignments_searched": 1,
        "gradient_tolerance": tolerance,
        "search_gradient_tolerance": of_search,
        "path": [0.1, 0.01, 1e-3],
        "at_edge": False,
        "precision": "float64",
    }
    assert (fit.final_loss.tolist(), fit.gradient_norm.tolist()) == ([20.0], [0.5])
    assert (fit.iterations.tolist(), fit.converged.tolist()) == ([3], [False])
    assert fit.iterations.dtype == np.int64
    assert (fit.weights.shape, fit.bias.shape) == ((1, D, 3), (1, 3))
    assert fit.search_s >= 0
    assert fit.fit_s > 0


def test_converged__without_a_validation_photo_or_with_one_strength_nothing_is_searched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit, calls = searched(monkeypatch, {}, labelled_problem(0), strengths=(0.01, 0.1))
    assert (fit.search, fit.chosen, fit.constants["at_edge"]) == ((), {"strength": 0.1}, True)
    assert [call["start"] for call in calls] == [None]
    fit, calls = searched(monkeypatch, {}, strengths=(0.01,))
    assert (fit.search, fit.chosen, fit.constants["at_edge"]) == ((), {"strength": 0.01}, False)
    for wrong in ((), (0.1, 0.0), (0.1, -1.0)):
        with pytest.raises(ValueError, match=r"^strengths must be positive$"):
            searched(monkeypatch, {}, strengths=wrong)


def test_converged__several_assignments_share_a_search_and_start_from_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four assignments two are searched; the others start from the weights of the first."""
    monkeypatch.setattr(module, "SEARCH_ROWS", 2 * N + 1)
    banks = [ROWS + shift for shift in (0, 1, 2)]
    which = RNG.integers(0, 3, (4, N))
    problem = Problem(banks, which, which, 3, np.arange(20), np.arange(20, N))
    fit, (search, *refits) = searched(monkeypatch, {}, problem, strengths=(0.1, 0.01))
    np.testing.assert_array_equal(search["labels"], which[:2, :20])
    # fits are numbered by assignment, then strength: losses 10 to 13, iterations 3 to 6
    assert fit.search == (
        {"strength": 0.1, "validation_accuracy": 1 / 3, "loss": 11.0, "iterations": 5, "converged": False},
        {"strength": 0.01, "validation_accuracy": 1 / 3, "loss": 12.0, "iterations": 6, "converged": True},
    )
    assert fit.constants["assignments_searched"] == 2
    starts = torch.cat([call["start"][0][:, 0, 0, 0] for call in refits])
    assert starts.tolist() == [1000, 1002, 1000, 1000]
    biases = torch.cat([call["start"][1] for call in refits])
    assert biases.shape == (4, 1, 3)
    np.testing.assert_array_equal(torch.cat([call["labels"] for call in refits]), which)
    assert fit.weights.shape == (4, D, 3)


def test_validation_truth__of_processings_and_of_labels() -> None:
    problem = labelled_problem()
    np.testing.assert_array_equal(_validation_truth(problem), LABELS[None, problem.validation_rows])
    two = Problem([ROWS, ROWS], problem.which, problem.labels, 2, problem.fit_rows, problem.validation_rows)
    assert _validation_truth(two).tolist() == [[0], [1]]


def test_refit__labels_of_each_shuffling_at_the_chosen_strength(monkeypatch: pytest.MonkeyPatch) -> None:
    solver = Planted({})
    monkeypatch.setattr(module, "solve", solver)
    monkeypatch.setattr(module, "STACK_BYTES", N * 3 * 8 * 2)  # two at a time
    labels = np.stack([RNG.permutation(LABELS) for _ in range(5)])
    rows = np.arange(N)
    problem = Problem([ROWS], np.zeros((5, N), np.int64), labels, 3, rows, rows[:0])
    layers = list(_refit(problem, {"strength": 0.25}, CPU, 1 << 30))
    assert [(w.shape, b.shape) for w, b in layers] == [((k, D, 3), (k, 3)) for k in (2, 2, 1)]
    assert [call["strengths"] for call in solver.calls] == [[0.25] * k for k in (2, 2, 1)]
    np.testing.assert_array_equal(torch.cat([call["labels"][0] for call in solver.calls], 1).T, labels)
    assert {call["tolerance"] for call in solver.calls} == {1e-4}


def test_converged__its_protocol() -> None:
    assert CONVERGED.name == "converged"
    assert CONVERGED.summary == (
        "the optimum of L2-regularised logistic regression, its strength chosen on validation photos"
    )
    assert (CONVERGED.permutations, CONVERGED.rotation_invariant) == (100, True)
    assert CONVERGED.near({"strength": 0.5}) == {"strengths": [0.5, 5.0, 50.0], "extend": False}
    assert CONVERGED.at({"strength": 0.5}) == {"strengths": [0.5]}
    assert (CONVERGED.fit, CONVERGED.refit) == (converged, _refit)
    assert tuple(10.0**-k for k in range(1, 10)) == module.STRENGTHS


def test_gradient_norm__of_weights_and_of_the_bias_one_after_the_other() -> None:
    gradient = torch.tensor(RNG.normal(size=(2, 5, 3, 4)))
    expected = [
        [
            np.sqrt(sum(float(gradient[g, r, k, c]) ** 2 for r in range(4) for c in range(4)))
            + np.sqrt(sum(float(gradient[g, 4, k, c]) ** 2 for c in range(4)))
            for k in range(3)
        ]
        for g in range(2)
    ]
    np.testing.assert_allclose(gradient_norm(gradient), expected)
