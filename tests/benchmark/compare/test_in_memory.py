"""Comparisons of runs in memory: which runs and scores are paired, what is said of the others, and whole records."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmark.compare import (
    Compared,
    Gate,
    GateRow,
    Loss,
    MissingScore,
    Tie,
    compare_runs,
    comparison_json,
    comparison_text,
    gate_runs,
    gate_text,
    study_text,
    write_published,
)
from benchmark.compare.published import PublishedRow, pair_with_published
from benchmark.results import Failure, PhotoValues, PublishedEncoder, PublishedScore, Result, Run, Score
from benchmark.scoring import Row
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


def compared(first, second, value, answer="undecided", *, data="toy", task="probe/jpeg", metric="accuracy", n=N):
    one = np.zeros(n)
    difference = dataclasses.replace(
        paired_difference(one, one), value=value, low=value - 0.01, high=value + 0.02, p_value=0.03, n=n, units=n
    )
    return Compared(data, task, metric, first, second, 0.5 + value, 0.5, difference, 0.0625, answer)


def test_comparison_text__families_and_ties():
    one = [compared("a", "b", 0.1, "yes")]
    text = comparison_text(one, [Tie("toy", "probe/jpeg", "accuracy", "a", (), 2)])
    cells = [cell.strip() for cell in text.splitlines()[2].split("|")[1:-1]]
    assert cells == [
        *("probe/jpeg accuracy", "toy", "a", "b", "60.0", "50.0", "+10.0", "+9.0 to +12.0", "0.0625", "yes", "40")
    ]
    assert "correction over the 1 row of each pair" in text
    assert "tied with it" not in text
    uneven = [*one, compared("b", "a", 0.1, task="knn/jpeg", metric="spd"), compared("a", "c", 0.1)]
    text = comparison_text(
        uneven, [Tie("toy", "probe/jpeg", "accuracy", "a", ("b", "c"), 3), Tie("t", "x", "y", "a", (), 4)]
    )
    assert "correction over the 1 to 2 rows of each pair" in text
    assert " +60.0 |" in text  # a difference has its sign
    last = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()[-2:]]
    assert last == [["probe/jpeg accuracy", "toy", "a", "b, c", "3"], ["x y", "t", "a", "none", "4"]]
    assert "correction over the 2 rows of each pair" in comparison_text(uneven[:2], [])
    record = comparison_json(one, [Tie("toy", "probe/jpeg", "accuracy", "a", ("b",), 3)])
    assert record["ties"] == [
        {"data": "toy", "task": "probe/jpeg", "metric": "accuracy", "best": "a", "tied": ("b",), "encoders": 3}
    ]
    assert record["differences"] == [
        {"data": "toy", "task": "probe/jpeg", "metric": "accuracy", "first": "a", "second": "b"}
        | {
            "first_value": 0.6,
            "second_value": 0.5,
            "difference": 0.1,
            "low": pytest.approx(0.09),
            "high": pytest.approx(0.12),
        }
        | {"p_value": 0.03, "holm_p": 0.0625, "differs": "yes", "n": N}
    ]


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


def gate_row(judgement, *, task="probe/jpeg", metric="accuracy", signed=False, value=0.03):
    loss = Loss(value, value - 0.01, value + 0.02)
    return GateRow("toy", task, metric, "a", "b", 0.5, 0.5 + value, loss, 1234, 56, judgement, signed)


@pytest.mark.parametrize(
    ("judgements", "missing", "passed", "strictly"),
    [
        (["not worse"], False, True, True),
        (["undecided"], False, True, False),
        (["not worse"], True, True, False),
        (["worse", "not worse"], False, False, False),
    ],
)
def test_gate__record_and_text(judgements, missing, passed, strictly):
    lost = (MissingScore("toy", "knn/x", "", "it failed"),) if missing else ()
    gate = Gate(0.025, 0.9, tuple(map(gate_row, judgements)), lost)
    assert (gate.passed(), gate.passed(fail_undecided=True)) == (passed, strictly)
    record, name = gate.to_json(), {"data": "toy", "task": "probe/jpeg", "metric": "accuracy"}
    assert record["worse"] == [name] * judgements.count("worse")
    undecided = [name] * judgements.count("undecided")
    assert record["undecided"] == [*undecided, *([{"data": "toy", "task": "knn/x", "metric": ""}] if missing else [])]
    assert (record["worse_by_points"], record["coverage"]) == (2.5, 0.9)
    assert record["scores"][0] == {
        **name,
        **{"old": "a", "new": "b", "old_value": 0.5, "new_value": 0.53, "worse_by_points": 3.0},
        **{"low_points": pytest.approx(2.0), "high_points": pytest.approx(5.0), "n": 1234, "units": 56},
        "judgement": judgements[0],
    }
    assert record["missing"] == [{"data": "toy", "task": "knn/x", "metric": "", "reason": "it failed"}] * missing
    text = gate_text(gate, unit="thing")
    count = f"{len(judgements) + missing} score{'s' if len(judgements) + missing > 1 else ''}"
    assert f"{judgements.count('worse')} of {count} worse by more than 2.5 points" in text
    assert text.splitlines()[0].lower().startswith(record["verdict"])
    assert ("1 missing in NEW: knn/x" in text.splitlines()[0]) == missing
    assert ("knn/x on toy is missing: it failed." in text) == missing
    assert text.endswith("paired by thing; the lower ends of all intervals hold together with 95 %.")
    cells = [cell.strip() for cell in text.splitlines()[4].split("|")[1:-1]]
    assert cells == [*("probe/jpeg accuracy", "toy", "50.0", "53.0", "+3.0", "+2.0 to +5.0", judgements[0], "1234")]
    signed = gate_text(Gate(0.0, 0.9, (gate_row("worse", signed=True),), ()))
    assert "| +50.0 | +53.0 |" in signed


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


def test_study_text__counts_distances_and_files(tmp_path):
    def row(encoder, value, study, *, task="probe/jpeg", reason="", metric="accuracy", group="CVL"):
        return PublishedRow(encoder, f"spec {encoder}", group, "imagenet", "imagenet", task, metric,
                            scored(value, task=task, metric=metric), study, reason)  # fmt: skip

    rows = [
        row("A", 0.50, 0.505),
        row("B", 0.60, 0.65),
        row("C", 0.70, None, group="SSL"),
        row("D", 0.40, 0.9, reason="another data set"),
    ]
    swept = [Row("spec F", "imagenet", "failed", "no weights", ""), Row("spec A", "imagenet", "scored", "", "x")]
    text = study_text(rows, swept)
    assert "1 of 2 comparable published values are inside the measured 95 % interval" in text
    assert "Mean absolute difference: 2.8 points." in text  # of 0.5 and 5 points
    assert "**Not comparable with the study's** (another data set): a difference says" in text
    assert text.index("## Not measured") < text.index("| spec F") < text.index("no weights")
    assert "spec A" not in text
    table = [[c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    assert ["A", "CVL", "50.0 / 50.5"] in table
    assert ["C", "SSL", "70.0"] in table
    means = [cells for cells in table if cells[0].startswith("mean of")]
    assert [cells[1:] for cells in means] == [["3", "50.0 / 68.5"]]  # of A, B and D, which have both numbers
    lone = study_text([row("C", 0.7, None)], [])
    assert "published values" not in lone
    assert "mean of" not in lone
    assert "## Not measured" not in lone
    write_published(rows, tmp_path / "a.csv")
    read = list(csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert [(line["published"], line["inside"]) for line in read] == [
        *(("0.505", "True"), ("0.65", "False"), ("", ""), ("0.9", ""))
    ]
    assert read[0]["low"] == "0.49"
    assert [line["spec"] for line in read] == [f"spec {name}" for name in "ABCD"]
