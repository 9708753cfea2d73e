"""Tables of other programs: names, cells and types as they stand, limits that readers get, and whole refusals."""

from __future__ import annotations

import datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.extras.items.tables import column_names, json_lines, read_columns_of, read_json
from builders.errors import DataError, UsageError


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def columns(path, *wanted):
    return read_columns_of(path, wanted, column_names(path)).to_pydict()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "\ufeffid,right\n007,1\n008,0.5\n", {"id": ["007", "008"], "right": [1, 0.5]}),
        ("a.CSV", 'id,right\n"a\nb","1"\n\n"c,d",\n', {"id": ["a\nb", "c,d"], "right": [1, None]}),
        ("a.tsv", "id\tright\na,b\tx\nc\t\n", {"id": ["a,b", "c"], "right": ["x", None]}),
        ("a.csv", "id,right\n,1\nb,2\n", {"id": [None, "b"], "right": [1, 2]}),
        ("a.ndjson", '{"id": 1, "right": 2}\n{"right": 3.5, "id": 4}\n', {"id": [1, 4], "right": [2, 3.5]}),
        ("a.JSONL", '\n{"id": "a", "right": null}\n{"id": "b", "right": 1}', {"id": ["a", "b"], "right": [None, 1]}),
        ("a.jsonl", '{"id": true, "right": 1}\n{"id": false, "right": 0}', {"id": [True, False], "right": [1, 0]}),
        ("a.jsonl", '{"id": 9007199254740993, "right": 1}', {"id": [2**53 + 1], "right": [1]}),
        ("a.jsonl", '{"id": 1, "right": 1}\n{"id": "b", "right": 1}', {"id": ["1", "b"], "right": [1, 1]}),
        ("a.json", '[{"id": 1, "right": [2]}, {"id": 2}]', {"id": [1, 2], "right": ["[2]", None]}),
    ],
)
def test_columns__as_they_stand(tmp_path, name, content, expected):
    path = written(tmp_path, name, content)
    made = columns(path, "id", "right")
    assert made == expected
    assert list(columns(path, "right", "id")) == ["right", "id"]
    assert columns(path, "id", "id")["id"] == expected["id"]


def test_columns__of_parquet_and_of_excel(tmp_path):
    pq.write_table(pa.table({"id": [1, 2], "right": [0.5, None], "more": ["x", "y"]}), tmp_path / "a.parquet")
    assert column_names(tmp_path / "a.parquet") == ["id", "right", "more"]
    assert columns(tmp_path / "a.parquet", "right", "id", "id") == {"right": [0.5, None], "id": [1, 2]}
    book = openpyxl.Workbook()
    for row in (("id", "when"), (1, datetime.datetime(2026, 1, 2)), ("b", "later")):
        book.active.append(row)
    book.create_sheet("second").append(("other",))
    book.save(tmp_path / "a.xlsx")
    expected = {"id": ["1", "b"], "when": ['"2026-01-02 00:00:00"', "later"]}
    assert columns(tmp_path / "a.xlsx", "id", "when") == expected


def refusal(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    return str(caught.value)


def test_refusals__of_columns_and_lines(tmp_path):
    table = written(tmp_path, "a.csv", "id,right\na,1\n")
    assert "'right'" in refusal(UsageError, columns, table, "id", "rigth")
    for name, content, sentence in (
        ("b.csv", "", "there is no column"),
        ("b.jsonl", "\n\n", "there is no column"),
        ("b.jsonl", "{}\n", "there is no column"),
        ("b.csv", "id,id\na,1\n", "a column is there twice"),
        ("b.json", "[]", "no list of JSON objects, and no log that is known"),
        ("b.json", "[{}, 1]", "no list of JSON objects, and no log that is known"),
    ):
        path = written(tmp_path, name, content)
        assert refusal(DataError, column_names, path) == f"{path}: {sentence}"
    lines = written(tmp_path, "c.jsonl", b'{"a": 1}\n\n[1]\n')
    assert f"{lines}" in refusal(DataError, list, json_lines(lines))
    lines = written(tmp_path, "c.jsonl", b'{"a": 1}\n{"a": "\xff"}\n')
    assert f"{lines}" in refusal(DataError, list, json_lines(lines))
    lines = written(tmp_path, "c.jsonl", b'{"a": 1}\n{"a": \n')
    assert refusal(DataError, list, json_lines(lines)).startswith(f"{lines}, line 2")
    parts = written(tmp_path, "c.json", "[1,")
    assert refusal(DataError, read_json, parts).startswith(f"{parts}")
    with pytest.raises(DataError, match=f"{table}"):
        columns(written(tmp_path, "a.csv", "id,right\na,1\nb\n"), "id")


def test_columns__a_cell_of_several_lines_wherever_a_block_of_the_file_ends(tmp_path):
    """pyarrow reads a mebibyte at a time, and this file is three: some line within a cell is the last of a block."""
    cell = "\n".join(["line of a cell"] * 2000)
    ids = [f"i{number:03d}" for number in range(110)]
    table = "id,text,right\n" + "".join(f'{name},"{cell}",{at % 2}\n' for at, name in enumerate(ids))
    assert len(table) > 3 << 20
    path = written(tmp_path, "a.csv", table)
    assert columns(path, "id", "right") == {"id": ids, "right": [at % 2 for at in range(110)]}
