"""Sizes by which the solver plans, parts of designs, and the objective against autograd: numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe.problem import Problem
from benchmark.probe.solver import design as design_module
from benchmark.probe.solver.design import Axes, Design, design, principal_axes, resident_bytes, stack_size
from benchmark.probe.solver.objective import at_zero, put_fits, take_fits
from benchmark.probe.solver.rows import normalised
from benchmark.probe.solver.sgd import Flags, Reader, reader, rectangle, rows_are_cheaper

CPU = torch.device("cpu")
RNG = np.random.default_rng(11)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def source_of(rows: np.ndarray) -> Any:
    """Training sets [G, n, d] as they are."""
    stack = torch.from_numpy(rows.astype(np.float32))
    return lambda start, stop: stack[:, start:stop]


def design_of(rows: np.ndarray, **more: Any) -> Design:
    groups, n, d = rows.shape
    return design(source_of(rows), groups, n, d, **{"device": CPU, "memory_bytes": 1 << 30, **more})


@pytest.mark.parametrize(
    ("n", "d", "dtype", "expected"),
    [
        (600, 10, None, 600 * 10 * 8),
        (512, 1024, None, 512 * 1024 * 8 + 8 * 512 * (1024 + 4 * 512)),  # half a million values, rotated
        (513, 1024, None, 513 * 1024 * 4),  # more: float32, and too many rows to rotate
        (512, 1025, None, 512 * 1025 * 4 + 8 * 512 * (1025 + 4 * 512)),
        (100, 100, None, 100 * 100 * 8),  # as many rows as dimensions are not rotated
        (99, 100, torch.float32, 99 * 100 * 4 + 8 * 99 * (100 + 4 * 99)),
        (600, 10, torch.float32, 600 * 10 * 4),
    ],
)
def test_resident_bytes__features_and_the_rotation_of_a_small_set(
    n: int, d: int, dtype: torch.dtype | None, expected: int
) -> None:
    assert resident_bytes(n, d, dtype) == expected
    for fits, memory, sets in ((5, 3 * expected, 3), (5, 3 * expected - 1, 2), (2, 9 * expected, 2), (5, 0, 1)):
        assert stack_size(fits, n, d, memory, dtype) == sets


def test_stack_size__at_most_a_quarter_of_a_gibibyte() -> None:
    one = resident_bytes(600, 10)
    assert stack_size(10**9, 600, 10, 1 << 40) == (256 << 20) // one


@pytest.mark.parametrize(("share", "resident"), [(0, True), (-1, False)])
def test_design__features_are_in_memory_where_they_fit(share: int, resident: bool) -> None:
    rows = RNG.normal(size=(2, 30, 4))
    made = design_of(rows, memory_bytes=2 * resident_bytes(30, 4) + share)
    assert (made.resident is not None) == resident
    assert made.dtype == torch.float64
    np.testing.assert_allclose(made.mean, rows.astype(np.float32).mean(1), atol=1e-7)
    for g in range(2):
        np.testing.assert_allclose(made.block(slice(3, 9))[g], (rows[g] - rows[g].mean(0))[3:9], atol=1e-6)


@pytest.mark.parametrize(
    ("block_bytes", "device", "rows"),
    [(8 * 5 * 3 * 4, "cpu", 4), (8 * 5 * 3 * 4 - 1, "cpu", 3), (1, "cpu", 1), (1 << 20, "cpu", 90), (1, "meta", 64)],
)
def test_block_rows__by_bytes_of_all_sets_together(
    block_bytes: int, device: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three sets of 90 rows of five float64 values; an accelerator has 64 times as many rows in a block."""
    monkeypatch.setattr(design_module, "BLOCK_BYTES", block_bytes)
    mean = torch.zeros((3, 5), dtype=torch.float64, device=device)
    axes = Axes(None, torch.zeros((3, 5), device=device), torch.zeros(3, device=device))
    made = Design(90, mean, None, axes, None, source_of(np.zeros((3, 90, 5))), torch.float64)
    assert (made.dimension, made.block_rows) == (5, rows)
    assert [row for piece in made.pieces for row in range(piece.start, piece.stop)] == list(range(90))
    assert {piece.stop - piece.start for piece in made.pieces[:-1]} <= {rows}


