"""Progress of a plan: a table for people, and the next command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builders.cluster.markers import Markers, Running, States, host
from builders.cluster.plan import Plan
from builders.cluster.storage import StorageFolder
from builders.files import is_running

BEAT_S = 20.0
"""Seconds between two progress markers of a running rank."""

SILENT_MINUTES = 10.0
"""A rank that has finished no item for so long is reported as stuck."""

GONE_S = 5 * BEAT_S
"""A rank without a progress marker for so long was killed, or its machine."""


@dataclass(frozen=True)
class Progress:
    """State of the ranks of a plan at a moment."""

    plan: Plan
    states: States
    now: float
    """Seconds since 1970."""

    @property
    def done(self) -> list[int]:
        return sorted(self.states.done)

    @property
    def missing(self) -> list[int]:
        """Ranks that are not done, in whatever state."""
        return [rank for rank in range(len(self.plan.ranks)) if rank not in self.states.done]

    @property
    def running(self) -> list[int]:
        """Ranks with a recent progress marker whose process, as far as this machine can see it, has not ended."""
        recent = {rank: marker for rank, marker in self.states.running.items() if self.now - marker.at <= GONE_S}
        return sorted(rank for rank, marker in recent.items() if not _has_ended(marker))

    @property
    def gone(self) -> list[int]:
        """Ranks whose last progress marker is old, or whose process on this machine has ended: killed."""
        return sorted(set(self.states.running) - set(self.running))

    @property
    def rate(self) -> float:
        """Items a second of all running ranks, estimated from finished ranks of their stages; 0 if none is finished."""
        finished = [self.states.done[rank] for rank in self._current(self.done)]
        seconds, items = sum(done.seconds for done in finished), sum(done.items for done in finished)
        return len(self.running) * items / seconds if seconds else 0.0

    def _current(self, ranks: Sequence[int]) -> list[int]:
        """Those that need the same ranks as one that is running: items of other stages take another time."""
        needs = {self.plan.ranks[rank].needs for rank in self.running}
        return [rank for rank in ranks if self.plan.ranks[rank].needs in needs]

    @property
    def more_stages(self) -> bool:
        """Whether missing ranks need those that run."""
        return len(self._current(self.missing)) < len(self.missing)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds until the stages that run are done; None if no rank of them is running or finished."""
        left = sum(self.plan.ranks[rank].size for rank in self._current(self.missing))
        under_way = sum(self.states.running[rank].items for rank in self.running)
        return max(0, left - under_way) / self.rate if self.rate else None


def _has_ended(marker: Running) -> bool:
    """Whether the process of a rank has ended. False for one of another machine, of which only markers tell."""
    return marker.host == host() and not is_running(marker.process, since=marker.started)


def progress(plan: Plan, place: StorageFolder) -> Progress:
    """Read the markers of a plan."""
    return Progress(plan, Markers(place, plan.name).all(), time.time())


def state_text(now: Progress, place: StorageFolder, *, most: int = 20) -> str:
    """A table for people: counts, failed, killed and running ranks, and the next command."""
    plan, states = now.plan, now.states
    waiting = len(now.missing) - len(now.running) - len(states.failed) - len(now.gone)
    items = sum(plan.ranks[rank].size for rank in now.done)
    failures = sum(done.failures for done in states.done.values())
    rows = [
        ("ranks", f"{len(plan.ranks)}: {len(now.done)} done, {len(now.running)} running, {len(states.failed)} failed, "
         f"{len(now.gone)} killed, {max(0, waiting)} waiting"),
        ("items", f"{items:,} of {plan.size:,}" + (f", {failures:,} of them cannot be used" if failures else "")),
        ("rate", f"{now.rate:,.1f} items a second" if now.rate else "not known yet"),
        ("time left", _duration(now.seconds_left) + (", then the ranks that need these" if now.more_stages else "")
         if now.seconds_left is not None else "not known yet"),
    ]  # fmt: skip
    lines = [f"{name:<10} {value}" for name, value in rows]
    lines += [f"rank {rank}: failed on {states.failed[rank].host}: {states.failed[rank].reason}"
              for rank in sorted(states.failed)[:most]]  # fmt: skip
    lines += [f"rank {rank}: killed on {states.running[rank].host} after {states.running[rank].items:,} items"
              for rank in now.gone[:most]]  # fmt: skip
    for rank in now.running[:most]:
        marker = states.running[rank]
        silent = (now.now - marker.moved) / 60
        stuck = f", nothing was finished for {silent:.0f} minutes" if silent > SILENT_MINUTES else ""
        done = f"{marker.items:,} of {plan.ranks[rank].size:,} items"
        lines.append(f"rank {rank}: running on {marker.host}, {done}, {_duration(now.now - marker.started)}{stuck}")
    hidden = sum(max(0, len(ranks) - most) for ranks in (states.failed, now.gone, now.running))
    if hidden:
        lines.append(f"and {hidden} more")
    lines.append(f"next: {_next_step(now, place)}")
    return "\n".join(lines)


def state_record(now: Progress, place: StorageFolder) -> dict[str, Any]:
    """What ``state_text`` says, for programs: ranks by state, items, items a second, seconds left, the next command."""
    states, running = now.states, now.states.running
    return {
        "plan": str(place),
        "ranks": len(now.plan.ranks),
        "done": now.done,
        "running": [_rank_record(rank, running[rank].host, items=running[rank].items) for rank in now.running],
        "failed": [_rank_record(r, failed.host, reason=failed.reason) for r, failed in sorted(states.failed.items())],
        "killed": [_rank_record(rank, running[rank].host, items=running[rank].items) for rank in now.gone],
        "items": now.plan.size,
        "items_done": sum(now.plan.ranks[rank].size for rank in now.done),
        "items_unusable": sum(done.failures for done in states.done.values()),
        "items_per_second": now.rate or None,
        "seconds_left": now.seconds_left,
        "next": _next_step(now, place),
    }


def _rank_record(rank: int, host: str, **fields: Any) -> dict[str, Any]:
    return {"rank": rank, "host": host, **fields}


def _next_step(now: Progress, place: StorageFolder) -> str:
    """The command to run next, or what to wait for."""
    if not now.missing:
        return f"camtrace finish {place}"
    if now.running and len(now.running) == len(now.missing):
        return "wait: every rank that is missing is at work"
    again = "; what is done is not done again" if now.done else ""
    return f"camtrace work {place} ({count_text(len(now.missing), 'rank')}; --engine for a cluster{again})"


def count_text(count: int, noun: str) -> str:
    """A number and a noun in the right form.

    >>> count_text(1, "rank"), count_text(1200, "task")
    ('1 rank', '1,200 tasks')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _duration(seconds: float) -> str:
    """
    >>> _duration(40), _duration(5400), _duration(200_000)
    ('40 s', '1 h 30 min', '55 h 33 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def ranks_text(ranks: Sequence[int]) -> str:
    """Ranks as an argument of ``--rank``.

    >>> ranks_text([0, 1, 2, 7])
    '0-2,7'
    """
    parts: list[list[int]] = []
    for rank in ranks:
        if parts and rank == parts[-1][1] + 1:
            parts[-1][1] = rank
        else:
            parts.append([rank, rank])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
