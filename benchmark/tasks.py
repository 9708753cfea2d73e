"""Task = a named question: which views it needs, which photos can answer it, and the pure function that scores it."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmark.bank import Bank, BankView
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.views import ViewRecipe
from builders.errors import unknown_name
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
    recipe: Callable[[RunOptions], ViewRecipe]
    """The views that it needs; recipes of one kind are merged into one pass."""
    unfit: Callable[[PhotoSet], str]
    """Why these photos cannot answer it, or an empty string."""
    run: Callable[[TaskInput], TaskOutcome]


def select_tasks(patterns: Sequence[str], tasks: Mapping[str, Task]) -> list[Task]:
    """Tasks whose names match one of some shell patterns, in registry order; all of them for no pattern.

    Raises:
        UsageError: a pattern matches nothing.
    """
    for pattern in patterns:
        if not fnmatch.filter(tasks, pattern):
            raise unknown_name("task", pattern, tasks)
    return [t for t in tasks.values() if not patterns or any(fnmatch.fnmatchcase(t.name, p) for p in patterns)]


def all_tasks() -> dict[str, Task]:
    """Every task by name, in the order of reports."""
    from benchmark.processing_tasks import PROCESSING_TASKS

    return dict(PROCESSING_TASKS)
