"""Both searches, by torch and compiled, against a loop: classes of queries, clusters, blocks of train photos, edges."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from benchmark.knn import (
    NOTHING,
    Box,
    BoxLists,
    Setup,
    box_neighbours,
    keys,
    search,
    unpack_indices,
)
from benchmark.knn.keys import merge, pack_keys, top_keys, unpack_similarities
from benchmark.knn.search import NeighbourSink, QueryBlock, SharedClusters, read_unit_rows, round_up, search_of
from tests.benchmark.knn.definition import Case, assert_equals_reference, exact_vectors, make_case

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
BY = [pytest.param(False, id="torch"), pytest.param(True, id="compiled", marks=needs_numba)]


def unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows.astype(float), axis=-1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros(rows.shape), where=norms > 0).astype(np.float32)


@pytest.fixture
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The search by torch or the compiled one, whatever the size, in pieces of few queries and columns."""
    compiled: bool = request.param
    for module in (keys, search):
        monkeypatch.setattr(module, "COMPILED_FROM", 0 if compiled else 1 << 60)
    if compiled:
        from benchmark.knn import search_compiled

        monkeypatch.setattr(search_compiled, "ROWS", 4)
        monkeypatch.setattr(search_compiled, "COLUMNS", 40)
    return compiled


@pytest.mark.parametrize("chosen", BY, indirect=True)
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("columns", [31, 32, 100])
def test_search__equals_a_loop_whatever_the_blocks(chosen: bool, clustered: bool, columns: int) -> None:
    """Two classes of queries with lists of other lengths; train photos come in three blocks; labels without photos."""
    rng = np.random.default_rng(columns)
    queries, train = unit(exact_vectors(rng, 18)).reshape(2, 9, 16), unit(exact_vectors(rng, 230))
    of_queries, labels = rng.integers(0, 5, 9), rng.integers(0, 4, 230)
    clusters = (rng.integers(0, 6, 9), rng.integers(0, 6, 230)) if clustered else (None, None)
    block = QueryBlock(torch.from_numpy(queries), of_queries, clusters[0])
    depths = (3, 7)
    lists = [[torch.full((9, depth), NOTHING, dtype=torch.int64) for depth in depths] for _ in range(2)]
    run = search_of(block, 4, columns)
    assert type(run).__name__ == ("_CompiledSearch" if chosen else "_BlockSearch")
    for start in range(0, 230, columns):
        part = train[start : start + columns]
        padded = np.zeros((round_up(columns), 16), np.float32)
        padded[: len(part)] = part
        sink = NeighbourSink(lists[0], lists[1], start)
        assert sink.depths == [3, 7]
        of_part = None if clusters[1] is None else clusters[1][start : start + columns]
        run(torch.from_numpy(padded), labels[start : start + columns], sink, of_part)
    for t, depth in enumerate(depths):
        for q in range(9):
            similar = train.astype(float) @ queries[t, q].astype(float)
            allowed = np.ones(230, bool) if clusters[1] is None else clusters[1] != clusters[0][q]
            for side, mine in zip(lists, (labels == of_queries[q], labels != of_queries[q]), strict=True):
                order = sorted(np.flatnonzero(mine & allowed), key=lambda i: (-similar[i], i))[:depth]
                made = side[t][q]
                assert unpack_indices(made).tolist() == [*order, *[-1] * (depth - len(order))]
                assert unpack_similarities(made)[: len(order)].tolist() == similar[order].tolist()


@pytest.mark.parametrize("chosen", BY, indirect=True)
def test_boxes__equal_a_loop_by_both_searches(chosen: bool) -> None:
    rng = np.random.default_rng(3)
    rows = exact_vectors(rng, 90)
    labels, groups, clusters = (rng.integers(0, count, 90) for count in (3, 2, 25))
    (lists,) = box_neighbours(rows, labels, groups, clusters, depth=4)
    similar = unit(rows).astype(float) @ unit(rows).astype(float).T
    for box in Box:
        for q in range(90):
            inside = clusters != clusters[q]
            inside &= (labels == labels[q]) == (box in (Box.SS, Box.SO))
            inside &= (groups == groups[q]) == (box in (Box.SS, Box.OS))
            order = sorted(np.flatnonzero(inside), key=lambda i, q=q: (-similar[q, i], i))[:4]
            assert unpack_indices(lists.keys[box, q]).tolist() == [*order, *[-1] * (4 - len(order))]


@pytest.mark.parametrize("chosen", BY, indirect=True)
def test_setups__of_both_searches_are_those_of_the_definition(chosen: bool) -> None:
    assert_equals_reference(make_case(21, n_train=70, n_test=6), 4)
    assert_equals_reference(make_case(22, n_train=70, n_test=6), 4, memory_bytes=1)


def test_clusters__pairs_within_each_block() -> None:
    rng = np.random.default_rng(0)
    queries, train = rng.integers(0, 7, 13), rng.integers(0, 7, 50)
    shared = SharedClusters(queries, train)
    for rows, start, columns in (
        (slice(0, 13), 0, 50),
        (slice(3, 9), 17, 20),
        (slice(12, 13), 49, 1),
        (slice(0, 4), 5, 0),
    ):
        made = sorted(zip(*(part.tolist() for part in shared.pairs(rows, start, columns)), strict=True))
        inside = [(q, c) for q in range(rows.stop - rows.start) for c in range(columns)]
        expected = [(q, c) for q, c in inside if queries[rows.start + q] == train[start + c]]
        assert made == expected
        values = np.zeros((rows.stop - rows.start, columns), np.float32)
        shared.exclude(values, rows.start, start)
        assert sorted(zip(*(at.tolist() for at in np.nonzero(np.isneginf(values))), strict=True)) == expected


