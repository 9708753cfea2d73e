"""The plan of a big job in a frozen file: its ranks, and the facts that must be equal on every machine.

A plan is never changed. Its folder also contains markers of ranks (``markers.py``) and files of the kind of work.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from builders.cluster.storage import StorageFolder
from builders.errors import DataError, UsageError
from builders.untrusted import describe_error, parse_json

PLAN_FILE = "plan.json"
"""Name of the file, in a folder of the plan alone."""

RANKS = "ranks"
"""Folder of the markers, in the folder of the plan."""

FORMAT = 1
"""Version of the file format."""

MOST_RANKS = 1_000_000
"""No plan has more ranks."""


@dataclass(frozen=True)
class RankPlan:
    """The work of a rank."""

    units: tuple[str, ...]
    """Names of the units of work, as its kind defines them."""
    size: int
    """Number of items (photos, renders, tasks) in them, for bars and rates."""
    needs: str = ""
    """Ranks that must be done before it, as of ``--rank``; each has a lower number."""


@dataclass(frozen=True)
class Plan:
    """A big job. Other machines read it as an untrusted file, so it has plain values only."""

    kind: str
    """Kind of work, such as ``build`` or ``sweep``."""
    argv: tuple[str, ...]
    """The command that does the same without ranks, as words; ``OUTPUT`` stands for the address of the output."""
    output: str
    """Address of the result."""
    ranks: tuple[RankPlan, ...]
    facts: Mapping[str, str]
    """Values that must be equal on every machine, by name. An error names the first that differs."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Further values of the kind of work, as JSON values."""
    estimate: Mapping[str, Any] = field(default_factory=dict)
    """``seconds`` of all ranks one after another and ``bytes`` of the output, as measured when the plan was made."""

    @property
    def name(self) -> str:
        """16 hex digits of its content: markers with another name are ignored."""
        return hashlib.sha256(_to_json(self).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """Number of items of all ranks."""
        return sum(rank.size for rank in self.ranks)

    def lacking(self, rank: int, done: Collection[int]) -> list[int]:
        """The ranks that a rank needs and that are not done."""
        return [needed for needed in rank_numbers(self.ranks[rank].needs) if needed not in done]

    def stages(self, ranks: Iterable[int]) -> list[list[int]]:
        """Ranks in stages: those of a stage need only ranks of the stages before it.

        >>> ranks = (RankPlan(("a",), 1), RankPlan(("b",), 1), RankPlan(("c",), 1, needs="0-1"))
        >>> Plan("count", (), "out", ranks, {}).stages([1, 2])
        [[1], [2]]
        """
        levels: list[int] = []
        for rank in self.ranks:
            levels.append(max((levels[needed] + 1 for needed in rank_numbers(rank.needs)), default=0))
        chosen = list(ranks)
        return [[r for r in chosen if levels[r] == level] for level in sorted({levels[r] for r in chosen})]


def rank_numbers(text: str) -> list[int]:
    """Numbers of ranks from text.

    Raises:
        ValueError: it is no list of numbers and ranges up to ``MOST_RANKS``, or a range ends before it begins.

    >>> rank_numbers("0-2,7"), rank_numbers("")
    ([0, 1, 2, 7], [])
    """
    ranks: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError(f"{part!r} is neither a number nor a range of numbers")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers or numbers[-1] > MOST_RANKS:  # a plan is untrusted: its ranges could fill the memory
            raise ValueError(f"{part!r} is no range of ranks")
        ranks += numbers
    return list(dict.fromkeys(ranks))


def write_plan(plan: Plan, place: StorageFolder, files: Mapping[str, bytes] | None = None) -> None:
    """Write a plan to its folder.

    Args:
        plan: to be written.
        place: its folder.
        files: further files of the folder, by path: written before the plan, so that a plan always has them.

    Raises:
        UsageError: the folder has another plan.
        DiskError: it cannot be written.
    """
    existing = place.read(PLAN_FILE)
    if existing is not None and existing.decode("utf-8", "replace") != _to_json(plan):
        raise UsageError(
            f"{place}: holds another plan (other photos, settings, code or cut); finish it, or name another --output"
        )
    if existing is None:
        for name, data in (files or {}).items():
            place.write(name, data)
        place.write(PLAN_FILE, _to_json(plan).encode())


def retire_plan(place: StorageFolder) -> None:
    """Remove a plan and its markers, so that another can be written. No rank may be running; the output stays."""
    place.remove(PLAN_FILE)
    ranks = place / RANKS
    for name in ranks.names():
        ranks.remove(name)


def read_plan(address: str) -> tuple[Plan, StorageFolder]:
    """Read a plan. Returns it with its folder.

    Args:
        address: of the folder, or of ``plan.json`` in it.

    Raises:
        DataError: there is no plan, or it cannot be read.
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
        ranks = tuple(
            RankPlan(tuple(map(str, r["units"])), int(r["size"]), str(r.get("needs", ""))) for r in raw["ranks"]
        )
        if any(needed >= rank for rank, planned in enumerate(ranks) for needed in rank_numbers(planned.needs)):
            raise ValueError("a rank needs one that comes after it")
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
    """Group neighbouring units into ranks of about equal duration.

    Args:
        units: (name, number of items, measured seconds) of each.
        seconds: time that a rank should take.
        count: number of ranks instead, at most the number of units. No rank is empty, however unequal the units are.

    >>> cut([("a", 64, 2.0), ("b", 64, 2.0), ("c", 10, 0.5)], 4.0)
    [RankPlan(units=('a',), size=64, needs=''), RankPlan(units=('b', 'c'), size=74, needs='')]
    >>> [len(rank.units) for rank in cut([(str(i), 1, 1.0) for i in range(10)], 60.0, count=3)]
    [3, 4, 3]
    """
    total = sum(cost for _, _, cost in units) or 1.0
    n_ranks = max(1, min(len(units), count if count is not None else math.ceil(total / max(seconds, 1e-9))))
    shares: list[list[tuple[str, int]]] = []
    before = 0.0
    for i, (name, items, cost) in enumerate(units):
        wanted = int((before + cost / 2) / total * n_ranks)
        needed = n_ranks - (len(units) - i)  # the units that are left fill the ranks that are left
        if not shares or (max(wanted, needed) >= len(shares) and len(shares) < n_ranks):
            shares.append([])
        shares[-1].append((name, items))
        before += cost
    return [RankPlan(tuple(name for name, _ in share), sum(items for _, items in share)) for share in shares]


@functools.cache
def code_version(packages: Sequence[str]) -> str:
    """The version, and 16 hex digits over the sources of packages: other code would write other bytes."""
    import importlib

    digest = hashlib.sha256()
    for package in packages:
        module = importlib.import_module(package)
        folder = Path(str(module.__file__)).parent
        for path in _sources(folder):
            digest.update(path.relative_to(folder.parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    try:
        version = metadata.version("camtrace")
    except metadata.PackageNotFoundError:
        version = "dev"
    return f"{version} ({digest.hexdigest()[:16]})"


def _sources(folder: Path) -> Iterable[Path]:
    paths = [path for suffix in ("*.py", "*.yaml", "*.jinja") for path in folder.rglob(suffix)]
    return sorted(path for path in paths if "node_modules" not in path.parts)


def _to_json(plan: Plan) -> str:
    return json.dumps({"format": FORMAT, **asdict(plan)}, indent=1, sort_keys=True) + "\n"
