"""Runs ranks on this machine: compares the machine with the plan, works, reports progress, writes the outcome."""

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

from builders.cluster.machine import machine_facts, versions_here
from builders.cluster.markers import Finished, Markers, host
from builders.cluster.plan import Plan
from builders.cluster.rank_files import LATE_S
from builders.cluster.status import BEAT_S, SILENT_MINUTES, ranks_text
from builders.cluster.storage import StorageFolder
from builders.errors import CamtraceError, DataError
from builders.untrusted import error_text

ProgressCallback = Callable[[int], object]
"""Called with the number of items done since the last call."""


@dataclass(frozen=True)
class RankResult:
    """Outcome of the work of a rank."""

    files: Mapping[str, str]
    """SHA-256 of each written file, by path."""
    failures: int
    """Number of items that cannot be used, as the files record them."""


class Work(Protocol):
    """A kind of work, opened on this machine once for any number of ranks."""

    device: str
    """Name of the device that computes."""

    def facts(self, units: Sequence[str]) -> Mapping[str, str]:
        """Values on this machine of those of the plan's ``facts`` on which these units depend."""
        ...

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Do the units; those that an earlier attempt finished are not done again. Raises ``CamtraceError``."""
        ...

    def close(self) -> None:
        """Release resources of this machine."""
        ...


def work_ranks(
    plan: Plan,
    place: StorageFolder,
    ranks: Sequence[int],
    open_work: Callable[[], Work],
    *,
    on_rank: Callable[[int, str], object] = lambda rank, reason: None,
    silent_minutes: float = SILENT_MINUTES,
) -> dict[int, str]:
    """Do ranks one after another; finished ones are skipped. A rank whose needed ranks are not done is not begun.

    Args:
        plan: read by ``read_plan``.
        place: its folder.
        ranks: numbers.
        open_work: opens photos and loads models; called once, if any rank is missing.
        on_rank: called for each rank when it is done, with an empty reason, or has failed, with the reason.
        silent_minutes: minutes without a finished item after which a warning is printed.

    Returns:
        Failed ranks, with the reason in one sentence.
    """
    markers = Markers(place, plan.name)
    failed: dict[int, str] = {}
    work: Work | None = None
    for rank in ranks:
        if not 0 <= rank < len(plan.ranks):
            raise DataError(f"rank {rank}: the plan has ranks 0 to {len(plan.ranks) - 1}")
        if markers.done(rank) is None:
            if reason := _unready(plan, rank, markers):
                failed[rank] = reason
                on_rank(rank, reason)
                continue
            with _beating(markers, rank, silent_minutes) as beat:
                try:
                    check_facts(plan, versions_here(plan.facts))
                    if work is None:
                        work = open_work()
                    units = plan.ranks[rank].units
                    check_facts(plan, work.facts(units))
                    result = work.run(units, beat.tick)
                    seconds = round(time.time() - beat.started, 3)
                    machine = machine_facts(plan.facts, work.device)
                    markers.finish(rank, Finished(result.files, beat.items, result.failures, seconds, host(), machine))
                except Exception as error:
                    failed[rank] = _sentence(error)
            if rank in failed:
                with suppress(CamtraceError):  # of a full disk: the caller gets the reason in any case
                    markers.fail(rank, failed[rank])
        on_rank(rank, failed.get(rank, ""))
    return failed


def _unready(plan: Plan, rank: int, markers: Markers) -> str:
    """Why a rank cannot be begun: ranks that it needs are not done; empty if it can."""
    needed = plan.lacking(rank, ())
    lacking = [other for other in needed if markers.done(other) is None]
    if not lacking:
        return ""
    done = f"{len(needed) - len(lacking)} of the {len(needed)} ranks that it needs are done"
    return f"{done}; first do {ranks_text(lacking)}, then it again"


def check_facts(plan: Plan, facts: Mapping[str, str]) -> None:
    """Raise ``DataError`` for the first fact of this machine that differs from the plan."""
    for name, value in facts.items():
        if plan.facts.get(name) != value:
            raise DataError(
                f"{host()}: {name} here: {value}; of the plan: {plan.facts.get(name, 'none')}. Nothing was made: "
                "what it would make is not what the other ranks make"
            )


class _Beat:
    """Progress of a rank."""

    def __init__(self) -> None:
        self.started = self.moved = time.time()
        self.items = 0

    def tick(self, items: int = 1) -> None:
        self.items += items
        self.moved = time.time()


@contextmanager
def _beating(markers: Markers, rank: int, silent_minutes: float) -> Iterator[_Beat]:
    """Within it a thread writes progress markers, and warns when no item is finished. Removes the marker at the end."""
    beat, ended = _Beat(), threading.Event()
    markers.place.remove(f"{rank:05d}.failed.json")

    def run() -> None:
        warned = 0.0
        while True:
            with suppress(CamtraceError, OSError):
                markers.beat(rank, beat.started, beat.moved, beat.items)
            if ended.wait(BEAT_S):
                return
            silent_s = time.time() - beat.moved
            if silent_s > 60 * silent_minutes and beat.moved > warned:
                warned = beat.moved
                print(
                    f"camtrace: warning: rank {rank} on {host()}: nothing was finished for {silent_s / 60:.0f} minutes "
                    f"({beat.items} items so far)",
                    file=sys.stderr,
                    flush=True,
                )

    thread = threading.Thread(target=run, daemon=True, name=f"rank {rank}")
    thread.start()
    try:
        yield beat
    finally:
        ended.set()
        thread.join()
        with suppress(CamtraceError, OSError):
            markers.place.remove(f"{rank:05d}.running.json")


def _sentence(error: Exception) -> str:
    if os.environ.get("CAMTRACE_DEBUG"):
        traceback.print_exc()
    return error_text(error)


@dataclass(frozen=True)
class FinishOptions:
    """Options of ``finish``."""

    output: Path | None
    """A folder of this machine, instead of the planned output."""
    push_to: str | None
    """Repository of the Hub to which the output is uploaded."""
    public: bool
    """True if a new repository is to be public."""
    wait_s: float = LATE_S
    """Seconds to wait for a file that a shared disk does not show yet."""
    remove_blocks: bool = False
    """Remove the files of ranks in the folder of the plan, once their content is merged."""


class RankedWork(Protocol):
    """A command whose work can be cut into ranks."""

    def planned(self, place: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Fields of the plan that depend on the kind of work; ``files``: further files in the plan's folder, by path.

        Args:
            place: folder of the plan.
            rank_seconds: time that a rank should take.
            count: number of ranks instead.
        """
        ...

    def open(self, plan: Plan, place: StorageFolder) -> Work:
        """Open the work on this machine."""
        ...

    def finish(self, plan: Plan, done: Mapping[int, Finished], place: StorageFolder, how: FinishOptions) -> int:
        """Verify and merge the results once every rank is done. Returns the exit status."""
        ...