def test_top_keys__of_a_block_that_is_not_contiguous() -> None:
    block = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.3]])
    assert unpack_indices(top_keys(block.T, 2)).tolist() == [[1, 2], [0, 2]]
    assert unpack_indices(top_keys(block, 3)).tolist() == [[1, 0, -1], [0, 1, -1], [0, 1, -1]]


def test_keys__negative_similarities_and_large_indices_sort_and_unpack() -> None:
    similar = torch.tensor([-1.0, -0.25, 0.0, 0.25, 1.0])
    indices = torch.tensor([5, 0, (1 << 32) - 1, 7, 123_456_789])
    packed = pack_keys(similar, indices)
    assert packed.sort().values.equal(packed)
    assert unpack_indices(packed).tolist() == indices.tolist()
    assert unpack_similarities(packed).tolist() == similar.tolist()
    assert (packed > NOTHING).all()
    assert merge(packed[:2].flip(0), packed[3:].flip(0)).tolist() == packed[3:].flip(0).tolist()


def test_unit_rows__writes_a_part_and_zeroes_the_rest() -> None:
    rows = np.array([[3, 4], [0, 0], [5, 12], [1e-20, 0], [2e19, 0], [8, 6]], np.float32)
    out = torch.full((6, 2), 7.0)
    assert read_unit_rows(rows, 1, 5, out, what="test") is out
    np.testing.assert_allclose(out, [[0, 0], [5 / 13, 12 / 13], [1, 0], [1, 0], [0, 0], [0, 0]], rtol=1e-6)
    whole = read_unit_rows(rows[::-1], 0, 6, torch.empty(6, 2), what="test")  # rows that do not lie one after the other
    np.testing.assert_allclose(whole[0], [0.8, 0.6], rtol=1e-6)
    halves = read_unit_rows(rows[:3].astype(np.float16), 0, 3, torch.empty(3, 2), what="test")
    np.testing.assert_allclose(halves, [[0.6, 0.8], [0, 0], [5 / 13, 12 / 13]], rtol=1e-6)


def test_merged__as_many_as_are_requested_of_any_boxes() -> None:
    similar = torch.tensor([[[0.9, 0.1]], [[0.8, 0.2]], [[0.7, 0.3]], [[0.6, 0.4]]])
    packed = pack_keys(similar, torch.arange(8).reshape(4, 1, 2))
    lists = BoxLists(np.array([0]), packed)
    assert unpack_indices(lists.merged((Box.SS, Box.OS), 3)).tolist() == [[0, 4, 5]]
    assert unpack_indices(lists.merged((Box.SO,), 4)).tolist() == [[2, 3, -1, -1]]
    assert unpack_indices(lists.merged(tuple(Box), 8)).tolist() == [[0, 2, 4, 6, 7, 5, 3, 1]]


def of_cosines(first: np.ndarray, second: np.ndarray, drawn: np.ndarray) -> Case:
    """A query of label 0 under two processings, and train photos of which those from 20 on have its label.

    Args:
        first, second: cosines of the query and each train photo under each processing.
        drawn: the processing of each train photo in ``uniform``.
    """
    banks = [np.stack([cosines, np.sqrt(1 - cosines**2)], axis=1).astype(np.float32) for cosines in (first, second)]
    query = [np.array([[1, 0]], np.float32)] * 2
    return Case(banks, query, (np.arange(40) < 20).astype(int), np.zeros(1, int), drawn[None], np.zeros((1, 1), int))


@pytest.mark.parametrize("memory", [None, 1])
def test_uniform__a_neighbour_beyond_the_end_of_a_list_is_computed(memory: int | None) -> None:
    """The five of the list of the other processing are drawn in the first; the sixth is no more in the list."""
    at = np.arange(40)
    second = np.where(at < 20, 1 - 0.01 * at, -0.5 - 0.01 * (at - 20))
    first = np.where(at < 20, -0.2 - 0.01 * at, 0.5 - 0.01 * (at - 20))
    case = of_cosines(first, second, ((at >= 5) & (at < 20)).astype(int))
    assert case.answers(k=1, memory_bytes=memory).correct[Setup.UNIFORM].tolist() == [0]
    assert_equals_reference(case, 1, memory_bytes=memory)


@pytest.mark.parametrize("memory", [None, 1])
def test_uniform__neighbours_that_are_computed_count_once(memory: int | None) -> None:
    """One wrong photo is nearest, and in a list; one right photo is beyond the list, one is in the first list."""
    at = np.arange(40)
    second = np.where(at < 20, -0.5 - 0.01 * at, 0.95 - 0.01 * (at - 20))
    second[0] = 0.99
    first = np.where(at < 20, -0.2 - 0.01 * at, 0.5 - 0.01 * (at - 20))
    case = of_cosines(first, second, ((at == 0) | (at == 35)).astype(int))
    assert case.answers(k=3, memory_bytes=memory).correct[Setup.UNIFORM].tolist() == [2]
    assert_equals_reference(case, 3, memory_bytes=memory)
