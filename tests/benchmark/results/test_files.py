"""Untrusted result files: what is read, and that refused files have a reason and do not affect the others."""

import dataclasses
import hashlib
import json
import os

import pytest

from benchmark.results import (
    OutputScores,
    Result,
    Score,
    answers_changed,
    find_files,
    find_runs,
    read_files,
    write_result,
)
from benchmark.results.files import parse_result
from builders.errors import DataError


def result(encoder="timm/a"):
    scores = (
        Score("probe/jpeg", "toy", "accuracy", 0.5, 0.4, 0.6, 50, 1 / 6, {"protocol": "converged"}),
        Score("knn/jpeg", "toy", "spd", 0.1, 0.0, 0.2, 50, 0.0, {"k": 10}),
    )
    facts = {"id": encoder, "dimension": 512}
    return Result(facts, {"name": "toy"}, {"device": "cpu"}, scores, (), {}, "2026-11-20T10:00:00Z")


@pytest.fixture
def good():
    return json.loads(result().to_json())


def test_parse_result__accepts_what_a_run_writes(good):
    assert parse_result(json.dumps(good), "a.json").encoder["id"] == "timm/a"


def edited(raw, path, value):
    *parents, last = path
    parent = raw
    for name in parents:
        parent = parent[name]
    if value is None:
        del parent[last]
    else:
        parent[last] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (["encoder", "id"], '<img src=x onerror="alert(1)">', "markup"),
        (["encoder", "id"], "a\u202eb", "invisible"),
        (["encoder", "id"], "a\nb", "control"),
        (["encoder", "id"], "x" * 201, "201 characters"),
        (["encoder", "id"], None, "encoder"),
        (["encoder", "id"], 7, "encoder id"),
        (["encoder"], [], "encoder"),
        (["data", "name"], "<b>", "data name"),
        (["data", "name"], " ", "data name"),
        (["scores", 0, "task"], "probe/<script>", "task"),
        (["scores", 0, "value"], "0.5", "not a number"),
        (["scores", 0, "value"], 0.1, "interval"),
        (["scores", 0, "value"], 1.5, "outside"),
        (["scores", 0, "n"], None, "missing"),
        (["scores", 0, "surprise"], 1, "unknown"),
        (["scores", 0, "details"], "text", "details"),
        (["scores", 0, "n"], -1, "count"),
        (["scores"], [], "no score"),
        (["scores"], None, "missing"),
        (["created"], "yesterday", "ISO 8601"),
        (["created"], 5, "ISO 8601"),
        (["schema_version"], 99, "schema_version"),
        (["failures"], [{"kind": "task", "name": "x", "reason": 5}], "failure"),
        (["environment", "runtime"], {"name": "<b>", "version": "1"}, "names a runtime"),
        (["environment", "runtime"], {"name": "openvino", "version": "1\n2"}, "names a runtime"),
        (["environment", "runtime"], {"name": "openvino", "relative_error": "small"}, "names a runtime"),
    ],
)
def test_parse_result__refuses_with_a_reason(good, path, value, reason):
    with pytest.raises(DataError, match=reason) as error:
        parse_result(edited(good, path, value), "a.json")
    assert str(error.value).startswith("a.json: ")
    assert "\n" not in str(error.value)


CURVE = {"share": [0.5, 1], "n_train": [5, 10], "accuracy": [0.4, 0.5], "low": [0.3, 0.4], "high": [0.5, 0.6]}
CURVE |= {"gain": {"value": 0.1, "low": 0.05, "high": 0.15}, "rises": True}


ENDS = {"value": 0.5, "low": 0.4, "high": 0.6}
HISTOGRAM = {"query": "a.jpg", "class": "dog", "processing": "q75", "why": "misled most", "beats": 0.5, "overlap": 1.0}
HISTOGRAM |= {"edges": [0.0, 0.5, 1.0], "counts": {"same-class same-processing": [1, 2]}}


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"similarities": [HISTOGRAM], "flipped": ENDS}, ""),
        ({"similarities": []}, ""),
        ({"similarities": HISTOGRAM}, "histograms"),
        ({"similarities": [HISTOGRAM] * 51}, "at most 50 histograms"),
        ({"similarities": [HISTOGRAM | {"query": 5}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"query": "a\x1b[2J"}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"why": []}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"beats": "much"}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"edges": [0.0, 0.5, 0.5]}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"edges": [0.0, 1.0]}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"counts": {"same": [1, -2]}}]}, "histograms"),
        ({"similarities": [HISTOGRAM | {"counts": {"same": [1, 2.5]}}]}, "histograms"),
        (
            {"similarities": [HISTOGRAM | {"edges": list(range(10**4)), "counts": {"same": [0] * (10**4 - 1)}}]},
            "histog",
        ),
        (
            {"similarity_summary": {"beats": ENDS, "overlap": ENDS, "n": 5, "queries": 10, "photos": 5, "chance": 0.5}},
            "",
        ),
        ({"similarity_summary": {"beats": ENDS}}, "two shares"),
        ({"similarity_summary": {"beats": ENDS, "overlap": ENDS, "n": -5}}, "two shares"),
        ({"flipped": 0.5}, "flipped"),
        ({"learning_curve": CURVE, "training_spread": {"deviation": 0.01, "probes": 8}}, ""),
        ({"learning_curve": CURVE | {"gain": None}}, ""),
        ({"learning_curve": CURVE | {"rises": "yes"}}, "learning curve"),
        ({"learning_curve": CURVE | {"low": [0.3]}}, "learning curve"),
        ({"learning_curve": CURVE | {"accuracy": [0.3, "0.5"]}}, "learning curve"),
        (
            {"learning_curve": CURVE | dict.fromkeys(("share", "n_train", "accuracy", "low", "high"), [0] * 1000)},
            "learning",
        ),
        ({"learning_curve": CURVE | {"gain": {"value": 0.1}}}, "learning curve"),
        ({"training_spread": {"deviation": "much", "probes": 8}}, "a deviation"),
        ({"training_spread": 0.01}, "a deviation"),
    ],
)
def test_parse_result__details_have_their_form(good, details, reason):
    text = edited(good, ["scores", 0, "details"], details)
    if not reason:
        assert parse_result(text, "a.json").scores[0].details == details
        return
    with pytest.raises(DataError, match=reason):
        parse_result(text, "a.json")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_parse_result__refuses_numbers_that_are_not_finite(good, number):
    text = json.dumps(good).replace('"dimension": 512', f'"dimension": {number}')
    assert number in text
    with pytest.raises(DataError, match=r"not JSON|not finite"):
        parse_result(text, "a.json")


