"""Task = a named question: which views it needs, which photos can answer it, and the pure function that scores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmark.bank import Bank, BankView
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.views import ViewRecipe
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
