"""Shuffled groups: what they keep, when they are a control, and the SPD of a group that does nothing."""

import numpy as np
import pytest

from benchmark.robustness import (
    MOST_AGREEMENT,
    Cells,
    agreement_of_shuffles,
    neighbours_of,
    shuffled_groups,
    shuffled_spd,
    spd,
)


def cells_of(association: float, rng: np.random.Generator, clusters: int = 24, photos: int = 6) -> Cells:
    """Two labels and two groups; of the clusters of a label (1 + association) / 2 have its group."""
    label = np.arange(clusters) % 2
    group = np.empty(clusters, int)
    for one in (0, 1):
        members = rng.permutation(np.flatnonzero(label == one))
        same = round(len(members) * (1 + association) / 2)
        group[members[:same]], group[members[same:]] = one, 1 - one
    of_photo = np.repeat(np.arange(clusters), photos)
    return Cells.of(label[of_photo], group[of_photo], of_photo)


def rows_of(cells: Cells, rng: np.random.Generator, influence: float = 0.0) -> np.ndarray:
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 12)))[0]
    rows = rng.normal(size=(len(cells), 12)) * 0.5 + axes[cells.labels] + influence * axes[2 + cells.groups]
    return rows + 0.6 * rng.normal(size=(cells.n_clusters, 12))[cells.clusters]


def test_shuffled_groups__keep_clusters_whole_and_the_association():
    cells = cells_of(0.5, np.random.default_rng(0))
    groups = shuffled_groups(cells, [np.arange(len(cells))], np.random.default_rng(1))
    assert (groups != cells.groups).any()
    assert all(len(set(groups[cells.clusters == c])) == 1 for c in range(cells.n_clusters))
    for label in (0, 1):
        of_label = cells.labels == label
        assert np.bincount(groups[of_label]).tolist() == np.bincount(cells.groups[of_label]).tolist()


def test_shuffled_groups__exchange_within_a_part_and_leave_mixed_clusters():
    cells = Cells.of([0] * 8, [0, 0, 1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 2, 2, 3, 3])  # cluster 3 has both groups
    for seed in range(5):
        parts = [np.array([0, 1, 2, 3]), np.array([4, 5, 6, 7])]
        groups = shuffled_groups(cells, parts, np.random.default_rng(seed))
        assert sorted(groups[[0, 2]].tolist()) == [0, 1]
        assert groups[4:].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(("association", "possible"), [(0.0, True), (0.5, True), (0.9, True), (1.0, False)])
def test_agreement__is_chance_unless_label_and_group_are_one(association, possible):
    cells = cells_of(association, np.random.default_rng(2), clusters=40)
    assert (agreement_of_shuffles(cells, [np.arange(len(cells))]) <= MOST_AGREEMENT) is possible


def test_agreement__clusters_with_many_labels_can_be_exchanged():
    """Slides with any set of six labels: no two have one set, as in PathoROB's table of oesophagus."""
    rng = np.random.default_rng(3)
    sets = [rng.choice(6, rng.integers(2, 7), replace=False) for _ in range(22)]
    clusters = np.concatenate([np.full(len(s), i) for i, s in enumerate(sets)])
    cells = Cells.of(np.concatenate(sets), np.arange(22)[clusters] % 3, clusters)
    assert agreement_of_shuffles(cells, [np.arange(len(cells))]) <= MOST_AGREEMENT


@pytest.mark.slow
@pytest.mark.parametrize("association", [0.0, 0.9])
def test_shuffled_spd__is_that_of_a_group_without_influence(association):
    """Over eight sets its mean is that of SPD; one in twenty p-values would be below 0.05."""
    apart, small = [], 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        cells = cells_of(association, rng)
        rows = rows_of(cells, rng)
        measured = spd(neighbours_of(rows, cells, k=5), 0.0).value
        shuffled = shuffled_spd(rows, cells, k=5, queries=np.arange(len(cells)))
        apart.append(measured - shuffled.mean)
        small += shuffled.p_value < 0.05
    assert abs(np.mean(apart)) <= 2.4 * np.std(apart, ddof=1) / np.sqrt(8)
    assert small <= 2


def test_shuffled_spd__of_a_group_that_moves_neighbours():
    rng = np.random.default_rng(4)
    cells = cells_of(0.7, rng)
    rows = rows_of(cells, rng, influence=1.5)
    shuffled = shuffled_spd(rows, cells, k=5, queries=np.arange(len(cells)))
    assert spd(neighbours_of(rows, cells, k=5), 0.0).value > shuffled.mean + 0.1
    assert shuffled.p_value <= 0.02
    assert shuffled_spd(rows, cells_of(1.0, rng), k=5, queries=np.arange(len(cells))) is None
