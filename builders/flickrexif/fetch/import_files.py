"""Bring what ranks fetched into the state: every file against its hash, resumable.

Files are moved before their rows are written, so that a run that is killed in between finds the files in the state.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from builders.cluster import StorageFolder
from builders.dataset import file_sha256
from builders.errors import DataError, disk_error
from builders.files import temporary_path
from builders.flickrexif.fetch.fetch import insert_rows, refuse_placeholders
from builders.flickrexif.fetch.rank_work import read_rows
from builders.flickrexif.fetch.transfer import FetchCounts, FileRow
from builders.flickrexif.store.store import State
from builders.processes import progress_bar

_THREADS = 8
"""Files that are verified at once."""


def import_files(state: State, storage: StorageFolder, files: Mapping[str, str]) -> FetchCounts:
    """Bring files and rows into the state. After an interruption, only what is missing is moved.

    Args:
        state: receives them.
        storage: folder of the plan.
        files: SHA-256 of each file of rows by path, as the ranks recorded it.

    Raises:
        DataError: a file is missing, or differs from what its rank wrote.
        DiskError: the disk of the state is full.
    """
    counts = FetchCounts()
    hashes: Counter[str] = Counter()
    with (
        ThreadPoolExecutor(_THREADS) as threads,
        progress_bar(total=len(files), desc="verifying", unit="unit", delay=2) as bar,
    ):
        for path, sha256 in sorted(files.items()):
            data = storage.read(path)
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                what = "is not there" if data is None else "is not what its rank wrote"
                raise DataError(f"{storage.path(path)}: {what}; remove the marker of its rank and run that")
            rows = _still_needed(state, storage, read_rows(data, storage.path(path)))
            list(threads.map(lambda row: _move_into_state(state, storage, row), rows))
            with state.transaction() as db:
                insert_rows(db, rows)
            if storage.folder is None:
                list(threads.map(storage.remove, [row.path for row in rows if row.path]))
            for row in rows:
                counts.add(row)
                hashes.update([row.sha256] if row.sha256 else [])
            bar.update()
    refuse_placeholders(state, sorted(hashes), counts, hashes.__getitem__)
    return counts


def _still_needed(state: State, storage: StorageFolder, rows: Iterable[FileRow]) -> list[FileRow]:
    """Rows of photos that were neither taken down since nor fetched by another run. The files of others are removed."""
    needed = []
    for row in rows:
        known = state.value("SELECT 1 FROM photos WHERE id = ?", row.photo_id)
        stored = state.value("SELECT sha256 FROM files WHERE photo_id = ? AND status = 'ok'", row.photo_id)
        if known and stored in (None, row.sha256):
            needed.append(row)
        elif row.path is not None:
            storage.remove(row.path)
    return needed


def _move_into_state(state: State, storage: StorageFolder, row: FileRow) -> None:
    if row.path is None:
        return
    target = state.path_of(row.path)
    source = target if storage.folder is None else storage.folder / row.path
    try:
        if storage.folder is None and not target.is_file():
            storage.get(row.path, target)
        elif not source.is_file():
            source = target  # an interrupted finish has moved it
        if not source.is_file() or file_sha256(source) != row.sha256:
            what = "is not what its rank fetched" if source.is_file() else "is not there"
            raise DataError(f"{storage.path(row.path)}: {what}; remove {source} and its rank's marker, run again")
        if source != target:
            _move(source, target)
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
