"""Neighbours in four boxes: same or other label, same or other group, without the query's cluster.

A photo set with a group (scanner, site, camera) that is given, not assigned, has one view of each photo. Every photo is
a query among all others. Each pair is compared once, and lists for the four boxes answer any question about its
nearest neighbours: the union of two boxes has the nearest of both lists. Blocks, never n x n at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

from benchmark.compute import budget, exact_device, float32_rounding
from benchmark.knn.keys import GROUP, NOTHING, merge, replace_indices, unpack_indices
from benchmark.knn.search import Embeddings, NeighbourSink, QueryBlock, read_unit_rows, round_up, search_of
from benchmark.knn.votes import decide, opposition_of, outcomes
from builders.errors import DataError

QUERIES = 8192
"""Most queries of a part; the collection is read once for each part."""

COLUMNS = 8192
"""Most photos of the collection in memory at a time."""

PAIRS = 1 << 23
"""Pairs of two neighbours of one list that are compared at once."""


class Box(IntEnum):
    """Relation of a neighbour to its query.

    >>> [box.name for box in Box]
    ['SS', 'SO', 'OS', 'OO']
    """

    SS = 0
    """Same label, same group."""
    SO = 1
    """Same label, other group."""
    OS = 2
    """Other label, same group."""
    OO = 3
    """Other label, other group."""


@dataclass(frozen=True, eq=False)
class BoxLists:
    """The nearest neighbours of some queries in each box."""

    queries: np.ndarray
    """int64 [m], indices of the photos."""
    keys: torch.Tensor
    """int64 [4, m, depth], falling keys of ``benchmark.knn.keys``; the packed index is the photo's."""

    def merged(self, boxes: tuple[Box, ...], count: int) -> torch.Tensor:
        """int64 [m, count]: the nearest neighbours in any of some boxes, as falling keys."""
        parts = torch.cat([self.keys[box] for box in boxes], dim=1)
        missing = count - parts.shape[1]
        if missing > 0:
            parts = torch.nn.functional.pad(parts, (0, missing), value=NOTHING)
        return parts.topk(count, dim=1).values


