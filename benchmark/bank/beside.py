"""Threads beside the one that gathers: each does its work in order and takes the next piece when one is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any


class Beside:
    """Does work on one other thread, in order; a piece is handed over when the one before is done, so none pile up."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.busy_s = self.idle_s = 0.0
        self._pool = pool
        self._last: Future[None] | None = None
        self._free_since = time.perf_counter()

    def do(self, work: Callable[..., None], *given: Any) -> None:
        """Wait for the piece before, which may raise what it met, then begin this one."""
        self.wait()
        self._last = self._pool.submit(self._timed, work, *given)

    def wait(self) -> None:
        """Until nothing is left to do."""
        if self._last is not None:
            self._last.result()

    def _timed(self, work: Callable[..., None], *given: Any) -> None:
        started = time.perf_counter()
        self.idle_s += started - self._free_since
        try:
            work(*given)
        finally:
            self._free_since = time.perf_counter()
            self.busy_s += self._free_since - started


@contextmanager
def beside(name: str) -> Iterator[Beside]:
    """A thread of its own; when the context ends well, its work is done."""
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        one = Beside(pool)
        yield one
        one.wait()
