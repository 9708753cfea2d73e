"""Comparisons of runs in memory: which runs and scores are paired, what is said of the others, and whole records."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmark.compare import (
    compare_runs,
    gate_runs,
)
from benchmark.compare.published import pair_with_published
from benchmark.results import Failure, PhotoValues, PublishedEncoder, PublishedScore, Result, Run, Score
from benchmark.stats import paired_difference
from builders.errors import DataError, UsageError
from tests.support.probe_runs import UNDER_PRESET

N = 40


def values(share, n=N, *, photos=None, over=(), clusters=None):
    ids = np.arange(n) if photos is None else np.asarray(photos)
    return PhotoValues(ids, (np.arange(len(ids)) < share * len(ids)).astype(float), (0.0, 1.0), clusters, over=over)


def run(encoder="e", data="toy", *, failures=(), unreadable=None, **answers):
    """``knn__jpeg__spd`` is the task knn/jpeg and its metric spd."""
    by_score = {}
    for name, given in answers.items():
        family, subject, metric = name.split("__")
        by_score[f"{family}/{subject}", metric.replace("_", "-")] = values(given) if isinstance(given, float) else given
    result = Result({"id": encoder}, {"name": data}, {}, (), tuple(failures), {}, "")
    return Run(Path(f"{encoder}-{data}"), result, by_score, unreadable or {})


def warnings_in(capsys) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("camtrace: warning: ") for line in lines)
    return [line.removeprefix("camtrace: warning: ") for line in lines if "older camtrace" not in line]


def test_compare_runs__every_pair_on_each_data_set_and_no_run_that_is_alone(capsys):
    runs = [
        run("a", probe__jpeg__accuracy=0.5, probe__make__accuracy_knn=0.4),
        run("b", "other", probe__jpeg__accuracy=0.9, unreadable={"knn/x": "damaged"}),
        run("b", probe__jpeg__accuracy=0.7, probe__make__accuracy_knn=0.6, unreadable={"knn/y": "damaged"}),
        run("c", probe__jpeg__accuracy=0.6),
    ]
    rows, ties = compare_runs(runs)
    assert [(r.data, r.task, r.metric, r.first, r.second) for r in rows] == [
        ("toy", "probe/jpeg", "accuracy", first, second) for first, second in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    assert [(r.first_value, r.second_value, r.difference.value) for r in rows] == [
        (0.5, 0.7, pytest.approx(-0.2)),
        (0.5, 0.6, pytest.approx(-0.1)),
        (0.7, 0.6, pytest.approx(0.1)),
    ]
    assert [(t.best, t.encoders) for t in ties] == [("b", 3)]
    assert warnings_in(capsys) == ["b-toy: knn/y is left out: damaged"]
    every, _ = compare_runs(runs, all_metrics=True)
    assert [r.metric for r in every] == ["accuracy", "accuracy-knn", "accuracy", "accuracy"]
    named, ties = compare_runs(runs, ["probe/m*"], all_metrics=True)
    assert [(r.first, r.second, r.task) for r in named] == [("a", "b", "probe/make")]
    assert [(t.task, t.encoders) for t in ties] == [("probe/make", 2)]
    with pytest.raises(UsageError, match="results"):
        compare_runs(runs[:2])
    with pytest.raises(UsageError, match="unknown task 'nothing'"):
        compare_runs(runs, ["nothing"])
    with pytest.raises(DataError, match="answers"):
        compare_runs(runs, ["probe/m*"])


def test_compare_runs__two_runs_of_one_encoder_have_their_folders_in_their_names():
    twice = [
        run("a", probe__jpeg__accuracy=0.5),
        run("a", probe__jpeg__accuracy=0.6),
        run("b", probe__jpeg__accuracy=0.7),
    ]
    twice[1] = dataclasses.replace(twice[1], folder=Path("again"))
    rows, _ = compare_runs(twice)
    assert [(r.first, r.second) for r in rows] == [("a (a-toy)", "a (again)"), ("a (a-toy)", "b"), ("a (again)", "b")]


def test_compare_runs__photos_and_processings_that_differ(capsys):
    few = values(0.5, photos=[1, 3, 5, 7])
    over = [values(0.5, over=("a", "b")), values(0.5, over=("a", "c")), values(0.75, over=("a", "b"))]
    rows, ties = compare_runs([run("a", probe__jpeg__accuracy=0.5), run("b", probe__jpeg__accuracy=few)])
    assert [(r.difference.n, r.first_value, r.second_value) for r in rows] == [(4, 1.0, 0.5)]
    assert ties == []
    assert warnings_in(capsys) == ["probe/jpeg on toy: 4 photos are in both a (40) and b (4); only these are compared"]
    runs = [run(name, probe__jpeg__accuracy=v) for name, v in zip("abc", over, strict=True)]
    rows, ties = compare_runs(runs)
    assert [(r.first, r.second) for r in rows] == [("a", "c")]
    assert ties == []
    sentence = "probe/jpeg accuracy on toy: {} is over 2 processings and {} over 2, which are not the same"
    assert warnings_in(capsys) == [f"{sentence.format(*ends)}; they are not compared" for ends in ("ab", "bc")]
    apart = [run("a", probe__jpeg__accuracy=few), run("b", probe__jpeg__accuracy=values(0.5, photos=[0, 2]))]
    with pytest.raises(DataError, match="answers"):
        compare_runs(apart)


def test_compare_runs__clusters_follow_their_photos():
    scene = np.arange(N) // 4
    first = values(0.5, clusters=scene)
    second = PhotoValues(np.arange(N)[8:], np.ones(N - 8), (0.0, 1.0), scene[8:])
    [row], _ = compare_runs([run("a", probe__jpeg__accuracy=first), run("b", probe__jpeg__accuracy=second)])
    expected = paired_difference(first.values[8:], second.values, clusters=scene[8:])
    assert (row.difference.low, row.difference.high) == (expected.low, expected.high)
    assert row.difference.units == 8


def test_gate_runs__which_runs_belong_together_and_why_a_score_is_missing(capsys):
    old = [
        run(
            "a",
            probe__jpeg__accuracy=0.5,
            probe__make__accuracy=0.5,
            probe__jpeg__accuracy_knn=0.5,
            probe__iso__accuracy=0.5,
        ),
        run("a", "second", probe__jpeg__accuracy=0.5),
    ]
    failed = Failure("task", "probe/make", "no memory")
    new = run("z", failures=[failed], unreadable={"probe/iso": "damaged"}, probe__jpeg__accuracy=0.5)
    gate = gate_runs(old, [new])
    assert [(r.data, r.old, r.new, r.task) for r in gate.rows] == [("toy", "a", "z", "probe/jpeg")]
    assert [(m.data, m.task, m.metric, m.reason) for m in gate.missing] == [
        ("toy", "probe/make", "accuracy", "no memory"),
        ("toy", "probe/iso", "accuracy", "damaged"),
        ("second", "probe/jpeg", "accuracy", "NEW has no result of a on second"),
    ]
    assert warnings_in(capsys) == ["z-toy: probe/iso is left out: damaged"]
    every = gate_runs(old[:1], [new], all_metrics=True).missing
    assert [(m.task, m.reason) for m in every][1] == ("probe/jpeg", "z-toy has no answers of it")
    assert [m.task for m in gate_runs(old[:1], [new], ["probe/j*", "probe/m*"]).missing] == ["probe/make"]
    assert gate.coverage == gate_runs(old[:1], [new]).coverage == pytest.approx(0.9)
    several = [*old[:1], run("b", probe__jpeg__accuracy=0.5)]
    with pytest.raises(UsageError, match="OLD"):
        gate_runs(several, [new])
    with pytest.raises(UsageError, match="second"):
        gate_runs(old[1:], [new])
    with pytest.raises(UsageError, match="encoder"):
        gate_runs(several, [*several, several[0]])


def published(value, *, task="probe/jpeg", data="imagenet", metric="accuracy", n=50_000, chance=0.25):
    return PublishedScore(task, data, metric, value, value - 0.01, value + 0.01, n, chance)


def scored(value, *, task="probe/jpeg", data="imagenet", metric="accuracy", n=50_000, **details):
    return Score(task, data, metric, value, value - 0.01, value + 0.01, n, 0.25, details)


@pytest.mark.parametrize(
    ("apart", "inside"), [(0.0, True), (0.01, True), (-0.01, True), (0.011, False), (-0.011, False)]
)
def test_pair_with_published__inside_at_the_ends(apart, inside):
    encoder = PublishedEncoder("E", "CVL", (published(0.5), published(0.5, data="inat2018")))
    made = dataclasses.replace(scored(0.5), low=0.49, high=0.51)
    result = Result({"id": "x"}, {"name": "imagenet", "classes": 1000}, UNDER_PRESET, (made,), (), {}, "")
    other = dataclasses.replace(encoder, scores=(published(0.5 + apart), encoder.scores[1]))
    [pair] = pair_with_published(result, other)
    assert (pair.published.data, pair.inside, pair.comparable) == ("imagenet", inside, True)
    assert pair.difference == pytest.approx(-apart)
    elsewhere = dataclasses.replace(result, scores=(dataclasses.replace(made, data="mine"),))
    assert [p.published.data for p in pair_with_published(elsewhere, encoder)] == ["imagenet", "inat2018"]
    unknown = dataclasses.replace(result, scores=(dataclasses.replace(made, task="probe/none"),))
    assert pair_with_published(unknown, encoder) == []
