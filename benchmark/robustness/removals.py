"""What changes for all queries outside of a block of clusters if its photos are no neighbours any more.

The jackknife leaves out one block at a time, as queries and as neighbours: the next photos of a list take their places.
So its variance covers that the collection is a sample too. By Efron and Stein (Annals of Statistics 9, 1981) it is not
too small on average.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

from benchmark.compute import compiled_module
from benchmark.knn import NOTHING, Box, Setup, VotesOfLists, unpack_indices, votes_of
from benchmark.robustness.cells import Cells, box_totals

NO_BOX = 4
"""Code of a missing neighbour."""

PAIR_KEYS = 1 << 22
"""Keys of the lists of pairs of a query and a block that are handled at once by torch (32 MiB)."""

COMPILED_FROM = 1 << 17
"""Least keys for the compiled sums: loading them takes some tenths of a second."""


def compiled(keys: torch.Tensor) -> ModuleType | None:
    """``removals_compiled`` for enough keys on a CPU, where numba is installed; else None."""
    worthwhile = keys.device.type == "cpu" and keys.numel() >= COMPILED_FROM
    return compiled_module("benchmark.robustness.removals_compiled", "the jackknife") if worthwhile else None


class Sums(NamedTuple):
    """Sums over queries: of all, without each block, and without each pair of blocks as far as pairs matter.

    Without a block its photos are neither queries nor neighbours. For two blocks the effect of either on the queries of
    the other is counted once, not twice; that neighbours of both are missing at once is not.
    """

    whole: np.ndarray
    """float64 [...]."""
    without: np.ndarray
    """float64 [blocks, ...]."""
    without_two: np.ndarray
    """float64 [blocks, blocks, ...]; the diagonal has no meaning."""


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Sums over queries with and without blocks."""

    counts: Sums
    """[4 boxes]: the k nearest neighbours by box."""
    rates: Sums
    """[4 boxes]: the same, each neighbour as one over the number of candidates in its box."""
    right: Sums
    """[6 set-ups]: correct votes."""
    queries: Sums
    """Number of queries."""


