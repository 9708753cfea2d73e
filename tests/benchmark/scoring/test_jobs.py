"""Jobs: answers in order, failures as reasons, side by side where they are small, else one by one on all threads."""

from __future__ import annotations

import ast
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.scoring import Job, run_jobs
from benchmark.scoring.tasks_run import PACKAGES_OF_TASKS
from benchmark.tasks import TaskOutcome, all_tasks
from builders.errors import DataError
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]


pytestmark = pytest.mark.usefixtures("two_threads")


def job(name: str, run: Callable[[Any], TaskOutcome], *, device: str = "cpu") -> Job:
    task = replace(all_tasks()["probe/jpeg"], name=name, run=run)
    bank = SimpleNamespace(names=("a", "b"), dim=4)
    return Job(task, SimpleNamespace(photos=range(10), bank=bank, device=device))


def outcome(name: str) -> TaskOutcome:
    return TaskOutcome((), {name: name})


def test_run_jobs__small_ones_run_at_the_same_time_each_on_one_thread() -> None:
    together = threading.Barrier(2, timeout=20)
    threads = []

    def run(given: Any) -> TaskOutcome:
        together.wait()  # passes only if two run at once
        threads.append(torch.get_num_threads())
        return outcome("x")

    done = run_jobs([job("a/1", run), job("a/2", run)])
    assert [one.reason for one in done] == ["", ""]
    assert threads == [1, 1]
    assert torch.get_num_threads() == 2


def test_run_jobs__in_order_a_failure_is_a_reason() -> None:
    def slow(given: Any) -> TaskOutcome:
        time.sleep(0.05)
        return outcome("slow")

    def refused(given: Any) -> TaskOutcome:
        raise DataError("too few photos")

    def broken(given: Any) -> TaskOutcome:
        raise KeyError("a")

    started = time.perf_counter()
    done = run_jobs([job("1", slow), job("2", refused), job("3", broken), job("4", lambda _: outcome("quick"))])
    wall = time.perf_counter() - started
    assert [one.reason for one in done] == ["", "too few photos", "KeyError: 'a'", ""]
    assert [list(one.outcome.answers) if one.outcome else None for one in done] == [["slow"], None, None, ["quick"]]
    assert sum(one.seconds for one in done) <= wall
    assert run_jobs([]) == []


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_run_jobs__one_that_fails_by_an_internal_error_runs_once_more_alone(
    device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    running: list[str] = []
    begun: list[tuple[str, list[str]]] = []
    failing = {"fails once": [SystemError("AST constructor")], "fails twice": [RuntimeError("a"), RuntimeError("b")]}
    failing["refuses"] = [DataError("too few photos"), DataError("too few photos")]

    def named(name: str) -> Job:
        def run(given: Any) -> TaskOutcome:
            begun.append((name, list(running)))
            running.append(name)
            try:
                time.sleep(0.01)
                if failing.get(name):
                    raise failing[name].pop(0)
                return outcome(name)
            finally:
                running.remove(name)

        return job(name, run, device=device)

    done = run_jobs([named(name) for name in ("fails once", "fails twice", "refuses", "good")])
    assert [one.reason for one in done] == ["", "RuntimeError: a", "too few photos", ""]
    assert [one.retried for one in done] == ["SystemError: AST constructor", "", "", ""]
    assert [bool(one.outcome) for one in done] == [True, False, False, True]
    assert sorted(name for name, _ in begun[:4]) == ["fails once", "fails twice", "good", "refuses"]
    assert begun[4:] == [("fails once", []), ("fails twice", [])]
    printed = "camtrace: fails once failed (SystemError: AST constructor); run once more, alone, it succeeded\n"
    assert capsys.readouterr().err == printed


def test_run_jobs__every_room_that_tasks_import_is_there_before_they_run_side_by_side() -> None:
    opened = set()
    for path in (ROOT / "benchmark" / "tasks").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef):
                inner = [n.module for n in ast.walk(node) if isinstance(n, ast.ImportFrom) and n.module]
                opened |= {".".join(name.split(".")[:2]) for name in inner if name.startswith("benchmark.")}
    there_already = {"benchmark.compute", "benchmark.tasks"}  # ``run_jobs`` imports them itself
    assert opened - there_already == set(PACKAGES_OF_TASKS)
    code = (
        "import sys\n"
        "from types import SimpleNamespace as Some\n"
        "from benchmark.scoring.tasks_run import PACKAGES_OF_TASKS, Job, run_jobs\n"
        "missing = lambda given: print([room for room in PACKAGES_OF_TASKS if room not in sys.modules])\n"
        "task = Some(name='', effort=None, run=missing)\n"
        "run_jobs([Job(task, Some(photos=(), bank=Some(names=(), dim=1), device='cpu'))])"
    )
    done = run_python("-c", code, env=dict(os.environ), cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stderr
