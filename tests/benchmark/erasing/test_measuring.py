"""Which scores before and after erasing are compared, and how: rows of scores made by hand."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.results import Score
from benchmark.scoring.erase import rows_of, tasks_of
from benchmark.tasks import all_tasks
from builders.photos import Labels, PhotoSet


def score(task: str, metric: str, value: float, chance: float = 0.25) -> Score:
    return Score(task, "some", metric, value, value - 0.1, value + 0.1, 8, chance)


def scored(scores, answers=()) -> SimpleNamespace:
    """The fields of a scored encoder that ``rows_of`` reads."""
    return SimpleNamespace(result=SimpleNamespace(scores=tuple(scores), data={"name": "some"}), answers=dict(answers))


def pairs(nearer_by_type, ids="abcd") -> dict[str, np.ndarray]:
    """Answers of ``retrieval/pairs`` in which only distractors of the query's camera type are nearer."""
    nearer = np.zeros((2, 2, 4), np.int32)
    nearer[1] = nearer_by_type
    arrays = {"nearer": nearer, "tied": np.zeros_like(nearer), "pair_ids": np.array(list(ids))}
    return {f"retrieval/pairs/{name}": array for name, array in arrays.items()}


SHOWN = [
    ("probe/jpeg", "accuracy", "trace", "linear"),
    ("probe/jpeg", "accuracy-knn", "trace", "knn"),
    ("probe/jpeg", "accuracy-mlp", "trace", "mlp"),
    ("retrieval/pairs", "same", "accuracy", ""),
    ("retrieval/pairs", "different", "accuracy", ""),
    ("retrieval/pairs", "spd", "difference", ""),
]
LEFT_OUT = [("retrieval/pairs", name) for name in ("all", "same-at-5", "different-mrr")]


@pytest.fixture(scope="module")
def rows():
    names = [*(shown[:2] for shown in SHOWN), *LEFT_OUT]
    before = [score(*name, 0.5 + i / 100) for i, name in enumerate(names)]
    after = [score(*name, 0.3 + i / 50) for i, name in enumerate(names)]
    return rows_of(
        scored([*before, score("probe/resizing", "accuracy", 0.9)], pairs([[0, 0, 0, 0], [0, 0, 0, 1]])),
        scored([*reversed(after), score("probe/sharpening", "accuracy", 0.9)], pairs([[0, 1, 0, 0], [0, 2, 0, 1]])),
    )


def test_rows_of__each_reader_of_a_trace_and_the_main_metrics_of_pairs(rows):
    assert [(row.task, row.metric, row.kind, row.reader) for row in rows] == SHOWN
    assert {(row.data, row.n, row.chance) for row in rows} == {("some", 8, 0.25)}
    for i, row in enumerate(rows):
        before, after = 0.5 + i / 100, 0.3 + i / 50
        assert (row.before, row.before_low, row.before_high) == pytest.approx((before, before - 0.1, before + 0.1))
        assert (row.after, row.after_low, row.after_high) == pytest.approx((after, after - 0.1, after + 0.1))


def test_rows_of__differences_are_after_minus_before_and_paired_if_there_are_answers(rows):
    for row in rows[:3]:
        assert (row.low, row.high, row.p_value) == (None, None, None)
        assert row.difference == pytest.approx(row.after - row.before)
    same, different, spd = rows[3:]
    # both queries of pair b lose their target by erasing; one query of pair d has lost it before and after
    assert (same.difference, different.difference, spd.difference) == pytest.approx((0.0, -0.25, 0.25))
    assert different.low <= -0.25 <= different.high
    assert spd.low <= 0.25 <= spd.high


def test_rows_of__answers_of_other_pairs_are_not_paired():
    scores = [score("retrieval/pairs", "different", value) for value in (0.5, 0.8)]
    answers = pairs([[0, 0, 0, 1], [0, 0, 0, 0]])
    others = pairs([[0, 0, 0, 1], [0, 0, 0, 0]], "abce")
    (row,) = rows_of(scored(scores[:1], answers), scored(scores[1:], others))
    assert (row.difference, row.low, row.high, row.p_value) == (pytest.approx(0.3), None, None, None)


def photos(**more) -> PhotoSet:
    """Eight photos of two classes and two makes, in pairs of two types of camera."""
    names = [f"{i}" for i in range(8)]
    labels = ["cat", "dog"] * 4
    made = PhotoSet.of_bytes("some", dict.fromkeys(names, b""), labels, ["train"] * 4 + ["val"] * 4)
    make = Labels(("one", "two"), np.array([0, 1, 1, 0] * 2, np.int32))
    return dataclasses.replace(made, attributes={"make": make, "exposure": make}, **more)


PAIRED = {"pair_id": np.repeat(np.arange(4), 2), "camera_type": np.array(["old", "phone"] * 4)}
PLAIN = {"knn/original", "linear/original"}


@pytest.mark.parametrize(
    ("trace", "more", "expected"),
    [
        ("jpeg", {}, {"probe/jpeg", "knn/jpeg", *PLAIN}),
        ("jpeg", {"columns": PAIRED}, {"probe/jpeg", "knn/jpeg", "retrieval/pairs", *PLAIN}),
        ("make", {}, {"probe/make", *PLAIN}),
        # tasks that need classes are left out
        ("jpeg", {"labels": Labels((), np.full(8, -1, np.int32))}, {"probe/jpeg"}),
    ],
)
def test_tasks_of__the_trace_its_knn_task_plain_photos_and_pairs(trace, more, expected):
    assert {task.name for task in tasks_of(trace, photos(**more), every=False)} == expected


def test_tasks_of__every_trace_except_those_that_must_be_named():
    few = {task.name for task in tasks_of("jpeg", photos(), every=False)}
    every = {task.name for task in tasks_of("jpeg", photos(), every=True)}
    assert few < every
    assert every - few >= {"probe/make", "probe/exposure", "probe/sharpening", "probe/resizing"}
    assert not {name for name in every if name.startswith("probe/") and all_tasks()[name].by_name}
    assert "probe/jpeg-fine" in {task.name for task in tasks_of("jpeg-fine", photos(), every=True)}
