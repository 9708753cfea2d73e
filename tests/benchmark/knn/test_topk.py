"""The nearest of a block, by torch and compiled, against a stable sort."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.knn import NOTHING, unpack_indices
from benchmark.knn.keys import pack_keys, top_keys
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
