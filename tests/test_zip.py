"""``zip`` is strict: where one of the sequences is too short, that is an error and not a row that is missing."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]

LENGTHS_DIFFER = {
    ("benchmark/answers/questions.py", "False"): "a question has fewer options than there are letters",
    ("benchmark/compare/items/tables.py", "False"): "a row of a sheet ends with its last cell",
    ("benchmark/encoders/network.py", "False"): "without places there is None for every batch",
    ("benchmark/report/course.py", "False"): "the last row of a grid of axes is not always full",
    ("benchmark/report/figure.py", "False"): "the last row of a grid of axes is not always full",
    ("benchmark/scoring/run.py", "bool(passes)"): "a run of stored embeddings has no passes",
    ("benchmark/scoring/trial.py", "bool(files)"): "networks that are no files have none",
    ("benchmark/tasks/answers/table.py", "False"): "rows after those of the views are of the noise",
    ("benchmark/tasks/groups/neighbours.py", "False"): "kNN has more set-ups than groups use",
    ("benchmark/views/device/tables.py", "False"): "the last of the starts is the end",
    ("builders/check/report/facts.py", "False"): "bounds, and the bounds after them",
    ("builders/splits/report.py", "False"): "the last column of a table has no width",
}
"""(file, what ``strict`` is) -> why its sequences may have other lengths."""


def calls_of_zip():
    """(file, what ``strict`` is as text) of each call."""
    for side in ("benchmark", "builders"):
        for path in sorted((ROOT / side).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
                    stated = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                    yield path.relative_to(ROOT).as_posix(), stated.get("strict", "nothing")


def test_zip__is_strict_unless_lengths_may_differ():
    calls = list(calls_of_zip())
    assert len(calls) > 250
    assert {call for call in calls if call[1] != "True"} == set(LENGTHS_DIFFER)
