"""A request of scores: encoders x photo sets x tasks, and how they are scored. ``run_request`` carries it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmark.encoders import Encoder
from benchmark.erasing import Erasing
from benchmark.options import RunOptions
from benchmark.scoring.sweep_request import groups_of
from benchmark.tasks import Task, all_tasks, fitting_tasks, select_tasks
from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.photos import PhotoSet


class Load(Protocol):
    """Loads an encoder."""

    def __call__(self, *, trying: Callable[[Encoder], object] = ...) -> Encoder:
        """Load it; ``trying`` gets the encoder in torch before another runtime is tried for the first time."""
        ...


@dataclass(frozen=True)
class EncoderSource:
    """How one encoder is loaded."""

    load: Load
    spec: str | None
    """As ``--model`` takes it; None for an object in memory."""


@dataclass(frozen=True)
class Request:
    """Encoders x photo sets x tasks, and how they are scored."""

    encoders: Mapping[str, EncoderSource]
    """By the name that the user gave."""
    data: Sequence[str | PhotoSet]
    """Specifications, or photo sets."""
    tasks: Sequence[str]
    """Patterns; none stands for all that the photos can answer."""
    options: RunOptions
    trust_remote_code: bool = False
    """Encoders may run code of their repositories; for the record."""
    erasing: Erasing | None = None
    """The eraser that is applied to embeddings before any task reads them."""
    output: Path | None = None
    """Folder of the results; None writes none."""
    together: int | None = None
    """Encoders in memory at a time. A number makes the run a sweep, which needs ``output``: finished results there are
    reused, and whatever an encoder fails by is a row. None: all encoders at once, every result is made again."""

    @property
    def single(self) -> bool:
        """One encoder on one photo set, not as a sweep: its result lies directly in the folder of the output."""
        return len(self.encoders) == 1 and len(self.data) == 1 and not self.is_sweep

    @property
    def is_sweep(self) -> bool:
        """True for a run in groups that reuses finished results."""
        return self.together is not None

    def groups(self) -> list[list[str]]:
        """Names of encoders that are in memory together and share passes."""
        names = list(self.encoders)
        return [names] if self.together is None else groups_of(names, self.together)

    def open(self, unfit: Callable[[str, DataError], object] | None = None) -> list[OpenedSet]:
        """The photo sets, as ``open_sets``; in a sweep the first one that cannot be used ends the run."""
        return open_sets(self.data, self.tasks, self.options, unfit=None if self.is_sweep else unfit)


@dataclass(frozen=True)
class OpenedSet:
    """A photo set as it is scored, and the tasks that it can answer."""

    photos: PhotoSet
    """After ``--limit``."""
    tasks: tuple[Task, ...]
    spec: str | None = None
    """As ``--data`` takes it; None if the photos were given in memory."""


def open_sets(
    data: Sequence[str | PhotoSet],
    patterns: Sequence[str],
    options: RunOptions,
    *,
    unfit: Callable[[str, DataError], object] | None = None,
) -> list[OpenedSet]:
    """Open photo sets and choose the tasks that each can answer.

    Args:
        data: specifications, or photo sets.
        patterns: of tasks; none for all that the photos can answer.
        options: of the run: seed, limit and outputs.
        unfit: called with the name of a set that cannot answer a task, and the reason, if there are others that can;
            without it the first such set is an error.

    Raises:
        UsageError: a task, a specification or an option is wrong, or two sets have one name.
        DataError: a set cannot be opened or used.
    """
    tasks = select_tasks(patterns, all_tasks())
    opened = [open_photos(given, seed=options.seed) if isinstance(given, str) else given for given in data]
    refuse_repeated_names([photos.name for photos in opened], "data sets", "?name=... gives one another")
    for photos in opened:  # one that compiles does so while the sets before it are scored
        getattr(photos.source, "prepare", lambda: None)()
    sets: list[OpenedSet] = []
    errors: list[tuple[str, DataError]] = []
    for given, photos in zip(data, opened, strict=True):
        try:
            spec = given if isinstance(given, str) else None
            sets.append(_opened(_limited(photos, options), tasks, options, spec, asked=bool(patterns)))
        except DataError as error:
            if unfit is None:
                raise
            errors.append((photos.name, error))
    if errors and not sets:
        raise errors[0][1]
    if unfit is not None:
        for name, error in errors:
            unfit(name, error)
    return sets


def _opened(
    photos: PhotoSet, tasks: Sequence[Task], options: RunOptions, spec: str | None, *, asked: bool
) -> OpenedSet:
    fitting = fitting_tasks(tasks, photos, asked=asked)
    return OpenedSet(photos, tuple(with_semantics(fitting, photos) if options.outputs else fitting), spec)


def open_limited(spec: str, options: RunOptions) -> PhotoSet:
    """One photo set as it is scored."""
    return _limited(open_photos(spec, seed=options.seed), options)


def _limited(photos: PhotoSet, options: RunOptions) -> PhotoSet:
    """The photos that ``--limit`` leaves."""
    return photos.limited(options.limit, options.seed) if options.limit else photos


def with_semantics(tasks: Sequence[Task], photos: PhotoSet) -> list[Task]:
    """Tasks, and the plain kNN that photos can answer: figures of layers show a trace beside the content."""
    plain = [t for t in all_tasks().values() if any(m.summary == "SP" for m in t.metrics) and not t.unfit(photos)]
    return [*tasks, *(task for task in plain if task not in tasks)]


def refuse_repeated_names(names: Sequence[str], what: str, remedy: str) -> None:
    """Raises ``UsageError`` if two have one name."""
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise UsageError(f"two {what} are called {repeated}, and their results would be mixed up: {remedy}")
