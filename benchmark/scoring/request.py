"""A request of scores: encoders x photo sets x tasks, and how they are scored. ``runner.py`` carries it out.

Imports no torch: commands read a request before they import it.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.options import STUDY_PRESET, RunOptions
from builders.errors import DataError, UsageError
from builders.untrusted import UntrustedInputError, read_untrusted_text

if TYPE_CHECKING:  # torch is imported after the command line is read
    from benchmark.encoders import Encoder
    from benchmark.erasing import Erasing
    from benchmark.scoring.tasks_run import OutcomesOfRanks
    from benchmark.tasks import Task
    from builders.photos import PhotoSet


ANSWERING = ("answers:", "vlm:")
"""Prefixes of models that answer questions: without ``--task`` they are asked."""


class Load(Protocol):
    """Loads an encoder."""

    def __call__(self, *, before_conversion: Callable[[Encoder], object] = ...) -> Encoder:
        """Load it; call ``before_conversion`` with the encoder in torch before another runtime is tried first."""
        ...


@dataclass(frozen=True)
class EncoderSource:
    """How one encoder is loaded."""

    load: Load
    spec: str | None
    """As ``--model`` takes it; None for an object in memory."""


@dataclass(frozen=True)
class ByRanks:
    """What ranks of a plan have computed, and where."""

    outcomes: OutcomesOfRanks
    machines: tuple[Mapping[str, Any], ...]
    """``environment.ranks`` of results: host, device, versions and seconds of ranks on equal machines."""


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
    by_ranks: ByRanks | None = None
    """What ranks of a plan have computed."""

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
        answering = any_answers(source.spec for source in self.encoders.values())
        unfit = None if self.is_sweep else unfit
        return open_sets(self.data, self.tasks, self.options, unfit=unfit, answering=answering)


@dataclass(frozen=True)
class OpenedSet:
    """A photo set as it is scored, and the tasks that it can answer."""

    photos: PhotoSet
    """After ``--limit``."""
    tasks: tuple[Task, ...]
    spec: str | None
    """As ``--data`` takes it; None if the photos were given in memory."""


def any_answers(specs: Iterable[str | None]) -> bool:
    """Whether one of some models answers questions."""
    return any(spec is not None and spec.startswith(ANSWERING) for spec in specs)


def open_sets(
    data: Sequence[str | PhotoSet],
    patterns: Sequence[str],
    options: RunOptions,
    *,
    unfit: Callable[[str, DataError], object] | None = None,
    answering: bool = False,
) -> list[OpenedSet]:
    """Open photo sets and choose the tasks that each can answer.

    Args:
        data: specifications, or photo sets.
        patterns: of tasks; none for all that the photos can answer.
        options: of the run: seed, limit and outputs.
        unfit: called with the name of a set that cannot answer a task, and the reason, if there are others that can;
            without it the first such set is an error.
        answering: whether a model answers questions, so that a run without patterns has the tasks about answers.

    Raises:
        UsageError: a task, a specification or an option is wrong, or two sets have one name.
        DataError: a set cannot be opened or used.
    """
    from benchmark.tasks import all_tasks, select_tasks

    select_tasks(patterns, all_tasks())  # what is wrong whatever the photos
    opened = [_open(given, options) if isinstance(given, str) else given for given in data]
    tasks = select_tasks(patterns, all_tasks(), {group: None for photos in opened for group in photos.groups})
    refuse_repeated_names([photos.name for photos in opened], "data sets", "?name=... gives one another")
    for photos in opened:  # one that compiles does so while the sets before it are scored
        getattr(photos.source, "prepare", lambda: None)()
    sets: list[OpenedSet] = []
    errors: list[tuple[str, DataError]] = []
    for given, photos in zip(data, opened, strict=True):
        try:
            spec = given if isinstance(given, str) else None
            limited = _limited(photos, options)
            sets.append(_opened(limited, tasks, options, spec, named=bool(patterns), answering=answering))
        except DataError as error:
            if unfit is None:
                raise
            errors.append((photos.name, error))
    if errors and not sets:
        raise errors[0][1]
    if unfit is not None:
        for name, reason in errors:
            unfit(name, reason)
    return sets


def _opened(
    photos: PhotoSet, tasks: Sequence[Task], options: RunOptions, spec: str | None, *, named: bool, answering: bool
) -> OpenedSet:
    from benchmark.tasks import fitting_tasks

    fitting = fitting_tasks(tasks, photos, named=named, answering=answering)
    return OpenedSet(photos, tuple(with_semantics(fitting, photos) if options.outputs else fitting), spec)


def open_limited(spec: str, options: RunOptions) -> PhotoSet:
    """One photo set as it is scored."""
    return _limited(_open(spec, options), options)


def _open(spec: str, options: RunOptions) -> PhotoSet:
    """A photo set before ``--limit``; with ``--stream`` only what is to be read of it."""
    from builders.data_specs import open_photos
    from builders.sources import Streaming

    streaming = Streaming(options.limit, options.seed) if options.stream else None
    return open_photos(spec, seed=options.seed, streaming=streaming)


def _limited(photos: PhotoSet, options: RunOptions) -> PhotoSet:
    """The photos that ``--limit`` leaves."""
    return photos.limited(options.limit, options.seed) if options.limit else photos


def with_semantics(tasks: Sequence[Task], photos: PhotoSet) -> list[Task]:
    """Tasks, and the plain kNN that the photos can answer: figures of layers compare a trace with the content."""
    from benchmark.tasks import all_tasks

    plain = [t for t in all_tasks().values() if any(m.summary == "SP" for m in t.metrics) and not t.unfit(photos)]
    return [*tasks, *(task for task in plain if task not in tasks)]


def refuse_repeated_names(names: Sequence[str], what: str, remedy: str) -> None:
    """Raises ``UsageError`` if two have one name."""
    repeated = next((name for name, count in Counter(names).items() if count > 1), None)
    if repeated is not None:
        raise UsageError(f"two {what} are called {repeated}, and their results would be mixed up: {remedy}")


ENCODERS_TOGETHER = 8
"""Encoders that share one pass over the photos, and the memory."""


def chosen_specs(args: argparse.Namespace) -> list[str]:
    """The encoders of a sweep's command line, each once.

    Raises:
        UsageError: there are none, or the file cannot be read.
    """
    specs = list(args.model or [])
    if args.models:
        specs += read_specs(args.models)
    if args.published:
        from benchmark.encoders import STUDY

        specs += [row.spec for row in STUDY]
    if args.modern:
        from benchmark.encoders import MODERN

        specs += [row.spec for row in MODERN]
    if args.eraser:
        raise UsageError("--eraser goes with one encoder, which it was fitted on: use camtrace score")
    if not specs:
        raise UsageError("which encoders? give --models FILE, --published, --modern, or --model ID (repeatable)")
    if args.revision:
        raise UsageError("--revision goes with one encoder; write each as NAME@REVISION")
    return list(dict.fromkeys(specs))


def read_specs(path: Path) -> list[str]:
    """Encoders of a file, one per line; ``#`` begins a comment.

    Raises:
        UsageError: the file cannot be read, or names no encoder.
    """
    try:
        lines = read_untrusted_text(path).splitlines()
    except UntrustedInputError as refused:
        raise UsageError(f"--models {path}: {refused.reason}") from None
    specs = [spec for line in lines if (spec := line.partition("#")[0].strip())]
    if not specs:
        raise UsageError(f"--models {path}: it names no encoder; write one on a line")
    return specs


def settle_preset(args: argparse.Namespace) -> None:
    """Set the study's preset for the encoders of the study, unless another one is given."""
    if args.preset is None and args.published:
        args.preset = STUDY_PRESET


def groups_of(specs: Sequence[str], together: int) -> list[list[str]]:
    """Encoders in groups that share a pass. Encoders of one input size are grouped, since their views may be equal.

    Args:
        specs: the encoders.
        together: the most of a group.

    >>> groups_of(["facebook/dino-vits8", "timm/vit_base_patch16_siglip_256.webli", "facebook/dino-vits16"], 2)
    [['facebook/dino-vits8', 'facebook/dino-vits16'], ['timm/vit_base_patch16_siglip_256.webli']]
    """
    from benchmark.encoders import list_encoders

    known = {row.spec: row for row in list_encoders()}

    def input_size(spec: str) -> tuple[int, str]:
        row = known.get(spec)
        return (row.input_px or 0, row.library) if row else (1 << 30, "")

    ordered = sorted(specs, key=input_size)
    return [ordered[i : i + together] for i in range(0, len(ordered), together)]
