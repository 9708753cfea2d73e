"""Fetching by ranks: the plan freezes lists of what to fetch, ranks fetch files, ``finish`` takes them into the state.

The state is one SQLite file, which machines cannot share. So ranks never open it: each reads its list beside the plan,
puts files and rows there, and whoever finishes brings both into the state, every file against its hash. The limits of
a run (``--connections``, ``--per-host``) are divided by the ranks, so that however many run at once, a host sees no
more of us than of one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from builders.cluster import (
    Finished,
    FinishOptions,
    Plan,
    ProgressCallback,
    RankPlan,
    RankResult,
    StorageFolder,
    cut,
    read_plan,
    retire_plan,
)
from builders.dataset import file_sha256
from builders.errors import DataError, DiskError, UsageError, disk_error
from builders.files import scratch_prefix, temporary_path
from builders.flickrexif.api.clock import Clock, SystemClock
from builders.flickrexif.fetch.fetch import all_wanted, count_row, insert_rows, refuse_placeholders, worth_another_try
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan, FileRow, Wanted, fetch_into
from builders.flickrexif.store.store import FILES, State
from builders.flickrexif.store.tombstones import bury
from builders.untrusted import parse_json

ROWS = "rows"
"""Folder beside the plan, with a file for each unit."""

_THREADS = 8
"""Files that are verified at once."""

_PATH = re.compile(rf"{FILES}/\d\d/\d\d/\d+_[a-z0-9]+\.[a-z]+", re.ASCII)


def take_into(state: State, place: StorageFolder, files: Mapping[str, str]) -> FetchCounts:
    """Take all of it; again after an interruption, only what is missing.

    Args:
        state: that takes it.
        place: of the plan.
        files: SHA-256 by path of all files of rows, as the ranks said.

    Raises:
        DataError: a file is not there, or not what its rank wrote.
        DiskError: the state's disk is full.
    """
    return _Taking(state, place).take(files)


def rows_path(unit: str) -> str:
    """Where the rows of a unit ``list/number`` lie, beside the plan."""
    name, _, number = unit.partition("/")
    return f"{ROWS}/{name}-{int(number):05d}.jsonl"


def read_rows(data: bytes, where: str) -> Iterator[FileRow]:
    """The rows of one unit.

    Raises:
        DataError: they are none.
    """
    for line in data.decode("utf-8", "replace").splitlines():
        raw = parse_json(line, where)
        if not isinstance(raw, list) or len(raw) != len(FileRow._fields) or not isinstance(raw[0], int):
            raise DataError(f"{where}: no rows of fetched photos")
        row = FileRow(*raw)
        if row.path is not None and not (isinstance(row.path, str) and _PATH.fullmatch(row.path)):
            raise DataError(f"{where}: a row names a file elsewhere")
        yield row


class _Taking:
    """From beside the plan into the state; again after it was interrupted, only what is missing."""

    def __init__(self, state: State, place: StorageFolder) -> None:
        self._state, self._place = state, place
        self._counts = FetchCounts()

    def take(self, files: Mapping[str, str]) -> FetchCounts:
        hashes: set[str] = set()
        with (
            ThreadPoolExecutor(_THREADS) as threads,
            tqdm(total=len(files), desc="verifying", unit="unit", delay=2, disable=None) as bar,
        ):
            for path, sha256 in sorted(files.items()):
                data = self._place.read(path)
                if data is None or hashlib.sha256(data).hexdigest() != sha256:
                    what = "is not there" if data is None else "is not what its rank wrote"
                    raise DataError(f"{self._place.path(path)}: {what}; remove the marker of its rank and run that")
                rows = self._still_wanted(read_rows(data, self._place.path(path)))
                list(threads.map(self._bring, rows))
                with self._state.transaction() as db:
                    insert_rows(db, rows)
                if self._place.folder is None:
                    list(threads.map(self._place.remove, [row.path for row in rows if row.path]))
                for row in rows:
                    count_row(self._counts, row)
                    hashes |= {row.sha256} if row.sha256 else set()
                bar.update()
        refuse_placeholders(self._state, sorted(hashes), self._counts)
        return self._counts

    def _still_wanted(self, rows: Iterable[FileRow]) -> list[FileRow]:
        """Those that were not taken down since, nor fetched by somebody else."""
        kept = []
        for row in rows:
            known = self._state.value("SELECT 1 FROM photos WHERE id = ?", row.photo_id)
            there = self._state.value("SELECT sha256 FROM files WHERE photo_id = ? AND status = 'ok'", row.photo_id)
            if known and there in (None, row.sha256):
                kept.append(row)
            elif row.path is not None:
                self._place.remove(row.path)
        return kept

    def _bring(self, row: FileRow) -> None:
        if row.path is None:
            return
        target = self._state.path_of(row.path)
        here = target if self._place.folder is None else self._place.folder / row.path
        try:
            if self._place.folder is None and not target.is_file():
                self._place.get(row.path, target)
            elif not here.is_file():
                here = target  # an interrupted finish brought it
            if not here.is_file() or file_sha256(here) != row.sha256:
                what = "is not what its rank fetched" if here.is_file() else "is not there"
                raise DataError(f"{self._place.path(row.path)}: {what}; remove {here} and its rank's marker, run again")
            if here != target:
                _move(here, target)
        except OSError as error:
            raise disk_error(error, target) from None


def _move(file: Path, target: Path) -> None:
    """By a rename, or between disks by a copy that is renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(file, target)
    except OSError:
        temporary = temporary_path(target)
        try:
            shutil.copyfile(file, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        file.unlink()


PHOTOS_PER_UNIT = 100
"""Photos whose rows are written at once: what a killed rank has to fetch again."""

LISTS, INCOMING = "lists", "incoming"
"""Folders beside the plan."""

TAKEN = "fetches by ranks"
"""Setting of a state: names of plans whose files it has."""


class FetchRanks:
    """``camtrace plan build flickrexif fetch``."""

    def __init__(self, args: argparse.Namespace, plan: FetchPlan) -> None:
        """
        Args:
            args: of the step ``fetch``.
            plan: the same, of one machine.
        """
        self._folder: Path = args.state
        self._how = plan

    def planned(self, place: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Freeze lists of what to fetch; nothing is fetched, and the state is left as it is.

        Raises:
            UsageError: more ranks than a host may be asked at once, or another fetch runs.
            DataError: there is nothing to fetch.
        """
        most = min(self._how.connections, self._how.per_host)
        if count is not None and count > most:
            raise UsageError(
                f"--ranks {count}: ranks divide --connections {self._how.connections} and --per-host "
                f"{self._how.per_host}, so that servers see no more of us; give at most {most}, or raise those"
            )
        with State(self._folder) as state, state.only_one("fetch"):
            bury(state)
            _retire_taken(state, place)
            again = worth_another_try(state, self._how.sizes) if self._how.retry_failed else {}
            wanted = list(all_wanted(state, self._how.sizes, again))[: self._how.limit]
            mean = state.value("SELECT avg(bytes) FROM files WHERE status = 'ok'")
        if not wanted:
            raise DataError(f"{self._folder}: nothing is left to be fetched")
        units = [wanted[start : start + PHOTOS_PER_UNIT] for start in range(0, len(wanted), PHOTOS_PER_UNIT)]
        costs = [(str(number), len(unit), float(len(unit))) for number, unit in enumerate(units)]
        lists: dict[str, bytes] = {}
        ranks = []
        for rank in cut(costs, 0.0, min(count or most, len(units))):
            own = [units[int(number)] for number in rank.units]
            data = "".join(json.dumps(photo) + "\n" for unit in own for photo in unit).encode()
            name = hashlib.sha256(data).hexdigest()[:16]
            lists[name] = data
            ranks.append(RankPlan(tuple(f"{name}/{number}" for number in range(len(own))), rank.size))
        if place.folder is not None:  # addresses of people's photos: nobody else's to read
            place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            "ranks": tuple(ranks),
            "facts": {_fact(name): _said_of(data) for name, data in lists.items()},
            "estimate": {
                "seconds": None,
                "bytes": None if mean is None else round(mean * len(wanted)),
                "items": "photos to fetch",
            },
            "files": {f"{LISTS}/{name}.jsonl": data for name, data in lists.items()},
        }

    def open(self, plan: Plan, place: StorageFolder) -> FetchWork:
        """For ranks on this machine, each with its share of the limits."""
        share = len(plan.ranks)
        how = replace(
            self._how,
            connections=max(1, self._how.connections // share),
            per_host=max(1, self._how.per_host // share),
        )
        return FetchWork(place, how)

    def finish(self, plan: Plan, done: Mapping[int, Finished], place: StorageFolder, how: FinishOptions) -> int:
        """Take what all ranks fetched into the state. The exit status.

        Raises:
            DataError: a file is not there, or not what its rank fetched.
            UsageError: another fetch runs.
        """
        if how.output is not None or how.push_to is not None:
            raise UsageError("what was fetched goes into the state; 'camtrace build flickrexif build' makes a data set")
        with State(self._folder) as state, state.only_one("fetch"):
            if plan.name in (state.setting(TAKEN) or ()):
                print("the state has it already")
                return 0
            bury(state)
            counts = take_into(state, place, {p: h for one in done.values() for p, h in one.files.items()})
            state.set(TAKEN, [*(state.setting(TAKEN) or ()), plan.name])
        _clear(plan, place)
        print(counts.to_text())
        return 0


class FetchWork:
    """Units are ``list/number``: so many hundreds of photos of a list."""

    def __init__(self, place: StorageFolder, how: FetchPlan) -> None:
        self._place, self._how = place, how
        self._lists: dict[str, list[Wanted]] = {}

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """The lists, read whole."""
        return {_fact(name): _said_of(self._read(name)) for name in _names(units)}

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Fetch them; units that an earlier attempt fetched are kept."""
        keeper = _BesidePlan(self._place, self._photos(units), tick)
        try:
            fetch_into(keeper, self._how)
        except DiskError:
            raise
        except OSError as error:
            raise disk_error(error, self._place.address) from None
        finally:
            keeper.close()
        return RankResult(keeper.files, keeper.failures)

    def close(self) -> None:
        """There is nothing to give back."""

    def _photos(self, units: Sequence[str]) -> dict[str, list[Wanted]]:
        found = {}
        for unit in units:
            name, _, number = unit.partition("/")
            if name not in self._lists:
                lines = self._read(name).decode("utf-8", "replace").splitlines()
                self._lists[name] = [_wanted(line, self._place.path(f"{LISTS}/{name}.jsonl")) for line in lines]
            found[unit] = self._lists[name][PHOTOS_PER_UNIT * int(number) : PHOTOS_PER_UNIT * (int(number) + 1)]
        return found

    def _read(self, name: str) -> bytes:
        data = self._place.read(f"{LISTS}/{name}.jsonl")
        if data is None:
            raise DataError(f"{self._place.path(LISTS)}/{name}.jsonl: is not there; plan again")
        return data


class _BesidePlan:
    """A ``Keeper``: files and rows beside the plan, the rows of a unit when all of it is there."""

    def __init__(self, place: StorageFolder, units: Mapping[str, Sequence[Wanted]], tick: ProgressCallback) -> None:
        self.counts = FetchCounts()
        self.clock: Clock = SystemClock()
        self.files: dict[str, str] = {}
        """SHA-256 by path of the files of rows."""
        self.failures = 0
        self._place, self._tick = place, tick
        self._missing: dict[str, Sequence[Wanted]] = {}
        self._rows: dict[str, list[FileRow]] = {}
        self._unit_of: dict[int, str] = {}
        self._scratch = None if place.folder is not None else tempfile.TemporaryDirectory(prefix=scratch_prefix())
        self._incoming = place.folder / INCOMING if place.folder else Path(str(self._scratch and self._scratch.name))
        self._incoming.mkdir(parents=True, exist_ok=True)
        for unit, photos in units.items():
            data = place.read(rows_path(unit))
            if data is None or not self._note(unit, data, {photo.id for photo in photos}):
                self._missing[unit], self._rows[unit] = photos, []
                self._unit_of |= {photo.id: unit for photo in photos}

    def total(self) -> int:
        return len(self._unit_of)

    def wanted(self) -> Iterator[Wanted]:
        for photos in self._missing.values():
            yield from photos

    def temporary(self, name: str) -> Path:
        return temporary_path(self._incoming / name)

    async def keep(self, row: FileRow, file: Path | None) -> None:
        if file is not None and row.path is not None:
            await asyncio.to_thread(self._put, file, row.path)
        count_row(self.counts, row)
        unit = self._unit_of[row.photo_id]
        self._rows[unit].append(row)
        self._tick(1)
        if len(self._rows[unit]) == len(self._missing[unit]):
            data = "".join(json.dumps(one) + "\n" for one in sorted(self._rows.pop(unit))).encode()
            await asyncio.to_thread(self._place.write, rows_path(unit), data)
            self._note(unit, data, {photo.id for photo in self._missing[unit]})

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()

    def _put(self, file: Path, path: str) -> None:
        if self._place.folder is None:
            self._place.put(file, path)
            return
        target = self._place.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)

    def _note(self, unit: str, data: bytes, ids: set[int]) -> bool:
        """Count the rows of a unit that is there; False if they are not of its photos."""
        try:
            rows = list(read_rows(data, rows_path(unit)))
        except DataError:
            return False
        if {row.photo_id for row in rows} != ids:
            return False
        self.files[rows_path(unit)] = hashlib.sha256(data).hexdigest()
        self.failures += sum(row.status != "ok" for row in rows)
        return True


def _retire_taken(state: State, place: StorageFolder) -> None:
    """A plan whose files the state has makes room for the next."""
    try:
        plan, _ = read_plan(str(place))
    except DataError:
        return
    if plan.name in (state.setting(TAKEN) or ()):
        retire_plan(place)


def _clear(plan: Plan, place: StorageFolder) -> None:
    """The state has all of it: no addresses or ids of people's photos stay behind."""
    for name in dict.fromkeys(unit.partition("/")[0] for rank in plan.ranks for unit in rank.units):
        place.remove(f"{LISTS}/{name}.jsonl")
    for rank in plan.ranks:
        for unit in rank.units:
            place.remove(rows_path(unit))
    if place.folder is not None:
        for name in (FILES, INCOMING, LISTS, ROWS):
            shutil.rmtree(place.folder / name, ignore_errors=True)


def _names(units: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(unit.partition("/")[0] for unit in units))


def _fact(name: str) -> str:
    return f"the list {name}"


def _said_of(data: bytes) -> str:
    return f"{data.count(10):,} photos to fetch, {hashlib.sha256(data).hexdigest()[:16]}"


def _wanted(line: str, where: str) -> Wanted:
    try:
        id, size, url, expected, spent = parse_json(line, where)
    except (TypeError, ValueError):
        raise DataError(f"{where}: no list of photos to fetch") from None
    return Wanted(int(id), size, url, expected, tuple(spent))
