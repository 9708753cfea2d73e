"""The robustness index and the set-ups against a plain loop, by definition, and against chance."""

from __future__ import annotations

import numpy as np
import pytest

import benchmark.knn.keys as keys
import benchmark.robustness.removals as removals
from benchmark.knn import Box, Setup
from benchmark.robustness import (
    BOXES_OF,
    Cells,
    balanced_chance,
    balanced_index,
    deciding_share,
    index_curve,
    neighbours_of,
    robustness_index,
    setup_accuracy,
    setup_chances,
    simulated_chance,
    spd,
)
from benchmark.stats import jackknife
from tests.support.planted_groups import exact_rows, plain_counts, planted_table


def small_table(seed, *, effects=(2.0, 2.0, 0.7), shape=(2, 3), clusters=4, photos=5):
    rng = np.random.default_rng(seed)
    rows, *columns = planted_table(
        rng, labels=shape[0], groups=shape[1], clusters=clusters, photos=photos, dimension=8, effects=effects
    )
    rows, order = exact_rows(rows, rng), rng.permutation(len(rows))
    stored = order[: len(rows) - 7]  # unequal cells, in no order
    return rows[stored], *(column[stored] for column in columns)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "effects", [(0.0, 0.0, 0.0), (2.0, 0.0, 0.7), (0.0, 4.0, 0.7), (3.0, 3.0, 1.2), (1e3, 1.0, 0.0)]
)
def test_index__equals_a_plain_loop_for_every_k(effects, compiled, monkeypatch):
    monkeypatch.setattr(keys, "COMPILED_FROM", 1 if compiled else 1 << 60)
    monkeypatch.setattr(removals, "COMPILED_FROM", 1 if compiled else 1 << 60)
    rows, label, group, cluster = small_table(1, effects=effects)
    counts = plain_counts(rows, label, group, cluster, 61)
    result = neighbours_of(rows, Cells.of(label, group, cluster), k=11, memory_bytes=1 << 20)
    for box in Box:
        assert ((result.boxes == box).cumsum(axis=1) == counts[box]).all()
    curve = index_curve(result)
    so, os = counts[Box.SO].sum(axis=0), counts[Box.OS].sum(axis=0)
    known = so + os > 0
    np.testing.assert_allclose(curve.index[known], (so / np.maximum(so + os, 1))[known], rtol=0, atol=1e-12)
    assert np.isnan(curve.index[~known]).all()
    np.testing.assert_allclose(curve.decides, (so + os) / (len(rows) * curve.k), rtol=0, atol=1e-12)
    if known[10]:
        assert robustness_index(result).value == pytest.approx(curve.index[10], abs=1e-12)


def plain_vote(similar, label, changed, allowed, k):
    """The label with most votes among the nearest allowed photos; of tied ones the nearest."""
    order = [i for i in np.argsort(-similar, kind="stable") if allowed[i]][:k]
    names = [label[i] for i in order]
    return float(bool(names) and max(names, key=names.count) == changed)


@pytest.mark.parametrize("compiled", [False, True])
def test_setups__equal_votes_by_definition__and_what_each_cluster_left_out_changes(compiled, monkeypatch):
    monkeypatch.setattr(keys, "COMPILED_FROM", 1 if compiled else 1 << 60)
    monkeypatch.setattr(removals, "COMPILED_FROM", 1 if compiled else 1 << 60)
    rows, label, group, cluster = small_table(3)
    cells = Cells.of(label, group, cluster)
    result = neighbours_of(rows, cells, k=4)
    similar = rows.astype(float) @ rows.astype(float).T

    def accuracies(left):
        values = np.zeros((5, len(rows)))
        for q in np.flatnonzero(left):
            box = 2 * (label != label[q]) + (group != group[q])
            for row, setup in enumerate(BOXES_OF):
                allowed = np.isin(box, BOXES_OF[setup]) & (cluster != cluster[q]) & left
                values[row, q] = plain_vote(similar[q], label, label[q], allowed, 4)
        return values[:, left].mean(axis=1)

    expected = accuracies(np.ones(len(rows), bool))
    for row, setup in enumerate(BOXES_OF):
        assert setup_accuracy(result, setup, 0).value == pytest.approx(expected[row], abs=1e-12)
    for block in (0, 5):
        left = cells.blocks.index != block
        remaining = Cells.of(label[left], group[left], cluster[left])
        again = neighbours_of(rows[left], remaining, k=4)
        expected = accuracies(left)
        for row, setup in enumerate(BOXES_OF):
            assert setup_accuracy(result, setup, 0).left_out[block] == pytest.approx(expected[row], abs=1e-12)
        for measure in (robustness_index, balanced_index, deciding_share, lambda f: spd(f, 0)):
            assert measure(result).left_out[block] == pytest.approx(measure(again).value, abs=1e-12)
    assert result.short == 0


