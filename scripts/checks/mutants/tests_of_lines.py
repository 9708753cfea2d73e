"""Which tests run a line: measured once by the whole suite under coverage, then read."""

from __future__ import annotations

import json
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import sysconfig
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

PRODUCT = ("benchmark", "builders", "camtrace.py")

FOLDER = "CAMTRACE_COVERAGE"
"""Environment variable: where ``contexts`` writes the seconds of tests."""

_STARTER = "camtrace_coverage.pth"
"""In site-packages while the suite runs: begins coverage in every process that the suite starts."""

_SETTINGS = """[run]
source = {sources}
parallel = True
data_file = {folder}/.coverage
context = ${{PYTEST_CURRENT_TEST-}}
concurrency = thread
disable_warnings = no-data-collected,module-not-imported,module-not-measured
"""


@dataclass(frozen=True)
class TestsOfLines:
    """Tests by line of each file of the product."""

    __test__ = False

    tests: tuple[str, ...]
    """Ids of pytest."""
    seconds: tuple[float, ...]
    """Of each test, coverage included."""
    lines: dict[str, dict[int, tuple[int, ...]]]
    """File -> line -> positions in ``tests``."""

    def chosen(self, file: str, line: int, *, budget_s: float) -> list[str]:
        """Tests for a fault in a line, the cheapest, those of the mirrored folder and of the module's name first.

        Args:
            file: relative to the checkout.
            line: from 1. Where no test runs it (compiled code and values of a module leave no trace), lines nearby
                count, or else the whole file, and the tests of its folder.
            budget_s: seconds of all tests together; one test is always there.
        """
        of_file = self.lines.get(file, {})
        folder = f"tests/{Path(file).parent.as_posix()}/"
        some = set(of_file.get(line, ()))
        if not some:
            near = {test for at in range(line - 3, line + 4) for test in of_file.get(at, ())}
            some = near or {test for at in of_file.values() for test in at}
            some |= {i for i, test in enumerate(self.tests) if test.startswith(folder)}

        def cost(test: int) -> tuple[float, str]:
            name = self.tests[test]
            named = Path(file).stem in name.partition("::")[0].rpartition("/")[2]
            return self.seconds[test] * (9 if not name.startswith(folder) else 1 if named else 3), name

        names, total = [], 0.0
        for test in sorted(some, key=cost):
            total += self.seconds[test]
            if names and total > budget_s:
                break
            names.append(self.tests[test])
        return names


def measure(checkout: Path, folder: Path, *, processes: int, only: str = "") -> TestsOfLines:
    """Run the suite of a checkout under coverage, and store which test runs which line in ``folder``.

    It takes about twice the time of the suite. Tests that fail under coverage do no harm.

    Args:
        checkout: with the tests.
        folder: for the measurements.
        processes: of pytest-xdist.
        only: a folder of tests, for a part of the suite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob(".coverage*"), *folder.glob("seconds.*")):
        old.unlink()
    sources = "".join(f"\n    {checkout / name}" for name in ("benchmark", "builders"))
    (folder / "coverage.ini").write_text(_SETTINGS.format(sources=sources, folder=folder))
    starter = Path(sysconfig.get_paths()["purelib"], _STARTER)
    starter.write_text(
        'import os; os.environ.get("COVERAGE_PROCESS_START") and __import__("coverage").process_startup()'
    )
    variables = {
        "COVERAGE_PROCESS_START": str(folder / "coverage.ini"),
        "PYTHONPATH": str(checkout),
        FOLDER: str(folder),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(processes), "--dist", "worksteal", "-p"]
    command += ["scripts.checks.mutants.contexts", "-p", "no:cacheprovider", *([only] if only else [])]
    try:
        subprocess.run(command, cwd=checkout, env={**os.environ, **variables}, check=False)
    finally:
        starter.unlink()
    made = _collected(checkout, folder)
    (folder / "tests_of_lines.pickle").write_bytes(pickle.dumps(made))
    return made


def stored(folder: Path) -> TestsOfLines:
    """What ``measure`` stored."""
    made: TestsOfLines = pickle.loads((folder / "tests_of_lines.pickle").read_bytes())
    return made


def _collected(checkout: Path, folder: Path) -> TestsOfLines:
    from coverage.numbits import numbits_to_nums

    seconds: dict[str, float] = {}
    for file in folder.glob("seconds.*"):
        seconds |= dict(json.loads(line) for line in file.read_text().splitlines())
    position = {test: i for i, test in enumerate(sorted(seconds))}
    lines: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for file in folder.glob(".coverage*"):
        with sqlite3.connect(file) as db:
            contexts = {i: position.get(_test(name)) for i, name in db.execute("SELECT id, context FROM context")}
            paths = {i: os.path.relpath(path, checkout) for i, path in db.execute("SELECT id, path FROM file")}
            for at, context, bits in db.execute("SELECT file_id, context_id, numbits FROM line_bits"):
                if (test := contexts[context]) is not None:
                    for line in numbits_to_nums(bits):
                        lines[paths[at]][line].add(test)
    return TestsOfLines(
        tuple(position),
        tuple(seconds[test] for test in position),
        {file: {line: tuple(sorted(of)) for line, of in by_line.items()} for file, by_line in lines.items()},
    )


def _test(context: str) -> str:
    """The id of a test in the name of a context.

    >>> _test("|tests/a.py::test_b[1|2]"), _test("tests/a.py::test_b (call)|")
    ('tests/a.py::test_b[1|2]', 'tests/a.py::test_b')
    """
    static, _, test = context.partition("|")
    return test or re.sub(r" \((setup|call|teardown)\)$", "", static)
