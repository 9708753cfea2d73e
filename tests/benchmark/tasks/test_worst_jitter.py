"""``worst`` of ``knn/<parameter>`` beside jitter: random moves go no further than jitter, moves with a trace do."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.judgement import extremes, statements
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks
from builders.pixels import BUILT_IN
from tests.benchmark.tasks.test_adversary_jitter import CLASSES, DIMENSION, TRAIN, VAL, photos, result

VIEWS = BUILT_IN["jpeg"].processings


def views(seed: int, trace: bool) -> list[np.ndarray]:
    """Rows of all photos in each view, moved at random or (``trace``) towards a class, another one in each view."""
    rng = np.random.default_rng(seed)
    labels, centres = np.arange(TRAIN + VAL) % CLASSES, rng.normal(size=(CLASSES, DIMENSION))
    rows = centres[labels] + 0.9 * rng.normal(size=(len(labels), DIMENSION))
    if trace:
        return [(rows + 1.4 * centres[number]).astype(np.float32) for number in range(len(VIEWS))]
    return [(rows + 0.6 * rng.normal(size=rows.shape)).astype(np.float32) for _ in VIEWS]


def outcome(seed: int, *, trace: bool, brief: bool = False):
    tables = dict(zip(VIEWS, views(seed, trace), strict=True))
    bank = SimpleNamespace(view=lambda name, at: tables[name][at], dim=DIMENSION, names=())
    options = RunOptions(resamples=500, ties="random")
    inputs = TaskInput(photos(), np.ones(TRAIN + VAL, dtype=bool), bank, options, "cpu", brief=brief)
    return all_tasks()["knn/jpeg"].run(inputs)


def worst(made):
    return next(score for score in made.scores if score.metric == "worst")


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_worst__under_jitter_is_that_of_a_loop_with_other_directions() -> None:
    """The same definition in plain loops: the mean over directions is the same, within its standard error."""
    made, k = outcome(0, trace=True), 10
    rng, labels, tables = np.random.default_rng(99), np.arange(TRAIN + VAL) % CLASSES, [unit(v) for v in views(0, True)]
    least, spread = np.zeros(VAL), np.zeros(VAL)
    for c, table in enumerate(tables):
        centre, moved = table[TRAIN:], [table[TRAIN:]]
        for t, other in enumerate(tables):
            if t != c:
                cosine = (centre * other[TRAIN:]).sum(axis=1, keepdims=True)
                drawn = rng.normal(size=centre.shape)
                sideways = unit(drawn - (drawn * centre).sum(axis=1, keepdims=True) * centre)
                moved.append(cosine * centre + np.sqrt(1 - cosine**2) * sideways)
        right = np.zeros((len(moved), VAL))
        for i, queries in enumerate(moved):
            nearest = np.argsort(-(queries @ table[:TRAIN].T), axis=1)[:, :k]
            for q, at in enumerate(nearest):
                votes = np.bincount(labels[:TRAIN][at], minlength=CLASSES)
                winners = np.flatnonzero(votes == votes.max())
                right[i, q] = (labels[TRAIN + q] in winners) / len(winners)
        least += right.min(axis=0) / len(tables)
        spread += (right.max(axis=0) - right.min(axis=0)) / len(tables)
    score = worst(made)
    for given, by_hand in ((made.answers["jitter_worst"], least), (made.answers["jitter_flipped"], spread)):
        gap = given - by_hand  # of the same photos in other directions
        assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(VAL)
        assert np.corrcoef(given, by_hand)[0, 1] > 0.5
    assert score.details["jitter"]["value"] == pytest.approx(made.answers["jitter_worst"].mean())
    assert score.details["flipped"]["under_jitter"] == pytest.approx(made.answers["jitter_flipped"].mean())
    assert least.mean() > 2 * score.value  # a trace that the control does not have
    assert score.details["jitter"]["jitters"] == len(VIEWS) - 1


@pytest.mark.slow
def test_worst__jitter_without_a_trace_goes_no_further_than_jitter() -> None:
    answers = [extremes(result(outcome(seed, trace=False).scores)) for seed in range(10)]
    assert [d.answer for a in answers for d in a.values()].count("yes") <= 2
    assert all(len(a) == 1 for a in answers)


@pytest.mark.slow
def test_worst__a_sample_of_many_queries_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too much work for all of them: some queries are jittered, and only they are compared."""
    whole = outcome(0, trace=True)
    monkeypatch.setattr("benchmark.tasks.similarity.WORK", 40 * len(VIEWS) ** 2 * TRAIN * DIMENSION)
    made = outcome(0, trace=True)
    jitter, at = worst(made).details["jitter"], made.answers["jitter_sample"]
    assert (jitter["queries"], jitter["units"], len(at)) == (40, 40, 40)
    assert worst(made).value == worst(whole).value
    gap = made.answers["jitter_worst"] - made.answers["worst"][at]
    assert jitter["beyond"]["value"] == pytest.approx(gap.mean())
    [judged] = [s for s in statements(result(made.scores), all_tasks()) if s.kind == "extreme"]
    assert "40" in judged.words
    assert all_tasks()["knn/jpeg"].read_facts(made.answers)["worst"].details["jitter"] == jitter


def test_worst__outputs_besides_the_embedding_have_values_alone() -> None:
    assert "jitter" not in worst(outcome(0, trace=True, brief=True)).details
