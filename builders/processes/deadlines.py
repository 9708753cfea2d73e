"""A deadline for work that cannot be interrupted: the caller goes on, a thread is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from builders.processes.memory import in_this_context

_Result = TypeVar("_Result")


class DeadlineExceeded(Exception):
    """Work did not end before its deadline."""


def run_with_deadline(
    seconds: float, work: Callable[[], _Result], *, late: Callable[[_Result], object] | None = None
) -> _Result:
    """Return what ``work`` returns, or raise what it raises, if it ends in time; else leave it to its thread.

    Args:
        seconds: the deadline, from now.
        work: called in a daemon thread.
        late: called with what ``work`` returns after the deadline, to release it.

    Raises:
        DeadlineExceeded: ``work`` did not end in time.

    >>> run_with_deadline(5.0, lambda: 2 + 2)
    4
    """
    outcomes: list[Any] = []
    given_up = threading.Event()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            outcomes.append((None, error))
            return
        outcomes.append((result, None))
        if given_up.is_set() and late is not None:
            late(result)

    thread = threading.Thread(target=in_this_context(run), daemon=True, name="within a deadline")
    thread.start()
    end = time.monotonic() + seconds
    while thread.is_alive() and (left := end - time.monotonic()) > 0:
        thread.join(min(left, 1.0))  # in pieces, so that a signal is handled
    if not outcomes:
        given_up.set()
        raise DeadlineExceeded
    result, error = outcomes[0]
    if error is not None:
        raise error
    return result
