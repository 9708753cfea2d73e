"""Tables and logs are data of others: hostile ones end in a sentence, and quickly."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from benchmark.cli.compare import main
from benchmark.extras.items.tables import column_names, read_columns_of
from builders.errors import CamtraceError, DataError
from builders.untrusted import UntrustedInputError, json_lines, open_archive

TABLE = ("--item", "id", "--score", "right")
GOOD = "id,right\na,1\nb,0\nc,1\n"


def refused(path: Path, *words: str) -> str:
    """The sentence that a file ends with, beside a good one."""
    good = path.with_name("good.csv")
    good.write_text(GOOD)
    with pytest.raises(CamtraceError) as error:
        main([str(path), str(good), *words])
    sentence = str(error.value)
    assert "\x1b" not in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "column"),
        ("a.csv", b"i" * 140_000 + b",right\na,1\n", "larger"),
        ("a.csv", b"id,right\n", "there"),
        ("a.csv", b"id,id\na,1\n", "column"),
        ("a.csv", b"id,right\na,1,2\n", "table"),
        ("a.csv", b"id,right\na,inf\n", "a score is infinite"),
        ("a.csv", b"id,right\na,\x1b[31mred\n", "not '\\x1b[31mred'"),
        ("a.csv", b"id,right\n\xff\xfe,1\n", "table"),
        ("a.csv", b"id,right\na,1\n,1\n", "rows"),
        ("a.parquet", b"PAR1 and nothing", "not a Parquet file"),
        ("a.jsonl", b'{"id": "a", "right": 1}\n[1]\n', "line 2"),
        ("a.jsonl", b'{"id": "a", "right": ' + b"[" * 9999, "nested too deeply"),
        ("a.jsonl", b'{"id": "a", "right": 1}\n\xff\n', "UTF-8"),
        ("a.json", b'{"id": 1}', "objects"),
        ("a.json", b"[" * 100_000, "nested too deeply"),
        ("a.xlsx", b"PK\x03\x04 and nothing", "not an archive"),
        ("a.eval", b"PK\x03\x04 and nothing", "not an archive"),
        ("a.pkl", pickle.dumps({"id": [1]}), "kinds"),
    ],
)
def test_files__of_hostile_bytes_end_in_a_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    words = () if name.endswith(".eval") else TABLE
    assert sentence in refused(tmp_path / name, *words)


def test_named_pipes_and_absent_files__are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in refused(tmp_path / "pipe.csv", *TABLE)
    assert "folder" in refused(tmp_path / "absent.csv", *TABLE)
    (tmp_path / "empty").mkdir()
    assert "known" in refused(tmp_path / "empty", *TABLE)


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as stream:
        for name, data in members.items():
            stream.writestr(name, data)
    return path


def workbook(path: Path, rows) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def test_workbooks__cells_stand_under_the_name_above_them(tmp_path):
    rows = [("id", None, "right"), ("a", "a note", 1), (None, None, None), ("b", None, 0)]
    path = workbook(tmp_path / "a.xlsx", rows)
    names = column_names(path)
    assert names == ["id", "right"]
    assert read_columns_of(path, names, names).to_pydict() == {"id": ["a", "b"], "right": [1, 0]}


def test_workbooks__with_entities_or_a_bomb_are_refused(tmp_path):
    good = workbook(tmp_path / "a.xlsx", [("id", "right"), ("a", 1)])
    with zipfile.ZipFile(good) as stream:
        members = {name: stream.read(name) for name in stream.namelist()}
    entity = members["xl/worksheets/sheet1.xml"].replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet', 1)
    archive(tmp_path / "entity.xlsx", {**members, "xl/worksheets/sheet1.xml": entity})
    assert "has a DOCTYPE" in refused(tmp_path / "entity.xlsx", *TABLE)
    bomb = archive(tmp_path / "bomb.xlsx", {**members, "xl/media/image.png": b""})
    data = bytearray(bomb.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = (3 << 30).to_bytes(4, "little")  # bytes, as the archive states it
    bomb.write_bytes(data)
    assert "GiB unpacked" in refused(tmp_path / "bomb.xlsx", *TABLE)


def test_workbooks__with_a_cell_in_the_last_row_end_at_once(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(("id", "right"))
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "far.xlsx")
    assert "before" in refused(tmp_path / "far.xlsx", *TABLE)


def test_workbooks__formulas_are_not_computed(tmp_path):
    workbook(tmp_path / "a.xlsx", [("id", "right"), ("a", "=1+1"), ("b", 1)])
    assert "items" in refused(tmp_path / "a.xlsx", *TABLE)


def test_archives__members_that_lie_about_their_size_are_refused(tmp_path):
    zstd = pa.compress(b"x" * 1000, codec="zstd", asbytes=True)
    path = archive(tmp_path / "a.eval", {"header.json": zstd}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 10] = 93  # the compression that Python 3.11 does not know
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")
    path.write_bytes(data)
    with (
        pytest.raises(UntrustedInputError, match="archive"),
        open_archive(path, limit=1 << 20) as opened,
    ):
        opened.read("header.json", limit=1 << 20)
    data[central + 24 : central + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    with open_archive(path, limit=1 << 20) as opened:
        assert opened.read("header.json", limit=1 << 20) == b"x" * 1000
    with (
        pytest.raises(UntrustedInputError, match="10"),
        open_archive(path, limit=1 << 20) as opened,
    ):
        opened.read("header.json", limit=10)
    with pytest.raises(UntrustedInputError, match="bytes"), open_archive(path, limit=8):
        pass


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"header.json": b"{}"}, "one without samples"),
        ({"header.json": b"[]", "summaries.json": b"[]"}, "inspect_ai"),
        ({"header.json": b'{"eval": {}, "status": "error"}', "summaries.json": b"[]"}, "status"),
        ({"header.json": b'{"eval": {}}', "summaries.json": b'[{"id": 1, "scores": {"a": [1]}}, 3]'}, "has a score"),
        ({"header.json": b"{" * 99, "summaries.json": b"[]"}, "JSON"),
    ],
)
def test_logs_of_inspect_ai__without_scores_end_in_a_sentence(tmp_path, members, sentence):
    assert sentence in refused(archive(tmp_path / "a.eval", members))


def test_logs_of_inspect_ai__that_were_interrupted_are_read_from_their_journal(tmp_path, capsys):
    samples = [
        {"id": i, "epoch": 1, "metadata": {}, "scores": {"match": {"value": "CIPN"[i % 4]}, "none": {"value": None}}}
        for i in range(12)
    ]
    head = json.dumps({"version": 2, "eval": {"task": "t", "model": "m"}}).encode()
    journal = {
        f"_journal/summaries/{i}.json": json.dumps(samples[start : start + 1]).encode()
        for i, start in ((2, 1), (10, 10))
    }
    archive(tmp_path / "a.eval", {"_journal/start.json": head, **journal})
    archive(
        tmp_path / "b.eval", {"header.json": head, "summaries.json": json.dumps([samples[1], samples[10]]).encode()}
    )
    assert main([str(tmp_path / "a.eval"), str(tmp_path / "b.eval"), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["differences"][0]
    assert (row["n"], row["first_value"], row["difference"]) == (2, 0.25, 0.0)  # I is 0, P is one half
    assert row["first"] == f"m ({tmp_path / 'a.eval'})"


def test_json_lines__take_nan_as_no_number_and_are_of_limited_length(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text('{"a": NaN}\n\n{"a": 1}\n')
    assert [row["a"] == row["a"] for row in json_lines(tmp_path / "a.jsonl")] == [False, True]
    monkeypatch.setattr("builders.untrusted.records.MAX_LINE", 5)
    with pytest.raises(DataError, match="longer"):
        list(json_lines(tmp_path / "a.jsonl"))


def test_names__are_escaped(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("id,right,m\na,1,\x1b[31mred\nb,0,\x1b[31mred\na,1,x|y\nb,1,x|y\n")
    assert main([str(tmp_path / "a.csv"), *TABLE, "--system", "m", "--output", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out + (tmp_path / "out" / "comparison.html").read_text()
    assert "\x1b" not in text
    assert "\\x1b[31mred" in text
    assert "x\\|y" in text
