"""Task = a named question: which views it needs, which photos can answer it, and the pure function that scores it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmark.bank.bank import Bank, BankView
from benchmark.options import RunOptions
from benchmark.results.schema import Score
from benchmark.views.views import ViewRecipe
from builders.errors import DataError, unknown_name
from builders.photos import PhotoSet


@dataclass(frozen=True)
class TaskInput:
    """What a task is given: photos, their embeddings, and the options."""

    photos: PhotoSet
    usable: np.ndarray
    """bool [photos]: False where a photo has no embedding."""
    bank: Bank
    options: RunOptions
    device: str
    """Where the bank's arithmetic runs."""
    input_size: tuple[int, int] | None = None
    """Height and width of the encoder's input in pixels; None where it does not see pixels."""

    def indices(self, split: str) -> np.ndarray:
        """int64 indices of the usable photos of a split."""
        found = self.photos.indices(split)
        return found[self.usable[found]]

    def view(self, name: str, indices: np.ndarray) -> BankView:
        """Embeddings of one view of some photos."""
        return self.bank.view(name, indices)


@dataclass(frozen=True)
class TaskOutcome:
    """What a task gives: its scores, and per-photo answers from which any later statistic follows."""

    scores: tuple[Score, ...]
    answers: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Compact arrays by name, kept beside the result."""


@dataclass(frozen=True)
class Task:
    """One question."""

    name: str
    """``family/subject``."""
    summary: str
    """One line for ``list tasks``."""
    metrics: tuple[str, ...]
    recipe: Callable[[PhotoSet, RunOptions], ViewRecipe]
    """The views that it needs; recipes of one kind are merged into one pass."""
    unfit: Callable[[PhotoSet], str]
    """Why these photos cannot answer it, or an empty string."""
    run: Callable[[TaskInput], TaskOutcome]
    of_cameras: bool = False
    """It asks about acquisition, not about processing."""


def select_tasks(patterns: Sequence[str], tasks: Mapping[str, Task]) -> list[Task]:
    """Tasks whose names match one of some shell patterns, in registry order; all of them for no pattern.

    Raises:
        UsageError: a pattern matches nothing.
    """
    for pattern in patterns:
        if not fnmatch.filter(tasks, pattern):
            raise unknown_name("task", pattern, tasks)
    return [t for t in tasks.values() if not patterns or any(fnmatch.fnmatchcase(t.name, p) for p in patterns)]


def fitting_tasks(tasks: Sequence[Task], photos: PhotoSet, *, asked: bool) -> list[Task]:
    """The tasks that photos can answer.

    Args:
        tasks: candidates.
        photos: the photo set.
        asked: the user named the tasks. If not, photos that bring acquisition labels or pairs are asked about these
            alone: processing them in 14 ways as well would cost many times more than what they were made for.

    Raises:
        DataError: there is none.
    """
    fitting = [task for task in tasks if not task.unfit(photos)]
    if not fitting:
        reasons = "; ".join(f"{task.name}: {task.unfit(photos)}" for task in tasks[:3])
        raise DataError(f"{photos.name} cannot answer any of the tasks ({reasons})")
    special = [task for task in fitting if task.of_cameras]
    return special if special and not asked else fitting


def all_tasks() -> dict[str, Task]:
    """Every task by name, in the order of reports."""
    from benchmark.tasks.acquisition import ACQUISITION_TASKS
    from benchmark.tasks.processing import PROCESSING_TASKS
    from benchmark.tasks.retrieval import RETRIEVAL_TASKS

    return {**PROCESSING_TASKS, **ACQUISITION_TASKS, **RETRIEVAL_TASKS}
