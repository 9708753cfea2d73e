"""Whether workers do anything: what they reply, and what the system tells of their processes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

LONGEST_LOOK_S = 2.0
"""Seconds between two looks that count at most."""


class Watch:
    """Whether anything goes on: replies, or, where the system tells, what the workers do.

    Only time in which this process looks counts: it may itself have been stopped (Ctrl-Z, a scheduler), or the machine.
    """

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes = processes
        self._idle_s, self._looked = 0.0, time.monotonic()
        self._did = [_done_by(process) for process in processes]

    def seen(self) -> None:
        """Something went on."""
        self._idle_s = 0.0

    def stalled(self, patience_s: float) -> bool:
        """Whether nothing has gone on for so many seconds."""
        now = time.monotonic()
        since, self._looked = min(now - self._looked, LONGEST_LOOK_S), now
        did = [_done_by(process) for process in self._processes]
        if did != self._did or any(map(_waits_for_a_core, self._processes)):
            self._did = did
            self.seen()
        else:
            self._idle_s += since
        return self._idle_s > patience_s


def _done_by(process: int) -> tuple[bytes, ...]:
    """Processor time of a process in ticks, its counts of reads and writes; empty where the system does not tell."""
    return (*_stat(process)[11:13], _proc(process, "io"))


def _waits_for_a_core(process: int) -> bool:
    """Whether it would go on if it were let: a loaded machine may leave it waiting for long."""
    return _stat(process)[:1] == [b"R"]


def _stat(process: int) -> list[bytes]:
    """Fields from its state on."""
    return _proc(process, "stat").rpartition(b")")[2].split()


def _proc(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""
