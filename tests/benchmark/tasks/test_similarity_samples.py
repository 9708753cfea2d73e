"""Similarities of a kNN task: which queries are drawn and shown, and every detail of them, by plain loops."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.tasks import TaskInput
from benchmark.tasks.similarity import sampled_queries, similarity_details
from builders.photos import Labels, PhotoSet, hash64

VIEWS = ("plain", "strong")


def photos_of(labels, names=("ash", "beech", "cedar", "dogwood"), **columns) -> PhotoSet:
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(len(labels))})
    columns = {name: np.asarray(values) for name, values in columns.items()}
    return dataclasses.replace(photos, labels=Labels(names, np.array(labels, np.int32)), columns=columns)


def input_of(photos: PhotoSet, dim: int = 4, device: str = "cpu", tables=None, **options) -> TaskInput:
    bank = SimpleNamespace(view=lambda name, at: tables[name][at], dim=dim)
    return TaskInput(photos, np.ones(len(photos), bool), bank, RunOptions(**options), device)


def drawn(inputs: TaskInput, test: list[int], count: int) -> list[int]:
    """The first of each class by a hash of seed and id, then the second of each, and so on."""
    value = {i: hash64(f"similarities\0{inputs.options.seed}\0{inputs.photos.ids[i]}") for i in test}
    label = inputs.photos.labels.values
    rank = {i: sum(label[j] == label[i] and value[j] < value[i] for j in test) for i in test}
    return sorted(sorted(test, key=lambda i: (rank[i], value[i]))[:count])


LABELS = [0] * 40 + [1] * 9 + [2] * 3 + [3] * 12


@pytest.mark.parametrize(
    ("device", "classes", "collection", "dim", "least", "count"),
    [
        ("cpu", 2, 1 << 10, 1 << 18, 0, 32),  # 2**35 of 2**2 x 2**10 x 2**18 multiply-adds for each photo
        ("cpu", 4, 1 << 10, 1 << 16, 0, 32),  # 4 x 4 pairs of processings
        ("cpu", 3, 1 << 10, 1 << 18, 0, 16),  # 14 photos; a sample has 16 at least
        ("cpu", 2, 1 << 30, 1 << 30, 0, 16),
        ("cpu", 2, 1 << 30, 1 << 30, 20, 20),
        ("cpu", 2, 1 << 30, 1 << 30, 15, 16),
        ("cpu", 2, 1 << 10, 1 << 18, 31, 32),
        ("cuda", 2, 1 << 14, 1 << 20, 0, 32),  # 64 times as many on a GPU
        ("cuda:1", 2, 1 << 14, 1 << 21, 0, 16),
        ("cpu", 2, 0, 0, 0, 60),  # an empty collection costs nothing
        ("cpu", 2, 1 << 10, 1 << 17, 0, 60),
    ],
)
def test_sample__as_many_as_the_work_allows(device, classes, collection, dim, least, count):
    test = list(range(2, 62))
    for seed in (0, 7):
        inputs = input_of(photos_of(LABELS), dim, device, seed=seed)
        more = {"least": least} if least else {}
        chosen = sampled_queries(inputs, np.array(test), classes, collection, **more)
        assert chosen.tolist() == drawn(inputs, test, count)
        assert len(chosen) == count


def test_sample__of_just_as_many_photos_as_are_allowed_is_all_of_them():
    inputs = input_of(photos_of(LABELS), 1 << 18)
    for count in (31, 32):
        assert sampled_queries(inputs, np.arange(count), 2, 1 << 10).tolist() == list(range(count))
    assert len(sampled_queries(inputs, np.arange(33), 2, 1 << 10)) == 32


def planted(**options):
    """Ten train photos of three classes; five test photos, of which the last has a class that no train photo has."""
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 1, 3]
    photos = photos_of(labels, scene=["s"] * 10 + ["a", "a", "b", "c", "d"])
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(15, 4)) + rng.normal(size=(4, 4))[labels]
    tables = {"plain": rows.astype(np.float32), "strong": (rows + 1.5 * rng.normal(size=4)).astype(np.float32)}
    return input_of(photos, tables=tables, resamples=200, **options), tables, np.array(labels)


def test_details__nothing_to_compare_is_nothing():
    inputs, _, _ = planted()
    train = np.arange(10)
    assert similarity_details(inputs, train, np.arange(10, 15), VIEWS[:1]) == {}
    assert similarity_details(inputs, train, np.array([14]), VIEWS) == {}  # no train photo has its class
    alone = similarity_details(inputs, train, np.array([13, 14]), VIEWS)["similarity_summary"]
    assert (alone["n"], alone["queries"], alone["photos"]) == (1, 2, 2)
