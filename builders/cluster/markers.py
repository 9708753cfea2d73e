"""What became of each rank, beside the plan: done, failed with its reason, or running and how far.

``ranks/00003.done.json`` is written last and names every file of the rank with its SHA-256: a rank is done or it is
not, whatever kills it. A marker of another plan, or one that does not match its own checksum, does not count.
"""

from __future__ import annotations

import json
import os
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from builders.cluster.plan import RANKS
from builders.cluster.storage import StorageFolder
from builders.errors import CamtraceError
from builders.untrusted import parse_json


@dataclass(frozen=True)
class Finished:
    """What a done rank says."""

    files: Mapping[str, str]
    """SHA-256 by path of what it made."""
    items: int
    """That it really worked on; the rest was there already."""
    failures: int
    """Items that cannot be used, as its files record them."""
    seconds: float
    host: str = ""


@dataclass(frozen=True)
class Failed:
    """Why a rank is not done."""

    reason: str
    """One sentence."""
    host: str
    at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Running:
    """What a rank says of itself from time to time."""

    host: str
    process: int
    started: float
    """Seconds since 1970."""
    at: float
    """When it was written."""
    moved: float
    """When an item was done last."""
    items: int
    """Done so far."""


@dataclass
class States:
    """Of all ranks of a plan that have one."""

    done: dict[int, Finished] = field(default_factory=dict)
    failed: dict[int, Failed] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)


class Markers:
    """Of one plan."""

    def __init__(self, place: StorageFolder, plan: str) -> None:
        self.place = place / RANKS
        self._plan = plan

    def done(self, rank: int) -> Finished | None:
        """What a rank that is done says; None if it is not."""
        found: Finished | None = self._read(f"{rank:05d}.done.json", Finished)
        return found

    def finish(self, rank: int, finished: Finished) -> None:
        """From here on a rank is done."""
        self._write(f"{rank:05d}.done.json", asdict(finished))
        self.clear(rank)

    def fail(self, rank: int, reason: str) -> None:
        """It is not, and why."""
        self._write(f"{rank:05d}.failed.json", asdict(Failed(reason, host(), time.time())))
        self.place.remove(f"{rank:05d}.running.json")

    def beat(self, rank: int, started: float, moved: float, items: int) -> None:
        """It is at work."""
        running = Running(host(), os.getpid(), started, time.time(), moved, items)
        self._write(f"{rank:05d}.running.json", asdict(running))

    def clear(self, rank: int) -> None:
        """It is neither running nor failed."""
        for state in ("running", "failed"):
            self.place.remove(f"{rank:05d}.{state}.json")

    def all(self) -> States:
        """Every rank's, by one listing."""
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
                kind, found = kinds[state]
                marker = self._read(name, kind)
                if marker is not None:
                    found[int(number)] = marker
        for rank in states.done:
            states.failed.pop(rank, None)
            states.running.pop(rank, None)
        for rank, running in list(states.running.items()):
            if rank in states.failed and states.failed[rank].at > running.at:
                del states.running[rank]
        return states

    def sweep(self) -> None:
        """Nobody works any more: markers of ranks that were killed, or failed once, go."""
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
            seal = content.pop("crc32", None)
            if seal != _crc32(content) or content.pop("plan", None) != self._plan:
                return None
            return kind(**content)
        except (CamtraceError, ValueError, TypeError):
            return None


def host() -> str:
    """The name of this machine; of a node, as its scheduler calls it."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _crc32(content: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
