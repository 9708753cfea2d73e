"""The plan: what a big job is, cut into ranks, and what every machine that works on it must agree on; one frozen file.

A plan is never changed. Whatever is done about it lies beside it: markers of ranks (``markers.py``) and what the kind
of work keeps there.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from builders.cluster.storage import StorageFolder
from builders.errors import DataError, UsageError
from builders.untrusted import describe_error, parse_json

PLAN_FILE = "plan.json"
"""In a folder of its own, beside what is made."""

RANKS = "ranks"
"""Folder of the markers, beside it."""

FORMAT = 1
"""Of the file."""


@dataclass(frozen=True)
class RankPlan:
    """One rank's share."""

    units: tuple[str, ...]
    """Names of the pieces of work, as its kind has them."""
    size: int
    """Items (photos, renders) in them, for bars and rates."""


@dataclass(frozen=True)
class Plan:
    """A big job. Read by strangers' machines, so plain values only."""

    kind: str
    """Of work, such as ``build`` or ``sweep``."""
    argv: tuple[str, ...]
    """The command that does the same without ranks, as words; ``OUTPUT`` stands for the address of the output."""
    output: str
    """Where the result goes."""
    ranks: tuple[RankPlan, ...]
    facts: Mapping[str, str]
    """What every machine must find: by name, as text. The first that differs is named."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the kind of work needs besides, as JSON values."""
    estimate: Mapping[str, Any] = field(default_factory=dict)
    """``seconds`` of all ranks one after another and ``bytes`` that are kept, as measured when it was made."""

    @property
    def name(self) -> str:
        """16 hex digits that name it: markers of another plan do not count."""
        return hashlib.sha256(_to_json(self).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Items of all ranks."""
        return sum(rank.size for rank in self.ranks)


def write_plan(plan: Plan, place: StorageFolder, files: Mapping[str, bytes] | None = None) -> None:
    """Freeze it.

    Args:
        plan: to be frozen.
        place: its folder.
        files: that lie beside it, by path: written before it, so that a plan always has them.

    Raises:
        UsageError: another plan is there.
        DiskError: it cannot be written.
    """
    there = place.read(PLAN_FILE)
    if there is not None and there.decode("utf-8", "replace") != _to_json(plan):
        raise UsageError(
            f"{place}: holds another plan (other photos, settings, code or cut); finish it, or name another --output"
        )
    if there is None:
        for name, data in (files or {}).items():
            place.write(name, data)
        place.write(PLAN_FILE, _to_json(plan).encode())


def retire_plan(place: StorageFolder) -> None:
    """Make room for another plan: what this one made is elsewhere, and nobody works on it."""
    place.remove(PLAN_FILE)
    ranks = place / RANKS
    for name in ranks.names():
        ranks.remove(name)


def read_plan(address: str) -> tuple[Plan, StorageFolder]:
    """A plan and its folder.

    Args:
        address: of the folder, or of ``plan.json`` in it.

    Raises:
        DataError: there is none, or none that can be read.
    """
    place = StorageFolder.of(address.removesuffix(PLAN_FILE) if address.endswith(f"/{PLAN_FILE}") else address)
    if address == PLAN_FILE:
        place = StorageFolder.of(".")
    data = place.read(PLAN_FILE) if place.folder is None or place.folder.is_dir() else None
    if data is None:
        raise DataError(f"{address}: no plan is there; 'camtrace plan' makes one and says where it is")
    raw = parse_json(data.decode("utf-8", "replace"), place.path(PLAN_FILE))
    try:
        if raw["format"] != FORMAT:
            raise DataError(f"{place}: a plan of format {raw['format']!r}, this camtrace reads {FORMAT}")
        ranks = tuple(RankPlan(tuple(map(str, r["units"])), int(r["size"])) for r in raw["ranks"])
        facts = {str(name): str(value) for name, value in raw["facts"].items()}
        plan = Plan(
            str(raw["kind"]),
            tuple(map(str, raw["argv"])),
            str(raw["output"]),
            ranks,
            facts,
            dict(raw["notes"]),
            dict(raw["estimate"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{place.path(PLAN_FILE)}: no plan of camtrace ({describe_error(error)})") from None
    return plan, place


def cut(units: Sequence[tuple[str, int, float]], seconds: float, count: int | None = None) -> list[RankPlan]:
    """Neighbouring units into ranks of about one length.

    Args:
        units: (name, items, seconds as measured) of each.
        seconds: that a rank should take.
        count: so many ranks instead, or as many as there are units.

    >>> cut([("a", 64, 2.0), ("b", 64, 2.0), ("c", 10, 0.5)], 4.0)
    [RankPlan(units=('a',), size=64), RankPlan(units=('b', 'c'), size=74)]
    >>> [len(rank.units) for rank in cut([(str(i), 1, 1.0) for i in range(10)], 60.0, count=3)]
    [3, 4, 3]
    """
    total = sum(cost for _, _, cost in units) or 1.0
    wanted = max(1, min(len(units), count if count is not None else math.ceil(total / max(seconds, 1e-9))))
    shares: dict[int, list[tuple[str, int]]] = {}
    before = 0.0
    for name, items, cost in units:
        shares.setdefault(min(wanted - 1, int((before + cost / 2) / total * wanted)), []).append((name, items))
        before += cost
    return [RankPlan(tuple(name for name, _ in share), sum(items for _, items in share)) for share in shares.values()]


@functools.cache
def code_version(packages: Sequence[str]) -> str:
    """The version, and 16 hex digits over the sources of packages: machines with other code would make other bytes."""
    import importlib

    digest = hashlib.sha256()
    for package in packages:
        module = importlib.import_module(package)
        home = Path(str(module.__file__)).parent
        for path in _sources(home):
            digest.update(path.relative_to(home.parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    try:
        version = metadata.version("camtrace")
    except metadata.PackageNotFoundError:
        version = "dev"
    return f"{version} ({digest.hexdigest()[:16]})"


def _sources(home: Path) -> Iterable[Path]:
    found = [path for suffix in ("*.py", "*.yaml", "*.jinja") for path in home.rglob(suffix)]
    return sorted(path for path in found if "node_modules" not in path.parts)


def _to_json(plan: Plan) -> str:
    return json.dumps({"format": FORMAT, **asdict(plan)}, indent=1, sort_keys=True) + "\n"
