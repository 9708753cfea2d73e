"""Recall among any number of groups that show the same scenes: a matrix of pairs of groups, in both directions.

The form is that of PLISM's benchmark of pathology encoders: a query of group A among all photos of A and B but itself
is right if the photo of its scene in B is among the nearest k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # an option's choices are here: torch is imported by what computes
    import torch

    from benchmark.retrieval.counts import PairCounts, Rows

RANKS = (1, 3, 5, 10)
"""The k of recall@k."""

COLLECTIONS_OF: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {"target": (0,), "own": (1,), "both": (0, 1), "all": (2,)}
)
"""Collections of ``PairCounts`` whose distractors are together those that an option names: ``both``, as PLISM has it,
are the groups of query and target; ``all`` are all groups."""


@dataclass(frozen=True, eq=False)
class GroupRecall:
    """Recall of every ordered pair of G groups, as sums over B blocks of scenes, so that blocks can be left out."""

    sums: np.ndarray
    """float64 [``RANKS``, G of the query, G of the target, B], recall summed over the scenes of each block."""
    scenes: np.ndarray
    """int64 [G, G, B], scenes of each block that both groups have; 0 on the diagonal."""
    chances: np.ndarray
    """float64 [``RANKS``, G, G], recall of a random order; NaN where two groups share no scene."""
    distractors: np.ndarray
    """float64 [G, G], mean number of distractors; NaN as above."""
    cosines: np.ndarray
    """float64 [G, G, B], similarity of query and target summed over the scenes of each block."""
    apart: np.ndarray
    """float64 [G, G], mean similarity of photos of different scenes: what a cosine is worth by itself."""
    by_scene: Mapping[str, np.ndarray]
    """float64 [scenes] each, recall@1 over all ordered pairs that have the scene: ``same`` (distractors of the target's
    group), ``different`` (of the query's) and, with distractors of all groups, ``all``; NaN for a scene without pairs.
    """
    mean_chances: Mapping[str, float]
    """Chance of each of ``by_scene``."""

    @property
    def recall(self) -> np.ndarray:
        """float64 [``RANKS``, G, G]; NaN on the diagonal and where two groups share no scene."""
        return _share(self.sums.sum(axis=-1), self.scenes.sum(axis=-1))

    @property
    def cosine(self) -> np.ndarray:
        """float64 [G, G], mean similarity of query and target; NaN as above."""
        return _share(self.cosines.sum(axis=-1), self.scenes.sum(axis=-1))


@dataclass(frozen=True, eq=False)
class Median:
    """A median over unordered pairs of groups, and what it is without each block of scenes."""

    value: float
    without: np.ndarray
    """float64 [B]; NaN without the block that has all scenes of these pairs."""
    pairs: int
    """Number of pairs that it is the median of."""


def group_recall(
    rows: Rows,
    photos: np.ndarray,
    blocks: np.ndarray,
    *,
    distractors: str = "both",
    device: str | torch.device = "cpu",
    memory_bytes: int = 1 << 28,
    progress: Callable[[int], object] = lambda pairs: None,
) -> GroupRecall:
    """Recall of every ordered pair of groups. Ties are in random order, and recall is the expectation over that order.

    Args:
        rows: [photos, dimension].
        photos: int64 [G, scenes], the photo of each group and scene; -1 where there is none.
        blocks: int64 [scenes], 0 .. B - 1: scenes that are left out together.
        distractors: a key of ``COLLECTIONS_OF``.
        device, memory_bytes, progress: as in ``count_pairs``.

    Raises:
        DataError: a value is not finite.

    >>> rows = np.array([[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1.0]])  # two groups of two scenes
    >>> group_recall(rows, np.array([[0, 2], [1, 3]]), np.array([0, 1])).recall[0].round(2).tolist()
    [[nan, 0.0], [1.0, nan]]
    """
    from benchmark.retrieval.counts import count_pairs

    groups, scenes = photos.shape
    parts = int(blocks.max(initial=-1)) + 1
    sums, cosines = np.zeros((len(RANKS), groups, groups, parts)), np.zeros((groups, groups, parts))
    counts = np.zeros((groups, groups, parts), np.int64)
    chances = np.full((len(RANKS), groups, groups), np.nan)
    possible = np.full((groups, groups), np.nan)
    names = {"same": "target", "different": "own", **({"all": "all"} if distractors == "all" else {})}
    totals = {name: np.zeros(scenes) for name in names}
    guesses, queries = dict.fromkeys(names, 0.0), np.zeros(scenes)
    everywhere = distractors == "all"
    for pair in count_pairs(
        rows, photos, everywhere=everywhere, device=device, memory_bytes=memory_bytes, progress=progress
    ):
        block = blocks[pair.scenes]
        for direction, cell in enumerate(((pair.first, pair.second), (pair.second, pair.first))):
            number, (query, target) = _of(pair.distractors, distractors, direction), cell
            for i, k in enumerate(RANKS):
                sums[i, query, target] = np.bincount(block, recall_at(k, pair, distractors, direction), parts)
                chances[i, query, target] = np.minimum(1.0, k / (number + 1)).mean()
            counts[cell] = np.bincount(block, minlength=parts)
            cosines[cell] = np.bincount(block, pair.cosine.astype(np.float64), parts)
            possible[cell] = number.mean()
            for name, of in names.items():
                totals[name][pair.scenes] += recall_at(1, pair, of, direction)
                guesses[name] += float((1 / (_of(pair.distractors, of, direction) + 1)).sum())
            queries[pair.scenes] += 1
    return GroupRecall(
        sums,
        counts,
        chances,
        possible,
        cosines,
        _apart(rows, photos, cosines.sum(axis=-1), counts.sum(axis=-1), device, memory_bytes),
        {name: _share(total, queries) for name, total in totals.items()},
        {name: guess / max(float(queries.sum()), 1.0) for name, guess in guesses.items()},
    )


def recall_bytes(
    present: np.ndarray, blocks: int, dimension: int, *, distractors: str = "both", memory_bytes: int = 1 << 28
) -> int:
    """Bytes that ``group_recall`` and the medians of its values hold at most, besides the embeddings.

    Args:
        present: bool [G, scenes], whether a group has a photo of a scene.
        blocks: number of blocks of scenes.
        dimension: of the embeddings.
        distractors, memory_bytes: as in ``group_recall``.
    """
    from benchmark.retrieval.counts import held_bytes

    held = held_bytes(present, dimension, everywhere=distractors == "all", memory_bytes=memory_bytes)
    return held + 8 * (len(RANKS) + 2) * len(present) ** 2 * blocks


def recall_at(k: int, pair: PairCounts, distractors: str, direction: int) -> np.ndarray:
    """float64 [scenes of the pair]: probability that the target is among the nearest k, ties in random order."""
    nearer, tied = (_of(counts, distractors, direction) for counts in (pair.nearer, pair.tied))
    recall: np.ndarray = np.clip((k - nearer) / (tied + 1), 0.0, 1.0)
    return recall


def _of(counts: np.ndarray, distractors: str, direction: int) -> np.ndarray:
    total: np.ndarray = counts[list(COLLECTIONS_OF[distractors]), direction].sum(axis=0)
    return total


def median_recall(recall: GroupRecall, rank: int, among: np.ndarray) -> Median:
    """The median over unordered pairs of the recall at a rank, both directions of a pair averaged.

    Args:
        recall: of every pair.
        rank: index of ``RANKS``.
        among: bool [G, G], symmetric: the pairs.
    """
    return _median(recall.sums[rank], recall.scenes, among)


def median_cosine(recall: GroupRecall, among: np.ndarray) -> Median:
    """The median over unordered pairs of the mean similarity of query and target. Arguments as ``median_recall``."""
    return _median(recall.cosines, recall.scenes, among)


def median_chance(chances: np.ndarray, among: np.ndarray) -> float:
    """The median over unordered pairs of a value [G, G] of both directions."""
    first, second = np.nonzero(np.triu(among, 1))
    return float(np.nanmedian((chances[first, second] + chances[second, first]) / 2))


def _median(sums: np.ndarray, scenes: np.ndarray, among: np.ndarray) -> Median:
    first, second = np.nonzero(np.triu(among & (scenes.sum(axis=-1) > 0), 1))
    total, count = sums[first, second] + sums[second, first], 2 * scenes[first, second]
    of_all, number = total.sum(axis=-1, keepdims=True), count.sum(axis=-1, keepdims=True)
    shares = _share(of_all - total, number - count)
    without = np.full(shares.shape[1], np.nan)
    is_known = np.isfinite(shares).any(axis=0)  # else ``nanmedian`` warns
    without[is_known] = np.nanmedian(shares[:, is_known], axis=0)
    return Median(float(np.median(of_all / number)), without, len(first))


def _apart(
    rows: Rows,
    photos: np.ndarray,
    together: np.ndarray,
    scenes: np.ndarray,
    device: str | torch.device,
    memory_bytes: int,
) -> np.ndarray:
    """Mean similarity [G, G] of photos of different scenes, from sums of unit rows and those of common scenes."""
    from benchmark.retrieval.counts import blocks, unit_rows

    step = max(1, memory_bytes // (4 * 8 * max(rows.shape[1], 1)))
    total = np.zeros((len(photos), rows.shape[1]))
    for group, of_group in enumerate(photos):
        members = of_group[of_group >= 0]
        for part in blocks(len(members), step):
            total[group] += unit_rows(rows, members[part], device).sum(dim=0).cpu().numpy()
    sizes = (photos >= 0).sum(axis=1)
    mean = _share(total @ total.T - together, np.outer(sizes, sizes) - scenes)
    np.fill_diagonal(mean, np.nan)
    return mean


def _share(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    """total / count; NaN where the count is 0."""
    share: np.ndarray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return share
