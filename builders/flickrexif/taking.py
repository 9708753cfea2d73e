"""What ranks fetched, from beside the plan into the state: every file against its hash, rows a unit at a time."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from builders.dataset import file_sha256
from builders.errors import DataError, disk_error
from builders.files import temporary_beside
from builders.flickrexif.fetch import count_row, insert_rows, refuse_placeholders
from builders.flickrexif.fetching import FetchCounts, FileRow
from builders.flickrexif.state import FILES, State
from builders.outside import parse_json
from builders.ranks import Place

ROWS = "rows"
"""Folder beside the plan, with a file for each unit."""

_THREADS = 8
"""Files that are verified at once."""

_PATH = re.compile(rf"{FILES}/\d\d/\d\d/\d+_[a-z0-9]+\.[a-z]+", re.ASCII)


def take_into(state: State, place: Place, files: Mapping[str, str]) -> FetchCounts:
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

    def __init__(self, state: State, place: Place) -> None:
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
        temporary = temporary_beside(target)
        try:
            shutil.copyfile(file, temporary)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        file.unlink()
