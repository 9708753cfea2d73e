"""Which photos err together: shots of one scene, photos of one owner, or each photo by itself.

Every interval and p-value over photos depends on how many of them are independent. Only ``error_units`` decides this;
callers pass on its result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CLUSTER_COLUMNS = ("scene", "owner")
"""Columns of a photo set that determine which photos err together; the first that groups them is used."""

NO_COLUMNS: tuple[str, ...] = ()
"""Candidates of tasks that treat every photo as independent."""

PHOTO = "photo"
"""The rule by which each photo is a unit of its own."""


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


def error_units(
    columns: Mapping[str, Any],
    photos: np.ndarray,
    *,
    candidates: Sequence[str] = CLUSTER_COLUMNS,
    unnamed: str = "",
    ids: Any | None = None,
    fewest: int = 2,
    all_named: bool = False,
    repeated: bool = True,
) -> ErrorUnits:
    """The units of some photos of a set: the values of the first candidate column that groups them.

    A photo without a value in that column is its own unit. If no candidate groups the photos (there is no such column,
    or all photos have one value), each photo is a unit.

    Args:
        columns: columns of the whole photo set by name, [N] values each.
        photos: int64 [n], indices of the photos.
        candidates: names of columns, in order of precedence.
        unnamed: the value of photos without one.
        ids: [N], names of photos without a value among the values; without ids their units come after all others.
        fewest: a column with fewer units among these photos is skipped.
        all_named: whether a column without a value for some of these photos is skipped.
        repeated: whether a column with a different value for each photo is skipped.

    >>> columns = {"owner": np.array(["ann", "bob", "ann", "", ""])}
    >>> units = error_units(columns, np.arange(5))
    >>> units.rule, units.count, round(units.effective, 2), units.index.tolist()
    ('owner', 4, 3.57, [1, 2, 1, 8, 9])
    >>> error_units(columns, np.array([0, 1])).rule
    'photo'
    """
    for column in candidates:
        if column not in columns:
            continue
        values = np.asarray(columns[column])
        names = values if values.dtype == object else values.astype(str)
        missing = names == unnamed
        if ids is not None:
            index = np.unique(np.where(missing, np.asarray(ids, names.dtype), names), return_inverse=True)[1]
        else:
            code = np.unique(names, return_inverse=True)[1].astype(np.int64)
            index = np.where(missing, len(names) + np.arange(len(names)), code)
        index = index.astype(np.int64)[photos]
        sizes = np.unique(index, return_counts=True)[1]
        if len(sizes) < fewest or (repeated and len(sizes) == len(index)) or (all_named and missing[photos].any()):
            continue
        effective = float(sizes.sum() ** 2 / np.square(sizes).sum()) if len(sizes) else 0.0
        return ErrorUnits(index, column, len(sizes), effective, alone=False)
    return single_units(len(photos))


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
