"""Forking a process without losing the signal that ends the run, and how a fork begins."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

LOOK_S = 0.5
"""Seconds between two looks."""


def exit_with_parent(parent: int, said: str = "") -> None:
    """End this process, by a thread, soon after its parent is gone.

    Args:
        parent: its process id. Asked for by whoever starts this process: the parent may be gone before this is called.
        said: a sentence for standard error.
    """
    threading.Thread(target=_wait_for_end, args=(parent, said), daemon=True).start()


def _wait_for_end(parent: int, said: str) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    if said:
        print(said, file=sys.stderr, flush=True)
    os._exit(1)


ENDING = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a scheduler sends."""

_came: list[int] = []
"""Those that the latest ``deferred_signals`` has held; a fork goes on with its own copy."""


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Signals that end the run wait until the body is through; what they do is then done, once each.

    Python calls a handler at the first line that it runs after a signal. If that is a line of what modules have asked
    to be called when a process is forked (``os.register_at_fork``, such as the release of logging's lock), an exception
    of the handler is printed and forgotten: of signals during three forks of a process of 600 MB most were lost. A fork
    has these handlers until ``setup_child`` sets its own. Nothing is held outside the main thread, where Python calls
    no handlers.

    >>> try:
    ...     with deferred_signals():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("still here")
    ... except KeyboardInterrupt:
    ...     print("interrupted")
    still here
    interrupted
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    global _came
    came: list[int] = []
    earlier, _came = _came, came
    before = {number: signal.getsignal(number) for number in ENDING}
    held = {number: handler for number, handler in before.items() if handler is not None}  # None: not set by Python
    for number in held:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        _came = earlier
        for each in dict.fromkeys(came):
            signal.raise_signal(each)


def setup_child() -> None:
    """What a fork that works for its parent does first.

    What the parent left to be collected is the parent's to end: it may wait for threads that only the parent has; and
    to look through what is inherited would copy its pages. Ctrl-C reaches the whole group, and the parent ends its
    forks, by SIGTERM.
    """
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if signal.SIGTERM in _came:  # before this line
        signal.raise_signal(signal.SIGTERM)
