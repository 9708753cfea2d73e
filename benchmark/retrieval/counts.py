"""How many distractors are more similar to a query than its target, for every pair of groups that show the same scenes.

Similarities are computed in blocks within a bound of memory. Each block of two groups serves both directions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from benchmark.compute import chunks, parallel_map, threads_of_work
from builders.errors import DataError

LEAST_SIMILARITIES = 1 << 17
"""Least similarities of a piece of work: threads with shorter steps wait for Python's lock longer than they compute."""


FEW_THRESHOLDS = 2
"""Most thresholds of a query that are compared with its similarities one by one; for more these are sorted."""

PER_SIMILARITY, PER_VALUE = 16, 6 * 8
"""Bytes of a square block for each similarity (float64, float32, comparisons), and for each value of the rows of a
side (some copies of those of both sides, float64)."""


class Rows(Protocol):
    """Embeddings [photos, dimension] that are read some rows at a time: an array, or a view of a bank."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, at: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class PairCounts:
    """The distractors of the queries of two groups, by collection (the first axis) and direction (the second).

    Collection 0 has the distractors of the target's group, 1 those of the query's, and 2, where it was requested, those
    of all groups. No other photo of the query's scene is a distractor. Direction 0 has queries of the first group.
    """

    first: int
    second: int
    scenes: np.ndarray
    """int64 [m], the scenes that both groups have a photo of, ascending."""
    nearer: np.ndarray
    """int32 [collections, 2, m]: distractors more similar to the query than the target."""
    tied: np.ndarray
    """int32 [collections, 2, m]: distractors exactly as similar as the target."""
    distractors: np.ndarray
    """int32 [collections, 2, m]."""
    cosine: np.ndarray
    """float32 [m], similarity of query and target."""


class _Counts(NamedTuple):
    """Distractors by threshold and query."""

    nearer: np.ndarray
    """int32 [thresholds, queries]."""
    tied: np.ndarray


def count_pairs(
    rows: Rows,
    photos: np.ndarray,
    *,
    everywhere: bool = False,
    device: str | torch.device = "cpu",
    memory_bytes: int = 1 << 28,
    progress: Callable[[int], object] = lambda pairs: None,
) -> Iterator[PairCounts]:
    """Count the distractors of every two groups with a common scene, in the order of the groups.

    Similarity is the cosine, computed in float64 and rounded to float32, so that copies of a photo tie exactly. A zero
    vector has similarity 0 to everything.

    Args:
        rows: [photos, dimension].
        photos: int64 [groups, scenes], the photo of each group and scene; -1 where there is none.
        everywhere: whether distractors of all groups are counted too, which takes up to twice as long.
        device: where similarities are computed; it must have float64.
        memory_bytes: bound of the memory of a block of similarities. The similarities of targets and counts of the
            collections that need more than one pass, a few numbers for each two groups and scene, are held beside it.
        progress: called with the number of pairs of photos compared since the last call.

    Raises:
        DataError: a value is not finite.
    """
    work = _Work(rows, photos, device, memory_bytes, progress)
    groups = len(photos)
    present = photos >= 0
    size, in_scene = present.sum(axis=1), present.sum(axis=0)
    with torch.inference_mode():
        targets = _targets(work)
        of_query = _zeros(targets.shape, int(size.max(initial=0)))
        of_target, of_all = (_zeros(targets.shape, int(present.sum())) if everywhere else None for _ in range(2))
        for group in range(groups):
            others, at = work.thresholds(group, targets)
            counts, _ = work.compare(group, group, at, None)
            for total in filter(None, (of_query, of_all)):
                _add(total, group, others, work.scenes[group], counts)
        if of_target and of_all:
            for both in _two(groups):
                others_at = [work.thresholds(group, targets) for group in both]
                counted = work.compare(*both, *(at for _, at in others_at))
                for group, other, (others, _), counts in zip(both, both[::-1], others_at, counted, strict=True):
                    _add(of_all, group, others, work.scenes[group], counts)
                    one = _Counts(*(kind[others == other] for kind in counts))
                    _add(of_target, group, np.array([other]), work.scenes[group], one)
        for first, second in _two(groups):
            common = np.flatnonzero(present[first] & present[second])
            if not len(common):
                continue
            ends = ((first, second), (second, first))
            if of_target:
                same = _Counts(*(np.stack([kind[a, b, common] for a, b in ends]) for kind in of_target))
            else:
                same = work.of_pair(first, second, targets[first, second], common)
            stored = [_Counts(*(np.stack([kind[a, b, common] for a, b in ends]) for kind in total))
                      for total in (of_query, of_all) if total]  # fmt: skip
            collections = [same, *stored]
            possible = [np.array([[size[b] - 1] for _, b in ends]), np.array([[size[a] - 1] for a, _ in ends])]
            possible += [np.stack([present.sum() - in_scene[common]] * 2)] if of_all else []
            yield PairCounts(
                first,
                second,
                common,
                np.stack([counts.nearer for counts in collections]).astype(np.int32),
                np.stack([counts.tied for counts in collections]).astype(np.int32),
                np.stack([np.broadcast_to(n, (2, len(common))) for n in possible]).astype(np.int32),
                targets[first, second, common],
            )


def held_bytes(present: np.ndarray, dimension: int, *, everywhere: bool = False, memory_bytes: int = 1 << 28) -> int:
    """Bytes that ``count_pairs`` holds at most: a block, similarities of targets, and counts of several passes.

    Args:
        present: bool [groups, scenes], whether a group has a photo of a scene.
        dimension: of the embeddings.
        everywhere, memory_bytes: as in ``count_pairs``.

    >>> held_bytes(np.ones((91, 8139), bool), 768) / 1e6
    807.6...
    """
    largest = int(present.sum(axis=1).max(initial=0))
    in_block = PER_SIMILARITY * largest**2 + PER_VALUE * largest * dimension
    of_targets = 4 * 8 * int(present.sum()) * dimension
    per_cell = [4, 2 * _count_type(largest).itemsize]
    per_cell += [2 * 2 * _count_type(int(present.sum())).itemsize] if everywhere else []
    return min(memory_bytes, max(in_block, of_targets)) + len(present) * present.size * sum(per_cell)


def _two(groups: int) -> Iterator[tuple[int, int]]:
    return ((first, second) for first in range(groups) for second in range(first + 1, groups))


def _zeros(shape: tuple[int, ...], most: int) -> _Counts:
    """Counts of at most ``most`` distractors."""
    return _Counts(*(np.zeros(shape, _count_type(most)) for _ in range(2)))


def _count_type(most: int) -> np.dtype[Any]:
    return np.dtype(np.uint16 if most < 1 << 16 else np.int32)


def _add(total: _Counts, group: int, others: np.ndarray, scenes: np.ndarray, counts: _Counts) -> None:
    """Add counts [others, scenes] of one group's queries to totals [groups, groups, all scenes]."""
    for sums, part in zip(total, counts, strict=True):
        sums[group][np.ix_(others, scenes)] += part.astype(sums.dtype)


