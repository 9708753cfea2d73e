"""Embeddings turned into the span of the photos that a probe learns from: the same probes from fewer numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from benchmark.probe import (
    LabelledSplits,
)
from benchmark.probe.solver import design as design_module
from benchmark.probe.solver.design import Design, Frame, design
from benchmark.probe.solver.kernels import newton as newton_compiled
from benchmark.probe.solver.newton import Solution, solve
from benchmark.probe.solver.projected import project
from benchmark.probe.solver.rows import normalised

CPU = torch.device("cpu")


@pytest.fixture(params=["compiled", "stacked"])
def solver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "stacked":
        monkeypatch.setattr("benchmark.probe.solver.newton.compiled_fits", lambda features, fits: None)


def splits_of(
    n: int, d: int, *, val: int = 0, tested: int = 30, classes: int = 3, signal: float = 0.4
) -> LabelledSplits:
    rng = np.random.default_rng(n + d)
    y = np.arange(n + val + tested) % classes
    x = (rng.normal(size=(len(y), d)) + 2 + signal * rng.normal(size=(classes, d))[y]).astype(np.float32)
    held = (x[n : n + val], y[n : n + val]) if val else (None, None)
    return LabelledSplits(x[:n], y[:n], *held, x[n + val :], y[n + val :], classes)


def with_oddities(splits: LabelledSplits) -> LabelledSplits:
    """Photos twice, with other labels, and one that is zero, in training and in the test."""
    train, test = np.array(splits.train_x), np.array(splits.test_x)
    train[10:15] = train[:5]
    train[20] = test[3] = 0
    test[5] = train[1]
    return replace(splits, train_x=train, test_x=test)


SPLITS = {
    "n<d": splits_of(60, 150),
    "with val": splits_of(150, 300, val=40),
    "n = d - 1": splits_of(149, 150),
    "n = 2": splits_of(2, 9, classes=2),
    "odd": with_oddities(splits_of(160, 200)),
}


def rows_of(splits: LabelledSplits) -> np.ndarray:
    parts = [splits.train_x, splits.val_x, splits.test_x]
    return np.concatenate([normalised(part) for part in parts if part is not None]).astype(np.float64)


def learnt_from(splits: LabelledSplits, dtype: torch.dtype = torch.float64, frame: Frame | None = None) -> Design:
    rows = torch.from_numpy(normalised(splits.train_x))[None]
    n, d = rows.shape[1:]
    source = lambda start, stop: rows[:, start:stop]  # noqa: E731
    return design(source, 1, n, d, device=CPU, memory_bytes=1 << 30, dtype=dtype, frame=frame or splits.frame)


def fitted(splits: LabelledSplits, features: Design, tolerance: float = 1e-9) -> Solution:
    labels = torch.from_numpy(np.asarray(splits.train_y))[None]
    strengths = torch.tensor([1e-2, 1e-4, 1e-6], dtype=torch.float64)
    return solve(features, labels, strengths, splits.n_classes, tolerance=tolerance)


def logits(solution: Solution, splits: LabelledSplits) -> np.ndarray:
    """[L, test photos, C], each photo's less their mean."""
    result = (
        normalised(splits.test_x).astype(np.float64) @ solution.weights[0].numpy() + solution.bias[0].numpy()[:, None]
    )
    return np.asarray(result - result.mean(-1, keepdims=True))


@pytest.mark.parametrize("name", SPLITS)
def test_project__angles_and_lengths_stay_where_a_probe_learns(name: str) -> None:
    splits = SPLITS[name]
    whole, less = rows_of(splits), rows_of(project(splits))
    learnt = len(whole) - len(splits.test_x)
    np.testing.assert_allclose(less @ less[:learnt].T, whole @ whole[:learnt].T, atol=3e-7)
    np.testing.assert_allclose(np.linalg.norm(less, axis=1), np.linalg.norm(whole, axis=1), atol=2e-7)
    assert less.shape[1] == learnt + 2
    assert project(splits).train_x.dtype == np.float32


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("name", list(SPLITS)[::2])
def test_project__the_same_optimum_as_scikit_learn_and_as_plain_rows(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = SPLITS[name]
    monkeypatch.setattr(design_module, "REDUCED_ROWS", 0)
    monkeypatch.setattr(design_module, "PROJECTED_ROWS", 0)
    plain = fitted(splits, learnt_from(splits))
    less = project(splits)
    features = learnt_from(less)
    assert features.basis is None
    assert less.frame is not None
    assert torch.equal(features.mean[0], less.frame.centre)
    result = fitted(less, features)
    assert bool(result.converged.all())
    np.testing.assert_allclose(result.loss, plain.loss, rtol=2e-5, atol=1e-7)
    scale = np.abs(logits(plain, splits)).max(axis=(1, 2))
    apart = np.abs(logits(result, less) - logits(plain, splits)).max(axis=(1, 2))
    assert (apart <= 2e-4 * scale).all()
    factor = 2 if splits.n_classes == 2 else 1
    model = LogisticRegression(C=factor / (len(splits.train_y) * 1e-2), tol=1e-10, max_iter=10_000)
    train, test = normalised(splits.train_x).astype(np.float64), normalised(splits.test_x).astype(np.float64)
    scores = model.fit(train, splits.train_y).decision_function(test)
    scores = np.stack([-scores, scores], 1) / 2 if scores.ndim == 1 else scores
    np.testing.assert_allclose(logits(result, less)[0], scores - scores.mean(1, keepdims=True), atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_newton__zeros_that_are_not_read_change_nothing(dtype: torch.dtype) -> None:
    less = project(SPLITS["odd"])
    features = learnt_from(less, dtype)
    assert features.resident is not None
    axes = features.axes
    assert axes.vectors is not None
    rows = features.resident[0].numpy()
    given = newton_compiled.prepared(rows, axes.vectors[0].numpy(), axes.variances[0].numpy(), float(axes.rest[0]))
    assert given.begins.any()
    every = given._replace(begins=np.zeros_like(given.begins))
    fits = [newton_compiled.newton(g, np.asarray(less.train_y), 1e-4, 3, None, 1e-5, 50) for g in (given, every)]
    np.testing.assert_allclose(fits[0].point, fits[1].point, rtol=2e-3, atol=2e-3 * np.abs(fits[1].point).max())
    assert abs(fits[0].loss - fits[1].loss) < 1e-7
    assert fits[0].gradient_norm <= 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sweep__one_pass_of_every_kind_over_rows_that_begin_with_zeros(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    rows = np.tril(rng.normal(size=(39, 39)))[:, ::-1].astype(dtype)
    rows[7] = 0
    y = np.arange(39) % 3
    given = newton_compiled.prepared(rows, None, np.ones(39), 0.0)
    start = newton_compiled.newton(given, y, 1e-3, 3, None, 1e-12, 1).point  # better than zero: it is not left
    result = newton_compiled.newton(given, y, 1e-3, 3, start, 1e-12, 0)
    np.testing.assert_array_equal(result.point, start)
    point = result.point
    score = rows.astype(np.float64) @ point[:, :-1].T + point[:, -1]
    p = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    loss = -np.log(p[np.arange(39), y]).mean() + 0.5e-3 * (point[:, :-1] ** 2).sum()
    residual = (p - np.eye(3)[y]) / 39
    slope = residual.T @ rows + 1e-3 * point[:, :-1]
    norm = np.linalg.norm(slope) + np.linalg.norm(residual.sum(0))
    np.testing.assert_allclose((result.loss, result.gradient_norm), (loss, norm), rtol=1e-5)
