"""Products on the CPU against float64, by both libraries, shared out among threads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from benchmark.compute import kernels


@pytest.mark.parametrize("by_numpy", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 33, 5), (300, 512, 1024)])
def test_multiply(shape: tuple[int, int, int], by_numpy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "numpy_is_faster", lambda: by_numpy)
    rng = np.random.default_rng(0)
    m, d, n = shape
    left, right = rng.standard_normal((m, d), np.float32), rng.standard_normal((n, d), np.float32)
    out = np.empty((m, n), np.float32)
    kernels.multiply(left, right.T, out)
    np.testing.assert_allclose(out, left.astype(float) @ right.T.astype(float), atol=1e-4)


@pytest.mark.parametrize(("rows", "parts"), [(0, 1), (1, 1), (2, 2), (5, 5), (100, 3), (2100, 4), (9000, 12)])
def test_in_parts__every_row_once_and_threads_as_before(rows: int, parts: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    seen = np.zeros(rows, int)
    inside: list[int] = []

    def work(first: int, last: int) -> None:
        seen[first:last] += 1
        inside.append(torch.get_num_threads())

    try:
        kernels.in_parts(rows, work)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert (seen == 1).all()
    assert set(inside) == {1} or rows < 2  # one part has no other beside it
    assert len(inside) == parts  # at least one for each thread; no more than that of fewer than ``LEAST_ROWS``
    assert [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"] == blas


def test_in_parts__an_error_in_any_part_is_raised() -> None:
    def work(first: int, last: int) -> None:
        if last == 10:
            raise ValueError("the last part")

    with pytest.raises(ValueError, match="the last part"):
        kernels.in_parts(10, work)
    assert torch.get_num_threads() >= 1
