"""Statistics of neighbours and cells against plain loops on small tables, and their values at the edges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from benchmark.knn import Box, Setup
from benchmark.robustness import (
    BOXES_OF,
    MOST_FACTORS,
    Cells,
    balanced_index,
    clustering_score,
    deciding_share,
    group_pull,
    index_curve,
    neighbours_of,
    older_index,
    performance_drop,
    robustness_index,
    setup_chances,
    simulated_chance,
    variance_bytes,
    variance_components,
)
from benchmark.robustness.clustering import balanced_photos, contingency, silhouette, unit_rows
from tests.support.planted_groups import plain_counts, planted_table

K = 4


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    rows, *columns = planted_table(rng, labels=3, groups=2, clusters=3, photos=3, dimension=6, effects=(1.0, 1.5, 0.5))
    some = rng.permutation(len(rows))[: len(rows) - 9]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[some], [column[some] for column in columns]


def test_statistics__are_sums_over_boxes(table):
    rows, (label, group, cluster) = table
    cells = Cells.of(label, group, cluster)
    result = neighbours_of(rows, cells, k=K)
    plain = plain_counts(rows, label, group, cluster, 61)
    counts = {box: plain[box][:, K - 1] for box in Box}
    np.testing.assert_array_equal(result.counts, [counts[box] for box in Box])
    candidates = np.zeros((4, len(rows)))
    for i, j in itertools.permutations(range(len(rows)), 2):
        if cluster[i] != cluster[j]:
            candidates[2 * (label[i] != label[j]) + (group[i] != group[j]), i] += 1
    so, os = (counts[box].sum() for box in (Box.SO, Box.OS))
    index = robustness_index(result)
    assert index.value == pytest.approx(so / (so + os))
    expected = (candidates / candidates.sum(axis=0)).sum(axis=1)
    assert index.chance == pytest.approx(expected[Box.SO] / (expected[Box.SO] + expected[Box.OS]))
    share = deciding_share(result)
    assert share.value == pytest.approx((so + os) / (K * len(rows)))
    deciding = candidates[[Box.SO, Box.OS]].sum(axis=0) / candidates.sum(axis=0)
    assert share.chance == pytest.approx(deciding.mean())
    rates = {box: (counts[box] / candidates[box]).sum() for box in (Box.SO, Box.OS)}
    balanced = rates[Box.SO] / (rates[Box.SO] + rates[Box.OS])
    assert (balanced_index(result).value, balanced_index(result).chance) == (pytest.approx(balanced), 0.5)
    assert (group_pull(result).value, group_pull(result).chance) == (pytest.approx(1 - 2 * balanced), 0.0)
    np.testing.assert_allclose(group_pull(result).left_out, 1 - 2 * balanced_index(result).left_out)
    of_label = sum(counts[box].sum() for box in (Box.SS, Box.SO))
    of_group = sum(counts[box].sum() for box in (Box.SS, Box.OS))
    assert older_index(result) == pytest.approx(of_label / of_group)
    curve = index_curve(result)
    assert curve.k.tolist() == list(range(1, 62))
    assert curve.balanced[K - 1] == pytest.approx(balanced)


def test_statistics__where_no_neighbour_decides():
    label = group = np.repeat([0, 1], 4)
    rows = np.eye(2)[label] + 0.01 * np.random.default_rng(0).normal(size=(8, 2))
    result = neighbours_of(rows, Cells.of(label, group, np.arange(8)), k=3)
    assert np.isnan(robustness_index(result).value)
    assert np.isnan(group_pull(result).value)
    assert deciding_share(result).value == 0
    assert older_index(result) == 1.0
    other = neighbours_of(rows, Cells.of(label, np.tile([0, 1], 4), np.arange(8)), k=1)
    assert older_index(neighbours_of(-rows, Cells.of(label, group, np.arange(8) // 4), k=3)) != older_index(other)
    alone = Cells.of(label, group, np.arange(8) // 4)  # no neighbour has the label or the group
    assert np.isnan(older_index(neighbours_of(rows, alone, k=3)))


def test_setup_chances__every_draw_by_enumeration():
    """Cells of 2, 3, 1 and 2 photos, each a cluster of its own; two neighbours."""
    sizes = np.array([[2, 3], [1, 2]])
    label, group = (np.repeat(axis.ravel(), sizes.ravel()) for axis in np.indices((2, 2)))
    cells = Cells.of(label, group, np.arange(8))
    rows = np.random.default_rng(0).normal(size=(8, 3))
    some = np.array([0, 2, 3, 5, 7])
    made = setup_chances(neighbours_of(rows, cells, k=2, queries=some), draws=40_000, seed=1)
    for setup, boxes in BOXES_OF.items():
        of_queries = []
        for q in some:
            box = 2 * (label != label[q]) + (group != group[q])
            allowed = [i for i in range(8) if i != q and box[i] in boxes]
            draws = list(itertools.combinations(allowed, min(2, len(allowed))))
            rights = []
            for drawn in draws:
                votes = np.bincount(label[list(drawn)], minlength=2)
                rights.append((votes[label[q]] == votes.max()) / (votes == votes.max()).sum() if drawn else 0.0)
            of_queries.append(np.mean(rights))
        assert made[setup] == pytest.approx(np.mean(of_queries), abs=0.01), setup
    half = (made[Setup.ALL_SAME] + made[Setup.ALL_DIFF]) / 2
    assert made[Setup.UNIFORM_TEST] == pytest.approx(half)


def test_simulated_chance__more_neighbours_than_there_are_take_all():
    cells = Cells.of([0, 0, 0, 1, 1], [0, 0, 1, 0, 1], np.arange(5))
    counts = np.zeros(2)
    for q in range(5):
        for i in range(5):
            box = 2 * (cells.labels[i] != cells.labels[q]) + (cells.groups[i] != cells.groups[q])
            counts += [i != q and box == Box.SO, i != q and box == Box.OS]
    mean, deviation = simulated_chance(cells, 9, draws=5)
    assert (mean, deviation) == (pytest.approx(counts[0] / counts.sum()), pytest.approx(0.0, abs=1e-12))
    assert simulated_chance(cells, 1, draws=20) == simulated_chance(cells, 1, draws=20, seed=0)
    assert simulated_chance(cells, 1, draws=20) != simulated_chance(cells, 1, draws=20, seed=1)


def test_cells__numbers_and_blocks():
    cells = Cells.of(["b", "a", "b", "b"], ["x", "x", "y", "y"], ["q", "p", "q", "r"])
    assert (len(cells), cells.n_cells, cells.n_clusters) == (4, 4, 3)
    assert cells.cell.tolist() == [2, 0, 3, 3]
    assert cells.sizes.tolist() == [[1, 0], [1, 2]]
    assert cells.cluster_counts.tolist() == [[1, 0], [1, 2]]
    for clusters, least, most in ((400, 400, 400), (800, 390, 410)):
        many = Cells.of(np.arange(clusters) % 2, np.arange(clusters) % 3, np.arange(clusters)).blocks
        assert least <= len(many) <= most
        assert many.sizes.sum() == clusters
        assert np.bincount(many.index).tolist() == many.sizes.sum(axis=(1, 2)).tolist()


def test_balanced_photos__equally_many_of_each_cell():
    label, group = np.repeat([0, 0, 1, 1, 2], [5, 9, 7, 6, 4]), np.repeat([0, 1, 0, 1, 0], [5, 9, 7, 6, 4])
    cells = Cells.of(label, group, np.arange(len(label)))
    for most, each in ((400, 5), (20, 5), (19, 4), (8, 2), (3, 1), (0, 1)):
        chosen = balanced_photos(cells, (0, 1), (0, 1), most, np.random.default_rng(0))
        assert np.bincount(cells.cell[chosen], minlength=6).tolist() == [each, each, each, each, 0, 0]
        assert (np.diff(chosen) > 0).all()


def test_unit_rows__turned_rows_keep_their_products():
    rows = np.random.default_rng(0).normal(size=(4, 9)) * np.array([[1], [1e-3], [1e3], [0]])
    plain, turned = unit_rows(rows, turn=False), unit_rows(rows)
    assert (plain.shape, turned.shape, turned.dtype) == ((4, 9), (4, 4), np.float32)
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), [1, 1, 1, 0], atol=1e-6)
    np.testing.assert_allclose(turned @ turned.T, plain @ plain.T, atol=1e-6)
    assert unit_rows(rows[:, :4]).shape == (4, 4)
    np.testing.assert_array_equal(unit_rows(rows[:, :4]), unit_rows(rows[:, :4], turn=False))


def test_silhouette__alone_empty_and_one_cluster():
    unit = torch.eye(3)[[0, 0, 1, 2]].float()
    assert silhouette(unit, torch.tensor([0, 0, 0, 0]), 1) == 0
    assert silhouette(unit, torch.tensor([0, 0, 1, 1]), 2) == pytest.approx((1 + 1 + 0 + 0) / 4)
    assert silhouette(unit, torch.tensor([0, 0, 1, 2]), 5) == pytest.approx((1 + 1) / 4)  # two are alone, two are empty
    assert contingency(np.array([0, 0, 1]), np.array([5, 7, 7])).tolist() == [[1, 1], [0, 1]]


def test_clustering_score__numbers_and_pairs_are_counted():
    rng = np.random.default_rng(1)
    rows, *columns = planted_table(rng, labels=3, groups=2, clusters=2, photos=2, dimension=5, effects=(9, 0, 0.1))
    cells, steps = Cells.of(*columns), []
    made = clustering_score(
        lambda at: rows[at], cells, seeds=2, numbers=(2, 3, 99), pairs=2, photos=12, progress=lambda: steps.append(1)
    )
    assert (made.pairs, made.possible, made.photos, len(steps)) == (2, 3, 12, 4)
    assert made.value == pytest.approx(made.label - made.group)
    assert set(made.numbers.ravel()) == {2}
    assert made.left_out.shape == (len(cells.blocks),)
    whole = clustering_score(lambda at: rows[at], cells, seeds=2, numbers=(2,), photos=400)
    assert (whole.photos, whole.pairs) == (16, 3)


def test_performance_drop__its_value_follows_from_its_accuracies():
    rng = np.random.default_rng(2)
    rows, *columns = planted_table(rng, clusters=5, photos=4, dimension=6, effects=(1.5, 3.0, 0.3))
    cells, steps = Cells.of(*columns), []
    made = performance_drop(lambda at: rows[at], cells, repeats=2, progress=lambda: steps.append(1))
    assert made.value == pytest.approx((made.accuracies[1:] / made.accuracies[0]).mean() - 1)
    np.testing.assert_allclose(made.associations, np.arange(8) / 7)
    assert (made.repeats, made.pairs, made.possible, len(steps)) == (2, 1, 1, 2)
    assert made.train_photos == 4 * 6  # of 5 clusters of 4 photos one is for validation, one for the test
    assert made.left_out.shape == (len(cells.blocks),)
    assert made.spread > 0
    again = performance_drop(lambda at: rows[at], cells, repeats=2)
    other = performance_drop(lambda at: rows[at], cells, repeats=2, seed=1)
    assert again.value == made.value != other.value


def test_variance__at_most_so_many_factors_and_their_bytes():
    n = 3 * 2**MOST_FACTORS
    codes = {"f0": np.arange(n) % 3, **{f"f{i}": np.arange(n) // 3 >> (i - 1) & 1 for i in range(1, MOST_FACTORS)}}
    rows = np.random.default_rng(0).normal(size=(n, 3))
    made = variance_components(rows, codes, codes["f0"])
    assert len(made.effects) == 2**MOST_FACTORS
    assert made.merged == {}
    scene, device = np.arange(24) // 4, np.arange(24) % 4
    # one sum for all photos and one for each device; effects with the scene lie within blocks
    sums = 8 * 6 * (1 + 4) * 7
    assert variance_bytes({"scene": scene, "device": device}, scene, 7) == sums + 8 * 24 * 3
