"""The adversarial eraser: its loss by hand, the decrease of the loss, and the identity under a large penalty."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.erasing import Source, moments_of
from benchmark.erasing.adversary import adversary, label_similarity
from tests.benchmark.erasing.test_plain_erasers import CLASSES, RNG, D, N, source_of


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


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("batch", [14, 16, 48])  # with 14 the last step has fewer rows
def test_adversary__is_the_loop_of_its_description(batch: int) -> None:
    """In turns a classifier by AdamW at rate 1 and the map at its own; the map with the least loss after a round."""
    labelled = source_of()
    given = {"alpha": 3.0, "beta": 2.0, "gamma": 1.5, "tau": 0.3, "rate": 0.02, "classifier_rate": 0.4}
    made = adversary(labelled, moments_of(labelled), rounds=3, epochs=2, batch=batch, seed=4, **given)
    rows = np.concatenate([np.asarray(view) for view in labelled.views])
    mean, scale = rows.mean(0), math.sqrt(np.cov(rows.T.astype(float)).trace())
    generator = torch.Generator().manual_seed(4)
    layer = (torch.randn((CLASSES, D), generator=generator) * 0.01).requires_grad_()
    bias, weight = torch.zeros(CLASSES, requires_grad=True), torch.eye(D).requires_grad_()
    of_map = torch.optim.AdamW([weight], lr=0.02, weight_decay=0.0)
    of_classifier = torch.optim.AdamW([layer, bias], lr=0.4, weight_decay=0.01)
    epoch = [4]

    def batches() -> Any:
        epoch[0] += 1
        order = np.random.default_rng(epoch[0]).permutation(N)
        for start in range(0, N, batch // 2):  # two views of each photo
            photos = np.sort(order[start : start + batch // 2])
            x = np.concatenate([np.asarray(view)[photos] for view in labelled.views])
            yield torch.from_numpy((x - mean) / scale).float(), torch.from_numpy(labelled.labels[:, photos].ravel())

    def loss_of(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        mapped = x @ weight.T
        distance = ((mapped - x) ** 2).sum(1).mean()
        uniform = -torch.log_softmax(mapped @ layer.T + bias, 1).mean() - math.log(CLASSES)
        return 3.0 * distance + 2.0 * label_similarity(mapped, z, 0.3) + 1.5 * uniform

    def learn() -> None:
        for _ in range(2):
            for x, z in batches():
                of_classifier.zero_grad()
                torch.nn.functional.cross_entropy((x @ weight.detach().T) @ layer.T + bias, z).backward()
                of_classifier.step()

    def measured() -> float:
        with torch.no_grad():
            parts = [(len(x), float(loss_of(x, z))) for x, z in batches()]
        return sum(n * loss for n, loss in parts) / sum(n for n, _ in parts)

    learn()
    losses, maps = [measured()], [weight.detach().clone()]
    for _ in range(3):
        for _ in range(2):
            for x, z in batches():
                of_map.zero_grad()
                loss_of(x, z).backward()
                of_map.step()
        learn()
        losses.append(measured())
        maps.append(weight.detach().clone())
    assert made.losses == pytest.approx(losses, rel=1e-3)
    assert made.best == int(np.argmin(losses))
    assert len({round(loss, 6) for loss in losses}) == 4
    np.testing.assert_allclose(made.projection, maps[made.best], atol=1e-3)
    assert made.projection.dtype == torch.float64


@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_label_similarity__in_plain_loops(tau: float) -> None:
    rows, labels = RNG.normal(size=(9, 4)), np.array([0, 0, 0, 1, 1, 2, 3, 3, 3])
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    parts = []
    for i in range(9):
        same = [math.exp(unit[i] @ unit[j] / tau) for j in range(9) if j != i and labels[j] == labels[i]]
        every = [math.exp(unit[i] @ unit[j] / tau) for j in range(9) if j != i]
        if same:
            parts.append(math.log(np.mean(same)) - math.log(np.mean(every)))
    made = label_similarity(torch.from_numpy(rows), torch.from_numpy(labels), tau)
    assert float(made) == pytest.approx(np.mean(parts))
