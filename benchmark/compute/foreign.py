"""Calls of code that is not this project's: what it does to the process is undone, and becomes an ordinary exception.

An encoder of somebody else may end the process, fork it, change its folder or close its output. The run has other
encoders, whose scores must not depend on that.
"""

from __future__ import annotations

import contextlib
import copyreg
import importlib
import mmap
import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

from benchmark.compute.own_process import is_own_process
from benchmark.compute.supervised import CLOSED, LIMITED, end_with_parent, forget_blamed, is_laid_to_encoder
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
    process = 0
    """Process in which that code was called."""
    forks = 0
    """Forks of this process by foreign code in this thread."""


_calls = _Calls()
_escaped = mmap.mmap(-1, 8)
"""Number of forks that returned from foreign code; shared with all forks of this process."""
_NAMES = ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_STACK", "RLIMIT_CPU")
_LIMITS = {name: getattr(resource, name) for name in _NAMES if hasattr(resource, name)}
"""Numbers of limits of a process, by name; none where there is no such thing."""
_environment: dict[str, str] = {}
"""The environment, as it was when foreign code was called last with another number of variables."""
_copies: dict[int, int] = {}
"""Copies of the descriptors of standard output and standard error, of which foreign code may close the originals."""


@contextlib.contextmanager
def foreign_code(*, enters_folder: bool = False) -> Iterator[None]:
    """A context around a call of foreign code, in any thread and any process.

    Ctrl-C and SIGTERM pass through. ``os._exit`` raises, except in a process that the code has started. A fork of this
    process that returns from the code ends at once; one that does not return ends with this process. The working
    folder, closed outputs, lowered limits of the process, removed variables of the environment, removed hooks of
    exceptions, and the functions and settings that the run relies on (``relied_on.py``) are restored.

    Args:
        enters_folder: the code may leave another working folder, as modules do that enter their own to load files.

    Raises:
        ForeignCodeError: the code raised a ``BaseException`` such as ``SystemExit``, called ``os._exit``, forked this
            process and returned twice, or left another working folder, a closed output, a lowered limit or another
            function in the place of one that the run relies on.

    >>> with foreign_code():
    ...     raise GeneratorExit
    Traceback (most recent call last):
    builders.untrusted.text.ForeignCodeError: it harms the run: it raised GeneratorExit
    """
    process = os.getpid()
    before, guard = _running.entered(), _open_guard()
    forget_blamed()
    forks, escaped = _calls.forks, _escaped[0]
    if os._exit is not _exit:
        os._exit = _exit
    for module in (sys, threading):
        if module.__class__ is not _WithHook:
            module.__class__ = _WithHook
    outer, _calls.process = _calls.process, process
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
        _calls.process = outer
        if os.getpid() != process:
            _escaped[0] = (_escaped[0] + 1) % 256
            _real_exit(1)
        try:
            changes = before.restored(enters_folder=enters_folder)
        finally:
            _running.left()
        if not guard.is_open():
            if is_laid_to_encoder():
                _real_exit(CLOSED)
            changes.append("it closed descriptors of the run")
        if _calls.forks != forks and _returns_twice(escaped):
            changes.append("a fork of it went on with the run")
    if error is not None:
        changes.insert(0, _words(error))
    if changes:
        raise ForeignCodeError(f"{HARMS_RUN}: {', '.join(changes)}") from None


class _WithHook(types.ModuleType):
    """``sys`` and ``threading``, whose ``excepthook`` cannot be removed: Python starts no thread without it."""

    def __setattr__(self, name: str, value: object) -> None:
        if name != "excepthook" or value is not None:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name != "excepthook":
            super().__delattr__(name)


def _by_name(module: _WithHook) -> tuple[Callable[..., Any], tuple[str]]:
    """How such a module is pickled, as functions are that use one."""
    return importlib.import_module, (module.__name__,)


copyreg.pickle(_WithHook, _by_name)


_real_exit = os._exit


class _Ended(BaseException):
    """In the place of ``os._exit``."""


def _exit(status: int) -> NoReturn:
    """``os._exit``, but for foreign code in the process that called it."""
    if _calls.depth and os.getpid() == _calls.process:
        raise _Ended(f"os._exit({status})")
    _real_exit(status)


def _words(error: BaseException) -> str:
    if isinstance(error, _Ended):
        return f"it called {error}"
    if isinstance(error, SystemExit):
        return describe_error(error)
    return f"it raised {describe_error(error).removesuffix(': no message')}"


def _returns_twice(escaped: int) -> bool:
    """Whether another fork returns from foreign code soon."""
    end = time.monotonic() + ESCAPE_S
    while _escaped[0] == escaped and time.monotonic() < end:
        time.sleep(0.005)
    return _escaped[0] != escaped


