"""Updates of a build whose photos changed: rows of photos that are as they were are copied, not made again.

``set_aside`` moves the shards of the earlier build below ``.build/previous``. The new build then writes every shard as
a build into an empty folder would, but copies the rows that are still right. Its files are those of a full build, byte
by byte: photos that are gone, and rows of other settings, are never copied.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builders.dataset.manifest import BUILD_FILE, README_FILE
from builders.dataset.parquet_writer import ShardRow
from builders.dataset.shards import PREVIOUS_FOLDER, STATE_FOLDER, ShardJob, cannot_write, file_sha256
from builders.dataset.write import building
from builders.untrusted import UntrustedInputError, files_matching, list_folder, read_untrusted_json

_GROUPS_IN_MEMORY = 3
"""Row groups of earlier shards that a process has in memory, of about 32 MB each."""


@runtime_checkable
class UpdatableRows(Protocol):
    """``ShardJob.make_rows`` that can tell whether the rows of an earlier build are still right. Picklable."""

    id_column: str
    """Column with the id of the item."""

    def __call__(self, item: int) -> Iterable[ShardRow]:
        """The rows of an item, made from its source."""

    def again(self, item: int, rows: Sequence[ShardRow]) -> list[ShardRow] | None:
        """The rows of an item from its rows in an earlier build of equal ``ShardJob.rows_recipe``.

        Args:
            item: position.
            rows: of the earlier build, in their order.

        Returns:
            Exactly what ``__call__`` would return; None if the source is another, or other rows are made of it.
        """


def set_aside(output: Path) -> None:
    """Move the shards of the build in a folder to where an update reads them; the folder then holds no build.

    What an earlier update that was killed had set aside stays: its rows are used too.

    Args:
        output: folder of a build, finished or not; a folder without one is left as it is.

    Raises:
        UsageError: another build is writing to the folder.
        DiskError: the folder cannot be written to.
    """
    state = output / STATE_FOLDER
    if not state.is_dir():
        return
    with building(output):
        try:
            for name in (README_FILE, BUILD_FILE):  # an interrupted update leaves no folder that looks complete
                (output / name).unlink(missing_ok=True)
            markers = [state / name for name in list_folder(state).folders if name != PREVIOUS_FOLDER]
            if not markers:
                return
            number = 1 + max((int(folder.name) for folder in _generations(output)), default=0)
            target = state / PREVIOUS_FOLDER / f"{number:04d}"
            (target / "markers").mkdir(parents=True)
            for folder in markers:
                folder.rename(target / "markers" / folder.name)
            if (output / "data").is_dir():
                (output / "data").rename(target / "data")
        except OSError as error:
            raise cannot_write(output, error) from None


def remove_previous(output: Path) -> None:
    """Remove what ``set_aside`` moved, after the new build is finished."""
    shutil.rmtree(output / STATE_FOLDER / PREVIOUS_FOLDER, ignore_errors=True)


def with_previous_rows(job: ShardJob) -> ShardJob:
    """The job with rows of earlier builds that ``set_aside`` moved; unchanged if there are none that it can use."""
    if not isinstance(job.make_rows, UpdatableRows) or job.rows_recipe is None:
        return job
    position = {item_id: i for i, item_id in enumerate(job.ids)}
    at = np.full((len(job.ids), 3), -1, dtype=np.int64)
    files: list[str] = []
    for path in _usable_shards(job):
        used = False
        for item_id, first, count in _runs(path, job.make_rows.id_column):
            item = position.get(item_id)
            if item is not None and at[item, 0] < 0:
                at[item], used = (len(files), first, count), True
        if used:
            files.append(str(path))
    if not files:
        return job
    return dataclasses.replace(job, make_rows=_UpdatedRows(job.make_rows, tuple(files), at))


def previous_items(jobs: Sequence[ShardJob]) -> int:
    """Items of the jobs that have rows in an earlier build."""
    rows = [job.make_rows for job in jobs]
    return sum(int((r.at[:, 0] >= 0).sum()) for r in rows if isinstance(r, _UpdatedRows))


@dataclass(frozen=True)
class _UpdatedRows:
    """``make_rows`` that copies rows of an earlier build where they are still right."""

    make_rows: UpdatableRows
    files: tuple[str, ...]
    at: np.ndarray
    """int64 [items, 3]: index into ``files`` (-1 if the item is new), first row there, number of rows."""

    def __call__(self, item: int) -> Iterable[ShardRow]:
        file, first, count = self.at[item].tolist()
        if file >= 0:
            rows = self.make_rows.again(item, _read_rows(self.files[file], first, count))
            if rows is not None:
                return rows
        return self.make_rows(item)


def _generations(output: Path) -> list[Path]:
    """Folders of ``set_aside``, newest first."""
    previous = output / STATE_FOLDER / PREVIOUS_FOLDER
    names = list_folder(previous, may_be_absent=True).folders
    return [previous / name for name in sorted(names, reverse=True) if name[0].isdigit()]


def _usable_shards(job: ShardJob) -> Iterator[Path]:
    """Shards of earlier builds of the same config and rows recipe, with the bytes that were written."""
    for generation in _generations(job.output):
        for marker in files_matching(generation / "markers" / job.config, "*.json"):
            try:
                stated = read_untrusted_json(marker)
                path = generation / stated["file"]
                if stated["rows_recipe_hash"] != job.rows_recipe_hash or not path.is_file():
                    continue
                intact = file_sha256(path) == stated["sha256"]
            except (OSError, UntrustedInputError, ValueError, KeyError, TypeError):
                continue
            if intact:
                yield path
            else:
                print(f"camtrace: warning: {path}: does not match its checksum; made again", file=sys.stderr)


def _runs(path: Path, column: str) -> Iterator[tuple[str, int, int]]:
    """Consecutive rows of one id: the id, the first row, the number of rows."""
    ids = pq.read_table(path, columns=[column]).column(0).to_pylist()
    first = 0
    for row in range(1, len(ids) + 1):
        if row == len(ids) or ids[row] != ids[first]:
            yield ids[first], first, row - first
            first = row


def _read_rows(path: str, first: int, count: int) -> list[ShardRow]:
    rows: list[ShardRow] = []
    starts = _group_starts(path)
    while count > 0:
        number = int(np.searchsorted(starts, first, side="right")) - 1
        part = _row_group(path, number).slice(first - int(starts[number]), count).to_pylist()
        rows += part
        first, count = first + len(part), count - len(part)
    return rows


@functools.lru_cache(maxsize=64)
def _group_starts(path: str) -> np.ndarray:
    """The first row of each row group, and the number of rows: int64 [groups + 1]."""
    metadata = pq.read_metadata(path)
    return np.cumsum([0, *(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups))])


@functools.lru_cache(maxsize=_GROUPS_IN_MEMORY)
def _row_group(path: str, number: int) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read_row_group(number)
