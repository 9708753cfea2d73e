"""Work that two cores share where one thread cannot: a fork of the process does it while the process goes on."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess


@contextlib.contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do ``work`` in a fork of this process while the body of the ``with`` runs; both are done when it ends.

    What the fork cannot do, for whatever reason, is done here after the body: an error is raised as if there had been
    no fork. So is all of it where processes are not forked (anywhere but on Linux). Where the body fails, the fork is
    ended.

    Args:
        work: leaves what it makes in files; done a second time, it must do the same.
    """
    process = _forked(work)
    try:
        yield
        if process is not None:
            process.join()
    finally:
        if process is not None and process.is_alive():
            process.terminate()
            process.join()
    if process is None or process.exitcode:
        work()


def _forked(work: Callable[[], object]) -> BaseProcess | None:
    if sys.platform != "linux" or multiprocessing.current_process().daemon:  # such a one may have no processes
        return None
    process = multiprocessing.get_context("fork").Process(target=_quietly, args=(work,), daemon=True)
    with contextlib.suppress(OSError):  # no room for a process
        process.start()
        return process
    return None


def _quietly(work: Callable[[], object]) -> None:
    """In the fork: errors are for the process that will meet them again, signals for its parent."""
    gc.freeze()  # what the parent left to be collected is the parent's to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the whole group gets it
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        work()
    except Exception:
        sys.exit(1)
