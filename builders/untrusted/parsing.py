"""Lets one thread at a time into ``ast.parse``, for the whole process, on Pythons whose parser fails in two at once."""

from __future__ import annotations

import ast
import functools
import os
import sys
import threading
from typing import Any

FAILS_IN_THREADS = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)
"""Whether this Python has CPython issue gh-106905, fixed in 3.11.8 and 3.12.2: ``ast.parse`` in two threads may raise
``SystemError: AST constructor recursion depth mismatch``, because both change one counter of the interpreter."""


@functools.cache
def parse_in_turn() -> None:
    """Replace ``ast.parse`` by a function with a lock, for the rest of the process, on Pythons that need it.

    The function of the standard library itself is replaced because the calls are not in this project. Libraries parse
    in threads, each for its own reason: NumPy for headers of an unusual form, lazy imports for stubs, numba while it
    compiles, ``inspect`` for signatures of builtin functions, ``traceback`` for the marks below a line. On other
    Pythons nothing is changed. A second call does nothing.
    """
    if not FAILS_IN_THREADS:
        return
    lock, parse = threading.RLock(), ast.parse

    @functools.wraps(parse)
    def parse_with_lock(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return parse(*args, **kwargs)

    ast.parse = parse_with_lock
    if hasattr(os, "register_at_fork"):  # a process forked while another thread parses would wait for the lock for ever
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
