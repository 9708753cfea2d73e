"""The solver against scikit-learn's optimum of the same objective, on everything from hopeless to separable."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmark.probe import alone, newton_compiled
from benchmark.probe import design as design_module
from benchmark.probe.alone import AS_FAST, compiled_fits
from benchmark.probe.design import Design, design
from benchmark.probe.features import gather, normalised
from benchmark.probe.logistic import Solution, solve
from benchmark.probe.objective import Iterates
from benchmark.probe.products import NARROW, product
from benchmark.probe.rows_compiled import SUMMED

CPU = torch.device("cpu")
PATH = (1e-1, 1e-3, 1e-5, 1e-7)


@pytest.fixture(params=["compiled", "stacked"])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "stacked":
        monkeypatch.setattr("benchmark.probe.logistic.compiled_fits", lambda features, fits: None)
    return str(request.param)


@pytest.fixture
def stacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.probe.logistic.compiled_fits", lambda features, fits: None)


class Toy(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    n_classes: int


def toy(n: int, d: int, n_classes: int, signal: float, seed: int = 0) -> Toy:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    x = rng.normal(size=(n, d)) + 2 + signal * rng.normal(size=(n_classes, d))[y]
    return Toy(x.astype(np.float32), y, n_classes)


def with_duplicates() -> Toy:
    hard = toy(40, 5, 3, 0.5)
    return Toy(np.concatenate([hard.x, hard.x, hard.x]), np.concatenate([hard.y, hard.y, hard.y[::-1]]), 3)


def with_missing_class() -> Toy:
    easy = toy(60, 8, 3, 1.0)
    return Toy(easy.x, np.array([0, 2, 3])[easy.y], 5)


def with_constant_features() -> Toy:
    easy = toy(60, 8, 3, 1.0)
    easy.x[:, 2:5] = 1.5
    return easy


def with_zero_rows() -> Toy:
    easy = toy(50, 6, 3, 1.0)
    easy.x[::7] = 0
    return easy


def one_dimension() -> Toy:
    # one unit-length dimension is a sign
    return Toy(np.array([[1], [2], [-1], [-3], [5], [-2]], np.float32), np.array([0, 0, 1, 2, 1, 2]), 3)


TOYS = {
    "hard": toy(300, 20, 4, 0.1),
    "easy": toy(300, 20, 4, 1.0),
    "d>64": toy(300, 100, 4, 0.3),
    "separable": toy(200, 30, 3, 4.0),
    "n<d": toy(60, 200, 3, 0.5),
    "n<d hopeless": toy(60, 200, 3, 0.0),
    "tiny": toy(5, 3, 3, 1.0, seed=5),
    "two classes": toy(120, 10, 2, 0.4),
    "many classes": toy(400, 30, 20, 0.6),
    "duplicate rows": with_duplicates(),
    "missing class": with_missing_class(),
    "constant features": with_constant_features(),
    "zero rows": with_zero_rows(),
    "d=1": one_dimension(),
}


def fitted(
    toy: Toy, strengths: tuple[float, ...] = PATH, dtype: torch.dtype | None = None, **options: object
) -> Solution:
    features = as_design(toy, dtype=dtype)
    labels = torch.from_numpy(toy.y)[None]
    return solve(features, labels, torch.tensor(strengths, dtype=torch.float64), toy.n_classes, **options)


def as_design(toy: Toy, memory_bytes: int = 1 << 30, dtype: torch.dtype | None = None) -> Design:
    n, d = toy.x.shape
    source = gather([toy.x], np.zeros((1, n), np.int64), np.arange(n))
    return design(source, 1, n, d, device=CPU, memory_bytes=memory_bytes, dtype=dtype)


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
@pytest.mark.parametrize("dtype", [None, torch.float32], ids=["auto", "float32"])
@pytest.mark.parametrize("name", TOYS)
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
def test_solve__too_few_iterations_is_said() -> None:
    assert not fitted(TOYS["easy"], (1e-7,), max_iterations=2).converged.any()


@pytest.mark.parametrize("name", ["easy", "n<d"])
def test_design__streamed_equals_resident(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design_module, "BLOCK_BYTES", 8000)
    monkeypatch.setattr(design_module, "GATHER_BYTES", 1000)
    toy = TOYS[name]
    strengths = torch.tensor([1e-3, 1e-5], dtype=torch.float64)
    labels = torch.from_numpy(toy.y)[None]
    streamed_features = as_design(toy, memory_bytes=100)
    assert streamed_features.resident is None
    streamed = solve(streamed_features, labels, strengths, toy.n_classes, tolerance=1e-9)
    resident = solve(as_design(toy), labels, strengths, toy.n_classes, tolerance=1e-9)
    np.testing.assert_allclose(streamed.loss, resident.loss, atol=1e-10)
    np.testing.assert_allclose(streamed.weights, resident.weights, atol=1e-3)


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("name", ["n<d", "n<d hopeless"])
def test_design__unrotated_equals_rotated(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rotated = fitted(TOYS[name])
    monkeypatch.setattr(design_module, "REDUCED_ROWS", 0)
    assert as_design(TOYS[name]).basis is None
    unrotated = fitted(TOYS[name])
    assert bool(unrotated.converged.all())
    np.testing.assert_allclose(unrotated.loss, rotated.loss, atol=1e-6)


@pytest.mark.parametrize("columns", [1, 6, NARROW, NARROW + 1])
def test_product__is_the_matrix_product(columns: int) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 7, 5)), rng.normal(size=(2, 5, columns))
    result = product(torch.from_numpy(left), torch.from_numpy(right))
    assert result.is_contiguous()
    np.testing.assert_allclose(result, left @ right, atol=1e-12)


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


@pytest.mark.usefixtures("stacked")
def test_solve__little_work_has_one_thread_and_much_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    easy = toy(60, 8, 3, 1.0)
    rows = normalised(easy.x)
    seen: list[int] = []
    curvature = Iterates.curvature

    def spy(self: Iterates, direction: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return curvature(self, direction)

    monkeypatch.setattr(Iterates, "curvature", spy)

    def threads_in_products(bound: int) -> set[int]:
        seen.clear()
        monkeypatch.setattr("benchmark.compute.threads.LITTLE_WORK", bound)
        source = gather([rows], np.zeros((1, 60), int), np.arange(60))
        features = design(source, 1, 60, 8, device=CPU, memory_bytes=1 << 20)
        solve(features, torch.from_numpy(easy.y[None]), torch.tensor([1e-3], dtype=torch.float64), 3)
        return set(seen)

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        work = 2 * 60 * 8 * 3  # one training set, one strength: to the logits and back to the gradient
        assert threads_in_products(work + 1) == {1}
        assert threads_in_products(work) == {3}
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_add_up__bits_do_not_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design_module, "BLOCK_BYTES", 8000)  # 20 rows of 100 float32 values a block
    monkeypatch.setattr(design_module, "WAVE", 2)
    features = as_design(TOYS["d>64"], dtype=torch.float32)
    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 100, 6)).astype(np.float32))
    rows_seen: list[tuple[int, int]] = []

    def work(rows: slice, block: torch.Tensor, total: torch.Tensor) -> None:
        rows_seen.append((rows.start, rows.stop))
        total += product(block.mT, product(block, vectors))

    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(torch.zeros((1, 100, 6), dtype=torch.float64))
            features.add_up(work, found[-1])
    finally:
        torch.set_num_threads(before)
    assert sorted(rows_seen) == sorted(3 * [(start, start + 20) for start in range(0, 300, 20)])
    assert features.resident is not None
    wide = features.resident.double()
    np.testing.assert_allclose(found[0], wide.mT @ (wide @ vectors.double()), atol=1e-4)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.usefixtures("solver")
def test_design__axes_of_other_photos_lead_to_the_same_optimum() -> None:
    hard, other = TOYS["d>64"], toy(300, 100, 4, 0.3, seed=9)
    strengths, labels = torch.tensor([1e-3, 1e-6], dtype=torch.float64), torch.from_numpy(hard.y)[None]
    source = gather([hard.x], np.zeros((1, 300), np.int64), np.arange(300))
    axes = as_design(other, dtype=torch.float64).axes.of_first()
    borrowed = design(source, 1, 300, 100, device=CPU, memory_bytes=1 << 30, dtype=torch.float64, axes=axes)
    assert borrowed.axes.vectors is not None
    assert torch.equal(borrowed.axes.vectors, axes.vectors)
    theirs = solve(borrowed, labels, strengths, 4, tolerance=1e-9)
    own = solve(as_design(hard, dtype=torch.float64), labels, strengths, 4, tolerance=1e-9)
    assert bool(theirs.converged.all())
    np.testing.assert_allclose(theirs.loss, own.loss, atol=1e-12)
    np.testing.assert_allclose(theirs.weights, own.weights, atol=1e-4)


@pytest.mark.parametrize("numpy_is_faster", [True, False])
@pytest.mark.parametrize("columns", [6, NARROW + 1])
def test_product__of_float32_by_either_library(
    columns: int, numpy_is_faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.probe.products.numpy_is_faster", lambda: numpy_is_faster)
    monkeypatch.setattr("benchmark.compute.products.numpy_is_faster", lambda: numpy_is_faster)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 7, 5)).astype(np.float32), rng.normal(size=(2, 5, columns)).astype(np.float32)
    wide = left.astype(np.float64) @ right.astype(np.float64)
    for given in (torch.from_numpy(left), torch.from_numpy(np.ascontiguousarray(left.transpose(0, 2, 1))).mT):
        np.testing.assert_allclose(product(given, torch.from_numpy(right)), wide, atol=1e-5)


def test_solve__compiled_and_stacked_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    labels = torch.from_numpy(np.stack([rng.permutation(TOYS["d>64"].y) for _ in range(3)], 1))[None]
    strengths, features = torch.tensor([1e-2, 1e-4, 1e-6], dtype=torch.float64), as_design(TOYS["d>64"])
    alone = solve(features, labels, strengths, 4, tolerance=1e-9)
    monkeypatch.setattr("benchmark.probe.logistic.compiled_fits", lambda features, fits: None)
    together = solve(features, labels, strengths, 4, tolerance=1e-9)
    np.testing.assert_allclose(alone.loss, together.loss, atol=1e-13)
    np.testing.assert_allclose(alone.weights, together.weights, atol=1e-5)
    np.testing.assert_allclose(
        alone.bias - alone.bias.mean(-1, True), together.bias - together.bias.mean(-1, True), atol=1e-6
    )
    # the same steps: as many of them, and of products, to a few of rounding
    assert (alone.iterations - together.iterations).abs().max() <= 1
    assert (alone.products - together.products).abs().max() <= 5


def test_compiled_fits__bits_do_not_depend_on_the_number_of_threads() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(fitted(TOYS["d>64"]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0].weights, found[1].weights)
    assert torch.equal(found[0].gradient_norm, found[1].gradient_norm)


def test_compiled_fits__not_where_more_threads_would_idle() -> None:
    features, before = as_design(TOYS["easy"]), torch.get_num_threads()
    torch.set_num_threads(2 * AS_FAST)
    try:
        assert compiled_fits(features, 1) is None
        assert compiled_fits(features, 2) is not None
        # its rows are read anew in each pass
        assert compiled_fits(as_design(TOYS["easy"], memory_bytes=100), 2) is None
    finally:
        torch.set_num_threads(before)


def test_newton_compiled__sums_of_many_rows() -> None:
    # more rows than are summed in float32, and not a multiple of four
    many = toy(2 * SUMMED + 7, 70, 3, 0.3)
    strengths = (1e-3,)
    found = fitted(many, strengths, dtype=torch.float32)
    assert bool(found.converged.all())
    exact = fitted(many, strengths, dtype=torch.float64, tolerance=1e-10)
    np.testing.assert_allclose(found.loss, exact.loss, atol=1e-9)


def test_compiled_fits__wait_for_who_compiles_and_note_that_the_kernels_are_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    monkeypatch.setattr(alone._KERNELS, "wait", lambda: done.append("waited"))
    monkeypatch.setattr(alone._KERNELS, "note", lambda: done.append("noted"))
    features = as_design(TOYS["easy"])
    for found, expected in ((None, ["waited", "made"]), (newton_compiled, ["waited", "made", "noted"])):
        done.clear()
        alone._compiled.cache_clear()
        monkeypatch.setattr(alone, "compiled_module", lambda *a, module=found: done.append("made") or module)
        assert compiled_fits(features, 1) is found
        assert compiled_fits(features, 1) is found
        assert done == expected
    alone._compiled.cache_clear()
