"""What tasks take, measured on some of the photos and scaled to all, on embeddings of the bank or on made-up ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import numpy as np

from benchmark.answers import every_view
from benchmark.bank import Bank, BankView
from benchmark.compute import parallel_map
from benchmark.options import RunOptions
from benchmark.scoring.answers.times import MadeUpAnswers
from benchmark.scoring.estimating.clocks import Stopwatch, duration, on_line
from benchmark.scoring.store_paths import size
from benchmark.scoring.tasks_run import run_side_by_side
from benchmark.tasks import Cost, Seconds, Shared, Task, TaskInput
from builders.photos import PhotoSet
from builders.processes import step_bar
from builders.untrusted import error_text

SMALL, LARGE = 750, 3_000
"""Photos of the two runs whose difference gives the slope."""

ALL = 5_000
"""Photos up to which all are measured. A probe's steps do not grow evenly: 1,500 photos may take longer than 4,000."""

VIEW_SHIFT = 0.3
"""Distance of views of a photo in made-up embeddings; photos are about 1.4 apart."""


@dataclass(frozen=True)
class MadeUpBank:
    """Made-up embeddings of photos in any view: a direction of the photo plus one of the view."""

    photos: int
    dim: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every view by name, since each can be made up."""
        return every_view()

    @functools.cached_property
    def directions(self) -> np.ndarray:
        """float32 [photos, dim]."""
        return np.random.default_rng(0).normal(size=(self.photos, self.dim)).astype(np.float32)

    def view(self, name: str, rows: np.ndarray) -> np.ndarray:
        """float32 [photos, dim]."""
        shift = np.random.default_rng([*name.encode()]).normal(size=self.dim).astype(np.float32)
        return self.directions[rows] / np.sqrt(self.dim, dtype=np.float32) + VIEW_SHIFT * shift / np.sqrt(self.dim)


@dataclass(frozen=True)
class PartOfBank:
    """The embeddings of some photos of a bank, by their own indices."""

    bank: Bank
    indices: np.ndarray
    """int64 [photos], in the bank."""

    @property
    def dim(self) -> int:
        """Dimension of the embeddings."""
        return self.bank.dim

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its views."""
        return self.bank.names

    def view(self, name: str, rows: np.ndarray) -> BankView:
        """[photos, dim]."""
        return self.bank.view(name, self.indices[rows])


def task_times(
    tasks: Sequence[Task],
    photos: PhotoSet,
    dim: int,
    options: RunOptions,
    device: str,
    *,
    brief: bool = False,
    banks: Mapping[str, Bank] = MappingProxyType({}),
) -> dict[str, Cost]:
    """Cost by task.

    Args:
        tasks: that the photos can answer.
        photos: all photos of the set.
        dim: dimension of the embeddings.
        options: of the run.
        device: of the computation.
        brief: values and intervals alone, as of outputs besides the embedding.
        banks: embeddings of these photos, complete, by task; made-up ones serve the others.
    """
    sizes = [SMALL, LARGE] if len(photos) > ALL else [len(photos)]
    sets = [photos.limited(some, options.seed) for some in sizes]
    inputs_of = _Inputs(photos, dim, options, device, brief)
    clocked = functools.partial(_clocked, side_by_side=run_side_by_side(photos, _VIEWS, dim, device))
    warm = sets[0].limited(SMALL, options.seed)
    shared = [Shared() for _ in (warm, *sets)]
    times: dict[str, Cost] = {}
    for task in step_bar(tasks, desc="measuring tasks", unit="task"):
        bank = banks.get(task.name)
        try:
            if task.cost is not None:
                of_part = functools.partial(_clocked_part, clocked, task, inputs_of, bank)
                times[task.name] = task.cost(inputs_of(photos, Shared(), bank), dim, of_part)
                continue
            first, *inputs = [inputs_of(*each, bank) for each in zip((warm, *sets), shared, strict=True)]
            clocked(task, first)  # it compiles and loads
            measured = [(_amount(task, some.photos, options), clocked(task, some)) for some in inputs]
        except Exception as error:  # a line of the estimate in place of a time
            times[task.name] = Cost(None, f"not measured ({error_text(error)})")
            continue
        seconds = on_line(measured, _amount(task, photos, options))
        times[task.name] = Cost(seconds.wall, processor_s=seconds.processor)
    return times


