"""The adversary: its loss by hand, that it falls, and that the identity is what is left where nothing else may move."""

import numpy as np
import pytest
import torch

from benchmark.erasing import Source, moments_of
from benchmark.erasing.adversary import adversary, label_similarity


def source(seed: int = 0) -> Source:
    rng = np.random.default_rng(seed)
    photos, shift = rng.normal(size=(150, 10)), 1.5 * rng.normal(size=(3, 10))
    views = [(photos + one + 0.1 * rng.normal(size=photos.shape)).astype(np.float32) for one in shift]
    return Source(views, np.repeat(np.arange(3)[:, None], 150, 1), 3)


def trained(**more):
    given = source()
    return adversary(given, moments_of(given), rounds=4, epochs=4, rate=1e-2, **more)


def test_loss__falls_and_the_trace_goes_with_it():
    found = trained(batch=128)
    assert found.best > 0
    assert found.losses[found.best] == min(found.losses) < 0.8 * found.losses[0]
    means = np.stack([view.mean(0) for view in source().views])
    apart = np.linalg.norm(means - means.mean(0))
    assert np.linalg.norm((means - means.mean(0)) @ found.projection.numpy().T) < 0.7 * apart


@pytest.mark.parametrize("alpha", [1e6, 1e9])
def test_alpha_without_end__leaves_the_identity(alpha):
    found = trained(alpha=alpha, batch=128)
    assert float((found.projection - torch.eye(10)).abs().max()) < 2e-3
    if alpha == 1e9:
        assert found.best == 0
        assert torch.equal(found.projection, torch.eye(10, dtype=torch.float64))


def test_label_similarity__by_hand():
    rows = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1])
    # each of the two rows of label 0 has the other at cosine 1 as its like, and one more at cosine 0; tau = 1
    expected = 1 - np.log((np.e + 1) / 2)
    assert float(label_similarity(rows, labels, 1.0)) == pytest.approx(expected)
    assert float(label_similarity(rows[1:], labels[1:], 1.0)) == 0


def test_training__is_the_same_twice():
    first, second = trained(batch=200), trained(batch=200)
    assert torch.equal(first.projection, second.projection)
    assert first.losses == second.losses
