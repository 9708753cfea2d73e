"""Neighbours of groups in four boxes, votes of short lists, and edges of lists and parts, each by a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from benchmark.knn import (
    NOTHING,
    Box,
    BoxLists,
    box_neighbours,
    cosine_distances,
    extremes_of_jitters,
    jittered,
    knn_of_views,
    knn_setups,
    nearest,
    part_of,
    setup_shares,
    unpack_indices,
    votes_of,
)
from benchmark.knn.keys import merge, pack_keys, replace_indices, shift_indices
from benchmark.knn.setups import parts_to_do
from builders.errors import DataError
from tests.benchmark.knn.definition import exact_vectors, make_case


class Photos:
    """Exact rows with a label, a group and a cluster each."""

    def __init__(self, seed: int, n: int = 23, groups: int = 3) -> None:
        rng = np.random.default_rng(seed)
        self.rows = exact_vectors(rng, n)
        self.labels, self.groups, self.clusters = (rng.integers(0, count, n) for count in (3, groups, 9))

    def near(self, query: int, box: Box, depth: int) -> list[int]:
        """Indices of the nearest photos in a box, by definition."""
        rows = self.rows.astype(float)
        norms = np.linalg.norm(rows, axis=1)
        products = rows @ rows[query]
        similar = np.divide(products, norms * norms[query], out=np.zeros(len(rows)), where=norms * norms[query] > 0)
        same_label = box in (Box.SS, Box.SO)
        same_group = box in (Box.SS, Box.OS)
        inside = [
            i
            for i in range(len(rows))
            if self.clusters[i] != self.clusters[query]
            and (self.labels[i] == self.labels[query]) == same_label
            and (self.groups[i] == self.groups[query]) == same_group
        ]
        return sorted(inside, key=lambda i: (-similar[i], i))[:depth]

    def lists(self, **more: Any) -> list[BoxLists]:
        return list(box_neighbours(self.rows, self.labels, self.groups, self.clusters, **more))


@pytest.mark.parametrize(
    ("seed", "depth", "queries"), [(0, 1, None), (1, 4, None), (2, 40, [0, 3, 4, 22]), (3, 3, [7])]
)
def test_boxes__equal_a_loop_over_pairs(seed: int, depth: int, queries: list[int] | None) -> None:
    photos, compared = Photos(seed), []
    (lists,) = photos.lists(
        depth=depth, queries=None if queries is None else np.array(queries), progress=compared.append
    )
    assert lists.queries.tolist() == (queries or list(range(23)))
    assert sum(compared) == 23 * len(lists.queries)
    for box in Box:
        for at, query in enumerate(lists.queries.tolist()):
            expected = photos.near(query, box, depth)
            assert unpack_indices(lists.keys[box, at]).tolist() == expected + [-1] * (depth - len(expected))
    merged = unpack_indices(lists.merged((Box.SS, Box.OO), 2 * depth + 1))
    assert merged.shape == (len(lists.queries), 2 * depth + 1)
    for at, query in enumerate(lists.queries.tolist()):
        both = photos.near(query, Box.SS, depth) + photos.near(query, Box.OO, depth)
        assert sorted(i for i in merged[at].tolist() if i >= 0) == sorted(both)
        assert (merged[at][len(both) :] == -1).all()
        first = unpack_indices(lists.merged((Box.SS,), 1))[at, 0]
        assert first == (photos.near(query, Box.SS, 1) or [-1])[0]


def test_boxes__memory_cuts_queries_and_changes_nothing() -> None:
    photos = Photos(4, n=150, groups=2)
    (whole,) = photos.lists(depth=3)
    parts = photos.lists(depth=3, memory_bytes=1 << 14)
    assert len(parts) > 1
    assert np.concatenate([part.queries for part in parts]).tolist() == list(range(150))
    assert torch.equal(torch.cat([part.keys for part in parts], dim=1), whole.keys)
    assert photos.lists(depth=3, queries=np.array([], int))[0].keys.shape == (4, 0, 3)


def test_boxes__refusals() -> None:
    photos = Photos(0)
    for at, name in enumerate(("labels", "groups", "clusters")):
        columns = [photos.labels, photos.groups, photos.clusters]
        columns[at] = columns[at][:-2]
        with pytest.raises(DataError, match=rf"^23 embeddings but 21 {name}$"):
            list(box_neighbours(photos.rows, *columns, depth=1))
    assert list(box_neighbours(np.zeros((0, 4)), *np.zeros((3, 0), int), depth=1)) == []


def lot(labels: list[int], truth: int) -> tuple[float, float, bool]:
    """Whether the vote for labels, nearest first, is right: to the nearest of tied ones, and by lot; and ties."""
    if not labels:
        return 0.0, 0.0, False
    most = max(labels.count(label) for label in labels)
    tied = list(dict.fromkeys(label for label in labels if labels.count(label) == most))
    return float(tied[0] == truth), (truth in tied) / len(tied), len(tied) > 1


def test_votes__of_lists_that_are_short_or_empty() -> None:
    """The first photo has the label of many queries: a missing neighbour is no vote for it."""
    rng = np.random.default_rng(0)
    labels = np.r_[1, rng.integers(0, 3, 29)]
    truth = np.r_[1, 1, rng.integers(0, 3, 58)]
    chosen = [rng.permutation(30)[: i % 7].tolist() for i in range(60)]
    chosen[1] = [int(np.flatnonzero(labels == 0)[0])]  # one vote for another label, and nothing else
    keys = torch.full((60, 6), NOTHING)
    for at, places in enumerate(chosen):
        falling = torch.linspace(0.9, 0.1, 6)[: len(places)]
        keys[at, : len(places)] = pack_keys(falling, torch.tensor(places, dtype=torch.int64))
    expected = [lot([int(labels[i]) for i in places], t) for places, t in zip(chosen, truth, strict=True)]
    for random_ties in (False, True):
        votes = votes_of(keys, torch.from_numpy(labels), torch.from_numpy(truth), random_ties=random_ties)
        assert votes.right.tolist() == pytest.approx([one[int(random_ties)] for one in expected])
        assert votes.tied.tolist() == [one[2] for one in expected]
    nothing = votes_of(keys[:0], torch.from_numpy(labels), torch.from_numpy(truth[:0]))
    assert (nothing.right.shape, nothing.tied.shape) == ((0,), (0,))


def test_keys__nothing_stays_nothing() -> None:
    keys = torch.tensor([int(pack_keys(torch.tensor(0.5), torch.tensor(3))), NOTHING])
    assert unpack_indices(shift_indices(keys, 10)).tolist() == [13, -1]
    assert unpack_indices(replace_indices(keys, torch.tensor([8, 9]))).tolist() == [8, -1]
    assert unpack_indices(merge(keys, shift_indices(keys, 1))).tolist() == [3, 4]
    minus_zero = pack_keys(torch.tensor([-0.0, 0.0]), torch.tensor([0, 1]))
    assert minus_zero[0] > minus_zero[1]  # equally similar: the lower index is nearer


def test_nearest_and_distances__edges() -> None:
    rows = np.array([[1.0, 0], [0, 0], [0, 2]])
    near = nearest(rows, np.array([[0.0, 5], [0, 0]]), 4)
    assert near.indices.tolist() == [[2, 0, 1, -1], [0, 1, 2, -1]]
    assert near.similarities.tolist() == [[1, 0, 0, -np.inf], [0, 0, 0, -np.inf]]
    nothing = nearest(rows, np.zeros((0, 2)), 3)
    assert (nothing.indices.shape, nothing.similarities.shape) == ((0, 3), (0, 3))
    assert cosine_distances(rows[[0, 0, 0, 1]], np.array([[3.0, 0], [-1, 0], [0, 1], [1, 0]])).tolist() == [0, 2, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 20])
def test_parts__cover_everything_once_whatever_their_number(count: int, tmp_path: Any) -> None:
    for total in (0, 1, 7, 12):
        covered = [i for number in range(count) for i in range(*part_of(total, number, count).indices(total))]
        assert covered == list(range(total))
        sizes = [len(range(*part_of(total, number, count).indices(total))) for number in range(count)]
        assert max(sizes) - min(sizes) <= 1
        done = np.array([i % 4 == 2 for i in range(total)], bool)
        parts = list(parts_to_do(done, count))
        assert [i for part in parts for i in range(part.start, part.stop)] == np.flatnonzero(~done).tolist()
        assert all(part.stop - part.start <= count for part in parts)
    assert list(parts_to_do(np.zeros(10, bool), 4)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(parts_to_do(np.zeros(9, bool), 6)) == [slice(0, 5), slice(5, 9)]


def test_parts__of_views_that_other_machines_computed_are_the_whole(tmp_path: Any) -> None:
    rng = np.random.default_rng(3)
    train, views = exact_vectors(rng, 12), [exact_vectors(rng, 5) for _ in range(3)]
    labels = rng.integers(0, 3, 12), rng.integers(0, 3, 5)
    whole = knn_of_views(train, views, *labels, k=3)
    assert whole.right().shape == (3, 5)
    for number in (1, 0):
        part = knn_of_views(train, views, *labels, k=3, keep=tmp_path, part=(number, 2))
        at = part_of(15, number, 2)
        assert (part.right("greatest").ravel()[at] == whole.right("greatest").ravel()[at]).all()
        if number == 1:  # nothing is stored of the other part yet
            assert not part.right("greatest").ravel()[: at.start].any()
    zeros = np.zeros_like(train)
    read = knn_of_views(zeros, [np.zeros_like(v) for v in views], *labels, k=3, keep=tmp_path)
    for rule in ("nearest", "random", "least", "greatest"):
        assert (read.right(rule) == whole.right(rule)).all()  # read from the folder, not computed from zeros
    assert (read.tied == whole.tied).all()
    assert whole.chance == pytest.approx(np.mean([(labels[0] == label).mean() for label in labels[1]]))


def test_setups__one_processing_has_no_set_up_of_two_and_no_jitter() -> None:
    case = make_case(2, c=1)
    answers = knn_setups(**vars(case), k=3)
    assert (
        set(answers.values) == {"all-same", "uniform", "uniform-test"} == set(answers.ties) == set(answers.tied_share)
    )
    assert set(setup_shares(answers.random, answers.combinations)) == set(answers.values)


def test_jitter__of_each_collection_has_the_distances_of_its_processings() -> None:
    rng = np.random.default_rng(0)
    views = [rng.normal(size=(6, 8)).astype(np.float32) for _ in range(3)]
    moved = jittered(views[1:], views[0], seed=3)
    for view, jitter in zip(views[1:], moved, strict=True):
        assert len(jitter) == 6
        assert cosine_distances(jitter[:], views[0]) == pytest.approx(cosine_distances(view, views[0]), abs=1e-6)
        assert np.linalg.norm(jitter[:], axis=1) == pytest.approx(1, abs=1e-6)
        assert jitter[2:5].tolist() == jitter[:][2:5].tolist()
    assert not np.allclose(jittered(views[1:], views[0], seed=4)[0][:], moved[0][:])
    labels = rng.integers(0, 2, 6), rng.integers(0, 2, 6)
    tables = []
    for rule in ("nearest", "least", "greatest", "random"):
        made = extremes_of_jitters(views, views[::-1], *labels, k=2, rule=rule, seed=1)
        assert set(np.unique((made.worst + made.flipped) * 6)) <= set(np.arange(7.0))
        tables.append(made.worst.mean())
    assert tables[1] <= min(tables[0], tables[3]) <= max(tables[0], tables[3]) <= tables[2]
