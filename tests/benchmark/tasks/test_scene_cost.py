"""Estimated cost of tasks about scenes: from hand-made clocks, and memory against what arrays really take."""

import itertools
import tracemalloc

import numpy as np
import pytest

from benchmark.retrieval import group_recall, recall_bytes
from benchmark.robustness import variance_bytes, variance_components
from benchmark.tasks import Seconds, all_tasks
from builders.photos import PhotoSet
from tests.support.scenes import input_of, scene_photos

TASKS = all_tasks()
NO_ROWS = np.zeros((0, 8))


def design(photos):
    """(Groups, scenes, ordered pairs of groups with a common scene, similarities) of photos, one by one."""
    scenes_of = {}
    for i in range(len(photos)):
        key = tuple(int(group.values[i]) for group in photos.groups.values())
        scenes_of.setdefault(key, set()).add(str(photos.columns["scene"][i]))
    both = [(a, b) for a, b in itertools.permutations(scenes_of.values(), 2) if a & b]
    products = [len(a) * len(b) for a, b in itertools.combinations_with_replacement(scenes_of.values(), 2)]
    return len(scenes_of), len(set.union(*scenes_of.values())), len(both), sum(products)


def clock(seconds, seen):
    """What runs a task on photos: made-up wall seconds, twice as many of the processor."""

    def clocked(photos):
        seen.append(photos)
        return Seconds(seconds(photos), 2 * seconds(photos))

    return clocked


def of_design(photos):
    _, scenes, directions, similarities = design(photos)
    return 2e-4 * directions + 3e-6 * directions * min(scenes, 400) + 4e-8 * similarities


def test_groups__time_of_the_whole_design_from_small_parts_of_it():
    photos, seen = scene_photos(500, 9, 5), []
    cost = TASKS["retrieval/pairs"].cost(input_of(photos, NO_ROWS), 8, clock(of_design, seen))
    assert cost.seconds == pytest.approx(of_design(photos), rel=1e-6)
    assert cost.processor_s == pytest.approx(2 * of_design(photos), rel=1e-6)
    assert cost.text == "45 groups x 500 scenes, 258,750,000 similarities at 80 ns each"
    assert {design(part)[:2] for part in seen} == {(16, 8), (40, 16), (16, 400), (4, 500)}


def test_groups__photos_are_missing():
    photos, rng = scene_photos(300, 10, 5), np.random.default_rng(0)
    photos = photos.select(
        np.flatnonzero(rng.random(len(photos)) < rng.choice([0.2, 0.9], len(photos) // 50, True).repeat(50))
    )
    cost = TASKS["retrieval/pairs"].cost(input_of(photos, NO_ROWS), 8, clock(of_design, []))
    assert cost.seconds == pytest.approx(of_design(photos), rel=0.05)


def test_groups__a_small_set_is_run_as_it_is():
    photos, seen = scene_photos(20, 3, 2), []
    cost = TASKS["retrieval/pairs"].cost(input_of(photos, NO_ROWS), 8, clock(lambda some: 7.0, seen))
    assert (cost.seconds, cost.processor_s) == (7.0, 14.0)
    assert [part.ids for part in seen] == [photos.ids] * 2


def test_groups__distractors_of_all_groups_search_the_targets_of_all():
    photos = scene_photos(500, 9, 5)

    def seconds(some):
        groups, scenes, directions, similarities = design(some)
        return 1e-4 * directions + 5e-8 * similarities + 2e-7 * directions * scenes * groups

    inputs = input_of(photos, NO_ROWS, distractors="all")
    cost = TASKS["retrieval/pairs"].cost(inputs, 8, clock(seconds, []))
    assert cost.seconds == pytest.approx(seconds(photos), rel=1e-6)


def test_groups__one_scene_in_all_is_refused_as_by_the_task():
    photos = scene_photos(1, 3, 2)
    inputs = input_of(photos, np.ones((6, 8)))
    with pytest.raises(Exception, match="scene") as of_task:
        TASKS["retrieval/pairs"].run(inputs)
    with pytest.raises(type(of_task.value), match="scene"):
        TASKS["retrieval/pairs"].cost(inputs, 8, clock(of_design, []))


def test_pairs__of_two_types_stay_whole():
    n, seen = 5_000, []
    photos = PhotoSet.of_bytes("twos", {f"{i}-{kind}": b"" for i in range(n) for kind in "ab"})
    columns = {"pair_id": np.arange(n).repeat(2).astype(str), "camera_type": np.tile(["phone", "camera"], n)}
    photos.columns.update(columns)

    def seconds(some):
        assert (np.unique(some.columns["pair_id"], return_counts=True)[1] == 2).all()
        pairs = len(some) // 2
        return 1e-4 * pairs + 3e-7 * pairs**2

    cost = TASKS["retrieval/pairs"].cost(input_of(photos, NO_ROWS), 8, clock(seconds, seen))
    assert cost.seconds == pytest.approx(1e-4 * n + 3e-7 * n**2)
    assert {len(part) for part in seen} == {750, 3000}


def test_variance__scenes_are_left_out_and_groups_stay():
    photos, seen = scene_photos(700, 9, 5), []
    task = TASKS["variance/components"]
    cost = task.cost(input_of(photos, NO_ROWS), 8, clock(lambda some: 0.5 + 1e-3 * len(some), seen))
    assert cost.seconds == pytest.approx(0.5 + 31.5)
    assert cost.text == "31,500 photos of 700 scenes"
    assert {design(part)[:2] for part in seen} == {(45, 100), (45, 200)}


def peak_bytes(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory__of_retrieval_is_what_its_arrays_take():
    distractors, groups, scenes, block = "both", 20, 40, 1 << 16
    table = np.arange(groups * scenes).reshape(groups, scenes)
    rows = np.random.default_rng(0).normal(size=(table.size, 4)).astype(np.float32)
    blocks = np.arange(scenes)
    options = {"distractors": distractors, "memory_bytes": block}
    expected = recall_bytes(table >= 0, scenes, 4, **options)
    assert peak_bytes(lambda: group_recall(rows, table, blocks, **options)) == pytest.approx(expected, rel=0.15)


def test_memory__of_blocks_is_bounded__and_little_for_little():
    def held(scenes, dimension):
        return recall_bytes(np.ones((2, scenes), bool), 2, dimension) - 2 * 2 * scenes * (4 + 2 * 2) - 8 * 6 * 4 * 2

    assert held(100, 8) == 16 * 100**2 + 48 * 100 * 8
    assert held(100, 1000) == 2 * 100 * 32 * 1000
    assert held(20_000, 8) == 1 << 28


def test_memory__of_variance_is_what_its_sums_take():
    scene, device, setting = (part.reshape(-1) for part in np.indices((80, 30, 2)))
    rows = np.random.default_rng(0).normal(size=(len(scene), 64)).astype(np.float32)
    factors = {"scene": scene, "device": device, "setting": setting}
    expected = variance_bytes(factors, scene, 64)
    assert peak_bytes(lambda: variance_components(rows, factors, scene)) == pytest.approx(expected, rel=0.25)