class Removals:
    """Adds up what changes for the queries outside of each block if its photos are no neighbours any more."""

    def __init__(self, cells: Cells, k: int, random_ties: bool) -> None:
        self._cells, self._k, self._random_ties = cells, k, random_ties
        count = len(cells.blocks)
        self._by_cell = np.zeros((count, cells.n_cells, 4))
        self._counts, self._rates = np.zeros((count, count, 4)), np.zeros((count, count, 4))
        self.right = np.zeros((count, count, len(Setup)))
        """float64 [blocks of queries, blocks, set-ups]: differences of right votes."""
        self._pairs = self._short = 0

    @property
    def short(self) -> float:
        """As ``Neighbours.short``."""
        return self._short / max(self._pairs, 1)

    def vote(self, setup: Setup, keys: torch.Tensor, queries: np.ndarray) -> VotesOfLists:
        """Votes of the k nearest; the differences of each block that one of them is in are added.

        Args:
            setup: whose lists these are.
            keys: int64 [m, k or more], falling; those beyond k take the places of others.
            queries: int64 [m], indices of the photos.
        """
        kernels = compiled(keys)
        if kernels is not None:
            outcome, codes = unpack_indices(keys).numpy(), (self._cells.labels, self._cells.blocks.index)
            right, tied, sums, pairs = kernels.votes(
                outcome, queries, *codes, self._k, self._random_ties, len(self._cells.blocks)
            )
            self.right[..., setup] += sums
            self._note(pairs)
            return VotesOfLists(right, tied)
        votes = self._votes(keys[:, : self._k], queries)
        for rows, removed, left in self._cases(keys, queries):
            after = self._votes(left, queries[rows]).right
            home = self._cells.blocks.index[queries[rows]]
            np.add.at(self.right[..., setup], (home, removed), after - votes.right[rows])
        return votes

    def count(self, keys: torch.Tensor, queries: np.ndarray) -> None:
        """Add the differences of counts by box for each block that one of the k nearest of all photos is in."""
        kernels, cells = compiled(keys), self._cells
        if kernels is not None:
            codes = (cells.labels, cells.groups, cells.blocks.index)
            shape = (len(cells.blocks), cells.n_cells, cells.n_groups)
            outcome = unpack_indices(keys).numpy()
            by_cell, counts, rates, pairs = kernels.counts(outcome, queries, *codes, self._k, shape, cells.candidates)
            self._by_cell += by_cell
            self._counts += counts
            self._rates += rates
            self._note(pairs)
            return
        before = _counts(boxes_of(cells, unpack_indices(keys[:, : self._k]).cpu().numpy(), queries))
        for rows, removed, left in self._cases(keys, queries):
            after = _counts(boxes_of(cells, unpack_indices(left).cpu().numpy(), queries[rows]), self._k)
            differences = after - before[rows]
            rates = differences / np.maximum(cells.candidates[:, queries[rows]].T, 1)
            home = cells.blocks.index[queries[rows]]
            np.add.at(self._by_cell, (removed, cells.cell[queries[rows]]), rates)
            np.add.at(self._counts, (home, removed), differences)
            np.add.at(self._rates, (home, removed), rates)

    def _votes(self, keys: torch.Tensor, queries: np.ndarray) -> VotesOfLists:
        labels = torch.from_numpy(self._cells.labels).to(keys.device)
        return votes_of(keys, labels, labels[torch.from_numpy(queries).to(keys.device)], random_ties=self._random_ties)

    def _note(self, pairs: np.ndarray) -> None:
        self._pairs += int(pairs[0])
        self._short += int(pairs[1])

    def _cases(self, keys: torch.Tensor, queries: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, torch.Tensor]]:
        """Rows, blocks and lists without the block: each block of the k nearest once for each query outside of it.

        Cases in which nothing is left are passed over: nothing is known of what would take the places.
        """
        index = self._cells.blocks.index
        outcome = unpack_indices(keys).cpu().numpy()
        blocks = np.where(outcome >= 0, index[outcome], -1).astype(np.int32)
        ordered = np.sort(blocks[:, : self._k], axis=1)
        fresh = (ordered >= 0) & (ordered != index[queries, None])
        fresh[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
        rows, columns = np.nonzero(fresh)
        removed = ordered[rows, columns]
        step = max(1, PAIR_KEYS // blocks.shape[1])
        for start in range(0, len(rows), step):
            some, without = rows[start : start + step], removed[start : start + step]
            left = self._without(keys, blocks, some, without)
            known = (left[:, 0] != NOTHING).cpu().numpy()
            self._note(np.array([len(some), int((left[:, -1] == NOTHING).sum())]))
            yield some[known], without[known], left[torch.from_numpy(known).to(left.device)]

    def _without(self, keys: torch.Tensor, blocks: np.ndarray, rows: np.ndarray, removed: np.ndarray) -> torch.Tensor:
        """int64 [cases, k]: the nearest keys of each row that are not in a block."""
        stays = (blocks[rows] != removed[:, None]) & (blocks[rows] >= 0)
        place = np.cumsum(stays, axis=1, dtype=np.int32) - 1
        case, column = np.nonzero(stays & (place < self._k))
        left = torch.full((len(rows), self._k), NOTHING, dtype=torch.int64, device=keys.device)
        at = (torch.from_numpy(x).to(keys.device) for x in (case, place[case, column], rows[case], column))
        cases, places, sources, columns = at
        left[cases, places.long()] = keys[sources, columns]
        return left

    def result(self, queries: np.ndarray, boxes: np.ndarray, right: np.ndarray) -> LeftOut:
        """The sums.

        Args:
            queries: int64 [m], indices of the photos.
            boxes: uint8 [m, k], the box of each neighbour.
            right: float64 [6 set-ups, m], right votes.
        """
        cells, blocks = self._cells, self._cells.blocks
        counts, block = _counts(boxes), blocks.index[queries]
        rates = counts / np.maximum(cells.candidates[:, queries].T, 1)
        remaining = box_totals(cells.sizes[None] - blocks.sizes)  # [blocks, 4, cells]
        scale = np.where(remaining > 0, cells.cell_candidates / np.maximum(remaining, 1), 0.0)
        by_cell = np.stack([_summed(rates[:, box], cells.cell[queries], cells.n_cells) for box in range(4)], axis=1)
        home_cells = block * cells.n_cells + cells.cell[queries]
        within = [_summed(rates[:, box], home_cells, len(blocks) * cells.n_cells) for box in range(4)]
        outside = by_cell - np.stack(within, axis=1).reshape(len(blocks), cells.n_cells, 4) + self._by_cell
        rates_of = _sums(rates, block, self._rates)
        exact = np.einsum("bcx,bxc->bx", outside, scale)  # fewer candidates: each neighbour counts more
        return LeftOut(
            _sums(counts, block, self._counts),
            rates_of._replace(without=exact, without_two=rates_of.without_two + _two(exact - rates_of.without)),
            _sums(right.T, block, self.right),
            _sums(np.ones(len(queries)), block, np.zeros((len(blocks), len(blocks)))),
        )


def _summed(values: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    return np.bincount(codes, weights=values, minlength=count)


def _two(values: np.ndarray) -> np.ndarray:
    """Sum of the values of each pair."""
    return values[:, None] + values[None]


def _sums(values: np.ndarray, block: np.ndarray, differences: np.ndarray) -> Sums:
    """Sums of values [m, ...] of queries, and of differences [blocks of queries, blocks, ...]."""
    within = np.zeros((len(differences), *values.shape[1:]))
    np.add.at(within, block, values)
    whole = values.sum(axis=0)
    without = whole - within + differences.sum(axis=0)
    return Sums(whole, without, _two(without) - whole - differences - np.swapaxes(differences, 0, 1))


def _counts(boxes: np.ndarray, k: int | None = None) -> np.ndarray:
    """float64 [m, 4]: neighbours in each box; with ``k``, as if lists that are shorter had k."""
    counts = np.stack([(boxes == box).sum(axis=1) for box in Box], axis=1).astype(np.float64)
    return counts if k is None else counts * (k / counts.sum(axis=1, keepdims=True))


def boxes_of(cells: Cells, neighbours: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """uint8 [m, k], the box of each neighbour; ``NO_BOX`` for -1."""
    other_label = cells.labels[neighbours] != cells.labels[queries, None]
    other_group = cells.groups[neighbours] != cells.groups[queries, None]
    box = Box.OS * other_label.astype(np.uint8) + Box.SO * other_group.astype(np.uint8)
    return np.where(neighbours >= 0, box, NO_BOX).astype(np.uint8)
