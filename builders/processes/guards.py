"""Guards of child processes: no lost signals while forking, setup of a child, and its end with its parent."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

POLL_S = 0.5
"""Seconds between two checks for the parent."""

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and the signal of schedulers."""

_received: list[int] = []
"""Signals that the current ``deferred_signals`` has deferred; a fork goes on with its copy."""


def exit_with_parent(parent: int, message: str = "") -> None:
    """Start a thread that ends this process soon after its parent has ended.

    Args:
        parent: process id, as the parent passes it on: the parent may have ended before this is called.
        message: a sentence for standard error.
    """
    threading.Thread(target=_wait_for_end, args=(parent, message), daemon=True).start()


def _wait_for_end(parent: int, message: str) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    if message:
        print(message, file=sys.stderr, flush=True)
    os._exit(1)


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer ``END_SIGNALS`` until the body has ended; then the handler of each that came is called once.

    Python calls a handler before the next line that it runs. If that line belongs to a function registered with
    ``os.register_at_fork`` (such as the release of logging's lock), an exception of the handler is printed and lost:
    most signals during three forks of a process of 600 MB were. A fork has the deferring handlers until
    ``setup_child``. Outside the main thread nothing is deferred: Python calls no handlers there.

    >>> before = signal.signal(signal.SIGINT, lambda number, _: print("interrupted"))
    >>> with deferred_signals():
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("still here")
    still here
    interrupted
    >>> _ = signal.signal(signal.SIGINT, before)
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _received
    received: list[int] = []
    outer, _received = _received, received
    before = {number: signal.getsignal(number) for number in END_SIGNALS}
    handlers = {number: handler for number, handler in before.items() if handler is not None}  # None: not set by Python
    for number in handlers:
        signal.signal(number, lambda number, _: received.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        _received = outer
        for deferred in dict.fromkeys(received):
            signal.raise_signal(deferred)


def flush_outputs() -> None:
    """Write what is printed so far, before a fork or the end of a process.

    Outputs that code of others has closed, or set to None, are left alone.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def setup_child() -> None:
    """Prepare a process that works for its parent; called first in it.

    Inherited garbage is not collected here: its finalizers may wait for threads that only the parent has, and a
    collection would copy the pages of inherited objects. Ctrl-C is ignored: it reaches the whole group, and the parent
    ends its children by SIGTERM. Python's own hooks of exceptions are set, without which no thread starts.
    """
    gc.freeze()
    sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.SIGTERM in _received:  # before this line
        signal.raise_signal(signal.SIGTERM)
