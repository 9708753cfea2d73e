"""Compiled searches for CPUs, with numba, that give the same keys as ``benchmark.knn.search``.

Similarities are searched in pieces that fit a core's cache, right after their product. For each query little more than
its nearest keys are stored at any time; of a group of columns only those nearer than the last of these are examined.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmark.compute import in_parts, multiply
from builders.kernels import entry_point, jit

COLUMNS = 1536
"""Train photos of one piece."""

ROWS = 1536
"""Queries of one piece: 6 MiB of similarities."""

GROUP = 32
"""Similarities compared at once."""

_LOW, _SIGN_FREE = 0xFFFFFFFF, 0x7FFFFFFF
_NOTHING, _NEGATIVE_ZERO = -(1 << 63), -(1 << 31)
_NO_LABEL = -1
_DE_BRUIJN = 0x077CB531
_PLACES = np.argsort([(_DE_BRUIJN << i & _LOW) >> 27 for i in range(32)])


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """As ``benchmark.knn.keys.top_keys``, for a block on the CPU."""
    values = block.numpy()
    state = _State(len(values), np.full(len(values), count))
    labels, query_labels = np.full(values.shape[1], _NO_LABEL, np.int32), np.zeros(len(values), np.int32)

    def work(first: int, last: int) -> None:
        state.look_at(values[first:last], labels, query_labels[first:last], 0, first)
        state.finish(first, last)

    in_parts(len(values), work)
    return torch.from_numpy(state.negatives[:, :count])


def nearest_by_label(
    queries: np.ndarray,
    query_labels: np.ndarray,
    keys: np.ndarray,
    labels: np.ndarray,
    depths: np.ndarray,
    exclude: Callable[[np.ndarray, int, int], None] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest keys with the query's label, and the nearest of the others, by inner product.

    Args:
        queries: float32 [queries, d].
        query_labels: int32 [queries], their labels, 0 or more.
        keys: float32 [columns, d].
        labels: int32 [columns], 0 or more.
        depths: int64 [queries], number of keys of either kind.
        exclude: called with each block of similarities, the number of its first query and of its first column; it sets
            those that must not be neighbours to ``-inf``.

    Returns:
        int64 [queries, largest depth] each, falling, then ``NOTHING``; the packed index is the column.
    """
    state = _State(len(queries), depths)

    def work(first: int, last: int) -> None:
        buffer = np.empty(min(last - first, ROWS) * min(len(keys), COLUMNS), np.float32)
        for top in range(first, last, ROWS):
            rows = slice(top, min(top + ROWS, last))
            for start in range(0, len(keys), COLUMNS):
                piece = keys[start : start + COLUMNS]
                values = buffer[: (rows.stop - top) * len(piece)].reshape(-1, len(piece))
                multiply(queries[rows], piece.T, values)
                if exclude is not None:
                    exclude(values, top, start)
                state.look_at(values, labels[start : start + COLUMNS], query_labels[rows], start, top)
        state.finish(first, last)

    in_parts(len(queries), work)
    return torch.from_numpy(state.positives[:, : depths.max()]), torch.from_numpy(state.negatives[:, : depths.max()])


def try_out() -> None:
    """Compile all kernels by calling them."""
    top_keys(torch.zeros(1, GROUP), 1)


class _State:
    """Keys stored for each query: at most twice its depth of either kind, unordered until ``finish``."""

    def __init__(self, queries: int, depths: np.ndarray) -> None:
        self.depths = depths.astype(np.int64)
        shape = (queries, 2 * int(depths.max(initial=0)))
        self.positives, self.negatives = np.empty(shape, np.int64), np.empty(shape, np.int64)
        self.sizes = np.zeros((queries, 2), np.int64)
        self.bounds = np.full((queries, 2), -np.inf, np.float32)
        """Only larger similarities can still be among the nearest."""

    def look_at(self, values: np.ndarray, labels: np.ndarray, query_labels: np.ndarray, start: int, top: int) -> None:
        """Add similarities [rows, columns] of the queries from ``top`` on to the train photos from ``start`` on."""
        rows = slice(top, top + len(values))
        stored = (self.positives[rows], self.negatives[rows], self.sizes[rows], self.bounds[rows])
        _look_at(values, values.view(np.int32), labels, query_labels, start, self.depths[rows], *stored)

    def finish(self, first: int, last: int) -> None:
        """Sort the stored keys of these queries in falling order, followed by ``NOTHING``."""
        rows = slice(first, last)
        _finish(self.positives[rows], self.sizes[rows, 0], self.depths[rows])
        _finish(self.negatives[rows], self.sizes[rows, 1], self.depths[rows])


