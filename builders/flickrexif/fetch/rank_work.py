"""The work of a rank that fetches photos: its lists lie in the folder of the plan, its files and rows go there.

A rank never opens the state, because machines cannot share an SQLite file. ``import_files`` brings its files into it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from builders.cluster import ProgressCallback, RankResult, StorageFolder
from builders.errors import DataError, DiskError, disk_error
from builders.files import scratch_prefix, temporary_path
from builders.flickrexif.api.clock import Clock, SystemClock
from builders.flickrexif.fetch.transfer import FetchCounts, FetchPlan, FetchRequest, FileRow, fetch_into
from builders.flickrexif.store.store import FILES
from builders.untrusted import parse_json

ROWS, LISTS, INCOMING = "rows", "lists", "incoming"
"""Folders in the folder of the plan: a file of rows for each unit, lists of requests, and files that still arrive."""

PHOTOS_PER_UNIT = 100
"""Photos whose rows are written at once: a killed rank fetches so many again."""

_PATH = re.compile(rf"{FILES}/\d\d/\d\d/\d+_[a-z0-9]+\.[a-z]+", re.ASCII)


class FetchWork:
    """Units of work ``list/number``: each is ``PHOTOS_PER_UNIT`` photos of a list.

    Args:
        storage: folder of the plan.
        plan: how to fetch, with the limits of this rank.
    """

    device = "cpu"

    def __init__(self, storage: StorageFolder, plan: FetchPlan) -> None:
        self._storage, self._plan = storage, plan
        self._lists: dict[str, list[FetchRequest]] = {}

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """Number of photos and hash of each list of the units."""
        return {fact_name(name): describe_list(self._read(name)) for name in list_names(units)}

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Fetch the photos of units. Units that an earlier attempt has fetched are not fetched again."""
        target = _PlanTarget(self._storage, {unit: self._requests(unit) for unit in units}, tick)
        try:
            fetch_into(target, self._plan)
        except DiskError:
            raise
        except OSError as error:
            raise disk_error(error, self._storage.address) from None
        finally:
            target.close()
        return RankResult(target.files, target.failures)

    def close(self) -> None:
        """Nothing is open."""

    def _requests(self, unit: str) -> list[FetchRequest]:
        name, _, number = unit.partition("/")
        if name not in self._lists:
            lines = self._read(name).decode("utf-8", "replace").splitlines()
            where = self._storage.path(list_path(name))
            self._lists[name] = [_parse_request(line, where) for line in lines]
        return self._lists[name][PHOTOS_PER_UNIT * int(number) : PHOTOS_PER_UNIT * (int(number) + 1)]

    def _read(self, name: str) -> bytes:
        data = self._storage.read(list_path(name))
        if data is None:
            raise DataError(f"{self._storage.path(list_path(name))}: is not there; plan again")
        return data


class _PlanTarget:
    """A ``FetchTarget``: files and rows in the folder of the plan, the rows of a unit when the unit is complete."""

    def __init__(
        self, storage: StorageFolder, units: Mapping[str, Sequence[FetchRequest]], tick: ProgressCallback
    ) -> None:
        self.counts = FetchCounts()
        self.clock: Clock = SystemClock()
        self.files: dict[str, str] = {}
        """SHA-256 of each file of rows, by path."""
        self.failures = 0
        self._storage, self._tick = storage, tick
        self._missing: dict[str, Sequence[FetchRequest]] = {}
        self._rows: dict[str, list[FileRow]] = {}
        self._unit_of: dict[int, str] = {}
        self._scratch = None if storage.folder is not None else tempfile.TemporaryDirectory(prefix=scratch_prefix())
        self._incoming = Path(self._scratch.name) if self._scratch else Path(str(storage.folder)) / INCOMING
        self._incoming.mkdir(parents=True, exist_ok=True)
        for unit, requests in units.items():
            data = storage.read(rows_path(unit))
            if data is None or not self._add_unit(unit, data, {request.id for request in requests}):
                self._missing[unit], self._rows[unit] = requests, []
                self._unit_of |= {request.id: unit for request in requests}

    def total(self) -> int:
        return len(self._unit_of)

    def requests(self) -> Iterator[FetchRequest]:
        for requests in self._missing.values():
            yield from requests

    def temporary(self, name: str) -> Path:
        return temporary_path(self._incoming / name)

    async def save(self, row: FileRow, file: Path | None) -> None:
        if file is not None and row.path is not None:
            await asyncio.to_thread(self._put, file, row.path)
        self.counts.add(row)
        unit = self._unit_of[row.photo_id]
        self._rows[unit].append(row)
        self._tick(1)
        if len(self._rows[unit]) == len(self._missing[unit]):
            data = "".join(json.dumps(row) + "\n" for row in sorted(self._rows.pop(unit))).encode()
            await asyncio.to_thread(self._storage.write, rows_path(unit), data)
            self._add_unit(unit, data, {request.id for request in self._missing[unit]})

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.cleanup()

    def _put(self, file: Path, path: str) -> None:
        if self._storage.folder is None:
            self._storage.put(file, path)
            return
        target = self._storage.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file, target)

    def _add_unit(self, unit: str, data: bytes, ids: set[int]) -> bool:
        """Count the rows of a complete unit; False if they are not those of its photos."""
        try:
            rows = list(read_rows(data, rows_path(unit)))
        except DataError:
            return False
        if {row.photo_id for row in rows} != ids:
            return False
        self.files[rows_path(unit)] = hashlib.sha256(data).hexdigest()
        self.failures += sum(row.status != "ok" for row in rows)
        return True


def rows_path(unit: str) -> str:
    """Path of the rows of a unit ``list/number``, in the folder of the plan."""
    name, _, number = unit.partition("/")
    return f"{ROWS}/{name}-{int(number):05d}.jsonl"


def list_path(name: str) -> str:
    """Path of a list of requests, in the folder of the plan."""
    return f"{LISTS}/{name}.jsonl"


def list_names(units: Iterable[str]) -> list[str]:
    """Names of the lists of some units, each once."""
    return list(dict.fromkeys(unit.partition("/")[0] for unit in units))


def fact_name(name: str) -> str:
    """Name under which the plan records a list."""
    return f"the list {name}"


def describe_list(data: bytes) -> str:
    """What the plan records of a list: number of photos, and hash."""
    return f"{data.count(10):,} photos to fetch, {hashlib.sha256(data).hexdigest()[:16]}"


def read_rows(data: bytes, where: str) -> Iterator[FileRow]:
    """Parse the rows of one unit.

    Args:
        data: content of a file of rows.
        where: its name, for messages.

    Raises:
        DataError: they are not rows of fetched photos.
    """
    for line in data.decode("utf-8", "replace").splitlines():
        raw = parse_json(line, where)
        if not isinstance(raw, list) or len(raw) != len(FileRow._fields) or not isinstance(raw[0], int):
            raise DataError(f"{where}: no rows of fetched photos")
        row = FileRow(*raw)
        if row.path is not None and not (isinstance(row.path, str) and _PATH.fullmatch(row.path)):
            raise DataError(f"{where}: a row names a file elsewhere")
        yield row


def _parse_request(line: str, where: str) -> FetchRequest:
    try:
        id, size, url, expected, spent = parse_json(line, where)
        return FetchRequest(int(id), size, url, expected, tuple(spent))
    except (TypeError, ValueError):
        raise DataError(f"{where}: no list of photos to fetch") from None