class _Before:
    """The process before foreign code ran in any thread."""

    def __init__(self) -> None:
        self._folder, self._limits = _folder(), _limits()
        self._relied_on = _relied_on()
        self._outputs = [_Output(number) for number in (1, 2)]
        self._variables = len(os.environ)
        if self._variables != len(_environment):
            _environment.clear()
            _environment.update(os.environ)

    def restored(self, *, enters_folder: bool) -> list[str]:
        """What had been changed, in words, and was changed back."""
        if len(os.environ) < self._variables:
            os.environ.update({name: value for name, value in _environment.items() if name not in os.environ})
        changes = [change for change in _restored_folder(self._folder) if not enters_folder]
        changes += [output.name for output in self._outputs if output.restored()]
        changes += self._relied_on.restored() if self._relied_on else ()
        return [*changes, *_restored_limits(self._limits)]


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


def _relied_on() -> ReliedOn | None:
    """What the run relies on; None before torch is imported, when nothing of it has begun, and in a process of the
    encoder's own, where nobody else does."""
    if "torch" not in sys.modules or is_own_process():
        return None
    from benchmark.compute.relied_on import ReliedOn

    return ReliedOn()


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _restored_folder(folder: str | None) -> Iterator[str]:
    if folder is not None and _folder() != folder:
        with contextlib.suppress(OSError):
            os.chdir(folder)
        yield "it left another working folder"


class _Guard(NamedTuple):
    """A descriptor that this module alone has: whoever closes it closes those of others as well."""

    descriptor: int
    identity: tuple[int, int] | None

    def is_open(self) -> bool:
        return self.identity is None or _identity(self.descriptor) == self.identity


_guards: dict[int, _Guard] = {}
"""By process, the descriptor that shows whether descriptors were closed."""


def _open_guard() -> _Guard:
    guard = _guards.get(os.getpid())
    if guard is None or not guard.is_open():
        try:
            descriptor, other = os.pipe()
            os.close(other)
        except OSError:  # there are too many
            return _Guard(-1, None)
        guard = _guards[os.getpid()] = _Guard(descriptor, _identity(descriptor))
    return guard


def _limits() -> dict[str, tuple[int, int]]:
    """Soft and hard limits of this process, by name."""
    return {name: resource.getrlimit(number) for name, number in _LIMITS.items()}


def _restored_limits(before: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Raises limits that were lowered. Where nobody may, the run begins again without the encoder, if it can."""
    for name, (soft, hard) in _limits().items():
        old_soft, old_hard = before[name]
        if _is_lower(soft, old_soft) or _is_lower(hard, old_hard):
            try:
                resource.setrlimit(_LIMITS[name], (old_soft, old_hard))
            except (OSError, ValueError):
                if is_laid_to_encoder():
                    _real_exit(LIMITED)
                resource.setrlimit(_LIMITS[name], (hard if _is_lower(hard, old_soft) else old_soft, hard))
            yield f"it lowered {name}"


def _is_lower(limit: int, other: int) -> bool:
    """Whether one limit of a process is under another; minus one is none."""
    return limit >= 0 and (other < 0 or limit < other)


def _may_be_interrupted() -> bool:
    """Whether a ``KeyboardInterrupt`` may come from Ctrl-C: only in the main thread of the first process.

    Jobs in the background ignore Ctrl-C, and SIGTERM ends them all the same.
    """
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


class _Output:
    """Standard output or standard error, as it is before a call."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._identity = descriptor, _identity(descriptor)
        self._stream = getattr(sys, self._stream_name)
        self._was_closed = bool(getattr(self._stream, "closed", True))
        copy = _copies.get(descriptor)
        if copy is None or _identity(copy) != self._identity:
            with contextlib.suppress(OSError):
                _copies[descriptor] = os.dup(descriptor)
                if copy is not None:
                    os.close(copy)

    @property
    def _stream_name(self) -> str:
        return "stdout" if self._descriptor == 1 else "stderr"

    @property
    def name(self) -> str:
        return f"it closed standard {'output' if self._descriptor == 1 else 'error'}"

    def restored(self) -> bool:
        """Whether it had been closed and was opened again."""
        lost = self._identity is not None and _identity(self._descriptor) != self._identity
        if lost and self._descriptor in _copies:
            os.dup2(_copies[self._descriptor], self._descriptor)
        stream = getattr(sys, self._stream_name, None)
        closed = not self._was_closed and bool(getattr(stream, "closed", stream is None) or self._stream.closed)
        if closed and (stream is self._stream or getattr(stream, "closed", stream is None)):
            setattr(sys, self._stream_name, os.fdopen(self._descriptor, "w", errors="backslashreplace", closefd=False))
        return lost or closed


def _identity(descriptor: int) -> tuple[int, int] | None:
    """What a descriptor refers to; None if it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _forked_in_parent() -> None:
    if _calls.depth:
        _calls.forks += 1


def _forked_in_child() -> None:
    """A fork that foreign code starts ends with its parent (Linux), whatever it does."""
    global _running
    _running = _Running()
    if _calls.depth and sys.platform == "linux":
        with contextlib.suppress(Exception):
            end_with_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_forked_in_parent, after_in_child=_forked_in_child)
