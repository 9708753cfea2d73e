"""Neighbours of some photos are those of a search for all photos; boxes and votes against a loop over distances."""

import numpy as np
import pytest

from benchmark.knn import Setup
from benchmark.robustness import Cells, neighbours_of

N, K = 40, 5


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    label, group, cluster = np.arange(N) % 2, np.arange(N) // 20, np.arange(N) // 2
    return rng.normal(size=(N, 4)).astype(np.float32), Cells.of(label, group, cluster), (label, group, cluster)


@pytest.mark.parametrize("queries", [[7], [30, 2, 11], range(0, N, 3), range(N)])
def test_neighbours_of__some_queries(table, queries):
    rows, cells, _ = table
    everything, some = neighbours_of(rows, cells, k=K), neighbours_of(rows, cells, k=K, queries=np.array(queries))
    assert some.queries.tolist() == list(queries)
    np.testing.assert_array_equal(some.boxes, everything.boxes[list(queries)], strict=True)
    np.testing.assert_array_equal(some.right, everything.right[:, list(queries)], strict=True)


@pytest.mark.parametrize("compiled", [False, True])
def test_neighbours_of__share_of_lists_that_are_too_short(table, compiled, monkeypatch):
    """Without a cluster of two, 36 photos of other clusters are left to each query."""
    monkeypatch.setattr("benchmark.knn.keys.COMPILED_FROM", 1 if compiled else 1 << 60)
    monkeypatch.setattr("benchmark.robustness.removals.COMPILED_FROM", 1 if compiled else 1 << 60)
    rows, cells, _ = table
    assert [neighbours_of(rows, cells, k=k, setups=False).short for k in (36, 37, N)] == [0.0, 1.0, 1.0]


def test_neighbours_of__all_same_votes_by_a_loop(table):
    rows, cells, (label, group, cluster) = table
    result = neighbours_of(rows, cells, k=K)
    unit = rows.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True)
    similarity = unit @ unit.T
    for setup, wanted in ((Setup.ALL_SAME, True), (Setup.ALL_DIFF, False)):
        for i in range(N):
            allowed = (cluster != cluster[i]) & ((group == group[i]) == wanted)
            nearest = sorted(np.flatnonzero(allowed), key=lambda j, i=i: -similarity[i, j])[:K]
            votes = np.bincount(label[nearest], minlength=2)
            assert result.right[setup, i] == (votes.argmax() == label[i])
    without = neighbours_of(rows, cells, k=K, setups=False)
    np.testing.assert_array_equal(without.boxes, result.boxes)
    assert not without.right.any()
