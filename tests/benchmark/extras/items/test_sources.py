"""Which files of a folder are logs or tables, how systems and tasks are named, and what columns must hold."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from benchmark.extras.items import Columns, is_item_source, read_sources
from builders.errors import DataError, UsageError

TABLE = "id,right\na,1\nb,0\n"
SAMPLES = "samples_{}_2026-11-29T05-22-07.116389.jsonl"


def written(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def lines(**scores):
    return "".join(json.dumps({"doc_id": i, "acc": v}) + "\n" for i, v in enumerate(scores["acc"]))


VLM = "index,prediction,hit\n1,A,1\n2,B,0\n"


@pytest.mark.parametrize(
    ("name", "files", "source"),
    [
        ("a", {"x.eval": ""}, True),
        ("a", {SAMPLES.format("t"): ""}, True),
        ("a", {"20261129_052500_samples_vqa.jsonl": ""}, True),
        ("a", {"x.eval": "", "result.json": "{}"}, False),
        ("a", {"x.csv": TABLE}, False),
        ("m", {"m_bench.csv": VLM}, True),
        ("m", {"m_bench.csv": TABLE}, False),
        ("m", {"n_bench.csv": VLM}, False),
        ("m", {"m_bench.txt": VLM}, False),
        ("m", {"m_bench.csv": VLM.replace("prediction", "other")}, False),
        ("m", {"m_bench.csv": VLM.replace("hit", "points")}, False),
        ("m", {}, False),
    ],
)
def test_is_item_source__folders(tmp_path, name, files, source):
    assert is_item_source(written(tmp_path / name, files)) == source


def test_is_item_source__files(tmp_path):
    kinds = ("eval", "csv", "TSV", "jsonl", "ndjson", "parquet", "JSON", "xlsx", "txt", "npz", "")
    taken = [kind for kind in kinds if is_item_source(tmp_path / f"a.{kind}")]
    assert taken == list(kinds[:8])


def facts(rows):
    return [(r.system, r.task, r.metric, r.items.to_pylist(), r.scores.tolist()) for r in rows]


def test_read_sources__predictions_of_vlmevalkit(tmp_path):
    folder = written(
        tmp_path / "m", {"m_A.csv": VLM, "m_B.csv": VLM.replace("hit", "score") + "3,C,1\n", "notes.csv": TABLE}
    )
    assert facts(read_sources([folder], Columns())) == [
        ("m", "A", "hit", ["1", "2"], [1, 0]),
        ("m", "B", "score", ["1", "2", "3"], [1, 0, 1]),
    ]
    assert facts(read_sources([folder / "m_A.csv"], Columns())) == [("m_A", "", "hit", ["1", "2"], [1, 0])]
    written(tmp_path / "m", {"m_A.csv": "index,prediction,match,score\n1,A,0,1\n"})
    [one, _] = read_sources([folder], Columns())
    assert (one.metric, one.scores.tolist()) == ("score", [1])
    [one] = read_sources([folder / "m_A.csv"], Columns(score="match"))
    assert (one.metric, one.scores.tolist()) == ("match", [0])


def test_read_sources__tasks_by_pattern_and_files_of_one_task(tmp_path):
    files = {SAMPLES.format("one"): lines(acc=[1, 0]), SAMPLES.format("two"): lines(acc=[0, 0, 1])}
    files["20261129_052500_samples_one.jsonl"] = lines(acc=[1, 1])
    folder = written(tmp_path / "model", files)
    rows = {r.task: r for r in read_sources([folder], Columns())}
    assert sorted(rows) == ["one", "two"]
    assert sorted(rows["one"].scores.tolist()) == [0, 1, 1, 1]  # of both files
    assert rows["one"].system == "model"
    assert [r.task for r in read_sources([folder], Columns(), ["t*"])] == ["two"]
    assert sorted(r.task for r in read_sources([folder], Columns(), ["one", "t*"])) == ["one", "two"]
    with pytest.raises(UsageError, match="unknown task 'three'"):
        read_sources([folder], Columns(), ["one", "three"])
    broken = written(tmp_path / "model", {SAMPLES.format("broken"): "{"})
    assert [r.task for r in read_sources([broken], Columns(), ["two"])] == ["two"]  # is not read at all
    with pytest.raises(DataError):
        read_sources([broken], Columns())
    table = written(tmp_path / "t", {SAMPLES.format("one"): lines(acc=[1, 0])}) / SAMPLES.format("one")
    [row] = read_sources([table], Columns(item="doc_id", score="acc"))  # columns that are named: a table
    assert (row.system, row.task, row.metric) == (table.stem, "", "acc")


def test_read_sources__systems_and_tasks_in_columns(tmp_path):
    frame = pd.DataFrame(
        {
            "id": [1, 2, 1, 2, 1],
            "s": [1.0, 0.0, 0.5, 1.0, 0.25],
            "who": pd.Categorical(["x", "x", "y", "y", "x"]),
            "what": ["t", "t", "t", None, "u"],
            "page": ["p", "q", "p", "q", "p"],
        }
    )
    columns = Columns("id", "s", cluster="page", task="what", system="who")
    rows = read_sources([("f", frame)], columns)
    assert facts(rows) == [
        ("x", "t", "s", ["1", "2"], [1.0, 0.0]),
        ("y", "t", "s", ["1"], [0.5]),
        ("y", "", "s", ["2"], [1.0]),
        ("x", "u", "s", ["1"], [0.25]),
    ]
    assert [r.clusters.to_pylist() for r in rows] == [["p", "q"], ["p"], ["q"], ["p"]]
    assert [r.system for r in read_sources([("f", frame)], Columns("id", "s", system="who"))] == ["x", "y"]
    by_task = read_sources([("f", frame)], Columns("id", "s", task="what"))
    assert [(r.system, r.task) for r in by_task] == [("f", "t"), ("f", ""), ("f", "u")]
    twice = read_sources([("f", frame), ("f", frame), ("g", frame)], Columns("id", "s"))
    assert [r.system for r in twice] == ["f (f)", "f (f)", "g"]
    for changed, column, sentence in (
        ({"page": ["p", None, "p", None, "p"]}, columns, "rows"),
        ({"id": [[1]] * 5}, columns, "'id'"),
        ({"s": [1, 2, np.inf, 0, 0]}, columns, "f: a score is infinite"),
    ):
        with pytest.raises(DataError) as error:
            read_sources([("f", frame.assign(**changed))], column)
        assert sentence in str(error.value)
    with pytest.raises(DataError, match="there"):
        read_sources([("f", frame.iloc[:0])], columns)
    for column, sentence in (
        (Columns(score="s"), "columns"),
        (Columns(item="id"), "columns"),
        (Columns("id", "s", cluster="zz", task="aa"), "'aa'"),
    ):
        with pytest.raises(UsageError) as error:
            read_sources([("f", frame)], column)
        assert sentence in str(error.value)


def refusal(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    return str(caught.value)


def test_read_sources__of_a_table_the_named_columns_and_its_file(tmp_path):
    table = written(tmp_path / "x", {"a.tsv": "id\ts\tc\tt\tw\n1\t1\tp\tu\tv\n2\t0\tq\tu\tv\n"}) / "a.tsv"
    [row] = read_sources([table], Columns("id", "s", "c", "t", "w"))
    assert (row.where, row.argument, row.epochs, row.other_metrics) == (str(table), 0, False, ())
    assert (row.system, row.task, row.clusters.to_pylist()) == ("v", "u", ["p", "q"])
    rows = read_sources([table, ("f", pd.DataFrame({"id": [1], "s": [0.5]}))], Columns("id", "s"))
    assert [(r.where, r.argument, r.system) for r in rows] == [(str(table), 0, "a"), ("f", 1, "f")]
    folder = written(tmp_path / "m", {"m_A.csv": "index,prediction,hit,page,own_id,points\n1,A,1,p,z,3\n"})
    [row] = read_sources([folder], Columns("own_id", "points", cluster="page"))
    assert facts([row]) == [("m", "A", "points", ["z"], [3])]
    assert (row.where, row.clusters.to_pylist()) == (str(folder / "m_A.csv"), ["p"])
    logs = written(tmp_path / "n", {SAMPLES.format("t"): lines(acc=[1]), "n_A.csv": VLM})
    assert [r.task for r in read_sources([logs], Columns())] == ["t"]  # of a harness: no predictions besides


def test_read_sources__systems_of_one_name_have_the_first_file_of_each_argument(tmp_path):
    files = {SAMPLES.format(task): lines(acc=[1, 0]) for task in ("one", "two")}
    folders = [written(tmp_path / name / "m", files) for name in ("x", "y")]
    rows = read_sources(folders, Columns())
    first = [sorted(str(path) for path in folder.iterdir())[0] for folder in folders]
    names = {(r.argument, r.system) for r in rows}
    assert names == {(0, f"m ({first[0]})"), (1, f"m ({first[1]})")}
    assert [r.argument for r in rows] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "value", ['{"eval": {"model": "M"}, "status": "s", "samples": [{"id": 1, "scores": {"a": 1}}]}']
)
def test_read_sources__a_json_file_is_a_log_or_a_table(tmp_path, value):
    log = written(tmp_path, {"a.json": value, "b.json": '[{"id": 7, "s": 1}]'}) / "a.json"
    assert facts(read_sources([log], Columns())) == [("M", "None", "a", ["1"], [1])]
    assert facts(read_sources([tmp_path / "b.json"], Columns("id", "s"))) == [("b", "", "s", ["7"], [1])]


@pytest.mark.parametrize("columns", [("hit", "score"), ("score", "eval_score"), ("eval_score", "match"), ("match",)])
def test_read_sources__the_first_score_that_an_evaluation_adds(tmp_path, columns):
    table = pd.DataFrame({"index": [1], "prediction": ["A"], **{name: [i] for i, name in enumerate(columns)}})
    folder = written(tmp_path / "m", {"m_A.csv": table[sorted(table.columns)].to_csv(index=False)})
    [row] = read_sources([folder], Columns())
    assert (row.metric, row.scores.tolist()) == (columns[0], [0])


def test_read_sources__the_index_of_a_frame_is_no_column():
    named = pd.DataFrame({"id": [7, 8], "s": [1, 0]}, index=pd.Index(["x", "y"], name="id"))
    assert facts(read_sources([("f", named)], Columns("id", "s"))) == [("f", "", "s", ["7", "8"], [1, 0])]
    lacking = pd.DataFrame({"s": [1, 0]}, index=pd.Index(["x", "y"], name="id"))
    assert "'id'" in refusal(UsageError, read_sources, [("f", lacking)], Columns("id", "s"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json"])
def test_names__are_read_as_they_are_written(tmp_path, suffix):
    """Clusters, systems and tasks that look like numbers, or like a missing value, are not merged or lost."""
    names = ["1.1", "1.10", "01", "1", "NA", "null", str(2**60), str(2**60 + 1)]
    frame = pd.DataFrame({"id": names, "s": 1.0, "page": names, "who": names, "what": names})
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=suffix == ".jsonl")
    rows = read_sources([path], Columns("id", "s", cluster="page", task="what", system="who"))
    assert sorted((r.items.to_pylist(), r.clusters.to_pylist(), r.system, r.task) for r in rows) == sorted(
        ([name], [name], name, name) for name in names
    )


def test_names__whole_numbers_beyond_the_precision_of_a_float(tmp_path):
    lines = [f'{{"id": {2**60 + i}, "s": {i}, "page": {2**60 + i}}}' for i in range(3)]
    for more in ("", '\n{"id": 0.5, "s": 1, "page": 0.5}'):
        (tmp_path / "a.jsonl").write_text("\n".join(lines) + more)
        [rows] = read_sources([tmp_path / "a.jsonl"], Columns("id", "s", cluster="page"))
        expected = [*(str(2**60 + i) for i in range(3)), *(["0.5"] if more else [])]
        assert rows.items.to_pylist() == rows.clusters.to_pylist() == expected


def test_rows_without_a_system__are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,s,who\n1,1,x\n2,1,\n")
    with pytest.raises(DataError, match="who"):
        read_sources([tmp_path / "a.csv"], Columns("id", "s", system="who"))
    frame = pd.DataFrame({"id": [1, "b", 2.5], "s": 1.0})
    with pytest.raises(DataError, match="f: "):
        read_sources([("f", frame)], Columns("id", "s"))


def test_folder_of_vlmevalkit__other_files_beside_the_predictions_are_passed_over(tmp_path):
    folder = tmp_path / "Model"
    folder.mkdir()
    pd.DataFrame({"index": [1, 2], "prediction": "a", "hit": [1, 0]}).to_csv(folder / "Model_MMBench.csv", index=False)
    (folder / "Model_OCRBench_score.json").write_text('{"Text Recognition": 250}')
    (folder / "Model_empty.csv").write_text("")
    [rows] = read_sources([folder], Columns())
    assert (rows.system, rows.task, rows.scores.tolist()) == ("Model", "MMBench", [1.0, 0.0])
