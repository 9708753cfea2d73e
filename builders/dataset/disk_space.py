"""Disk space of a job, estimated from a sample of its items that is really made."""

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
"""Most bytes of sample images, over all jobs, that are not made again. Every worker has a copy."""

SAMPLE_ITEMS = 24
"""Items of a job that are made to measure space, at most."""

SPACE_MARGIN = 1.05
"""Free space must exceed the estimate by this factor."""


@dataclass(frozen=True)
class SpaceEstimate:
    """Disk space and time of one job."""

    bytes_per_item: float
    total_bytes: int
    sampled: int
    """Items of the sample."""
    seconds_per_item: float
    """In one process."""
    job: ShardJob
    """The job, with rows of the sample that need not be made again."""


def estimate_space(job: ShardJob, sample: int = SAMPLE_ITEMS, *, keep_bytes: int = 0) -> SpaceEstimate:
    """Make the rows of a few evenly spaced items and measure them as a Parquet file.

    Items that fail have no rows and count as 0 bytes, as in the data.

    Args:
        job: the job to be written.
        sample: number of items, at most.
        keep_bytes: most bytes of images that ``SpaceEstimate.job`` does not make again.
    """
    n = len(job.ids)
    chosen = sorted({round(i * (n - 1) / max(sample - 1, 1)) for i in range(sample)}) if n else []
    start = time.perf_counter()
    cached = _CachingRows(job.make_rows, keep_bytes)
    size = _parquet_bytes(dataclasses.replace(job, make_rows=cached), chosen)
    seconds = time.perf_counter() - start
    bytes_per_item = size / len(chosen) if chosen else 0.0
    job_with_sample = (
        dataclasses.replace(job, make_rows=_CachedRows(job.make_rows, cached.rows)) if cached.rows else job
    )
    seconds_per_item = seconds / len(chosen) if chosen else 0.0
    return SpaceEstimate(bytes_per_item, int(bytes_per_item * n), len(chosen), seconds_per_item, job_with_sample)


def require_space(output: Path, needed: int) -> None:
    """Refuse a build that does not fit on the disk.

    Args:
        output: folder to write to; shards that are already there count as free space.
        needed: bytes of the finished build.

    Raises:
        DiskError: not enough free space.
    """
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    data = output / "data"
    shards = [name for name in files_below(data, may_be_absent=True) if name.endswith(".parquet")]
    present = sum((data / name).stat().st_size for name in shards)
    if needed * SPACE_MARGIN > free + present:
        raise DiskError(
            f"{output}: about {_gigabytes(needed)} are needed and {_gigabytes(free)} are free; "
            "choose another disk, fewer photos (--limit), or --ignore-space"
        )


def _parquet_bytes(job: ShardJob, items: Sequence[int]) -> int:
    """Size of a Parquet file with the rows of these items, in bytes; nothing is stored."""
    counter = _ByteCounter()
    with contextlib.closing(pa.PythonFile(counter, mode="w")) as stream:
        write_parquet(stream, job.features, rows_of(job, items, [], lambda: None))
    return counter.bytes


class _CachingRows:
    """``make_rows`` that caches its rows, up to a number of bytes of images."""

    def __init__(self, make_rows: Callable[[int], Iterable[ShardRow]], free_bytes: int) -> None:
        self.rows: dict[int, list[ShardRow]] = {}
        self._make_rows, self._free_bytes = make_rows, free_bytes

    def __call__(self, item: int) -> list[ShardRow]:
        rows = list(self._make_rows(item))
        size = sum(map(bytes_of_row, rows))
        if 0 < size <= self._free_bytes:
            self._free_bytes -= size
            self.rows[item] = rows
        return rows


@dataclass(frozen=True)
class _CachedRows:
    """``make_rows`` with some rows cached."""

    make_rows: Callable[[int], Iterable[ShardRow]]
    rows: Mapping[int, list[ShardRow]]

    def __call__(self, item: int) -> Iterable[ShardRow]:
        return self.rows[item] if item in self.rows else self.make_rows(item)


class _ByteCounter(io.RawIOBase):
    """A file that counts the written bytes and stores none."""

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
