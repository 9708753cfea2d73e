"""Pairs that the camera loses, costs at the edges of their parts, and calls of tasks about scenes, by hand."""

import dataclasses

import numpy as np
import pytest

from benchmark.tasks import all_tasks
from benchmark.tasks.scenes.group_retrieval import pairs_by_difference
from benchmark.tasks.scenes.scene_table import scene_table
from builders.photos import PhotoSet, hash64
from tests.support.scenes import input_of, scene_photos

PAIRS, VARIANCE = all_tasks()["retrieval/pairs"], all_tasks()["variance/components"]


def twos(n: int) -> PhotoSet:
    """n pairs of a phone and a camera, in the order of phones and then of cameras."""
    photos = PhotoSet.of_bytes("twos", {f"{kind}-{i}": b"" for kind in ("ph", "ca") for i in range(n)})
    columns = {"pair_id": np.tile([f"s{i}" for i in range(n)], 2), "camera_type": np.repeat(["phone", "camera"], n)}
    return dataclasses.replace(photos, columns=columns)


@pytest.mark.parametrize("seed", [0, 6])
def test_lost__twelve_examples_those_of_the_camera_first_then_by_hash(seed):
    n, rng = 20, np.random.default_rng(2)
    rows = rng.normal(size=(1, n, 8)) + 1.6 * rng.normal(size=(2, 1, 8)) + 0.9 * rng.normal(size=(2, n, 8))
    rows = rows.reshape(2 * n, 8).astype(np.float32)
    photos = twos(n)
    details = {s.metric: s.details for s in PAIRS.run(input_of(photos, rows, seed=seed)).scores}["different"]["lost"]
    unit = rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
    similar = unit @ unit.T
    lost = {}
    for i in range(2 * n):
        target = (i + n) % (2 * n)
        alike = [j for j in range(2 * n) if j // n == i // n and j != i]
        others = [j for j in range(2 * n) if j // n != i // n and j != target]
        if similar[i, alike].max() > similar[i, target]:
            lost[i] = bool(similar[i, others].max() < similar[i, target])
    columns = photos.columns
    order = sorted(
        lost,
        key=lambda i: (not lost[i], hash64(f"lost\0{seed}\0{columns['pair_id'][i]}\0{columns['camera_type'][i]}")),
    )
    assert len(lost) > 12 > sum(lost.values()) > 2
    assert [one["query"] for one in details["shown"]] == [photos.ids[i] for i in order[:12]]
    assert [one["by_camera"] for one in details["shown"]] == [lost[i] for i in order[:12]]
    assert {name: details[name] for name in ("queries", "lost", "by_camera")} == {
        "queries": 40,
        "lost": len(lost),
        "by_camera": sum(lost.values()),
    }
    assert list(details["shown"][0]) == [
        *("query", "target", "distractor", "camera", "target_camera"),
        *("target_similarity", "distractor_similarity", "by_camera"),
    ]


def test_lost__of_an_encoder_that_loses_none_nothing_is_shown():
    rows = np.tile(np.eye(5, dtype=np.float32), (2, 1))
    details = {s.metric: s.details for s in PAIRS.run(input_of(twos(5), rows)).scores}["different"]["lost"]
    assert details == {"queries": 10, "lost": 0, "by_camera": 0, "shown": []}


def test_by_difference__names_of_every_combination_that_has_pairs():
    photos = scene_photos(3, 2, 2)
    table = scene_table(photos, np.ones(12, bool))
    named = pairs_by_difference(table)
    assert list(named) == ["", "other-scanner-", "other-staining-", "other-scanner-staining-"]
    expected = {
        "": [[a != b for b in range(4)] for a in range(4)],
        "other-scanner-": [[a // 2 != b // 2 and a % 2 == b % 2 for b in range(4)] for a in range(4)],
        "other-staining-": [[a // 2 == b // 2 and a % 2 != b % 2 for b in range(4)] for a in range(4)],
        "other-scanner-staining-": [[a // 2 != b // 2 and a % 2 != b % 2 for b in range(4)] for a in range(4)],
    }
    assert {name: among.tolist() for name, among in named.items()} == expected
    one = scene_table(scene_photos(3, 3, 1), np.ones(9, bool))
    assert list(pairs_by_difference(one)) == [""]
