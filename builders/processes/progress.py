"""Progress of long work: a bar on a terminal, elsewhere a line at least every 30 seconds."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

from tqdm.auto import tqdm

EVERY_S = 30.0
"""Seconds between two lines."""

_guard = threading.Lock()
_numbers = itertools.count()
_active: weakref.WeakValueDictionary[int, _Counted | _Stage] = weakref.WeakValueDictionary()
"""What this process is at work on, outermost first. A bar that nobody closes leaves with its last reference."""


def progress_bar(iterable: Iterable[Any] | None = None, *, silent: bool = False, **options: Any) -> tqdm[Any]:
    """A bar of ``tqdm`` on a terminal. Elsewhere it only counts, for the lines of ``heartbeat``.

    Args:
        iterable: what is iterated over.
        silent: show and count nothing.
        options: of ``tqdm``: ``total``, ``desc``, ``unit``, ``delay``, ``leave``, ...

    >>> list(progress_bar([1, 2], desc="adding", silent=True))
    [1, 2]
    """
    if silent or _on_terminal():
        return tqdm(iterable, disable=True if silent else None, **options)
    return _Counted(iterable, **{**options, "delay": 0})


def step_bar(iterable: Iterable[Any] | None = None, *, silent: bool = False, **options: Any) -> tqdm[Any]:
    """A bar of a step within a run: it appears if the step takes two seconds, and goes when it ends.

    >>> sum(step_bar([1, 2], desc="adding", unit="number", silent=True))
    3
    """
    return progress_bar(iterable, silent=silent, delay=2, leave=False, **options)


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


FEWEST = 3
"""Items from which a speed is taken."""


class _Nowhere:
    """A stream that drops what is written."""

    def write(self, text: str) -> None: ...

    def flush(self) -> None: ...


if TYPE_CHECKING:
    _Base = tqdm[Any]
else:
    _Base = tqdm


class _Counted(_Base):
    """A bar that is not drawn."""

    number = -1

    def __init__(self, iterable: Iterable[Any] | None = None, **options: Any) -> None:
        quiet = {"file": _Nowhere(), "miniters": sys.maxsize, "mininterval": float("inf"), "maxinterval": 0}
        super().__init__(iterable, **{**options, **quiet, "disable": False, "gui": False})
        self.began = time.monotonic()
        self._first = self._last = (self.began, 0.0)
        _enter(self)

    def __iter__(self) -> Iterator[Any]:
        try:
            for item in self.iterable:
                yield item
                self.update()
        finally:
            self.close()

    def update(self, n: float | None = 1) -> bool | None:
        """Count ``n`` more."""
        self.n += n or 0
        self._last = (time.monotonic(), self.n)
        if not self._first[1]:
            self._first = self._last
        return None

    def display(self, *_: Any, **__: Any) -> None:
        pass

    def refresh(self, *_: Any, **__: Any) -> None:
        pass

    def close(self) -> None:
        _leave(self)
        super().close()

    def line(self) -> str:
        """Stage, share and time left."""
        stage = f"{self.desc.strip().removesuffix(':') or 'working'}{f' ({self.postfix})' if self.postfix else ''}"
        seconds = time.monotonic() - self.began
        if not self.total:
            return f"{stage}: {_count(self.n)} {self.unit}s, {_duration(seconds)}"
        of = f"{_count(self.n)} of {_count(self.total)} {self.unit}s"
        left = self._left_s(self.total)
        time_text = _duration(seconds) if left is None else f"about {_duration(left)} left"
        return f"{stage}: {min(100, 100 * self.n / self.total):.0f} % ({of}), {time_text}"

    def _left_s(self, total: float) -> float | None:
        """Seconds that are left at the speed since the first count, which took what begins with the work too.

        Of very few items, such as one task of eight, no speed is known: the next may take many times as long.
        """
        (began, first), (ended, last) = self._first, self._last
        if last - first < FEWEST:
            began, first = self.began, 0.0
        if last - first < FEWEST:
            return None
        return max(0.0, (ended - began) / (last - first) * (total - self.n) - (time.monotonic() - ended))


class _Stage:
    """A stage of work without a count."""

    number = -1

    def __init__(self, name: str) -> None:
        self.name, self.began = name, time.monotonic()

    def line(self) -> str:
        return f"{self.name}: {_duration(time.monotonic() - self.began)}"


def notice(text: str) -> None:
    """Print on standard error what is being done, but with ``--quiet``; warnings are printed as they are."""
    if sys.stderr is not None and not getattr(sys.stderr, "is_quiet", False):
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """A context in which the lines of ``heartbeat`` name a stage of work, such as ``loading the encoder``."""
    entered = _Stage(name)
    _enter(entered)
    try:
        yield
    finally:
        _leave(entered)


def _enter(work: _Counted | _Stage) -> None:
    with _guard:
        work.number = next(_numbers)
        _active[work.number] = work


def _leave(work: _Counted | _Stage) -> None:
    with _guard:
        _active.pop(work.number, None)


@contextlib.contextmanager
def heartbeat(stream: TextIO | None = None, *, every_s: float = EVERY_S) -> Iterator[None]:
    """A context in which a line says how far the work is, every ``every_s`` seconds, where there is no terminal.

    Args:
        stream: receives the lines; standard error by default. A terminal gets none: it has bars.
        every_s: seconds between two lines.
    """
    stream = sys.stderr if stream is None else stream
    if stream is None or stream.isatty():
        yield
        return
    done, began, owner = threading.Event(), time.monotonic(), os.getpid()

    def beat() -> None:
        while not done.wait(every_s) and os.getpid() == owner:
            with contextlib.suppress(OSError, ValueError):  # the reader has gone
                print(f"camtrace: {status_line(time.monotonic() - began)}", file=stream, flush=True)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def status_line(seconds: float) -> str:
    """How far this process is, as one line.

    Args:
        seconds: since it began.

    >>> status_line(95)
    'working: 1 min 35 s'
    >>> with stage("loading the encoder"):
    ...     status_line(95)
    'loading the encoder: 0 s (1 min 35 s in all)'
    """
    with _guard:
        lines = [work.line() for _, work in sorted(_active.items())]
    return f"{'; '.join(lines)} ({_duration(seconds)} in all)" if lines else f"working: {_duration(seconds)}"


def _duration(seconds: float) -> str:
    """A duration in the two largest units.

    >>> _duration(4.4), _duration(95), _duration(7300)
    ('4 s', '1 min 35 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def _count(number: float) -> str:
    """A count for people.

    >>> _count(12345), _count(3.2e9)
    ('12,345', '3.2 G')
    """
    return f"{number:,.0f}" if number < 1e7 else f"{number / 1e9:,.1f} G" if number >= 1e9 else f"{number / 1e6:,.1f} M"
