"""Average performance drop and clustering score: parts against scikit-learn, and planted effects."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_score

from benchmark.robustness import Cells, clustering_score, performance_drop
from benchmark.robustness.clustering import (
    adjusted_rand,
    k_means,
    pairs_of,
    silhouette,
    some_pairs,
    unit_rows,
)
from benchmark.robustness.drop import ASSOCIATIONS, _plan, logistic_path
from tests.support.planted_groups import planted_table


def table(effects, seed=0, **more):
    shape = {"clusters": 6, "photos": 6, "dimension": 10} | more
    rows, *columns = planted_table(np.random.default_rng(seed), effects=effects, **shape)
    return rows, Cells.of(*columns)


def test_parts__equal_scikit_learn():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, 60), rng.integers(0, 3, 60)
    for other in (second, first, first // 2, np.zeros(60, int)):
        assert adjusted_rand(first, other) == pytest.approx(adjusted_rand_score(first, other), abs=1e-12)
    unit = unit_rows(rng.normal(size=(40, 100)))
    assert unit.shape == (40, 40)
    clusters = k_means(torch.from_numpy(unit), 5, torch.Generator().manual_seed(1))
    distances = 1 - unit.astype(float) @ unit.T
    np.fill_diagonal(distances, 0)
    expected = silhouette_score(distances, clusters.numpy(), metric="precomputed")
    assert silhouette(torch.from_numpy(unit), clusters, 5) == pytest.approx(expected, abs=1e-6)
    centres = np.stack([unit[clusters == c].mean(axis=0) for c in range(5)])
    assert (np.square(unit[:, None] - centres).sum(axis=2).argmin(axis=1) == clusters.numpy()).all()


@pytest.mark.parametrize("strength", [1e-3, 0.1, 10.0])
def test_logistic_path__equals_scikit_learn(strength):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 6))
    y = (x[:, 0] + rng.normal(size=50) > 0.3).astype(float)
    weights, bias = logistic_path(x, y, (1e-4, strength))
    model = LogisticRegression(C=1 / (50 * strength), tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(weights[:, 1], model.coef_[0], atol=1e-4)
    assert bias[1] == pytest.approx(model.intercept_[0], abs=1e-4)


def test_plan__one_size_growing_association_and_clusters_apart():
    _, cells = table((1, 1, 1))
    for crossed in (False, True):
        plan = _plan(cells, (0, 1), (0, 1), crossed, np.random.default_rng(0))
        assert len({len(photos) for photos in plan.train}) == 1
        for photos, association in zip(plan.train, ASSOCIATIONS, strict=True):
            counts = np.bincount(cells.cell[photos], minlength=4).reshape(2, 2)
            measured = (counts[0, 0] * counts[1, 1] - counts[0, 1] * counts[1, 0]) / (len(photos) / 2) ** 2
            assert measured * (-1 if crossed else 1) == pytest.approx(association, abs=1 / counts.max())
        parts = [set(cells.clusters[part]) for part in (np.concatenate(plan.train), plan.val, plan.test)]
        assert sum(map(len, parts)) == len(set().union(*parts))
        for part in (plan.val, plan.test):
            assert len(set(np.bincount(cells.cell[part], minlength=4))) == 1


def test_drop__a_group_costs_accuracy_and_none_costs_nothing():
    results = {}
    for name, effects in (("group", (1.5, 4.0, 0.2)), ("none", (4.0, 0.0, 0.2))):
        rows, cells = table(effects)
        results[name] = performance_drop(lambda at, rows=rows: rows[at], cells, repeats=4)
    assert results["group"].value < -0.1
    assert results["group"].accuracies[0] > results["group"].accuracies[-1] + 0.2
    assert abs(results["none"].value) < 0.05
    assert results["none"].other_groups is None
    rows, cells = table((1.5, 4.0, 0.2), groups=3, clusters=3)
    assert performance_drop(lambda at: rows[at], cells, repeats=2, pairs=1).other_groups is not None
    rows, cells = table((1, 1, 1), clusters=2)
    assert performance_drop(lambda at: rows[at], cells) is None


def test_drop_and_clustering__of_at_most_so_many_pairs():
    rows, cells = table((1.5, 2.0, 0.2), groups=4, clusters=3)
    every = list(pairs_of(cells))
    assert every == [((0, 1), (g, h)) for g in range(4) for h in range(g + 1, 4)]
    for most, expected in ((1, 1), (5, 5), (6, 6), (7, 6)):
        drawn = some_pairs(every, most, np.random.default_rng(0))
        assert len(drawn) == expected
        assert drawn == [pair for pair in every if pair in drawn]
    drop = performance_drop(lambda at: rows[at], cells, repeats=1, pairs=2)
    assert (drop.pairs, drop.spread) == (2, 0.0)
    score = clustering_score(lambda at: rows[at], cells, seeds=1, numbers=(2,), pairs=3)
    assert (score.pairs, score.numbers.tolist()) == (3, [[2], [2], [2]])


def test_clustering__finds_labels_or_groups():
    values = {}
    for name, effects in (("label", (9.0, 0.0, 0.1)), ("group", (0.0, 9.0, 0.1))):
        rows, cells = table(effects, photos=3)
        values[name] = clustering_score(lambda at, rows=rows: rows[at], cells, seeds=3, numbers=(2, 3, 4))
    assert values["label"].value > 0.9
    assert values["group"].value < -0.9
    assert set(values["label"].numbers.ravel()) == {2}
    score, (rows, cells) = values["label"], table((9.0, 0.0, 0.1), photos=3)
    left = cells.blocks.index != 3
    again = clustering_score(
        lambda at: rows[left][at],
        Cells.of(cells.labels[left], cells.groups[left], cells.clusters[left]),
        seeds=3,
        numbers=(2,),
    )
    assert score.left_out[3] == pytest.approx(again.value, abs=0.05)
    empty = Cells.of([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 2, 3])
    assert clustering_score(lambda at: rows[at], empty) is None
