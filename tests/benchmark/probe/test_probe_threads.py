"""Which steps of a whole probe have more than one thread, and how many pieces go side by side: counted, not timed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.compute.threads import LITTLE_WORK
from benchmark.probe import LabelledSplits, labelled_probe, processing_probe
from benchmark.probe.solver.design import Design, design
from benchmark.probe.solver.products import ONCE, of_each
from benchmark.probe.solver.rows import gather
from tests.support.thread_counts import Waking, pieces_parallel


@pytest.mark.parametrize("n", [300, 1000])
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


@pytest.mark.parametrize(
    ("groups", "work", "threads", "pieces"),
    [
        (5, LITTLE_WORK, 1, [1] * 5),  # much: a set on a thread at a time
        (5, LITTLE_WORK - 1, 1, [5]),  # little: all of them on one
        (1, LITTLE_WORK, 1, [1]),  # once: what one thread does sooner than others wake
        (1, ONCE * LITTLE_WORK, 2, [1]),  # fewer sets than threads, and much
    ],
)
def test_of_each__sets_side_by_side_where_it_is_much(
    groups: int, work: int, threads: int, pieces: list[int], two_threads: None
) -> None:
    rng = np.random.default_rng(0)
    left, right = (torch.from_numpy(rng.normal(size=(groups, 4, 4))) for _ in range(2))
    seen = []

    def both(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append((len(one), torch.get_num_threads(), torch.is_inference_mode_enabled()))
        return one @ other, one.sum(1)

    with torch.inference_mode():
        product, sums = of_each(both, work, left, right)
    assert seen == [(size, threads, True) for size in pieces]
    assert torch.get_num_threads() == 2
    np.testing.assert_allclose(product, np.einsum("gij,gjk->gik", left, right), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(sums, left.numpy().sum(1))


@pytest.mark.parametrize(("block_bytes", "sets_together"), [(4 << 20, [3, 3, 3]), (8000, [3, 3])])
def test_principal_axes__of_several_sets_side_by_side_and_as_of_each_alone(
    block_bytes: int, sets_together: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With four threads the blocks of one set go side by side, where it has several."""
    monkeypatch.setattr("benchmark.probe.solver.design.BLOCK_BYTES", block_bytes)
    rng = np.random.default_rng(0)
    banks = [rng.normal(size=(90, 40)).astype(np.float32) for _ in range(3)]
    which, rows = np.repeat(np.arange(3)[:, None], 90, 1), np.arange(90)
    seen, before, result = pieces_parallel(monkeypatch, "benchmark.probe.solver.design"), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            made = design(gather(banks, which, rows), 3, 90, 40, device=torch.device("cpu"), memory_bytes=1 << 30)
            result.append(made.axes)
    finally:
        torch.set_num_threads(before)
    sets = [pieces for pieces in seen if isinstance(pieces[0], Design)]  # not the blocks of one set
    assert [len(pieces) for pieces in sets] == sets_together
    for g, bank in enumerate(banks):
        source = gather([bank], np.zeros((1, 90), int), rows)
        alone = design(source, 1, 90, 40, device=torch.device("cpu"), memory_bytes=1 << 30).axes
        for axes in result:
            assert axes.vectors is not None
            assert alone.vectors is not None
            assert torch.equal(axes.vectors[g], alone.vectors[0])
            assert torch.equal(axes.variances[g], alone.variances[0])
            assert torch.equal(axes.rest[g], alone.rest[0])
