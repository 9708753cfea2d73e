"""Pair retrieval against sorting every collection in plain Python, on exact data full of ties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.retrieval import (
    COLLECTIONS,
    PairAnswers,
    group_recall,
    median_chance,
    median_cosine,
    median_recall,
    nearest_of_same_type,
    pair_retrieval,
)
from builders.errors import DataError
from tests.support.thread_counts import Waking


def exact_photos(seed: int, n: int, dimension: int = 16) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """2 n shuffled photos in n pairs; norms are powers of two, so that similarities are exact and tie."""
    rng = np.random.default_rng(seed)
    embeddings = np.zeros((2 * n, dimension), np.float32)
    for row in embeddings:
        nonzero = rng.choice([1, 4, 16])
        row[rng.choice(dimension, nonzero, replace=False)] = rng.choice([-1, 1], nonzero)
        row *= 2.0 ** rng.integers(-2, 3) if rng.random() > 0.05 else 0.0
    order = rng.permutation(2 * n)
    return embeddings, np.repeat(np.arange(n), 2)[order], np.tile(["camera", "phone"], n)[order]


def reference_ranks(
    embeddings: np.ndarray, pair_ids: np.ndarray, types: np.ndarray, query: int, collection: str
) -> tuple[int, int]:
    """Distractors nearer than the target, and as near."""

    def cosine(i: int, j: int) -> float:
        a, b = embeddings[i].astype(float), embeddings[j].astype(float)
        norms = np.sqrt((a**2).sum()) * np.sqrt((b**2).sum())
        return float((a * b).sum() / norms) if norms else 0.0

    photos = range(len(embeddings))
    (target,) = (i for i in photos if pair_ids[i] == pair_ids[query] and i != query)
    wanted = types[target] if collection == "same" else types[query]
    distractors = [i for i in photos if types[i] == wanted and i not in (query, target)]
    result = [cosine(query, i) for i in distractors]
    return sum(s > cosine(query, target) for s in result), sum(s == cosine(query, target) for s in result)


def assert_equals_reference(answers: PairAnswers, photos: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    _, pair_ids, types = photos
    for (c, collection), direction, pair in itertools.product(enumerate(COLLECTIONS), range(2), range(answers.n)):
        is_query = (pair_ids == answers.pair_ids[pair]) & (types == answers.camera_types[direction])
        expected = reference_ranks(*photos, int(np.flatnonzero(is_query)[0]), collection)
        assert (answers.nearer[c, direction, pair], answers.tied[c, direction, pair]) == expected


@pytest.mark.parametrize(("seed", "n"), [(0, 12), (1, 12), (2, 30), (3, 2), (4, 1)])
def test_pair_retrieval__equals_sorting_every_collection(seed: int, n: int) -> None:
    photos = exact_photos(seed, n)
    answers = pair_retrieval(*photos)
    assert_equals_reference(answers, photos)
    assert n < 10 or answers.tied.any()


@pytest.mark.parametrize(("seed", "n"), [(0, 12), (3, 2), (4, 1)])
def test_plain_recall__among_all_other_photos(seed: int, n: int) -> None:
    """Each photo as a query, every other photo as a candidate, ties in random order."""
    embeddings, pair_ids, types = exact_photos(seed, n)
    wide = embeddings.astype(float)
    norms = np.linalg.norm(wide, axis=1)
    cosines = wide @ wide.T / np.where(np.outer(norms, norms) > 0, np.outer(norms, norms), 1)
    result = []
    for query in range(2 * n):
        others = np.flatnonzero(np.arange(2 * n) != query)
        [target] = [i for i in others if pair_ids[i] == pair_ids[query]]
        best = others[cosines[query, others] == cosines[query, others].max()]
        result.append(np.mean(best == target))
    answers = pair_retrieval(embeddings, pair_ids, types)
    assert answers.values["all"] == pytest.approx(np.mean(result))
    assert answers.chance["all"] == pytest.approx(1 / (2 * n - 1))


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.sampled_from([1, 2000, 9000, 40_000]))
def test_pair_retrieval__memory_changes_nothing(seed: int, n: int, memory_bytes: int) -> None:
    photos = exact_photos(seed, n)
    small, large = pair_retrieval(*photos, memory_bytes=memory_bytes), pair_retrieval(*photos)
    np.testing.assert_array_equal(small.nearer, large.nearer)
    np.testing.assert_array_equal(small.tied, large.tied)


@pytest.mark.parametrize("n", [300, 700])
def test_pair_retrieval__wakes_no_thread_but_those_of_pieces(n: int, two_threads: None) -> None:
    rng = np.random.default_rng(0)
    with Waking() as waking:
        answers = pair_retrieval(rng.normal(size=(2 * n, 64)), np.arange(2 * n) % n, np.arange(2 * n) // n)
    assert answers.nearer.shape == (2, 2, n)
    assert waking.operations > 20
    assert waking.seen == []


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 15))
def test_pair_retrieval__order_of_photos_is_irrelevant(seed: int, n: int) -> None:
    embeddings, pair_ids, types = exact_photos(seed, n)
    order = np.random.default_rng(seed).permutation(2 * n)
    one = pair_retrieval(embeddings, pair_ids, types)
    two = pair_retrieval(embeddings[order], pair_ids[order], types[order])
    np.testing.assert_array_equal(one.nearer, two.nearer)
    np.testing.assert_array_equal(one.tied, two.tied)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 20))
def test_pair_retrieval__offset_of_one_camera_type_distracts(seed: int, size: float) -> None:
    """One constant added to all photos of one type lowers ``different``, more than it lowers ``same``."""
    rng = np.random.default_rng(seed)
    n, dimension = 40, 24
    scenes = rng.normal(size=(n, dimension))
    photos = np.concatenate([scenes + 0.5 * rng.normal(size=scenes.shape) for _ in range(2)])
    offset = rng.normal(size=dimension)
    shifted = photos.copy()
    shifted[:n] += (2 + size) * np.sqrt(dimension) * offset / np.linalg.norm(offset)
    pairs, types = np.tile(np.arange(n), 2), np.repeat(["old", "phone"], n)
    clean, marked = (pair_retrieval(x, pairs, types).values for x in (photos, shifted))
    assert marked["spd"] > clean["spd"] + 0.2
    assert marked["different"] < clean["different"] - 0.2


def test_per_pair__hand_computed() -> None:
    answers = PairAnswers(
        (0, 1, 2, 3, 4, 5),
        ("old", "phone"),
        np.array([[[0] * 6, [0, 0, 0, 0, 1, 5]], [[0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 4]]], np.int32),
        np.array([[[0] * 6, [0] * 6], [[0] * 6, [0, 0, 0, 0, 1, 1]]], np.int32),
    )
    values = answers.values
    assert values["same"] == pytest.approx((6 + 4) / 12)
    assert values["different"] == pytest.approx((1 + 4.5) / 12)
    assert values["spd"] == pytest.approx(4.5 / 12)
    assert values["same-to-phone"] == 1.0  # direction 0: queries of the first type
    assert values["same-to-old"] == pytest.approx(4 / 6)
    assert values["different-to-phone"] == pytest.approx(1 / 6)
    assert values["same-at-5"] == pytest.approx(11 / 12)
    assert values["different-at-5"] == pytest.approx((5 + 5.5) / 12)
    assert values["same-mrr"] == pytest.approx((6 + 4 + 1 / 2 + 1 / 6) / 12)
    assert values["different-mrr"] == pytest.approx(
        (1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6 + 4 + (1 + 1 / 2) / 2 + (1 / 5 + 1 / 6) / 2) / 12
    )
    assert answers.chance["same"] == 1 / 6
    assert answers.chance["same-at-5"] == 5 / 6
    assert answers.chance["different-mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 6)
    assert answers.chance["spd"] == 0
    assert set(answers.chance) == set(values)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1])
def test_pair_retrieval__all_embeddings_equal_score_at_chance(value: float) -> None:
    _, pair_ids, types = exact_photos(0, 8)
    answers = pair_retrieval(np.full((16, 5), value, np.float32), pair_ids, types)
    assert (answers.tied == 7).all()
    assert answers.values == pytest.approx(answers.chance)


def test_pair_retrieval__copies_tie_with_the_target() -> None:
    """Real-valued copies of the target at other places of the matrix product are neither nearer nor farther."""
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(300, 61)).astype(np.float32)
    pairs, types = np.tile(np.arange(150), 2), np.repeat(["a", "b"], 150)
    embeddings[150:] = embeddings[150]
    answers = pair_retrieval(embeddings, pairs, types)
    assert (answers.nearer[0, 0] == 0).all()
    assert (answers.tied[0, 0] == 149).all()


def test_pair_retrieval__perfect_encoder() -> None:
    scenes = np.random.default_rng(0).normal(size=(50, 8))
    answers = pair_retrieval(np.concatenate([scenes, scenes * 3]), np.tile(np.arange(50), 2), np.repeat([0, 1], 50))
    assert answers.values["same"] == answers.values["different"] == answers.values["same-mrr"] == 1.0
    assert answers.camera_types == (0, 1)


def test_pair_retrieval__huge_and_tiny_embeddings() -> None:
    embeddings, pair_ids, types = exact_photos(5, 10)
    scale = np.where(np.arange(20) % 2, 1e300, 1e-300)[:, None]
    one, two = pair_retrieval(embeddings, pair_ids, types), pair_retrieval(embeddings * scale, pair_ids, types)
    np.testing.assert_array_equal(one.recall(1) > 0, two.recall(1) > 0)


PAIRS, TYPES = np.array([0, 0, 1, 1]), np.array(["old", "phone", "old", "phone"])


@pytest.mark.parametrize(
    ("pair_ids", "types", "message"),
    [
        ([0, 0, 1, 2], TYPES, r"pair 1"),
        ([0, 0, 0, 0], TYPES, r"pair 0"),
        ([0, 1, 0, 1], TYPES, r"pair 0"),
        (PAIRS, ["old"] * 4, "camera"),
        (PAIRS, list("abcd"), "camera"),
        (PAIRS[:3], TYPES, "camera type"),
        ([], [], "camera type"),
    ],
)
def test_pair_retrieval__bad_pairs_are_one_sentence(pair_ids: list, types: list, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        pair_retrieval(np.eye(4), pair_ids, types)
    assert "\n" not in str(error.value)


def test_pair_retrieval__nan() -> None:
    embeddings = np.eye(4)
    embeddings[2, 1] = np.nan
    with pytest.raises(DataError, match="photo 2 holds a NaN"):
        pair_retrieval(embeddings, PAIRS, TYPES)


@pytest.mark.parametrize("memory_bytes", [1 << 28, 1])
def test_nearest_of_own_type__equals_looking_at_every_photo(memory_bytes: int) -> None:
    embeddings, pair_ids, types = exact_photos(3, 9)
    wanted = [(1, 4), (0, 0), (1, 8), (0, 5)]
    result = nearest_of_same_type(embeddings, pair_ids, types, wanted, memory_bytes=memory_bytes)

    def cosine(i: int, j: int) -> float:
        a, b = embeddings[i].astype(float), embeddings[j].astype(float)
        norms = np.linalg.norm(a) * np.linalg.norm(b)
        return float(a @ b / norms) if norms else 0.0

    for (direction, pair), one in zip(wanted, result, strict=True):
        assert (pair_ids[one.query], types[one.query]) == (pair, ["camera", "phone"][direction])
        assert (pair_ids[one.target], types[one.target]) == (pair, ["phone", "camera"][direction])
        changed = [i for i in range(18) if types[i] == types[one.query] and i != one.query]
        assert one.distractor in changed
        assert one.distractor_similarity == pytest.approx(max(cosine(one.query, i) for i in changed))
        assert cosine(one.query, one.distractor) == pytest.approx(one.distractor_similarity)
        assert one.target_similarity == pytest.approx(cosine(one.query, one.target))


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
