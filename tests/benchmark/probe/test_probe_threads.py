"""Which steps of a whole probe have more than one thread, and how many pieces go side by side: counted, not timed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.probe import LabelledSplits, labelled_probe, processing_probe
from tests.support.thread_counts import Waking


@pytest.mark.parametrize("n", [300])
@pytest.mark.parametrize("protocol", ["iccv2025", "converged"])
def test_processing_probe__wakes_no_thread_but_those_of_pieces(protocol: str, n: int, two_threads: None) -> None:
    """Ten assignments of six classes, 1280 dimensions: with 300 photos they are rotated to their own axes."""
    rng = np.random.default_rng(0)
    banks = [rng.normal(size=(n + 120, 1280)).astype(np.float32) for _ in range(6)]
    train, test = [bank[:n] for bank in banks], [bank[n:] for bank in banks]
    options = {"epochs": 3, "rounds": (5, 2)} if protocol == "iccv2025" else {"strengths": (1e-2, 1e-3)}
    with Waking() as waking:
        answers = processing_probe(train, test, rng.integers(0, 6, (10, n)), protocol=protocol, **options)
    assert answers.predicted.shape == (10, 6, 120)
    assert waking.operations > 100
    assert waking.seen == []


@pytest.mark.parametrize("n", [756, 1756])
def test_labelled_probe__wakes_no_thread_but_those_of_pieces(n: int, two_threads: None) -> None:
    """The first is as large as the tasks on simulated cameras: its photos are turned. The second has several blocks."""
    rng = np.random.default_rng(0)
    rows, labels = rng.normal(size=(n + 621, 1280)).astype(np.float32), rng.integers(0, 3, n + 621)
    train, val, test = slice(0, n), slice(n, n + 162), slice(n + 162, n + 621)
    splits = LabelledSplits(rows[train], labels[train], rows[val], labels[val], rows[test], labels[test], 3)
    with Waking() as waking:
        answers = labelled_probe(splits, strengths=(1e-1, 1e-2))
    assert answers.predicted.shape == (1, 1, 459)
    assert waking.operations > 100
    assert waking.seen == []
