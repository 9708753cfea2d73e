"""Groups of photos that one side of a split holds whole: owner, scene, same file, near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from builders.splits.near_duplicates import MAX_DISTANCE, near_duplicate_groups


def photo_groups(
    n: int,
    *,
    owners: Sequence[str] | None = None,
    hashes: np.ndarray | None = None,
    digests: Sequence[str] | None = None,
    max_distance: int = MAX_DISTANCE,
) -> np.ndarray:
    """Join ``n`` photos that share an owner, a file or (nearly) a picture: int64 group numbers, 0 without a gap.

    Chains count: if A is like B and B is of the same owner as C, the three are one group.

    >>> photo_groups(4, owners=["ann", "ben", "ann", ""]).tolist()
    [0, 1, 0, 2]
    """
    columns = []
    for names in (owners, digests):
        if names is not None:
            # nobody's photo stands alone
            _, column = np.unique([name or f"\0{i}" for i, name in enumerate(names)], return_inverse=True)
            columns.append(column)
    if hashes is not None:
        columns.append(near_duplicate_groups(hashes, max_distance))
    if not columns or n == 0:
        return np.arange(n, dtype=np.int64)
    # Photos and the things they share are the nodes of one graph; its components are the groups.
    nodes, edges = n, []
    for column in columns:
        edges.append(np.stack([np.arange(n), nodes + column]))
        nodes += int(column.max()) + 1
    rows, others = np.concatenate(edges, axis=1)
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, others)), shape=(nodes, nodes))
    components = connected_components(graph, directed=False)[1][:n]
    _, first, inverse = np.unique(components, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _group_names(groups: np.ndarray, ids: Sequence[str], owners: Sequence[str] | None) -> list[str]:
    """What names a group whatever else is in the collection: its smallest owner, else its smallest id."""
    names: dict[int, str] = {}
    for i, group in enumerate(groups.tolist()):
        # owners sort before ids, so that a group keeps its name when one of its photos goes
        name = f"0{owners[i]}" if owners is not None and owners[i] else f"1{ids[i]}"
        if group not in names or name < names[group]:
            names[group] = name
    return [names[group] for group in range(len(names))]
