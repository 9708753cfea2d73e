"""Newton's direction and line search against plain conjugate gradients, and each compiled kernel as plain Python."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe.solver import newton
from benchmark.probe.solver.kernels import newton as newton_kernels
from benchmark.probe.solver.kernels import rows as row_kernels
from benchmark.probe.solver.newton import _line_search, _newton_direction
from benchmark.probe.solver.objective import at_zero, gradient_norm
from tests.benchmark.probe.toys import TOYS, as_design, fitted


def state_of(strengths: tuple[float, ...]) -> Any:
    toy = TOYS["easy"]
    state = at_zero(as_design(toy), torch.from_numpy(toy.y)[None], torch.tensor(strengths), toy.n_classes)
    state.evaluate()
    optimum = fitted(toy, (1e-4,))  # near it a direction is more exact
    state.begin_at(optimum.weights, optimum.bias)
    return state


def plain_direction(state: Any, k: int, tolerance: float) -> tuple[np.ndarray, int]:
    """Preconditioned conjugate gradients of one fit."""
    part = state.narrowed(torch.tensor([0]), torch.tensor([k]))
    mean = part.mean_curvature()

    def norm(table: torch.Tensor) -> float:
        return float(gradient_norm(table)[0, 0])

    size = norm(part.gradient)
    target = max(size * min(math.sqrt(size), 0.1), 0.2 * tolerance)
    step, residual, used = torch.zeros_like(part.gradient), -part.gradient, 0
    ahead = part.preconditioned(residual, mean)
    direction, energy = ahead, float((residual * ahead).sum())
    while True:
        bent = part.curvature(direction)
        length = energy / float((direction * bent).sum())
        step, residual, used = step + length * direction, residual - length * bent, used + 1
        if norm(residual) <= target:
            return step[0, :, 0].numpy(), used
        ahead = part.preconditioned(residual, mean)
        new = float((residual * ahead).sum())
        direction, energy = ahead + new / energy * direction, new


@pytest.mark.parametrize("strengths", [(1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5), (1e-3,)])
def test_newton_direction__is_that_of_plain_conjugate_gradients(strengths: tuple[float, ...]) -> None:
    """Finished fits leave the stack, and those that do not move have no step."""
    state = state_of(strengths)
    moving = torch.ones((1, len(strengths)), dtype=torch.bool)
    moving[0, 1:2] = False
    step, used = _newton_direction(state, moving, 1e-6)
    counts = []
    for k in range(len(strengths)):
        if not moving[0, k]:
            assert not step[0, :, k].any()
            assert used[0, k] == 0
            continue
        expected, count = plain_direction(state, k, 1e-6)
        np.testing.assert_allclose(step[0, :, k], expected, rtol=1e-5, atol=1e-8 * np.abs(expected).max())
        counts.append(count)
        assert int(used[0, k]) == count
    assert len(strengths) == 1 or max(counts) > min(counts)


def test_newton_direction__near_an_optimum_a_fifth_of_the_tolerance_is_enough() -> None:
    state = state_of((1e-3,))
    for tolerance in (1e-6, 0.5, 50.0):
        step, used = _newton_direction(state, torch.ones((1, 1), dtype=torch.bool), tolerance)
        expected, count = plain_direction(state, 0, tolerance)
        assert int(used[0, 0]) == count
        np.testing.assert_allclose(step[0, :, 0], expected, rtol=1e-5, atol=1e-9)


def test_newton_direction__ends_after_so_many_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "MAX_CONJUGATE", 3)
    _, used = _newton_direction(state_of((1e-6,)), torch.ones((1, 1), dtype=torch.bool), 1e-12)
    assert used.tolist() == [[3]]


class Curves:
    """Fits of one number each; loss and slope of each are functions of it. Points are [1, 2, L, 1], the bias is 0."""

    def __init__(self, functions: list[Any]) -> None:
        self.functions = functions
        self.features = SimpleNamespace(dtype=torch.float32)
        self.point = torch.zeros((1, 2, len(functions), 1), dtype=torch.float64)
        self.evaluated: list[list[float]] = []
        self.evaluate()

    def evaluate(self) -> None:
        x = self.point[0, 0, :, 0].tolist()
        self.evaluated.append(x)
        pairs = [f(at) for f, at in zip(self.functions, x, strict=True)]
        self.loss = torch.tensor([[loss for loss, _ in pairs]], dtype=torch.float64)
        self.gradient = torch.zeros_like(self.point)
        self.gradient[0, 0, :, 0] = torch.tensor([slope for _, slope in pairs], dtype=torch.float64)


def test_line_search__the_longest_step_that_lowers_the_objective_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "MAX_HALVINGS", 4)
    noise = 4 * torch.finfo(torch.float32).eps * 2
    functions = [
        lambda x: ((x - 1) ** 2, 2 * (x - 1)),  # the whole step to 1 is the optimum
        lambda x: (5 * (x - 0.2) ** 2, 10 * (x - 0.2)),  # 1 and 1/2 are too far, a quarter is near
        lambda x: ((x - 1) ** 2, 2 * (x - 1)),  # does not move
        lambda x: (1.0 + x, -1.0 - x),  # no step lowers it
        lambda x: (1.0 + 0.4 * noise * (x > 0), -1.0 + 0.5 * x),  # within rounding, and the gradient falls
        lambda x: (1.0 + 0.4 * noise * (x > 0), -1.0 - 0.5 * x),  # within rounding, and the gradient rises
        lambda x: (1.0 - 0.9e-4 * x, -1.0 - x),  # lower, but by less than a ten thousandth of what was predicted
        lambda x: (1.0 - 1.1e-4 * x, -1.0 - x),  # just enough
    ]
    curves: Any = Curves(functions)
    step = torch.zeros_like(curves.point)
    step[0, 0] = 1.0
    moving = torch.tensor([[True, True, False, *[True] * 5]])
    unfinished, moved = _line_search(curves, step, moving, 1e-6)
    ends = curves.point[0, 0, :, 0].tolist()
    assert ends == [1.0, 0.25, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    assert moved.tolist() == [[True, True, False, False, True, False, False, True]]
    assert unfinished.tolist() == [[False, True, True, True, True, True, True, True]]
    assert [at[3] for at in curves.evaluated] == [0.0, 1.0, 0.5, 0.25, 0.125, 0.0]
    assert [at[1] for at in curves.evaluated] == [0.0, 1.0, 0.5, 0.25, 0.25, 0.25]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that call one another as plain Python."""
    pytest.importorskip("numba")
    for module in (row_kernels, newton_kernels):
        for name in dir(module):
            kernel = getattr(module, name)
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)


