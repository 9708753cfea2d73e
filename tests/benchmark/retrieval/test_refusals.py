"""Refusals of retrieval as whole sentences, what its progress counts, and memory by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.retrieval import (
    COLLECTIONS,
    COLLECTIONS_OF,
    RANKS,
    count_pairs,
    nearest_of_same_type,
    pair_retrieval,
)

IDS, TYPES = [7, 7, 8, 8], ["old", "phone", "old", "phone"]


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
