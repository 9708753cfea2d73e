"""A rank at work on this machine: see that the machine agrees with the plan, work, say how far, mark the outcome."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from builders.cluster.markers import Finished, Markers, host
from builders.cluster.plan import Plan
from builders.cluster.storage import StorageFolder
from builders.errors import CamtraceError, DataError
from builders.untrusted import error_text

BEAT_S = 20.0
"""A rank says so often that it is at work."""

SILENT_MINUTES = 10.0
"""A rank in which no item was done for so long is said to be stuck."""

ProgressCallback = Callable[[int], object]
"""Told how many items are done since it was told last."""


@dataclass(frozen=True)
class RankResult:
    """What a rank made."""

    files: Mapping[str, str]
    """SHA-256 by path."""
    failures: int
    """Items that cannot be used, as the files record them."""


class Work(Protocol):
    """A kind of work on this machine: opened once, for any number of ranks."""

    def facts(self, units: Sequence[str]) -> Mapping[str, str]:
        """What this machine finds of that which the plan's ``facts`` hold and these units depend on."""
        ...

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Do them. What an earlier attempt finished is kept. Raises ``CamtraceError``."""
        ...

    def close(self) -> None:
        """Give back what it took of this machine."""
        ...


def work_ranks(
    plan: Plan,
    place: StorageFolder,
    ranks: Sequence[int],
    open_work: Callable[[], Work],
    *,
    told: Callable[[int, str], object] = lambda rank, reason: None,
    silent_minutes: float = SILENT_MINUTES,
) -> dict[int, str]:
    """Do ranks one after another; those that are done are left alone.

    Args:
        plan: read by ``read_plan``.
        place: its folder.
        ranks: numbers.
        open_work: opens photos, loads what is needed: called once, if there is anything to do.
        told: hears of each rank when it is done, with an empty reason, or has failed.
        silent_minutes: after which a rank says that nothing moves.

    Returns:
        One sentence by rank of those that failed.
    """
    markers = Markers(place, plan.name)
    failed: dict[int, str] = {}
    work: Work | None = None
    for rank in ranks:
        if not 0 <= rank < len(plan.ranks):
            raise DataError(f"rank {rank}: the plan has ranks 0 to {len(plan.ranks) - 1}")
        if markers.done(rank) is None:
            with _beating(markers, rank, silent_minutes) as beat:
                try:
                    if work is None:
                        work = open_work()
                    units = plan.ranks[rank].units
                    _agree(plan, work.facts(units))
                    made = work.run(units, beat.tick)
                    seconds = time.time() - beat.started
                    markers.finish(rank, Finished(made.files, beat.items, made.failures, round(seconds, 3), host()))
                except Exception as error:
                    failed[rank] = _sentence(error)
            if rank in failed:
                with suppress(CamtraceError):  # of a full disk: who started this rank is told all the same
                    markers.fail(rank, failed[rank])
        told(rank, failed.get(rank, ""))
    return failed


def _agree(plan: Plan, found: Mapping[str, str]) -> None:
    """Raises ``DataError`` that names what differs here from the plan."""
    for name, value in found.items():
        if plan.facts.get(name) != value:
            raise DataError(
                f"{host()}: {name} here: {value}; of the plan: {plan.facts.get(name, 'none')}. Nothing was made: "
                "what it would make is not what the other ranks make"
            )


class _Beat:
    """How far a rank is."""

    def __init__(self) -> None:
        self.started = self.moved = time.time()
        self.items = 0

    def tick(self, items: int = 1) -> None:
        self.items += items
        self.moved = time.time()


@contextmanager
def _beating(markers: Markers, rank: int, silent_minutes: float) -> Iterator[_Beat]:
    """A thread says that the rank is at work, and warns when nothing moves; the marker goes with it."""
    beat, over = _Beat(), threading.Event()
    markers.place.remove(f"{rank:05d}.failed.json")

    def run() -> None:
        warned = 0.0
        while True:
            with suppress(CamtraceError, OSError):
                markers.beat(rank, beat.started, beat.moved, beat.items)
            if over.wait(BEAT_S):
                return
            silent = time.time() - beat.moved
            if silent > 60 * silent_minutes and beat.moved > warned:
                warned = beat.moved
                print(
                    f"camtrace: warning: rank {rank} on {host()}: nothing was finished for {silent / 60:.0f} minutes "
                    f"({beat.items} items so far)",
                    file=sys.stderr,
                    flush=True,
                )

    thread = threading.Thread(target=run, daemon=True, name=f"rank {rank}")
    thread.start()
    try:
        yield beat
    finally:
        over.set()
        thread.join()
        with suppress(CamtraceError, OSError):
            markers.place.remove(f"{rank:05d}.running.json")


def _sentence(error: Exception) -> str:
    if os.environ.get("CAMTRACE_DEBUG"):
        traceback.print_exc()
    return error_text(error)


@dataclass(frozen=True)
class Finishing:
    """What ``finish`` is told besides the plan."""

    output: Path | None = None
    """A folder of this machine, instead of the planned output."""
    push_to: str | None = None
    """A repository of the Hub that takes what was made."""
    public: bool = False
    """Whether a new repository is public."""


class RankedWork(Protocol):
    """Of one command."""

    def planned(self, place: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Fields of the plan that this kind decides; ``files``: what lies beside it, by path.

        Args:
            place: of the plan.
            rank_seconds: that a rank should take.
            count: so many ranks instead.
        """
        ...

    def open(self, plan: Plan, place: StorageFolder) -> Work:
        """On this machine."""
        ...

    def finish(self, plan: Plan, done: Mapping[int, Finished], place: StorageFolder, how: Finishing) -> int:
        """When every rank is done: verify, merge, do what is left. The exit status."""
        ...