def test_design__its_dimension_is_that_of_axes_or_of_coordinates() -> None:
    rows = RNG.normal(size=(1, 100, 80))
    made = design_of(rows)
    assert made.axes.vectors is not None
    assert (made.axes.vectors.shape, made.axes.variances.shape, made.dimension) == ((1, 80, 64), (1, 64), 80)
    rotated = design_of(rows[:, :20])
    assert (rotated.axes.vectors, rotated.dimension) == (None, 19)
    assert rotated.axes.rest.tolist() == [0.0]


@pytest.mark.parametrize(("n", "d", "count"), [(60, 8, 3), (7, 9, 5), (30, 6, 6)])
def test_principal_axes__those_of_the_covariance_and_the_mean_variance_outside(n: int, d: int, count: int) -> None:
    scales = 10.0 ** -np.arange(d)
    rows = RNG.normal(size=(1, n, d)) * scales
    centred = rows[0] - rows[0].mean(0)
    features = Design(
        n,
        torch.from_numpy(rows.mean(1)),
        None,
        Axes(None, torch.zeros((1, d), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)),
        torch.from_numpy(centred[None]),
        source_of(rows),
        torch.float64,
    )
    axes = principal_axes(features, count)
    values = np.sort(np.linalg.eigvalsh(centred.T @ centred / n))[::-1]
    np.testing.assert_allclose(axes.variances[0].numpy()[::-1], values[:count], rtol=1e-3, atol=1e-12)
    outside = max(min(n - 1, d) - count, 1)
    assert float(axes.rest[0]) == pytest.approx(max(values[count:].sum(), 0) / outside, rel=0.05, abs=1e-14)
    vectors = axes.vectors[0]
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(count), atol=1e-9)
    spread = (centred @ vectors.numpy()).T @ (centred @ vectors.numpy()) / n
    np.testing.assert_allclose(np.diag(spread), axes.variances[0], rtol=1e-6)


def test_rotated__features_have_the_products_of_the_rows_and_a_basis_of_their_span() -> None:
    rows = RNG.normal(size=(2, 6, 15))
    rows[0, 3] = rows[0, 2]  # one direction less
    made = design_of(rows)
    assert made.basis is not None
    assert made.resident is not None
    for g in range(2):
        centred = rows[g].astype(np.float32) - rows[g].astype(np.float32).mean(0)
        part = made.resident[g].numpy()
        np.testing.assert_allclose(part @ part.T, centred @ centred.T, atol=1e-5)
        np.testing.assert_allclose(made.axes.variances[g], np.square(part).mean(0), atol=1e-6)
        basis = made.basis.rows[g].numpy().T @ made.basis.combination[g].numpy()
        np.testing.assert_allclose(centred @ basis, part, atol=1e-5)
    assert made.dimension in (5, 6)  # five directions, and what rounding makes of the sixth
    sizes = (2, 3, made.dimension, 4), (2, 3, 4)
    weights, bias = (torch.from_numpy(RNG.normal(size=size)) for size in sizes)
    weights[:, :, : made.dimension - 5] = 0
    turned, shifted = made.to_embedding(weights, bias)
    assert (turned.shape, shifted.shape) == ((2, 3, 15, 4), (2, 3, 4))
    plain = torch.from_numpy(rows.astype(np.float32)).double()[:, None] @ turned + shifted[:, :, None]
    expected = made.resident.double()[:, None] @ weights + bias[:, :, None]
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    back, bias_back = made.from_embedding(turned, shifted)
    np.testing.assert_allclose(bias_back, bias, atol=1e-9)
    np.testing.assert_allclose(back[1][:, -5:], weights[1][:, -5:], atol=1e-5)


def test_axes__some_sets_and_one_for_all() -> None:
    axes = Axes(torch.arange(12.0).view(2, 3, 2), torch.arange(4.0).view(2, 2), torch.arange(2.0))
    some = axes.select(slice(1, 2))
    assert [part.tolist() for part in some] == [[[[6, 7], [8, 9], [10, 11]]], [[2, 3]], [1]]
    all_of_one = some.expand(3)
    assert [tuple(part.shape) for part in all_of_one] == [(3, 3, 2), (3, 2), (3,)]
    assert all_of_one.rest.tolist() == [1, 1, 1]
    plain = Axes(None, axes.variances, axes.rest)
    assert plain.select(slice(1, 2)).vectors is plain.select(slice(0, 1)).expand(2).vectors is None


