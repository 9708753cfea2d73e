"""The searches of ``benchmark.topk`` for CPUs, compiled, where numba is installed: the same keys.

The count-th largest of the maxima of groups bounds the count-th neighbour from below. Only groups that reach it are
looked at, and only what reaches it is sorted: little more than the neighbours themselves.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from builders.engine.compiled import entry_point, jit

GROUP = 32
"""Similarities whose maximum is compared at once."""

_LOW, _SIGN_FREE = 0xFFFFFFFF, 0x7FFFFFFF
_NOTHING, _NEGATIVE_ZERO = -(1 << 63), -(1 << 31)


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """As ``benchmark.topk.top_keys``, of a block on the CPU whose width is a multiple of ``GROUP``."""
    return _nearest_of(block, np.full(len(block), count))


def split_keys(
    block: torch.Tensor, order: np.ndarray, starts: np.ndarray, counts: np.ndarray, depths: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest positives and the nearest negatives of each row; positives are ``-inf`` in the block afterwards.

    Args:
        block: as in ``top_keys``.
        order: int64, columns sorted so that the positives of any row stand together.
        starts, counts: int64 [rows]: the positives of a row are ``order[start : start + count]``.
        depths: int64 [rows], keys wanted of either.

    Returns:
        int64 [rows, largest depth] each, falling, then ``NOTHING``; the packed index is the column.
    """
    values = block.numpy()
    positives = np.empty((len(values), depths.max()), np.int64)
    given = (values, values.view(np.int32), order, starts, counts, depths, positives)
    _in_parts(len(values), lambda first, last: _positives(*given, first, last))
    return torch.from_numpy(positives), _nearest_of(block, depths)


def _nearest_of(block: torch.Tensor, depths: np.ndarray) -> torch.Tensor:
    values = block.numpy()
    maxima = block.view(len(block), -1, GROUP).amax(dim=2).numpy()
    found = np.empty((len(values), depths.max(initial=0)), np.int64)
    given = (values, values.view(np.int32), maxima, depths, found)
    _in_parts(len(values), lambda first, last: _nearest(*given, first, last))
    return torch.from_numpy(found)


def _in_parts(rows: int, work: Callable[[int, int], None]) -> None:
    """Rows shared out among as many threads as torch uses."""
    threads = min(torch.get_num_threads(), rows)
    borders = [rows * i // threads for i in range(threads + 1)] if threads else [0, 0]
    others = [_pool().submit(work, *part) for part in itertools.pairwise(borders[1:])]
    work(*borders[:2])
    for other in others:
        other.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="top-k")


@jit
def _key(bits: int, column: int) -> int:
    """``benchmark.topk.pack`` of one similarity, given as the bits of its float32."""
    ordered = np.int64(bits)
    if ordered == _NEGATIVE_ZERO:
        ordered = np.int64(0)
    if ordered < 0:
        ordered ^= _SIGN_FREE
    return (ordered << 32) | (_LOW - column)


@jit
def _select(keys: np.ndarray, n: int, count: int) -> None:
    """Bring the ``count`` largest of the first ``n`` to the front, the least of them last (Hoare's quickselect)."""
    low, high = 0, n - 1
    while low < high:
        pivot = keys[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while keys[i] > pivot:
                i += 1
            while keys[j] < pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i += 1
                j -= 1
        if count - 1 <= j:
            high = j
        elif count - 1 >= i:
            low = i
        else:
            return


@jit
def _finish(keys: np.ndarray, n: int, count: int, out: np.ndarray) -> None:
    """The ``count`` largest of the first ``n`` keys in falling order, then ``NOTHING``."""
    if n > count:
        _select(keys, n, count)
        n = count
    keys[:n].sort()
    for i in range(n):
        out[i] = keys[n - 1 - i]
    out[n:] = _NOTHING


@entry_point
def _nearest(
    values: np.ndarray,
    bits: np.ndarray,
    maxima: np.ndarray,
    depths: np.ndarray,
    found: np.ndarray,
    first: int,
    last: int,
) -> None:
    groups = maxima.shape[1]
    keys = np.empty(values.shape[1], np.int64)
    largest = np.empty(groups, np.float32)
    for row in range(first, last):
        bound = np.float32(-np.inf)
        if groups > depths[row]:
            largest[:] = maxima[row]
            _select(largest, groups, depths[row])
            bound = largest[depths[row] - 1]
        n = 0
        for group in range(groups):
            if maxima[row, group] >= bound:
                for column in range(group * GROUP, (group + 1) * GROUP):
                    if values[row, column] >= bound:
                        keys[n] = _key(bits[row, column], column)
                        n += values[row, column] > -np.inf
        _finish(keys, n, depths[row], found[row])


@entry_point
def _positives(
    values: np.ndarray,
    bits: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    counts: np.ndarray,
    depths: np.ndarray,
    found: np.ndarray,
    first: int,
    last: int,
) -> None:
    keys = np.empty(max(1, counts.max()), np.int64)
    for row in range(first, last):
        for i in range(counts[row]):
            column = order[starts[row] + i]
            keys[i] = _key(bits[row, column], column)
            values[row, column] = -np.inf
        _finish(keys, counts[row], depths[row], found[row])
