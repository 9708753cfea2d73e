"""The clock as a parameter, so that budgets and waits can be tested on a simulated clock."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time and waiting."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait. Raises ``Stopped`` once ``stop`` was called."""
        ...

    def stop(self) -> None:
        """End every wait, now and later."""
        ...


class Stopped(Exception):
    """A wait ended because the run is ending."""


class SystemClock:
    """The time of this machine. Wall time, not monotonic time, because budgets outlive a process."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopped

    def stop(self) -> None:
        self._stopping.set()
