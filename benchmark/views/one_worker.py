"""What a process does that makes views: photos by their positions, into a ring's slots."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import numpy as np
import torch

from benchmark.views.ring import Ring
from benchmark.views.views import PhotoViews
from builders.ranks import begin_fork


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
    begin_fork()
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
