"""A budget of memory for decoded pictures, shared by all workers of a run: large pictures wait for one another.

A PNG of 20 KB may have 169 megapixels, and eight workers may read eight of them at once. Each worker reserves memory
for its picture before decoding it, for as long as the picture exists. Reservations are ranges of locks on a file in
memory: those of a killed worker are released at once, and a killed run leaves nothing. Only Linux has such locks.

A budget belongs to the call that opened it: it is a context variable, which forked workers have too. Started processes
get it by ``child_environment``, threads by ``in_this_context``.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import struct
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from PIL import Image

BYTES_PER_PIXEL = 40
"""Memory of a picture at work: 169 megapixels took 6.5 GB through decoding, compositing and the processings."""

FREE_PIXELS = 12_000_000
"""Pictures up to this size reserve nothing: most photos, at most half a gigabyte each."""

LONGEST_WAIT_S = 3600.0
"""After so long a picture is decoded without a reservation: no wait is for ever."""

_UNIT = 64 * 2**20
_VARIABLE = "CAMTRACE_MEMORY_BUDGET"
"""In the environment of started processes. Value: ``UNITS:FILE``."""

_P = ParamSpec("_P")
_R = TypeVar("_R")

_live: weakref.WeakSet[Reservation] = weakref.WeakSet()
_guard = threading.Lock()


class _Budget:
    """Units of memory, as a file that is locked in parts; open while a call uses it."""

    def __init__(self, limit_bytes: int) -> None:
        self.users = 0
        """Calls that are inside it."""
        self._descriptor = os.memfd_create("camtrace-memory")
        self.described = f"{max(1, limit_bytes // _UNIT)}:/proc/{os.getpid()}/fd/{self._descriptor}"

    def close(self) -> None:
        os.close(self._descriptor)


_of_this_call: contextvars.ContextVar[_Budget | None] = contextvars.ContextVar("budget", default=None)


@contextmanager
def memory_budget(limit_bytes: int | None = None) -> Iterator[None]:
    """Within it, all pictures that this call and its workers decode share a budget.

    A picture that needs more than the whole budget waits until nothing else is reserved, and is then decoded alone.
    Within another budget of the same call, that one stays in force until the last of the two has ended. A call in
    another thread has a budget of its own.

    Args:
        limit_bytes: by default half of the free memory.
    """
    with _guard:
        budget = _of_this_call.get()
        if budget is None or not budget.users:
            if os.environ.get(_VARIABLE) or not hasattr(os, "memfd_create"):  # the parent's is in force; not Linux
                budget = None
            else:
                budget = _Budget(free_memory() // 2 if limit_bytes is None else limit_bytes)
                _of_this_call.set(budget)
        if budget is not None:
            budget.users += 1
    try:
        yield
    finally:
        if budget is not None:
            with _guard:
                budget.users -= 1
                if not budget.users:
                    budget.close()


def child_environment() -> dict[str, str]:
    """The environment for a process that is started for this call: this process's, and the budget of the call."""
    described = _described()
    return {**os.environ, **({_VARIABLE: described} if described else {})}


def in_this_context(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """The function, called in a copy of the present context: for threads, which else know nothing of this call."""
    context = contextvars.copy_context()

    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return context.copy().run(function, *args, **kwargs)  # a context runs in one thread at a time

    return call


def _described() -> str:
    """``UNITS:FILE`` of the budget in force; empty without one."""
    budget = _of_this_call.get()
    return budget.described if budget is not None and budget.users else os.environ.get(_VARIABLE, "")


class Reservation:
    """A part of the budget, until ``release``, the end of the process, or the end of the picture it is tied to."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.thread = threading.get_ident()
        if descriptor is not None:
            with _guard:
                _live.add(self)

    def release(self) -> None:
        """Return it to the budget; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    @property
    def held(self) -> bool:
        """True until it is released."""
        return self._descriptor is not None

    def tie_to(self, image: Image.Image) -> None:
        """Release it when the picture is no longer referenced."""
        if self._descriptor is not None:
            weakref.finalize(image, self.release)


def reserve_for(width: int, height: int) -> Reservation:
    """Reserve memory for a picture of ``width`` x ``height`` pixels; waits while others have reserved it.

    Returns at once without a budget, for a small picture, or in a thread that has a reservation: that thread might wait
    for itself.
    """
    budget = _described()
    if width * height <= FREE_PIXELS or not budget:
        return Reservation(None)
    count, _, name = budget.partition(":")
    units = int(count)
    wanted = min(units, -(-width * height * BYTES_PER_PIXEL // _UNIT))
    try:
        descriptor = os.open(name, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return Reservation(None)
    end = time.monotonic() + (0.0 if _this_thread_holds() else LONGEST_WAIT_S)
    pause = 0.01
    while not _locked(descriptor, wanted, units):
        if time.monotonic() >= end:
            os.close(descriptor)
            return Reservation(None)
        time.sleep(pause)
        pause = min(0.2, 2 * pause)
        os.pread(descriptor, 1, 0)  # reads nothing, but shows to tests and tools that this process waits
    return Reservation(descriptor)


def free_memory() -> int:
    """Bytes that are available without swapping; 4 GiB where the system does not state them."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):  # not Linux
        pass
    return 4 << 30


def _this_thread_holds() -> bool:
    me = threading.get_ident()
    with _guard:
        return any(reservation.held and reservation.thread == me for reservation in _live)


def _forget_in_child() -> None:
    """Close the inherited files of locks in a forked worker, which would hold them locked for its whole life."""
    global _guard
    _guard = threading.Lock()
    for reservation in list(_live):
        reservation.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _locked(descriptor: int, wanted: int, units: int) -> bool:
    """Lock ``wanted`` neighbouring units. True if that succeeded, or if the system has no such locks."""
    try:
        import fcntl

        command = fcntl.F_OFD_SETLK
    except (ImportError, AttributeError):  # not Linux
        return True
    for start in range(units - wanted + 1):
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, wanted, 0)
        try:
            fcntl.fcntl(descriptor, command, request)
        except BlockingIOError:
            continue
        except OSError:  # a file system without locks
            return True
        return True
    return False