def test_random_ties__count_by_expectation():
    rows = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]])
    cells = Cells.of([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 2, 3])
    nearest = neighbours_of(rows, cells, k=2).right[Setup.UNIFORM]
    random = neighbours_of(rows, cells, k=2, random_ties=True).right[Setup.UNIFORM]
    assert nearest.tolist() == [1, 1, 0, 1]  # neighbours: 1, 2 / 0, 2 / 1, 0 / 2, 1
    assert random.tolist() == [0.5, 0.5, 0, 0.5]


@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (6, 3), (10, 14)])
def test_chance__formula_simulation_and_structureless_embeddings_agree(shape):
    rows, label, group, cluster = planted_table(
        np.random.default_rng(0), labels=shape[0], groups=shape[1], clusters=3, photos=4, dimension=4, effects=(0, 0, 0)
    )
    cells = Cells.of(label, group, cluster)
    index = robustness_index(neighbours_of(rows, cells, k=11, setups=False))
    mean, deviation = simulated_chance(cells, 11, draws=40)
    assert mean == pytest.approx(index.chance, abs=4 * deviation / 40**0.5)
    assert index.value == pytest.approx(index.chance, abs=0.12)
    assert index.chance == pytest.approx(balanced_chance(*shape), abs=0.09)  # less the query's own cluster


def test_chance__of_unequal_cells():
    rng = np.random.default_rng(4)
    _, label, group, cluster = planted_table(rng, clusters=6, photos=10, dimension=2)
    stored = (group == 0) | (cluster % 3 == 0)  # 6 clusters in one group, 2 in the other
    cells = Cells.of(label[stored], group[stored], cluster[stored])
    assert cells.cluster_counts.tolist() == [[6, 2], [6, 2]]
    values, balanced, accuracies = [], [], []
    for seed in range(30):
        result = neighbours_of(np.random.default_rng(seed).normal(size=(len(cells), 6)), cells, k=5)
        index = robustness_index(result)
        values.append(index.value)
        balanced.append(balanced_index(result).value)
        accuracies.append([setup_accuracy(result, setup, 0).value for setup in Setup])
    error = np.std(values) / 30**0.5
    assert np.mean(values) == pytest.approx(index.chance, abs=4 * error)
    assert abs(index.chance - 0.5) > 0.1
    assert np.mean(balanced) == pytest.approx(0.5, abs=4 * np.std(balanced) / 30**0.5)
    chances = setup_chances(result, draws=4000)
    for setup in Setup:
        spread = np.std(np.array(accuracies)[:, setup]) / 30**0.5
        assert np.mean(np.array(accuracies)[:, setup]) == pytest.approx(chances[setup], abs=4 * spread + 0.01)


def test_blocks__several_clusters_together_if_there_are_many():
    cells = Cells.of(np.arange(3000) % 2, np.arange(3000) // 2 % 2, np.arange(3000))
    blocks = cells.blocks
    assert 390 < len(blocks) <= 404
    assert (np.bincount(blocks.index) >= 7).all()
    for block in (0, 100, len(blocks) - 1):  # one cell each, so that strata are cells
        assert len(np.unique(cells.cell[blocks.index == block])) == 1
    assert len(np.unique(blocks.strata)) == 4


def test_candidates__clusters_with_several_cells():
    rng = np.random.default_rng(0)
    label, group, cluster = rng.integers(0, 3, 200), rng.integers(0, 4, 200), rng.integers(0, 9, 200)
    cells = Cells.of(label, group, cluster)
    others = cluster[:, None] != cluster
    box = 2 * (label[:, None] != label) + (group[:, None] != group)
    for b in Box:
        assert (cells.candidates[b] == ((box == b) & others).sum(axis=1)).all()


def test_interval__covers_the_mean_over_tables_where_slides_differ():
    """A bounded version of ``scripts/checks/robustness.py``: the error over clusters is not smaller than the spread."""
    values, errors, by_photo = [], [], []
    for seed in range(30):
        rows, *columns = planted_table(
            np.random.default_rng(seed), clusters=8, photos=8, dimension=8, effects=(2, 2, 1)
        )
        cells = Cells.of(*columns)
        result = neighbours_of(rows, cells, k=5, setups=False)
        index = robustness_index(result)
        values.append(index.value)
        errors.append(jackknife(index.value, index.left_out, cells.blocks.strata, index.two_left_out).error)
        counts = result.counts[[Box.SO, Box.OS]]
        apart = counts[0] - index.value * counts.sum(axis=0)
        by_photo.append(apart.std() / counts.sum(axis=0).mean() / len(rows) ** 0.5)
    assert 0.7 < np.sqrt(np.mean(np.square(errors))) / np.std(values) < 1.4
    assert np.std(values) > 1.4 * np.mean(by_photo)
