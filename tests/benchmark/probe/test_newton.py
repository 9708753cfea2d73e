"""The solver against scikit-learn's optimum of the same objective, on everything from hopeless to separable."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmark.probe.solver.design import design
from benchmark.probe.solver.newton import Solution, solve
from benchmark.probe.solver.rows import gather, normalised
from tests.benchmark.probe.toys import CPU, PATH, TOYS, Toy, fitted, toy


def sklearn_fit(toy: Toy, strength: float) -> LogisticRegression:
    """The same objective: with two classes scikit-learn has one weight vector, the difference of our two."""
    classes = len(np.unique(toy.y))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=(2 if classes == 2 else 1) / (len(toy.y) * strength), tol=1e-9, max_iter=20_000)
        return model.fit(normalised(toy.x).astype(np.float64), toy.y)


def sklearn_objective(model: LogisticRegression, toy: Toy, strength: float) -> float:
    x = normalised(toy.x).astype(np.float64)
    column = np.searchsorted(model.classes_, toy.y)
    cross_entropy = -model.predict_log_proba(x)[np.arange(len(x)), column].mean()
    factor = 0.25 if len(model.classes_) == 2 else 0.5
    return float(cross_entropy + factor * strength * (model.coef_**2).sum())


def logits(solution: Solution, x: np.ndarray, column: int) -> np.ndarray:
    weights, bias = solution.weights[0, column].numpy(), solution.bias[0, column].numpy()
    return normalised(x).astype(np.float64) @ weights + bias


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize(
    ("name", "dtype"),
    [*((name, None) for name in TOYS if name not in {"easy", "separable", "n<d hopeless"}), ("hard", torch.float32)],
)
def test_solve__agrees_with_scikit_learn(name: str, dtype: torch.dtype | None) -> None:
    toy = TOYS[name]
    solution = fitted(toy, dtype=dtype)
    assert bool(solution.converged.all())
    assert float(solution.gradient_norm.max()) <= 1e-6
    for column, strength in enumerate(PATH):
        model = sklearn_fit(toy, strength)
        reference = sklearn_objective(model, toy, strength)
        # scikit-learn may stop early at weak penalties, so ours may be lower, by a little
        assert -1e-4 < float(solution.loss[0, column]) - reference < 2e-6
        scores = logits(solution, toy.x, column)
        top = np.sort(scores, axis=1)
        sure = top[:, -1] - top[:, -2] > 0.02
        assert (scores.argmax(1) == model.predict(normalised(toy.x).astype(np.float64)))[sure].all()


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("name", ["hard", "easy", "n<d", "many classes", "duplicate rows"])
def test_solve__weights_agree_with_scikit_learn(name: str) -> None:
    toy = TOYS[name]
    solution = fitted(toy, (1e-2,), tolerance=1e-9)
    model = sklearn_fit(toy, 1e-2)
    np.testing.assert_allclose(solution.weights[0, 0].T, model.coef_, atol=2e-5)
    bias = solution.bias[0, 0].numpy()
    np.testing.assert_allclose(bias - bias.mean(), model.intercept_ - model.intercept_.mean(), atol=2e-5)


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("name", ["hard", "n<d", "separable", "zero rows"])
def test_solve__reported_loss_and_gradient_are_those_of_the_weights(name: str) -> None:
    toy = TOYS[name]
    solution = fitted(toy)
    x = torch.from_numpy(normalised(toy.x)).double()
    y = torch.from_numpy(toy.y)
    for column, strength in enumerate(PATH):
        weights = solution.weights[0, column].clone().requires_grad_()
        bias = solution.bias[0, column].clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy(x @ weights + bias, y) + strength / 2 * weights.square().sum()
        loss.backward()
        assert abs(loss.item() - float(solution.loss[0, column])) < 1e-9
        largest = max(float(weights.grad.abs().max()), float(bias.grad.abs().max()))
        assert largest <= float(solution.gradient_norm[0, column]) + 1e-10 <= 1e-6 + 1e-10


@pytest.mark.usefixtures("solver")
def test_solve__missing_class_has_no_probability() -> None:
    solution = fitted(TOYS["missing class"])
    assert torch.isneginf(solution.bias[0, :, [1, 4]]).all()
    assert torch.isfinite(solution.bias[0, :, [0, 2, 3]]).all()
    assert not solution.weights[0, :, :, [1, 4]].any()


@pytest.mark.usefixtures("solver")
def test_solve__one_class_only() -> None:
    solution = fitted(Toy(toy(10, 4, 1, 0.0).x, np.full(10, 2), 3))
    assert bool(solution.converged.all())
    assert float(solution.loss.abs().max()) == 0
    assert logits(solution, np.ones((1, 4), np.float32), 0).argmax() == 2


@pytest.mark.usefixtures("solver")
def test_solve__stacked_fits_equal_fits_alone() -> None:
    rng = np.random.default_rng(1)
    banks = [toy(80, 12, 3, 0.3, seed=s).x for s in range(3)]
    which = rng.integers(0, 3, (4, 80))
    strengths = torch.tensor(PATH, dtype=torch.float64)

    def run(members: slice, columns: slice) -> Solution:
        part = which[members]
        source = gather(banks, part, np.arange(80))
        features = design(source, len(part), 80, 12, device=CPU, memory_bytes=1 << 30)
        return solve(features, torch.from_numpy(part), strengths[columns], 3, tolerance=1e-10)

    together = run(slice(None), slice(None))
    for g in range(4):
        for column in range(len(PATH)):
            alone = run(slice(g, g + 1), slice(column, column + 1))
            np.testing.assert_allclose(together.loss[g, column], alone.loss[0, 0], atol=1e-12)
            scale = float(alone.weights.abs().max())
            np.testing.assert_allclose(together.weights[g, column], alone.weights[0, 0], atol=1e-4 * scale)


@pytest.mark.usefixtures("solver")
def test_solve__warm_start_takes_fewer_steps_and_a_bad_one_does_no_harm() -> None:
    cold = fitted(TOYS["easy"], (1e-5,))
    warm = fitted(TOYS["easy"], (1e-6,), start=(cold.weights, cold.bias))
    from_zero = fitted(TOYS["easy"], (1e-6,))
    assert int(warm.iterations) < int(from_zero.iterations)
    bad = fitted(TOYS["easy"], (1e-6,), start=(-100 * cold.weights, cold.bias))
    assert int(bad.iterations) == int(from_zero.iterations)
    np.testing.assert_allclose([float(warm.loss), float(bad.loss)], float(from_zero.loss), atol=1e-7)


@pytest.mark.usefixtures("solver")
def test_solve__too_few_iterations_are_reported() -> None:
    assert not fitted(TOYS["easy"], (1e-7,), max_iterations=2).converged.any()


@pytest.mark.usefixtures("solver")
def test_solve__features_that_hardly_differ() -> None:
    # what processings look like: nearly the same embedding in every class
    rng = np.random.default_rng(0)
    photos = rng.normal(size=(400, 64))
    y = rng.integers(0, 3, 400)
    shifts = 0.02 * rng.normal(size=(3, 64))
    near = Toy((photos + shifts[y]).astype(np.float32), y, 3)
    solution = fitted(near, (1e-4, 1e-6, 1e-8))
    assert bool(solution.converged.all())
    for column, strength in enumerate((1e-4, 1e-6, 1e-8)):
        reference = sklearn_objective(sklearn_fit(near, strength), near, strength)
        assert abs(float(solution.loss[0, column]) - reference) < 2e-6
