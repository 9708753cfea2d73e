"""Which photos err together: shots of one scene, photos of one owner, or each photo by itself.

Every interval and p-value over photos rests on how many of them are independent. That is decided here and nowhere else:
whoever needs it asks ``error_units`` and passes on what it returns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CLUSTER_COLUMNS = ("scene", "owner")
"""Columns of a photo set that say which photos err together, the first that groups them counts."""

NO_COLUMNS: tuple[str, ...] = ()
"""For questions that take every photo as independent, whatever columns its photo set has."""

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
    """Effective number, (sum n)^2 / sum n^2 over the photos n of each unit: the count where all are equally large."""
    alone: bool
    """Whether each photo is a unit of its own by rule."""

    @property
    def clusters(self) -> np.ndarray | None:
        """int64 [n], as functions of ``benchmark.stats`` take ``clusters``; None where each photo is a unit."""
        return None if self.alone else self.index


def single_units(n: int, rule: str = PHOTO) -> ErrorUnits:
    """The units of n photos (or of n pairs) of which each is independent.

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

    A photo without a value in that column is a unit of its own. Where no candidate groups the photos (there is no such
    column, or all photos have one value), each photo is a unit.

    Args:
        columns: of the whole photo set, by name; [N] values each.
        photos: int64 [n], indices of the photos.
        candidates: columns to look at, in order.
        unnamed: the value of photos without one.
        ids: [N], what photos without a value are called among the values; their units come after all others without.
        fewest: a column with fewer units among these photos does not count.
        all_named: whether a column that lacks the value of some of these photos does not count.
        repeated: whether a column that has another value for each photo does not count.

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
    """The units of the photos of several questions together, from the clusters that each question recorded.

    A photo belongs to the cluster that any question names, and to itself where none does.

    Args:
        photos: names of the photos of each question.
        clusters: the cluster of each of these photos, None where a question takes its photos as independent.

    Returns:
        int64 codes of all questions' photos, one question after the other, numbered in the order in which units come
        first; None where two questions name two clusters for one photo.

    >>> first, second = np.array([3, 4, 5]), np.array([5, 6])
    >>> joint_units([first, second], [np.array([9, 9, 2]), None]).tolist()
    [0, 0, 1, 1, 2]
    """
    photo = np.unique(np.concatenate(photos), return_inverse=True)[1]
    named = np.concatenate([np.full(len(p), of is not None) for p, of in zip(photos, clusters, strict=True)])
    given = [of for of in clusters if of is not None]
    unit = np.full(int(photo.max()) + 1, -1)
    if given:
        if len({of.dtype.kind for of in given}) > 1:
            return None
        cluster = np.unique(np.concatenate(given), return_inverse=True)[1]
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
