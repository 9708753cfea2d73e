"""Photos by label and group, and the clusters that are left out one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from benchmark.knn import Box
from builders.photos import clusters_by_cell, photos_by_cell

MOST_BLOCKS = 400
"""Most parts that are left out one at a time. With more clusters, several of one stratum are left out together."""

BLOCK_SEED = 11
"""Seed of the choice which clusters are left out together."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Photos by label and group: a cell is a pair of both.

    >>> cells = Cells.of([0, 0, 1, 1], [0, 1, 0, 1], [5, 5, 6, 7])
    >>> cells.sizes.tolist(), cells.cluster_counts.tolist()
    ([[1, 1], [1, 1]], [[1, 1], [1, 1]])
    """

    labels: np.ndarray
    """int64 [n], 0 .. n_labels - 1."""
    groups: np.ndarray
    """int64 [n], 0 .. n_groups - 1."""
    clusters: np.ndarray
    """int64 [n], 0 .. n_clusters - 1: photos of one cluster err together and are never neighbours."""
    n_labels: int
    n_groups: int

    @classmethod
    def of(cls, labels: object, groups: object, clusters: object) -> Cells:
        """Cells of any codes or names [n]; they are numbered in their order."""
        codes = [np.unique(np.asarray(column), return_inverse=True) for column in (labels, groups, clusters)]
        (label_names, label), (group_names, group), (_, cluster) = codes
        columns = [code.reshape(-1).astype(np.int64) for code in (label, group, cluster)]
        return cls(columns[0], columns[1], columns[2], len(label_names), len(group_names))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def cell(self) -> np.ndarray:
        """int64 [n], the cell of each photo: label * n_groups + group."""
        return self.labels * self.n_groups + self.groups

    @property
    def n_cells(self) -> int:
        return self.n_labels * self.n_groups

    @property
    def n_clusters(self) -> int:
        return int(self.clusters.max(initial=-1)) + 1

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64 [labels, groups], photos."""
        return photos_by_cell(self.labels, self.groups, (self.n_labels, self.n_groups))

    @cached_property
    def cluster_counts(self) -> np.ndarray:
        """int64 [labels, groups], clusters with a photo in the cell."""
        return clusters_by_cell(self.labels, self.groups, self.clusters, (self.n_labels, self.n_groups))

    @cached_property
    def label_of_clusters(self) -> np.ndarray:
        """int64 [clusters], the most frequent label of each; of equally frequent ones the first."""
        pairs, counts = np.unique(self.clusters * self.n_labels + self.labels, return_counts=True)
        cluster, label = pairs // self.n_labels, pairs % self.n_labels
        order = np.lexsort((label, -counts, cluster))
        first = np.unique(cluster[order], return_index=True)[1]
        return np.asarray(label[order][first])

    @cached_property
    def candidates(self) -> np.ndarray:
        """int64 [4 boxes, n]: photos in each box of each photo, without its cluster."""
        its_values, inverse, within = np.unique(
            self.clusters * self.n_cells + self.cell, return_inverse=True, return_counts=True
        )
        by_cell = np.zeros((len(its_values), 4), np.int64)  # of each pair of a cluster and a cell: its photos by box
        cluster, cell = its_values // self.n_cells, its_values % self.n_cells
        first = np.searchsorted(cluster, cluster, side="left")
        last = np.searchsorted(cluster, cluster, side="right")
        for shift in range(int((last - first).max(initial=0))):
            at = first + shift
            there = at < last
            at = np.where(there, at, 0)
            box = _box(cell // self.n_groups, cell % self.n_groups, cell[at] // self.n_groups, cell[at] % self.n_groups)
            np.add.at(by_cell, (np.flatnonzero(there), box[there]), within[at[there]])
        return self.cell_candidates[:, self.cell] - by_cell[inverse.reshape(-1)].T

    @cached_property
    def cell_candidates(self) -> np.ndarray:
        """int64 [4 boxes, cells]: photos in each box of a photo of the cell, its own cluster included."""
        return box_totals(self.sizes)

    @cached_property
    def blocks(self) -> Blocks:
        """The parts that are left out one at a time."""
        return _blocks(self)


def box_totals(sizes: np.ndarray) -> np.ndarray:
    """int64 [..., 4 boxes, cells] from photos by cell [..., labels, groups].

    >>> box_totals(np.array([[1, 2], [3, 4]]))[:, 0].tolist()  # SS, SO, OS, OO of the first cell
    [1, 2, 3, 4]
    """
    by_label, by_group = sizes.sum(axis=-1, keepdims=True), sizes.sum(axis=-2, keepdims=True)
    same_label, same_group = by_label - sizes, by_group - sizes
    other = sizes.sum(axis=(-1, -2), keepdims=True) - sizes - same_label - same_group
    boxes = np.stack([sizes, same_label, same_group, other], axis=-3)
    return boxes.reshape(*boxes.shape[:-2], -1)


@dataclass(frozen=True, eq=False)
class Blocks:
    """Clusters, or several together, that are left out one at a time."""

    index: np.ndarray
    """int64 [n], the block of each photo."""
    strata: np.ndarray
    """int64 [blocks]: blocks whose photos are in the same cells."""
    sizes: np.ndarray
    """int64 [blocks, labels, groups], photos of each block."""

    def __len__(self) -> int:
        return len(self.strata)


def _blocks(cells: Cells) -> Blocks:
    """Each cluster; if there are more than ``MOST_BLOCKS``, several of one stratum, drawn by a seed."""
    strata = _strata(cells)
    block = np.arange(cells.n_clusters)
    if cells.n_clusters > MOST_BLOCKS:
        rng = np.random.default_rng(BLOCK_SEED)
        first = 0
        for stratum in range(int(strata.max()) + 1):
            members = rng.permutation(np.flatnonzero(strata == stratum))
            parts = min(len(members), max(2, round(MOST_BLOCKS * len(members) / cells.n_clusters)))
            block[members] = first + np.arange(len(members)) % parts
            first += parts
    count = int(block.max(initial=-1)) + 1
    of_block = np.zeros(count, np.int64)
    of_block[block] = strata
    index = block[cells.clusters]
    sizes = np.bincount(index * cells.n_cells + cells.cell, minlength=count * cells.n_cells)
    return Blocks(index, of_block, sizes.reshape(count, cells.n_labels, cells.n_groups))


def _strata(cells: Cells) -> np.ndarray:
    """int64 [clusters]: clusters with photos in the same cells.

    A cluster that is alone joins the most clusters that have photos of the same labels: it differs from them by its
    group, so that what it says of the group counts as spread (collapsed strata: Cochran, Sampling Techniques, 1977,
    5A.12). Those that are left form one stratum together.
    """
    kind = _kinds(cells.clusters, cells.cell, cells.n_clusters, cells.n_cells)
    of_labels = _kinds(cells.clusters, cells.labels, cells.n_clusters, cells.n_labels)
    counts = np.bincount(kind)
    strata = kind.copy()
    for cluster in np.flatnonzero(counts[kind] < 2):
        alike = kind[(of_labels == of_labels[cluster]) & (counts[kind] > 1)]
        strata[cluster] = np.bincount(alike).argmax() if len(alike) else len(counts)
    numbered: np.ndarray = np.unique(strata, return_inverse=True)[1].reshape(-1)
    return numbered


def _kinds(clusters: np.ndarray, values: np.ndarray, n_clusters: int, n_values: int) -> np.ndarray:
    """int64 [clusters]: equal for clusters whose photos have the same set of values."""
    pairs = np.unique(clusters * n_values + values)
    there = np.zeros((n_clusters, -(-n_values // 8)), np.uint8)
    value = pairs % n_values
    np.bitwise_or.at(there, (pairs // n_values, value // 8), (1 << (value % 8)).astype(np.uint8))
    return np.unique(there, axis=0, return_inverse=True)[1].reshape(-1)


def _box(label: np.ndarray, group: np.ndarray, other_label: np.ndarray, other_group: np.ndarray) -> np.ndarray:
    """int64, the box of each pair."""
    return Box.OS * (label != other_label) + Box.SO * (group != other_group)
