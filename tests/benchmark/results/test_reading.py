"""Results of folders and of a repository: which files are read, with which calls, and whole sentences of refusals."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.results import (
    Family,
    Metric,
    Refusal,
    families,
    find_files,
    folder_name,
    in_order,
    metric_of,
    questions,
    read_results,
    score_label,
    subject_of,
    write_result,
)
from builders.errors import UsageError


def test_find_files__below_a_folder_sorted(tmp_path):
    for name in ("b.json", "a/z.json", "a/b/c.json", "a/b/c.txt", "results/x.json", "ab.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    every = ["a/b/c.json", "a/z.json", "ab.json", "b.json", "results/x.json"]
    assert find_files(tmp_path, "**/*.json") == every
    assert find_files(tmp_path, "a/**/*.json") == ["a/b/c.json", "a/z.json"]
    assert find_files(tmp_path, "**/?.json") == [name for name in every if "ab" not in name]
    assert find_files(tmp_path, "results/**/*.json") == ["results/x.json"]
    assert find_files(tmp_path, "none/**/*") == []


@pytest.mark.parametrize(
    ("name", "folder"),
    [("a/b c", "a--b-c"), ("..a.", "a"), ("a@b=c+d_e-f.g", "a@b=c+d_e-f.g"), ("...", "unnamed"), ("a:b?c", "a-b-c")],
)
def test_folder_name(name, folder):
    assert folder_name(name) == folder


def test_read_results__of_the_results_folder_where_there_is_one(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "top.json")
    assert [file.file for file in read_results(str(tmp_path)).accepted] == ["top.json"]
    write_result(make.result("b", make.probes(0.5)), tmp_path / "results" / "x.json")
    read = read_results(str(tmp_path), lambda file: "no" if file.file.endswith("y.json") else "")
    assert [(file.file, file.path, file.text) for file in read.accepted] == [
        ("results/x.json", tmp_path / "results/x.json", (tmp_path / "results/x.json").read_text())
    ]
    write_result(make.result("c", make.probes(0.5)), tmp_path / "results" / "y.json")
    read = read_results(str(tmp_path), lambda file: "no" if file.file.endswith("y.json") else "")
    assert read.refused == (Refusal("results/y.json", "no"),)
    (tmp_path / "file").write_text("")
    for source in (str(tmp_path / "file"), "a b/c"):
        with pytest.raises(UsageError) as error:
            read_results(source)
        assert f"{source}" in str(error.value)


METRICS = (
    Metric("spd", "SPD", "of it.", "difference", "0", main=False),
    Metric("accuracy", "Accuracy", "of it.", "accuracy", "1/4"),
)


def question_of(name, family, metrics=METRICS):
    return SimpleNamespace(name=name, family=family, metrics=metrics)


def test_questions__metrics_families_and_order():
    assert [(m.signed, m.bounds) for m in METRICS] == [(True, (-1.0, 1.0)), (False, (0.0, 1.0))]
    one, two = (Family(name, name, "of it.", "processing", "task") for name in ("one", "two"))
    table = {
        "one/b": question_of("one/b", one),
        "two/a": question_of("two/a", two, METRICS[1:]),
        "one/a": question_of("one/a", one, (METRICS[1], dataclasses.replace(METRICS[0], main=True))),
    }
    assert families(table) == (one, two)
    assert in_order(["z", "one/a", "two/a", "y", "one/a", "one/b"], table) == ["one/b", "two/a", "one/a", "z", "y"]
    assert metric_of(table, "one/b", "accuracy") is METRICS[1]
    for task, metric in (("one/b", "other"), ("zzz", "accuracy")):
        assert metric_of(table, task, metric) == Metric(
            metric, f"{task} {metric}", f"{metric} of {task}.", "accuracy", "as the score says", main=False
        )
    labels = [score_label(task, METRICS[1], table) for task in ("one/b", "two/a", "one/a", "zzz/a")]
    assert labels == ["one/b", "two/a", "one/a accuracy", "zzz/a accuracy"]
    assert score_label("one/b", METRICS[0], table) == "one/b spd"
    assert [subject_of(task) for task in ("a/b/c", "a", "a/")] == ["b/c", "a", "a/"]
    assert questions.no_facts({"a": np.zeros(1)}) == {}
