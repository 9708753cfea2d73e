"""Nearest neighbours of an index, and how many share a group with their query beyond content and chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.judgement import Control, GroupNeighbours
from benchmark.knn import Box, Embeddings, box_neighbours, unpack_indices
from benchmark.robustness import Cells, SameGroup, p_of_shuffles, same_group
from benchmark.stats import dyad_mean, error_units
from builders.errors import DataError
from builders.photos import UNLABELLED, Labels, PhotoSet, hash64
from builders.processes import step_bar

K = 10
"""Neighbours of a query."""

QUERIES = 10_000
"""Queries by default: of more vectors so many are drawn, by a hash of their ids."""


@dataclass(frozen=True, eq=False)
class Units:
    """Which photos of an index err together, and are no neighbours of each other."""

    index: np.ndarray
    """int64 [n]."""
    rule: str
    count: int

    @classmethod
    def of(cls, photos: PhotoSet) -> Units:
        units = error_units(photos.columns, np.arange(len(photos)))
        return cls(np.unique(units.index, return_inverse=True)[1].reshape(-1), units.rule, units.count)

    def clusters(self, photos: np.ndarray) -> np.ndarray | None:
        """int64, the unit of some photos, for the argument ``clusters`` of ``benchmark.stats``; None if each photo of
        the index is a unit."""
        return self.index[photos] if self.count < len(self.index) else None


@dataclass(frozen=True, eq=False)
class Measured:
    """One group of an index."""

    neighbours: GroupNeighbours
    observed: float
    """Share of the neighbours that are of the query's group."""
    values: int
    """Number of its values."""
    unknown: int
    """Photos without a value."""
    by_query: dict[int, float]
    """Share beyond what is expected, of each query."""


def drawn_queries(photos: PhotoSet, count: int, seed: int) -> np.ndarray:
    """int64, ascending: so many photos, by a hash of their ids, whatever the order of the rows."""
    if len(photos) <= count:
        return np.arange(len(photos))
    keys = np.array([hash64(f"query\0{seed}\0{photo_id}") for photo_id in photos.ids], np.uint64)
    return np.sort(np.argpartition(keys, count)[:count])


def nearest_of(vectors: Embeddings, units: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """int64 [queries, k]: the nearest photos of other units by cosine, -1 where there are fewer.

    Args:
        vectors: [n, d].
        units: int64 [n].
        queries: int64, ascending.
        k: neighbours of each.
    """
    every = np.arange(len(units))  # each photo a label of its own: all others are in one box
    bar = step_bar(total=len(queries) * len(units), desc="searching neighbours", unit="pair", unit_scale=True)
    with bar:
        lists = box_neighbours(
            vectors, every, np.zeros_like(every), units, depth=k, queries=queries, progress=bar.update
        )
        return np.concatenate([unpack_indices(part.keys[Box.OS]).numpy() for part in lists])


def measured_group(
    name: str,
    group: Labels,
    label: Labels | None,
    units: Units,
    queries: np.ndarray,
    neighbours: np.ndarray,
    matched: np.ndarray | None = None,
) -> Measured:
    """How many neighbours share a group with their query.

    Args:
        name: of the group.
        group, label: of all photos.
        units: of all photos.
        queries: int64 [m].
        neighbours: int64 [m, k].
        matched: int64 [m, k], neighbours by a second embedding.

    Raises:
        DataError: the group has fewer than two values, or no pair of known photos.
    """
    known = group.values != UNLABELLED
    if label is not None:
        known &= label.values != UNLABELLED
    values = len(np.unique(group.values[known]))
    if values < 2:
        raise DataError(f"{name}: {'one value' if values else 'no value'} among these photos")
    place = np.cumsum(known) - 1
    labels = np.zeros(int(known.sum()), np.int64) if label is None else label.values[known].astype(np.int64)
    clusters = np.unique(units.index[known], return_inverse=True)[1].reshape(-1)
    names = 1 if label is None else len(label.names)
    cells = Cells(labels, group.values[known].astype(np.int64), clusters, names, len(group.names))

    def pairs(lists: np.ndarray) -> SameGroup:
        first, second = np.repeat(queries, lists.shape[1]), lists.ravel()
        used = (second >= 0) & known[first] & known[second]
        return same_group(cells, place[first[used]], place[second[used]])

    near = pairs(neighbours)
    sides = [near] if matched is None else [near, pairs(matched)]
    if not all(len(side.first) for side in sides):
        raise DataError(f"{name}: no query with a known value has such a neighbour")
    count = sum(len(side.first) for side in sides)
    signed = [sign * side.excess * (count / len(side.first)) for sign, side in zip((1, -1), sides, strict=False)]
    ends = [np.concatenate([cells.clusters[getattr(s, at)] for s in sides]) for at in ("first", "second")]
    mean = dyad_mean(np.concatenate(signed), *ends)
    interval = mean.interval(len(np.unique(near.first)), (-1.0, 1.0))
    permuted = p_of_shuffles(near) if matched is None else None
    found = GroupNeighbours(
        *(name, mean.value, interval.low, interval.high),
        units=mean.freedom + 1.0,
        p_value=mean.p_value(0.0, greater=True),
        permuted=permuted,
        deciding=near.deciding,
    )
    of_query, at = np.unique(near.first, return_inverse=True)
    shares = np.bincount(at, near.excess) / np.bincount(at)
    photos = np.flatnonzero(known)[of_query]
    by_query = dict(zip(photos.tolist(), shares.tolist(), strict=True))
    return Measured(found, float(near.same.mean()), values, int((~known).sum()), by_query)


def control_of(label: Labels | None, matched: np.ndarray | None) -> Control:
    """What stands for the content."""
    if label is None:
        return "none" if matched is None else "matched"
    return "label" if matched is None else "label and matched"
