"""Task = a named question: which views it needs, which photos can answer it, the pure function that scores it, and what
its numbers and its kept answers mean.

Arithmetic is imported when a task runs, so that naming and explaining tasks needs neither torch nor a bank.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswersReader, Family, Metric, Score
from builders.errors import DataError
from builders.photos import UNLABELLED, PhotoSet

if TYPE_CHECKING:
    from benchmark.bank import Bank, BankView
    from benchmark.erasing import Eraser
    from benchmark.views import ViewRecipe


class ErasedView:
    """Embeddings of one view, erased a slice at a time."""

    reads_rows: ClassVar[bool] = True

    def __init__(self, view: BankView, eraser: Eraser, groups: np.ndarray | None = None) -> None:
        self._view, self._eraser, self._groups = view, eraser, groups
        self.shape = view.shape

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        return self._eraser.apply(self._view[at], None if self._groups is None else self._groups[at])


def groups_of(eraser: Eraser, photos: PhotoSet, view: str, indices: np.ndarray) -> np.ndarray | None:
    """int64 [photos]: the group of each, for an eraser that has to be told; None for one that has not.

    Raises:
        DataError: these photos under this view have no known group.
    """
    if not eraser.needs_labels:
        return None
    views, classes = list(eraser.provenance.get("views", ())), list(eraser.provenance.get("classes", ()))
    if view in views:
        return np.full(len(indices), views.index(view), dtype=np.int64)
    labels = photos.attributes.get(str(eraser.provenance.get("column", "")))
    if labels is None or not set(labels.names) <= set(classes):
        raise DataError(f"{eraser.name} needs the label of every photo that it is applied to: {view} has none")
    code = np.array([classes.index(name) for name in labels.names], dtype=np.int64)
    values = labels.values[indices]
    if (values == UNLABELLED).any():
        raise DataError(f"{eraser.name} needs the label of every photo: {int((values == UNLABELLED).sum())} have none")
    return code[values]


Made = TypeVar("Made")


class Shared:
    """What questions on the same embeddings share: made by the first that asks."""

    def __init__(self) -> None:
        self._made: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def get(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """What ``make`` gave when it was asked for first under this name; others wait for it.

        >>> shared = Shared()
        >>> shared.get("tables", lambda: [1]) is shared.get("tables", lambda: [2])
        True
        """
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            found: Made = self._made[name]
            return found


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
    keep: Path | None = None
    """A folder of this question alone, where a long task may keep what it has done so far."""
    eraser: Eraser | None = None
    """In place before anything reads an embedding."""
    shared: Shared = field(default_factory=Shared, compare=False)
    """With the other questions on these embeddings."""
    brief: bool = False
    """Only values and their intervals: no learning curves, spreads over train photos, and controls."""

    def indices(self, split: str) -> np.ndarray:
        """int64 indices of the usable photos of a split."""
        found = self.photos.indices(split)
        return found[self.usable[found]]

    def view(self, name: str, indices: np.ndarray) -> BankView | ErasedView:
        """Embeddings of one view of some photos, erased where an eraser is in place.

        Raises:
            DataError: the eraser needs labels that these photos do not have.
        """
        found = self.bank.view(name, indices)
        if self.eraser is None:
            return found

        return ErasedView(found, self.eraser, groups_of(self.eraser, self.photos, name, indices))


@dataclass(frozen=True)
class TaskOutcome:
    """What a task gives: its scores, and per-photo answers from which any later statistic follows."""

    scores: tuple[Score, ...]
    answers: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Compact arrays by name, kept beside the result; the task's ``read_answers`` reads them back."""


@dataclass(frozen=True)
class Task:
    """One question. Everything that any other room knows of it stands here."""

    name: str
    """``family/subject``."""
    family: Family
    title: str
    """Of its subject, as people read it: ``JPEG``, ``Focal length``."""
    explain: str
    """What the subject's classes are, in one sentence."""
    summary: str
    """The question in one line, for ``list tasks``."""
    metrics: tuple[Metric, ...]
    """In the order of tables. A score of another metric is welcome: it is shown by its name where all are asked for."""
    recipe: Callable[[PhotoSet, RunOptions], ViewRecipe]
    """The views that it needs; recipes of one kind are merged into one pass."""
    unfit: Callable[[PhotoSet], str]
    """Why these photos cannot answer it, or an empty string."""
    run: Callable[[TaskInput], TaskOutcome]
    read_answers: AnswersReader
    """The values by photo of each metric, from the arrays that ``run`` kept."""
    growth: Literal["photos", "pairs"] = "photos"
    """What its time grows with: photos, or pairs of a photo that is asked about and one that may be the answer."""
    effort: Callable[[PhotoSet], float] | None = None
    """How much work it is, for the longest of several to begin first, in a unit of its family; None: unknown."""

    by_name: bool = False
    """Asked only where its subject is named, or photos are a built set of its views; patterns such as ``probe/*`` and
    plain runs leave it out."""

    @property
    def of_cameras(self) -> bool:
        """It asks about acquisition, not about processing."""
        return self.family.about == "acquisition"
