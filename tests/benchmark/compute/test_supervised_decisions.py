"""What a run in a child process does at each end of the child, with planted processes; who is blamed, by the slots."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.compute import EncoderCrash, blamed, blamed_in, declare_worker, refuse_crashed, supervised
from benchmark.compute.supervised import (
    CLOSED,
    LIMITED,
    forget_blamed,
    how_it_ended,
    is_laid_to_encoder,
    run_supervised,
)
from builders.errors import EncoderError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such processes")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of a process that has begun."""
    for name, value in (("_supervised", 0), ("_worker", 0), ("_crashed", {})):
        monkeypatch.setattr(supervised, name, value)
    forget_blamed()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (LIMITED, "it lowered a limit of the process for good"),
        (CLOSED, "it closed descriptors of the run"),
        (0, "status 0"),
        (1, "status 1"),
        (119, "status 119"),
        (-9, "SIGKILL"),
        (-6, "SIGABRT"),
    ],
)
def test_how_it_ended__and_the_error_of_its_encoder(status: int, words: str) -> None:
    assert how_it_ended(status) == words
    error = EncoderCrash("mine", status)
    assert (str(error), error.encoder) == (f"mine: its code ended the process ({words})", "mine")
    assert isinstance(error, EncoderError)


def test_refuse_crashed__names_the_status_of_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "_crashed", {"bad": -11, "worse": 3})
    refuse_crashed("good")
    for name, how in (("bad", "SIGSEGV"), ("worse", "status 3")):
        with pytest.raises(EncoderCrash, match=rf"^{name}: its code ended the process \({how}\)$"):
            refuse_crashed(name)


