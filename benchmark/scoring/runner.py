"""The one run behind ``camtrace score``, ``camtrace sweep`` and ``camtrace.score``: load, open, score, write.

An encoder that cannot be loaded or a data set that cannot be scored costs its own results and is recorded with its
reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmark.bank import PhotoHashes
from benchmark.compute import EncoderCrash, free_cached
from benchmark.encoders import Encoder, deduplicated, with_unique_id
from benchmark.erasing import check_eraser, refuse_leaks
from benchmark.results import Result
from benchmark.scoring.output import Row, Scored, what_failed, write_scored, write_state
from benchmark.scoring.passes import begin_first_views, begin_next_views, planned_passes
from benchmark.scoring.reproduce import Invocation, made_by_ranks, recorded, reproduce_command
from benchmark.scoring.request import OpenedSet, Request, refuse_repeated_names
from benchmark.scoring.run import score_encoders
from benchmark.scoring.sweep import finished_result
from benchmark.scoring.tasks_run import NO_OUTCOMES
from benchmark.views import Prefetch
from builders.errors import CamtraceError
from builders.photos import PhotoSet, cells_text
from builders.pixels import engine_being_compiled
from builders.processes import memory_budget, stage
from builders.untrusted import error_text, readable


def ignore(_: object) -> None:
    """Default callback that does nothing."""


@dataclass(frozen=True)
class Log:
    """Callbacks for messages, by level. By default all are dropped."""

    warning: Callable[[str], None] = ignore
    """For what is not done as the user asked."""
    info: Callable[[str], None] = ignore
    """For what is done, what an encoder's file lacks, and how much is written where."""
    debug: Callable[[str], None] = ignore
    """For details of encoders and photo sets."""


@dataclass(frozen=True)
class Failed:
    """An encoder or a data set of a request that has no result."""

    name: str
    error: Exception

    @property
    def reason(self) -> str:
        """One sentence."""
        return error_text(self.error)


@dataclass(frozen=True)
class RunOutcome:
    """What became of a request."""

    rows: tuple[Row, ...]
    """Of every encoder on every photo set: by group, encoders that could not be loaded first, then by photo set."""
    failed: tuple[Failed, ...]
    photos: tuple[PhotoSet, ...]
    """The photo sets that were opened."""

    @property
    def results(self) -> list[Result]:
        """In order, those of an earlier run included."""
        return [row.result for row in self.rows if row.result is not None]

    @property
    def complete(self) -> bool:
        """True if every requested score was computed. Unreadable photos are warnings."""
        return not self.failed and not any(row.reason for row in self.rows)


def run_request(
    request: Request,
    *,
    scored: Callable[[Scored], object] = ignore,
    failed: Callable[[Failed], object] = ignore,
    log: Log = Log(),
) -> RunOutcome:
    """Load encoders, open photo sets, score each on each, and write results.

    Args:
        request: encoders, photo sets, tasks and options.
        scored: called with each new result, once it is written.
        failed: called with each encoder and data set without result, as soon as that is known.
        log: callbacks for messages.

    Raises:
        UsageError: a name of a task, of data or of an option is wrong.
        DataError: a data set cannot be opened, or none can answer a task of the request.
    """
    failures: list[Failed] = []

    def fail(name: str, error: Exception) -> None:
        failures.append(Failed(name, error))
        failed(failures[-1])

    run = _Run(request, request.open(fail), fail, scored, log)
    for line in (line for opened in run.sets for line in cells_text(opened.photos).splitlines()):
        log.info(line)
    groups = request.groups()
    for number, group in enumerate(groups, 1):
        if request.is_sweep:
            log.info(f"group {number} of {len(groups)}: {', '.join(group)}")
        run.score_group(group)
        if request.is_sweep and request.output is not None:
            free_cached()
            write_state(run.rows, request.output)
    return RunOutcome(tuple(run.rows), tuple(failures), tuple(opened.photos for opened in run.sets))


