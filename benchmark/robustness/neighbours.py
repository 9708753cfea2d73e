"""The nearest neighbours of every photo in four boxes, and what changes if a cluster is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch

from benchmark.knn import Box, Embeddings, Setup, box_neighbours, unpack_indices
from benchmark.robustness.cells import Cells
from benchmark.robustness.removals import NO_BOX, LeftOut, Removals, boxes_of

CURVE = 61
"""Neighbours of the curve over k, PathoROB's largest k."""

EXTRA = 64
"""Neighbours beyond k, which take the places of those that are left out."""

ALL = (Box.SS, Box.SO, Box.OS, Box.OO)

BOXES_OF: Mapping[Setup, tuple[Box, ...]] = MappingProxyType(
    {
        Setup.ALL_SAME: (Box.SS, Box.OS),
        Setup.ALL_DIFF: (Box.SO, Box.OO),
        Setup.POS_SAME: (Box.SS, Box.OO),
        Setup.NEG_SAME: (Box.SO, Box.OS),
        Setup.UNIFORM: ALL,
    }
)
"""Who may be a neighbour in each set-up. In ``uniform-test`` the collection has one group, drawn at random: the query's
in one of C cases (all-same), another one in the others (all-diff)."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of every query by box."""

    cells: Cells
    queries: np.ndarray
    """int64 [m], indices of the photos."""
    k: int
    boxes: np.ndarray
    """uint8 [m, ``CURVE`` or k]: the box of each of the nearest neighbours in order; ``NO_BOX`` where there is none."""
    right: np.ndarray
    """float64 [6 set-ups, m]: whether k neighbours name the label of the query."""
    tied: np.ndarray
    """float64 [6 set-ups]: share of tied votes."""
    left_out: LeftOut
    short: float
    """Share of pairs of a query and a block left out whose lists of neighbours were too short to fill the places."""

    @property
    def counts(self) -> np.ndarray:
        """int64 [4 boxes, m]: the k nearest neighbours by box."""
        return np.stack([(self.boxes[:, : self.k] == box).sum(axis=1) for box in Box])


def neighbours_of(
    embeddings: Embeddings,
    cells: Cells,
    *,
    k: int,
    queries: np.ndarray | None = None,
    setups: bool = True,
    random_ties: bool = False,
    device: str | torch.device = "cpu",
    memory_bytes: int | None = None,
    progress: Callable[[int], object] = lambda pairs: None,
) -> Neighbours:
    """Search the neighbours of every photo among all photos of other clusters.

    Args:
        embeddings: [n, d].
        cells: labels, groups and clusters of the photos.
        k: neighbours that vote and are counted.
        queries, device, memory_bytes, progress: as in ``benchmark.knn.box_neighbours``.
        setups: whether the votes of the set-ups are counted; without them ``right`` and ``tied`` are 0, in less time.
        random_ties: as in ``benchmark.knn.votes_of``.

    Raises:
        DataError: a value is not finite, or numbers of photos differ.

    >>> rng = np.random.default_rng(0)
    >>> cells = Cells.of(np.arange(40) % 2, np.arange(40) // 20, np.arange(40) // 2)
    >>> found = neighbours_of(rng.normal(size=(40, 3)), cells, k=5)
    >>> found.boxes.shape, int(found.counts.sum())
    ((40, 61), 200)
    """
    requested = np.arange(len(cells)) if queries is None else np.asarray(queries, np.int64)
    length = max(CURVE, k)
    boxes = np.full((len(requested), length), NO_BOX, np.uint8)
    right, tied = np.zeros((len(Setup), len(requested))), np.zeros(len(Setup))
    tally = Removals(cells, k, random_ties)
    done = 0
    for lists in box_neighbours(
        embeddings,
        cells.labels,
        cells.groups,
        cells.clusters,
        depth=length + EXTRA,
        queries=requested,
        device=device,
        memory_bytes=memory_bytes,
        progress=progress,
    ):
        part = slice(done, done + len(lists.queries))
        done = part.stop
        with torch.inference_mode():
            nearest = lists.merged(ALL, length + EXTRA)
            boxes[part] = boxes_of(cells, unpack_indices(nearest[:, :length]).cpu().numpy(), lists.queries)
            for setup, allowed in BOXES_OF.items() if setups else ():
                votes = tally.vote(setup, lists.merged(allowed, k + EXTRA), lists.queries)
                right[setup, part] = votes.right
                tied[setup] += votes.tied.sum()
            tally.count(nearest[:, : k + EXTRA], lists.queries)
    other = (cells.n_groups - 1) / cells.n_groups
    for table in (right, tied, np.moveaxis(tally.right, -1, 0)):
        table[Setup.UNIFORM_TEST] = (1 - other) * table[Setup.ALL_SAME] + other * table[Setup.ALL_DIFF]
    return Neighbours(
        cells,
        requested,
        k,
        boxes,
        right,
        tied / max(len(requested), 1),
        tally.result(requested, boxes[:, :k], right),
        tally.short,
    )
