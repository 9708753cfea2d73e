"""Pairs that the camera loses, costs at the edges of their parts, and calls of tasks about scenes, by hand."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.retrieval
import benchmark.robustness
from benchmark.retrieval import held_bytes, recall_bytes
from benchmark.robustness import Statistic, variance_bytes
from benchmark.tasks import Seconds, all_tasks
from benchmark.tasks.groups.neighbours import ROBUSTNESS_METRICS, _outcome, searched
from benchmark.tasks.scenes import cost, group_retrieval
from benchmark.tasks.scenes.group_retrieval import pairs_by_difference
from benchmark.tasks.scenes.scene_table import blocks_of, scene_table, scene_units
from builders.photos import Labels, PhotoSet, hash64
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


def clock(seen, seconds=lambda photos: 1.0):
    def clocked(photos):
        seen.append(len(photos))
        return Seconds(seconds(photos), 3 * seconds(photos))

    return clocked


NO_ROWS = np.zeros((0, 8))


@pytest.mark.parametrize(
    ("shape", "runs"),
    [
        ((3, 40, 1), [120, 120]),  # 1,560 ordered pairs of groups are run as they are
        ((3, 41, 1), [48, 48, 120, 48, 12]),  # 1,640 are not: parts of 16, 40, 16 and 4 groups
        ((2886, 2, 1), [5772, 5772]),  # 3 x 2886**2 similarities are below 25 million
        ((2887, 2, 1), [16, 16, 32, 800, 3200]),
    ],
)
def test_group_cost__small_designs_are_run_whole(shape, runs):
    photos, seen = scene_photos(*shape), []
    estimate = PAIRS.cost(input_of(photos, NO_ROWS), 8, clock(seen))
    assert seen == runs
    present = np.ones((shape[1], shape[0]), bool)
    blocks = min(shape[0], 400)
    assert estimate.memory_bytes == recall_bytes(present, blocks, 8, distractors="both")
    everywhere = PAIRS.cost(input_of(photos, NO_ROWS, distractors="all"), 8, clock([]))
    assert everywhere.memory_bytes == recall_bytes(present, blocks, 8, distractors="all")


@pytest.mark.parametrize(("scenes", "rate"), [(399, False), (400, True)])
def test_group_cost__a_rate_where_a_part_tells_similarities_from_pairs(scenes, rate):
    text = PAIRS.cost(
        input_of(scene_photos(scenes, 45, 1), NO_ROWS), 8, clock([], lambda some: 1e-6 * len(some) ** 2)
    ).text
    similarities = 45 * scenes * scenes + 45 * 44 // 2 * scenes * scenes
    assert text.startswith(f"45 groups x {scenes} scenes, {similarities:,} similarities")
    assert (" ns each" in text) is rate


def test_pairs_cost__incomplete_pairs_do_not_count():
    photos = twos(2000)
    photos = photos.select([i for i in range(4000) if i not in (3, 2005)])  # pairs 3 and 5 lack a photo
    seen = []
    estimate = PAIRS.cost(input_of(photos, NO_ROWS), 16, clock(seen, lambda some: 1e-3 * len(some)))
    assert seen == [750, 750, 3000]
    assert (estimate.text, estimate.seconds) == ("1,998 pairs", pytest.approx(2e-3 * 1998))
    assert estimate.processor_s == pytest.approx(6e-3 * 1998)
    assert estimate.memory_bytes == held_bytes(np.ones((2, 1998), bool), 16, everywhere=True)
    few = []
    PAIRS.cost(input_of(twos(40), NO_ROWS), 16, clock(few))
    assert few == [80, 80, 80]


@pytest.mark.parametrize(
    ("shape", "runs"),
    [((2000, 10, 1), [20_000, 20_000]), ((2001, 10, 1), [1000, 1000, 2000]), ((150, 20, 7), [21_000, 21_000])],
)
def test_variance_cost__whole_up_to_20000_photos_then_200_scenes_and_half_as_many(shape, runs):
    photos, seen = scene_photos(*shape), []
    estimate = VARIANCE.cost(input_of(photos, NO_ROWS), 4, clock(seen, lambda some: 2.0 + 1e-3 * len(some)))
    n = len(photos)
    assert seen == runs
    assert estimate.seconds == pytest.approx(2 + 1e-3 * n)
    assert estimate.text == f"{n:,} photos of {shape[0]:,} scenes"
    scene = np.arange(n) % shape[0]
    factors = {"scene": scene, "scanner": np.arange(n) // (shape[0] * shape[2])}
    if shape[2] > 1:
        factors["staining"] = np.arange(n) // shape[0] % shape[2]
    blocks = blocks_of(scene_units(photos, np.arange(n)), 100)
    assert estimate.memory_bytes == variance_bytes(factors, blocks, 4)


def spied(monkeypatch, module, name):
    real, calls = getattr(module, name), []

    def spy(*args, **more):
        calls.append((args, more))
        return real(*args, **more)

    monkeypatch.setattr(module, name, spy)
    return calls


@pytest.mark.parametrize("distractors", ["own", "all"])
def test_groups__what_the_search_and_its_bar_receive(distractors, monkeypatch):
    calls = spied(monkeypatch, benchmark.retrieval, "group_recall")
    bars = spied(monkeypatch, group_retrieval, "step_bar")
    monkeypatch.setattr(
        "benchmark.compute.exact_device", lambda device: f"exact {device}" if device != "cpu" else "cpu"
    )
    photos, rows = scene_photos(5, 3, 2), np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    PAIRS.run(input_of(photos, rows, distractors=distractors))
    (((view, table, blocks), more),) = calls
    np.testing.assert_array_equal(view, rows)
    assert table.tolist() == np.arange(30).reshape(6, 5).tolist()
    assert blocks.tolist() == [0, 1, 2, 3, 4]
    assert {**more, "progress": None} == {"distractors": distractors, "device": "cpu", "progress": None}
    total = 6 * 25 + 15 * 25
    assert [given for _, given in bars] == [
        {"total": total, "desc": "retrieval/pairs", "unit": "pair", "unit_scale": True}
    ]


def test_variance__at_most_a_hundred_parts_of_the_scenes(monkeypatch):
    calls = spied(monkeypatch, benchmark.robustness, "variance_components")
    photos, rows = scene_photos(103, 2, 1), np.random.default_rng(0).normal(size=(206, 3)).astype(np.float32)
    scores = VARIANCE.run(input_of(photos, rows)).scores
    (((view, factors, blocks), more),) = calls
    assert ({name: codes.tolist() for name, codes in factors.items()}, more) == (
        {"scene": [*range(103)] * 2, "scanner": [0] * 103 + [1] * 103},
        {},
    )
    np.testing.assert_array_equal(view, rows)
    assert (blocks.max(), blocks[:103].tolist()) == (99, blocks[103:].tolist())
    assert {score.details["units"] for score in scores} == {100}


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


def test_group_statistics__one_that_no_neighbour_decides_is_a_note_of_those_that_follow():
    n = 24
    photos = PhotoSet.of_bytes("toy", {f"{i}": b"" for i in range(n)}, ["a", "b"] * (n // 2))
    photos = dataclasses.replace(
        photos,
        groups={"g": Labels(("x", "y"), (np.arange(n) // 2 % 2).astype(np.int32))},
        columns={"cluster": np.array([f"c{i // 4}" for i in range(n)])},
        neighbours=3,
    )
    inputs = input_of(photos, np.random.default_rng(0).normal(size=(n, 4)).astype(np.float32), resamples=200)
    search = searched("g", inputs)
    blocks = search.data.cells.blocks
    whole = Statistic(0.5, np.linspace(0.4, 0.6, len(blocks.strata)), None, 0.4)
    unknown = whole._replace(value=np.nan)
    statistics = {"index": whole, "balanced": unknown, "decides": whole}
    more = {"decides": {"further": 1}}
    outcome = _outcome("robustness/g", ROBUSTNESS_METRICS, statistics, search, inputs, more, ["A note."])
    first, last = outcome.scores
    assert [(score.task, score.metric, score.chance) for score in outcome.scores] == [
        ("robustness/g", "index", 0.4),
        ("robustness/g", "decides", 0.4),
    ]
    assert first.details["notes"] == [*search.data.details().get("notes", []), "A note."]
    assert last.details["notes"] == [*first.details["notes"], "balanced index: no neighbour decides."]
    assert ("further" in first.details, last.details["further"]) == (False, 1)
    assert {name for name in outcome.answers if name.startswith("chance-")} == {"chance-index", "chance-decides"}


def test_similarities__of_every_two_groups_once_and_of_each_to_itself():
    present = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [1, 0, 0, 0]], bool)
    assert cost.similarities(present) == 9 + 4 + 1 + 3 * 2 + 3 * 1 + 2 * 1
    # groups 0 and 1 share a scene, 0 and 2 share one
    assert cost.design_amounts(present, 7) == [4, 28, cost.similarities(present)]
    assert cost.design_amounts(present, 7, everywhere=True)[3] == 3 * (1 + 1 + 1 + 1)
    fit = cost.fitted([[1, 0], [0, 2]], [Seconds(3, 5), Seconds(4, 8)], [10, 10])
    assert (fit.wall, fit.processor, fit.each.tolist()) == (30 + 20, 50 + 40, [5, 4])
    none = cost.fitted([[0, 2]], [Seconds(4, 8)], [5, 3])  # an amount that no part has takes no time
    assert (none.wall, none.processor) == (6, 12)


def test_part__groups_with_most_photos_and_scenes_that_most_of_them_show():
    photos = np.array([[0, -1, 2, 3], [4, -1, -1, -1], [5, 6, 7, -1], [8, 9, -1, 10]])
    table = SimpleNamespace(photos=photos)
    # groups 0, 2 and 3 have three photos each; of their scenes 0 is in three, the others in two
    assert cost.part_of(table, 3, 1).tolist() == [0, 5, 8]
    draw = np.random.default_rng(5).random(4)
    two = min((1, 2, 3), key=lambda scene: draw[scene])
    expected = sorted(int(p) for p in photos[[0, 2, 3]][:, [0, two]].ravel() if p >= 0)
    assert cost.part_of(table, 3, 2).tolist() == expected
    assert cost.part_of(table, 9, 9).tolist() == sorted(p for p in photos.ravel().tolist() if p >= 0)
