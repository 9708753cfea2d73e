"""Groups of photos into splits so that every class has its share in each, where groups are few."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import coo_array, csr_array

from builders.photos import SPLITS, UNLABELLED

_OPEN = -1
"""A group that is in no split yet."""


def stratified(
    groups: np.ndarray,
    labels: Mapping[str, np.ndarray],
    priority: np.ndarray,
    shares: tuple[float, float, float],
) -> np.ndarray:
    """Iterative stratification (Sechidis et al., ECML PKDD 2011) of groups instead of single examples.

    From the rarest (attribute, class) on, each of its groups, the largest first, goes to the split that still lacks
    most of that class; among equals, to the one that lacks most photos.

    Args:
        groups: int64 [photos], numbers from 0 without a gap.
        labels: by attribute, int32 [photos] class indices, ``UNLABELLED`` where there is no class.
        priority: int64 [photos], a seeded order of the photos, which decides between equals.
        shares: of the photos, for train, val and test; zero is allowed.

    Returns:
        int8 [groups], index into ``photos.SPLITS``.

    >>> make = np.array([0, 0, 1, 1, 0, 0])  # photos 0 and 1 are one group
    >>> stratified(np.array([0, 0, 1, 2, 3, 4]), {"make": make}, np.arange(6), (0.5, 0, 0.5)).tolist()
    [0, 0, 2, 2, 2]
    """
    count = int(groups.max()) + 1 if len(groups) else 0
    table = _photos_by_group_and_class(groups, labels, count)
    total = np.asarray(table.sum(axis=0)).ravel().astype(np.float64)
    share = np.array(shares) / sum(shares)
    lacking = share[:, None] * total[None, :]
    sizes = np.bincount(groups, minlength=count)
    lacking_photos = share * len(groups)
    first = np.full(count, len(groups), dtype=np.int64)
    np.minimum.at(first, groups, priority)
    of_group = np.full(count, _OPEN, dtype=np.int8)
    usable = [s for s in range(len(SPLITS)) if share[s] > 0]
    columns = table.tocsc()

    def put(group: int, split: int) -> None:
        of_group[group] = split
        row = slice(table.indptr[group], table.indptr[group + 1])
        lacking[split, table.indices[row]] -= table.data[row]
        lacking_photos[split] -= sizes[group]

    for column in np.argsort(total, kind="stable"):
        part = slice(columns.indptr[column], columns.indptr[column + 1])
        members, amounts = columns.indices[part], columns.data[part]
        for group in members[np.lexsort((first[members], -amounts))]:
            if of_group[group] == _OPEN:
                put(group, max(usable, key=lambda s: (lacking[s, column], lacking_photos[s], -s)))
    for group in np.argsort(first, kind="stable"):
        if of_group[group] == _OPEN:
            put(group, max(usable, key=lambda s: (lacking_photos[s], -s)))
    return of_group


def _photos_by_group_and_class(groups: np.ndarray, labels: Mapping[str, np.ndarray], count: int) -> csr_array:
    """int64 [groups, all classes of all attributes] counts."""
    rows, columns, width = [], [], 0
    for name in sorted(labels):
        values = np.asarray(labels[name])
        labelled = np.flatnonzero(values != UNLABELLED)
        rows.append(groups[labelled])
        columns.append(width + values[labelled].astype(np.int64))
        width += int(values.max()) + 1 if len(labelled) else 0
    at = (np.concatenate(rows), np.concatenate(columns)) if rows else (np.zeros(0, int), np.zeros(0, int))
    return coo_array((np.ones(len(at[0]), dtype=np.int64), at), shape=(count, width)).tocsr()