_VIEWS = 14
"""Views of a bank, for the decision whether tasks run side by side."""


def cost_text(name: str, cost: Cost) -> str:
    """What the estimated seconds of a task are of, in one line.

    >>> cost_text("retrieval/pairs", Cost(9000.0, "91 groups", 10_800.0, 900_000_000))
    'retrieval/pairs: 91 groups; 3.0 h of one core, 900.0 MB of memory besides the embeddings'
    """
    if cost.seconds is None:
        return f"{name}: {cost.text}"
    held = f"{size(cost.memory_bytes)} of memory besides the embeddings"
    return f"{name}: {cost.text}; {duration(cost.processor_s)} of one core, {held}"


def by_family(times: Mapping[str, Cost], tasks: Sequence[Task]) -> dict[str, Seconds]:
    """Seconds by title of the family, of the tasks that could be measured."""
    total: dict[str, Seconds] = {}
    for task in tasks:
        cost = times.get(task.name)
        if cost is not None and cost.seconds is not None:
            wall, processor = total.get(task.family.title, (0.0, 0.0))
            total[task.family.title] = Seconds(wall + cost.seconds, processor + cost.processor_s)
    return total


def _amount(task: Task, photos: PhotoSet, options: RunOptions) -> float:
    """The amount of work, in whatever the task's time grows with."""
    if task.growth == "photos":
        return len(photos)
    train, val = len(photos.indices("train")), len(photos.indices("val"))
    queries = min(val, options.queries or val)
    return float(train * queries) if task.family.about == "processing" else float(len(photos) ** 2)


def _clocked(task: Task, task_input: TaskInput, *, side_by_side: bool) -> Seconds:
    """How long a task takes on embeddings that are made before; with one thread, if it has one in the run."""
    _ = getattr(task_input.bank, "directions", None)
    stopwatch = Stopwatch()
    pieces: list[Callable[[], object]] = [functools.partial(task.run, task_input), *([int] if side_by_side else [])]
    parallel_map(_call, pieces)
    return stopwatch.seconds()


def _call(piece: Callable[[], object]) -> object:
    return piece()


def _clocked_part(
    clocked: Callable[[Task, TaskInput], Seconds], task: Task, inputs: _Inputs, bank: Bank | None, some: PhotoSet
) -> Seconds:
    return clocked(task, inputs(some, Shared(), bank))


@dataclass(frozen=True)
class _Inputs:
    """Inputs of tasks on some of the photos."""

    photos: PhotoSet
    dim: int
    options: RunOptions
    device: str
    brief: bool

    @functools.cached_property
    def places(self) -> dict[str, int]:
        """Index of each photo by its id."""
        return {photo_id: index for index, photo_id in enumerate(self.photos.ids)}

    def __call__(self, some: PhotoSet, shared: Shared, bank: Bank | None) -> TaskInput:
        """Of the embeddings in the bank; made up if it is None."""
        usable = np.ones(len(some), dtype=bool)
        part: Any = MadeUpBank(len(some), self.dim)
        if bank is not None:
            failed = bank.failures()
            usable = np.array([photo_id not in failed for photo_id in some.ids])
            part = PartOfBank(bank, np.array([self.places[photo_id] for photo_id in some.ids], np.int64))
        part = cast("Bank", part)
        made_up, options = MadeUpAnswers(), self.options
        return TaskInput(some, usable, part, options, self.device, shared=shared, brief=self.brief, answers=made_up)
