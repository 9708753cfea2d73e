"""Parts of the train photos of a processing probe: rows of what the probe of all of them learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe.solver.design import Design, design, joined
from benchmark.probe.solver.newton import solve
from benchmark.probe.solver.rows import gather

FITS, PHOTOS, D, CLASSES = 4, 40, 90, 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def requested() -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(5)
    photos = rng.normal(size=(PHOTOS + 50, D))
    classes = [(photos + 0.25 * shift).astype(np.float32) for shift in rng.normal(size=(CLASSES, D))]
    return [c[:PHOTOS] for c in classes], [c[PHOTOS:] for c in classes], rng.integers(0, CLASSES, (FITS, PHOTOS))


def features(requested: Any, fits: slice, rows: np.ndarray) -> Design:
    train, _, assigned = requested
    source = gather(train, assigned[fits], rows)
    return design(source, len(assigned[fits]), len(rows), D, device=CPU, memory_bytes=1 << 30)


def test_part__the_optimum_of_its_rows(requested: Any) -> None:
    rows = np.array([3, 4, 8, *range(12, 39)])
    part = features(requested, slice(FITS), np.arange(PHOTOS)).part(slice(1, 3), rows)
    changed = features(requested, slice(1, 3), rows)
    assert part.dimension == PHOTOS - 1
    assert changed.dimension == len(rows) - 1
    labels = torch.from_numpy(requested[2][1:3][:, rows])
    strengths = torch.tensor([1e-2, 1e-4], dtype=torch.float64)
    result, expected = (solve(f, labels, strengths, CLASSES, tolerance=1e-9) for f in (part, changed))
    assert bool(result.converged.all())
    np.testing.assert_allclose(result.loss, expected.loss, rtol=1e-8)
    scale = float(expected.weights.abs().max())
    np.testing.assert_allclose(result.weights, expected.weights, atol=1e-5 * scale)
    shift = (result.bias - expected.bias).numpy()  # one number for all classes changes no answer
    np.testing.assert_allclose(shift, np.broadcast_to(shift[..., :1], shift.shape), atol=1e-5 * scale)


def test_joined__stacks_in_order_or_nothing(requested: Any) -> None:
    every = np.arange(PHOTOS)
    whole = features(requested, slice(FITS), every)
    two = [features(requested, slice(3), every), features(requested, slice(3, FITS), every)]
    result = joined(two)
    assert result is not None
    assert result.basis is not None
    assert whole.basis is not None
    for one, other in (
        (result.resident, whole.resident),
        (result.mean, whole.mean),
        (result.axes.variances, whole.axes.variances),
        (result.basis.rows, whole.basis.rows),
    ):
        np.testing.assert_allclose(abs(one), abs(other), atol=1e-8)
    assert joined([two[0], None]) is None
    assert joined([two[0], features(requested, slice(3, FITS), every[:30])]) is None
