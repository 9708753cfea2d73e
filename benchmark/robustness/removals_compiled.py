"""Compiled sums of what changes if a block of photos is left out, with numba; the same as ``removals`` with torch."""

from __future__ import annotations

import numpy as np

from benchmark.compute import in_parts
from builders.kernels import entry_point, jit


def votes(
    nearest: np.ndarray,
    queries: np.ndarray,
    labels: np.ndarray,
    blocks: np.ndarray,
    k: int,
    random_ties: bool,
    count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Votes of lists of neighbours, and the differences without each block.

    Args:
        nearest: int64 [m, k or more], photos, nearest first; -1 where there is none.
        queries: int64 [m], photos.
        labels, blocks: int64 [photos].
        k: neighbours that vote.
        random_ties: whether a tie counts by the expectation of a random choice.
        count: number of blocks.

    Returns:
        float64 [m] right votes; bool [m] tied votes; float64 [blocks of queries, blocks] differences of right votes;
        int64 [2], pairs of a query and a block, and those whose lists were too short.
    """
    right, tied = np.zeros(len(nearest)), np.zeros(len(nearest), np.bool_)
    parts: list[tuple[np.ndarray, np.ndarray]] = []

    def work(first: int, last: int) -> None:
        rows, differences, pairs = slice(first, last), np.zeros((count, count)), np.zeros(2, np.int64)
        ends = (right[rows], tied[rows], differences, pairs)
        _votes(nearest[rows], queries[rows], labels, blocks, k, random_ties, *ends)
        parts.append((differences, pairs))

    in_parts(len(nearest), work)
    zero = (np.zeros((count, count)), np.zeros(2, np.int64))
    return right, tied, sum((p[0] for p in parts), zero[0]), sum((p[1] for p in parts), zero[1])


def counts(
    nearest: np.ndarray,
    queries: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    blocks: np.ndarray,
    k: int,
    shape: tuple[int, int, int],
    candidates: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Differences of neighbours by box without each block.

    Args:
        found, queries, labels, blocks, k: as in ``votes``.
        groups: int64 [photos].
        shape: numbers of blocks, of cells and of groups.
        candidates: int64 [4, photos].

    Returns:
        float64 [blocks, cells of queries, 4] rates: each neighbour counts as one over the number of candidates of its
        box; float64 [blocks of queries, blocks, 4] counts, and rates; int64 [2] as in ``votes``.
    """
    sizes = ((shape[0], shape[1], 4), (shape[0], shape[0], 4), (shape[0], shape[0], 4), (2,))
    parts: list[list[np.ndarray]] = []

    def work(first: int, last: int) -> None:
        rows, tables = slice(first, last), [np.zeros(size) for size in sizes]
        _counts(nearest[rows], queries[rows], labels, groups, blocks, k, shape[2], candidates, *tables)
        parts.append(tables)

    in_parts(len(nearest), work)
    by_cell, counts, rates, pairs = (sum((p[i] for p in parts), np.zeros(size)) for i, size in enumerate(sizes))
    return by_cell, counts, rates, pairs


def try_out() -> None:
    """Compile all kernels by calling them."""
    nearest, codes = np.array([[1], [0]]), np.arange(2)
    votes(nearest, codes, codes, codes, 1, False, 2)
    counts(nearest, codes, codes, codes, codes, 1, (2, 4, 2), np.ones((4, 2), np.int64))


@jit
def _vote(names: np.ndarray, n: int, query_label: int, random_ties: bool) -> tuple[float, bool]:
    """Share of right votes of the first ``n`` labels, nearest first, and whether labels are tied (``knn.votes``)."""
    mine, first_mine = 0, n
    most, leading, first = 0, 0, n
    for i in range(n):
        if names[i] == query_label:
            mine += 1
            first_mine = min(first_mine, i)
            continue
        fresh = True
        for j in range(i):
            if names[j] == names[i]:
                fresh = False
                break
        if not fresh:
            continue
        times = 0
        for j in range(i, n):
            times += names[j] == names[i]
        if times > most:
            most, leading, first = times, 1, i
        elif times == most:
            leading += 1
    if mine > most:
        return 1.0, False
    if mine < most or mine == 0:
        return 0.0, leading > 1
    if random_ties:
        return 1.0 / (leading + 1), True
    return (1.0 if first_mine < first else 0.0), True


@jit
def _rest(nearest: np.ndarray, row: int, blocks: np.ndarray, without: int, rest: np.ndarray) -> int:
    """Write the nearest photos outside of a block to ``rest``; their number."""
    n = 0
    for column in range(nearest.shape[1]):
        photo = nearest[row, column]
        if photo < 0 or n == len(rest):
            break
        if blocks[photo] != without:
            rest[n] = photo
            n += 1
    return n


@jit
def _is_first(nearest: np.ndarray, row: int, column: int, blocks: np.ndarray) -> bool:
    """Whether no nearer neighbour is in the block of this one."""
    count = 0
    for earlier in range(column):
        count += blocks[nearest[row, earlier]] == blocks[nearest[row, column]]
    return count == 0


@entry_point
def _votes(
    nearest: np.ndarray,
    queries: np.ndarray,
    labels: np.ndarray,
    blocks: np.ndarray,
    k: int,
    random_ties: bool,
    right: np.ndarray,
    tied: np.ndarray,
    differences: np.ndarray,
    pairs: np.ndarray,
) -> None:
    rest, names = np.empty(k, np.int64), np.empty(k, np.int64)
    for row in range(nearest.shape[0]):
        query_label, home = labels[queries[row]], blocks[queries[row]]
        n = _rest(nearest, row, blocks, -1, rest)
        for i in range(n):
            names[i] = labels[rest[i]]
        right[row], tied[row] = _vote(names, n, query_label, random_ties)
        for column in range(min(k, nearest.shape[1])):
            if nearest[row, column] < 0:
                break
            block = blocks[nearest[row, column]]
            if block == home or not _is_first(nearest, row, column, blocks):
                continue
            n = _rest(nearest, row, blocks, block, rest)
            pairs[0] += 1
            pairs[1] += n < k
            if n == 0:
                continue
            for i in range(n):
                names[i] = labels[rest[i]]
            differences[home, block] += _vote(names, n, query_label, random_ties)[0] - right[row]


@entry_point
def _counts(
    nearest: np.ndarray,
    queries: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    blocks: np.ndarray,
    k: int,
    n_groups: int,
    candidates: np.ndarray,
    by_cell: np.ndarray,
    totals: np.ndarray,
    rates: np.ndarray,
    pairs: np.ndarray,
) -> None:
    rest, before, after = np.empty(k, np.int64), np.zeros(4), np.zeros(4)
    for row in range(nearest.shape[0]):
        query = queries[row]
        home, cell = blocks[query], labels[query] * n_groups + groups[query]
        before[:] = 0
        for column in range(min(k, nearest.shape[1])):
            photo = nearest[row, column]
            if photo < 0:
                break
            before[2 * (labels[photo] != labels[query]) + (groups[photo] != groups[query])] += 1
        for column in range(min(k, nearest.shape[1])):
            if nearest[row, column] < 0:
                break
            block = blocks[nearest[row, column]]
            if block == home or not _is_first(nearest, row, column, blocks):
                continue
            n = _rest(nearest, row, blocks, block, rest)
            pairs[0] += 1
            pairs[1] += n < k
            if n == 0:
                continue
            after[:] = 0
            for i in range(n):
                photo = rest[i]
                after[2 * (labels[photo] != labels[query]) + (groups[photo] != groups[query])] += 1
            for box in range(4):
                difference = after[box] * k / n - before[box]
                rate = difference / max(candidates[box, query], 1)
                by_cell[block, cell, box] += rate
                totals[home, block, box] += difference
                rates[home, block, box] += rate
