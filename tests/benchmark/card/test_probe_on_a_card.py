"""Probes on the fake card: the CPU's answers, and how often the host waits for them."""

import gc

import numpy as np
import pytest
import torch

from benchmark.probe import processing_curve, processing_probe
from benchmark.probe.solver import sgd
from tests.support import card as fake_card

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def card(monkeypatch):
    card = fake_card.card(monkeypatch)
    yield card
    gc.collect()
    assert card.clashes == []


def problem(fits):
    """60 photos in three classes of processing, 16 numbers each, not separable."""
    random = np.random.default_rng(0)
    photos = random.normal(size=(60, 16)).astype(np.float32)
    classes = [photos + shift for shift in 0.6 * random.normal(size=(3, 16)).astype(np.float32)]
    return [c[:40] for c in classes], [c[40:] for c in classes], random.integers(0, 3, (fits, 40))


@pytest.mark.slow
@pytest.mark.parametrize(("fits", "late", "ceiling"), [(2, True, 40), (1, False, 160)])
def test_converged__waits_once_for_a_newton_step(card, monkeypatch, fits, late, ceiling):
    """Flags of conjugate gradients are read a step late, or where steps are long, at once; the fits are the same.
    Before, such fits made the host wait some 400 times."""
    if not late:
        monkeypatch.setattr(sgd, "LATE_BELOW", 0)
    given = problem(fits)
    alone = processing_probe(*given, device=CPU)
    assert card.blocking == 0
    made = processing_probe(*given, device=CUDA)
    assert 0 < card.blocking <= ceiling
    np.testing.assert_array_equal(made.predicted, alone.predicted)
    np.testing.assert_array_equal(made.iterations, alone.iterations)
    np.testing.assert_allclose(made.final_loss, alone.final_loss, rtol=1e-9)
    assert made.chosen == alone.chosen
    assert made.converged.all()


def test_curve__a_few_waits_for_each_probe(card):
    """Eleven waits a probe of a part of the photos; before, some 150."""
    given = problem(2)
    whole = processing_probe(*given, device=CPU)
    expected = processing_curve(*given, whole=whole, device=CPU, shares=(0.5,))
    made = processing_curve(*given, whole=whole, device=CUDA, shares=(0.5,))
    assert made.details() == expected.details()
    assert 0 < card.blocking <= 60


@pytest.mark.parametrize(
    ("memory_bytes", "ceiling"), [(1 << 30, 20), (1000, 30)], ids=["rows on the card", "rows read batch by batch"]
)
def test_iccv2025__waits_for_no_batch(card, memory_bytes, ceiling):
    """The order of an epoch goes over once; before, each of its batches made the host wait (30 times here)."""
    given = problem(3)
    options = {"protocol": "iccv2025", "epochs": 6, "batch_size": 16, "rounds": (2,), "memory_bytes": memory_bytes}
    alone = processing_probe(*given, device=CPU, **options)
    made = processing_probe(*given, device=CUDA, **options)
    assert 0 < card.blocking <= ceiling
    np.testing.assert_array_equal(made.predicted, alone.predicted)
    np.testing.assert_allclose(made.final_loss, alone.final_loss, rtol=1e-5)
