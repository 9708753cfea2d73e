"""Each decision about foreign code by itself: limits, outputs, exits, forks and what its error says."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.compute import foreign, foreign_code
from benchmark.compute.foreign import _is_lower, _may_be_interrupted, _restored_folder, _restored_limits, _words
from benchmark.compute.supervised import CLOSED, LIMITED
from builders.errors import Terminated
from builders.untrusted import ForeignCodeError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such processes")


@pytest.mark.parametrize(
    ("limit", "other", "lower"),
    [
        (5, 6, True),
        (6, 6, False),
        (7, 6, False),
        (5, -1, True),
        (-1, 5, False),
        (-1, -1, False),
        (0, 1, True),
        (0, 0, False),
    ],
)
def test_is_lower__minus_one_is_no_limit(limit: int, other: int, lower: bool) -> None:
    assert _is_lower(limit, other) is lower


class Limits:
    """Limits of a process by number, of which some cannot be raised."""

    def __init__(self, now: dict[str, tuple[int, int]], fixed: bool) -> None:
        self.now, self.fixed = now, fixed
        self.calls: list[tuple[str, tuple[int, int]]] = []

    def getrlimit(self, name: str) -> tuple[int, int]:
        return self.now[name]

    def setrlimit(self, name: str, limits: tuple[int, int]) -> None:
        self.calls.append((name, limits))
        if self.fixed and _is_lower(self.now[name][1], limits[1]):
            raise ValueError("not allowed to raise maximum limit")
        self.now[name] = limits


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Any:
    def planted(now: dict[str, tuple[int, int]], *, fixed: bool = False) -> Limits:
        made = Limits(now, fixed)
        monkeypatch.setattr(foreign, "resource", made)
        monkeypatch.setattr(foreign, "_LIMITS", {name: name for name in now})
        return made

    return planted


def test_restored_limits__soft_and_hard_ones_that_were_lowered(limits: Any) -> None:
    before = {"A": (5, 9), "B": (5, 9), "C": (5, 9), "D": (5, -1), "E": (5, 9)}
    planted = limits({"A": (4, 9), "B": (5, 8), "C": (6, 9), "D": (5, 100), "E": (5, 9)})
    assert list(_restored_limits(before)) == ["it lowered A", "it lowered B", "it lowered D"]
    assert planted.now == {**before, "C": (6, 9)}


@pytest.mark.parametrize(("now", "end"), [((3, 4), (4, 4)), ((3, 7), (5, 7)), ((5, 5), (5, 5)), ((4, 8), (5, 8))])
def test_restored_limits__as_far_as_this_user_may(
    now: tuple[int, int], end: tuple[int, int], limits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreign, "is_laid_to_encoder", lambda: False)
    monkeypatch.setattr(foreign, "_real_exit", lambda status: pytest.fail("the process ends"))
    planted = limits({"A": now}, fixed=True)
    assert list(_restored_limits({"A": (5, 9)})) == ["it lowered A"]
    assert planted.calls == [("A", (5, 9)), ("A", end)]


def test_restored_limits__end_the_run_where_it_begins_again(limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(foreign, "is_laid_to_encoder", lambda: True)
    monkeypatch.setattr(foreign, "_real_exit", ends.append)
    limits({"A": (3, 4)}, fixed=True)
    list(_restored_limits({"A": (5, 9)}))
    assert ends == [LIMITED]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (foreign._Ended("os._exit(3)"), "it called os._exit(3)"),
        (SystemExit("bye"), "it called sys.exit('bye')"),
        (GeneratorExit(), "it raised GeneratorExit"),
        (BaseException("odd"), "it raised BaseException: odd"),
        (KeyboardInterrupt(), "it raised KeyboardInterrupt"),
    ],
)
def test_words__of_what_it_raised(error: BaseException, words: str) -> None:
    assert _words(error) == words


def test_restored_folder__only_one_that_was_left(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(_restored_folder(str(tmp_path))) == []
    assert list(_restored_folder(None)) == []
    os.chdir("/")
    assert list(_restored_folder(None)) == []
    assert os.getcwd() == "/"
    gone = tmp_path / "gone"
    assert list(_restored_folder(str(gone))) == ["it left another working folder"]
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert foreign._folder() is None
    with foreign_code():  # there is nothing to return to
        os.chdir("/")


@pytest.mark.parametrize(
    ("handler", "in_main", "may"),
    [
        (signal.default_int_handler, True, True),
        (signal.SIG_DFL, True, True),
        (signal.SIG_IGN, True, False),
        (signal.default_int_handler, False, False),
    ],
)
def test_may_be_interrupted__in_the_main_thread_of_a_job_in_the_foreground(
    handler: Any, in_main: bool, may: bool
) -> None:
    before = signal.signal(signal.SIGINT, handler)
    answers: list[bool] = []
    try:
        if in_main:
            answers.append(_may_be_interrupted())
        else:
            thread = threading.Thread(target=lambda: answers.append(_may_be_interrupted()))
            thread.start()
            thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert answers == [may]


def test_exit__outside_of_foreign_code_and_in_its_forks_it_is_the_real_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(foreign, "_real_exit", ends.append)
    with foreign_code():
        pass
    assert os._exit is foreign._exit
    os._exit(3)
    assert ends == [3]
    with foreign_code():
        monkeypatch.setattr(foreign._calls, "process", os.getpid() + 1)
        os._exit(4)
        monkeypatch.setattr(foreign._calls, "process", os.getpid())
        with pytest.raises(foreign._Ended, match=r"^os\._exit\(5\)$"):
            os._exit(5)
    assert ends == [3, 4]


def test_foreign_code__within_foreign_code_each_answers_for_itself(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = foreign._calls.depth
    with foreign_code():
        with pytest.raises(ForeignCodeError, match=r"^it harms the run: it called os\._exit\(1\)$"), foreign_code():
            os._exit(1)
        assert foreign._calls.depth == before + 1
        with pytest.raises(foreign._Ended):
            os._exit(2)
    assert foreign._calls.depth == before
    assert foreign._running._count == 0
    assert foreign._running._before is None


def test_foreign_code__names_all_that_it_did_in_order(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ForeignCodeError) as error, foreign_code():
        exec("os.chdir('/'); os.close(2); os.close(1); sys.exit(0)", {"os": os, "sys": sys})
    assert str(error.value) == (
        "it harms the run: it called sys.exit(0), it left another working folder, it closed standard output, "
        "it closed standard error"
    )
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__
    with pytest.raises(ForeignCodeError, match=r": it closed standard error$"), foreign_code(enters_folder=True):
        exec("os.chdir('/'); os.close(2)", {"os": os})
    assert os.getcwd() == str(tmp_path)


def test_foreign_code__after_an_error_of_its_own_everything_is_restored(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAMTRACE_TEST_A", "1")
    for error in (ValueError("plain"), Terminated()):
        with pytest.raises(type(error)), foreign_code():
            exec("os.chdir('/'); os.environ.clear(); raise error", {"os": os, "error": error})
        assert (os.getcwd(), os.environ["CAMTRACE_TEST_A"]) == (str(tmp_path), "1")


def test_foreign_code__closed_descriptors_end_the_run_where_it_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[int] = []
    monkeypatch.setattr(foreign, "_real_exit", ends.append)
    for laid, expected in ((False, []), (True, [CLOSED])):
        monkeypatch.setattr(foreign, "is_laid_to_encoder", lambda laid=laid: laid)
        guard = foreign._open_guard()
        with pytest.raises(ForeignCodeError, match=r": it closed descriptors of the run$"), foreign_code():
            os.close(guard.descriptor)
        assert ends == expected


def test_open_guard__one_for_each_process_and_none_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = foreign._open_guard()
    assert foreign._open_guard() is guard
    assert guard.is_open()
    monkeypatch.setattr(foreign, "_guards", {})

    def too_many() -> Any:
        raise OSError("too many open files")

    monkeypatch.setattr(foreign.os, "pipe", too_many)
    none = foreign._open_guard()
    assert (none.descriptor, none.identity, none.is_open()) == (-1, None, True)
    assert foreign._guards == {}
    closed = foreign._Guard(guard.descriptor, (0, 0))
    assert not closed.is_open()


def test_forks__in_the_parent_they_are_counted_within_foreign_code_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[str] = []
    monkeypatch.setattr(foreign, "end_with_parent", lambda: ends.append("with its parent"))
    before = foreign._calls.forks
    foreign._forked_in_parent()
    foreign._forked_in_child()
    assert (foreign._calls.forks, ends) == (before, [])
    monkeypatch.setattr(foreign._calls, "depth", 1)
    foreign._forked_in_parent()
    running = foreign._running
    foreign._forked_in_child()
    assert (foreign._calls.forks, ends) == (before + 1, ["with its parent"])
    assert foreign._running is not running
    monkeypatch.setattr(foreign.sys, "platform", "darwin")
    foreign._forked_in_child()
    assert len(ends) == 1
    foreign._calls.forks = before


@pytest.mark.parametrize(("after", "twice"), [(0.0, True), (0.02, True), (None, False)])
def test_returns_twice__waits_half_a_second_for_another_fork(
    after: float | None, twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    shared = [7]

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if after is not None and clock.now >= after:
            shared[0] = 8

    if after == 0.0:
        shared[0] = 8
    monkeypatch.setattr(foreign, "_escaped", shared)
    monkeypatch.setattr(foreign, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    assert foreign._returns_twice(7) is twice
    assert clock.now == pytest.approx(0.5 if after is None else after, abs=0.006)


@pytest.mark.parametrize("module", [sys, threading])
def test_modules__other_names_may_be_set_and_removed(module: Any) -> None:
    with foreign_code():
        module.camtrace_test_name = 3
        assert module.camtrace_test_name == 3
        del module.camtrace_test_name
    assert not hasattr(module, "camtrace_test_name")
    hook = module.excepthook
    with foreign_code():
        module.excepthook = print  # another hook is a hook
    assert module.excepthook is print
    module.excepthook = hook


def test_limits__are_those_that_this_system_has() -> None:
    names = ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_STACK", "RLIMIT_CPU")
    assert tuple(foreign._LIMITS) == names
    import resource

    assert foreign._limits() == {name: resource.getrlimit(getattr(resource, name)) for name in names}


def test_output__is_restored_to_where_it_was_before_this_call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Standard output may be redirected between two calls."""
    monkeypatch.setattr(foreign, "_copies", {})
    first, second = (os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT) for name in ("first", "second"))
    descriptor = os.dup(first)
    for target in (first, second, second):
        os.dup2(target, descriptor)
        foreign._Output(descriptor)
        copy = foreign._copies[descriptor]
        assert foreign._identity(copy) == foreign._identity(target)
    for opened in (copy, descriptor, first, second):
        os.close(opened)