RNG = np.random.default_rng(3)


@pytest.mark.usefixtures("plain")
def test_mean_curvature__of_the_other_classes_and_the_last() -> None:
    p = RNG.dirichlet(np.ones(4), 9)
    p[:, 1] = 0.0
    mean = np.full(4, 7.0)
    newton_kernels._mean_curvature(p[:, :3], mean)
    whole = np.column_stack([p[:, :3], 1 - p[:, :3].sum(1)])
    np.testing.assert_allclose(mean, np.maximum((whole - whole**2).mean(0), 1e-12))
    assert mean[1] == 1e-12


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("count", [0, 3, 6])
def test_precondition__by_the_formula_of_the_stacked_solver(count: int) -> None:
    dimension, classes, wide = 10, 3, 16
    residual, mean = np.zeros((classes, wide)), RNG.random(classes) + 0.1
    residual[:, : dimension + 1] = RNG.normal(size=(classes, dimension + 1))
    vectors = np.linalg.qr(RNG.normal(size=(dimension, dimension)))[0][:, :count]
    variances, rest, strength = RNG.random(count or dimension), 0.3, 0.05
    axes = np.zeros((-(-count // 4) * 4, wide))
    axes[:count, :dimension] = vectors.T
    ahead, narrow, sums = np.zeros((classes, wide)), np.zeros((4, wide)), np.ones((4, wide))
    inner = np.zeros((4, 4))
    newton_kernels._precondition(residual, ahead, dimension, strength, mean, axes, variances, rest, narrow, sums, inner)
    for c in range(classes):
        if count:
            inside = vectors @ np.diag(variances) @ vectors.T
            covariance = inside + rest * (np.eye(dimension) - vectors @ vectors.T)
        else:
            covariance = np.diag(variances)
        matrix = mean[c] * covariance + strength * np.eye(dimension)
        np.testing.assert_allclose(ahead[c, :dimension], np.linalg.solve(matrix, residual[c, :dimension]), rtol=1e-9)
        assert ahead[c, dimension] == pytest.approx(residual[c, dimension] / mean[c])


@pytest.mark.usefixtures("plain")
def test_small_kernels__by_numpy() -> None:
    one, other, into = RNG.normal(size=(3, 3, 16))
    newton_kernels._put_sum(into, one, other, -2.5)
    np.testing.assert_allclose(into, one - 2.5 * other)
    assert newton_kernels._product(one, other) == pytest.approx((one * other).sum())
    expected = np.linalg.norm(one[:, :5]) + np.linalg.norm(one[:, 5])
    assert newton_kernels._norm(one, 5) == pytest.approx(expected)
    assert row_kernels.squares(one, 5) == pytest.approx((one[:, :5] ** 2).sum())
    narrow = np.ones((4, 16), np.float32)
    row_kernels._differences(one, narrow)
    np.testing.assert_allclose(narrow, np.vstack([one[:2] - one[2], np.zeros((2, 16))]), rtol=1e-6)
    sums, total = RNG.normal(size=(2, 16)), RNG.normal(size=(3, 16))
    before = total.copy()
    added = sums.copy()
    row_kernels._flush(sums, total)
    np.testing.assert_allclose(total, before + np.vstack([added, np.zeros(16)]))
    assert not sums.any()
    total, point = RNG.normal(size=(3, 16)), RNG.normal(size=(3, 16))
    means = np.vstack([total[:2] / 7, -(total[:2] / 7).sum(0)])
    means[:, :5] += 0.1 * point[:, :5]
    row_kernels._finish(total, 7, 0.1, point, 5)
    np.testing.assert_allclose(total, means)


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("label", [0, 1, 2])
def test_to_residuals_and_changes__of_a_softmax_whose_last_logit_is_0(label: int) -> None:
    logits, probability = RNG.normal(size=(4, 4)), np.zeros(2)
    before = logits.copy()
    entropy = row_kernels._to_residuals(logits, 2, 1, label, probability)
    p = np.exp([*before[:2, 1], 0.0]) / np.exp([*before[:2, 1], 0.0]).sum()
    assert entropy == pytest.approx(-math.log(p[label]))
    np.testing.assert_allclose(probability, p[:2])
    np.testing.assert_allclose(logits[:2, 1], (p - np.eye(3)[label])[:2])
    np.testing.assert_array_equal(logits[:, [0, 2, 3]], before[:, [0, 2, 3]])
    changes = before.copy()
    row_kernels._to_changes(changes, 2, 1, probability)
    c = np.array([*before[:2, 1], 0.0])
    np.testing.assert_allclose(changes[:2, 1], (p * (c - p @ c))[:2])


@pytest.mark.usefixtures("plain")
def test_load__four_rows_from_a_column_on_and_a_1_for_the_bias() -> None:
    features, rows = RNG.normal(size=(6, 5)), np.full((4, 16), 9.0)
    assert row_kernels._load(features, 4, 2, rows) == 2
    np.testing.assert_array_equal(rows[:2, 2:5], features[4:, 2:])
    assert rows[:2, 5].tolist() == [1, 1]
    assert not rows[2:].any()
    assert row_kernels._load(features, 0, 0, rows) == 4
    np.testing.assert_array_equal(rows[:, :5], features[:4])


@pytest.mark.usefixtures("plain")
def test_put_logits_and_add_products__of_two_rows_of_weights() -> None:
    weights, rows, logits, sums = (RNG.normal(size=s) for s in ((4, 16), (4, 16), (4, 4), (4, 16)))
    before, added = logits.copy(), sums.copy()
    row_kernels.put_logits(weights, 2, rows, 5, logits)
    np.testing.assert_allclose(logits[2:], weights[2:, 5:] @ rows[:, 5:].T)
    np.testing.assert_array_equal(logits[:2], before[:2])
    row_kernels.add_products(sums, 2, rows, 5, logits)
    np.testing.assert_allclose(sums[2:, 5:], added[2:, 5:] + logits[2:] @ rows[:, 5:])
    np.testing.assert_array_equal(sums[:2], added[:2])
    np.testing.assert_array_equal(sums[:, :5], added[:, :5])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_aligned__rows_begin_where_vectors_do(dtype: Any) -> None:
    for rows, columns in ((1, 16), (3, 32), (7, 48)):
        table = row_kernels.aligned(rows, columns, dtype)
        assert (table.shape, table.dtype) == ((rows, columns), dtype)
        assert table.ctypes.data % 64 == 0
        assert not table.any()
    given = newton_kernels.prepared(np.ones((5, 20), dtype), np.ones((20, 3)), np.ones(3), 0.5)
    assert (given.axes.shape, given.axes.dtype, given.rest) == ((4, 32), dtype, 0.5)
    assert given.axes[:3, :20].all()
    assert not given.axes[3].any()
    assert not given.axes[:, 20:].any()
    assert newton_kernels.prepared(np.ones((5, 20), dtype), None, np.ones(20), 0.5).axes.shape == (0, 32)
    assert newton_kernels._wide(np.ones((5, 15))) == 16
    assert newton_kernels._wide(np.ones((5, 16))) == 32


def test_compiled_solver__which_kernels_and_which_files_decide(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(newton, "compiled_module", lambda *given: calls.append(given))
    monkeypatch.setattr(newton._KERNELS, "wait", lambda: None)
    assert newton._compiled.__wrapped__() is None
    assert calls == [("benchmark.probe.solver.kernels.newton", "The solver of probes")]
    begun: list[str] = []
    monkeypatch.setattr(newton._KERNELS, "begin", lambda: begun.append("begun"))
    newton.begin_compiling_probes()
    assert begun == ["begun"]
    made = newton._KERNELS
    assert (made._compile, made._name) == ("benchmark.probe.solver.kernels.newton:try_out", "probes")
    assert newton._KERNELS._patterns == ("kernels/*.py", "bounds.py")
    assert newton._KERNELS._folder.name == "solver"
