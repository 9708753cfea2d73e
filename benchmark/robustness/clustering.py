"""The clustering score: whether k-means finds labels or groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.robustness.cells import Cells

CLUSTER_NUMBERS = tuple(range(2, 31))
"""Candidates of K."""

SEEDS = 50
"""Runs of k-means for each pair."""

PAIR_PHOTOS = 400
"""Most photos of a pair, equally many of each cell; more take longer and change little."""

PAIRS = 6
"""Most pairs of two labels and two groups, drawn by a seed."""

ROUNDS = 50
"""Most rounds of one k-means."""


@dataclass(frozen=True, eq=False)
class ClusteringScore:
    """ARI of the labels minus ARI of the groups, mean over pairs and seeds."""

    value: float
    label: float
    """Mean adjusted Rand index of the labels."""
    group: float
    """The same of the groups."""
    spread: float
    """Standard deviation of the score over seeds, mean over pairs."""
    numbers: np.ndarray
    """int64 [pairs, seeds], the chosen K."""
    pairs: int
    possible: int
    """Pairs of two labels and two groups whose four cells have photos."""
    photos: int
    """Photos of the largest pair."""
    left_out: np.ndarray
    """float64 [blocks]: the score without the photos of each block in the comparison; k-means is not run again."""


def clustering_score(
    rows: Callable[[np.ndarray], np.ndarray],
    cells: Cells,
    *,
    seeds: int = SEEDS,
    numbers: tuple[int, ...] = CLUSTER_NUMBERS,
    pairs: int = PAIRS,
    photos: int = PAIR_PHOTOS,
    seed: int = 0,
    progress: Callable[[], object] = lambda: None,
) -> ClusteringScore | None:
    """k-means on unit rows of every pair of two labels and two groups (PathoROB, Nature Communications 2026).

    For each seed K is the number with the greatest mean silhouette by cosine distance.

    Args:
        rows: positions -> embeddings [n, d].
        cells: of the photos.
        seeds: runs for each pair.
        numbers: candidates of K.
        pairs: most pairs; more are drawn by ``seed``.
        photos: most photos of a pair.
        seed: of everything random.
        progress: called after each seed of each pair.

    Returns:
        The score; None if no two labels have photos in two groups.

    >>> rng = np.random.default_rng(0)
    >>> cells = Cells.of(np.arange(40) % 2, np.arange(40) // 20, np.arange(40) // 2)
    >>> table = np.eye(2)[cells.labels] + 0.1 * rng.normal(size=(40, 2))  # two clusters, the labels
    >>> score = clustering_score(lambda at: table[at], cells, seeds=3, numbers=(2, 3))
    >>> score.label, round(score.group, 2), int(score.numbers.max())
    (1.0, -0.03, 2)
    """
    possible = list(pairs_of(cells))
    if not possible:
        return None
    rng = np.random.default_rng(seed)
    chosen = some_pairs(possible, pairs, rng)
    index, count = cells.blocks.index, len(cells.blocks)
    scores, left, ks, largest = [], np.zeros((len(chosen), count)), np.zeros((len(chosen), seeds), np.int64), 0
    for i, (labels, groups) in enumerate(chosen):
        at = balanced_photos(cells, labels, groups, photos, rng)
        largest = max(largest, len(at))
        truth = cells.labels[at], cells.groups[at]
        block = index[at]
        unit = torch.from_numpy(unit_rows(rows(at)))
        without = []
        for run in range(seeds):
            assigned, ks[i, run] = _best_clusters(unit, numbers, torch.Generator().manual_seed(seed * 1000 + run))
            scores.append([i, *(adjusted_rand(t, assigned) for t in truth)])
            without.append(_without_blocks(truth, assigned, block, count))
            progress()
        left[i] = np.mean(without, axis=0)
    table = np.array(scores)
    label, group = table[:, 1].mean(), table[:, 2].mean()
    differences = (table[:, 1] - table[:, 2]).reshape(len(chosen), seeds)
    spread = float(differences.std(axis=1, ddof=1).mean()) if seeds > 1 else 0.0
    value = float(label - group)
    return ClusteringScore(
        value, float(label), float(group), spread, ks, len(chosen), len(possible), largest, left.mean(axis=0)
    )


Pair = tuple[tuple[int, int], tuple[int, int]]
"""Two labels and two groups."""


def pairs_of(cells: Cells) -> Iterator[Pair]:
    """Pairs of two labels and two groups whose four cells have photos."""
    there = cells.sizes > 0
    for a in range(cells.n_labels):
        for b in range(a + 1, cells.n_labels):
            both = np.flatnonzero(there[a] & there[b])
            for i, g in enumerate(both):
                for h in both[i + 1 :]:
                    yield (a, b), (int(g), int(h))


def some_pairs(possible: list[Pair], most: int, rng: np.random.Generator) -> list[Pair]:
    """At most ``most`` of the pairs: if there are more, drawn ones in their order."""
    if len(possible) <= most:
        return possible
    return [possible[i] for i in np.sort(rng.choice(len(possible), most, replace=False))]


def balanced_photos(
    cells: Cells, labels: tuple[int, ...], groups: tuple[int, ...], most: int, rng: np.random.Generator
) -> np.ndarray:
    """int64, ascending: equally many photos of each cell, at most ``most`` together."""
    members = [np.flatnonzero((cells.labels == a) & (cells.groups == g)) for a in labels for g in groups]
    each = min(*map(len, members), max(1, most // len(members)))
    return np.sort(np.concatenate([rng.choice(m, each, replace=False) for m in members]))


def unit_rows(rows: np.ndarray, *, turn: bool = True) -> np.ndarray:
    """float32 rows of unit length; with ``turn`` in as few dimensions as there are rows: distances stay."""
    wide = np.asarray(rows, np.float32)
    wide = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)
    if turn and wide.shape[1] > len(wide):
        triangle = np.asarray(np.linalg.qr(wide.T.astype(np.float64), mode="r"))
        wide = triangle.T.astype(np.float32)
    return np.ascontiguousarray(wide)


def _best_clusters(unit: torch.Tensor, numbers: tuple[int, ...], generator: torch.Generator) -> tuple[np.ndarray, int]:
    """Clusters of the K with the greatest silhouette, and that K."""
    with torch.inference_mode():
        best, assigned, chosen = -np.inf, np.zeros(len(unit), np.int64), numbers[0]
        for k in numbers:
            if k >= len(unit):
                break
            clusters = k_means(unit, k, generator)
            score = silhouette(unit, clusters, k)
            if score > best:
                best, assigned, chosen = score, clusters.numpy(), k
    return assigned, chosen


def k_means(unit: torch.Tensor, k: int, generator: torch.Generator) -> torch.Tensor:
    """int64 [n], clusters by Lloyd's algorithm from k-means++ starts (Arthur and Vassilvitskii, SODA 2007)."""
    n = len(unit)
    centres = torch.empty((k, unit.shape[1]))
    centres[0] = unit[int(torch.randint(n, (1,), generator=generator))]
    nearest = torch.full((n,), torch.inf)
    for i in range(1, k):
        nearest = torch.minimum(nearest, (unit - centres[i - 1]).square().sum(dim=1))
        weights = nearest if bool(nearest.sum() > 0) else torch.ones(n)
        centres[i] = unit[int(torch.multinomial(weights, 1, generator=generator))]
    clusters = torch.full((n,), -1)
    for _ in range(ROUNDS):
        distances = centres.square().sum(dim=1) - 2 * unit @ centres.T
        new = distances.argmin(dim=1)
        if bool((new == clusters).all()):
            break
        clusters = new
        sums = torch.zeros_like(centres).index_add_(0, clusters, unit)
        counts = torch.bincount(clusters, minlength=k)[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return clusters


def silhouette(unit: torch.Tensor, clusters: torch.Tensor, k: int) -> float:
    """Mean silhouette by cosine distance (Rousseeuw, 1987) of unit rows; a photo alone in its cluster counts 0.

    The mean distance to the photos of a cluster follows from their sum, so that no n x n matrix is needed.
    """
    counts = torch.bincount(clusters, minlength=k).double()
    sums = torch.zeros((k, unit.shape[1]), dtype=torch.float64).index_add_(0, clusters, unit.double())
    totals = counts - unit.double() @ sums.T  # sum of 1 - cosine
    home = clusters[:, None]
    size = counts[clusters]
    within = totals.gather(1, home)[:, 0] / (size - 1).clamp(min=1)
    others = torch.where(counts > 0, totals / counts.clamp(min=1), torch.inf).scatter(1, home, torch.inf).amin(dim=1)
    widths = (others - within) / torch.maximum(others, within).clamp(min=1e-12)
    return float(torch.where((size > 1) & others.isfinite(), widths, 0.0).mean())


def adjusted_rand(first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of two partitions (Hubert and Arabie, Journal of Classification 2, 1985).

    >>> adjusted_rand(np.array([0, 0, 1, 1]), np.array([5, 5, 2, 2]))
    1.0
    """
    return float(_rand(contingency(first, second)[None])[0])


def contingency(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float64 [classes of the first, of the second]: how often they occur together."""
    a, b = (np.unique(x, return_inverse=True)[1].reshape(-1) for x in (first, second))
    counts = np.bincount(a * (b.max() + 1) + b, minlength=(a.max() + 1) * (b.max() + 1))
    return counts.reshape(a.max() + 1, -1).astype(float)


def _rand(tables: np.ndarray) -> np.ndarray:
    """float64 [m], adjusted Rand indices of contingency tables [m, a, b]."""

    def twos(x: np.ndarray) -> np.ndarray:
        return x * (x - 1) / 2

    both = twos(tables).sum(axis=(1, 2))
    rows, columns = (twos(tables.sum(axis=axis)).sum(axis=1) for axis in (2, 1))
    pairs = twos(tables.sum(axis=(1, 2)))
    expected = rows * columns / np.maximum(pairs, 1)
    most = (rows + columns) / 2
    return np.where(most > expected, (both - expected) / np.where(most > expected, most - expected, 1), 1.0)


def _without_blocks(
    truth: tuple[np.ndarray, np.ndarray], assigned: np.ndarray, block: np.ndarray, count: int
) -> np.ndarray:
    """float64 [blocks]: ARI of the labels minus ARI of the groups without the photos of each block."""
    names, inverse = np.unique(block, return_inverse=True)
    values = np.zeros(len(names))
    whole = 0.0
    for sign, of_truth in zip((1, -1), truth, strict=True):
        table = contingency(of_truth, assigned)
        a, b = (np.unique(x, return_inverse=True)[1].reshape(-1) for x in (of_truth, assigned))
        parts = np.zeros((len(names), *table.shape))
        np.add.at(parts, (inverse.reshape(-1), a, b), 1)
        values += sign * _rand(table[None] - parts)
        whole += sign * float(_rand(table[None])[0])
    result = np.full(count, whole)
    result[names] = values
    return result
