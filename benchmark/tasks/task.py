"""A ``Task`` is a named question about embeddings; ``TaskInput`` and ``TaskOutcome`` are what it receives and returns.

A task defines the views that it needs, the photos that it can be run on, the pure function that computes its scores,
and the meaning of its scores and stored answers. Arithmetic is imported when a task runs, so that listing and
explaining tasks needs neither torch nor a bank.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswersReader, FactsReader, Family, Metric, Score, no_facts
from builders.errors import DataError
from builders.photos import UNLABELLED, PhotoSet

if TYPE_CHECKING:
    from benchmark.answers import AnswerSource
    from benchmark.bank import Bank, BankView
    from benchmark.encoders import StoredEmbeddings
    from benchmark.erasing import ErasedView, Eraser
    from benchmark.views import ViewRecipe
    from builders.pixels import Definitions, Parameter


@dataclass(frozen=True)
class Task:
    """A named question. All that other packages need to know about it is defined here."""

    name: str
    """``family/subject``."""
    family: Family
    title: str
    """Title of the subject: ``JPEG``, ``Focal length``."""
    explain: str
    """The classes of the subject, in one sentence."""
    summary: str
    """The question in one line, for ``list tasks``."""
    metrics: tuple[Metric, ...]
    """In the order of tables. Scores of other metrics are allowed; they are shown by name where all are requested."""
    recipe: Callable[[PhotoSet, RunOptions], ViewRecipe]
    """The views that it needs; recipes of one kind are merged into one pass."""
    unfit: Callable[[PhotoSet], str]
    """Why it cannot be run on these photos; empty if it can."""
    run: Callable[[TaskInput], TaskOutcome]
    """Computes the scores."""
    read_answers: AnswersReader
    """Values by photo of each metric, from the arrays in ``TaskOutcome.answers``."""
    read_facts: FactsReader = no_facts
    """What else these arrays determine, so that a result which states otherwise is refused."""
    run_part: Callable[[TaskInput, int, int], None] | None = None
    """Computes part ``number`` of ``count`` of the queries and stores it in ``TaskInput.checkpoints``, where
    ``run`` finds it: for a task that several machines share. None: it runs as a whole."""
    growth: Literal["photos", "pairs"] = "photos"
    """Whether its time grows with the number of photos, or with the number of pairs of a query and a candidate."""
    cost: Callable[[TaskInput, int, Clocked], Cost] | None = None
    """Cost of a task whose time depends on how photos are grouped, which a sample of single photos breaks, by input,
    dimension of the embeddings, and what runs the task on some of the photos. None: single photos are a sample."""
    effort: Callable[[PhotoSet], float] | None = None
    """Amount of work, in a unit of the family, so that the longest task can begin first; None if unknown."""
    by_name: bool = False
    """Whether it is run only if its subject is named, or if photos are a built set of its views; patterns such as
    ``probe/*`` and runs without patterns leave it out."""
    by_family: bool = False
    """Of a task that must be named: whether its family and any subject is enough (``copies/*``)."""
    most_unlisted: int = 8
    """Most scores under names that ``metrics`` lacks, of a result that a board shows: names after cameras or groups."""
    score_views: int = 0
    """Fewest views that it needs of a file of a detector's scores; 0 if it reads embeddings alone."""
    reads_answers: bool = False
    """Whether it reads the answers of a vision-language model, which only some encoders give."""
    for_group: Callable[[str], Task] | None = None
    """Makes the task of a group; of a task that stands for those of every group of a photo set (``probe/<group>``)."""
    with_processings: Callable[[Definitions], Sequence[Task]] | None = None
    """The tasks that take its place while a processing file is in use; None if it has nothing to do with processings.
    A task that is not among them stays known by name."""

    @property
    def about_acquisition(self) -> bool:
        """Whether its question is about acquisition, not about processing."""
        return self.family.about == "acquisition"

    @property
    def about_group(self) -> bool:
        """Whether its question is about a given group."""
        return self.family.about == "group"

    @property
    def about_detection(self) -> bool:
        """Whether its question is whether photos were generated."""
        return self.family.about == "detection"


class Seconds(NamedTuple):
    """How long something took, in seconds."""

    wall: float
    processor: float
    """Of all threads of this process."""


@dataclass(frozen=True)
class Cost:
    """What a task is estimated to take."""

    seconds: float | None
    """None if it could not be measured."""
    text: str = ""
    """What the seconds are of, or why there are none; empty for those of a sample of photos."""
    processor_s: float = 0.0
    """Of all threads of this process."""
    memory_bytes: int = 0
    """Bytes that it holds at most besides the embeddings."""


Clocked = Callable[[PhotoSet], Seconds]

Item = TypeVar("Item")


class Shared:
    """Intermediate results that tasks on the same embeddings share; the first task that needs one computes it."""

    def __init__(self) -> None:
        self._items: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def get(self, name: Hashable, make: Callable[[], Item]) -> Item:
        """The result of the first call of ``make`` under this name; other threads wait for it.

        >>> shared = Shared()
        >>> shared.get("tables", lambda: [1]) is shared.get("tables", lambda: [2])
        True
        """
        with self._lock:
            if name not in self._items:
                self._items[name] = make()
            item: Item = self._items[name]
            return item


@dataclass(frozen=True)
class TaskInput:
    """The input of a task: photos, their embeddings, and options."""

    photos: PhotoSet
    usable: np.ndarray
    """bool [photos], whether a photo has an embedding."""
    bank: Bank
    """Embeddings of all views that the task needs."""
    options: RunOptions
    device: str
    """Device of the arithmetic on embeddings."""
    input_size: tuple[int, int] | None = None
    """Height and width of the encoder's input in pixels; None if its input is not pixels."""
    checkpoints: Path | None = None
    """Folder of this task, in which a long task may store intermediate results; None stores none."""
    eraser: Eraser | None = None
    """Applied to every embedding that is read."""
    shared: Shared = field(default_factory=Shared, compare=False)
    """Results shared with other tasks on these embeddings."""
    brief: bool = False
    """Compute only values and intervals, without learning curves, training spreads and controls."""
    given: StoredEmbeddings | None = None
    """The scores of a detector made elsewhere, in place of embeddings; None for an encoder."""
    answers: AnswerSource | None = None
    """The answers of a vision-language model; None for an encoder that gives none."""
    has_embeddings: bool = True
    """False if the bank holds zeros, because the file of a model has answers alone."""

    def indices(self, split: str) -> np.ndarray:
        """int64, indices of the usable photos of a split."""
        indices = self.photos.indices(split)
        return indices[self.usable[indices]]

    def view(self, name: str, indices: np.ndarray) -> BankView | ErasedView:
        """Embeddings [photos, dim] of one view of the photos at ``indices``, erased if there is an eraser.

        Raises:
            DataError: the eraser needs labels that these photos do not have.
        """
        embeddings = self.bank.view(name, indices)
        if self.eraser is None:
            return embeddings
        from benchmark.erasing import ErasedView

        return ErasedView(embeddings, self.eraser, groups_of(self.eraser, self.photos, name, indices))


@dataclass(frozen=True)
class TaskOutcome:
    """The output of a task: scores, and answers by photo from which later statistics can be computed."""

    scores: tuple[Score, ...]
    answers: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Compact arrays by name, stored next to the result; ``Task.read_answers`` reads them."""


def of_each_parameter(make: Callable[[Parameter], Task]) -> Callable[[Definitions], Sequence[Task]]:
    """``Task.with_processings`` of a task of one parameter: one for each parameter of the file."""
    return lambda definitions: [make(parameter) for parameter in definitions.parameters.values()]


def of_processings(make: Callable[[tuple[str, ...]], Task]) -> Callable[[Definitions], Sequence[Task]]:
    """``Task.with_processings`` of a task of several processings: the same one of those of the file."""
    return lambda definitions: [make(tuple(definitions.processings))]


def groups_of(eraser: Eraser, photos: PhotoSet, view: str, indices: np.ndarray) -> np.ndarray | None:
    """int64 [photos], the group of each photo for an eraser that needs groups; None for one that does not.

    Args:
        eraser: that is applied.
        photos: the photo set.
        view: name of the view. If the eraser was fitted on several views, each of them is a group.
        indices: of the photos.

    Raises:
        DataError: these photos under this view have no known group.
    """
    if not eraser.needs_labels:
        return None
    views, classes = list(eraser.provenance.get("views", ())), list(eraser.provenance.get("classes", ()))
    if view in views:
        return np.full(len(indices), views.index(view), dtype=np.int64)
    column = str(eraser.provenance.get("column", ""))
    labels = photos.groups.get(column) or photos.attributes.get(column)
    if labels is None or not set(labels.names) <= set(classes):
        raise DataError(f"{eraser.name} needs the label of every photo that it is applied to: {view} has none")
    code = np.array([classes.index(name) for name in labels.names], dtype=np.int64)
    values = labels.values[indices]
    if (values == UNLABELLED).any():
        raise DataError(f"{eraser.name} needs the label of every photo: {int((values == UNLABELLED).sum())} have none")
    return code[values]
