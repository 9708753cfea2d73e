"""The study's protocol: stacked runs against torch's own SGD one at a time, and the search against its definition."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from benchmark.probe import processing_probe
from benchmark.probe.protocols.iccv2025 import LEARNING_RATES, WEIGHT_DECAYS, _objective
from benchmark.probe.solver.rows import normalised
from benchmark.probe.solver.sgd import Descent, descend

RATES = (0.1, 2.0, 30.0, 100.0)
DECAYS = (1e-4, 1e-12, 1e-5, 1e-7)


def one_run_by_torch(
    x: torch.Tensor, y: torch.Tensor, n_classes: int, rate: float, decay: float, epochs: int, batch_size: int, seed: int
) -> torch.nn.Linear:
    """The protocol as one writes it: Linear, SGD, CosineAnnealingLR, a loop."""
    generator = torch.Generator().manual_seed(seed)
    layer = torch.nn.Linear(x.shape[1], n_classes).double()
    first = (torch.rand((x.shape[1] + 1, n_classes), generator=generator) * 2 - 1) * (1 / x.shape[1] ** 0.5)
    with torch.no_grad():
        layer.weight.copy_(first[:-1].T)
        layer.bias.copy_(first[-1])
    optimiser = torch.optim.SGD(layer.parameters(), lr=rate, momentum=0.9, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch_size):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(x[rows]), y[rows]).backward()
            optimiser.step()
        schedule.step()
    return layer


def data(n: int = 70, d: int = 9, n_classes: int = 4, groups: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, (groups, n))
    x = rng.normal(size=(groups, n, d)) + rng.normal(size=(n_classes, d))[y]
    flat = normalised(x.reshape(-1, d)).reshape(groups, n, d)
    return torch.from_numpy(flat).double(), torch.from_numpy(y)


@pytest.mark.parametrize("batch_size", [32, 1024])
@pytest.mark.parametrize("in_rows", [False, True])
def test_descend__equals_torch_one_run_at_a_time(in_rows: bool, batch_size: int) -> None:
    x, y = data()
    options = {"epochs": 12, "batch_size": batch_size, "seed": 5}
    runs = descend(lambda index: x[:, index], y, RATES, DECAYS, n_classes=4, in_rows=in_rows, **options)
    for g in range(3):
        for k, (rate, decay) in enumerate(zip(RATES, DECAYS, strict=True)):
            layer = one_run_by_torch(x[g], y[g], 4, rate, decay, **options)
            scale = float(layer.weight.detach().abs().max())
            np.testing.assert_allclose(runs.weights[g, k], layer.weight.detach().T, atol=1e-9 * scale)
            np.testing.assert_allclose(runs.bias[g, k], layer.bias.detach(), atol=1e-9 * scale)


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("n", "d", "n_classes", "groups"), [(70, 9, 4, 3), (321, 33, 3, 2), (257, 40, 2, 1)])
def test_descend__compiled_equals_torch_one_run_at_a_time(
    n: int, d: int, n_classes: int, groups: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd numbers of rows, of weights and of classes; a strong decay, which alone moves the sum over the classes."""
    monkeypatch.setattr("benchmark.probe.solver.sgd.COMPILED_FROM", 0)
    x, y = data(n, d, n_classes, groups)
    single = x.float().contiguous()
    rates, decays = (0.1, 2.0, 30.0), (1e-4, 1e-2, 1e-5)
    options = {"epochs": 12, "batch_size": 32, "seed": 5}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        runs = descend(never_read, y, rates, decays, n_classes=n_classes, resident=single, **options)
    finally:
        torch.set_num_threads(before)
    for g in range(groups):
        for k, (rate, decay) in enumerate(zip(rates, decays, strict=True)):
            layer = one_run_by_torch(x[g], y[g], n_classes, rate, decay, **options)
            scale = float(layer.weight.detach().abs().max())
            np.testing.assert_allclose(runs.weights[g, k], layer.weight.detach().T, atol=5e-6 * scale)
            np.testing.assert_allclose(runs.bias[g, k], layer.bias.detach(), atol=5e-6 * scale)


