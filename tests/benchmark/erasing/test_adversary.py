"""The adversarial eraser: its loss by hand, the decrease of the loss, and the identity under a large penalty."""

import numpy as np
import pytest
import torch

from benchmark.erasing import Source, moments_of
from benchmark.erasing.adversary import adversary, label_similarity


def source(seed: int = 0) -> Source:
    rng = np.random.default_rng(seed)
    photos, shift = rng.normal(size=(150, 10)), 1.5 * rng.normal(size=(3, 10))
    views = [(photos + moved + 0.1 * rng.normal(size=photos.shape)).astype(np.float32) for moved in shift]
    return Source(views, np.repeat(np.arange(3)[:, None], 150, 1), 3)


def trained(**more):
    labelled = source()
    return adversary(labelled, moments_of(labelled), rounds=4, epochs=4, rate=1e-2, **more)


def test_adversary__reduces_the_loss_and_the_trace():
    result = trained(batch=128)
    assert result.best > 0
    assert result.losses[result.best] == min(result.losses) < 0.8 * result.losses[0]
    means = np.stack([view.mean(0) for view in source().views])
    apart = np.linalg.norm(means - means.mean(0))
    assert np.linalg.norm((means - means.mean(0)) @ result.projection.numpy().T) < 0.7 * apart


@pytest.mark.parametrize("alpha", [1e6, 1e9])
def test_adversary__a_large_alpha_leaves_the_identity(alpha):
    result = trained(alpha=alpha, batch=128)
    assert float((result.projection - torch.eye(10)).abs().max()) < 2e-3
    if alpha == 1e9:
        assert result.best == 0
        assert torch.equal(result.projection, torch.eye(10, dtype=torch.float64))


def test_label_similarity__by_hand():
    rows = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1])
    # each of the two rows of label 0 has the other one at cosine 1, and a row of another label at cosine 0; tau = 1
    expected = 1 - np.log((np.e + 1) / 2)
    assert float(label_similarity(rows, labels, 1.0)) == pytest.approx(expected)
    assert float(label_similarity(rows[1:], labels[1:], 1.0)) == 0


def test_adversary__is_deterministic():
    first, second = trained(batch=200), trained(batch=200)
    assert torch.equal(first.projection, second.projection)
    assert first.losses == second.losses
