"""Python's parser in threads: on some versions two threads that parse at once may fail, whoever calls it."""

from __future__ import annotations

import ast
import functools
import os
import sys
import threading
from typing import Any

FAILS_IN_THREADS = sys.version_info < (3, 11, 8) or (3, 12) <= sys.version_info < (3, 12, 2)
"""Whether ``ast.parse`` in two threads may raise ``SystemError: AST constructor recursion depth mismatch``
(CPython gh-106905)."""


@functools.cache
def parse_in_turn() -> None:
    """Let one thread at a time call ``ast.parse`` from here on, on Pythons that need it; it stays so.

    Our packages do not parse in threads. Libraries do, each for its own reason: NumPy for headers of an unusual form,
    lazy imports for stubs, numba while it compiles, ``inspect`` for signatures of builtin functions, ``traceback`` for
    the marks below a line.
    """
    if not FAILS_IN_THREADS:
        return
    turn, parse = threading.RLock(), ast.parse

    @functools.wraps(parse)
    def one_at_a_time(*args: Any, **kwargs: Any) -> Any:
        with turn:
            return parse(*args, **kwargs)

    ast.parse = one_at_a_time
    if hasattr(os, "register_at_fork"):  # or a process that is forked while another thread parses waits for ever
        os.register_at_fork(before=turn.acquire, after_in_parent=turn.release, after_in_child=turn.release)
