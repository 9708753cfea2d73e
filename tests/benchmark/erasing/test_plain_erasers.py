"""Erasers written a second time: the adversary's training, closed forms in plain numpy, hashes, files and tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.erasing import (
    Moments,
    Source,
    fit_eraser,
    fit_method,
    moments_of,
)
from benchmark.erasing.methods import inlp, leace, random_projection, splince

D, CLASSES, N = 5, 3, 24
RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def source_of(seed: int = 0, views: int = 2, unit_rows: bool = False) -> Source:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, (views, N))
    shift = 2 * rng.normal(size=(CLASSES, D))
    rows = [(rng.normal(size=(N, D)) + shift[labels[v]]).astype(np.float32) for v in range(views)]
    return Source(rows, labels, CLASSES, rng.integers(0, 2, N), 2, unit_rows)


def shrunk(moments: Moments, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    covariance = moments.covariance.numpy()
    covariance = (1 - shrinkage) * covariance + shrinkage * np.eye(D) * covariance.trace() / D
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(values) @ vectors.T, vectors * np.sqrt(values) @ vectors.T


@pytest.mark.parametrize("shrinkage", [0.0, 0.2, 1.0])
def test_leace_and_splince__with_shrinkage_in_plain_numpy(shrinkage: float) -> None:
    moments = moments_of(source_of())
    white, back = shrunk(moments, shrinkage)
    trace = np.linalg.svd(white @ moments.cross.numpy())[0][:, : CLASSES - 1]
    expected = np.eye(D) - back @ trace @ trace.T @ white
    made = leace(moments, shrinkage=shrinkage)
    np.testing.assert_allclose(made.projection, expected, atol=1e-8)
    assert made.rank == 2
    task = np.linalg.svd(white @ moments.preserved_cross.numpy())[0][:, :1]
    both = np.hstack([trace, task])
    change = np.hstack([trace, 0 * task]) @ np.linalg.pinv(both)
    made = splince(moments, shrinkage=shrinkage)
    np.testing.assert_allclose(made.projection, np.eye(D) - back @ change @ white, atol=1e-8)
    assert made.rank == 2


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("ridge", [1e-3, 0.5])
def test_inlp__in_plain_numpy(rounds: int, ridge: float) -> None:
    moments = moments_of(source_of())
    covariance, cross = moments.covariance.numpy(), moments.cross.numpy()
    rest = np.eye(D)
    for _ in range(rounds):
        matrix = rest @ covariance @ rest + ridge * covariance.trace() / D * np.eye(D)
        weights = rest @ np.linalg.solve(matrix, rest @ cross)
        basis = np.linalg.svd(weights)[0][:, : CLASSES - 1]
        rest = rest - basis @ basis.T
    made = inlp(moments, rounds=rounds, ridge=ridge)
    np.testing.assert_allclose(made.projection, rest, atol=1e-7)
    assert made.rank == rounds * 2


def test_inlp__ends_where_no_classifier_finds_anything() -> None:
    made = inlp(moments_of(source_of()), rounds=50)
    assert made.rank == D
    np.testing.assert_allclose(made.projection, np.zeros((D, D)), atol=1e-6)


def test_random_projection__as_many_drawn_directions_as_leace() -> None:
    moments = moments_of(source_of())
    drawn = torch.randn((D, 2), generator=torch.Generator().manual_seed(7), dtype=torch.float64).numpy()
    basis = np.linalg.qr(drawn)[0]
    np.testing.assert_allclose(random_projection(moments, seed=7).projection, np.eye(D) - basis @ basis.T, atol=1e-12)
    zero = np.random.default_rng(0).normal(size=(D, 2))
    assert zero.shape == drawn.shape
    assert not np.allclose(random_projection(moments).projection, random_projection(moments, seed=7).projection)


@pytest.mark.parametrize("unit_rows", [False, True])
def test_fit_method__erasers_have_the_mean_the_map_and_their_rank(unit_rows: bool) -> None:
    labelled = source_of(unit_rows=unit_rows)
    moments = moments_of(labelled)
    rows = np.concatenate([np.asarray(view, float) for view in labelled.views])
    if unit_rows:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ranks = {
        "identity": 0,
        "random": 2,
        "mean": 2,
        "inlp": D,
        "leace": 2,
        "splince": 2,
        "standardise": 0,
        "adversary": 0,
    }
    for name, rank in ranks.items():
        made = fit_method(name, labelled, moments, **({"rounds": 1, "epochs": 1} if name == "adversary" else {}))
        assert (made.method, made.rank, made.unit_rows, made.fit) == (name, rank, unit_rows, None)
        np.testing.assert_allclose(made.mean, rows.mean(0), atol=1e-5)
        assert made.mean.dtype == made.projection.dtype == np.float32
        assert dict(made.provenance).keys() == ({"training"} if name == "adversary" else set())


@pytest.mark.parametrize(("classes", "rank"), [(2, 1), (5, 4), (6, 4), (9, 4)])
@pytest.mark.parametrize("method", ["leace", "mean", "random", "splince"])
def test_methods__one_direction_stays_however_many_classes_there_are(method: str, classes: int, rank: int) -> None:
    rows, labels = RNG.normal(size=(90, D)), np.arange(90) % classes
    labelled = Source([rows], labels[None], classes, np.arange(90) // 45, 2)
    made = fit_method(method, labelled, moments_of(labelled))
    assert made.rank == rank
    assert np.linalg.matrix_rank(made.projection, tol=1e-4) == D - rank


def test_standardise__a_dimension_without_spread_is_not_divided_by_nothing() -> None:
    """Dimension 0 varies in no class, dimension 1 in one class only, dimension 2 nowhere."""
    rows = np.array([[1, 5, 7], [1, 6, 7], [3, 4, 7], [3, 4, 7.0]], np.float32)
    labels = np.array([0, 0, 1, 1])
    made = fit_eraser(rows, labels, "standardise")
    assert made.group_scales is not None
    of_all = rows.std(0)
    np.testing.assert_allclose(made.group_scales, [[of_all[0], 0.5, 1], [of_all[0], of_all[1], 1]], atol=1e-6)
    np.testing.assert_allclose(made.group_means, [[1, 5.5, 7], [3, 4, 7]])
    np.testing.assert_allclose(made.projection, np.diag(of_all), atol=1e-6)
    assert np.isfinite(made.apply(rows, labels)).all()