@jit
def _key(bits: int, column: int) -> int:
    """``benchmark.knn.keys.pack_keys`` of one similarity, given as the bits of its float32."""
    ordered = np.int64(bits)
    if ordered == _NEGATIVE_ZERO:
        ordered = np.int64(0)
    if ordered < 0:
        ordered ^= _SIGN_FREE
    return (ordered << 32) | (_LOW - column)


@jit
def _select(keys: np.ndarray, n: int, count: int) -> None:
    """Move the ``count`` largest of the first ``n`` different keys to the front, the least of them last.

    Hoare's quickselect with Lomuto's partition: it has no branch that depends on a key, which halves its time.
    """
    low, high = 0, n - 1
    while low < high:
        middle = (low + high) // 2
        pivot = keys[middle]
        keys[middle] = keys[high]
        keys[high] = pivot
        border = low
        for i in range(low, high):
            key = keys[i]
            keys[i] = keys[border]
            keys[border] = key
            border += key > pivot
        keys[high] = keys[border]
        keys[border] = pivot
        if border == count - 1:
            return
        if border < count - 1:
            low = border + 1
        else:
            high = border - 1


@jit
def _bound(key: int, bits: np.ndarray, similarity: np.ndarray) -> float:
    """The similarity of a key; ``bits`` [1] and ``similarity`` [1] share their memory."""
    ordered = key >> 32
    bits[0] = ordered ^ _SIGN_FREE if ordered < 0 else ordered
    return similarity[0]


@jit
def _above(values: np.ndarray, labels: np.ndarray, mine: int, near: float, far: float) -> int:
    """Bits of the near enough ones of up to ``GROUP`` similarities. Without branches, so that it is vectorised."""
    above = np.uint32(0)
    for i in range(len(values)):
        same_label = np.uint32(values[i] > near) & np.uint32(labels[i] == mine)
        above |= (same_label | np.uint32(values[i] > far)) << np.uint32(i)
    return above


@jit
def _lowest(bits: int) -> int:
    """The place of the lowest of up to 32 bits, at least one (Leiserson, Prokop and Randall, 1998)."""
    return _PLACES[((bits & -bits) * _DE_BRUIJN & _LOW) >> 27]


@entry_point
def _look_at(
    values: np.ndarray,
    all_bits: np.ndarray,
    labels: np.ndarray,
    query_labels: np.ndarray,
    start: int,
    depths: np.ndarray,
    positives: np.ndarray,
    negatives: np.ndarray,
    sizes: np.ndarray,
    bounds: np.ndarray,
) -> None:
    bits = np.zeros(1, np.int32)
    similarity = bits.view(np.float32)
    columns = values.shape[1]
    for row in range(values.shape[0]):
        near, far = bounds[row, 0], bounds[row, 1]
        n_near, n_far = sizes[row, 0], sizes[row, 1]
        depth, mine = depths[row], query_labels[row]
        for first in range(0, columns, GROUP):
            if first + GROUP <= columns:
                above = np.int64(
                    _above(values[row, first : first + GROUP], labels[first : first + GROUP], mine, near, far)
                )
            else:
                above = np.int64(_above(values[row, first:], labels[first:], mine, near, far))
            while above:
                column = first + _lowest(above)
                above &= above - 1
                if labels[column] == mine:
                    if values[row, column] > near:
                        positives[row, n_near] = _key(all_bits[row, column], start + column)
                        n_near += 1
                        if n_near == 2 * depth:
                            _select(positives[row], n_near, depth)
                            n_near = depth
                            near = _bound(positives[row, depth - 1], bits, similarity)
                elif values[row, column] > far:
                    negatives[row, n_far] = _key(all_bits[row, column], start + column)
                    n_far += 1
                    if n_far == 2 * depth:
                        _select(negatives[row], n_far, depth)
                        n_far = depth
                        far = _bound(negatives[row, depth - 1], bits, similarity)
        bounds[row, 0], bounds[row, 1] = near, far
        sizes[row, 0], sizes[row, 1] = n_near, n_far


@entry_point
def _finish(stored: np.ndarray, sizes: np.ndarray, depths: np.ndarray) -> None:
    for row in range(stored.shape[0]):
        n = sizes[row]
        if n > depths[row]:
            _select(stored[row], n, depths[row])
            n = depths[row]
        stored[row, :n].sort()
        for i in range(n // 2):
            stored[row, i], stored[row, n - 1 - i] = stored[row, n - 1 - i], stored[row, i]
        stored[row, n:] = _NOTHING
