"""What tasks draw by a hash of the seed and an id, or by a fixed seed: each draw by a plain loop."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.stats
from benchmark.options import RunOptions
from benchmark.robustness import Cells
from benchmark.tasks import TaskInput, all_tasks
from benchmark.tasks import knn as knn_tasks
from benchmark.tasks.copies import drawn_half
from benchmark.tasks.groups.probe import _balanced
from benchmark.tasks.knn import QuerySet, balanced_queries
from benchmark.tasks.scenes.scene_table import blocks_of
from builders.photos import Labels, PhotoSet, hash64, labels_of


def photos_of(n: int, splits=None, **changes) -> PhotoSet:
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(n)}, None, splits)
    return dataclasses.replace(photos, **changes)


def input_of(photos: PhotoSet, rows: np.ndarray, **more) -> TaskInput:
    bank = SimpleNamespace(view=lambda name, at: rows[at], dim=rows.shape[1], names=())
    options = RunOptions(resamples=200, **more.pop("options", {}))
    return TaskInput(photos, np.ones(len(photos), bool), bank, options, "cpu", **more)


@pytest.mark.parametrize("seed", [0, 12])
def test_queries__class_by_class_in_the_order_of_their_hash(seed):
    label = [0] * 9 + [1] * 2 + [2] * 5
    photos = photos_of(16, labels=Labels(("a", "b", "c"), np.array(label, np.int32)))
    value = [hash64(f"queries\0{seed}\0p{i}") for i in range(16)]
    test = [i for i in range(16) if i != 3]
    rank = {i: sum(label[j] == label[i] and value[j] < value[i] for j in test) for i in test}
    for count in (1, 4, 7, 15, 30):
        expected = sorted(sorted(test, key=lambda i: (rank[i], value[i]))[:count])
        options = RunOptions(queries=count, seed=seed)
        assert balanced_queries(photos, np.array(test), options).tolist() == expected


@pytest.mark.parametrize("seed", [0, 5])
def test_halves__units_by_the_hash_of_their_first_photo(seed):
    units, ids = np.array([7, 3, 7, 9, 1, 3, 1, 8, 8]), list("ihgfedcba")
    first = {unit: ids[units.tolist().index(unit)] for unit in set(units.tolist())}
    ordered = sorted(first, key=lambda unit: hash64(f"copies\0{seed}\0{first[unit]}"))
    assert drawn_half(units, ids, seed).tolist() == [unit in ordered[:2] for unit in units.tolist()]
    even = drawn_half(units[:7], ids[:7], seed)
    in_order = [unit for unit in ordered if unit != 8]
    assert even.tolist() == [unit in in_order[:2] for unit in units[:7].tolist()]


def test_copies__the_halves_of_the_seed_and_intervals_over_their_clusters(monkeypatch):
    n = 24
    cluster = np.array([f"c{i // 3}" for i in range(n)])
    photos = photos_of(n, ["train"] * 6 + ["val"] * 18, columns={"cluster": cluster})
    rows = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    calls, thresholds = [], []
    bootstrap, threshold = benchmark.stats.bootstrap_interval, benchmark.stats.threshold_at
    monkeypatch.setattr(
        benchmark.stats,
        "bootstrap_interval",
        lambda *args, **more: calls.append((args, more)) or bootstrap(*args, **more),
    )
    monkeypatch.setattr(
        benchmark.stats,
        "threshold_at",
        lambda values, rate: thresholds.append((len(values), rate)) or threshold(values, rate),
    )
    task = all_tasks()["copies/processed"]
    for seed in (0, 3):
        calls.clear()
        thresholds.clear()
        outcome = task.run(input_of(photos, rows, options={"seed": seed}))
        chooses = drawn_half(np.arange(18) // 3, photos.ids[6:], seed)
        assert outcome.answers["chooses"].tolist() == chooses.tolist()
        (((_, count), more),) = calls
        assert count == chooses.sum() == 9
        codes = more["clusters"].tolist()
        assert [codes.index(code) for code in codes] == [0, 0, 0, 3, 3, 3, 6, 6, 6]
        assert thresholds[0] == (9, 0.01)
        assert {rate for _, rate in thresholds} == {0.01}


@pytest.mark.parametrize(
    ("queries", "least"), [(9, 0), (10, 1), (239, 23), (9_999, 999), (10_010, 1000), (25_000, 1000)]
)
def test_jitters__of_a_tenth_of_the_queries_at_least_and_at_most_a_thousand(queries, least, monkeypatch):
    calls = []

    def sample(inputs, test, classes, collection, **more):
        calls.append((test, classes, collection, more))
        return test[[3, 5]]

    def jitters(*args, **more):
        calls.append((args, more))
        return SimpleNamespace(worst="worst", flipped="flipped")

    monkeypatch.setattr(knn_tasks, "sampled_queries", sample)
    monkeypatch.setattr("benchmark.knn.extremes_of_jitters", jitters)
    train, test = np.arange(4), np.arange(10, 10 + 2 * queries, 2)
    photos = SimpleNamespace(labels=SimpleNamespace(values=np.arange(10 + 2 * queries)), neighbours=6)
    inputs = SimpleNamespace(
        photos=photos, view=lambda name, at: (name, at.tolist()), options=RunOptions(seed=2), device="cpu"
    )
    made = knn_tasks._jitter_answers(inputs, QuerySet(train, test, test), ("a", "b"))
    assert (made["jitter_sample"].tolist(), made["jitter_worst"], made["jitter_flipped"]) == (
        [3, 5],
        "worst",
        "flipped",
    )
    (of_test, *numbers), (given, how) = calls
    assert (of_test is test, numbers) == (True, [2, 4, {"least": least}])
    assert given[:2] == ([("a", [0, 1, 2, 3]), ("b", [0, 1, 2, 3])], [("a", [16, 20]), ("b", [16, 20])])
    assert [part.tolist() for part in given[2:]] == [[0, 1, 2, 3], [16, 20]]
    assert how == {"k": 6, "rule": "nearest", "seed": 2, "device": "cpu"}


def of_groups(cells: dict[tuple[str, str], int], photos: int = 2, splits=None) -> PhotoSet:
    """So many clusters of two photos each in each cell of a label and a group, photos of a cluster far apart."""
    rows = [(label, group, f"{label}{group}{c}") for (label, group), n in cells.items() for c in range(n)]
    listed = [row for _ in range(photos) for row in rows]
    label, group, cluster = zip(*listed, strict=True)
    return photos_of(
        len(listed),
        splits,
        labels=labels_of(label),
        groups={"g": labels_of(group)},
        columns={"cluster": np.array(cluster)},
    )


def test_balanced__equally_many_of_each_cell_of_labels_with_all_groups():
    label = np.repeat([0, 1, 2, 0, 1], [7, 6, 4, 1, 1])
    group = np.repeat([0, 1, 0, 1, 0], [4, 3, 2, 8, 2])
    data = SimpleNamespace(cells=Cells.of(label, group, np.arange(19)))
    positions = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 13, 14, 17, 18])  # label 2 has one group
    counts = {(la, g): [p for p in positions if (label[p], group[p]) == (la, g)] for la in (0, 1) for g in (0, 1)}
    each = min(map(len, counts.values()))
    order = np.random.default_rng(17).permutation(len(positions))
    expected = [
        p for of_cell in counts.values() for p in [positions[o] for o in order if positions[o] in of_cell][:each]
    ]
    assert (each, _balanced(data, positions).tolist()) == (2, sorted(int(p) for p in expected))
    alone = _balanced(data, np.array([13, 14, 15]))  # no label has both groups
    assert (alone.tolist(), alone.dtype) == ([], positions.dtype)


def test_blocks__more_units_than_parts_are_shuffled_by_a_fixed_seed():
    units = SimpleNamespace(index=np.array([4, 4, 9, 2, 7, 11, 0]))
    code = np.array([2, 2, 4, 1, 3, 5, 0])
    for most in (2, 4, 5):
        expected = (np.random.default_rng(11).permutation(6) % most)[code]
        assert blocks_of(units, most).tolist() == expected.tolist()
    assert blocks_of(units).tolist() == code.tolist()
    many = blocks_of(SimpleNamespace(index=np.arange(401)))
    assert sorted(np.bincount(many).tolist()) == [1] * 399 + [2]


def test_answers__questions_are_drawn_by_the_seed():
    seeds = []
    rule = SimpleNamespace(questions=lambda photos, seed: seeds.append(seed) or ())
    inputs = input_of(photos_of(3), np.zeros((3, 2)), options={"seed": 31})
    inputs = dataclasses.replace(inputs, answers=SimpleNamespace(rule=rule, views=(), name="vlm"))
    with pytest.raises(Exception, match=r"^toy: no photo with a question can be used$"):
        all_tasks()["answers/jpeg"].run(inputs)
    assert seeds == [31]


@pytest.mark.parametrize(
    ("train", "test", "is_shuffled"),
    [
        # in training clusters of each label have both groups; in the test each label has one cluster
        ({("a", "x"): 3, ("a", "y"): 3, ("b", "x"): 3, ("b", "y"): 3}, {("a", "x"): 1, ("b", "y"): 1}, True),
        # in training a label has one group: nothing can be exchanged, whatever the test has
        ({("a", "x"): 4, ("b", "y"): 4}, {("a", "x"): 2, ("a", "y"): 2, ("b", "x"): 2, ("b", "y"): 2}, False),
    ],
)
def test_group_probe__groups_are_shuffled_where_training_has_something_to_exchange(train, test, is_shuffled):
    rows = [(label, group, f"{split}{label}{group}{c}", split)
            for split, cells in (("train", train), ("val", test))
            for (label, group), n in cells.items() for c in range(n) for _ in range(2)]  # fmt: skip
    label, group, cluster, split = map(list, zip(*rows, strict=True))
    photos = photos_of(
        len(rows),
        split,
        labels=labels_of(label),
        groups={"g": labels_of(group)},
        columns={"cluster": np.array(cluster)},
    )
    embeddings = np.random.default_rng(0).normal(size=(len(rows), 4)).astype(np.float32)
    embeddings[:, 0] += np.array([name == "x" for name in group])
    controls = all_tasks()["probe/g"].run(input_of(photos, embeddings)).scores[0].details["controls"]
    assert ("shuffled" in controls) is is_shuffled
