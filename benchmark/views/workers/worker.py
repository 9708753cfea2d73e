"""The worker process, which makes the views of photos and writes them into the slots of a ring; and its watch."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from benchmark.views.recipe import PhotoViews
from benchmark.views.workers.ring import Ring
from builders.processes import setup_child

LONGEST_LOOK_S = 2.0
"""Most seconds between two checks that count as idle time."""


class Watch:
    """Detects that workers have stopped: no replies and, where the system reports it, no computing and no reading.

    Only time in which this process checks counts: the process itself (Ctrl-Z, a scheduler) or the machine may have been
    stopped.
    """

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes = processes
        self._idle_s, self._checked = 0.0, time.monotonic()
        self._activity = [_activity(process) for process in processes]

    def reset(self) -> None:
        """Start the idle time again, after a sign of life."""
        self._idle_s = 0.0

    def stalled(self, patience_s: float) -> bool:
        """Whether no worker has done anything for ``patience_s`` seconds."""
        now = time.monotonic()
        since, self._checked = min(now - self._checked, LONGEST_LOOK_S), now
        activity = [_activity(process) for process in self._processes]
        if activity != self._activity or any(map(_waits_for_a_core, self._processes)):
            self._activity = activity
            self.reset()
        else:
            self._idle_s += since
        return self._idle_s > patience_s


def _activity(process: int) -> tuple[bytes, ...]:
    """Processor time of a process in ticks and its counts of reads and writes; empty where the system has none."""
    return (*_stat(process)[11:13], _proc(process, "io"))


def _waits_for_a_core(process: int) -> bool:
    """Whether a process is runnable: on a loaded machine it may have to wait for a core for long."""
    return _stat(process)[:1] == [b"R"]


def _stat(process: int) -> list[bytes]:
    """Fields of ``/proc/PID/stat`` from the state on."""
    return _proc(process, "stat").rpartition(b")")[2].split()


def _proc(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True)
class Task:
    """A photo whose views are to be made."""

    position: int
    slot: int | None
    """Number of the slot for its views; None sends them through the pipe."""
    place: int
    """Index of the photo within the slot."""


@dataclass(frozen=True)
class Reply:
    """The result of a task."""

    task: Task
    made: PhotoViews
    """The photo without its arrays."""
    sent: tuple[np.ndarray | None, ...]
    """Per preprocessing, the views; None if they are in the slot."""
    pixels: np.ndarray | tuple[int, ...] | None
    """Pixels of a decoded photo, or their shape if they are in the slot."""


Make = Callable[[int], PhotoViews]
"""Position -> views of that photo; picklable."""


def work(make: Make, ring: Ring, pipe: Connection, inherited: Sequence[Connection]) -> None:
    """Run a worker process: answer tasks until the pipe is closed.

    Args:
        make: makes the views of a photo.
        ring: slots for views.
        pipe: receives tasks and sends replies.
        inherited: ends of other pipes that a forked process has to close.
    """
    setup_child()
    for other in inherited:
        other.close()  # otherwise they would stay open if the parent is killed
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, OSError):
        while True:
            task: Task = pipe.recv()
            pipe.send(_reply(task, make(task.position), ring))


def _reply(task: Task, made: PhotoViews, ring: Ring) -> Reply:
    """Write views and pixels into the slot; arrays that do not have the planned shape are sent."""
    slot = None if task.slot is None else ring.memory(task.slot)
    sent: list[np.ndarray | None] = []
    for which, array in enumerate(made.arrays):
        views = array.numpy()
        row = ring.plan.rows[which]
        if slot is not None and (views.shape, views.dtype) == (row.shape, row.dtype):
            ring.plan.views(slot, which)[task.place] = views
            sent.append(None)
        else:
            sent.append(views)
    pixels: np.ndarray | tuple[int, ...] | None = None
    if made.decoded is not None:
        pixels = made.decoded.numpy()
        area = None if slot is None else ring.plan.pixels(slot, task.place, pixels.shape)
        if area is not None:
            area[...] = pixels
            pixels = tuple(pixels.shape)
    return Reply(task, replace(made, arrays=(), decoded=None), tuple(sent), pixels)
