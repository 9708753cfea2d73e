"""A run in a child process: if code of an encoder ends the process, the run begins again without that encoder.

A fault in compiled code (a segmentation fault, an abort, ``exit`` of C) ends a process whatever Python does about it.
Finished work lies in the cache, so the second run does the rest.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from builders.errors import EncoderError
from builders.processes import flush_outputs

_SLOTS, _SLOT_BYTES = 64, 512
_HEAD = struct.Struct("<QdH")
"""Of a slot: process, time of entry, length of the name."""
_slots = mmap.mmap(-1, _SLOTS * _SLOT_BYTES)
"""What runs in which thread of which process; shared with all forks of this process."""


_crashed: dict[str, int] = {}
"""Status of the process that an encoder has ended, by its name; a fork inherits it."""


@contextmanager
def blamed(name: str) -> Iterator[None]:
    """A context in which code of an encoder runs, in any thread and any process.

    Args:
        name: of the encoder. An empty one changes nothing.
    """
    if not name:
        yield
        return
    process, start = os.getpid(), _slot()
    outer = _slots[start : start + _SLOT_BYTES]
    text = name.encode("utf-8", "backslashreplace")[: _SLOT_BYTES - _HEAD.size]
    _slots[start : start + _HEAD.size + len(text)] = _HEAD.pack(process, time.monotonic(), len(text)) + text
    try:
        yield
    finally:
        if os.getpid() == process:
            _slots[start : start + _SLOT_BYTES] = (
                outer if _HEAD.unpack_from(outer)[0] == process else bytes(_SLOT_BYTES)
            )


def _slot() -> int:
    """Where the slot of this thread begins."""
    return hash((os.getpid(), threading.get_ident())) % _SLOTS * _SLOT_BYTES


def blamed_in(process: int) -> str:
    """The encoder whose code a process that has ended was running, the one that began last; empty if there is none."""
    running = []
    for start in range(0, len(_slots), _SLOT_BYTES):
        number, began, length = _HEAD.unpack_from(_slots, start)
        if number == process:
            name = _slots[start + _HEAD.size : start + _HEAD.size + length]
            running.append((began, name.decode("utf-8", "replace")))
    return max(running)[1] if running else ""


def how_it_ended(status: int) -> str:
    """Words for an exit status as of ``waitstatus_to_exitcode``.

    >>> how_it_ended(-11), how_it_ended(3)
    ('SIGSEGV', 'status 3')
    """
    return signal.Signals(-status).name if status < 0 else f"status {status}"


class EncoderCrash(EncoderError):
    """Code of an encoder has ended a process of the run."""

    def __init__(self, encoder: str, status: int) -> None:
        super().__init__(f"{encoder}: its code ended the process ({how_it_ended(status)})")
        self.encoder = encoder


def refuse_crashed(name: str) -> None:
    """Raise ``EncoderCrash`` if code of an encoder has ended an earlier process of this run."""
    if name in _crashed:
        raise EncoderCrash(name, _crashed[name])


def run_supervised(run: Callable[[], int]) -> int:
    """Call ``run`` in a child process, again without an encoder that ends it.

    Signals go on to the child. It is killed when this process is. Processes that it leaves behind are killed, after a
    run that returned once they had time to end. Where there is no Linux, ``run`` is called here.

    Args:
        run: its result is an exit status. By ``refuse_crashed`` it leaves out encoders.

    Returns:
        The exit status, in this process and in the child.
    """
    if sys.platform != "linux":
        return run()
    finished = mmap.mmap(-1, 8)
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1)
    while True:
        flush_outputs()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, signal.SIGCHLD))
        child = _fork(mask)
        if not child:
            try:
                return run()
            finally:
                finished[0] = 1
        status = _wait(child)
        _end_orphans(may_clean_up=bool(finished[0]))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        name = blamed_in(child)
        if finished[0] or status in _OF_USERS:
            return status if status >= 0 else 128 - status
        if not name or name in _crashed or not (status >= 0 or status in _FAULTS):
            reason = how_it_ended(status) + (": out of memory?" if status == -signal.SIGKILL else "")
            print(f"camtrace: the process was ended ({reason}); finished work is saved, run it again", file=sys.stderr)
            return 128 - status if status < 0 else status or 1
        _crashed[name] = status


_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OF_USERS = tuple(-number for number in (*_PASSED_ON, signal.SIGQUIT))
"""Statuses of processes that signals of a user have ended."""
_FAULTS = tuple(
    -n for n in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
)
"""Statuses of processes that the code which they ran has ended."""
_KILL_WITH_PARENT = 1
"""``PR_SET_PDEATHSIG``."""
_ADOPT_ORPHANS = 36
"""``PR_SET_CHILD_SUBREAPER``: processes whose parent has ended become children of this one."""
_LAST_S = 5.0
"""Time for processes that clean up after others, such as Python's resource tracker, in seconds."""


def end_with_parent() -> None:
    """Let Linux kill this process when its parent ends."""
    ctypes.CDLL(None).prctl(_KILL_WITH_PARENT, signal.SIGKILL)


def _fork(mask: Collection[int]) -> int:
    """The process id of a fork; 0 in it, where these signals are blocked, and which is killed with its parent."""
    parent, child = os.getpid(), os.fork()
    if not child:
        end_with_parent()
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return child


def _wait(child: int) -> int:
    """The status of a child that has ended, as of ``waitstatus_to_exitcode``; signals from processes go on to it.

    Those of a terminal have reached it: they go to the whole group.
    """
    while True:
        received = signal.sigwaitinfo((*_PASSED_ON, signal.SIGCHLD))
        if received.si_signo == signal.SIGCHLD:
            if (status := _reaped().get(child)) is not None:
                return status
        elif received.si_code <= 0:
            os.kill(child, received.si_signo)


def _reaped() -> dict[int, int]:
    """Statuses of the children that have ended, by process id."""
    ended: dict[int, int] = {}
    while True:
        try:
            process, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not process:
            return ended
        ended[process] = os.waitstatus_to_exitcode(raw)


def _end_orphans(*, may_clean_up: bool) -> None:
    """Kill what a child has left behind; those that clean up after it may end by themselves.

    Args:
        may_clean_up: whether all of them may, not only the tracker of what the child shared.
    """
    until = time.monotonic() + _LAST_S
    while left := _children():
        late = time.monotonic() > until
        for process, command in left.items():
            if late or not (may_clean_up or b"resource_tracker" in command):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
        _reaped()


def _children() -> dict[int, bytes]:
    """Command lines of the children of this process that have not ended, by process id."""
    commands: dict[int, bytes] = {}
    here = os.getpid()  # of one thread
    with suppress(OSError):
        for process in map(int, Path(f"/proc/{here}/task/{here}/children").read_text(encoding="ascii").split()):
            with suppress(OSError):
                if Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z":
                    commands[process] = Path(f"/proc/{process}/cmdline").read_bytes()
    return commands
