"""How long tasks will take on these photos: run on made-up embeddings of few of them, and scaled by how each grows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from tqdm.auto import tqdm

from benchmark.options import RunOptions
from benchmark.tasks import Task, TaskInput
from builders.photos import PhotoSet

if TYPE_CHECKING:
    from benchmark.bank import Bank

SMALL, LARGE = 750, 3_000
"""Photos of the two runs whose difference gives the slope; what both have in common is said once, not scaled."""

VIEW_SHIFT = 0.3
"""How far views of a photo lie apart in made-up embeddings, where photos lie about 1.4 apart."""


@dataclass(frozen=True)
class MadeUpBank:
    """Embeddings of some photos in any view that is asked for: the photo's own direction, and the view's."""

    photos: int
    dim: int

    def view(self, name: str, rows: np.ndarray) -> np.ndarray:
        """float32 [photos, dim]."""
        own = np.random.default_rng(0).normal(size=(self.photos, self.dim)).astype(np.float32)
        shift = np.random.default_rng([*name.encode()]).normal(size=self.dim).astype(np.float32)
        return own[rows] / np.sqrt(self.dim, dtype=np.float32) + VIEW_SHIFT * shift / np.sqrt(self.dim)


def task_times(
    tasks: Sequence[Task], photos: PhotoSet, dim: int, options: RunOptions, device: str, *, brief: bool = False
) -> dict[str, float | None]:
    """Seconds by task; None for one that fails on few photos.

    Args:
        tasks: that the photos can answer.
        photos: all of them.
        dim: of the embeddings.
        options: of the run.
        device: where the arithmetic runs.
        brief: values and intervals alone, as of outputs beside an embedding.
    """
    sizes = [size for size in (SMALL, LARGE) if size < len(photos)] or [len(photos)]
    sets = [photos.limited(size, options.seed) for size in sizes]
    found: dict[str, float | None] = {}
    for task in tqdm(tasks, desc="measuring tasks", unit="task", delay=2, leave=False, disable=None):
        try:
            _seconds(task, sets[0], dim, options, device, brief)  # what is compiled or loaded once is not counted
            measured = [
                (_amount(task, some, options), _seconds(task, some, dim, options, device, brief)) for some in sets
            ]
        except Exception:  # a row of the estimate without its time, as it may be one of the run
            found[task.name] = None
            continue
        found[task.name] = extrapolated(measured, _amount(task, photos, options))
    return found


def extrapolated(measured: Sequence[tuple[float, float]], amount: float) -> float:
    """Seconds for an amount of work, on the line through the (amount, seconds) that were measured; never falling.

    >>> extrapolated([(1, 2.0), (3, 3.0)], 11)
    7.0
    >>> extrapolated([(2, 3.0)], 4), extrapolated([(1, 3.0), (2, 2.0)], 4)
    (6.0, 4.0)
    """
    last, seconds = measured[-1]
    if len(measured) == 1 or seconds <= measured[0][1]:
        return seconds * amount / last
    slope = (seconds - measured[0][1]) / (last - measured[0][0])
    return seconds + slope * (amount - last)


def by_family(times: Mapping[str, float | None], tasks: Sequence[Task]) -> dict[str, float]:
    """Seconds by title of a family, of the tasks that could be measured."""
    total: dict[str, float] = {}
    for task in tasks:
        seconds = times.get(task.name)
        if seconds is not None:
            total[task.family.title] = total.get(task.family.title, 0.0) + seconds
    return total


def _amount(task: Task, photos: PhotoSet, options: RunOptions) -> float:
    """What the task's time grows with."""
    if task.growth == "photos":
        return len(photos)
    train, val = len(photos.indices("train")), len(photos.indices("val"))
    queries = min(val, options.queries or val)
    return float(train * queries) if task.family.about == "processing" else float(len(photos) ** 2)


def _seconds(task: Task, photos: PhotoSet, dim: int, options: RunOptions, device: str, brief: bool) -> float:
    bank: Any = MadeUpBank(len(photos), dim)
    given = TaskInput(photos, np.ones(len(photos), dtype=bool), cast("Bank", bank), options, device, brief=brief)
    started = time.perf_counter()
    task.run(given)
    return time.perf_counter() - started
