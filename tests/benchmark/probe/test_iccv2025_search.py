"""The study's protocol with a planted descent: which trials run with which numbers, and what is recorded of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import truncnorm

from benchmark.probe.problem import Problem
from benchmark.probe.protocols import iccv2025 as module
from benchmark.probe.protocols.iccv2025 import ICCV2025, _fixed, _Parzen, _refit, iccv2025, suggest
from benchmark.probe.solver.sgd import Descent

CPU = torch.device("cpu")
RNG = np.random.default_rng(4)
N, D, CLASSES = 24, 5, 3
ROWS = RNG.normal(size=(N, D)).astype(np.float32)
LABELS = np.arange(N) % CLASSES
MIDDLE = {"learning_rate": math.sqrt(0.1 * 100), "weight_decay": math.sqrt(1e-12 * 1e-4)}


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def problem_of(fits: int = 1, validation: int = 6) -> Problem:
    labels = np.stack([np.roll(LABELS, s) for s in range(fits)])
    held = np.arange(validation)
    return Problem([ROWS], np.zeros((fits, N), np.int64), labels, CLASSES, np.arange(validation, N), held)


class Planted:
    """Descents that predict class 0, 1, 2, 0, ... and diverge in a trial if requested; every call is recorded."""

    def __init__(self, diverged: int = -1) -> None:
        self.calls: list[dict[str, Any]] = []
        self.diverged = diverged

    def __call__(self, read: Any, labels: Any, rates: Any, decays: Any, **more: Any) -> Descent:
        self.calls.append({"labels": labels, "rates": list(rates), "decays": list(decays), **more})
        groups, runs = labels.shape[0], len(rates)
        weights, bias = torch.zeros(groups, runs, D, CLASSES), torch.zeros(groups, runs, CLASSES)
        for run in range(runs):
            bias[:, run, (run + len(self.calls)) % CLASSES] = 1
        if 0 <= self.diverged < runs:
            weights[:, self.diverged, 2, 1] = math.inf
        return Descent(weights, bias)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    descend = Planted()
    monkeypatch.setattr(module, "descend", descend)
    return descend


OPTIONS: dict[str, Any] = {"device": CPU, "seed": 3, "memory_bytes": 1 << 30}


def test_iccv2025__trials_of_each_round_and_the_refit(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    suggested: list[tuple[Any, ...]] = []

    def points(tried: Any, values: Any, ranges: Any, count: int, rng: Any) -> np.ndarray:
        suggested.append((list(tried), list(values), ranges, count, rng))
        return np.arange(1.0, 2 * count + 1).reshape(count, 2) + 10 * len(tried)

    monkeypatch.setattr(module, "suggest", points)
    problem = problem_of(fits=2)
    fit = iccv2025(problem, rounds=(2, 1), epochs=7, batch_size=11, **OPTIONS)
    ranges = ((0.1, 100.0), (1e-12, 1e-4))
    tried = [(1.0, 2.0), (3.0, 4.0), (21.0, 22.0)]
    # six validation photos, two of each class: whatever is predicted, a third is right
    assert [call[:4] for call in suggested] == [
        ([], [], ranges, 2),
        (tried[:2], [1 / 3, 1 / 3], ranges, 1),
    ]
    assert suggested[0][4] is suggested[1][4]
    assert suggested[0][4].random() == np.random.default_rng(3).random()
    first, second, refit = planted.calls
    assert (first["rates"], first["decays"]) == ([1.0, 3.0], [2.0, 4.0])
    assert (second["rates"], second["decays"]) == ([21.0], [22.0])
    assert (refit["rates"], refit["decays"]) == ([1.0], [2.0])  # of equal trials the first
    for call, rows in ((first, range(6, 24)), (second, range(6, 24)), (refit, range(24))):
        assert {name: call[name] for name in ("epochs", "batch_size", "seed", "n_classes", "in_rows")} == {
            "epochs": 7,
            "batch_size": 11,
            "seed": 3,
            "n_classes": 3,
            "in_rows": False,
        }
        np.testing.assert_allclose(
            call["resident"][0], ROWS[list(rows)] / np.linalg.norm(ROWS[list(rows)], axis=1)[:, None], rtol=1e-6
        )
    np.testing.assert_array_equal(first["labels"], problem.labels[:1, 6:])
    np.testing.assert_array_equal(refit["labels"], problem.labels)
    assert fit.search == tuple({"learning_rate": r, "weight_decay": d, "validation_accuracy": 1 / 3} for r, d in tried)
    assert fit.chosen == {"learning_rate": 1.0, "weight_decay": 2.0}
    assert fit.constants == {
        "estimator": "linear layer after a fixed number of SGD steps on mean cross-entropy; not an optimum",
        "search_algorithm": "univariate TPE in rounds, a round's unknown values counted as poor (constant liar)",
        "rounds": [2, 1],
        "learning_rates": [0.1, 100.0],
        "weight_decays": [1e-12, 1e-4],
        "momentum": 0.9,
        "batch_size": 11,
        "epochs": 7,
        "schedule": "cosine, once per epoch",
        "hyper_parameters_shared_by": "all assignments, searched on the first",
        "precision": "float32",
    }
    assert fit.iterations.tolist() == [7, 7]
    assert fit.converged.tolist() == [True, True]
    # a constant layer whose bias of the predicted class is 1: cross-entropy and weight decay's penalty by hand
    share = np.exp([1, 0, 0]) / (np.e + 2)
    entropy = -np.log(share).mean()
    np.testing.assert_allclose(fit.final_loss, [entropy + 0.5 * 2.0 * 1.0] * 2, rtol=1e-6)
    assert fit.weights.shape == (2, D, CLASSES)
    assert fit.bias.argmax(1).tolist() == [0, 0]
    assert fit.search_s > 0 < fit.fit_s


def test_iccv2025__the_best_trial_is_refitted_and_one_that_diverged_counts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nine of the validation photos: five of class 2, three of class 0 and one of class 1."""
    labels = np.array([2] * 5 + [0] * 3 + [1] + list(LABELS[9:]))
    problem = Problem([ROWS], np.zeros((1, N), np.int64), labels[None], 3, np.arange(9, N), np.arange(9))
    for diverged, expected, best in ((-1, [1 / 9, 5 / 9, 3 / 9], 1), (1, [1 / 9, 0.0, 3 / 9], 2)):
        descend = Planted(diverged)
        monkeypatch.setattr(module, "descend", descend)
        fit = iccv2025(problem, rounds=(3,), epochs=1, **OPTIONS)
        assert [row["validation_accuracy"] for row in fit.search] == pytest.approx(expected)
        row = fit.search[best]
        assert fit.chosen == {"learning_rate": row["learning_rate"], "weight_decay": row["weight_decay"]}