def iterates(dtype: torch.dtype = torch.float64) -> Any:
    """Two sets of 30 rows, three strengths; the first set lacks class 2 of four."""
    rows = RNG.normal(size=(2, 30, 5))
    labels = np.stack([np.array([0, 1, 3])[np.arange(30) % 3], np.arange(30) % 4])
    made = at_zero(design_of(rows, dtype=dtype), torch.from_numpy(labels), torch.tensor([0.1, 0.01, 1.0]), 4)
    point = torch.from_numpy(RNG.normal(size=(2, 6, 3, 4)))
    made.point = point * made.present[:, None, None]
    made.evaluate()
    return made, labels


def plain_loss(made: Any, labels: np.ndarray, point: torch.Tensor, g: int, k: int) -> torch.Tensor:
    logits = made.features.resident[g].double() @ point[:-1] + point[-1]
    logits = logits.masked_fill(~made.present[g], -torch.inf)
    entropy = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[g]))
    return entropy + made.strengths[k] / 2 * point[:-1].square().sum()


def test_iterates__loss_gradient_and_curvature_are_those_of_autograd() -> None:
    made, labels = iterates()
    direction = torch.from_numpy(RNG.normal(size=(2, 6, 3, 4))) * made.present[:, None, None]
    bent = made.curvature(direction)
    mean = made.mean_curvature()
    for g in range(2):
        for k in range(3):
            point = made.point[g, :, k].clone().requires_grad_()
            loss = plain_loss(made, labels, point, g, k)
            (gradient,) = torch.autograd.grad(loss, point, create_graph=True)
            (second,) = torch.autograd.grad((gradient * direction[g, :, k]).sum(), point)
            assert float(made.loss[g, k]) == pytest.approx(loss.item(), rel=1e-9)
            np.testing.assert_allclose(made.gradient[g, :, k], gradient.detach(), atol=1e-9)
            np.testing.assert_allclose(bent[g, :, k], second, atol=1e-9)
            logits = made.features.resident[g] @ made.point[g, :-1, k] + made.point[g, -1, k]
            p = torch.softmax(logits.masked_fill(~made.present[g], -torch.inf), 1)
            np.testing.assert_allclose(made.probabilities[g, :, k], p, atol=1e-9)
            np.testing.assert_allclose(mean[g, k], (p - p * p).mean(0).clamp_min(1e-12), atol=1e-12)
    assert mean[0, 0, 2] == 1e-12
    assert made.present.tolist() == [[True, True, False, True], [True] * 4]
    assert made.work == 2 * 30 * 2 * 5 * 3 * 4


@pytest.mark.parametrize("own_axes", [True, False])
def test_preconditioned__is_the_inverse_of_the_hessian_with_mean_curvature(own_axes: bool) -> None:
    """Weights: curvature times the covariance in its axes (the rest as one number) plus the strength."""
    made, _ = iterates()
    mean = made.mean_curvature()
    direction = torch.from_numpy(RNG.normal(size=(2, 6, 3, 4)))
    vectors = torch.stack([torch.linalg.qr(torch.from_numpy(RNG.normal(size=(5, 5)))).Q for _ in range(2)])
    count = 5 if own_axes else 2
    variances, rest = (
        torch.tensor([[3.0, 2.0, 1.0, 0.5, 0.25]] * 2)[:, :count].double(),
        torch.tensor([0.1, 0.2]).double(),
    )
    axes = Axes(None if own_axes else vectors[:, :, :count], variances, rest)
    object.__setattr__(made.features, "axes", axes)
    measured = made.preconditioned(direction, mean)
    for g in range(2):
        for k in range(3):
            for c in range(4):
                covariance = torch.diag(variances[g]) if own_axes else (
                    vectors[g, :, :2] @ torch.diag(variances[g]) @ vectors[g, :, :2].T
                    + rest[g] * (torch.eye(5) - vectors[g, :, :2] @ vectors[g, :, :2].T)
                )  # fmt: skip
                matrix = mean[g, k, c] * covariance + made.strengths[k] * torch.eye(5)
                expected = torch.linalg.solve(matrix.double(), direction[g, :-1, k, c])
                np.testing.assert_allclose(measured[g, :-1, k, c], expected, rtol=1e-6)
                assert float(measured[g, -1, k, c]) == pytest.approx(float(direction[g, -1, k, c] / mean[g, k, c]))


