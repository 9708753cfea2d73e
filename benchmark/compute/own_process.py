"""A process of its own for code of others, with one socket: how it is started, limited in memory, and ended.

On Linux it is a fork of this process, which has imported what it needs; where libraries that do not survive a fork are
in use, of a process that forks for this one (``nursery.py``). Elsewhere it is a new interpreter. It is in a process
group of its own, so that what it starts ends with it, and signals that it sends to its group stay there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path

from benchmark.compute.nursery import nursed, start_interpreter, status_of
from builders.processes import exit_with_parent, flush_outputs, setup_child

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

END_S = 5.0
"""Longest wait for the status of a process that was killed."""

_MOST_DESCRIPTORS = 4096
"""Descriptors of the run that a fork forgets; few runs have as many."""

_NO_FORK = ("openvino", "onnxruntime")
"""Libraries whose threads do not survive a fork."""

_BOOT = "from benchmark.compute.own_process import serve; serve(target, end, parent)"
"""The program of a new interpreter."""


class OwnProcess:
    """A process that serves one socket by a function.

    Args:
        target: ``module:function``, called in the process with its end of the socket.
    """

    def __init__(self, target: str) -> None:
        self.socket, theirs = socket.socketpair()
        report = None
        with theirs:
            if sys.platform != "linux":
                self.pid = start_interpreter(_BOOT, theirs, target)
            elif _may_fork():
                self.pid = _forked(target, theirs)
            else:
                self.pid, report = nursed(target, theirs)
        self._status: int | None = None
        self._end = weakref.finalize(self, _ended, self.pid, self.socket, os.getpid(), report)

    def end(self) -> int | None:
        """Kill the process, with all that it has started, if it has not ended; its status as of ``waitstatus``."""
        if self._end.alive:
            self._status = self._end()
        return self._status


_inside = False
"""Whether this is such a process."""


def is_own_process() -> bool:
    """Whether this is a process that was started for code of others."""
    return _inside


def can_isolate() -> bool:
    """Whether code of others can have a process of its own: the system has such sockets, and this is none."""
    return os.name == "posix" and hasattr(socket, "AF_UNIX") and not _inside


def kill_group(group: int) -> None:
    """Kill a process of this module and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ended(pid: int, connected: socket.socket, owner: int, report: int | None) -> int | None:
    """Kill a process and its group; its status: one that it ended with by itself, if it did, else minus nine.

    Nothing is done in a fork of the process that started it.
    """
    if os.getpid() != owner:
        return None
    connected.close()
    raw = _status_of(pid, report, 0.05)
    kill_group(pid)
    if raw is None:
        raw = _status_of(pid, report, END_S)
    if report is not None:
        os.close(report)
    return None if raw is None else os.waitstatus_to_exitcode(raw)


def _status_of(pid: int, report: int | None, wait_s: float) -> int | None:
    """How a process has ended, as ``os.waitpid`` has it, or as its nursery reports; None if it has not in time."""
    if report is not None:
        return status_of(report, wait_s)
    until = time.monotonic() + wait_s
    while True:
        try:
            ended, raw = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            return None
        if ended or time.monotonic() > until:
            return raw if ended else None
        time.sleep(0.002)


def _may_fork() -> bool:
    if any(name in sys.modules for name in _NO_FORK):
        return False
    torch = sys.modules.get("torch")
    return torch is None or not torch.cuda.is_initialized()


def _forked(target: str, theirs: socket.socket) -> int:
    """The process id of a fork.

    A new thread forks: it is the main thread of the fork, and has started no threads of OpenMP, for which the fork
    would wait.
    """
    flush_outputs()
    pids: list[int] = []

    def fork() -> None:
        parent = os.getpid()
        pid = quiet_fork()
        if pid:
            pids.append(pid)
            return
        try:
            os.setpgid(0, 0)
            end = theirs.detach()
            _forget_descriptors(keep=end)
            serve(target, end, parent)
        finally:
            os._exit(1)

    thread = threading.Thread(target=fork, name="fork")
    thread.start()
    thread.join()
    with contextlib.suppress(OSError):  # it has done so itself
        os.setpgid(pids[0], pids[0])
    return pids[0]


def quiet_fork() -> int:
    """``os.fork`` without the warning of Python 3.12 about threads beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _forget_descriptors(keep: int) -> None:
    """Let all inherited descriptors but outputs refer to nothing; their numbers stay, since objects will close them."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(min(os.sysconf("SC_OPEN_MAX"), _MOST_DESCRIPTORS)):
        if number not in (1, 2, keep, nothing):
            with contextlib.suppress(OSError):
                os.fstat(number)  # it is open
                os.dup2(nothing, number, inheritable=False)


def serve(target: str, descriptor: int, parent: int) -> None:
    """The process: call the function with its end of the socket, then end."""
    global _inside
    _inside = True
    setup_child()
    exit_with_parent(parent)
    _limit_memory()
    module, _, name = target.partition(":")
    function: Callable[[socket.socket], None] = getattr(__import__(module, fromlist=[name]), name)
    try:
        with socket.socket(fileno=descriptor) as connected:
            function(connected)
        flush_outputs()
    finally:
        os._exit(0)


def _limit_memory() -> None:
    """Give this process the memory that is free now, and let the system end it first where memory runs out.

    Where there is a GPU nothing is limited: its driver reserves address space that is no memory.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if resource is None:
        return
    from benchmark.compute.memory import free_on_host, has_gpu_driver, private_bytes  # imports torch

    if has_gpu_driver():
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limit = private_bytes() + free_on_host()
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
