"""Drop, clustering, neighbours and chances written a second time on the same draws, and what is summed over pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from benchmark.knn import Box, Setup
from benchmark.robustness import (
    BOXES_OF,
    Cells,
    neighbours_of,
    performance_drop,
    simulated_chance,
)
from benchmark.robustness import drop as drop_module
from benchmark.robustness import neighbours as neighbours_module
from benchmark.robustness.clustering import k_means
from benchmark.robustness.drop import ASSOCIATIONS, _plan
from benchmark.robustness.removals import Removals


def table_of(labels: int = 2, groups: int = 2, clusters: int = 6, photos: int = 5) -> Cells:
    cell = np.repeat(np.arange(labels * groups), clusters * photos)
    return Cells.of(cell // groups, cell % groups, np.repeat(np.arange(labels * groups * clusters), photos))


@pytest.mark.parametrize("crossed", [False, True])
@pytest.mark.parametrize(
    ("clusters", "photos", "groups", "most"),
    [(6, 5, 2, 100), (3, 2, 3, 100), (12, 30, 2, 100), (3, 2, 3, 3), (3, 2, 3, 2), (4, 3, 3, 1)],
)
def test_plan__in_plain_loops(
    crossed: bool, clusters: int, photos: int, groups: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cluster of a cell for validation, a third (at least one) for the test, the others for training."""
    monkeypatch.setattr(drop_module, "TEST_PHOTOS", most)
    cells = table_of(groups=groups, clusters=clusters, photos=photos)
    made = _plan(cells, (0, 1), (0, 1), crossed, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    train, val, test = [], [], []
    for label, group in itertools.product((0, 1), (0, 1)):
        members = [i for i in range(len(cells)) if cells.labels[i] == label and cells.groups[i] == group]
        names = rng.permutation(np.unique(cells.clusters[members]))
        tested = max(1, len(names) // 3)
        for part, some in ((train, names[1 + tested :]), (val, names[:1]), (test, names[1 : 1 + tested])):
            # parts are drawn in the order validation, test, training
            part.append([i for i in members if cells.clusters[i] in some])
        val[-1] = rng.permutation(val[-1]).tolist()
        test[-1] = rng.permutation(test[-1]).tolist()
        train[-1] = rng.permutation(train[-1]).tolist()
    grow = (1, 2) if crossed else (0, 3)
    each = max(1, min(25, *(len(train[i]) // 2 if i in grow else len(train[i]) for i in range(4))))
    for association, chosen in zip(ASSOCIATIONS, made.train, strict=True):
        more = round(each * association)
        expected = [i for c in range(4) for i in train[c][: each + more if c in grow else each - more]]
        assert chosen.tolist() == expected
    for part, chosen in ((val, made.val), (test, made.test)):
        least = min(most, *map(len, part))
        assert chosen.tolist() == [i for some in part for i in some[:least]]
    other = np.array([i for i in range(len(cells)) if cells.groups[i] > 1])
    if len(other) > 4 * most:
        other = rng.choice(other, 4 * most, replace=False)
    assert made.other.tolist() == other.tolist()
    assert pytest.approx([step / 7 for step in range(8)]) == list(ASSOCIATIONS)


def test_performance_drop__only_pairs_with_three_clusters_in_each_cell() -> None:
    cells = Cells.of([0] * 6 + [1] * 6, [0, 0, 0, 1, 1, 1] * 2, np.arange(12))
    assert performance_drop(lambda at: np.eye(12)[at], cells, repeats=1) is not None
    clusters = np.arange(12)
    clusters[4] = 3  # two clusters of one cell
    assert performance_drop(lambda at: np.eye(12)[at], Cells.of(cells.labels, cells.groups, clusters)) is None


def test_k_means__in_plain_loops() -> None:
    """k-means++: each start by its squared distance from the nearest of those before; then Lloyd's rounds."""
    unit = torch.nn.functional.normalize(torch.randn(25, 3, generator=torch.Generator().manual_seed(1)))
    for k in (1, 2, 6):
        measured = k_means(unit, k, torch.Generator().manual_seed(k))
        generator = torch.Generator().manual_seed(k)
        centres = [unit[int(torch.randint(25, (1,), generator=generator))]]
        while len(centres) < k:
            nearest = torch.stack([(unit - centre).square().sum(1) for centre in centres]).amin(0)
            centres.append(unit[int(torch.multinomial(nearest, 1, generator=generator))])
        table, clusters = torch.stack(centres), None
        for _ in range(50):
            new = (unit[:, None] - table).square().sum(2).argmin(1)
            if clusters is not None and bool((new == clusters).all()):
                break
            clusters = new
            table = torch.stack([unit[new == c].mean(0) if (new == c).any() else table[c] for c in range(k)])
        assert measured.tolist() == clusters.tolist()  # type: ignore[union-attr]
    same = torch.ones(5, 3)
    assert k_means(same, 3, torch.Generator().manual_seed(0)).tolist() == [0] * 5


@pytest.mark.parametrize("random_ties", [False, True])
def test_neighbours_of__uniform_test_mixes_same_and_different_groups(random_ties: bool) -> None:
    cells = table_of(groups=3, clusters=3, photos=2)
    rows = np.random.default_rng(3).normal(size=(len(cells), 4))
    made = neighbours_of(rows, cells, k=4, random_ties=random_ties)
    for table in (made.right, made.tied, np.moveaxis(made.left_out.right.without, -1, 0)):
        same, different, mixed = (table[s] for s in (Setup.ALL_SAME, Setup.ALL_DIFF, Setup.UNIFORM_TEST))
        np.testing.assert_allclose(mixed, same / 3 + 2 * different / 3, atol=1e-9)
        assert np.abs(np.asarray(same) - different).max() > 0
    tally = Removals(cells, 4, random_ties)
    lists = [made.boxes[:, :4] == box for box in Box]
    np.testing.assert_array_equal(made.counts, [part.sum(axis=1) for part in lists])
    # the share of tied votes, by the votes themselves
    for lists_of in neighbours_module.box_neighbours(rows, cells.labels, cells.groups, cells.clusters, depth=125):
        for setup, allowed in BOXES_OF.items():
            votes = tally.vote(setup, lists_of.merged(allowed, 68), lists_of.queries)
            assert made.tied[setup] == pytest.approx(votes.tied.mean())
            np.testing.assert_allclose(made.right[setup], votes.right)
    assert {setup: BOXES_OF[setup] for setup in BOXES_OF} == {
        Setup.ALL_SAME: (Box.SS, Box.OS),
        Setup.ALL_DIFF: (Box.SO, Box.OO),
        Setup.POS_SAME: (Box.SS, Box.OO),
        Setup.NEG_SAME: (Box.SO, Box.OS),
        Setup.UNIFORM: (Box.SS, Box.SO, Box.OS, Box.OO),
    }


def test_simulated_chance__the_same_draws_by_photo_kinds() -> None:
    cells = table_of(groups=3, clusters=2, photos=2)
    rng = np.random.default_rng(9)
    kinds, times = np.unique(cells.candidates, axis=1, return_counts=True)
    values = []
    for _ in range(6):
        so = os = 0
        for kind, count in zip(kinds.T, times.tolist(), strict=True):
            drawn = rng.multivariate_hypergeometric(kind, min(5, int(kind.sum())), size=count)
            so, os = so + drawn[:, 1].sum(), os + drawn[:, 2].sum()
        values.append(so / (so + os))
    made = simulated_chance(cells, 5, draws=6, seed=9)
    assert made == (pytest.approx(np.mean(values)), pytest.approx(np.std(values, ddof=1)))