def test_parse_result__refuses_a_score_that_is_there_twice(good):
    good["scores"].append(good["scores"][0])
    with pytest.raises(DataError, match="2 times"):
        parse_result(json.dumps(good), "a.json")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '"' + "x" * 10, "\x00"])
def test_parse_result__refuses_other_texts(text):
    with pytest.raises(DataError):
        parse_result(text, "a.json")


def test_read_files__accepts_results_and_names_refused_files(tmp_path):
    write_result(result("a"), tmp_path / "1.json")
    write_result(result("unwanted"), tmp_path / "2.json")
    (tmp_path / "3.json").write_text("{}")
    (tmp_path / "4.json").write_bytes(b"\xff\xfe\x00")
    write_result(result("z"), tmp_path / "6.json")
    files = [f"{i}.json" for i in range(1, 7)]
    read = read_files(
        tmp_path, files, objection=lambda f: "not this one" if f.result.encoder["id"] == "unwanted" else ""
    )
    assert [(f.file, f.result.encoder["id"]) for f in read.accepted] == [("1.json", "a"), ("6.json", "z")]
    assert {r.file for r in read.refused} == {"2.json", "3.json", "4.json", "5.json"}
    assert read.refused[0].reason == "not this one"


def test_read_files__a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(100 * 2**20)
    (refusal,) = read_files(tmp_path, ["huge.json"]).refused
    assert "100 MiB" in refusal.reason


def test_read_files__links_and_pipes_are_refused_and_never_waited_for(tmp_path):
    write_result(result(), tmp_path / "outside" / "a.json")
    inside = tmp_path / "inside"
    write_result(result(), inside / "kept" / "a.json")
    (inside / "here.json").symlink_to(inside / "kept" / "a.json")
    (inside / "loop.json").symlink_to(inside / "loop.json")
    (inside / "nothing.json").symlink_to(inside / "gone")
    (inside / "out.json").symlink_to(tmp_path / "outside" / "a.json")
    (inside / "folder.json").mkdir()
    os.mkfifo(inside / "pipe.json")
    files = find_files(inside, "**/*.json")
    assert files == ["here.json", "kept/a.json", "loop.json", "nothing.json", "out.json", "pipe.json"]
    read = read_files(inside, files)
    assert [f.file for f in read.accepted] == ["here.json", "kept/a.json"]
    assert {r.file: r.reason for r in read.refused} == {
        "loop.json": "cannot be read (Too many levels of symbolic links)",
        "nothing.json": "cannot be read (No such file or directory)",
        "out.json": "a path or link that leaves the folder",
        "pipe.json": "not a regular file",
    }
    (inside / "pipe.json").unlink()
    assert "out.json" in [f.file for f in read_files(inside, files, links_may_leave=True).accepted]


def test_find_runs__the_run_itself_and_all_below(tmp_path):
    for name in ("b", "a/deep"):
        write_result(result(), tmp_path / name / "result.json")
    (tmp_path / "other.json").write_text("{}")
    assert find_runs(tmp_path) == ["a/deep/result.json", "b/result.json"]
    write_result(result(), tmp_path / "result.json")
    assert find_runs(tmp_path) == ["result.json", "a/deep/result.json", "b/result.json"]
    assert find_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [("layer", 2, True), ("layer", 3, False), ("layer", -1, False), ("layers", "3", False), ("dimension", -8, False)],
)
def test_parse_result__layer_and_size_of_an_output(field, value, accepted):
    output = OutputScores("layers[1]:mean", "block 1, mean", 1, 3, "mean", 8, "hooks", result().scores)
    text = dataclasses.replace(result(), outputs=(dataclasses.replace(output, **{field: value}),)).to_json()
    if accepted:
        assert parse_result(text, "a.json").outputs[0].layer == value
    else:
        with pytest.raises(DataError, match="layers"):
            parse_result(text, "a.json")


def test_answers_changed__by_the_sha256_that_the_result_records(tmp_path):
    (tmp_path / "answers.npz").write_bytes(b"answers")
    recorded = {"answers_sha256": hashlib.sha256(b"answers").hexdigest()}
    assert not answers_changed(dataclasses.replace(result(), environment=recorded), tmp_path)
    assert answers_changed(dataclasses.replace(result(), environment={"answers_sha256": "0" * 64}), tmp_path)
    assert not answers_changed(dataclasses.replace(result(), environment={}), tmp_path)
    (tmp_path / "answers.npz").unlink()
    assert answers_changed(dataclasses.replace(result(), environment=recorded), tmp_path)