def test_narrowed__has_some_fits_and_gives_them_back() -> None:
    made, _ = iterates()
    assert made.narrowed(torch.arange(2), torch.arange(3)) is made
    rows, columns = torch.tensor([1]), torch.tensor([0, 2])
    part = made.narrowed(rows, columns)
    np.testing.assert_array_equal(part.point, made.point[1:, :, [0, 2]])
    np.testing.assert_array_equal(part.gradient, made.gradient[1:, :, [0, 2]])
    np.testing.assert_array_equal(part.probabilities, made.probabilities[1:, :, [0, 2]])
    np.testing.assert_array_equal(part.loss, made.loss[1:, [0, 2]])
    assert part.strengths.tolist() == made.strengths[[0, 2]].tolist()
    np.testing.assert_array_equal(part.present, made.present[1:])
    np.testing.assert_array_equal(part.labels, made.labels[1:])
    np.testing.assert_array_equal(part.features.resident, made.features.resident[1:])
    both = made.narrowed(torch.arange(2), columns)
    assert both.features is made.features
    before = made.loss.clone()
    part.loss, part.point = part.loss + 5, part.point * 2
    made.absorb(part, rows, columns)
    np.testing.assert_allclose(made.loss - before, [[0, 0, 0], [5, 0, 5]], atol=1e-12)
    table = torch.zeros(2, 1, 3, 1)
    put_fits(table, torch.tensor([[[[7.0], [8.0]]]]), rows, columns)
    assert table[:, 0, :, 0].tolist() == [[0, 0, 0], [7, 0, 8]]
    assert take_fits(table, rows, columns).flatten().tolist() == [7, 8]


def test_flags__late_on_a_gpu_for_short_steps_alone() -> None:
    for device, work, late in (("cuda", 1 << 30, True), ("cuda", (1 << 30) + 1, False), ("cpu", 1, False)):
        assert Flags(torch.device(device), work).late is late


def test_rectangle__rows_and_columns_with_an_active_fit() -> None:
    active = torch.tensor([[False, True, False], [False, False, False], [True, False, False]])
    rows, columns = rectangle(active, CPU)
    assert (rows.tolist(), columns.tolist()) == ([0, 2], [0, 1])


@pytest.mark.parametrize(
    ("n", "d", "cheaper"), [(19, 10, True), (20, 10, False), (8192, 5000, True), (8193, 5000, False)]
)
def test_rows_are_cheaper__below_twice_the_dimension_and_up_to_8192(n: int, d: int, cheaper: bool) -> None:
    assert rows_are_cheaper(n, d) is cheaper


def problem_of() -> Problem:
    banks = [RNG.normal(size=(20, 4)).astype(np.float32) for _ in range(3)]
    which = RNG.integers(0, 3, (2, 20))
    return Problem(banks, which, which, 3, np.arange(20), np.arange(0))


@pytest.mark.parametrize(("memory", "resident"), [(2 * 11 * 4 * 8, True), (2 * 11 * 4 * 8 - 1, False)])
def test_reader__rows_in_memory_or_on_demand_are_the_same(memory: int, resident: bool) -> None:
    problem, rows = problem_of(), np.array([0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19])
    read = reader(problem, problem.which, rows, CPU, memory, torch.float64)
    assert (read.resident is not None) == resident
    assert read.in_rows is False
    every = np.stack([[normalised(problem.banks[w[i]])[i] for i in rows] for w in problem.which])
    for index in ([0], [2, 5, 10], list(range(11))):
        block = read(torch.tensor(index))
        assert (block.dtype, block.shape) == (torch.float64, (2, len(index), 4))
        np.testing.assert_array_equal(block, every[:, index])
    assert set(read.buffers) == ({1, 3} if resident else set())
    again = read(torch.tensor([1, 2, 3]))
    assert (again is read.buffers.get(3)) == resident


def test_reader__in_rows_where_these_are_cheaper() -> None:
    problem = problem_of()
    for count, cheaper in ((7, True), (8, False)):
        given = Reader(torch.zeros(1, count, 4), problem, problem.which, np.arange(count), CPU, torch.float32)
        assert given.in_rows is cheaper
    assert not Reader(None, problem, problem.which, np.arange(2), CPU, torch.float32).in_rows
