"""Faults that are put into source, the tests that are chosen for a line, and what a worker says of a mutant."""

import json
import sys

import pytest

from scripts.checks.mutants.__main__ import ROOT, main
from scripts.checks.mutants.operators import Mutant, changes, mutants_of
from scripts.checks.mutants.tests_of_lines import TestsOfLines, _test
from tests.support.processes import run_python


@pytest.mark.parametrize(
    ("source", "faulty"),
    [
        ("a < 3", {"a <= 3", "a < 4"}),
        ("a not in b", {"a in b"}),
        ("1 < a <= 2", {"2 < a <= 2", "1 <= a <= 2", "1 < a < 2", "1 < a <= 3"}),
        ("a and b", {"a or b", "a"}),
        ("a or b or c", {"a or b"}),
        ("not a", {"(a)"}),
        ("a - b", {"a + b"}),
        ("'é' + a.b(c, d)", {"'é' + a.b(d, c)"}),
        ("x = any(a)", {"x = all(a)"}),
        ("x = y.startswith(a)", {"x = y.endswith(a)"}),
        ("x = f(a, b=c)", {"x = f(a)"}),
        ("[a for a in b if c]", {"[a for a in b if True]"}),
        ("a[:b]", {"a[b:]"}),
        ("a[b:]", {"a[:b]"}),
        ("a['key']", {"a['key_']"}),
        ("a if b else c", {"a if not (b) else c"}),
        ("x = 1.5", {"x = 2.25"}),
        ("x = False", {"x = True"}),
        ("if a:\n    b.c = d", {"if not (a):\n    b.c = d", "if a:\n    pass"}),
        ("for a in b:\n    continue", {"for a in b:\n    pass"}),
        ("def f(a: int = 2) -> 'x':\n    'Text.'\n    return a", {
            "def f(a: int = 3) -> 'x':\n    'Text.'\n    return a",
            "def f(a: int = 2) -> 'x':\n    'Text.'\n    return None"}),
        ("if a:\n    raise E('x', 1)", {"if not (a):\n    raise E('x', 1)", "if a:\n    pass"}),
        ("f'{a + 1}'", set()),
        ("x = zip(a, b, strict=True)", {"x = zip(b, a, strict=True)"}),
        ("x = f(a, strict=True)", {"x = f(a, strict=False)", "x = f(a)"}),
        ("import a", set()),
    ],
)  # fmt: skip
def test_mutants__of_a_source(source, faulty):
    assert {mutant.applied(source) for mutant in mutants_of(source)} == faulty


def test_mutants__line_and_change():
    (mutant,) = mutants_of("a = b\nc = any(b)")
    assert (mutant.line, mutant.operator) == (2, "another function")
    assert changes("a = b\nc = any(b)", mutant)
    assert not changes("x = y", Mutant(1, 4, 5, "(y)", ""))
    assert not changes("x = y", Mutant(1, 4, 5, ")", ""))


def test_tests_of_lines__the_cheapest_and_nearest_within_the_budget():
    tests = ("tests/a/b/test_x.py::one", "tests/a/b/test_x.py::two", "tests/z.py::far", "tests/z.py::slow")
    lines = {"a/b/x.py": {10: (0, 2, 3), 14: (1,)}, "a/b/y.py": {}}
    measured = TestsOfLines(tests, (2.0, 1.0, 1.0, 50.0), lines)
    assert measured.chosen("a/b/x.py", 10, budget_s=60) == [tests[0], tests[2], tests[3]]
    assert measured.chosen("a/b/x.py", 10, budget_s=3) == [tests[0], tests[2]]
    assert measured.chosen("a/b/x.py", 10, budget_s=0.1) == [tests[0]]
    assert measured.chosen("a/b/x.py", 16, budget_s=60) == [tests[1], tests[0]]  # of a line nearby, and of the folder
    assert measured.chosen("a/b/x.py", 40, budget_s=60) == [tests[1], tests[0], tests[2], tests[3]]  # of the file
    assert measured.chosen("a/b/y.py", 1, budget_s=60) == [tests[1], tests[0]]  # of the folder
    assert measured.chosen("q/y.py", 1, budget_s=60) == []
    named = TestsOfLines(("tests/a/test_y.py::x", "tests/a/test_of_x.py::y"), (1.0, 2.0), {"a/x.py": {1: (0, 1)}})
    assert named.chosen("a/x.py", 1, budget_s=60) == list(named.tests[::-1])


@pytest.mark.parametrize(
    ("context", "test"),
    [("|t.py::a[1|2]", "t.py::a[1|2]"), ("t.py::a (call)|", "t.py::a"), ("t.py::a (setup)", "t.py::a"), ("", "")],
)
def test_context__of_the_test_or_of_the_process_that_it_started(context, test):
    assert _test(context) == test


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not fork")
def test_worker__says_which_faults_the_tests_see_and_puts_the_file_back(tmp_path):
    source = "import time\n\n\ndef least(a, b):\n    return min(a, b)\n"
    (tmp_path / "product.py").write_text(source)
    (tmp_path / "test_product.py").write_text(
        "from product import least\n\n\ndef test_broken():\n    assert least(1, 2) == 5\n\n\n"
        "def test_least():\n    assert least(1, 2) == 1\n"
    )
    (tmp_path / "conftest.py").write_text("from product import least\n\nassert least(3, 3)\n")
    faults = {"max": source.replace("min", "max"), "swapped": source.replace("a, b)\n", "b, a)\n")}
    faults["loop"] = source.replace("    return", "    while a == 1:\n        time.sleep(0.1)\n    return")
    trials = [
        {"name": name, "file": "product.py", "source": text, "tests": ["test_product.py"]}
        for name, text in faults.items()
    ]
    (tmp_path / "trials.json").write_text(json.dumps(trials))
    words = ("-m", "scripts.checks.mutants.worker", tmp_path / "trials.json", tmp_path, 3)
    made = run_python(*words, cwd=ROOT, timeout=600).stdout
    outcomes = {outcome["name"]: outcome for outcome in map(json.loads, made.splitlines())}
    assert {name: outcome["killed"] for name, outcome in outcomes.items()} == {
        "max": True, "swapped": False, "loop": True,
    }  # fmt: skip
    assert outcomes["loop"]["text"] == "over time"
    assert (tmp_path / "product.py").read_text() == source


def test_run__a_fault_that_is_not_once_in_its_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("scripts.checks.mutants.__main__.stored", lambda folder: None)
    fault = {"id": "F1", "file": "camtrace.py", "old": "no such text", "new": ""}
    (tmp_path / "list.json").write_text(json.dumps([fault]))
    assert main(["run", "--folder", str(tmp_path), "--list", str(tmp_path / "list.json")]) == 1
    assert "F1" in capsys.readouterr().err
