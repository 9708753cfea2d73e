"""Calls of code that is not this project's: what it does to the process is undone, and becomes an ordinary exception.

Modules that users name have a process of their own (``own_process.py``). In the process of the run remain networks of
known libraries and objects in memory of the Python API: other encoders' scores must not depend on what these change.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmark.compute.own_process import is_own_process
from benchmark.compute.supervised import end_with_parent
from builders.errors import Terminated
from builders.untrusted import ForeignCodeError, describe_error

if TYPE_CHECKING:
    from benchmark.compute.relied_on import ReliedOn

HARMS_RUN = "it harms the run"
"""Beginning of the message of a ``ForeignCodeError``."""

ESCAPE_S = 0.5
"""Longest wait for a fork of foreign code to return from it; one that does not return does its own work."""


class _Calls(threading.local):
    depth = 0
    """Number of ``foreign_code`` around the running code of this thread."""
    forks = 0
    """Forks of this process by foreign code in this thread."""


_calls = _Calls()
_escaped = mmap.mmap(-1, 8)
"""Number of forks that returned from foreign code; shared with all forks of this process."""
_environment: dict[str, str] = {}
"""The environment, as it was when foreign code was called last with another number of variables."""


@contextlib.contextmanager
def foreign_code(*, enters_folder: bool = False) -> Iterator[None]:
    """A context around a call of foreign code, in any thread and any process.

    Ctrl-C and SIGTERM pass through. A fork of this process that returns from the code ends at once. The working folder,
    removed variables of the environment, and the functions and settings that the run relies on (``relied_on.py``) are
    restored.

    Args:
        enters_folder: the code may leave another working folder, as modules do that enter their own to load files.

    Raises:
        ForeignCodeError: the code raised a ``BaseException`` such as ``SystemExit``, forked this process and returned
            twice, or left another working folder, or another function in the place of one that the run relies on.

    >>> with foreign_code():
    ...     raise GeneratorExit
    Traceback (most recent call last):
    builders.untrusted.text.ForeignCodeError: it harms the run: it raised GeneratorExit
    """
    process, forks, escaped = os.getpid(), _calls.forks, _escaped[0]
    before = _running.entered()
    _calls.depth += 1
    error: BaseException | None = None
    try:
        yield
    except Exception:
        raise
    except BaseException as raised:
        if isinstance(raised, Terminated) or (isinstance(raised, KeyboardInterrupt) and _may_be_interrupted()):
            raise
        error = raised
    finally:
        _calls.depth -= 1
        if os.getpid() != process:
            _escaped[0] = (_escaped[0] + 1) % 256
            os._exit(1)
        try:
            changes = before.restored(enters_folder=enters_folder)
        finally:
            _running.left()
    if _calls.forks != forks and _returns_twice(escaped):
        changes.append("a fork of it went on with the run")
    if error is not None:
        changes.insert(0, _words(error))
    if changes:
        raise ForeignCodeError(f"{HARMS_RUN}: {', '.join(changes)}") from None


def _words(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return describe_error(error)
    return f"it raised {describe_error(error).removesuffix(': no message')}"


def _may_be_interrupted() -> bool:
    """Whether a ``KeyboardInterrupt`` may come from Ctrl-C: only in the main thread of the first process.

    Jobs in the background ignore Ctrl-C, and SIGTERM ends them all the same.
    """
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def _returns_twice(escaped: int) -> bool:
    """Whether another fork returns from foreign code soon."""
    end = time.monotonic() + ESCAPE_S
    while _escaped[0] == escaped and time.monotonic() < end:
        time.sleep(0.005)
    return _escaped[0] != escaped


class _Before:
    """The process before foreign code ran in any thread."""

    def __init__(self) -> None:
        self._folder, self._relied_on = _folder(), _relied_on()
        self._variables = len(os.environ)
        if self._variables != len(_environment):
            _environment.clear()
            _environment.update(os.environ)

    def restored(self, *, enters_folder: bool) -> list[str]:
        """What had been changed, in words, and was changed back."""
        if len(os.environ) < self._variables:
            os.environ.update({name: value for name, value in _environment.items() if name not in os.environ})
        changes = []
        if self._folder is not None and _folder() != self._folder:
            with contextlib.suppress(OSError):
                os.chdir(self._folder)
            changes += [] if enters_folder else ["it left another working folder"]
        return [*changes, *(self._relied_on.restored() if self._relied_on else ())]


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _relied_on() -> ReliedOn | None:
    """What the run relies on; None before torch is imported, when nothing of it has begun, and in a process of the
    encoder's own, where nobody else does."""
    if "torch" not in sys.modules or is_own_process():
        return None
    from benchmark.compute.relied_on import ReliedOn

    return ReliedOn()


class _Running:
    """The foreign code that runs in this process: a call that begins while others run would take what they changed for
    the state of the process."""

    def __init__(self) -> None:
        self._lock, self._count = threading.Lock(), 0
        self._before: _Before | None = None

    def entered(self) -> _Before:
        """The process before the first of the calls that run now."""
        with self._lock:
            if self._before is None:
                self._before = _Before()
            self._count += 1
            return self._before

    def left(self) -> None:
        """A call has ended, and its changes are undone."""
        with self._lock:
            self._count -= 1
            if not self._count:
                self._before = None


_running = _Running()


def _forked_in_parent() -> None:
    if _calls.depth:
        _calls.forks += 1


def _forked_in_child() -> None:
    """A fork that foreign code starts ends with its parent (Linux), whatever it does."""
    global _running
    _running = _Running()
    if _calls.depth and sys.platform == "linux":
        end_with_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_forked_in_parent, after_in_child=_forked_in_child)
