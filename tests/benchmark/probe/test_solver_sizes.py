"""Sizes by which the solver plans, parts of designs, and the objective against autograd: numbers by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe.solver.design import Axes, Design, design, principal_axes
from benchmark.probe.solver.objective import at_zero

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
