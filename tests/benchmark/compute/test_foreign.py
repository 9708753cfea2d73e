"""Code of others cannot end, fork, move or mute the process that calls it."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading

import pytest

from benchmark.compute import foreign_code
from builders.errors import Terminated
from builders.untrusted import ForeignCodeError

CASES = {
    "sys.exit(0)": "it called sys.exit(0)",
    "os._exit(0)": "it called os._exit(0)",
    "try:\n    os._exit(7)\nexcept Exception:\n    pass": "it called os._exit(7)",
    "raise GeneratorExit": "it raised GeneratorExit",
    "raise type('Odd', (BaseException,), {})('odd')": "it raised Odd: odd",
    "os.fork()": "a fork of it went on with the run",
    "os.chdir('/')": "it left another working folder",
    "os.close(1)": "it closed standard output",
    "os.close(2)": "it closed standard error",
    "os.dup2(os.open(os.devnull, os.O_WRONLY), 1)": "it closed standard output",
}


@pytest.mark.parametrize("code", CASES)
@pytest.mark.parametrize("in_thread", [False, True])
def test_foreign_code__what_it_does_to_the_process_is_undone_and_named(code, in_thread, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outputs = [os.fstat(number).st_ino for number in (1, 2)]
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
    assert [os.fstat(number).st_ino for number in (1, 2)] == outputs


def test_foreign_code__limits_that_it_lowers_are_raised_again():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.raises(ForeignCodeError, match=r"^it harms the run: it lowered RLIMIT_NOFILE$"), foreign_code():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
    with foreign_code():
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def test_foreign_code__descriptors_that_it_closes_are_named_and_its_own_are_its_own():
    code = (
        "import os\nfrom benchmark.compute import foreign_code\n"
        "with foreign_code(): os.close(os.open(os.devnull, os.O_RDONLY))\n"
        "try:\n    with foreign_code(): os.closerange(3, 200)\n"
        "except Exception as error: print(error)\n"
        "with foreign_code(): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("it harms the run: it closed descriptors of the run\n", "")


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


@pytest.mark.parametrize("module", [sys, threading])
def test_foreign_code__a_removed_hook_of_exceptions_is_restored(module, monkeypatch):
    monkeypatch.setattr(module, "excepthook", module.excepthook)
    before = module.excepthook
    with foreign_code():
        module.excepthook = None
    assert module.excepthook is before
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def test_foreign_code__meanwhile_the_run_starts_threads_without_a_hook_of_exceptions(monkeypatch):
    """Foreign code runs in one thread while the run starts another."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    with foreign_code():
        threading.excepthook = None
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()


@pytest.mark.parametrize("module", [sys, threading])
def test_foreign_code__modules_whose_hook_stays_are_pickled_by_name(module):
    with foreign_code():
        pass
    assert pickle.loads(pickle.dumps(module)) is module
    with foreign_code():
        del module.excepthook
    assert callable(module.excepthook)


CHANGES = {
    "os.chdir('/')": lambda: os.getcwd() != "/",
    "sys.excepthook = None": lambda: sys.excepthook is not None,
    "os.environ.clear()": lambda: "CAMTRACE_TEST_A" in os.environ,
    "resource.setrlimit(resource.RLIMIT_NOFILE, (64, LIMITS[1]))": lambda: (
        resource.getrlimit(resource.RLIMIT_NOFILE) == LIMITS
    ),
    "os.close(1)": lambda: os.fstat(1),
    "sys.stdout.close()": lambda: not sys.stdout.closed,
}
LIMITS = resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.mark.parametrize("code", CHANGES)
def test_foreign_code__that_runs_in_two_threads_is_undone_however_they_overlap(code, monkeypatch, tmp_path, capfd):
    """The second begins after the change of the first, and changes the same after the end of the first."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMTRACE_TEST_A", "1")
    with os.fdopen(os.dup(1), "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        names = {"os": os, "sys": sys, "resource": resource, "LIMITS": LIMITS}
        changed, entered, ended = (threading.Event() for _ in range(3))

        def first() -> None:
            with contextlib.suppress(ForeignCodeError), foreign_code():
                exec(code, names)
                changed.set()
                assert entered.wait(20)
            ended.set()

        thread = threading.Thread(target=first)
        thread.start()
        assert changed.wait(20)
        with contextlib.suppress(ForeignCodeError), foreign_code():
            entered.set()
            assert ended.wait(20)
            exec(code, names)
        thread.join()
        assert CHANGES[code]()


def test_foreign_code__errors_and_ctrl_c_pass_and_a_closed_stream_is_opened_again(monkeypatch, capfd):
    with pytest.raises(ValueError, match="plain"), foreign_code():
        raise ValueError("plain")
    with pytest.raises(KeyboardInterrupt), foreign_code():
        raise KeyboardInterrupt
    with os.fdopen(os.dup(1), "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(ForeignCodeError, match="closed standard output"), foreign_code():
            sys.stdout.close()
        print("still heard", flush=True)
        with pytest.raises(ForeignCodeError, match="closed standard output"), foreign_code():
            exec("sys.stdout = os.fdopen(os.dup(1), 'w'); sys.stdout.close()")
        print("and with one of its own", flush=True)
    assert capfd.readouterr().out == "still heard\nand with one of its own\n"


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
