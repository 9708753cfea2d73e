"""State of each rank in files of the plan's folder: done, failed with a reason, or running with its progress.

``ranks/00003.done.json`` is written last and has the SHA-256 of every file of the rank, so that a killed rank is either
done or not. A marker of another plan, without its checksum, or with files that lie elsewhere is ignored.
"""

from __future__ import annotations

import json
import os
import socket
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from builders.cluster.plan import PLAN_FILE, RANKS
from builders.cluster.storage import StorageFolder
from builders.errors import CamtraceError
from builders.untrusted import is_readable, parse_json


@dataclass(frozen=True)
class Finished:
    """Marker of a finished rank."""

    files: Mapping[str, str]
    """SHA-256 of each file that it wrote, by path."""
    items: int
    """Items that it worked on, without those that existed already."""
    failures: int
    """Items that cannot be used, as its files record them."""
    seconds: float
    host: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)
    """Device, Python and versions of packages (``machine_facts``)."""


@dataclass(frozen=True)
class Failed:
    """Marker of a failed rank."""

    reason: str
    """One sentence."""
    host: str
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Running:
    """Marker of a running rank, written every ``BEAT_S`` seconds."""

    host: str
    process: int
    started: float
    """Seconds since 1970."""
    at: float
    """When the marker was written."""
    moved: float
    """When the last item was finished."""
    items: int
    """Items done so far."""


@dataclass
class States:
    """Markers of the ranks of a plan, by rank; a rank is in at most one of the three."""

    done: dict[int, Finished] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)


class Markers:
    """Markers of the ranks of a plan.

    Args:
        place: folder of the plan.
        plan: its name.
    """

    def __init__(self, place: StorageFolder, plan: str) -> None:
        self.place = place / RANKS
        self._plan = plan

    def done(self, rank: int) -> Finished | None:
        """The marker of a finished rank; None if the rank is not done."""
        marker: Finished | None = self._read(f"{rank:05d}.done.json", Finished)
        return marker

    def finish(self, rank: int, finished: Finished) -> None:
        """Mark a rank as done."""
        self._write(f"{rank:05d}.done.json", asdict(finished))
        self.clear(rank)

    def fail(self, rank: int, reason: str, node: str = "") -> None:
        """Mark a rank as failed on a node, by default on this one."""
        self._write(f"{rank:05d}.failed.json", asdict(Failed(reason, node or host(), time.time())))
        self.place.remove(f"{rank:05d}.running.json")

    def set_back(self, rank: int, reason: str, node: str) -> None:
        """Mark a finished rank as failed, so that it is done again."""
        self.fail(rank, reason, node)
        self.place.remove(f"{rank:05d}.done.json")

    def beat(self, rank: int, started: float, moved: float, items: int) -> None:
        """Mark a rank as running."""
        running = Running(host(), os.getpid(), started, time.time(), moved, items)
        self._write(f"{rank:05d}.running.json", asdict(running))

    def clear(self, rank: int) -> None:
        """Remove the markers of a rank as running or failed."""
        for state in ("running", "failed"):
            self.place.remove(f"{rank:05d}.{state}.json")

    def all(self) -> States:
        """Markers of all ranks, by a single listing."""
        states = States()
        kinds: dict[str, tuple[type[Any], dict[int, Any]]] = {
            "done": (Finished, states.done),
            "failed": (Failed, states.failed),
            "running": (Running, states.running),
        }
        for name in self.place.names():
            number, _, rest = name.partition(".")
            state = rest.removesuffix(".json")
            if number.isdecimal() and rest.endswith(".json") and state in kinds:
                kind, by_rank = kinds[state]
                marker = self._read(name, kind)
                if marker is not None:
                    by_rank[int(number)] = marker
        for rank in states.done:
            states.failed.pop(rank, None)
            states.running.pop(rank, None)
        for rank, running in list(states.running.items()):
            if rank in states.failed and states.failed[rank].at > running.at:
                del states.running[rank]
        return states

    def sweep(self) -> None:
        """Remove markers of killed and failed ranks. No rank may be running."""
        for name in self.place.names():
            if name.endswith((".running.json", ".failed.json")):
                self.place.remove(name)

    def _write(self, name: str, values: Mapping[str, Any]) -> None:
        content = {"plan": self._plan, **values}
        self.place.write(name, (json.dumps({**content, "crc32": _crc32(content)}, sort_keys=True) + "\n").encode())

    def _read(self, name: str, kind: type[Any]) -> Any:
        try:
            data = self.place.read(name)
            content = dict(parse_json(data.decode("utf-8"), name)) if data is not None else {}
            checksum = content.pop("crc32", None)
            if checksum != _crc32(content) or content.pop("plan", None) != self._plan:
                return None
            marker = kind(**content)
            return marker if _is_sound(marker) else None
        except (CamtraceError, ValueError, TypeError):
            return None


def _is_sound(marker: Any) -> bool:
    """Whether the values of a marker have the types that they say, and its files lie below the folder of the plan."""
    types: dict[str, Callable[[Any], bool]] = {
        "str": lambda value: isinstance(value, str),
        "int": lambda value: isinstance(value, int) and abs(value) < _MOST,
        "float": lambda value: isinstance(value, int | float) and abs(value) < _MOST,
        "Mapping[str, str]": lambda value: (
            isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
        ),
    }
    if not all(types[str(declared.type)](getattr(marker, declared.name)) for declared in fields(marker)):
        return False
    return all(map(_may_be_of_rank, getattr(marker, "files", ())))


_MOST = 1e15
"""No number of a marker is larger: seconds, items, numbers of processes."""


def _may_be_of_rank(path: str) -> bool:
    """Whether a rank may have written a file: below the folder of the plan, and neither the plan nor a marker.

    >>> [_may_be_of_rank(path) for path in ("banks/1f/rows.npy", "../other", "/etc/passwd", "plan.json", "a//b")]
    [True, False, False, False, False]
    """
    parts = path.split("/")
    return parts[0] not in (PLAN_FILE, RANKS) and is_readable(path) and not {"", ".", ".."} & set(parts)


def host() -> str:
    """The name of this machine; of a Slurm node, its name in Slurm."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _crc32(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
