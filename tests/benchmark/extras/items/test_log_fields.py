"""Logs of harnesses: everything that is read of a small log that is written here, and whole refusals."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from benchmark.extras.items import Columns, inspect_logs
from benchmark.extras.items.harness_logs import read_samples
from benchmark.extras.items.inspect_logs import read_inspect_log
from builders.errors import DataError, UsageError

DATE = "2026-11-29T05-22-07.116389"
SAMPLES = f"samples_arith_{DATE}.jsonl"


def everything(rows):
    clusters = None if rows.clusters is None else rows.clusters.to_pylist()
    scores = [None if np.isnan(value) else value for value in rows.scores]
    return {
        "of": (rows.where, rows.argument, rows.system, rows.task, rows.metric, rows.epochs, rows.other_metrics),
        "items": rows.items.to_pylist(),
        "scores": scores,
        "clusters": clusters,
    }


def refusal(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    return str(caught.value)


def samples_file(folder, samples, name=SAMPLES):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return folder / name


FILTERED = [
    {"doc_id": 0, "metrics": ["acc", "f1", "text"], "filter": "loose", "acc": 1, "f1": 0.5, "text": "x"},
    {"doc_id": 0, "metrics": ["acc", "f1", "text"], "filter": "strict", "acc": 0, "f1": 0.25},
    {"doc_id": 1, "filter": "loose", "acc": True, "f1": {"score": 0.75}, "doc_hash": "0123456789abcdef"},
    {"doc_id": 1, "filter": "strict", "f1": "no", "doc_hash": None},
]


def test_read_samples__several_filters(tmp_path):
    path = samples_file(tmp_path / "model dir", FILTERED)
    names = ("acc,loose", "acc,strict", "f1,loose", "f1,strict")
    assert everything(read_samples(path, 3, Columns())) == {
        "of": (str(path), 3, "model dir", "arith", "acc,loose", False, names[1:]),
        "items": ["0", "1 (document 01234567)"],
        "scores": [1.0, 1.0],
        "clusters": None,
    }
    for name, scores in (
        ("acc,strict", [0.0, None]),
        ("f1,loose", [0.5, 0.75]),
        ("f1,strict", [0.25, None]),
    ):
        made = everything(read_samples(path, 0, Columns(score=name)))
        assert (made["scores"], made["of"][4]) == (scores, name)
        assert made["of"][6] == tuple(other for other in names if other != name)
    assert f"{SAMPLES}" in refusal(UsageError, read_samples, path, 0, Columns(score="f1,loos"))
    unfiltered = [{key: value for key, value in each.items() if key != "filter"} for each in FILTERED[::2]]
    mixed = samples_file(tmp_path / "mixed", [*unfiltered, *FILTERED[1:2]])
    made = everything(read_samples(mixed, 0, Columns()))
    assert (made["of"][4], made["of"][6][0], made["scores"]) == ("acc,none", "acc,strict", [1.0, 1.0])


NO_SCORES = (
    *("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash"),
    *("prompt_hash", "target_hash", "input", "token_counts", "schema_version"),
)


def test_read_samples__fields_that_are_no_metric(tmp_path):
    sample = {**dict.fromkeys(NO_SCORES, 1), "quality": 0.5, "other": 2}
    made = everything(read_samples(samples_file(tmp_path / "m", [sample]), 0, Columns()))
    assert (made["of"][4], made["of"][6], made["items"]) == ("quality", ("other",), ["1 (document 1)"])
    without = samples_file(tmp_path / "n", [dict.fromkeys(NO_SCORES, 1)])
    assert f"{without}" in refusal(DataError, read_samples, without, 0, Columns())
    for samples in ([], [{"doc_id": 1, "acc": 1}, {"acc": 1}]):
        path = samples_file(tmp_path / "o", samples)
        sentence = f"{path}: no samples of lm-evaluation-harness or lmms-eval"
        assert refusal(DataError, read_samples, path, 0, Columns()) == sentence


def test_read_samples__a_cluster_is_a_field_of_the_document_the_sample_or_the_score(tmp_path):
    samples = [
        {
            "doc_id": i,
            "metrics": ["acc"],
            "acc": {"score": i, "kind": f"k{i}", "page": "of score"},
            "page": i,
            "doc": doc,
        }
        for i, doc in enumerate([{"page": "p", "topic": 7}, {"topic": "t"}])
    ]
    path = samples_file(tmp_path / "m", samples)
    for name, clusters in (("page", ["p", "1"]), ("topic", ["7", "t"]), ("kind", ["k0", "k1"]), ("doc_id", ["0", "1"])):
        assert everything(read_samples(path, 0, Columns(cluster=name)))["clusters"] == clusters
    sentence = f"unknown field of {SAMPLES} 'zzz': known: kind, page, score, topic"
    assert refusal(UsageError, read_samples, path, 0, Columns(cluster="zzz")) == sentence


def test_read_samples__the_model_is_that_of_the_results_of_its_date(tmp_path):
    path = samples_file(tmp_path / "m", [{"doc_id": 1, "acc": 1}])
    (tmp_path / "m" / "results_2025-01-01T00-00-00.json").write_text(json.dumps({"model_name": "of another day"}))
    (tmp_path / "m" / f"other_{DATE}.json").write_text(json.dumps({"model_name": "no results"}))

    def system(of=path):
        return read_samples(of, 0, Columns()).system

    assert system() == "m"
    results = tmp_path / "m" / f"results_{DATE}.json"
    for value, name in (({"model_name": "of \x1bit"}, "of \\x1bit"), ({"model_name": 1}, "m"), ([1], "m"), ({}, "m")):
        results.write_text(json.dumps(value))
        assert system() == name
    other = samples_file(tmp_path / "m", [{"doc_id": 1, "acc": 1}], "20261129_052500_samples_vqa.jsonl")
    (tmp_path / "m" / "20261129_052500_results.json").write_text(json.dumps({"model_name": "of lmms"}))
    assert system(other) == "of lmms"


WORDS = {"C": 1, "c": None, "P": 0.5, "I": 0, "N": 0, "yes": 1, "YES": 1, "True": 1, "no": 0, "False": 0}
OTHERS = {"0.25": 0.25, "": None, "word": None}


def test_read_inspect_log__values_of_scores(tmp_path):
    values = [*WORDS, *OTHERS, 2, True, None, [1], 0.5]
    expected = [*WORDS.values(), *OTHERS.values(), 2, 1, None, None, 0.5]
    samples = [{"id": i, "scores": {"match": {"value": value}}} for i, value in enumerate(values)]
    log = {"eval": {"model": "m", "task": "t"}, "samples": samples}
    assert everything(read_inspect_log(tmp_path / "a.json", 4, Columns(), log)) == {
        "of": (str(tmp_path / "a.json"), 4, "m", "t", "match", True, ()),
        "items": [str(i) for i in range(len(values))],
        "scores": expected,
        "clusters": None,
    }


def test_read_inspect_log__scorers_keys_and_samples_without_a_score(tmp_path):
    samples = [
        {"id": "a", "metadata": {"topic": 1}, "scores": {"first": {"value": {"x": "C", "y": "I"}}, "second": 0.5}},
        {"id": "b", "metadata": {"topic": "t"}, "scores": {"second": {"value": 1}, "third": {"value": 3}}},
        {"id": "c", "metadata": {"topic": 2}, "scores": None},
        {"scores": {"second": 9}},
        "no sample",
    ]
    log = {"eval": {}, "status": "error", "samples": samples}
    path = tmp_path / "a.json"
    made = everything(read_inspect_log(path, 0, Columns(cluster="topic"), log))
    assert made["of"] == (str(path), 0, "None", "None", "first/x", True, ("first/y", "second", "third"))
    assert (made["items"], made["scores"], made["clusters"]) == (["a", "b", "c"], [1, None, None], ["1", "t", "2"])
    assert everything(read_inspect_log(path, 0, Columns(score="second"), log))["scores"] == [0.5, 1, None]
    for columns, error, sentence in (
        (Columns(score="secnd"), UsageError, "'second'"),
        (Columns(cluster="zzz"), UsageError, "'zzz'"),
    ):
        assert sentence in refusal(error, read_inspect_log, path, 0, columns, log)
    lacking = [samples[0], {**samples[1], "metadata": None}, {**samples[2], "metadata": {}}]
    sentence = f"{path}: 2 samples (b, c) without topic"
    assert (
        refusal(DataError, read_inspect_log, path, 0, Columns(cluster="topic"), {**log, "samples": lacking}) == sentence
    )
    for changed in ({"samples": samples[2:3]}, {"samples": "none"}):
        sentence = f"{path}: no sample has a score (status: error)"
        assert refusal(DataError, read_inspect_log, path, 0, Columns(), {**log, **changed}) == sentence
    assert f"{path}" in refusal(DataError, read_inspect_log, path, 0, Columns(), {"eval": 1})


def archive(path, members):
    with zipfile.ZipFile(path, "w") as stream:
        for name, value in members.items():
            stream.writestr(name, json.dumps(value))
    return path


def test_archives__the_header_and_the_summaries_before_the_journal(tmp_path, monkeypatch):
    def sample(name, value):
        return {"id": name, "scores": {"match": value}}

    start, header = ({"eval": {"model": model, "task": "t"}} for model in ("started", "ended"))
    journal = {f"_journal/summaries/{i}.json": [sample(f"j{i}", i)] for i in (10, 2, 1)}
    journal["_journal/summaries/3.json"] = {"no": "list"}
    cases = [
        ({"_journal/start.json": start, **journal}, ("started", ["j1", "j2", "j10"])),
        ({"_journal/start.json": start, "header.json": header, **journal}, ("ended", ["j1", "j2", "j10"])),
        ({"header.json": header, "summaries.json": [sample("s", 1)], **journal}, ("ended", ["s"])),
    ]
    limits = []
    opened = inspect_logs.open_archive
    monkeypatch.setattr(
        inspect_logs, "open_archive", lambda path, *, limit: limits.append(limit) or opened(path, limit=limit)
    )
    for members, expected in cases:
        rows = read_inspect_log(archive(tmp_path / "a.eval", members), 0, Columns())
        assert (rows.system, rows.items.to_pylist()) == expected
    assert limits == [16 << 30] * 3
    for members in ({"header.json": header}, {"summaries.json": []}, {"header.json": header, "_journal/start.json": 1}):
        path = archive(tmp_path / "b.eval", members)
        sentence = f"{path}: no log of inspect_ai, or one without samples"
        assert refusal(DataError, read_inspect_log, path, 0, Columns()) == sentence
    broken = archive(tmp_path / "c.eval", {"header.json": header})
    with zipfile.ZipFile(broken, "a") as stream:
        stream.writestr("summaries.json", "{")
    assert refusal(DataError, read_inspect_log, broken, 0, Columns()).startswith(f"{broken}: summaries.json")
