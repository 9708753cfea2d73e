"""What tasks draw by a hash of the seed and an id, or by a fixed seed: each draw by a plain loop."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks
from benchmark.tasks.copies import drawn_half
from benchmark.tasks.knn import balanced_queries
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
    with pytest.raises(Exception, match="question"):
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
