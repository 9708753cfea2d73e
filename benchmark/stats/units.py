"""Which photos err together: those of a given cluster, of one scene, of one owner, or of nearly one picture.

Every interval, p-value, rank, fold, part, shuffle and jackknife over photos depends on how many of them are
independent. Only ``error_units`` decides this, by one rule for every task, reader, eraser and audit; callers pass its
result on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from builders.photos import CLUSTER, NEAR_DUPLICATES

CLUSTER_COLUMNS = (CLUSTER, "scene", "owner", NEAR_DUPLICATES)
"""Columns of a photo set that determine which photos err together; the first that groups them is used."""

PHOTO = "photo"
"""The rule by which each photo is a unit of its own."""

PAIR = "pair"
"""The rule by which each pair of photos is."""


@dataclass(frozen=True, eq=False)
class ErrorUnits:
    """The units of some photos: photos of one unit err together, photos of different units do not."""

    index: np.ndarray
    """int64 [n], the unit of each photo. Numbers are those of the whole photo set, so they need not be consecutive."""
    rule: str
    """The column that the units come from; ``photo`` (or ``pair``) where each photo (or pair) is a unit."""
    count: int
    """Number of units."""
    effective: float
    """Effective number, (sum n)^2 / sum n^2 over the photos n of each unit: the count if all are equally large."""
    alone: bool
    """Whether each photo is a unit of its own by rule."""

    @property
    def clusters(self) -> np.ndarray | None:
        """int64 [n], for the argument ``clusters`` of ``benchmark.stats``; None if each photo is a unit."""
        return None if self.alone else self.index


def single_units(n: int, rule: str = PHOTO) -> ErrorUnits:
    """The units of n independent photos (or pairs).

    >>> single_units(3, "pair").clusters is None
    True
    """
    return ErrorUnits(np.arange(n, dtype=np.int64), rule, n, float(n), alone=True)


def error_units(columns: Mapping[str, Any], photos: np.ndarray) -> ErrorUnits:
    """The units of some photos of a set: the values of the first of ``CLUSTER_COLUMNS`` that groups them.

    A column groups the photos of a set if two of them share a value, and two have different ones. A photo without a
    value in that column belongs with its near-duplicates, or is its own unit. If no column groups these photos, each is
    a unit. Photos that all are of one cluster of the set are one unit: nothing is known of other clusters.

    Args:
        columns: columns of the whole photo set by name, [N] values each; an empty text is no value.
        photos: int64 [n], indices of the photos.

    >>> columns = {"owner": np.array(["ann", "bob", "ann", "", ""])}
    >>> units = error_units(columns, np.arange(5))
    >>> units.rule, units.count, round(units.effective, 2), units.index.tolist()
    ('owner', 4, 3.57, [1, 2, 1, 8, 9])
    >>> error_units(columns, np.array([0, 1])).rule, error_units(columns, np.array([0, 2])).count
    ('photo', 1)
    """
    for column in CLUSTER_COLUMNS:
        if column not in columns:
            continue
        codes = _codes(columns, column)
        index = codes[photos]
        sizes = np.unique(index, return_counts=True)[1]
        if len(sizes) < len(index) and (len(sizes) > 1 or len(np.unique(codes)) > 1):
            return ErrorUnits(index, column, len(sizes), effective_number(sizes), alone=False)
    return single_units(len(photos))


def units_of_pairs(columns: Mapping[str, Any], first: np.ndarray, second: np.ndarray) -> ErrorUnits:
    """The units of n pairs of photos: pairs err together if photos of theirs do, also through a third pair.

    Args:
        columns: as in ``error_units``.
        first, second: int64 [n], indices of the photos of each pair.

    >>> columns = {"owner": np.array(["ann", "ann", "bob", "ann", "cid", "cid"])}
    >>> units_of_pairs(columns, np.array([0, 2, 4]), np.array([1, 3, 5])).index.tolist()
    [0, 0, 1]
    """
    return units_of_sets(columns, np.concatenate([first, second]), np.tile(np.arange(len(first)), 2), PAIR)


def units_of_sets(columns: Mapping[str, Any], photos: np.ndarray, sets: np.ndarray, rule: str) -> ErrorUnits:
    """The units of n sets of photos (pairs, scenes): sets err together if photos of theirs do, also through others.

    Args:
        columns: as in ``error_units``.
        photos: int64 [m], indices of photos.
        sets: int64 [m], the set of each, 0 .. n - 1, none of them empty.
        rule: name of a set, where each is a unit.

    >>> columns = {"cluster": np.array(["t1", "t1", "t2", "t1", "t1", "t2"])}
    >>> units_of_sets(columns, np.arange(6), np.array([0, 1, 2, 0, 1, 2]), "scene").index.tolist()
    [0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, first = int(sets.max(initial=-1)) + 1, np.unique(sets, return_index=True)[1]
    units = error_units(columns, photos)
    if units.alone:
        return single_units(count, rule)
    code = np.unique(units.index, return_inverse=True)[1].reshape(-1)
    edges = code[first][sets], code
    graph = coo_array((np.ones(len(code), dtype=bool), edges), shape=(units.count, units.count))
    index = connected_components(graph, directed=False)[1][code[first]].astype(np.int64)
    sizes = np.unique(index, return_counts=True)[1]
    if not 2 <= len(sizes) < len(index):
        return single_units(count, rule)
    return ErrorUnits(index, units.rule, len(sizes), effective_number(sizes), alone=False)


def effective_number(sizes: np.ndarray) -> float:
    """``(sum n)^2 / sum n^2`` of the sizes n of units: their number if all are equally large.

    >>> effective_number(np.array([2, 2, 2])), round(effective_number(np.array([10, 1, 1])), 2)
    (3.0, 1.41)
    """
    return float(sizes.sum() ** 2 / np.square(sizes).sum()) if len(sizes) else 0.0


def _codes(columns: Mapping[str, Any], column: str) -> np.ndarray:
    """int64 [N]: a number for each value; photos without one have those of their near-duplicates, or their own."""
    values = np.asarray(columns[column])
    names = values if values.dtype == object else values.astype(str)
    codes = np.unique(names, return_inverse=True)[1].astype(np.int64)
    alone = len(names) + np.arange(len(names))
    if column != NEAR_DUPLICATES and NEAR_DUPLICATES in columns:
        alone = 2 * len(names) + _codes(columns, NEAR_DUPLICATES)
    return np.where(names == "", alone, codes)


def joint_units(photos: Sequence[np.ndarray], clusters: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """The units of the photos of several tasks together, from the clusters that each task recorded.

    A photo belongs to the cluster that any task names for it; without one it is its own unit.

    Args:
        photos: names of the photos of each task.
        clusters: the cluster of each of these photos; None if a task treats its photos as independent.

    Returns:
        int64 codes of the photos of all tasks, one task after the other, numbered in the order of first appearance;
        None if two tasks name different clusters for a photo.

    >>> first, second = np.array([3, 4, 5]), np.array([5, 6])
    >>> joint_units([first, second], [np.array([9, 9, 2]), None]).tolist()
    [0, 0, 1, 1, 2]
    """
    photo = np.unique(np.concatenate(photos), return_inverse=True)[1]
    named = np.concatenate(
        [np.full(len(p), cluster_names is not None) for p, cluster_names in zip(photos, clusters, strict=True)]
    )
    named_clusters = [cluster_names for cluster_names in clusters if cluster_names is not None]
    unit = np.full(int(photo.max()) + 1, -1)
    if named_clusters:
        if len({cluster_names.dtype.kind for cluster_names in named_clusters}) > 1:
            return None
        cluster = np.unique(np.concatenate(named_clusters), return_inverse=True)[1]
        unit[photo[named]] = cluster
        if (unit[photo[named]] != cluster).any():
            return None
    single = np.flatnonzero(unit < 0)
    unit[single] = unit.max() + 1 + np.arange(len(single))
    return _in_order(unit[photo])


def _in_order(codes: np.ndarray) -> np.ndarray:
    """Codes numbered as they first appear, so that equal partitions have equal codes.

    >>> _in_order(np.array([7, 2, 7, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    numbered: np.ndarray = rank[inverse]
    return numbered
