"""What a process that loads an encoder does now, for the process that waits for it: its limits of time differ."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_listeners: list[Callable[[str], object]] = []


@contextlib.contextmanager
def announcing(listener: Callable[[str], object]) -> Iterator[None]:
    """A context in which a listener is called with each phase that begins: ``load`` or ``forward``."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextlib.contextmanager
def first_forward() -> Iterator[None]:
    """A context around the first forward pass of an encoder.

    >>> phases = []
    >>> with announcing(phases.append), first_forward():
    ...     phases.append("embedding")
    >>> phases
    ['forward', 'embedding', 'load']
    """
    for listener in _listeners:
        listener("forward")
    yield
    for listener in _listeners:
        listener("load")
