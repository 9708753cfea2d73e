"""Code of others cannot fork or move the process that calls it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

import pytest

from benchmark.compute import foreign_code
from builders.errors import Terminated
from builders.untrusted import ForeignCodeError

CASES = {
    "sys.exit(0)": "it called sys.exit(0)",
    "raise GeneratorExit": "it raised GeneratorExit",
    "raise type('Odd', (BaseException,), {})('odd')": "it raised Odd: odd",
    "os.fork()": "a fork of it went on with the run",
    "os.chdir('/')": "it left another working folder",
}


@pytest.mark.parametrize("code", CASES)
@pytest.mark.parametrize("in_thread", [False, True])
def test_foreign_code__what_it_does_to_the_process_is_undone_and_named(code, in_thread, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    errors: list[Exception] = []

    def call() -> None:
        try:
            with foreign_code():
                exec(code, {"os": os, "sys": sys})
        except Exception as error:
            errors.append(error)

    if in_thread:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    else:
        call()
    assert [str(error) for error in errors] == [f"it harms the run: {CASES[code]}"]
    assert os.getcwd() == str(tmp_path)


def test_foreign_code__variables_that_it_removes_are_put_back_and_those_that_it_sets_stay(monkeypatch):
    monkeypatch.setenv("CAMTRACE_TEST_A", "1")
    before = dict(os.environ)
    with foreign_code():
        os.environ.clear()
    assert dict(os.environ) == before
    monkeypatch.setenv("CAMTRACE_TEST_B", "2")
    with foreign_code():
        os.environ["CAMTRACE_TEST_A"] = "3"
        os.environ["CAMTRACE_TEST_C"] = "4"
    assert [os.environ.pop(f"CAMTRACE_TEST_{name}") for name in "ABC"] == ["3", "2", "4"]


def test_foreign_code__variables_that_it_removes_are_put_back_without_those_that_it_changes(monkeypatch):
    for name in "ABD":
        monkeypatch.setenv(f"CAMTRACE_TEST_{name}", name)
    monkeypatch.delenv("CAMTRACE_TEST_C", raising=False)
    with foreign_code():
        del os.environ["CAMTRACE_TEST_A"], os.environ["CAMTRACE_TEST_D"]
        os.environ.update(CAMTRACE_TEST_B="changed", CAMTRACE_TEST_C="new")
    assert [os.environ.pop(f"CAMTRACE_TEST_{name}") for name in "ABCD"] == ["A", "changed", "new", "D"]


def test_foreign_code__sigterm_passes_where_ctrl_c_is_ignored_as_in_a_job_in_the_background():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Terminated), foreign_code():
            raise Terminated
        with pytest.raises(ForeignCodeError, match="it raised KeyboardInterrupt"), foreign_code():
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)


CHANGES = {
    "os.chdir('/')": lambda: os.getcwd() != "/",
    "os.environ.clear()": lambda: "CAMTRACE_TEST_A" in os.environ,
}


@pytest.mark.parametrize("code", CHANGES)
def test_foreign_code__that_runs_in_two_threads_is_undone_however_they_overlap(code, monkeypatch, tmp_path):
    """The second begins after the change of the first, and changes the same after the end of the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMTRACE_TEST_A", "1")
    changed, entered, ended = (threading.Event() for _ in range(3))

    def first() -> None:
        with contextlib.suppress(ForeignCodeError), foreign_code():
            exec(code, {"os": os})
            changed.set()
            assert entered.wait(20)
        ended.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert changed.wait(20)
    with contextlib.suppress(ForeignCodeError), foreign_code():
        entered.set()
        assert ended.wait(20)
        exec(code, {"os": os})
    thread.join()
    assert CHANGES[code]()


def test_foreign_code__errors_and_ctrl_c_pass():
    with pytest.raises(ValueError, match="plain"), foreign_code():
        raise ValueError("plain")
    with pytest.raises(KeyboardInterrupt), foreign_code():
        raise KeyboardInterrupt


def test_foreign_code__a_fork_that_does_its_own_work_is_no_harm():
    with foreign_code():
        child = os.fork()
        if not child:
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_foreign_code__a_module_may_enter_its_folder_and_the_run_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with foreign_code(enters_folder=True):
        os.chdir("/")
    assert os.getcwd() == str(tmp_path)
