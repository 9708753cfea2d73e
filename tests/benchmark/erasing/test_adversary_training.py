"""The adversary's training written a second time, and the parts of its loss by hand and in plain loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.erasing import adversary as adversary_module
from benchmark.erasing import moments_of
from benchmark.erasing.adversary import _loss, _Steps, adversary, label_similarity
from tests.benchmark.erasing.test_plain_erasers import CLASSES, RNG, D, N, source_of


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


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([2.0, math.nan, 1.0, 1.5], 2),
        ([math.nan, 2.0, 1.0, 1.5], 2),  # also where the identity has none
        ([math.inf, 2.0, 2.0, 3.0], 1),  # of equal ones the first
        ([1.0, 2.0, 1.0, math.nan], 0),
        ([math.nan] * 4, 0),
        ([4.0, 3.0, 2.0, 1.0], 3),
    ],
)
def test_adversary__the_map_is_that_of_the_least_finite_loss(
    losses: list[float], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every round moves each number of the map by the rate, 0.1."""
    values = iter(losses)
    labelled = source_of()

    def planted(x: Any, z: Any, weight: torch.Tensor, *more: Any, **parts: Any) -> torch.Tensor:
        return weight.sum() * 1.0 if torch.is_grad_enabled() else torch.tensor(next(values))

    monkeypatch.setattr(adversary_module, "_loss", planted)
    made = adversary(labelled, moments_of(labelled), rounds=3, epochs=1, batch=1000, rate=0.1)
    assert made.losses == pytest.approx(losses, nan_ok=True)
    assert made.best == best
    np.testing.assert_allclose(made.projection, np.eye(D) - 0.1 * best, atol=1e-4)


def test_loss__three_parts_by_hand() -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    turned, layer, bias = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.zeros(2)
    z = torch.tensor([0, 0])
    # mapped rows are (0, 1) and (2, 0): squared distances 2 and 8; two rows of one label are all there are
    uniform = [-(-math.log(1 + math.e) + 0.5), -(2 / 2 - math.log(1 + math.e**2))]
    expected = {"alpha": 5.0, "beta": 0.0, "gamma": np.mean(uniform) - math.log(2)}
    for name in expected:
        parts = {"alpha": 0.0, "beta": 0.0, "gamma": 0.0, "tau": 1.0, name: 2.0}
        assert float(_loss(x, z, turned, layer, bias, **parts)) == pytest.approx(2 * expected[name], abs=1e-6)


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


def test_steps__each_epoch_has_another_order() -> None:
    labelled = source_of()
    steps = _Steps(labelled, torch.ones(D), 2.0, torch.device("cpu"), 20, 6)
    for seed in (7, 8):
        expected = list(labelled.batches(seed, 20))
        for (x, z), batch in zip(steps, expected, strict=True):
            np.testing.assert_allclose(x, (batch.rows - 1) / 2, atol=1e-6)
            np.testing.assert_array_equal(z, batch.labels)
