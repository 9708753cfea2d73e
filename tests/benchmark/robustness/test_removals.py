"""What changes if a block is left out, from lists of neighbours by plain loops: compiled and with torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.knn import Box, Setup
from benchmark.knn.keys import pack_keys
from benchmark.robustness import Cells, removals
from benchmark.robustness import cells as cells_module
from benchmark.robustness.cells import _strata, box_totals
from benchmark.robustness.removals import NO_BOX, Removals, boxes_of

N, K, LENGTH = 40, 4, 7
RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


@pytest.fixture(params=["compiled", "torch", "torch in parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(removals, "COMPILED_FROM", 1 if request.param == "compiled" else 1 << 60)
    if request.param == "torch in parts":
        monkeypatch.setattr(removals, "PAIR_KEYS", 5 * LENGTH)
    return str(request.param)


@pytest.fixture
def cells(monkeypatch: pytest.MonkeyPatch) -> Cells:
    """Three labels, two groups, and nine clusters with photos in several cells, of which each is a block."""
    return Cells.of(RNG.integers(0, 3, N), RNG.integers(0, 2, N), RNG.integers(0, 9, N))


def lists_of(cells: Cells, queries: np.ndarray) -> np.ndarray:
    """Neighbours of other clusters in random order, some lists too short: -1 from there on."""
    lists = np.full((len(queries), LENGTH), -1)
    for row, query in enumerate(queries):
        others = RNG.permutation(np.flatnonzero(cells.clusters != cells.clusters[query]))
        count = RNG.choice([LENGTH, LENGTH, LENGTH, 5, 3, 1, 0])
        lists[row, :count] = others[:count]
    # one block has the only neighbours of a query
    block = cells.blocks.index[lists[0, 0]]
    only = np.flatnonzero(cells.blocks.index == block)[:2]
    lists[0] = -1
    lists[0, : len(only)] = only
    return lists


def keys_of(lists: np.ndarray) -> torch.Tensor:
    falling = np.broadcast_to(np.linspace(0.9, 0.1, lists.shape[1]), lists.shape)
    similar = torch.from_numpy(np.where(lists >= 0, falling, -np.inf).astype(np.float32))
    return pack_keys(similar, torch.from_numpy(np.maximum(lists, 0)))


def plain_vote(names: list[int], label: int, random_ties: bool) -> tuple[float, bool]:
    if not names:
        return 0.0, False
    most = max(names.count(name) for name in names)
    leaders = [name for name in dict.fromkeys(names) if names.count(name) == most]
    if label not in leaders:
        return 0.0, len(leaders) > 1
    return (1 / len(leaders) if random_ties else float(leaders[0] == label)), len(leaders) > 1


def cases(cells: Cells, queries: np.ndarray, lists: np.ndarray) -> Any:
    """(row, home block, removed block, list without it) of each block of the k nearest."""
    for row, query in enumerate(queries):
        home = int(cells.blocks.index[query])
        nearest = [int(p) for p in lists[row] if p >= 0]
        for block in dict.fromkeys(int(cells.blocks.index[p]) for p in nearest[:K]):
            if block != home:
                yield row, home, block, [p for p in nearest if cells.blocks.index[p] != block][:K]


@pytest.mark.parametrize("random_ties", [False, True])
def test_vote__right_votes_and_what_each_block_changes(cells: Cells, random_ties: bool, way: str) -> None:
    queries = RNG.permutation(N)[:25]
    lists = lists_of(cells, queries)
    tally = Removals(cells, K, random_ties)
    made = tally.vote(Setup.POS_SAME, keys_of(lists), queries)
    expected = []
    for row, query in enumerate(queries):
        names = [int(cells.labels[p]) for p in lists[row] if p >= 0][:K]
        expected.append(plain_vote(names, int(cells.labels[query]), random_ties))
    np.testing.assert_allclose(made.right, [right for right, _ in expected])
    np.testing.assert_array_equal(made.tied, [tied for _, tied in expected])
    blocks = len(cells.blocks)
    differences, pairs, short = np.zeros((blocks, blocks)), 0, 0
    for row, home, block, rest in cases(cells, queries, lists):
        pairs, short = pairs + 1, short + (len(rest) < K)
        if rest:
            names = [int(cells.labels[p]) for p in rest]
            after, _ = plain_vote(names, int(cells.labels[queries[row]]), random_ties)
            differences[home, block] += after - expected[row][0]
    np.testing.assert_allclose(tally.right[..., Setup.POS_SAME], differences, atol=1e-12)
    others = [setup for setup in Setup if setup != Setup.POS_SAME]
    assert not tally.right[..., others].any()
    assert 0 < short < pairs
    assert tally.short == short / pairs
    tally.vote(Setup.POS_SAME, keys_of(lists), queries)  # they add up
    np.testing.assert_allclose(tally.right[..., Setup.POS_SAME], 2 * differences, atol=1e-12)
    assert Removals(cells, K, random_ties).short == 0


def test_count__neighbours_by_box_and_rates_and_their_sums(cells: Cells, way: str) -> None:
    queries = RNG.permutation(N)[:25]
    lists = lists_of(cells, queries)
    tally = Removals(cells, K, False)
    tally.count(keys_of(lists), queries)
    blocks = len(cells.blocks)

    def box(query: int, photo: int) -> int:
        return 2 * int(cells.labels[query] != cells.labels[photo]) + int(cells.groups[query] != cells.groups[photo])

    def candidates(query: int, of_box: int) -> int:
        others = np.flatnonzero(cells.clusters != cells.clusters[query])
        return sum(box(query, int(p)) == of_box for p in others)

    counts, rates = np.zeros((blocks, blocks, 4)), np.zeros((blocks, blocks, 4))
    by_cell, short, pairs = np.zeros((blocks, cells.n_cells, 4)), 0, 0
    for row, home, block, rest in cases(cells, queries, lists):
        query = int(queries[row])
        pairs, short = pairs + 1, short + (len(rest) < K)
        if not rest:
            continue
        before = [box(query, int(p)) for p in lists[row][:K] if p >= 0]
        after = [box(query, p) for p in rest]
        for b in range(4):
            change = after.count(b) * K / len(rest) - before.count(b)
            counts[home, block, b] += change
            rates[home, block, b] += change / max(candidates(query, b), 1)
            by_cell[block, cells.cell[query], b] += change / max(candidates(query, b), 1)
    for measured, expected in ((tally._counts, counts), (tally._rates, rates), (tally._by_cell, by_cell)):
        np.testing.assert_allclose(measured, expected, atol=1e-12)
    assert np.abs(counts).sum() > 1
    assert tally.short == short / pairs


def test_boxes_of__by_label_and_group_and_none_for_a_missing_neighbour() -> None:
    cells = Cells.of([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 2, 3])
    made = boxes_of(cells, np.array([[1, 2, 3, -1], [0, 3, 2, -1]]), np.array([0, 1]))
    assert made.tolist() == [[Box.SO, Box.OS, Box.OO, 4], [Box.SO, Box.OS, Box.OO, 4]]
    assert (made.dtype, NO_BOX, list(Box)) == (np.uint8, 4, [0, 1, 2, 3])
    assert boxes_of(cells, np.array([[0]]), np.array([0])).tolist() == [[Box.SS]]


def test_box_totals__of_every_cell() -> None:
    sizes = RNG.integers(0, 9, (2, 3, 4))
    totals = box_totals(sizes)
    assert totals.shape == (2, 4, 12)
    for part, table in zip(totals, sizes, strict=True):
        for cell in range(12):
            a, g = divmod(cell, 4)
            expected = np.zeros(4)
            for b in range(3):
                for h in range(4):
                    expected[2 * (a != b) + (g != h)] += table[b, h]
            assert part[:, cell].tolist() == expected.tolist()


def test_blocks__of_many_clusters_by_stratum_and_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 30 clusters in strata of 20, 9 and 1 there are at most about ten blocks, two of a stratum at least."""
    monkeypatch.setattr(cells_module, "MOST_BLOCKS", 10)
    label, group = np.repeat([0, 0, 1], [20, 9, 1]), np.repeat([0, 1, 1], [20, 9, 1])
    cells = Cells.of(label, group, np.arange(30))
    strata = _strata(cells)
    rng, first, expected = np.random.default_rng(11), 0, np.zeros(30, int)
    for stratum in range(3):
        members = rng.permutation(np.flatnonzero(strata == stratum))
        parts = min(len(members), max(2, round(10 * len(members) / 30)))
        for place, cluster in enumerate(members):
            expected[cluster] = first + place % parts
        first += parts
    blocks = cells.blocks
    np.testing.assert_array_equal(blocks.index, expected)
    assert len(blocks) == first == 7 + 3 + 1
    for b in range(len(blocks)):
        assert set(strata[expected == b]) == {blocks.strata[b]}
        table = np.zeros((2, 2))
        np.add.at(table, (label[expected == b], group[expected == b]), 1)
        np.testing.assert_array_equal(blocks.sizes[b], table)
    monkeypatch.setattr(cells_module, "MOST_BLOCKS", 30)
    assert Cells.of(label, group, np.arange(30)).blocks.index.tolist() == list(range(30))
