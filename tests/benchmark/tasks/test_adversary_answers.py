"""``knn/adversary`` on few rows: strips of more neighbours than they show, details, calls and words, by plain loops."""

import dataclasses
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.knn
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput
from benchmark.tasks.adversary import run_adversary
from benchmark.views import ORIGINAL
from builders.photos import Labels, PhotoSet, hash64

PROCESSINGS = ("first", "second", "third")
CLASSES = ("ash", "beech", "cedar")
TRAIN, TEST, D = 14, 9, 6


def inputs_of(train: int = TRAIN, *, checkpoints=None, unlabelled=(), draw=8, **options) -> TaskInput:
    """Photos of three classes in turn; each processing moves rows its own way."""
    n = train + TEST
    splits = ["train"] * train + ["val"] * TEST
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(n)}, None, splits)
    values = (np.arange(n) % 3).astype(np.int32)
    values[list(unlabelled)] = -1
    photos = dataclasses.replace(photos, labels=Labels(CLASSES, values), neighbours=3)
    rng = np.random.default_rng(draw)
    rows = rng.normal(size=(n, D)) + 1.1 * rng.normal(size=(3, D))[values]
    tables = {ORIGINAL: rows} | {
        name: rows + 0.5 * i * rng.normal(size=rows.shape) for i, name in enumerate(PROCESSINGS, 1)
    }
    bank = SimpleNamespace(view=lambda name, at: tables[name][at].astype(np.float32), dim=D, names=())
    given = RunOptions(resamples=200, **options)
    return TaskInput(photos, np.ones(n, bool), bank, given, "cpu", checkpoints=checkpoints)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


class ByHand:
    """Neighbours, answers and distances of every query under each processing and as it is."""

    def __init__(self, inputs: TaskInput, k: int) -> None:
        photos = inputs.photos
        label = photos.labels.values
        self.train = [int(i) for i in np.flatnonzero(photos.splits == 0) if label[i] >= 0]
        self.test = [int(i) for i in np.flatnonzero(photos.splits == 1) if label[i] >= 0]
        names = (*PROCESSINGS, ORIGINAL)
        views = {name: unit(inputs.bank.view(name, np.arange(len(photos))).astype(float)) for name in names}
        self.similar = np.stack([views[n][self.test] @ views[ORIGINAL][self.train].T for n in names])
        self.near = np.argsort(-self.similar, axis=-1, kind="stable")[..., :k]
        self.distances = np.stack([1 - (views[n][self.test] * views[ORIGINAL][self.test]).sum(axis=1) for n in names])
        self.leaders = [[self._leaders(label, near) for near in of_view] for of_view in self.near]
        truth = [label[i] for i in self.test]
        self.right = {
            "nearest": np.array([[t == one[0] for one, t in zip(row, truth, strict=True)] for row in self.leaders]),
            "random": np.array(
                [[(t in one) / len(one) for one, t in zip(row, truth, strict=True)] for row in self.leaders]
            ),
        }

    def _leaders(self, label, near) -> list[int]:
        votes = Counter(int(label[self.train[i]]) for i in near)
        return [one for one in votes if votes[one] == max(votes.values())]


def chosen(by_hand: ByHand, inputs: TaskInput, rule: str) -> dict[str, int]:
    """The two rules, then two drawn by a hash of seed and id; each query once, under its first reason."""
    ids = [inputs.photos.ids[i] for i in by_hand.test]
    drawn = sorted(range(len(ids)), key=lambda q: hash64(f"strip\0{inputs.options.seed}\0{ids[q]}"))
    right = by_hand.right[rule].astype(float)
    turned = sum(abs(right[v] - right[-1]) for v in range(len(PROCESSINGS)))
    distance = by_hand.distances[:-1].mean(axis=0)
    reasons = {
        "answer turned by most processings": max(drawn, key=lambda q: turned[q]),
        "embedding moved most": max(drawn, key=lambda q: distance[q]),
        "drawn at random, 1": drawn[0],
        "drawn at random, 2": drawn[1],
    }
    if not turned.any():
        del reasons["answer turned by most processings"]
    return {why: q for why, q in reasons.items() if q not in list(reasons.values())[: list(reasons).index(why)]}


@pytest.mark.parametrize(
    ("train", "k", "rule", "seed"), [(TRAIN, 7, "nearest", 11), (TRAIN, 2, "random", 3), (4, 7, "random", 0)]
)
def test_strips__five_neighbours_of_all_that_vote(train, k, rule, seed):
    """Seven vote and five are named; of a collection of four photos all are named."""
    inputs = inputs_of(train, neighbours=k, ties=rule, seed=seed)
    outcome = run_adversary(PROCESSINGS, inputs)
    details = {score.metric: score.details for score in outcome.scores}
    by_hand, ids = ByHand(inputs, k), inputs.photos.ids
    strips = details["worst"]["strips"]
    assert {one["why"]: one["query"] for one in strips} == {
        why: ids[by_hand.test[q]] for why, q in chosen(by_hand, inputs, rule).items()
    }
    for one in strips:
        q = by_hand.test.index(ids.index(one["query"]))
        shown = [[by_hand.train[i] for i in of_view[q][:5]] for of_view in by_hand.near]
        listed = list(dict.fromkeys(i for of_view in shown for i in of_view))
        assert list(one) == ["query", "class", "why", "photos", "views"]
        assert one["class"] == CLASSES[by_hand.test[q] % 3]
        assert one["photos"] == [{"id": ids[i], "class": CLASSES[i % 3]} for i in listed]
        for v, (name, view) in enumerate(zip((*PROCESSINGS, ORIGINAL), one["views"], strict=True)):
            assert view == {
                "processing": name,
                "distance": pytest.approx(0.0 if name == ORIGINAL else by_hand.distances[v, q], abs=2e-6),
                "answer": CLASSES[by_hand.leaders[v][q][0]],
                "right": pytest.approx(float(by_hand.right[rule][v, q]), abs=1e-6),
                "neighbours": [listed.index(i) for i in shown[v]],
                "similarities": pytest.approx(by_hand.similar[v, q, by_hand.near[v, q][:5]], abs=6e-5),
            }
            assert round(view["distance"], 6) == view["distance"]
            assert [round(s, 4) for s in view["similarities"]] == view["similarities"]


