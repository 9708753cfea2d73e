"""Recall of every pair of groups against a loop over queries in float32, on cosines that are exact there."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from benchmark.retrieval import (
    RANKS,
    count_pairs,
    group_recall,
    median_chance,
    median_cosine,
    median_recall,
    pair_retrieval,
)
from tests.support.scenes import exact_embeddings, float32_recall

SCENES, GROUPS = 25, 6


def planted(missing: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows in random order and the table of them; some photos are missing."""
    rng = np.random.default_rng(seed)
    rows = exact_embeddings(SCENES, 3, 2, seed, flips=(0.15, 0.3, 0.25))
    order = rng.permutation(len(rows))
    table = np.argsort(order).reshape(GROUPS, SCENES)
    return rows[order], np.where(rng.random(table.shape) < missing, -1, table)


@pytest.mark.parametrize(("distractors", "missing"), [("target", 0.0), ("own", 0.3), ("both", 0.0), ("all", 0.3)])
def test_group_recall__equals_a_loop_over_queries_in_float32(distractors: str, missing: float) -> None:
    rows, table = planted(missing)
    recall = group_recall(rows, table, np.arange(SCENES) % 7, distractors=distractors)
    seen = set()
    for (i, k), (a, b) in itertools.product(enumerate(RANKS), itertools.permutations(range(GROUPS), 2)):
        expected = float32_recall(rows, table, a, b, k, distractors)
        assert recall.recall[i, a, b] == pytest.approx(np.mean(expected), abs=1e-12)
        assert recall.scenes[a, b].sum() == len(expected)
        seen.add(round(float(recall.recall[i, a, b]), 6))
    assert len(seen) > 10  # the cells differ, and are neither all 0 nor all 1


@pytest.mark.parametrize("ends", list(itertools.combinations(range(GROUPS), 2))[::4])
def test_group_recall__chance_and_cosine_are_those_of_their_definition(ends: tuple[int, int]) -> None:
    rows, table = planted(0.3)
    recall = group_recall(rows, table, np.zeros(SCENES, int), distractors="all")
    a, b = ends
    both = np.flatnonzero((table[a] >= 0) & (table[b] >= 0))
    candidates = [sum(table[g, t] >= 0 for g in range(GROUPS) for t in range(SCENES) if t != s) + 1 for s in both]
    assert recall.chances[3, a, b] == pytest.approx(np.mean([min(1, 10 / n) for n in candidates]))
    assert recall.distractors[a, b] == pytest.approx(np.mean(candidates) - 1)
    assert recall.cosine[a, b] == pytest.approx(np.mean([rows[table[a, s]] @ rows[table[b, s]] for s in both]))
    apart = [
        rows[table[a, s]].astype(float) @ rows[table[b, t]]
        for s, t in itertools.permutations(range(SCENES), 2)
        if table[a, s] >= 0 and table[b, t] >= 0
    ]
    assert recall.apart[a, b] == pytest.approx(np.mean(apart))
    assert np.isnan(np.diagonal(recall.recall[0])).all()


def test_group_recall__chance_is_reached_by_embeddings_that_are_equal() -> None:
    rows, table = planted(0.2)
    for distractors in ("target", "own", "both", "all"):
        recall = group_recall(np.ones_like(rows), table, np.zeros(SCENES, int), distractors=distractors)
        there = ~np.eye(GROUPS, dtype=bool)
        np.testing.assert_allclose(recall.recall[:, there], recall.chances[:, there])


def test_group_recall__means_are_over_all_pairs_of_a_scene() -> None:
    rows, table = planted(0.3)
    recall = group_recall(rows, table, np.zeros(SCENES, int), distractors="all")
    for name, distractors in (("same", "target"), ("different", "own"), ("all", "all")):
        of_scene: dict[int, list[float]] = {s: [] for s in range(SCENES)}
        for a, b in itertools.permutations(range(GROUPS), 2):
            both = np.flatnonzero((table[a] >= 0) & (table[b] >= 0))
            for s, value in zip(both, float32_recall(rows, table, a, b, 1, distractors), strict=True):
                of_scene[int(s)].append(value)
        expected = [np.mean(of_scene[s]) if of_scene[s] else np.nan for s in range(SCENES)]
        np.testing.assert_allclose(recall.by_scene[name], expected)


def test_group_recall__two_groups_are_pair_retrieval() -> None:
    rng = np.random.default_rng(0)
    scenes, cameras = rng.normal(size=(60, 20)), rng.normal(size=(2, 1, 20))
    rows = (scenes + cameras + 0.7 * rng.normal(size=(2, 60, 20))).reshape(120, 20)
    answers = pair_retrieval(rows, np.arange(120) % 60, np.arange(120) // 60)
    recall = group_recall(rows, np.arange(120).reshape(2, 60), np.arange(60))
    assert 0.05 < answers.values["different"] < answers.values["same"] < 1
    for name in ("same", "different"):
        assert recall.by_scene[name].tolist() == answers.per_pair()[name].tolist()
        assert recall.mean_chances[name] == pytest.approx(answers.chance[name])
    assert [recall.recall[0, 0, 1], recall.recall[0, 1, 0]] == answers.plain_recall().mean(axis=1).tolist()


@pytest.mark.slow
@pytest.mark.parametrize("everywhere", [False, True])
def test_count_pairs__memory_changes_nothing(everywhere: bool) -> None:
    rows, table = planted(0.2)
    large = list(count_pairs(rows, table, everywhere=everywhere))
    for memory_bytes in (1, 150_000):
        small = list(count_pairs(rows, table, everywhere=everywhere, memory_bytes=memory_bytes))
        for one, other in zip(small, large, strict=True):
            for name in ("scenes", "nearer", "tied", "distractors", "cosine"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_median__and_what_it_is_without_a_block_of_scenes() -> None:
    rows, table = planted(0.0)
    blocks = np.arange(SCENES) % 5
    among = np.zeros((GROUPS, GROUPS), bool)
    pairs = [(0, 1), (0, 3), (2, 5), (1, 4)]
    for a, b in pairs:
        among[a, b] = among[b, a] = True
    recall = group_recall(rows, table, blocks)

    def expected(scenes: np.ndarray) -> float:
        of_pairs = [
            np.mean([float32_recall(rows, table, *ends, 3) for ends in ((a, b), (b, a))], axis=0)[scenes].mean()
            for a, b in pairs
        ]
        return float(np.median(of_pairs))

    median = median_recall(recall, 1, among)
    assert median.pairs == 4
    assert median.value == pytest.approx(expected(np.arange(SCENES)))
    for block in range(5):
        assert median.without[block] == pytest.approx(expected(np.flatnonzero(blocks != block)))
    assert median_chance(recall.chances[1], among) == pytest.approx(3 / (2 * SCENES - 1))
    of_pairs = [np.mean([rows[table[a, s]] @ rows[table[b, s]] for s in range(SCENES)]) for a, b in pairs]
    assert median_cosine(recall, among).value == pytest.approx(np.median(of_pairs))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = median_recall(group_recall(rows, table, np.zeros(SCENES, int)), 1, among)
    assert whole.value == median.value
    assert np.isnan(whole.without).tolist() == [True]
