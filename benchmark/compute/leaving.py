"""How a process ends that has done its one command: nothing that it imported is taken apart first."""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
from collections.abc import Callable


def alone(run: Callable[[], int]) -> int:
    """The exit status of ``run``, with which this process is about to end.

    What was asked to be called at the end is called. Then Python would clear every module and free every object: 0.15
    of the 3.6 processor seconds of a run that finds everything kept. The process ends instead, its output written.
    Where others had asked before to be called (a measurement of coverage), or ``run`` raises, it ends as ever.
    """
    statuses: list[int] = []
    if getattr(atexit, "_ncallbacks", lambda: 1)() == 0:  # the first to ask is called last
        atexit.register(_end, statuses)
    statuses.append(run())
    return statuses[0]


def _end(statuses: list[int]) -> None:
    if not statuses:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        ctypes.CDLL(None).fflush(None)  # what libraries in C have printed
    except Exception:  # nobody reads it any more, or there is no such library: Python knows what to do
        return
    os._exit(statuses[0])
