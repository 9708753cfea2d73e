"""What is asked for -> what was scored and what was not: the core under the command ``score`` and under Python's.

An encoder that cannot be loaded or a data set that cannot be scored costs its own results and is kept with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from benchmark.bank import PhotoHashes
from benchmark.encoders import Encoder, deduplicated
from benchmark.erasing import Erasing, check_eraser, refuse_leaks
from benchmark.options import RunOptions
from benchmark.scoring.passes import begin_first_views, begin_next_views, planned_passes
from benchmark.scoring.reproduce import Invocation, recorded, reproduce_command
from benchmark.scoring.run import Scored, score_encoders
from benchmark.tasks import Task, all_tasks, fitting_tasks, select_tasks
from benchmark.views import Prefetch
from builders.data_specs import open_photos
from builders.errors import CamtraceError, DataError, UsageError
from builders.photos import PhotoSet
from builders.pixels import engine_being_compiled
from builders.processes import memory_budget


class Load(Protocol):
    """Gives an encoder."""

    def __call__(self, *, trying: Callable[[Encoder], object] = ...) -> Encoder:
        """Tells of the encoder in torch before another runtime is tried for the first time."""
        ...


@dataclass(frozen=True)
class EncoderSource:
    """How one encoder is had."""

    load: Load
    spec: str | None
    """As ``--model`` takes it; None for an object in memory."""


@dataclass(frozen=True)
class Request:
    """Encoders x photo sets x tasks, and how."""

    encoders: Mapping[str, EncoderSource]
    """By the name that it was asked for."""
    data: Sequence[str | PhotoSet]
    """Specifications, or photo sets."""
    tasks: Sequence[str]
    """Patterns; none stands for all that the photos can answer."""
    options: RunOptions
    trust_remote_code: bool = False
    """Encoders may run code of their repositories; for the record."""
    erasing: Erasing | None = None
    """The eraser that is applied to embeddings before any task reads them."""

    @property
    def single(self) -> bool:
        """One encoder on one photo set: one result, directly in the folder of the output."""
        return len(self.encoders) == 1 and len(self.data) == 1


@dataclass(frozen=True)
class Failed:
    """An encoder or a data set that was asked for and has no result."""

    name: str
    error: CamtraceError

    @property
    def reason(self) -> str:
        return str(self.error)


@dataclass(frozen=True)
class RunOutcome:
    """What came of it."""

    scored: tuple[Scored, ...]
    missing: tuple[Failed, ...]

    @property
    def complete(self) -> bool:
        """Everything that was asked for has its scores; photos that cannot be read are no more than a warning."""
        parts = [failure for one in self.scored for failure in one.result.failures if failure.kind != "photo"]
        return not self.missing and not parts


def ignore(_: object) -> None:
    """For what nobody listens to."""


def run_request(
    asked: Request,
    *,
    scored: Callable[[Scored], object] = ignore,
    missing: Callable[[Failed], None] = ignore,
    say: Callable[[str], None] = ignore,
    detail: Callable[[str], None] = ignore,
    notice: Callable[[str], None] = ignore,
) -> RunOutcome:
    """Load, open, score.

    Args:
        asked: the request.
        scored: told of each result as soon as it is there.
        missing: told of each encoder and data set without result, as soon as it is known.
        say: told what everybody should know.
        detail: told what is being done, for those who want to know all.
        notice: told what everybody should know before it happens: what an encoder's file does not say, how much will
            be written where.

    Raises:
        UsageError: a name of a task, of data or of an option is wrong.
        DataError: a data set cannot be opened, or none can answer a task that was asked for.
    """
    tasks = select_tasks(asked.tasks, all_tasks())
    found: list[Scored] = []
    lost: list[Failed] = []

    def lose(name: str, error: CamtraceError) -> None:
        lost.append(Failed(name, error))
        missing(lost[-1])

    sets, options = _open(asked, tasks, lose), asked.options
    with ExitStack() as budget, closing(Prefetch()) as ahead:

        def trying(encoder: Encoder) -> None:
            """While one core tries another library, the other makes the first views, if it is not compiling."""
            if len(asked.encoders) == 1 and asked.erasing is None and not engine_being_compiled():
                _, photos, fitting = sets[0]
                budget.enter_context(memory_budget(options.memory))
                begin_first_views(ahead, [encoder], None, photos, planned_passes(fitting, photos, options)[0], options)

        loaded = _load(asked, trying, lose, notice, detail)
        kept = deduplicated(loaded, same=say)
        _refuse_one_name_twice([encoder.info.id for encoder in kept.values()], "encoders")
        encoders, specs = list(kept.values()), [asked.encoders[name].spec for name in kept]
        budget.enter_context(memory_budget(options.memory))
        hashes: dict[int, PhotoHashes] = {}

        def begin_next(at: int, encoders: Sequence[Encoder]) -> None:
            """While tasks on one set are run, workers begin with the views of the next."""
            for _, photos, fitting in sets[at + 1 : at + 2]:
                hashes[at + 1] = PhotoHashes(photos, options.cache)
                begin_next_views(ahead, encoders, hashes[at + 1], planned_passes(fitting, photos, options)[0], options)

        for at, (given, photos, fitting) in enumerate(sets if encoders else []):
            detail(f"{photos.name}: {len(photos)} photos; {', '.join(task.name for task in fitting)}")
            try:
                if asked.erasing is not None:
                    refuse_leaks(asked.erasing, photos)
                together = score_encoders(
                    encoders,
                    photos,
                    fitting,
                    options,
                    hashes=hashes.get(at),
                    tell=notice,
                    ahead=ahead,
                    embedded=partial(begin_next, at),
                    eraser=None if asked.erasing is None else asked.erasing.eraser,
                )
            except CamtraceError as error:
                lose(photos.name, error)
                continue
            for encoder, spec, one in zip(encoders, specs, together, strict=True):
                data = given if isinstance(given, str) else None
                origin = Invocation(spec, data, tuple(asked.tasks), asked.trust_remote_code, asked.erasing)
                repeat = reproduce_command(origin, encoder.info, photos, options)
                found.append(replace(one, result=recorded(one.result, repeat)))
                scored(found[-1])
    return RunOutcome(tuple(found), tuple(lost))


def _load(
    asked: Request,
    trying: Callable[[Encoder], object],
    lose: Callable[[str, CamtraceError], None],
    notice: Callable[[str], None],
    detail: Callable[[str], None],
) -> dict[str, Encoder]:
    """Those that can be loaded, by the names that they were asked for."""
    loaded: dict[str, Encoder] = {}
    for name, source in asked.encoders.items():
        try:
            encoder = source.load(trying=trying)
            if asked.erasing is not None:
                check_eraser(asked.erasing.eraser, encoder)
        except CamtraceError as error:
            lose(name, error)
        else:
            loaded[name] = encoder
            for sentence in encoder.notices:
                notice(f"camtrace: {sentence}")
            detail(_about(encoder))
    return loaded


@dataclass(frozen=True)
class Opened:
    """A photo set as it would be scored, and the tasks that it can answer."""

    photos: PhotoSet
    tasks: tuple[Task, ...]


def opened(asked: Request) -> list[Opened]:
    """The photo sets of a request, for who wants to know what it would take.

    Raises:
        as ``run_request``.
    """
    sets = _open(asked, select_tasks(asked.tasks, all_tasks()), lambda name, error: None)
    return [Opened(photos, tuple(tasks)) for _, photos, tasks in sets]


def _open(
    asked: Request, tasks: Sequence[Task], lose: Callable[[str, CamtraceError], None]
) -> list[tuple[str | PhotoSet, PhotoSet, list[Task]]]:
    """As asked for, as scored, and the tasks that fit; the first objection is raised where nothing fits."""
    options = asked.options
    opened = [open_photos(data, seed=options.seed) if isinstance(data, str) else data for data in asked.data]
    _refuse_one_name_twice([photos.name for photos in opened], "data sets")
    for photos in opened:  # one that compiles does so while the sets before it are scored
        getattr(photos.source, "prepare", lambda: None)()
    sets: list[tuple[str | PhotoSet, PhotoSet, list[Task]]] = []
    unfit: list[tuple[str, DataError]] = []
    for given, photos in zip(asked.data, opened, strict=True):
        limited = photos.limited(options.limit, options.seed) if options.limit else photos
        try:
            fitting = fitting_tasks(tasks, limited, asked=bool(asked.tasks))
            sets.append((given, limited, with_semantics(fitting, limited) if options.outputs else fitting))
        except DataError as error:
            unfit.append((photos.name, error))
    if unfit and not sets:
        raise unfit[0][1]
    for name, objection in unfit:
        lose(name, objection)
    return sets


def with_semantics(tasks: Sequence[Task], photos: PhotoSet) -> list[Task]:
    """With what plain kNN finds of the content, where photos can answer it: a trace over depth is read beside it."""
    plain = [t for t in all_tasks().values() if any(m.summary == "SP" for m in t.metrics) and not t.unfit(photos)]
    return [*tasks, *(task for task in plain if task not in tasks)]


def _refuse_one_name_twice(names: Sequence[str], what: str) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        how = "?name=... gives one another" if what == "data sets" else "give them as {name: encoder}"
        raise UsageError(f"two {what} are called {twice}, and their results would be mixed up: {how}")


def _about(encoder: Encoder) -> str:
    info = encoder.info
    weights = f"weights {info.weights_sha256[:12]}" if info.weights_sha256 else "weights not identified"
    facts = [info.library, info.revision, weights, f"{info.dimension} numbers", info.pooling]
    return f"{info.id}: {', '.join(str(f) for f in facts if f)}; on {encoder.device} in {encoder.dtype}"
