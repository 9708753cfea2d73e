"""Work that two cores share where one thread cannot: a fork of the process does it while the process goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from builders.ranks import begin_fork, signals_held


class Forked:
    """A fork of this process for one piece of work; it gets ready at once, and waits to be told what to work on.

    What it cannot do, for whatever reason, is done here: an error is raised as if there had been no fork. So is all of
    it where processes are not forked (anywhere but on Linux).

    Args:
        work: leaves what it makes in files; done a second time, it must do the same. Its arguments can be pickled.
        ready: what it begins with, such as imports.
    """

    def __init__(self, work: Callable[..., object], ready: Callable[[], object] = lambda: None) -> None:
        self._work = work
        self._process: BaseProcess | None = None
        if sys.platform != "linux" or multiprocessing.current_process().daemon:  # such a one may have no processes
            return
        context = multiprocessing.get_context("fork")
        theirs, self._pipe = context.Pipe(duplex=False)
        process = context.Process(target=_serve, args=(work, ready, theirs, self._pipe), daemon=True, name="beside")
        with contextlib.suppress(OSError), signals_held():  # no room for a process
            process.start()
            self._process = process
        theirs.close()

    @contextlib.contextmanager
    def doing(self, *given: Any) -> Iterator[None]:
        """``work(*given)``, while the body of the ``with`` runs; both are done when it ends. For once.

        Where the body fails, the fork is ended.
        """
        with self:
            if self._process is not None:
                with contextlib.suppress(Exception):  # it has gone, or this cannot be sent: done here
                    self._pipe.send(given)
                self._pipe.close()
            yield
            if self._process is not None:
                self._process.join()
            done = self._process is not None and self._process.exitcode == 0
        if not done:
            self._work(*given)

    def __enter__(self) -> Forked:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the fork, whatever it does."""
        if self._process is not None:
            self._pipe.close()
            self._process.terminate()
            self._process.join()


def _serve(work: Callable[..., object], ready: Callable[[], object], pipe: Connection, theirs: Connection) -> None:
    """In the fork: errors are for the process that will meet them again."""
    begin_fork()
    theirs.close()  # else it would wait for itself
    try:
        ready()
        work(*pipe.recv())
    except Exception:  # EOFError: there is nothing to be done after all
        sys.exit(1)
