"""Columns of JSON tables: values of one type as they are, others as text, by lines as well as by lists."""

from __future__ import annotations

import json

import pytest

from benchmark.extras.items.tables import column_names, read_columns_of

COLUMNS = {
    "whole": ([1, 2, 3], [1, 2, 3]),
    "numbers": ([1, 2.5, None], [1.0, 2.5, None]),
    "halves": ([0.5, 1.5, 2], [0.5, 1.5, 2.0]),
    "flags": ([True, False, None], [True, False, None]),
    "words": (["a", "b", None], ["a", "b", None]),
    "gaps": ([None, 1, None], [None, 1, None]),
    "none": ([None, None, None], [None, None, None]),
    "flags and numbers": ([True, 1, 0.5], ["true", "1", "0.5"]),
    "words and numbers": (["a", 1.0, None], ["a", "1.0", None]),
    "words and flags": (["a", True, "b"], ["a", "true", "b"]),
    "lists": ([[1], {"a": 2}, None], ["[1]", '{"a": 2}', None]),
    "absent": (["x", None, None], ["x", None, None]),
}


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@pytest.mark.parametrize("name", COLUMNS)
def test_columns__by_lines_as_in_a_list(tmp_path, name, suffix):
    values, expected = COLUMNS[name]
    rows = [{"id": i, name: value} for i, value in enumerate(values)]
    if name == "absent":
        rows = [row for row in rows if row[name] is not None] + [{"id": i} for i in (1, 2)]
    path = tmp_path / f"a.{suffix}"
    path.write_text(json.dumps(rows) if suffix == "json" else "\n\n".join(map(json.dumps, rows)) + "\n")
    names = column_names(path)
    assert names == ["id", name]
    for wanted in (["id", name], [name, "id"], [name]):
        table = read_columns_of(path, wanted, names)
        assert table.column_names == wanted
        assert table.column(name).to_pylist() == expected
        kinds = [[isinstance(value, bool) for value in values] for values in (table.column(name).to_pylist(), expected)]
        assert kinds[0] == kinds[1]
    assert read_columns_of(path, ["id"], names).column("id").to_pylist() == [0, 1, 2]