@dataclass
class _Run:
    """A request while it is carried out."""

    request: Request
    sets: Sequence[OpenedSet]
    fail: Callable[[str, Exception], None]
    scored: Callable[[Scored], object]
    log: Log
    rows: list[Row] = field(default_factory=list)
    hashes: dict[int, PhotoHashes] = field(default_factory=dict)
    """By position of the photo set."""
    ids: dict[str, str] = field(default_factory=dict)
    """Identity by id of the encoders that a sweep has loaded."""

    def score_group(self, names: Sequence[str]) -> None:
        """Load encoders, and score them on every photo set."""
        options = self.request.options
        with ExitStack() as budget, closing(Prefetch()) as prefetch:

            def before_conversion(encoder: Encoder) -> None:
                """While one core tries another library, the other makes the first views, if it is not compiling."""
                alone = len(names) == 1 and self.request.erasing is None and not self.request.is_sweep
                if alone and not engine_being_compiled():
                    photos, tasks = self.sets[0].photos, self.sets[0].tasks
                    budget.enter_context(memory_budget(options.memory))
                    first = planned_passes(tasks, photos, options)[0]
                    begin_first_views(prefetch, [encoder], None, photos, first, options)

            encoders = self._unique(self._load(names, before_conversion))
            budget.enter_context(memory_budget(options.memory))
            for at in range(len(self.sets)) if encoders else ():
                self._score_set(at, encoders, prefetch)

    def _load(self, names: Sequence[str], before_conversion: Callable[[Encoder], object]) -> dict[str, Encoder]:
        """Encoders by name, without those that cannot be loaded."""
        loaded: dict[str, Encoder] = {}
        for name in names:
            try:
                with stage(f"loading {readable(name)}"):
                    encoder = self.request.encoders[name].load(before_conversion=before_conversion)
                if self.request.erasing is not None:
                    check_eraser(self.request.erasing.eraser, encoder)
            except Exception as error:
                if not isinstance(error, CamtraceError) and not self.request.is_sweep:
                    raise
                self.fail(name, error)  # in a sweep, whatever a library raises on somebody's weights is a row
                reason = error_text(error)
                self.rows += [Row(name, opened.photos.name, "failed", reason, "") for opened in self.sets]
                continue
            loaded[name] = encoder
            for sentence in encoder.notices:
                self.log.info(f"camtrace: {sentence}")
            self.log.debug(_about(encoder))
        return loaded

    def _unique(self, loaded: dict[str, Encoder]) -> dict[str, Encoder]:
        """Encoders under ids of which no two are equal; in one group, an encoder that has two names is scored once."""
        if self.request.is_sweep:
            return {name: with_unique_id(encoder, self.ids) for name, encoder in loaded.items()}
        encoders = deduplicated(loaded, same=self.log.warning)
        ids = [encoder.info.id for encoder in encoders.values()]
        refuse_repeated_names(ids, "encoders", "give them as {name: encoder}")
        return encoders

    def _score_set(self, at: int, encoders: dict[str, Encoder], prefetch: Prefetch) -> None:
        """Score encoders on one photo set, but for those of a sweep that have a finished result."""
        request, opened = self.request, self.sets[at]
        photos, options = opened.photos, request.options
        self.log.debug(f"{photos.name}: {len(photos)} photos; {', '.join(task.name for task in opened.tasks)}")
        rows: dict[str, Row] = {}
        if request.is_sweep and request.output is not None and not options.fresh:
            rows = self._finished(encoders, at, request.output)
        remaining = {name: encoder for name, encoder in encoders.items() if name not in rows}
        eraser = None if request.erasing is None else request.erasing.eraser
        while remaining:
            try:
                if request.erasing is not None:
                    refuse_leaks(request.erasing, photos)
                results = score_encoders(
                    list(remaining.values()),
                    photos,
                    opened.tasks,
                    options,
                    hashes=self._hashes(at),
                    log=self.log.info,
                    prefetch=prefetch,
                    on_embedded=partial(self._begin_next, at, prefetch),
                    eraser=eraser,
                    outcomes=NO_OUTCOMES if request.by_ranks is None else request.by_ranks.outcomes,
                )
            except EncoderCrash as error:  # of a worker; the others are scored without this one
                crashed = [name for name, encoder in remaining.items() if error.encoder in (name, encoder.info.id)]
                for name in crashed or list(remaining):
                    rows[name] = Row(name, photos.name, "failed", str(error), "")
                    remaining.pop(name)
                if not request.is_sweep:
                    self.fail(error.encoder, error)
            except CamtraceError as error:
                self.fail(photos.name, error)
                rows |= {name: Row(name, photos.name, "failed", str(error), "") for name in remaining}
                break
            else:
                for (name, encoder), scored in zip(remaining.items(), results, strict=True):
                    rows[name] = self._write(name, encoder, opened, scored)
                break
        self.rows += [rows[name] for name in encoders]

    def _hashes(self, at: int) -> PhotoHashes:
        if at not in self.hashes:
            self.hashes[at] = PhotoHashes(
                self.sets[at].photos, self.request.options.cache, verify=self.request.options.verify_bytes
            )
        return self.hashes[at]

    def _begin_next(self, at: int, prefetch: Prefetch, encoders: Sequence[Encoder]) -> None:
        """While tasks on one set are run, workers begin with the views of the next, unless a finished result may make
        them unnecessary."""
        if at + 1 < len(self.sets) and not self.request.is_sweep:
            photos, tasks, options = self.sets[at + 1].photos, self.sets[at + 1].tasks, self.request.options
            first = planned_passes(tasks, photos, options)[0]
            begin_next_views(prefetch, encoders, self._hashes(at + 1), first, options)

    def _finished(self, encoders: dict[str, Encoder], at: int, output: Path) -> dict[str, Row]:
        """Rows of the encoders that have a finished result in the folder of a sweep."""
        rows: dict[str, Row] = {}
        opened = self.sets[at]
        for name, encoder in encoders.items():
            finished = finished_result(output, encoder, opened, self._hashes(at), self.request.options)
            if finished is not None:
                folder, result = finished
                rows[name] = Row(name, opened.photos.name, "kept", what_failed(result), folder.as_posix(), result)
                self.log.info(f"kept: {name} on {opened.photos.name} ({result.created})")
        return rows

    def _write(self, name: str, encoder: Encoder, opened: OpenedSet, scored: Scored) -> Row:
        """The row of a new result, which is written if there is a folder for it."""
        request, photos = self.request, opened.photos
        spec = request.encoders[name].spec
        invocation = Invocation(spec, opened.spec, tuple(request.tasks), request.trust_remote_code, request.erasing)
        command = reproduce_command(invocation, encoder.info, photos, request.options)
        result = recorded(scored.result, command)
        if request.by_ranks is not None:
            result = made_by_ranks(result, request.by_ranks.machines)
        scored = replace(scored, result=result)
        result, reason, folder = scored.result, what_failed(scored.result), ""
        if request.is_sweep and not result.scores:
            return Row(name, photos.name, "failed", reason or "no task gave a score", "")
        if request.output is not None:
            written = write_scored(scored, request.output, single=request.single)
            folder = written.relative_to(request.output).as_posix()
        self.scored(scored)
        return Row(name, photos.name, "partial" if reason else "scored", reason, folder, result)


def _about(encoder: Encoder) -> str:
    info = encoder.info
    weights = f"weights {info.weights_sha256[:12]}" if info.weights_sha256 else "weights not identified"
    facts = [info.library, info.revision, weights, f"{info.dimension} numbers", info.pooling]
    return f"{info.id}: {', '.join(str(f) for f in facts if f)}; on {encoder.device} in {encoder.dtype}"
