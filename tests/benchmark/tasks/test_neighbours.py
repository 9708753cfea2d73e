"""Plain kNN, copies, class and acquisition probes on few rows: details, chance, splits and refusals, by plain loops."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.stats import paired_difference, photo_interval
from benchmark.tasks import TaskInput, all_tasks
from benchmark.tasks.acquisition_probe import parts_of
from benchmark.tasks.facts import knn_facts
from benchmark.tasks.processing_probe import unfit_for_splits
from builders.errors import DataError
from builders.photos import Labels, PhotoSet, labels_of

PLAIN, LINEAR, COPIES, MAKE = (
    all_tasks()[name] for name in ("knn/original", "linear/original", "copies/processed", "probe/make")
)


def photos_of(splits: str, classes: str, **columns: str) -> PhotoSet:
    """One photo for each letter: t, v, e (train, val, test); a class, or ``-`` for none."""
    names = {"t": "train", "v": "val", "e": "test"}
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(len(splits))}, None, [names[s] for s in splits])
    known = sorted(set(classes) - {"-"})
    codes = np.array([known.index(c) if c != "-" else -1 for c in classes], np.int32)
    listed = {name: np.array(list(values)) for name, values in columns.items()}
    return dataclasses.replace(photos, labels=Labels(tuple(known), codes), columns=listed, neighbours=3)


def input_of(photos: PhotoSet, rows, *, brief: bool = True, input_size=None, **options) -> TaskInput:
    """``rows``: [photos, d], or a function of the view."""
    of_view = rows if callable(rows) else lambda name: rows
    bank = SimpleNamespace(view=lambda name, at: of_view(name)[at], dim=4)
    given = RunOptions(resamples=200, **options)
    return TaskInput(photos, np.ones(len(photos), bool), bank, given, "cpu", brief=brief, input_size=input_size)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("k", "ties"), [(None, "nearest"), (2, "nearest"), (2, "random"), (1, "random")])
def test_plain_knn__votes_chance_and_details(k, ties):
    photos = photos_of("t" * 11 + "v" * 7 + "e", "abcabcabca-" + "abcaab-" + "a")
    rows = np.random.default_rng(1).normal(size=(19, 4)).astype(np.float32)
    outcome = PLAIN.run(input_of(photos, rows, neighbours=k, ties=ties))
    (score,) = outcome.scores
    label, similar = photos.labels.values, unit(rows[11:17].astype(float)) @ unit(rows[:10].astype(float)).T
    values, tied = {rule: [] for rule in ("nearest", "random", "least", "greatest")}, []
    for q in range(6):
        near = [int(label[i]) for i in np.argsort(-similar[q], kind="stable")[: k or 3]]
        most = max(near.count(c) for c in near)
        leaders, truth = list(dict.fromkeys(c for c in near if near.count(c) == most)), label[11 + q]
        tied.append(len(leaders) > 1)
        values["nearest"].append(leaders[0] == truth)
        values["random"].append((truth in leaders) / len(leaders))
        values["least"].append(leaders == [truth])
        values["greatest"].append(truth in leaders)
    means = {rule: np.mean(of_rule) for rule, of_rule in values.items()}
    assert score.value == pytest.approx(means["random" if ties == "random" else "nearest"])
    chance = [np.mean(label[:10] == label[11 + q]) for q in range(6)]
    assert (score.n, score.chance) == (6, pytest.approx(np.mean(chance)))
    details = score.details
    assert (details["k"], details["train_photos"], details["tie_rule"]) == (k or 3, 10, ties)
    assert details["tied_votes"] == pytest.approx(np.mean(tied))
    expected = {"share": np.mean(tied)} | {rule: means[rule] for rule in ("least", "greatest", "random")}
    assert details["ties"] == pytest.approx(expected)
    assert "sampled_queries" not in details
    read, facts = PLAIN.read_answers(outcome.answers)["accuracy"], PLAIN.read_facts(outcome.answers)["accuracy"]
    assert read.values.mean() == pytest.approx(score.value)
    assert read.photos.tolist() == list(range(11, 17))
    assert facts.details["ties"] == pytest.approx({n: v for n, v in details["ties"].items() if n != "share"})
    assert (facts.chance, facts.details["tie_rule"]) == (pytest.approx(score.chance), ties)
    older = {name: array for name, array in outcome.answers.items() if name not in ("rule", "random")}
    assert PLAIN.read_answers(older)["accuracy"].values.mean() == pytest.approx(means["nearest"])


def test_plain_knn__sampled_queries_are_counted_from_those_with_a_class():
    photos = photos_of("t" * 6 + "v" * 8, "ababab" + "ababab--")
    rows = np.random.default_rng(0).normal(size=(14, 4)).astype(np.float32)
    for queries, more in ((4, {"sampled_queries": 4, "queries_from": 6, "query_seed": 3}), (6, {}), (9, {})):
        score = PLAIN.run(input_of(photos, rows, queries=queries, seed=3)).scores[0]
        assert score.n == min(queries, 6)
        assert {n: v for n, v in score.details.items() if "quer" in n} == more


@pytest.mark.parametrize(
    ("photos", "reason"),
    [
        (photos_of("ttv", "aba"), ""),
        (photos_of("ttv", "aaa"), "its photos have no class labels (at least two classes are needed)"),
        (photos_of("tte", "aba"), "it has no photo in val"),
        (photos_of("vve", "aba"), "it has no photo in train"),
        (photos_of("eee", "aba"), "it has no photo in train and val"),
        (
            dataclasses.replace(photos_of("ttv", "aaa"), stored_views=("v",)),
            "it stores photos that are processed already",
        ),
    ],
)
def test_unfit__plain_knn_and_copies(photos, reason):
    assert PLAIN.unfit(photos) == LINEAR.unfit(photos) == reason
    of_copies = "it stores photos that are processed already" if photos.stored_views else unfit_for_splits(photos)
    assert COPIES.unfit(photos) == of_copies
    assert all_tasks()["knn/jpeg"].unfit(photos) == (
        reason if not photos.stored_views else "its photos have no class labels (at least two classes are needed)"
    )
    if photos.stored_views:
        assert all_tasks()["probe/jpeg"].unfit(photos) == (
            "it stores photos that are processed already, and not in the classes of jpeg"
        )


@pytest.mark.parametrize(
    ("split", "counts"),
    [("v", "0 usable photos in train and 2 in val"), ("t", "3 usable photos in train and 0 in val")],
)
def test_run__refuses_an_empty_part(split, counts):
    photos = photos_of("tttvv", "ababa")
    usable = np.array([letter == split for letter in "tttvv"])
    inputs = dataclasses.replace(input_of(photos, np.ones((5, 4), np.float32)), usable=usable)
    for task in (PLAIN, LINEAR, COPIES):
        with pytest.raises(DataError, match=rf"^toy has {counts}$"):
            task.run(inputs)


def test_worst__jitter_of_a_sample_counts_its_queries_and_units():
    rng = np.random.default_rng(0)
    arrays = {
        "combinations": np.array([3, 6, 6, 6, 6, 6]),
        "photos": np.arange(12),
        "worst": rng.random(12),
        "flipped": rng.random(12),
        "jitter_sample": np.array([0, 1, 4, 9]),
        "jitter_worst": rng.random(4),
        "jitter_flipped": rng.random(4),
        "by_seed": np.zeros((2, 2, 12)),
    }
    for clusters in (None, np.arange(12) // 2):
        given = arrays if clusters is None else {**arrays, "clusters": clusters}
        of_sample = None if clusters is None else clusters[arrays["jitter_sample"]]
        details = knn_facts(given)["worst"].details
        ends, flipped = photo_interval(arrays["jitter_worst"], clusters=of_sample), arrays["flipped"]
        of_all = photo_interval(flipped, clusters=clusters)
        beyond = paired_difference(arrays["jitter_worst"], arrays["worst"][[0, 1, 4, 9]], clusters=of_sample)
        assert details == {
            "flipped": {
                "value": of_all.value,
                "low": of_all.low,
                "high": of_all.high,
                "under_jitter": pytest.approx(arrays["jitter_flipped"].mean()),
            },
            "jitter": {
                **{end: getattr(ends, end) for end in ("value", "low", "high")},
                "jitters": 2,
                "beyond": {end: getattr(beyond, end) for end in ("value", "low", "high", "p_value")},
                "queries": 4,
                "units": 4 if clusters is None else 3,
            },
        }
    whole = {**arrays, "jitter_sample": np.arange(12), "jitter_worst": rng.random(12)}
    assert "queries" not in knn_facts(whole)["worst"].details["jitter"]


def with_make(splits: str, makes: str, **more) -> PhotoSet:
    photos = photos_of(splits, "a" * len(splits))
    labels = labels_of(None if m == "-" else m for m in makes)
    return dataclasses.replace(photos, attributes={"make": labels, **more})


def test_acquisition__parts_and_classes_are_those_of_training():
    photos = with_make("tttttvvee", "bbc-cdbcd")
    names, train, val, test = parts_of(input_of(photos, None), photos.attributes["make"])
    assert names == ("b", "c")
    assert [part.photos.tolist() for part in (train, val, test)] == [[0, 1, 2, 4], [6], [7]]
    assert [part.classes.tolist() for part in (train, val, test)] == [[0, 0, 1, 1], [0], [1]]
    of_val = with_make("ttttvv", "bbccbc")
    _, _, val, test = parts_of(input_of(of_val, None), of_val.attributes["make"])
    assert (val.photos.tolist(), test.photos.tolist()) == ([], [4, 5])
    for few in (with_make("ttee", "bbcb"), with_make("tttt", "bcbc")):  # one class, and no test photo
        with pytest.raises(DataError):
            MAKE.run(input_of(few, np.ones((4, 4), np.float32)))


def test_class_probe__classes_without_training_photos_count_for_chance():
    photos = photos_of("t" * 10 + "v" * 6, "ab" * 5 + "abc-ab")
    rows = np.random.default_rng(0).normal(size=(16, 4)).astype(np.float32)
    outcome = LINEAR.run(input_of(photos, rows))
    (score,) = outcome.scores
    assert (score.metric, score.chance, score.n, score.details["classes"]) == ("accuracy", pytest.approx(1 / 3), 5, 3)
    assert score.value == pytest.approx((outcome.answers["predicted"] == outcome.answers["expected"]).mean())
    assert outcome.answers["photos"].tolist() == [10, 11, 12, 14, 15]
    read, facts = LINEAR.read_answers(outcome.answers)["accuracy"], LINEAR.read_facts(outcome.answers)["accuracy"]
    assert (read.values.mean(), facts.chance, facts.details["classes"]) == (pytest.approx(score.value), 1 / 3, 3)
    assert facts.guess == pytest.approx(0.4)
