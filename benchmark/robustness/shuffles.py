"""What a group would do if it did nothing: groups are shuffled among the clusters of a label, and measured again.

Labels and groups of a set may be associated, and cells may be unequal. Both move neighbours and probes although the
group has no influence. Shuffles within labels keep the association, so they show how much it moves by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from benchmark.knn import NOTHING, Embeddings, Setup, box_neighbours, unpack_indices, votes_of
from benchmark.robustness.cells import Cells
from benchmark.robustness.neighbours import ALL

SHUFFLES = 99
"""Shufflings of groups."""

SHUFFLE_SEED = 17
"""Seed of the shufflings."""

MOST_AGREEMENT = 0.2
"""Most agreement of shuffled groups with the true ones beyond chance of a control. Labels that mostly are the true ones
control nothing."""

QUERIES = 1_000
"""Most queries whose neighbours are voted again after each shuffling."""

DEPTH = 2_048
"""Nearest photos of a query among which its neighbours are looked for."""


def shuffled_groups(cells: Cells, parts: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Groups of photos where clusters with one most frequent label exchanged theirs, each part by itself.

    A cluster with photos of several groups keeps them: its group is no label of the cluster.

    Args:
        cells: of n photos.
        parts: positions of photos; clusters of one part exchange groups among themselves.
        rng: of the exchange.

    Returns:
        int64 [n].
    """
    result = cells.groups.copy()
    pairs = np.unique(np.stack([cells.clusters, cells.groups]), axis=1)
    names, counts = np.unique(pairs[0], return_counts=True)
    single = np.zeros(cells.n_clusters, bool)
    single[names[counts == 1]] = True
    of_cluster = np.zeros(cells.n_clusters, np.int64)
    of_cluster[pairs[0]] = pairs[1]
    kind = cells.label_of_clusters
    for positions in parts:
        present = np.unique(cells.clusters[positions])
        present = present[single[present]]
        new = of_cluster.copy()
        by_kind = present[np.argsort(kind[present], kind="stable")]
        for members in np.split(by_kind, np.flatnonzero(np.diff(kind[by_kind])) + 1):
            new[members] = of_cluster[rng.permutation(members)]
        movable = positions[single[cells.clusters[positions]]]
        result[movable] = new[cells.clusters[movable]]
    return result


def agreement_of_shuffles(cells: Cells, parts: Sequence[np.ndarray], *, draws: int = 20) -> float:
    """How far shuffled groups agree with the true ones: Cohen's kappa within labels, 0 by chance, 1 if all are true.

    Cohen, Educational and Psychological Measurement 20, 1960. A set whose clusters cannot be exchanged has no control.

    Args:
        cells, parts: as in ``shuffled_groups``.
        draws: shufflings whose mean is taken.

    >>> cells = Cells.of(np.arange(40) % 2, np.arange(40) // 2 % 2, np.arange(40))
    >>> abs(agreement_of_shuffles(cells, [np.arange(40)])) < 0.2
    True
    >>> agreement_of_shuffles(Cells.of([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 2, 3]), [np.arange(4)])
    1.0
    """
    rng = np.random.default_rng(SHUFFLE_SEED)
    by_chance = float((np.square(cells.sizes).sum(axis=1) / np.maximum(cells.sizes.sum(axis=1), 1)).sum() / len(cells))
    if by_chance >= 1:
        return 1.0
    same = float(np.mean([(shuffled_groups(cells, parts, rng) == cells.groups).mean() for _ in range(draws)]))
    return (same - by_chance) / (1 - by_chance)


class ShuffledSpd(NamedTuple):
    """SPD of shuffled groups."""

    mean: float
    p_value: float
    """Two-sided: share of the shufflings, the true groups included, whose SPD lies as far from the mean."""


def shuffled_spd(
    embeddings: Embeddings,
    cells: Cells,
    *,
    k: int,
    queries: np.ndarray,
    random_ties: bool = False,
    device: str | torch.device = "cpu",
) -> ShuffledSpd | None:
    """SPD (pos-same minus neg-same) if the group had no influence, at the association of label and group that there is.

    Args:
        embeddings: [n, d].
        cells: labels, groups and clusters of the photos.
        k: neighbours that vote.
        queries: int64 [m], indices of photos; ``QUERIES`` of them at equal distances are used.
        random_ties, device: as in ``benchmark.robustness.neighbours_of``.

    Returns:
        None where clusters cannot be exchanged.
    """
    every = np.arange(len(cells))
    if agreement_of_shuffles(cells, [every]) > MOST_AGREEMENT:
        return None
    some = queries[np.unique(np.linspace(0, len(queries) - 1, min(QUERIES, len(queries))).astype(np.int64))]
    labels, depth = torch.from_numpy(cells.labels), min(DEPTH, len(cells))
    rng = np.random.default_rng(SHUFFLE_SEED)
    shuffled = [cells.groups, *(shuffled_groups(cells, [every], rng) for _ in range(SHUFFLES))]
    spds = np.zeros(len(shuffled))
    for lists in box_neighbours(
        embeddings, cells.labels, cells.groups, cells.clusters, depth=depth, queries=some, device=device
    ):
        keys = lists.merged(ALL, depth).cpu()
        near, there = unpack_indices(keys).clamp(min=0).numpy(), (keys != NOTHING).numpy()
        same_label = cells.labels[near] == cells.labels[lists.queries][:, None]
        for draw, groups in enumerate(shuffled):
            alike = same_label == (groups[near] == groups[lists.queries][:, None])
            right = {}
            for setup, allowed in ((Setup.POS_SAME, alike & there), (Setup.NEG_SAME, ~alike & there)):
                kept = torch.where(torch.from_numpy(allowed), keys, keys.new_tensor(NOTHING))
                first = kept.topk(min(k, kept.shape[1]), dim=1).values
                votes = votes_of(first, labels, labels[lists.queries], random_ties=random_ties)
                right[setup] = votes.right.sum()
            spds[draw] += (right[Setup.POS_SAME] - right[Setup.NEG_SAME]) / len(some)
    mean = float(spds[1:].mean())
    far = np.abs(spds - mean)
    return ShuffledSpd(mean, float((far >= far[0] - 1e-12).mean()))
