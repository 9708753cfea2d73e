"""Embeddings with planted effects of label, group and cluster, and the plain loop that measures are compared with."""

from __future__ import annotations

import numpy as np


def exact_rows(rows: np.ndarray, rng: np.random.Generator, bits: int = 11) -> np.ndarray:
    """float32 [n, d + 4] of exactly unit length whose inner products float32 computes without rounding.

    Rows become whole numbers; four more columns bring the sum of squares of each to ``4 ** bits`` (every whole number
    is a sum of four squares, Lagrange 1770). So any order of the sums gives the same bits, and ties are true ties.
    """
    target, scale = 4**bits, 2.0**bits
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    whole = np.rint(unit * (scale - 6))
    left = (target - np.square(whole).sum(axis=1)).astype(np.int64)
    squares = np.arange(int(left.max() ** 0.5) + 1) ** 2
    pair = np.full((int(left.max()) + 1, 2), -1)
    for a, square in enumerate(squares):
        sums = square + squares
        fits = sums <= left.max()
        pair[sums[fits], 0], pair[sums[fits], 1] = a, np.flatnonzero(fits)
    more = np.full((len(rows), 4), -1)
    while (more < 0).any():
        at = np.flatnonzero(more[:, 0] < 0)
        first = (rng.random(len(at)) * (left[at] + 1)).astype(np.int64)
        good = (pair[first, 0] >= 0) & (pair[left[at] - first, 0] >= 0)
        more[at[good]] = np.hstack([pair[first[good]], pair[left[at[good]] - first[good]]])
    return (np.hstack([whole, more * rng.choice([-1, 1], more.shape)]) / scale).astype(np.float32)


def planted_table(
    rng: np.random.Generator,
    *,
    labels: int = 2,
    groups: int = 2,
    clusters: int = 17,
    photos: int = 300,
    dimension: int = 32,
    effects: tuple[float, float, float] = (1.0, 1.0, 0.7),
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows [n, dimension], labels, groups and clusters of a table of PathoROB's shape.

    Args:
        rng: of everything.
        labels, groups: their numbers.
        clusters: of each cell.
        photos: of each cluster.
        dimension: of the rows.
        effects: length of the differences by label and by group, and standard deviation of clusters; that of photos
            is 1 in each dimension.
    """
    directions = np.random.default_rng(1).normal(size=(labels + groups, dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cell = np.repeat(np.arange(labels * groups), clusters * photos)
    label, group = cell // groups, cell % groups
    cluster = np.repeat(np.arange(labels * groups * clusters), photos)
    rows = rng.normal(size=(len(cell), dimension))
    rows += effects[0] * directions[label] + effects[1] * directions[labels + group]
    rows += effects[2] * rng.normal(size=(labels * groups * clusters, dimension))[cluster]
    return rows, label, group, cluster


def plain_counts(rows: np.ndarray, label: np.ndarray, group: np.ndarray, cluster: np.ndarray, most: int) -> np.ndarray:
    """int64 [4 boxes, n, most]: neighbours in SS, SO, OS, OO among the nearest 1 .. most of other clusters.

    For each cluster all similarities at once, then a stable sort: written from the definition, in float64.
    """
    counts = np.zeros((4, len(rows), most), np.int64)
    wide = rows.astype(np.float64)
    for name in np.unique(cluster):
        mine, others = np.flatnonzero(cluster == name), np.flatnonzero(cluster != name)
        nearest = np.argsort(-(wide[mine] @ wide[others].T), axis=1, kind="stable")[:, :most]
        same_label = label[others][nearest] == label[mine, None]
        same_group = group[others][nearest] == group[mine, None]
        pairs = [(True, True), (True, False), (False, True), (False, False)]
        for box, (of_label, of_group) in enumerate(pairs):
            result = ((same_label == of_label) & (same_group == of_group)).cumsum(axis=1)
            counts[box, mine] = np.pad(result, ((0, 0), (0, most - result.shape[1])), mode="edge")
    return counts
