"""Memory for pictures being decoded, shared by all workers of a run: large ones wait for one another.

A PNG of 20 KB may hold 169 megapixels, and eight workers may meet eight of them. Each reserves what its picture needs
before a pixel is decoded and keeps it while the picture lives. Reservations are ranges of locks on one file in memory,
so that those of a worker that was killed are free at once, and a killed run leaves nothing. Only Linux has such locks.
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
"""Of a picture at work: 169 megapixels took 6.5 GB through decoding, compositing and the processings."""
FREE_PIXELS = 12_000_000
"""Pictures up to this size reserve nothing: most photos, and half a gigabyte at most each."""
LONGEST_WAIT_S = 3600.0
"""After so long a picture is decoded all the same: a wait must not be for ever, whatever holds the budget."""

_UNIT = 64 * 2**20
_VARIABLE = "CAMTRACE_MEMORY_BUDGET"
"""``UNITS:FILE``, inherited by every worker however it is started."""

_live: weakref.WeakSet[Reservation] = weakref.WeakSet()
_guard = threading.Lock()


@contextmanager
def memory_budget(limit_bytes: int | None = None) -> Iterator[None]:
    """Within it, all pictures that this process and its workers decode share a budget.

    One that needs more than the whole waits until nothing else is reserved, and is then decoded alone. Inside another
    budget that one holds.

    Args:
        limit_bytes: by default half of the memory that is free.
    """
    if os.environ.get(_VARIABLE):
        yield
        return
    if not hasattr(os, "memfd_create"):  # nobody would wait
        yield
        return
    limit_bytes = free_memory() // 2 if limit_bytes is None else limit_bytes
    descriptor = os.memfd_create("camtrace-memory")
    os.environ[_VARIABLE] = f"{max(1, limit_bytes // _UNIT)}:/proc/{os.getpid()}/fd/{descriptor}"
    try:
        yield
    finally:
        os.environ.pop(_VARIABLE, None)
        os.close(descriptor)


class Reservation:
    """A part of the budget; given back by ``release``, by the end of the process, or with the picture it is tied to."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self.thread = threading.get_ident()
        if descriptor is not None:
            with _guard:
                _live.add(self)

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    @property
    def held(self) -> bool:
        """Whether it is not given back yet."""
        return self._descriptor is not None

    def tie_to(self, image: Image.Image) -> None:
        """Give it back when the picture is no longer used."""
        if self._descriptor is not None:
            weakref.finalize(image, self.release)


def reserve_for(width: int, height: int) -> Reservation:
    """Reserve memory for a picture; waits while others have it. Without a budget, or for a small picture, at once.

    A thread that holds a picture already does not wait for others: it might wait for itself.
    """
    described = os.environ.get(_VARIABLE, "")
    if width * height <= FREE_PIXELS or not described:
        return Reservation(None)
    count, _, name = described.partition(":")
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
        os.pread(
            descriptor, 1, 0
        )  # reads nothing, but whoever looks for processes that do nothing sees that this one waits
    return Reservation(descriptor)


def free_memory() -> int:
    """Bytes that can be had without swapping, as the system says; 4 GiB where it does not."""
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
    """A forked worker inherits the file of each lock, and would keep it locked for its whole life."""
    global _guard
    _guard = threading.Lock()
    for reservation in list(_live):
        reservation.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


def _locked(descriptor: int, wanted: int, units: int) -> bool:
    """Whether some ``wanted`` units next to one another could be locked. True where the system has no such locks."""
    try:
        import fcntl

        command = fcntl.F_OFD_SETLK
    except (ImportError, AttributeError):  # not Linux: nobody waits
        return True
    for start in range(units - wanted + 1):
        ask = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, wanted, 0)
        try:
            fcntl.fcntl(descriptor, command, ask)
        except BlockingIOError:
            continue
        except OSError:  # a file system without locks
            return True
        return True
    return False
