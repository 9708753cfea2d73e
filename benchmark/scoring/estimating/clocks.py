"""Clock and processor seconds of parts of an estimate. The processor's do not grow with what else a machine does."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence

from benchmark.tasks import Seconds
from builders.kernels import compiling_s

NOTHING = Seconds(0.0, 0.0)


class Stopwatch:
    """Time from now on, of all threads of this process, without kernels that were compiled once for this machine."""

    def __init__(self) -> None:
        self._wall, self._processor, self._compiled = time.perf_counter(), time.process_time(), compiling_s()

    def seconds(self) -> Seconds:
        """Since it was made."""
        wall, processor = time.perf_counter() - self._wall, time.process_time() - self._processor
        compiled = compiling_s() - self._compiled
        return Seconds(max(0.0, wall - compiled), max(0.0, processor - compiled))


def so_far() -> Seconds:
    """What this process has taken since it was started: imports, the command line, opening photo sets."""
    children = os.times()
    processor = max(0.0, time.process_time() + children.children_user + children.children_system - compiling_s())
    return Seconds(processor, processor)


def summed(parts: Iterable[Seconds]) -> Seconds:
    """The sum.

    >>> summed([Seconds(1.0, 2.0), Seconds(3.0, 4.0)])
    Seconds(wall=4.0, processor=6.0)
    """
    listed = list(parts)
    return Seconds(sum(part.wall for part in listed), sum(part.processor for part in listed))


def on_line(measured: Sequence[tuple[float, Seconds]], amount: float) -> Seconds:
    """Seconds for an amount of work, on the line through the last two of the (amount, seconds) that were measured.

    >>> on_line([(1, Seconds(2.0, 1.0)), (3, Seconds(3.0, 3.0))], 11)
    Seconds(wall=7.0, processor=11.0)
    """
    walls = [(size, seconds.wall) for size, seconds in measured]
    processors = [(size, seconds.processor) for size, seconds in measured]
    return Seconds(extrapolated(walls, amount), extrapolated(processors, amount))


def extrapolated(measured: Sequence[tuple[float, float]], amount: float) -> float:
    """Seconds for an amount of work, on the line through the last two (amount, seconds) measured; never falling.

    >>> extrapolated([(1, 2.0), (3, 3.0)], 11)
    7.0
    >>> extrapolated([(2, 3.0)], 4), extrapolated([(1, 3.0), (2, 2.0)], 4)
    (6.0, 4.0)
    """
    last, seconds = measured[-1]
    if len(measured) == 1 or seconds <= measured[-2][1]:
        return seconds * amount / last
    before, less = measured[-2]
    return seconds + (seconds - less) / (last - before) * (amount - last)


def duration(seconds: float) -> str:
    """Seconds as text, in seconds, minutes or hours.

    >>> duration(4.2), duration(42), duration(600), duration(9000)
    ('4.2 s', '42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
