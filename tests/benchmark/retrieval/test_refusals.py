"""Refusals of retrieval as whole sentences, what its progress counts, and memory by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.retrieval import (
    COLLECTIONS,
    COLLECTIONS_OF,
    RANKS,
    count_pairs,
    group_recall,
    held_bytes,
    nearest_of_same_type,
    pair_retrieval,
)
from benchmark.retrieval.counts import block_rows, blocks
from builders.errors import DataError

IDS, TYPES = [7, 7, 8, 8], ["old", "phone", "old", "phone"]


@pytest.mark.parametrize(
    ("rows", "ids", "types", "message"),
    [
        (
            np.eye(4),
            [7, 7, 8],
            TYPES,
            "pair retrieval needs one embedding, pair id and camera type per photo, got (4, 4), (3,) and (4,)",
        ),
        (
            np.eye(4),
            IDS,
            TYPES[:2],
            "pair retrieval needs one embedding, pair id and camera type per photo, got (4, 4), (4,) and (2,)",
        ),
        (
            np.ones(4),
            IDS,
            TYPES,
            "pair retrieval needs one embedding, pair id and camera type per photo, got (4,), (4,) and (4,)",
        ),
        (np.eye(4), IDS, ["old"] * 4, "pair retrieval needs photos of two camera types, got 1: ['old']"),
        (
            np.eye(7),
            [0, 1, 2, 3, 4, 5, 6],
            list("gfedcba"),
            "pair retrieval needs photos of two camera types, got 7: ['a', 'b', 'c', 'd', 'e']",
        ),
        (
            np.eye(6),
            [8, 8, 8, 9, 9, 7],
            ["old", "phone", "phone", "old", "phone", "old"],
            "pair 7 has 1 photo(s) of old and 0 of phone; leave out what has not one of each (2 of 3 pairs)",
        ),
        (
            np.eye(5),
            [8, 8, 8, 9, 9],
            ["old", "phone", "phone", "old", "phone"],
            "pair 8 has 1 photo(s) of old and 2 of phone; leave out what has not one of each (1 of 2 pairs)",
        ),
        (
            np.where(np.arange(4)[:, None] == 2, np.inf, np.eye(4)),
            IDS,
            TYPES,
            "the embedding of photo 2 holds a NaN or infinity: leave its pair out or embed it again",
        ),
    ],
)
def test_pairs__refused_in_a_sentence(rows: np.ndarray, ids: list[int], types: list[str], message: str) -> None:
    for work in (pair_retrieval, lambda *given: nearest_of_same_type(*given, [(0, 0), (1, 0), (0, 1), (1, 1)])):
        with pytest.raises(DataError) as refused:
            work(rows, np.array(ids), np.array(types))
        assert str(refused.value) == message


def test_groups__name_the_photo_that_is_not_finite() -> None:
    rows = np.eye(6)
    rows[4, 1] = np.nan
    with pytest.raises(DataError) as refused:
        group_recall(rows, np.array([[5, 0, 1], [2, 3, 4]]), np.array([0, 1, 2]))
    assert str(refused.value) == (
        "the embedding of photo 4 holds a NaN or infinity: leave its pair out or embed it again"
    )


def test_pairs__ids_and_types_are_sorted_python_values() -> None:
    made = pair_retrieval(np.eye(4), np.array([9, 9, 8, 8]), np.array(["phone", "camera", "camera", "phone"]))
    assert (made.pair_ids, made.camera_types) == ((8, 9), ("camera", "phone"))
    assert [type(value) for value in (*made.pair_ids, *made.camera_types)] == [int, int, str, str]
    assert (COLLECTIONS, RANKS) == (("same", "different"), (1, 3, 5, 10))
    assert dict(COLLECTIONS_OF) == {"target": (0,), "own": (1,), "both": (0, 1), "all": (2,)}


@pytest.mark.parametrize(("everywhere", "memory"), [(False, 1 << 28), (False, 2000), (True, 1 << 28), (True, 2000)])
def test_progress__each_group_with_itself_and_each_two_once(everywhere: bool, memory: int) -> None:
    """Groups of 4, 3 and 2 photos; groups 0 and 2 share no scene, and are compared only where all groups distract."""
    rows = np.random.default_rng(0).normal(size=(9, 3))
    photos = np.array([[0, 1, 2, 3, -1, -1], [-1, 4, 5, -1, 6, -1], [-1, -1, -1, -1, 7, 8]])
    counted: list[int] = []
    pairs = list(count_pairs(rows, photos, everywhere=everywhere, memory_bytes=memory, progress=counted.append))
    assert [(pair.first, pair.second, pair.scenes.tolist()) for pair in pairs] == [(0, 1, [1, 2]), (1, 2, [4])]
    assert sum(counted) == 16 + 9 + 4 + 4 * 3 + 3 * 2 + (4 * 2 if everywhere else 0)
    for pair in pairs:
        sizes = {0: 4, 1: 3, 2: 2}
        of_target = [[sizes[pair.second] - 1], [sizes[pair.first] - 1]]
        expected = [of_target, of_target[::-1]]
        assert pair.distractors[:2].tolist() == [[side * len(pair.scenes) for side in kind] for kind in expected]
        assert pair.nearer.dtype == pair.tied.dtype == pair.distractors.dtype == np.int32
        if everywhere:  # all photos but the two of the scene
            assert pair.distractors[2].tolist() == [[9 - 2] * len(pair.scenes)] * 2
        assert len(pair.nearer) == len(pair.tied) == 2 + everywhere
        for at, scene in enumerate(pair.scenes):
            ends = rows[photos[pair.first, scene]], rows[photos[pair.second, scene]]
            cosine = ends[0] @ ends[1] / np.linalg.norm(ends[0]) / np.linalg.norm(ends[1])
            assert pair.cosine[at] == pytest.approx(cosine, abs=1e-6)


@pytest.mark.parametrize(
    ("present", "dimension", "more", "expected"),
    [
        # blocks of 10 x 10 similarities and rows; 2 x 2 x 10 cells of a float32 and two counts of two bytes
        (np.ones((2, 10), bool), 3, {}, 16 * 100 + 48 * 10 * 3 + 40 * (4 + 4)),
        (np.ones((2, 10), bool), 3, {"everywhere": True}, 16 * 100 + 48 * 10 * 3 + 40 * (4 + 4 + 8)),
        (np.ones((2, 10), bool), 3, {"memory_bytes": 500}, 500 + 40 * 8),
        # targets of all photos at once are more than a block of one photo in each of 30 groups
        (np.ones((30, 1), bool), 5, {}, 32 * 30 * 5 + 900 * 8),
        # counts up to 70,000 take four bytes each
        (np.ones((1, 70_000), bool), 1, {"memory_bytes": 1}, 1 + 70_000 * (4 + 8)),
        (np.ones((2, 40_000), bool), 1, {"memory_bytes": 1, "everywhere": True}, 1 + 160_000 * (4 + 4 + 16)),
        (np.zeros((0, 0), bool), 4, {}, 0),
    ],
)
def test_held_bytes__by_hand(present: np.ndarray, dimension: int, more: dict[str, Any], expected: int) -> None:
    assert held_bytes(present, dimension, **more) == expected


def test_blocks__of_items_and_sides_by_hand() -> None:
    assert list(blocks(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(blocks(0, 3)) == []
    assert (block_rows(16 * 100 + 48 * 10 * 2, 2), block_rows(16 * 100 + 48 * 10 * 2 - 1, 2)) == (10, 9)
    assert block_rows(0, 9) == 1


def test_bounds_and_progress__are_passed_to_the_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, photos = np.random.default_rng(0).normal(size=(6, 3)), np.arange(6).reshape(2, 3)
    calls: list[dict[str, Any]] = []

    def spy(given_rows: np.ndarray, given_photos: np.ndarray, **more: Any) -> Any:
        calls.append({"photos": given_photos.tolist(), **more})
        return count_pairs(given_rows, given_photos, everywhere=bool(more.get("everywhere")))

    monkeypatch.setattr("benchmark.retrieval.counts.count_pairs", spy)
    monkeypatch.setattr("benchmark.retrieval.two_types.count_pairs", spy)
    done: list[int] = []
    how = {"device": "cpu", "memory_bytes": 99, "progress": done.append}
    for distractors in ("own", "all"):
        group_recall(rows, photos, np.array([0, 0, 1]), distractors=distractors, **how)
    pair_retrieval(rows, np.array([0, 1, 2] * 2), np.array(["a"] * 3 + ["b"] * 3), device="cpu", memory_bytes=77)
    assert calls == [
        {"photos": photos.tolist(), "everywhere": False, **how},
        {"photos": photos.tolist(), "everywhere": True, **how},
        {"photos": photos.tolist(), "device": "cpu", "memory_bytes": 77},
    ]


@pytest.mark.parametrize("memory", [1, 1 << 28])
def test_nearest_of_same_type__of_equal_ones_the_first_also_across_blocks(memory: int) -> None:
    """Four pairs; photos 2, 4 and 6 are copies, so that the query of pair 0 has three equal distractors."""
    rows = np.array([[1, 0], [0, 1], [3, 4], [1, 1], [3, 4], [1, 2], [6, 8], [2, 1]], float)
    ids, types = np.repeat(np.arange(4), 2), np.array(list("abababab"))
    queries = [(1, 3), (0, 0), (0, 1), (0, 3), (1, 0)]
    made = nearest_of_same_type(rows, ids, types, queries, memory_bytes=memory)
    assert [(one.query, one.target, one.distractor) for one in made] == [
        (7, 6, 3),
        (0, 1, 2),
        (2, 3, 4),
        (6, 7, 2),
        (1, 0, 5),
    ]
    assert [one.distractor_similarity for one in made] == pytest.approx([3 / 10**0.5, 0.6, 1, 1, 2 / 5**0.5])