def box_neighbours(
    embeddings: Embeddings,
    labels: np.ndarray,
    groups: np.ndarray,
    clusters: np.ndarray,
    *,
    depth: int,
    queries: np.ndarray | None = None,
    device: str | torch.device = "cpu",
    memory_bytes: int | None = None,
    progress: Callable[[int], object] = lambda pairs: None,
) -> Iterator[BoxLists]:
    """The nearest photos of each query in each box, by cosine; equally similar ones in the order of their indices.

    Args:
        embeddings: [n, d].
        labels, groups, clusters: int64 [n], 0 or more. Photos of one cluster are never neighbours.
        depth: length of the lists, at least 1.
        queries: int64, ascending indices of the queries; all photos by default.
        device: where similarities are computed.
        memory_bytes: bound of what grows with the number of photos; half of the free memory by default.
        progress: called with the number of pairs compared since the last call.

    Yields:
        Lists of some queries, in order.

    Raises:
        DataError: a value is not finite, or numbers of photos differ.

    >>> rows = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1]])
    >>> lists = next(box_neighbours(rows, *np.array([[0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 2, 3]]), depth=1))
    >>> unpack_indices(lists.keys[:, 0, 0]).tolist()  # of the first photo: SS, SO, OS, OO
    [-1, 1, 2, 3]
    """
    n, dimension = embeddings.shape
    for name, codes in (("labels", labels), ("groups", groups), ("clusters", clusters)):
        if len(codes) != n:
            raise DataError(f"{n} embeddings but {len(codes)} {name}")
    if n == 0:
        return
    resolved = exact_device(device)
    available = memory_bytes or budget(resolved)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    requested = np.arange(n) if queries is None else np.asarray(queries)
    columns = max(GROUP, min(COLUMNS, available // 4 // (4 * dimension)) // GROUP * GROUP)
    per_query = 4 * dimension + depth * 8 * 24
    most = max(1, min(QUERIES, available // 2 // per_query))
    for part in np.array_split(requested, -(-len(requested) // most) or 1):
        yield _of_part(embeddings, labels, groups, clusters, part, members, depth, columns, resolved, progress)


def _of_part(
    embeddings: Embeddings,
    labels: np.ndarray,
    groups: np.ndarray,
    clusters: np.ndarray,
    part: np.ndarray,
    members: list[np.ndarray],
    depth: int,
    columns: int,
    device: torch.device,
    progress: Callable[[int], object],
) -> BoxLists:
    """Lists of the queries ``part``; each group of photos, ``members``, is searched by label."""
    with torch.inference_mode(), float32_rounding():
        unit = torch.empty((1, len(part), embeddings.shape[1]), dtype=torch.float32, device=device)
        _read_at(embeddings, part, unit[0], "queries")
        block = QueryBlock(unit, labels[part], clusters[part])
        remaining = torch.full((4, len(part), depth), NOTHING, dtype=torch.int64, device=device)
        width = min(columns, round_up(max(map(len, members))))
        search = search_of(block, max(1, min(len(part), (1 << 25) // width)), width)
        keys = torch.empty((width, embeddings.shape[1]), dtype=torch.float32, device=device)
        for of_group in members:
            sides = [torch.full((len(part), depth), NOTHING, dtype=torch.int64, device=device) for _ in range(2)]
            for start in range(0, len(of_group), width):
                photos = of_group[start : start + width]
                _read_at(embeddings, photos, keys, "photos")
                lists = NeighbourSink([sides[0]], [sides[1]], start)
                search(keys, labels[photos], lists, clusters[photos])
                progress(len(part) * len(photos))
            photo_of = torch.from_numpy(of_group).to(device)
            same = torch.from_numpy(groups[part] == groups[of_group[0]]).to(device)
            for side, (alike, other) in zip(sides, ((Box.SS, Box.SO), (Box.OS, Box.OO)), strict=True):
                named = replace_indices(side, photo_of[unpack_indices(side).clamp(min=0)])
                remaining[alike][same] = named[same]  # a query has one group, so nothing is there yet
                remaining[other][~same] = merge(remaining[other][~same], named[~same])
    return BoxLists(part, remaining)


def _read_at(embeddings: Embeddings, at: np.ndarray, out: torch.Tensor, what: str) -> None:
    """Write the unit rows at ascending indices to ``out``."""
    if len(at) and at[-1] - at[0] + 1 == len(at):
        read_unit_rows(embeddings, int(at[0]), int(at[-1]) + 1, out, what=what)
        return
    rows = np.asarray(embeddings[at], dtype=np.float32)  # type: ignore[index]
    read_unit_rows(rows, 0, len(at), out, what=what)


@dataclass(frozen=True, eq=False)
class VotesOfLists:
    """Whether the k nearest neighbours of each list name the query's label."""

    right: np.ndarray
    """float64 [m]: 1, 0, or the share of a random choice among the tied labels."""
    tied: np.ndarray
    """bool [m]: two labels or more had most votes."""


def votes_of(
    keys: torch.Tensor, labels: torch.Tensor, query_labels: torch.Tensor, *, random_ties: bool = False
) -> VotesOfLists:
    """Majority votes of lists of neighbours: a tie goes to the nearest, or counts as a random choice is expected to.

    Args:
        keys: int64 [m, k], falling, then ``NOTHING``.
        labels: int64 [photos], on the device of ``keys``.
        query_labels: int64 [m], the label of each query.
        random_ties: whether a tie counts by the expectation.

    >>> from benchmark.knn.keys import pack_keys
    >>> keys = pack_keys(torch.tensor([[0.9, 0.5, 0.4]]), torch.tensor([[0, 1, 2]]))
    >>> votes_of(keys, torch.tensor([0, 1, 1]), torch.tensor([1])).right.tolist()
    [1.0]
    """
    right, tied = [], []
    for some in torch.arange(len(keys), device=keys.device).split(max(1, PAIRS // keys.shape[1] ** 2)):
        part = keys[some]
        outcome = labels[unpack_indices(part).clamp(min=0)]
        mine = (outcome == query_labels[some, None]) & (part != NOTHING)
        against = opposition_of(torch.where(mine, NOTHING, part), outcome)
        nearest = torch.where(mine, part, NOTHING).amax(dim=1)
        result = outcomes(decide(mine.sum(dim=1), nearest, against, torch.zeros_like(some)))
        right.append((result.random if random_ties else result.correct).double())
        tied.append(result.tied)
    return VotesOfLists(*(torch.cat(x).cpu().numpy() for x in (right, tied)))
