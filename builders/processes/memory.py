"""A budget of memory for decoded pictures, shared by all workers of a run: large pictures wait for one another.

A PNG of 20 KB may have 169 megapixels, and eight workers may read eight of them at once. Each worker reserves memory
for its picture before decoding it, for as long as the picture exists. Reservations are ranges of locks on a file in
memory: those of a killed worker are released at once, and a killed run leaves nothing. Only Linux has such locks.
"""

from __future__ import annotations

import contextlib
import os
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

BYTES_PER_PIXEL = 40
"""Memory of a picture at work: 169 megapixels took 6.5 GB through decoding, compositing and the processings."""

FREE_PIXELS = 12_000_000
"""Pictures up to this size reserve nothing: most photos, at most half a gigabyte each."""

LONGEST_WAIT_S = 3600.0
"""After so long a picture is decoded without a reservation: no wait is for ever."""

_UNIT = 64 * 2**20
_VARIABLE = "CAMTRACE_MEMORY_BUDGET"
"""Value: ``UNITS:FILE``. Every worker inherits it, however it is started."""

_live: weakref.WeakSet[Reservation] = weakref.WeakSet()
_guard = threading.Lock()
_users = 0
"""Calls of this process that are inside its budget."""
_descriptor = -1
"""File of this process's budget."""


@contextmanager
def memory_budget(limit_bytes: int | None = None) -> Iterator[None]:
    """Within it, all pictures that this process and its workers decode share a budget.

    A picture that needs more than the whole budget waits until nothing else is reserved, and is then decoded alone.
    Within another budget, of this thread or of another, the first one stays in force until the last call that uses it
    has ended: a call never loses its budget because another one ends.

    Args:
        limit_bytes: by default half of the free memory.
    """
    global _users, _descriptor
    with _guard:
        inherited = _users == 0 and bool(os.environ.get(_VARIABLE))
        if inherited or not hasattr(os, "memfd_create"):  # of the process that started this one; not Linux
            counted = False
        else:
            counted = True
            if _users == 0:
                limit_bytes = free_memory() // 2 if limit_bytes is None else limit_bytes
                _descriptor = os.memfd_create("camtrace-memory")
                place = f"/proc/{os.getpid()}/fd/{_descriptor}"
                os.environ[_VARIABLE] = f"{max(1, limit_bytes // _UNIT)}:{place}"
            _users += 1
    try:
        yield
    finally:
        if counted:
            with _guard:
                _users -= 1
                if _users == 0:
                    os.environ.pop(_VARIABLE, None)
                    os.close(_descriptor)


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
    budget = os.environ.get(_VARIABLE, "")
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
