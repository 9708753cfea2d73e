"""Similarities of a kNN task: which queries are drawn and shown, and every detail of them, by plain loops."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.knn
import benchmark.stats
from benchmark.knn import KINDS
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput
from benchmark.tasks.similarity import CHOSEN, _shown, sampled_queries, similarity_details
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


def test_shown__the_greatest_the_median_and_the_least_then_three_drawn(monkeypatch):
    texts = []
    monkeypatch.setattr(
        "benchmark.tasks.similarity.hash64", lambda text: texts.append(text) or int(text.split("\0")[2][1:])
    )
    inputs = input_of(photos_of([0] * 9), seed=3)
    photos, under = np.array([8, 5, 4, 7, 3, 2, 6]), np.array([0, 1, 0, 1, 0, 1, 0])
    beats = np.array([0.5, 0.9, 0.2, 0.9, 0.1, 0.4, 0.1])
    assert _shown(inputs, photos, under, beats) == {
        "misled most": 3,  # of equal ones the last
        "misled as often as not": 5,  # 0.1, 0.1, 0.2, 0.4, 0.5, 0.9, 0.9
        "misled least": 4,  # of equal ones the first
        # by hash: photos 2, 3 and 4, of which two are shown already
        "drawn at random, 3": 2,
    }
    assert set(texts) == {f"shown\0003\0p{p}\0{u}" for p, u in zip(photos, under, strict=True)}
    assert CHOSEN == ("misled most", "misled as often as not", "misled least")
    assert _shown(inputs, photos[:1], under[:1], beats[:1]) == {"misled most": 0}
    assert _shown(inputs, photos[:2], under[:2], beats[:2]) == {"misled most": 1, "misled least": 0}


def planted(**options):
    """Ten train photos of three classes; five test photos, of which the last has a class that no train photo has."""
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 1, 2, 1, 3]
    photos = photos_of(labels, scene=["s"] * 10 + ["a", "a", "b", "c", "d"])
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(15, 4)) + rng.normal(size=(4, 4))[labels]
    tables = {"plain": rows.astype(np.float32), "strong": (rows + 1.5 * rng.normal(size=4)).astype(np.float32)}
    return input_of(photos, tables=tables, resamples=200, **options), tables, np.array(labels)


def test_details__of_queries_whose_class_is_there_by_a_loop(monkeypatch):
    inputs, tables, labels = planted(seed=2)
    intervals = []
    real = benchmark.stats.photo_interval
    monkeypatch.setattr(benchmark.stats, "photo_interval", lambda *a, **m: intervals.append((a, m)) or real(*a, **m))
    train, test = np.arange(10), np.arange(10, 15)
    details = similarity_details(inputs, train, test, VIEWS)
    unit = {name: rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True) for name, rows in tables.items()}
    beats, kinds = {}, {}
    for q in range(10, 14):
        for name in VIEWS:
            of_kind = {kind: [] for kind in KINDS}
            for other in VIEWS:
                for i in train:
                    alike = "same-class" if labels[i] == labels[q] else "other-class"
                    where = "same-processing" if other == name else "other-processing"
                    of_kind[f"{alike} {where}"].append(float(unit[name][q] @ unit[other][i]))
            near, far = of_kind["other-class same-processing"], of_kind["same-class other-processing"]
            beats[q, name] = np.mean([(a > b) + (a == b) / 2 for a in near for b in far])
            kinds[q, name] = of_kind
    summary = details["similarity_summary"]
    assert set(details) == {"similarities", "similarity_summary"}
    assert {n: summary[n] for n in ("n", "queries", "photos", "chance")} == {
        "n": 4,
        "queries": 8,
        "photos": 5,
        "chance": 0.5,
    }
    assert summary["beats"]["value"] == pytest.approx(np.mean(list(beats.values())), abs=2e-3)
    for (sums, times), more in intervals:
        assert times.tolist() == [2, 2, 2, 2]
        assert (set(more), more["resamples"]) == ({"clusters", "resamples"}, 200)
        assert more["clusters"][0] == more["clusters"][1]  # photos of one scene err together
        assert len(set(more["clusters"].tolist())) == 3
        assert len(sums) == 4
    ends = real(*intervals[0][0], **intervals[0][1])
    assert summary["beats"] == {"value": ends.value, "low": ends.low, "high": ends.high}
    overlap = real(*intervals[1][0], **intervals[1][1])
    assert summary["overlap"] == {"value": overlap.value, "low": overlap.low, "high": overlap.high}
    ids = inputs.photos.ids
    for one in details["similarities"]:
        assert list(one) == ["query", "class", "processing", "why", "beats", "overlap", "edges", "counts"]
        q, name = ids.index(one["query"]), one["processing"]
        assert one["class"] == inputs.photos.labels.names[labels[q]]
        assert one["beats"] == pytest.approx(beats[q, name], abs=3e-2)
        assert list(one["counts"]) == list(KINDS)
        for kind, values in kinds[q, name].items():
            assert one["counts"][kind] == np.histogram(values, one["edges"])[0].tolist()
    by_why = {one["why"]: one for one in details["similarities"]}
    assert by_why["misled most"]["beats"] == max(one["beats"] for one in details["similarities"])
    places = sorted(beats, key=lambda at: hash64(f"shown\0002\0{ids[at[0]]}\0{VIEWS.index(at[1])}"))
    shown = {(ids.index(one["query"]), one["processing"]) for one in details["similarities"]}
    assert set(places[:3]) <= shown
    assert len(shown) == len(details["similarities"]) <= 6


def test_details__nothing_to_compare_is_nothing():
    inputs, _, _ = planted()
    train = np.arange(10)
    assert similarity_details(inputs, train, np.arange(10, 15), VIEWS[:1]) == {}
    assert similarity_details(inputs, train, np.array([14]), VIEWS) == {}  # no train photo has its class
    alone = similarity_details(inputs, train, np.array([13, 14]), VIEWS)["similarity_summary"]
    assert (alone["n"], alone["queries"], alone["photos"]) == (1, 2, 2)


def test_details__similarities_are_computed_on_the_device_of_the_task(monkeypatch):
    inputs, _, labels = planted()
    seen = []
    for name in ("similarities", "similarity_counts"):
        real = getattr(benchmark.knn, name)
        monkeypatch.setattr(
            benchmark.knn, name, lambda *a, real=real, **m: seen.append((a, m)) or real(*a, **{**m, "device": "cpu"})
        )
    similarity_details(dataclasses.replace(inputs, device="cuda"), np.arange(10), np.arange(10, 15), VIEWS)
    (first, how), (second, again) = seen
    assert (how, again) == ({"device": "cuda"}, {"device": "cuda"})
    collection, queries, of_train, of_queries, under = first
    for bank, name in zip(collection, VIEWS, strict=True):
        np.testing.assert_array_equal(bank, inputs.bank.view(name, np.arange(10)))
    assert of_train.tolist() == labels[:10].tolist()
    assert of_queries.tolist() == [int(labels[q]) for q in range(10, 15) for _ in VIEWS]
    assert under.tolist() == [0, 1] * 5
    for row, (q, name) in zip(queries, [(q, name) for q in range(10, 15) for name in VIEWS], strict=True):
        np.testing.assert_array_equal(row, inputs.bank.view(name, np.array([q]))[0])
    assert len(second[1]) == len(second[3]) == len(second[4])
