"""Retrieval at its edges: one pair, groups without a common scene, blocks of scenes, and queries that are lost."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.retrieval import (
    PairAnswers,
    group_recall,
    median_chance,
    median_cosine,
    median_recall,
    nearest_of_same_type,
    pair_retrieval,
)
from builders.errors import DataError


def answers(nearer, tied=None):
    counts = np.array(nearer, np.int32)
    ties = np.zeros_like(counts) if tied is None else np.array(tied, np.int32)
    return PairAnswers(tuple(range(counts.shape[-1])), ("camera", "phone"), counts, ties)


def test_lost__to_the_camera_alone_where_the_target_is_the_nearest_of_its_type():
    # [collection: target's type, query's type][direction][pair]
    made = answers(
        [[[0, 0, 1, 0], [0, 2, 0, 0]], [[1, 0, 2, 3], [0, 1, 0, 5]]], [[[0, 0, 0, 1], [0, 0, 0, 0]], [[0] * 4] * 2]
    )
    assert made.lost.tolist() == [[True, False, True, True], [False, True, False, True]]
    assert made.lost_by_camera.tolist() == [[True, False, False, False], [False, False, False, True]]
    tied = answers([[[0], [0]], [[0], [1]]], [[[0], [0]], [[3], [3]]])
    assert tied.lost.tolist() == [[False], [True]]  # a tie is no loss


def test_recall__by_hand():
    made = answers([[[0, 1, 4], [5, 0, 0]], [[0, 0, 2], [0, 0, 0]]], [[[0, 1, 2], [0, 2, 0]], [[0, 0, 0], [1, 0, 0]]])
    np.testing.assert_allclose(made.recall(1)[0], [[1, 0, 0], [0, 1 / 3, 1]])
    np.testing.assert_allclose(made.recall(2)[0], [[1, 0.5, 0], [0, 2 / 3, 1]])
    np.testing.assert_allclose(made.recall(5)[0], [[1, 1, 1 / 3], [0, 1, 1]])
    np.testing.assert_allclose(made.plain_recall(), [[1, 0, 0], [0, 1 / 3, 1]])
    few = answers([[[0, 1], [0, 0]], [[1, 0], [0, 0]]], [[[0, 0], [1, 0]], [[0, 0], [0, 0]]])
    np.testing.assert_allclose(few.reciprocal_rank()[0], [[1, 1 / 2], [(1 + 1 / 2) / 2, 1]])
    scores = few.per_pair()
    assert scores["same-to-phone"].tolist() == [1, 0]  # queries of the first type have targets of the second
    assert scores["same-to-camera"].tolist() == [0.5, 1]
    assert scores["spd"].tolist() == [0.75 - 0.5, 0.5 - 1]
    assert few.values["spd"] == pytest.approx(-0.125)


@pytest.mark.parametrize(
    ("n", "first", "fifth", "plain", "reciprocal"),
    [
        *((1, 1.0, 1.0, 1.0, 1.0), (2, 0.5, 1.0, 1 / 3, 0.75), (5, 0.2, 1.0, 1 / 9, 137 / 300)),
        (6, 1 / 6, 5 / 6, 1 / 11, 2.45 / 6),
    ],
)
def test_chance__of_so_many_pairs(n, first, fifth, plain, reciprocal):
    chance = answers(np.zeros((2, 2, n))).chance
    for name in ("same", "different", "same-to-phone", "different-to-camera"):
        assert chance[name] == pytest.approx(first)
    assert (chance["same-at-5"], chance["all"], chance["spd"]) == (pytest.approx(fifth), pytest.approx(plain), 0.0)
    assert chance["different-mrr"] == pytest.approx(reciprocal)


def test_pair_retrieval__one_pair_is_always_right():
    made = pair_retrieval(np.array([[1.0, 0], [0, 1]]), ["a", "a"], ["phone", "camera"])
    assert set(made.values.values()) - {made.values["spd"]} == {1.0}
    assert (made.n, made.camera_types, made.pair_ids) == (1, ("camera", "phone"), ("a",))


def test_nearest_of_same_type__similarities_and_ties():
    rows = np.array([[1, 0], [0, 1], [3, 4], [4, 3], [3, 4], [0, 0]], float)  # three pairs of a and b
    ids, types = [0, 0, 1, 1, 2, 2], list("ababab")
    first, second, third = nearest_of_same_type(rows, ids, types, [(0, 0), (0, 1), (1, 0)])
    assert (first.query, first.target, first.distractor) == (0, 1, 2)  # photos 2 and 4 are equally near
    assert (first.target_similarity, first.distractor_similarity) == (0.0, pytest.approx(0.6))
    assert (second.query, second.distractor, second.distractor_similarity) == (2, 4, pytest.approx(1.0))
    assert (third.query, third.target, third.distractor) == (1, 0, 3)
    with pytest.raises(DataError, match="photo 3"):
        nearest_of_same_type(np.where(np.arange(6)[:, None] == 3, np.inf, rows), ids, types, [(1, 1)])


def test_group_recall__groups_without_a_common_scene():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(9, 4))
    photos = np.array([[0, 1, 2, -1, -1], [3, 4, -1, -1, -1], [-1, -1, -1, 5, 6], [7, -1, 8, -1, -1]])
    made = group_recall(rows, photos, np.array([0, 1, 0, 1, 2]))
    shared = np.array([[0, 2, 0, 2], [2, 0, 0, 1], [0, 0, 0, 0], [2, 1, 0, 0]])
    assert made.scenes.sum(axis=-1).tolist() == shared.tolist()
    assert made.scenes[0, 1].tolist() == [1, 1, 0]
    for table in (made.recall[0], made.cosine, made.chances[0], made.distractors):
        assert np.isnan(table).tolist() == (shared == 0).tolist()
    assert np.isnan(made.by_scene["same"]).tolist() == [False, False, False, True, True]
    assert np.isnan(made.apart).tolist() == np.eye(4, dtype=bool).tolist()  # of one group with itself: not needed
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert made.cosine[0, 1] == pytest.approx((unit[0] @ unit[3] + unit[1] @ unit[4]) / 2)
    assert made.apart[0, 2] == pytest.approx(np.mean([unit[i] @ unit[j] for i in (0, 1, 2) for j in (5, 6)]))
    assert made.apart[1, 3] == pytest.approx(np.mean([unit[i] @ unit[j] for i, j in ((3, 8), (4, 7), (4, 8))]))
    every = ~np.eye(4, dtype=bool)
    median = median_cosine(made, every)
    of_pairs = [made.cosine[a, b] for a, b in ((0, 1), (0, 3), (1, 3))]
    assert (median.value, median.pairs) == (pytest.approx(np.median(of_pairs)), 3)
    # without block 1 the second group has scene 0 alone
    of_rest = [unit[0] @ unit[3], (unit[0] @ unit[7] + unit[2] @ unit[8]) / 2, unit[3] @ unit[7]]
    assert median.without[1] == pytest.approx(np.median(of_rest))
    assert median.without[2] == pytest.approx(median.value)
    assert median_recall(made, 0, every).pairs == 3
    table = np.arange(16, dtype=float).reshape(4, 4)
    table[0, 1] = np.nan
    assert median_chance(table, every) == np.median([(table[a, b] + table[b, a]) / 2 for a, b in
                                                     ((0, 2), (0, 3), (1, 2), (1, 3), (2, 3))])  # fmt: skip
    assert made.mean_chances["same"] == pytest.approx(
        sum(1 / len(photos[b][photos[b] >= 0]) * shared[a, b] for a in range(4) for b in range(4)) / shared.sum()
    )
