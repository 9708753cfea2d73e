"""Measures against plain loops over photos, which are written here anew."""

import numpy as np
import pytest

from benchmark.extras.diff.measures import answers_of, changed_share, cosine_moved, lost_in_index, neighbours_of
from builders.errors import DataError


def plain_neighbours(rows, k, units):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    lists = []
    for i in range(len(rows)):
        others = [j for j in range(len(rows)) if units[j] != units[i]]
        lists.append(sorted(others, key=lambda j: (-float(unit[i] @ unit[j]), j))[:k])
    return lists


def plain_answer(neighbours, labels):
    counts = {}
    for j in neighbours:
        counts[labels[j]] = counts.get(labels[j], 0) + 1
    most = max(counts.values())
    return next(labels[j] for j in neighbours if counts[labels[j]] == most)


@pytest.mark.parametrize("clustered", [False, True])
def test_neighbours_changed_and_flips__a_plain_loop(clustered):
    rng = np.random.default_rng(3)
    first = rng.normal(size=(90, 12))
    second = first + 0.5 * rng.normal(size=first.shape)
    units = rng.integers(0, 30, 90) if clustered else np.arange(90)
    labels = rng.integers(0, 3, 90)
    near = [plain_neighbours(rows, 7, units) for rows in (first, second)]
    changed = [sum(j not in b for j in a) / len(a) for a, b in zip(*near, strict=True)]
    answers = [[plain_answer(a, labels) for a in lists] for lists in near]
    fast = [neighbours_of(rows, 7, units if clustered else None) for rows in (first, second)]
    assert fast[0].tolist() == near[0]
    np.testing.assert_allclose(changed_share(*fast), changed, atol=1e-12)
    assert 0.1 < np.mean(changed) < 0.9
    assert [answers_of(lists, labels).tolist() for lists in fast] == answers
    assert answers[0] != answers[1]


def test_neighbours_of__fewer_photos_than_neighbours():
    rows = np.array([[1.0, 0], [0.8, 0.1], [0, 1.0]])
    lists = neighbours_of(rows, 4, np.array([5, 5, 6]))
    assert lists.tolist() == [[2, -1, -1, -1], [2, -1, -1, -1], [1, 0, -1, -1]]
    assert changed_share(lists, lists).tolist() == [0, 0, 0]
    assert changed_share(lists, np.full((3, 4), -1)).tolist() == [1, 1, 1]
    assert answers_of(lists, np.array([1, 1, 0])).tolist() == [0, 0, 1]
    assert answers_of(np.full((1, 2), -1), np.array([1])).tolist() == [-1]


def test_cosine_moved__exact_where_rows_are_equal_and_precise_where_they_nearly_are():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 300)).astype(np.float32)
    assert cosine_moved(rows, rows).tolist() == [0.0] * 5
    angle = 1e-6
    moved = cosine_moved(np.array([[1.0, 0]]), np.array([[np.cos(angle), np.sin(angle)]]))
    assert moved[0] == pytest.approx(angle**2 / 2, rel=1e-6)
    assert cosine_moved(np.array([[0.0, 0], [0, 0], [1, 0]]), np.array([[0.0, 0], [1, 0], [-3, 0]])).tolist() == [
        0,
        1,
        2,
    ]
    with pytest.raises(DataError, match=r"photo 1"):
        cosine_moved(np.array([[1.0], [np.nan]]), np.ones((2, 1)))


def test_lost_in_index__a_plain_loop_and_no_loss_to_a_copy():
    rng = np.random.default_rng(5)
    index = rng.normal(size=(60, 6))
    queries = index + 0.8 * rng.normal(size=index.shape)
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (index, queries)]
    similar = unit[1] @ unit[0].T
    lost = [similar[i].max() > similar[i, i] for i in range(60)]
    assert lost_in_index(index, queries).tolist() == lost
    assert 0 < sum(lost) < 60
    copies = np.repeat(index[:5], 3, axis=0)
    assert not lost_in_index(copies, copies).any()
    assert not lost_in_index(copies, np.float32(2) * copies).any()
