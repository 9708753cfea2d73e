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

from benchmark.scoring import tasks_run as task_runs
from benchmark.scoring.tasks_run import PACKAGES_OF_TASKS, Job, run_jobs
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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_run_jobs__large_ones_and_those_of_a_gpu_run_alone(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if device == "cpu":
        monkeypatch.setattr(task_runs, "SIDE_BY_SIDE_BYTES", 4 * 10 * 2 * 4 - 1)
    threads = []

    def run(given: Any) -> TaskOutcome:
        threads.append((threading.current_thread(), torch.get_num_threads()))
        return outcome("x")

    run_jobs([job("a/1", run, device=device), job("a/2", run, device=device)])
    assert threads == [(threading.main_thread(), 2)] * 2


def test_run_jobs__the_longest_begin_first_and_answers_stand_in_order() -> None:
    torch.set_num_threads(2)
    begun: list[str] = []
    first, both = threading.Lock(), threading.Barrier(2, timeout=20)

    def named(name: str, effort: float | None) -> Job:
        def run(given: Any) -> TaskOutcome:
            with first:
                begun.append(name)
            if name in ("unknown", "long"):
                both.wait()  # the two that begin take both threads
            return outcome(name)

        one = job(name, run)
        grows = None if effort is None else lambda photos: effort * len(photos)
        return replace(one, task=replace(one.task, effort=grows))

    names = [("short", 1.0), ("long", 7.0), ("unknown", None), ("middle", 3.0)]
    done = run_jobs([named(*one) for one in names])
    assert sorted(begun[:2]) == ["long", "unknown"]
    assert set(begun[2:]) == {"middle", "short"}
    assert task_runs._longest_first([named(*one) for one in names]) == [2, 1, 3, 0]
    assert [list(one.outcome.answers) for one in done if one.outcome] == [["short"], ["long"], ["unknown"], ["middle"]]


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


def test_run_jobs__seconds_are_shares_of_the_time_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of 2 s and 6 s, which took 16 s together: others waited for them."""
    clock = iter([0.0, 1.0, 3.0, 3.0, 9.0, 16.0])
    monkeypatch.setattr(task_runs, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    done = run_jobs([job(name, lambda given: outcome("x"), device="cuda") for name in ("a/1", "a/2")])
    assert [one.seconds for one in done] == [4.0, 12.0]


@pytest.mark.parametrize("succeeds", [True, False])
def test_run_jobs__seconds_of_both_tries_count(monkeypatch: pytest.MonkeyPatch, succeeds: bool) -> None:
    """A job of 1 s that is tried again for 2 s, and one of 3 s: half of the 12 s that both took together each."""
    clock = iter([0.0, 1.0, 2.0, 2.0, 5.0, 5.0, 7.0, 12.0])
    monkeypatch.setattr(task_runs, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    errors = iter([KeyError("a"), None if succeeds else ValueError("b")])

    def run(given: Any) -> TaskOutcome:
        if error := next(errors):
            raise error
        return outcome("x")

    done = run_jobs([job("a/1", run, device="cuda"), job("a/2", lambda given: outcome("y"), device="cuda")])
    assert [one.seconds for one in done] == [6.0, 6.0]
    assert [(one.reason, one.retried) for one in done] == [
        ("", "KeyError: 'a'") if succeeds else ("KeyError: 'a'", ""), ("", ""),
    ]  # fmt: skip
