"""``camtrace list``: every list has a row of each name, in JSON as in the table, and is status 0."""

import json

import pytest

from benchmark.__main__ import camtrace
from benchmark.tasks import all_tasks
from builders.data_specs import KINDS
from builders.pixels import ALL_PARAMETERS

NAMES = {
    "tasks": ("task", lambda: list(all_tasks())),
    "parameters": ("parameter", lambda: list(ALL_PARAMETERS)),
    "data": ("data", lambda: [kind.usage for kind in KINDS.values()]),
}


@pytest.mark.parametrize("what", NAMES)
def test_list__names_everything_in_both_forms(what, capsys):
    column, names = NAMES[what]
    assert camtrace(["list", what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row[column] for row in rows] == names()
    assert camtrace(["list", what]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert cells[0] == list(rows[0])
    assert len(lines) == len(rows) + 2
