"""What a job will need of the disk, from a sample of its items really made."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from builders.dataset.parquet_writer import ShardRow, bytes_of_row, write_parquet
from builders.dataset.shards import ShardJob, rows_of
from builders.errors import DiskError
from builders.untrusted import files_below

SAMPLE_BYTES = 64 << 20
"""Of images made to measure space that are kept and not made again, over all jobs; each worker has them too."""

SAMPLE_ITEMS = 24
"""Items of a job that are made to measure space, at most."""

SPACE_MARGIN = 1.05
"""Free space must exceed the estimate by this factor."""


@dataclass(frozen=True)
class SpaceEstimate:
    """What one job will write, from a sample of its items really made."""

    bytes_per_item: float
    total_bytes: int
    sampled: int
    seconds_per_item: float
    """On one process."""
    job: ShardJob
    """The job; it has the rows of the sample already, as far as they were to be kept."""


def estimate_space(job: ShardJob, sample: int = SAMPLE_ITEMS, *, keep_bytes: int = 0) -> SpaceEstimate:
    """Make the rows of a few evenly spaced items and weigh them as a Parquet file.

    Items that fail count as nothing, as they will in the data.

    Args:
        job: what is to be written.
        sample: items, at most.
        keep_bytes: of images; rows up to so much are not made again by ``SpaceEstimate.job``.
    """
    n = len(job.ids)
    chosen = sorted({round(i * (n - 1) / max(sample - 1, 1)) for i in range(sample)}) if n else []
    start = time.perf_counter()
    kept = _Keeping(job.make_rows, keep_bytes)
    weight = _weigh(dataclasses.replace(job, make_rows=kept), chosen)
    seconds = time.perf_counter() - start
    each = weight / len(chosen) if chosen else 0.0
    ready = dataclasses.replace(job, make_rows=_Made(job.make_rows, kept.rows)) if kept.rows else job
    return SpaceEstimate(each, int(each * n), len(chosen), seconds / len(chosen) if chosen else 0.0, ready)


def require_space(output: Path, needed: int) -> None:
    """Refuse to start what cannot fit.

    Args:
        output: folder to write to; what a build has already written there counts as free.
        needed: bytes of the finished build.

    Raises:
        DiskError: not enough free space.
    """
    place = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    data = output / "data"
    shards = [name for name in files_below(data, may_be_absent=True) if name.endswith(".parquet")]
    present = sum((data / name).stat().st_size for name in shards)
    if needed * SPACE_MARGIN > free + present:
        raise DiskError(
            f"{output}: about {_gigabytes(needed)} are needed and {_gigabytes(free)} are free; "
            "choose another disk, fewer photos (--limit), or --ignore-space"
        )


def _weigh(job: ShardJob, items: Sequence[int]) -> int:
    """Bytes of a Parquet file that holds the rows of these items, by writing it to nowhere."""
    scale = _Scale()
    with contextlib.closing(pa.PythonFile(scale, mode="w")) as stream:
        write_parquet(stream, job.features, rows_of(job, items, [], lambda: None))
    return scale.bytes


class _Keeping:
    """``make_rows`` that keeps what it made, up to so many bytes of images."""

    def __init__(self, make_rows: Callable[[int], Iterable[ShardRow]], room: int) -> None:
        self.rows: dict[int, list[ShardRow]] = {}
        self._make_rows, self._room = make_rows, room

    def __call__(self, item: int) -> list[ShardRow]:
        rows = list(self._make_rows(item))
        size = sum(map(bytes_of_row, rows))
        if 0 < size <= self._room:
            self._room -= size
            self.rows[item] = rows
        return rows


@dataclass(frozen=True)
class _Made:
    """``make_rows`` that has some rows already."""

    make_rows: Callable[[int], Iterable[ShardRow]]
    rows: Mapping[int, list[ShardRow]]

    def __call__(self, item: int) -> Iterable[ShardRow]:
        return self.rows[item] if item in self.rows else self.make_rows(item)


class _Scale(io.RawIOBase):
    """A file that keeps only how much was written."""

    bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self.bytes


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