@pytest.mark.parametrize("rule", ["nearest", "random"])
def test_details__of_every_metric_and_answers(rule):
    inputs = inputs_of(neighbours=2, ties=rule, queries=6, seed=5, unlabelled=(3, TRAIN + 1))
    outcome = run_adversary(PROCESSINGS, inputs)
    answers, scores = outcome.answers, {score.metric: score for score in outcome.scores}
    assert list(scores) == ["worst", "average", "best", "flipped"]
    assert {(s.task, s.data, s.n) for s in outcome.scores} == {("knn/adversary", "toy", 6)}
    by_hand = ByHand(inputs, 2)
    at = [by_hand.test.index(i) for i in answers["photos"].tolist()]
    right = by_hand.right[rule][:, at].astype(float)
    np.testing.assert_allclose(answers["right"], right)
    assert answers["right"].dtype == answers["jittered"].dtype == (np.float64 if rule == "random" else np.bool_)
    assert (answers["jittered"].shape, answers["processings"].tolist(), str(answers["rule"])) == (
        (3, 6),
        [*PROCESSINGS],
        rule,
    )
    label = inputs.photos.labels.values
    chance = [np.mean(label[by_hand.train] == label[i]) for i in answers["photos"]]
    assert answers["chance"] == pytest.approx(chance)
    worst, best = right[:-1].min(axis=0), right[:-1].max(axis=0)
    values = {"worst": worst, "average": right[:-1].mean(axis=0), "best": best, "flipped": best - worst}
    shared = {"k": 2, "train_photos": 13, "sampled_queries": 6, "queries_from": 8, "query_seed": 5, "processings": 3}
    further = {
        "worst": {"strips", "jitter"},
        "average": {"by_processing"},
        "best": {"jitter"},
        "flipped": {"spoiled", "jitter"},
    }
    for name, score in scores.items():
        assert score.value == pytest.approx(values[name].mean())
        assert score.chance == (0.0 if name == "flipped" else pytest.approx(np.mean(chance)))
        assert set(score.details) == {*shared, "ties", "tie_rule", *further[name]}
        assert {key: score.details[key] for key in shared} == shared
        assert (score.details["tie_rule"], set(score.details["ties"])) == (
            rule,
            {"share", "least", "greatest", "random"},
        )
    assert scores["flipped"].details["spoiled"] == pytest.approx(np.mean((right[-1] > 0.5) & (worst < 0.5)))
    by_processing = scores["average"].details["by_processing"]
    assert by_processing == {
        name: {
            "accuracy": pytest.approx(right[v].mean(), abs=1e-6),
            "distance": pytest.approx(by_hand.distances[v, at].mean() if name != ORIGINAL else 0.0, abs=2e-6),
        }
        for v, name in enumerate((*PROCESSINGS, ORIGINAL))
    }
    assert all(round(x, 6) == x for row in by_processing.values() for x in row.values())


def test_spoiled__an_answer_that_is_right_half_of_the_times_is_not_spoiled():
    """With two neighbours and random ties an unprocessed query may be right by one half, and wrong if processed."""
    halves = 0
    for draw in range(12):
        inputs = inputs_of(neighbours=2, ties="random", draw=draw)
        flipped = run_adversary(PROCESSINGS, inputs).scores[-1]
        right = ByHand(inputs, 2).right["random"]
        worst = right[:-1].min(axis=0)
        halves += int(((right[-1] == 0.5) & (worst == 0)).sum()) + int(((right[-1] == 1) & (worst == 0.5)).sum())
        assert flipped.details["spoiled"] == np.mean((right[-1] == 1) & (worst == 0))
    assert halves > 3


def test_jittered__answers_are_those_of_the_jitters_under_the_rule():
    inputs = inputs_of(neighbours=2, ties="random", seed=9)
    answers = run_adversary(PROCESSINGS, inputs).answers
    test, label = np.arange(TRAIN, TRAIN + TEST), inputs.photos.labels.values
    views = [inputs.bank.view(name, test) for name in PROCESSINGS]
    jitters = benchmark.knn.jittered(views, inputs.bank.view(ORIGINAL, test), seed=9)
    collection = inputs.bank.view(ORIGINAL, np.arange(TRAIN))
    expected = benchmark.knn.knn_of_views(collection, jitters, label[:TRAIN], label[test], k=2).right("random")
    np.testing.assert_array_equal(answers["jittered"], expected)
