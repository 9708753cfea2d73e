"""How a fit computes, in parts or whole, compiled or stacked, by so many threads: it finds the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.probe.solver import design as design_module
from benchmark.probe.solver.design import design
from benchmark.probe.solver.kernels.rows import SUMMED
from benchmark.probe.solver.newton import solve
from benchmark.probe.solver.products import NARROW, product
from benchmark.probe.solver.rows import gather
from tests.benchmark.probe.toys import CPU, TOYS, as_design, fitted, toy


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
    measured = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            measured.append(torch.zeros((1, 100, 6), dtype=torch.float64))
            features.add_up(work, measured[-1])
    finally:
        torch.set_num_threads(before)
    assert sorted(rows_seen) == sorted(3 * [(start, start + 20) for start in range(0, 300, 20)])
    assert features.resident is not None
    wide = features.resident.double()
    np.testing.assert_allclose(measured[0], wide.mT @ (wide @ vectors.double()), atol=1e-4)
    assert torch.equal(measured[0], measured[1])
    assert torch.equal(measured[0], measured[2])


@pytest.mark.usefixtures("solver")
def test_design__axes_of_other_photos_lead_to_the_same_optimum() -> None:
    hard, other = TOYS["d>64"], toy(300, 100, 4, 0.3, seed=9)
    strengths, labels = torch.tensor([1e-3, 1e-6], dtype=torch.float64), torch.from_numpy(hard.y)[None]
    source = gather([hard.x], np.zeros((1, 300), np.int64), np.arange(300))
    axes = as_design(other, dtype=torch.float64).axes.select(slice(1))
    borrowed = design(source, 1, 300, 100, device=CPU, memory_bytes=1 << 30, dtype=torch.float64, axes=axes)
    assert borrowed.axes.vectors is not None
    assert torch.equal(borrowed.axes.vectors, axes.vectors)
    reference = solve(borrowed, labels, strengths, 4, tolerance=1e-9)
    changed = solve(as_design(hard, dtype=torch.float64), labels, strengths, 4, tolerance=1e-9)
    assert bool(reference.converged.all())
    np.testing.assert_allclose(reference.loss, changed.loss, atol=1e-12)
    np.testing.assert_allclose(reference.weights, changed.weights, atol=1e-4)


def test_solve__compiled_and_stacked_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    labels = torch.from_numpy(np.stack([rng.permutation(TOYS["d>64"].y) for _ in range(3)], 1))[None]
    strengths, features = torch.tensor([1e-2, 1e-4, 1e-6], dtype=torch.float64), as_design(TOYS["d>64"])
    alone = solve(features, labels, strengths, 4, tolerance=1e-9)
    monkeypatch.setattr("benchmark.probe.solver.newton.compiled_fits", lambda features, fits: None)
    together = solve(features, labels, strengths, 4, tolerance=1e-9)
    np.testing.assert_allclose(alone.loss, together.loss, atol=1e-13)
    np.testing.assert_allclose(alone.weights, together.weights, atol=1e-5)
    np.testing.assert_allclose(
        alone.bias - alone.bias.mean(-1, True), together.bias - together.bias.mean(-1, True), atol=1e-6
    )
    # the same steps: as many of them; rounding differs between processors, so products do by some of a hundred
    assert (alone.iterations - together.iterations).abs().max() <= 1
    assert (alone.products - together.products).abs().max() <= 0.1 * alone.products.max()


def test_compiled_fits__bits_do_not_depend_on_the_number_of_threads() -> None:
    before, measured = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            measured.append(fitted(TOYS["d>64"]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(measured[0].weights, measured[1].weights)
    assert torch.equal(measured[0].gradient_norm, measured[1].gradient_norm)


def test_newton_compiled__sums_of_many_rows() -> None:
    # more rows than are summed in float32, and not a multiple of four
    many = toy(2 * SUMMED + 7, 70, 3, 0.3)
    strengths = (1e-3,)
    measured = fitted(many, strengths, dtype=torch.float32)
    assert bool(measured.converged.all())
    exact = fitted(many, strengths, dtype=torch.float64, tolerance=1e-10)
    np.testing.assert_allclose(measured.loss, exact.loss, atol=1e-9)
