"""``knn/adversary`` beside jitter: views that are jitter go no further than it, views with a trace do."""

import dataclasses
from types import SimpleNamespace

import numpy as np

from benchmark.judgement import extremes, statements
from benchmark.options import RunOptions
from benchmark.report import report_text
from benchmark.results import Result
from benchmark.tasks import TaskInput, all_tasks
from builders.photos import PhotoSet
from builders.pixels import STUDY_PROCESSINGS

TRAIN, VAL, CLASSES, DIMENSION = 120, 200, 8, 32


def photos():
    n = TRAIN + VAL
    splits = ["train"] * TRAIN + ["val"] * VAL
    return PhotoSet.of_bytes("toy", {str(i): b"" for i in range(n)}, [f"c{i % CLASSES}" for i in range(n)], splits)


def outcome(seed, *, trace):
    """The task on embeddings whose views are moved at random, or (``trace``) towards another class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(TRAIN + VAL) % CLASSES
    centres = rng.normal(size=(CLASSES, DIMENSION))
    rows = centres[labels] + 0.9 * rng.normal(size=(len(labels), DIMENSION))

    def view(name, at):
        if name not in STUDY_PROCESSINGS:
            return rows[at].astype(np.float32)
        number = STUDY_PROCESSINGS.index(name)
        if trace:
            return (rows + 1.2 * centres[number % CLASSES])[at].astype(np.float32)
        return (rows + 0.6 * np.random.default_rng([seed, number]).normal(size=rows.shape))[at].astype(np.float32)

    bank = SimpleNamespace(view=view, dim=DIMENSION, names=())
    inputs = TaskInput(photos(), np.ones(TRAIN + VAL, dtype=bool), bank, RunOptions(resamples=500), "cpu")
    return all_tasks()["knn/adversary"].run(inputs)


def result(scores):
    cost = {"seconds": {}, "views": 0, "views_per_second": 0.0}
    environment = {"device": "cpu", "dtype": "float32", "codec_canary": "c", "codec": {"pillow": "13"}, "options": {}}
    data = {"name": "toy", "photos": {"train": TRAIN, "val": VAL}, "classes": CLASSES}
    return Result({"id": "mine"}, data, environment, scores, (), cost, "")


def test_adversary__jitter_without_a_trace_goes_no_further_than_jitter():
    answers = [extremes(result(outcome(seed, trace=False).scores)) for seed in range(10)]
    assert [d.answer for a in answers for d in a.values()].count("yes") <= 2


def test_adversary__processing_towards_another_class_goes_further():
    made = outcome(0, trace=True)
    judged = {s.metric: s for s in statements(result(made.scores), all_tasks()) if s.kind == "extreme"}
    assert [judged[name].answer for name in ("worst", "flipped")] == ["yes", "yes"]
    assert judged["best"].answer != "yes"  # no processing makes more answers right than jitter does
    assert "processing" in judged["worst"].words
    text = report_text([result(made.scores)], all_tasks())
    assert "under jitter %" in text
    assert judged["flipped"].words in text


def test_adversary__answers_give_the_jitter_again():
    made = outcome(1, trace=True)
    facts = all_tasks()["knn/adversary"].read_facts(made.answers)
    for score in made.scores:
        if "jitter" in score.details:
            assert facts[score.metric].details["jitter"] == score.details["jitter"]
    assert sum("jitter" in score.details for score in made.scores) == 3
    right, jittered = made.answers["right"][:-1], made.answers["jittered"]
    best = next(score for score in made.scores if score.metric == "best").details["jitter"]
    assert best["value"] == np.mean(jittered.any(axis=0))
    assert abs(best["beyond"]["value"] - (right.any(axis=0).mean() - best["value"])) < 1e-12
    without = {name: array for name, array in made.answers.items() if name != "jittered"}  # an older version
    assert "jitter" not in all_tasks()["knn/adversary"].read_facts(without)["worst"].details
    assert dataclasses.asdict(made.scores[0])["details"]["jitter"]["jitters"] == 14