def never_read(index: torch.Tensor) -> torch.Tensor:
    raise AssertionError("compiled steps read the resident rows")


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
def test_descend__compiled_runs_do_not_depend_on_their_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.probe.solver.sgd.COMPILED_FROM", 0)
    x, y = data(n=90, groups=1)
    rows = x.float().contiguous()
    options = {"n_classes": 4, "epochs": 5, "batch_size": 32, "resident": rows}
    rates = [1.0, float("inf"), 3.0, 0.2, 50.0]
    together = descend(lambda index: rows[:, index], y, rates, [1e-6] * 5, **options)
    assert not torch.isfinite(together.weights[0, 1]).any()
    for k in (0, 2, 3, 4):
        alone = descend(lambda index: rows[:, index], y, rates[k : k + 1], [1e-6], **options)
        assert together.weights[0, k].equal(alone.weights[0, 0])
        assert together.bias[0, k].equal(alone.bias[0, 0])


def test_descend__a_run_that_diverges_leaves_the_others_alone() -> None:
    x, y = data(groups=1)
    options = {"n_classes": 4, "epochs": 5, "batch_size": 32}
    with_bad = descend(lambda index: x[:, index], y, [1.0, float("inf"), 3.0], [1e-6] * 3, **options)
    assert not torch.isfinite(with_bad.weights[0, 1]).all()
    for k, rate in ((0, 1.0), (2, 3.0)):
        alone = descend(lambda index: x[:, index], y, [rate], [1e-6], **options)
        np.testing.assert_allclose(with_bad.weights[0, k], alone.weights[0, 0], atol=1e-12)


def test_iccv2025__search_is_thirty_trials_in_range_and_keeps_the_best() -> None:
    rng = np.random.default_rng(2)
    photos = rng.normal(size=(90, 10))
    banks = [(photos + 0.4 * rng.normal(size=10)).astype(np.float32) for _ in range(3)]
    answers = processing_probe(
        [b[:60] for b in banks], [b[60:] for b in banks], rng.integers(0, 3, (2, 60)), protocol="iccv2025", epochs=10
    )
    assert len(answers.search) == 30
    for row in answers.search:
        assert LEARNING_RATES[0] <= row["learning_rate"] <= LEARNING_RATES[1]
        assert WEIGHT_DECAYS[0] <= row["weight_decay"] <= WEIGHT_DECAYS[1]
    best = max(answers.search, key=lambda row: row["validation_accuracy"])
    assert answers.chosen == {key: best[key] for key in ("learning_rate", "weight_decay")}
    assert answers.details()["rounds"] == [10, 10, 10]


def test_iccv2025__trials_of_a_round_equal_trials_alone() -> None:
    rng = np.random.default_rng(2)
    photos = rng.normal(size=(150, 10))
    banks = [(photos + 0.3 * rng.normal(size=10)).astype(np.float32) for _ in range(3)]
    train, test = [b[:100] for b in banks], [b[100:] for b in banks]
    assignments = rng.integers(0, 3, (1, 100))
    options = {"protocol": "iccv2025", "epochs": 10, "dtype": torch.float64}
    together = processing_probe(train, test, assignments, rounds=(10,), **options)
    alone = processing_probe(train, test, assignments, rounds=(1,) * 10, **options)
    # ten random points either way, drawn from one stream
    assert together.search == alone.search
    np.testing.assert_array_equal(together.predicted, alone.predicted)


@pytest.mark.parametrize("batch_size", [7, 1024])
def test_objective__is_the_loss_and_gradient_of_torch_with_the_penalty(batch_size: int) -> None:
    x, y = data()
    layers = [one_run_by_torch(x[g], y[g], 4, 0.1, 1e-2, epochs=2, batch_size=32, seed=g) for g in range(3)]
    weights, bias = (
        torch.stack([getattr(layer, name).detach() for layer in layers])[:, None] for name in ("weight", "bias")
    )
    run = Descent(weights.mT, bias)
    loss, norm = _objective(lambda index: x[:, index], y, run, 1e-2, batch_size)
    for g, layer in enumerate(layers):
        layer.zero_grad()
        penalty = 0.5 * 1e-2 * (layer.weight.square().sum() + layer.bias.square().sum())
        expected = torch.nn.functional.cross_entropy(layer(x[g]), y[g]) + penalty
        expected.backward()
        gradient = torch.cat([layer.weight.grad.flatten(), layer.bias.grad])
        assert loss[g].item() == pytest.approx(expected.item(), rel=1e-9)
        assert norm[g].item() == pytest.approx(gradient.norm().item(), rel=1e-7)
