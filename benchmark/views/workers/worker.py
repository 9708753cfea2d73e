"""What a process does that makes views: photos by their positions, into a ring's slots."""

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
"""Seconds between two looks that count at most."""


class Watch:
    """Whether anything goes on: replies, or, where the system tells, what the workers do.

    Only time in which this process looks counts: it may itself have been stopped (Ctrl-Z, a scheduler), or the machine.
    """

    def __init__(self, processes: Sequence[int]) -> None:
        self._processes = processes
        self._idle_s, self._looked = 0.0, time.monotonic()
        self._did = [_done_by(process) for process in processes]

    def seen(self) -> None:
        """Something went on."""
        self._idle_s = 0.0

    def stalled(self, patience_s: float) -> bool:
        """Whether nothing has gone on for so many seconds."""
        now = time.monotonic()
        since, self._looked = min(now - self._looked, LONGEST_LOOK_S), now
        did = [_done_by(process) for process in self._processes]
        if did != self._did or any(map(_waits_for_a_core, self._processes)):
            self._did = did
            self.seen()
        else:
            self._idle_s += since
        return self._idle_s > patience_s


def _done_by(process: int) -> tuple[bytes, ...]:
    """Processor time of a process in ticks, its counts of reads and writes; empty where the system does not tell."""
    return (*_stat(process)[11:13], _proc(process, "io"))


def _waits_for_a_core(process: int) -> bool:
    """Whether it would go on if it were let: a loaded machine may leave it waiting for long."""
    return _stat(process)[:1] == [b"R"]


def _stat(process: int) -> list[bytes]:
    """Fields from its state on."""
    return _proc(process, "stat").rpartition(b")")[2].split()


def _proc(process: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{process}/{name}").read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True)
class Task:
    """One photo to make."""

    position: int
    slot: int | None
    """None sends everything through the pipe."""
    place: int
    """Within the slot."""


@dataclass(frozen=True)
class Reply:
    """What became of one photo: ``made`` without what stands in the slot."""

    task: Task
    made: PhotoViews
    sent: tuple[np.ndarray | None, ...]
    """Per preprocessing, its views where they do not stand in the slot."""
    pixels: np.ndarray | tuple[int, ...] | None
    """Of a decoded photo: itself, or its shape where it stands in the slot."""


Make = Callable[[int], PhotoViews]
"""Position -> the views of that photo; picklable."""


def work(make: Make, ring: Ring, pipe: Connection, inherited: Sequence[Connection]) -> None:
    """A worker's life: it ends when its pipe does."""
    setup_child()
    for other in inherited:
        other.close()  # else a parent that is killed would leave them open
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, OSError):
        while True:
            task: Task = pipe.recv()
            pipe.send(_placed(task, make(task.position), ring))


def _placed(task: Task, made: PhotoViews, ring: Ring) -> Reply:
    """Views and pixels into the slot; what does not fit is sent."""
    slot = None if task.slot is None else ring.memory(task.slot)
    sent: list[np.ndarray | None] = []
    for which, array in enumerate(made.arrays):
        views = array.numpy()
        row = ring.plan.rows[which] if which < len(ring.plan.rows) else None
        if slot is not None and row is not None and (views.shape, views.dtype) == (row.shape, row.dtype):
            ring.plan.views(slot, which)[task.place] = views
            sent.append(None)
        else:
            sent.append(views)
    pixels: np.ndarray | tuple[int, ...] | None = None
    if made.decoded is not None:
        pixels = made.decoded.numpy()
        room = None if slot is None else ring.plan.pixels(slot, task.place, pixels.shape)
        if room is not None:
            room[...] = pixels
            pixels = tuple(pixels.shape)
    return Reply(task, replace(made, arrays=(), decoded=None), tuple(sent), pixels)