class Ends:
    """Children that end one after the other with planted statuses, by the encoders that are to blame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends: list[tuple[int, str, bool]]) -> None:
        self.ends, self.log = ends, []
        self.crashed_before: list[dict[str, int]] = []
        monkeypatch.setattr(supervised, "_fork", self.fork)
        monkeypatch.setattr(supervised, "_wait", self.wait)
        monkeypatch.setattr(supervised, "blamed_in", lambda child: self.ends[child - 100][1])
        monkeypatch.setattr(supervised, "_end_orphans", lambda **given: self.log.append(("orphans", given)))
        monkeypatch.setattr(supervised, "mmap", SimpleNamespace(mmap=self.shared))
        fake = SimpleNamespace(prctl=lambda *given: self.log.append(("prctl", *given)))
        monkeypatch.setattr(supervised, "ctypes", SimpleNamespace(CDLL=lambda name: fake))

    def shared(self, *given: Any) -> bytearray:
        assert given == (-1, 8)
        self.flag = bytearray(8)
        return self.flag

    def fork(self, mask: Any) -> int:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD} <= blocked
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
        self.crashed_before.append(dict(supervised._crashed))
        self.child = 100 + len(self.crashed_before) - 1
        return self.child

    def wait(self, child: int) -> int:
        assert child == self.child
        status, _, returned = self.ends[child - 100]
        self.flag[0] = returned
        return status


LEFT = "finished work is saved, run it again"


@pytest.mark.parametrize(
    ("ends", "status", "left_out", "sentence"),
    [
        ([(5, "", True)], 5, {}, ""),
        ([(0, "", True)], 0, {}, ""),
        ([(-11, "a", True)], 139, {}, ""),  # after the run had returned: nothing is laid to an encoder
        ([(-2, "a", False)], 130, {}, ""),  # by a signal of the user
        ([(-15, "a", False)], 143, {}, ""),
        ([(-1, "a", False)], 129, {}, ""),
        ([(-3, "a", False)], 131, {}, ""),
        ([(-11, "a", False), (4, "", True)], 4, {"a": -11}, ""),
        ([(-6, "a", False), (-7, "b", False), (4, "", True)], 4, {"a": -6, "b": -7}, ""),
        ([(-4, "a", False), (-8, "b", False), (-5, "c", False), (0, "", True)], 0, {"a": -4, "b": -8, "c": -5}, ""),
        ([(0, "a", False), (9, "b", False), (4, "", True)], 4, {"a": 0, "b": 9}, ""),
        ([(120, "a", False), (121, "b", False), (4, "", True)], 4, {"a": 120, "b": 121}, ""),
        ([(-11, "", False)], 139, {}, "SIGSEGV"),
        ([(0, "", False)], 1, {}, "status 0"),
        ([(7, "", False)], 7, {}, "status 7"),
        ([(-9, "a", False)], 137, {}, "SIGKILL: out of memory?"),
        ([(-14, "a", False)], 142, {}, "SIGALRM"),
        ([(-11, "a", False), (-11, "a", False)], 139, {"a": -11}, "SIGSEGV"),  # it was left out already
    ],
)
def test_run_supervised__at_each_end_of_its_child(
    ends: list[tuple[int, str, bool]],
    status: int,
    left_out: dict[str, int],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    planted = Ends(monkeypatch, ends)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert run_supervised(lambda: pytest.fail("the run is that of the child")) == status
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert supervised._crashed == left_out
    assert len(planted.crashed_before) == len(ends)
    assert planted.crashed_before[-1] == dict(list(left_out.items())[: len(ends) - 1])
    assert planted.log == [("prctl", 36, 1), *(("orphans", {"may_clean_up": returned}) for *_, returned in ends)]
    expected = f"camtrace: the process was ended ({sentence}); {LEFT}\n" if sentence else ""
    assert capfd.readouterr() == ("", expected)


def test_run_supervised__in_the_child_it_says_that_the_run_has_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = Ends(monkeypatch, [])
    monkeypatch.setattr(supervised, "_fork", lambda mask: 0)
    masks = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        assert run_supervised(lambda: 100 * planted.flag[0] + (supervised._supervised == os.getpid())) == 1
        assert planted.flag[0] == 1
        with pytest.raises(KeyError):
            run_supervised(lambda: {}["x"])
        assert planted.flag[0] == 1
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks)


def test_run_supervised__on_other_systems_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised.sys, "platform", "darwin")
    monkeypatch.setattr(supervised, "_fork", lambda mask: pytest.fail("it forks"))
    assert run_supervised(lambda: 6) == 6


def test_wait__passes_signals_of_processes_on_and_those_of_a_terminal_not(monkeypatch: pytest.MonkeyPatch) -> None:
    received = [
        (signal.SIGINT, 128),  # of a terminal
        (signal.SIGTERM, 0),
        (signal.SIGCHLD, 1),
        (signal.SIGHUP, -1),
        (signal.SIGCHLD, 1),
    ]
    reaped = iter([{7: 1}, {8: -9, 9: 0}])
    sent: list[tuple[int, int]] = []
    awaited: list[Any] = []
    signals = iter([SimpleNamespace(si_signo=number, si_code=code) for number, code in received])
    monkeypatch.setattr(supervised.signal, "sigwaitinfo", lambda given: awaited.append(set(given)) or next(signals))
    monkeypatch.setattr(supervised, "_reaped", lambda: next(reaped))
    monkeypatch.setattr(supervised.os, "kill", lambda *given: sent.append(given))
    assert supervised._wait(8) == -9
    assert sent == [(8, signal.SIGTERM), (8, signal.SIGHUP)]
    assert awaited == [{signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}] * 5


def test_end_orphans__kills_at_once_or_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    left: list[dict[int, bytes]] = []
    clock = iter(range(100))
    monkeypatch.setattr(supervised.os, "kill", lambda *given: killed.append(given))
    monkeypatch.setattr(supervised, "_children", lambda: left.pop(0))
    monkeypatch.setattr(supervised, "_reaped", dict)
    monkeypatch.setattr(supervised.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(supervised.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(supervised, "_LAST_S", 2.0)
    some = {5: b"sleep", 6: b"python -c from multiprocessing.resource_tracker import main"}
    left[:] = [some, {}]
    supervised._end_orphans(may_clean_up=False)
    assert killed == [(5, signal.SIGKILL)]  # not the tracker, which ends by itself
    killed.clear()
    left[:] = [some, some, some, {}]  # at 1, 2 and 3 seconds after the first of these
    supervised._end_orphans(may_clean_up=True)
    assert killed == [(5, signal.SIGKILL), (6, signal.SIGKILL)]
    killed.clear()
    left[:] = [{}]
    supervised._end_orphans(may_clean_up=False)
    assert killed == []


def test_children__command_lines_of_those_that_run(tmp_path: Any) -> None:
    with subprocess.Popen(["sleep", "60"]) as runs, subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is not reaped
        children = supervised._children()
        runs.kill()
    assert children.get(runs.pid) == b"sleep\x0060\x00"
    assert ended.pid not in children


def test_reaped__statuses_by_process(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [(7, 3 << 8), (8, 9), (0, 0)]
    calls: list[tuple[int, int]] = []

    def waitpid(*given: int) -> Any:
        calls.append(given)
        if not answers:
            raise ChildProcessError
        return answers.pop(0)

    monkeypatch.setattr(supervised.os, "waitpid", waitpid)
    assert supervised._reaped() == {7: 3, 8: -9}
    assert calls == [(-1, os.WNOHANG)] * 3
    answers[:] = [(7, 0)]
    assert supervised._reaped() == {7: 0}  # then there is no child any more
    assert supervised._reaped() == {}


def test_blamed__a_name_is_cut_where_its_slot_ends_and_what_is_no_utf_8_is_replaced() -> None:
    process = os.getpid()
    most = supervised._SLOT_BYTES - supervised._HEAD.size
    assert most == 512 - 18
    for name, shown in (("é" * 300, "é" * (most // 2)), ("x" * most, "x" * most), ("x" * (most + 1), "x" * most)):
        with blamed(name):
            assert blamed_in(process) == shown
    with blamed("x" * (most - 1) + "é"):
        assert blamed_in(process) == "x" * (most - 1) + "\ufffd"
    with blamed("\udce9"):
        assert blamed_in(process) == "\\udce9"
    assert blamed_in(process) == blamed_in(process + 1) == ""


def test_blamed__an_error_ends_it_and_an_empty_name_changes_nothing() -> None:
    process = os.getpid()
    with blamed("outer"):
        with pytest.raises(KeyError), blamed("inner"):
            raise KeyError
        assert blamed_in(process) == "outer"
        with blamed(""):
            assert (blamed_in(process), supervised._last.name) == ("outer", "inner")
    assert blamed_in(process) == ""
    assert supervised._last.name == "inner"
    forget_blamed()
    assert supervised._last.name == ""


def test_blamed__a_fork_leaves_the_slot_of_its_parent() -> None:
    with blamed("outer"):
        child = os.fork()
        if not child:
            try:
                with blamed("of the fork"):
                    os._exit(0 if blamed_in(os.getpid()) == "of the fork" else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert blamed_in(child) == "of the fork"
        assert blamed_in(os.getpid()) == "outer"
    supervised._slots[:] = bytes(len(supervised._slots))


@pytest.mark.parametrize("role", ["_supervised", "_worker"])
def test_is_laid_to_encoder__in_the_run_and_its_workers_alone(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.getpid()
    with blamed("mine"):
        assert not is_laid_to_encoder()
    monkeypatch.setattr(supervised, role, here)
    with blamed("mine"):
        assert is_laid_to_encoder()
        assert blamed_in(here) == "mine"
    # no encoder runs, and the last one in this thread is blamed again
    assert blamed_in(here) == ""
    assert is_laid_to_encoder()
    assert blamed_in(here) == "mine"
    supervised._slots[:] = bytes(len(supervised._slots))
    forget_blamed()
    assert not is_laid_to_encoder()
    monkeypatch.setattr(supervised, role, here + 1)
    with blamed("mine"):
        assert not is_laid_to_encoder()


def test_is_laid_to_encoder__not_to_one_of_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "_supervised", os.getpid())

    def other() -> None:
        with blamed("other"):
            pass

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert not is_laid_to_encoder()


def test_declare_worker__is_this_process() -> None:
    declare_worker()
    assert supervised._worker == os.getpid()


@pytest.mark.parametrize("alive", [True, False])
def test_fork__ends_with_its_parent(alive: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake = SimpleNamespace(prctl=lambda *given: calls.append(given))
    monkeypatch.setattr(supervised, "ctypes", SimpleNamespace(CDLL=lambda name: fake))
    monkeypatch.setattr(supervised.os, "fork", lambda: 0)
    monkeypatch.setattr(supervised.os, "getppid", lambda: os.getpid() if alive else 1)
    monkeypatch.setattr(supervised.os, "_exit", lambda status: calls.append(("exit", status)))
    monkeypatch.setattr(supervised.signal, "pthread_sigmask", lambda *given: calls.append(given))
    assert supervised._fork({3}) == 0
    assert calls == [(1, signal.SIGKILL), *([] if alive else [("exit", 1)]), (signal.SIG_SETMASK, {3})]
    calls.clear()
    monkeypatch.setattr(supervised.os, "fork", lambda: 77)
    assert supervised._fork({3}) == 77
    assert calls == []
