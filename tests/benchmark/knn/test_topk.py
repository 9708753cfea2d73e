"""The nearest of a block, by torch and compiled, against a stable sort."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.knn import NOTHING, knn_setups, unpack_indices
from benchmark.knn.keys import PREFILTER_GROUPS, _largest, pack_keys, top_keys
from benchmark.knn.search import read_unit_rows


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([5, 64, 1000, 1024]), st.integers(1, 200))
def test_top_keys__equals_a_stable_sort(seed: int, count: int, columns: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    block = (rng.integers(-values, values, (4, columns)) / values).astype(np.float32)
    block[rng.random(block.shape) < 0.2] = -np.inf
    block[0] = -np.inf
    result = unpack_indices(top_keys(torch.from_numpy(block), count)).numpy()
    for row, got in zip(block, result, strict=True):
        order = np.argsort(-row, kind="stable")[:count]
        expected = [i for i in order if row[i] > -np.inf]
        assert got.tolist() == expected + [-1] * (count - len(expected))


def test_pack__order_of_floats() -> None:
    values = torch.tensor([-1.0, -0.5, -1e-40, -0.0, 0.0, 1e-40, 0.5, 1.0])
    keys = pack_keys(values, torch.zeros(8, dtype=torch.int64))
    assert (keys.diff() > 0).tolist() == [True, True, True, False, True, True, True]
    assert pack_keys(torch.tensor([-torch.inf]), torch.tensor([3])).item() == NOTHING


def test_read_unit_rows__tiny_huge_and_zero() -> None:
    rows = np.array([[3e-30, 4e-30], [3e30, 4e30], [0, 0], [3, 4]], np.float32)
    unit = read_unit_rows(rows, 0, 4, torch.empty(5, 2), what="test")
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.6, 0.8], [0, 0], [0.6, 0.8], [0, 0]], rtol=1e-6)


needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")


@needs_numba
@pytest.mark.parametrize(("count", "columns", "values"), [(1, 64, 3), (10, 320, 5), (10, 320, 10**6), (40, 640, 4)])
def test_top_keys__compiled_gives_the_same_keys(count: int, columns: int, values: int) -> None:
    """Against torch's search, with many ties, with -0.0, and with columns that hold no neighbour."""
    from benchmark.knn import search_compiled

    rng = np.random.default_rng(count)
    block = torch.from_numpy((rng.integers(-values, values, (30, columns)) / values).astype(np.float32))
    block[:, 5] = -0.0
    block[::3, ::2] = -torch.inf
    block[4] = -torch.inf
    assert search_compiled.top_keys(block, count).equal(top_keys(block, count))


@needs_numba
@pytest.mark.parametrize(("columns", "sign"), [(1, 0), (31, 0), (96, 0), (1700, 0), (1700, 1), (1700, -1)])
def test_nearest_by_label__equals_a_stable_sort_of_each_side(
    columns: int, sign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small whole numbers: similarities are exact, many are equal, and there are pieces of several sizes; of any sign,
    all above 0, or all below."""
    from benchmark.knn import search_compiled

    monkeypatch.setattr(search_compiled, "ROWS", 2)
    rng = np.random.default_rng(columns)
    labels, changed = rng.integers(0, 4, columns).astype(np.int32), np.array([0, 1, 2, 3, 9, 0, 1], np.int32)
    queries, keys = (rng.integers(-2, 3, (n, 3)).astype(np.float32) for n in (len(changed), columns))
    if sign:
        queries, keys = np.abs(queries) + 1, sign * (np.abs(keys) + 1)
    depths = np.array([3, 50, 1, 7, 3, 96, 400])
    sides = search_compiled.nearest_by_label(queries, changed, keys, labels, depths)
    similarities = queries @ keys.T
    for row in range(len(changed)):
        positive = labels == changed[row]
        for result, mine in zip(sides, (positive, ~positive), strict=True):
            places = np.flatnonzero(mine)
            expected = places[np.argsort(-similarities[row, places], kind="stable")][: depths[row]]
            got = unpack_indices(result[row]).numpy()[: depths[row]]
            assert got.tolist() == expected.tolist() + [-1] * (depths[row] - len(expected))


@needs_numba
def test_knn_setups__compiled_search_gives_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of train photos and of queries, labels without a train photo, fewer positives than k."""
    rng = np.random.default_rng(5)
    # similarities are sixteenths, which no order of a sum rounds
    train, test = ([rng.choice([-1.0, 1.0], (n, 16)) for _ in range(3)] for n in (200, 23))
    question = {
        "train_labels": rng.integers(0, 40, 200),
        "test_labels": rng.integers(0, 44, 23),
        "train_assignments": rng.integers(0, 3, (2, 200)),
        "test_assignments": rng.integers(0, 3, (2, 23)),
        "k": 5,
        "memory_bytes": 1 << 16,
    }
    by_torch = knn_setups(train, test, **question)
    monkeypatch.setattr("benchmark.knn.keys.COMPILED_FROM", 0)
    compiled = knn_setups(train, test, **question)
    for name in ("correct", "tied", "plain", "by_seed"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(by_torch, name))


def test_largest__stays_on_the_device_of_the_similarities() -> None:
    """On the device ``meta``, which has only shapes and refuses to meet another."""
    largest = _largest(torch.empty((5, 4096), device="meta"), 3, PREFILTER_GROUPS)
    assert [part.device.type for part in largest] == ["meta"] * 3
    assert [tuple(part.shape) for part in largest] == [(5, 3), (5, 3), (5,)]