def _targets(work: _Work) -> np.ndarray:
    """float32 [groups, groups, scenes]: similarity of the photos of a scene, symmetric; NaN where one is missing."""
    photos = work.photos
    groups, scenes = photos.shape
    targets = np.full((groups, groups, scenes), np.nan, np.float32)
    step = max(1, work.memory_bytes // (4 * 8 * groups * max(work.rows.shape[1], 1)))
    for part in blocks(scenes, step):
        there = [np.flatnonzero(of_group >= 0) for of_group in photos[:, part]]
        unit = [unit_rows(work.rows, of_group[of_group >= 0], work.device) for of_group in photos[:, part]]
        for first, second in _two(groups):
            common, at_first, at_second = np.intersect1d(
                there[first], there[second], assume_unique=True, return_indices=True
            )
            if not len(common):
                continue
            whole = len(common) == len(unit[first]) == len(unit[second])
            a, b = (unit[first], unit[second]) if whole else (unit[first][at_first], unit[second][at_second])
            with threads_of_work(a.numel()):
                similar = (a * b).sum(dim=1).float().cpu().numpy()
            targets[first, second, common + part.start] = targets[second, first, common + part.start] = similar
    return targets


class _Work:
    """What all comparisons of groups share: embeddings, their device, and the rows of a block."""

    def __init__(
        self,
        rows: Rows,
        photos: np.ndarray,
        device: str | torch.device,
        memory_bytes: int,
        progress: Callable[[int], object],
    ) -> None:
        self.rows, self.photos, self.device, self.memory_bytes = rows, photos, device, memory_bytes
        self.progress = progress
        self.step = block_rows(memory_bytes, rows.shape[1])
        self.scenes = [np.flatnonzero(of_group >= 0) for of_group in photos]
        """int64 [photos of the group], the scenes of each group."""
        self._unit = functools.lru_cache(maxsize=2)(self._read)

    def _read(self, group: int, start: int) -> torch.Tensor:
        scenes = self.scenes[group][start : start + self.step]
        return unit_rows(self.rows, self.photos[group][scenes], self.device)

    def compare(
        self, first: int, second: int, of_first: np.ndarray, of_second: np.ndarray | None
    ) -> tuple[_Counts, _Counts]:
        """Counts of the photos of the second group for those of the first, and the reverse.

        Args:
            first, second: groups.
            of_first: float32 [thresholds, photos of the first group].
            of_second: the same of the second; None counts nothing for it.
        """
        sizes = len(self.scenes[first]), len(self.scenes[second])
        thresholds = of_first, np.zeros((0, sizes[1]), np.float32) if of_second is None else of_second
        counts = [_Counts(*(np.zeros(t.shape, np.int32) for _ in range(2))) for t in thresholds]
        for queries in blocks(sizes[0], self.step):
            for candidates in blocks(sizes[1], self.step):
                rows = self._unit(first, queries.start), self._unit(second, candidates.start)
                _, at_query, at_candidate = np.intersect1d(
                    self.scenes[first][queries],
                    self.scenes[second][candidates],
                    assume_unique=True,
                    return_indices=True,
                )
                block = _Block(
                    rows[0],
                    rows[1],
                    np.stack([at_query, at_candidate]),
                    thresholds[0][:, queries],
                    thresholds[1][:, candidates],
                )
                for total, part in zip(counts, _count(block), strict=True):
                    at = queries if total is counts[0] else candidates
                    total.nearer[:, at] += part.nearer
                    total.tied[:, at] += part.tied
                self.progress(len(rows[0]) * len(rows[1]))
        return counts[0], counts[1]

    def thresholds(self, group: int, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The other groups, and the similarities [others, photos of the group] of its photos to their targets there."""
        others = np.flatnonzero(np.arange(len(targets)) != group)
        return others, targets[group][np.ix_(others, self.scenes[group])]

    def of_pair(self, first: int, second: int, targets: np.ndarray, common: np.ndarray) -> _Counts:
        """Counts [2 directions, common scenes] of distractors of the target's group."""
        both = (first, second)
        counted = self.compare(first, second, *(targets[None, self.scenes[group]] for group in both))
        at = [np.searchsorted(self.scenes[group], common) for group in both]
        kinds = ([counts[kind][0, to] for counts, to in zip(counted, at, strict=True)] for kind in range(2))
        return _Counts(*(np.stack(kind) for kind in kinds))


class _Block(NamedTuple):
    """Some queries of one group and some candidates of another, or of the same."""

    queries: torch.Tensor
    """float64 [queries, d], of unit length."""
    candidates: torch.Tensor
    """float64 [candidates, d], of unit length."""
    same_scene: np.ndarray
    """int64 [2, common scenes]: positions of photos of one scene, which are no distractors."""
    of_queries: np.ndarray
    """float32 [thresholds, queries]."""
    of_candidates: np.ndarray
    """float32 [thresholds, candidates]."""


def _count(block: _Block) -> tuple[_Counts, _Counts]:
    """Counts of the queries and of the candidates; on a CPU, if there are many, parts of the queries in parallel."""
    n_queries, n_candidates = len(block.queries), len(block.candidates)
    on_cpu = block.queries.device.type == "cpu"
    parts = chunks(n_queries, -(-LEAST_SIMILARITIES // n_candidates)) if on_cpu else [slice(0, n_queries)]
    scenes = torch.from_numpy(block.same_scene).to(block.queries.device)

    def count(part: slice) -> tuple[_Counts, _Counts]:
        similar = (block.queries[part] @ block.candidates.T).float()
        first, last = np.searchsorted(block.same_scene[0], [part.start, part.stop])
        similar[scenes[0, first:last] - part.start, scenes[1, first:last]] = -torch.inf
        return _above(similar, block.of_queries[:, part], 1), _above(similar, block.of_candidates, 0)

    if len(parts) > 1:
        counted = parallel_map(count, parts)
    else:
        with threads_of_work(0):
            counted = [count(part) for part in parts]
    of_queries = _Counts(*(np.concatenate([c[0][kind] for c in counted], axis=1) for kind in range(2)))
    of_candidates = _Counts(*(np.stack([c[1][kind] for c in counted]).sum(0, np.int32) for kind in range(2)))
    return of_queries, of_candidates


def _above(similar: torch.Tensor, thresholds: np.ndarray, axis: int) -> _Counts:
    """Counts [thresholds, other axis] along an axis of similarities, which are above or at each threshold."""
    if len(thresholds) > FEW_THRESHOLDS:
        return _above_many(similar if axis == 1 else similar.T, thresholds)
    nearer, tied = (np.zeros(thresholds.shape, np.int32) for _ in range(2))
    on_cpu = similar.device.type == "cpu"
    for i, row in enumerate(thresholds):
        limit = torch.from_numpy(np.ascontiguousarray(row)).to(similar.device).unsqueeze(axis)
        for counts, mask in ((nearer, similar > limit), (tied, similar == limit)):
            if on_cpu:  # a few times as fast as torch's sum of booleans
                counts[i] = np.count_nonzero(mask.numpy(), axis=axis)
            else:
                counts[i] = mask.sum(dim=axis, dtype=torch.int32).cpu().numpy()
    return _Counts(nearer, tied)


def _above_many(similar: torch.Tensor, thresholds: np.ndarray) -> _Counts:
    """The same counts along the rows of similarities, which are sorted once for all thresholds."""
    if similar.device.type == "cpu":  # several times as fast as torch's sort, which keeps positions
        rows = np.array(similar.numpy(), order="C")
        rows.sort(axis=1)
        ordered = torch.from_numpy(rows)
    else:
        ordered = similar.contiguous().sort(dim=1).values
    limits = torch.from_numpy(np.where(np.isnan(thresholds), np.inf, thresholds).T.copy()).to(ordered.device)
    up_to, below = (torch.searchsorted(ordered, limits, right=right).T for right in (True, False))
    counts = ordered.shape[1] - up_to, up_to - below
    return _Counts(*(part.to(torch.int32).cpu().numpy() for part in counts))


def unit_rows(rows: Rows, chosen: np.ndarray, device: str | torch.device) -> torch.Tensor:
    """Some rows at unit length, float64 on a device; zero rows stay zero."""
    with threads_of_work(len(chosen) * rows.shape[1]):
        wide = torch.from_numpy(rows[chosen].astype(np.float64)).to(device)
        largest = wide.abs().amax(dim=1, keepdim=True)
        if not bool(largest.isfinite().all()):
            bad = int(chosen[int((~largest.isfinite()).flatten().nonzero()[0])])
            raise DataError(
                f"the embedding of photo {bad} holds a NaN or infinity: leave its pair out or embed it again"
            )
        wide /= torch.where(largest > 0, largest, 1.0)  # else squares could overflow
        norms = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
        return wide / torch.where(norms > 0, norms, 1.0)


def blocks(n: int, step: int) -> Iterator[slice]:
    """Slices of ``step`` of n items, the last one shorter."""
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def block_rows(memory_bytes: int, dimension: int) -> int:
    """The side s of square blocks of s * s similarities within a bound of memory."""
    per_row = PER_VALUE * max(dimension, 1)
    # the positive root of PER_SIMILARITY * s**2 + per_row * s = memory_bytes
    side = (np.sqrt(per_row**2 + 4.0 * PER_SIMILARITY * memory_bytes) - per_row) / (2 * PER_SIMILARITY)
    return max(1, int(side))