def test_iccv2025__without_a_search_the_given_numbers_or_the_middle_of_both_ranges(planted: Planted) -> None:
    fit = iccv2025(problem_of(), fixed=(0.5, 1e-6), **OPTIONS)
    assert (fit.chosen, fit.search) == ({"learning_rate": 0.5, "weight_decay": 1e-6}, ())
    fit = iccv2025(problem_of(validation=0), **OPTIONS)
    assert (fit.chosen, fit.search) == (pytest.approx(MIDDLE), ())
    assert [(call["rates"], call["decays"]) for call in planted.calls] == [
        ([0.5], [1e-6]),
        ([pytest.approx(math.sqrt(10))], [pytest.approx(1e-8)]),
    ]
    assert {call["epochs"] for call in planted.calls} == {100}
    assert {call["batch_size"] for call in planted.calls} == {1024}
    assert fit.constants["rounds"] == [10, 10, 10]


def test_iccv2025__assignments_in_stacks_give_each_its_labels(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(module, "stack_size", lambda *given: calls.append(given) or 2)
    problem = problem_of(fits=5)
    fit = iccv2025(problem, fixed=(0.5, 1e-6), epochs=2, batch_size=9, **OPTIONS)
    assert calls == [(5, N, D, 9, 1 << 30, CPU)]
    assert [len(call["labels"]) for call in planted.calls] == [2, 2, 1]
    np.testing.assert_array_equal(torch.cat([call["labels"] for call in planted.calls]), problem.labels)
    assert fit.bias.argmax(1).tolist() == [1, 1, 2, 2, 0]
    assert len(fit.final_loss) == len(fit.gradient_norm) == 5


def test_refit__labels_of_many_shufflings_at_the_chosen_numbers(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STACK_BYTES", 4 * 1024 * CLASSES * 2)
    labels = np.stack([RNG.permutation(LABELS) for _ in range(5)])
    rows = np.arange(N)
    problem = Problem([ROWS], np.zeros((5, N), np.int64), labels, CLASSES, rows, rows[:0])
    layers = list(_refit(problem, {"learning_rate": 2.0, "weight_decay": 1e-3}, CPU, 1 << 30))
    assert [(w.shape, b.shape) for w, b in layers] == [((k, D, CLASSES), (k, CLASSES)) for k in (2, 2, 1)]
    assert [(c["rates"], c["decays"]) for c in planted.calls] == [([2.0] * k, [1e-3] * k) for k in (2, 2, 1)]
    np.testing.assert_array_equal(torch.cat([call["labels"][0] for call in planted.calls]), labels)
    assert {call["labels"].ndim for call in planted.calls} == {3}
    assert {call["n_classes"] for call in planted.calls} == {CLASSES}
    assert not any("seed" in call or "epochs" in call for call in planted.calls)


def test_iccv2025__its_protocol() -> None:
    assert (ICCV2025.name, ICCV2025.permutations, ICCV2025.rotation_invariant) == ("iccv2025", 20, False)
    assert ICCV2025.summary == "the published study's stochastic gradient descent with its search"
    assert (ICCV2025.fit, ICCV2025.refit, ICCV2025.near, ICCV2025.at) == (iccv2025, _refit, _fixed, _fixed)
    assert _fixed({"learning_rate": 2.0, "weight_decay": 3.0}) == {"fixed": (2.0, 3.0)}


def plain_widths(points: list[float], low: float, high: float) -> list[float]:
    """Of each point the distance to its farther neighbour; the ends of the range are neighbours of a lone point."""
    order = sorted(points)
    widths = []
    for point in points:
        at = order.index(point)
        below = point - order[at - 1] if at else None
        above = order[at + 1] - point if at + 1 < len(order) else None
        if len(points) == 1:
            below, above = point - low, high - point
        width = max(side for side in (below, above) if side is not None)
        widths.append(min(max(width, (high - low) / min(100, 2 + len(points))), high - low))
    return widths


@pytest.mark.parametrize("count", [1, 2, 3, 7, 120])
def test_parzen__is_a_mixture_of_truncated_normals(count: int) -> None:
    rng = np.random.default_rng(count)
    low, high = -2.0, 3.0
    points = rng.uniform(low, high, count)
    mixture = _Parzen(points, low, high)
    centres, widths = [*points, 0.5], [*plain_widths(points.tolist(), low, high), 5.0]
    assert mixture.centres.tolist() == centres
    assert mixture.widths.tolist() == pytest.approx(widths)
    x = rng.uniform(low, high, (4, 3))
    density = np.mean(
        [truncnorm.pdf(x, (low - c) / w, (high - c) / w, loc=c, scale=w) for c, w in zip(centres, widths, strict=True)],
        axis=0,
    )
    np.testing.assert_allclose(mixture.log_density(x), np.log(density), rtol=1e-9, atol=1e-9)
    drawn = np.random.default_rng(9)
    chosen = drawn.integers(count + 1, size=(50,))
    uniform = drawn.random((50,))
    c, w = np.array(centres)[chosen], np.array(widths)[chosen]
    expected = truncnorm.ppf(uniform, (low - c) / w, (high - c) / w, loc=c, scale=w)
    np.testing.assert_allclose(mixture.sample((50,), np.random.default_rng(9)), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("tried", [10, 23, 400])
def test_suggest__the_best_of_24_candidates_by_the_gain_over_poor_points(tried: int) -> None:
    """Of 10 points 1 is good, of 23 are 3, of 400 are 25; points of a round count as poor for the next one."""
    rng = np.random.default_rng(tried)
    ranges = ((0.1, 100.0), (1e-12, 1e-4))
    low, high = np.log([0.1, 1e-12]), np.log([100.0, 1e-4])
    points = np.exp(rng.uniform(low, high, (tried, 2)))
    values = rng.integers(0, 5, tried) / 4
    measured = suggest(points.tolist(), values.tolist(), ranges, 3, np.random.default_rng(1))
    order = sorted(range(tried), key=lambda i: -values[i])
    good = order[: min(math.ceil(0.1 * tried), 25)]
    poor = order[len(good) :]
    drawn, expected = np.random.default_rng(1), np.empty((3, 2))
    for p in range(2):
        better = _Parzen(np.log(points[good, p]), low[p], high[p])
        for k in range(3):
            worse = _Parzen(np.array([*np.log(points[poor, p]), *np.log(expected[:k, p])]), low[p], high[p])
            candidates = better.sample((24,), drawn)
            gains = better.log_density(candidates) - worse.log_density(candidates)
            expected[k, p] = np.exp(candidates[int(np.argmax(gains))])
    np.testing.assert_allclose(measured, expected, rtol=1e-9)
    assert len({tuple(point) for point in measured.tolist()}) == 3


def test_suggest__nine_points_are_too_few_for_a_model() -> None:
    ranges = ((0.1, 100.0), (1e-12, 1e-4))
    points, values = [[1.0, 1e-6]] * 9, [0.5] * 9
    measured = suggest(points, values, ranges, 4, np.random.default_rng(2))
    low, high = np.log([0.1, 1e-12]), np.log([100.0, 1e-4])
    expected = np.exp(np.random.default_rng(2).uniform(low, high, (4, 2)))
    np.testing.assert_allclose(measured, expected, rtol=1e-12)
