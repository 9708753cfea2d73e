"""Writes all shards of some jobs in a pool of processes on this machine, and ``failures.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from builders.dataset.shards import (
    STATE_FOLDER,
    ItemFailure,
    Shard,
    ShardJob,
    cannot_write,
    finished_shard,
    write_shard,
)
from builders.errors import DataError, UsageError
from builders.files import sweep_temporaries, write_text_atomically
from builders.processes import WorkerKilled, memory_budget, progress_bar, refuse_unguarded_main, run_in_pool
from builders.untrusted import files_matching

FAILURES_FILE = "failures.jsonl"
"""One JSON object per line: config, split, id, reason."""

LOCK_TIMEOUT_S = 5.0
"""Seconds that a build waits for another build to release the folder."""


@dataclass(frozen=True)
class SplitShards:
    """The shards of one split of one config."""

    config: str
    split: str
    shards: tuple[Shard, ...]
    paths: tuple[str, ...] = ()
    """Path patterns of its files, if they are not those of ``config`` and ``split``."""

    @property
    def data_files(self) -> tuple[str, ...]:
        """Path patterns of its files, relative to the folder of the data set."""
        return self.paths or (f"data/{self.config}/{self.split}-*.parquet",)

    @property
    def rows(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def file_bytes(self) -> int:
        return sum(shard.file_bytes for shard in self.shards)

    @property
    def data_bytes(self) -> int:
        return sum(shard.data_bytes for shard in self.shards)

    @property
    def failures(self) -> tuple[ItemFailure, ...]:
        return tuple(failure for shard in self.shards for failure in shard.failures)


def write_shards(job: ShardJob, *, workers: int = 1, fresh: bool = False, progress: bool = True) -> SplitShards:
    """Write the missing shards of one split. A run that was killed goes on where it was.

    Args:
        job: the split. With ``workers`` > 1 its ``make_rows`` must be picklable.
        workers: processes; with 1 the shards are written in this process.
        fresh: remove shards of this split first.
        progress: show a bar, if stderr is a terminal.

    Raises:
        UsageError: the folder contains this split from another recipe, or another build is writing to it.
        DataError: the disk is full, or a worker was killed. Finished shards stay in both cases.
    """
    with building(job.output), memory_budget():
        return _write([job], f"{job.config}/{job.split}", workers, fresh, progress)[0]


def write_splits(jobs: Sequence[ShardJob], *, workers: int = 1, progress: bool = True) -> list[SplitShards]:
    """Write several splits of one folder, of any configs, as ``write_shards`` writes one.

    All shards are in one queue: no worker waits until the last shard of a split is written.

    Args:
        jobs: splits of one folder.
        workers: processes.
        progress: show a bar, if stderr is a terminal.

    Raises:
        UsageError, DataError: as ``write_shards``.
    """
    if not jobs:
        return []
    with building(jobs[0].output), memory_budget():
        return _write(jobs, ", ".join(dict.fromkeys(job.config for job in jobs)), workers, False, progress)


def write_groups(jobs: Sequence[ShardJob], *, workers: int = 1, progress: bool = True) -> list[SplitShards]:
    """Write all splits of one config, as ``write_splits``, and remove files of other splits that have no marker.

    Args:
        jobs: all splits of the config, in one folder.
        workers: processes.
        progress: show a bar, if stderr is a terminal.

    Raises:
        UsageError: the folder contains other splits of this config, or as ``write_shards``.
        DataError: as ``write_shards``.
    """
    output, config, names = jobs[0].output, jobs[0].config, {job.split for job in jobs}
    with building(output), memory_budget():
        for marker in files_matching(output / STATE_FOLDER / config, "*-of-*.json"):
            if marker.name.rsplit("-", 3)[0] not in names:
                raise _other_build(output, config, marker.name.rsplit("-", 3)[0])
        written = _write(jobs, config, workers, False, progress)
        files = {shard.file for split in written for shard in split.shards}
        for path in files_matching(output / "data" / config, "*.parquet"):  # of a run that was killed before its marker
            if path.relative_to(output).as_posix() not in files:
                path.unlink()
    return written


def _write(jobs: Sequence[ShardJob], label: str, workers: int, fresh: bool, progress: bool) -> list[SplitShards]:
    done: dict[_ShardKey, Shard] = {}
    for j, job in enumerate(jobs):
        if fresh:
            remove_split(job)
        _refuse_other_cut(job)
        _remove_leftovers(job)
        done |= {(j, n): shard for n in range(job.count) if (shard := finished_shard(job, n)) is not None}
    missing = [(j, n) for j, job in enumerate(jobs) for n in range(job.count) if (j, n) not in done]
    total = sum(len(jobs[j].items(n)) for j, n in missing)
    with progress_bar(total=total, desc=label, unit="item", silent=not progress) as bar:
        if workers <= 1 or len(missing) <= 1:
            for j, n in missing:
                done[j, n] = write_shard(jobs[j], n, bar.update)
        elif missing:
            missing.sort(key=lambda key: -len(jobs[key[0]].items(key[1])))  # largest first: workers end together
            done |= _in_pool(jobs, missing, workers, bar)
    return [
        SplitShards(job.config, job.split, tuple(done[j, n] for n in range(job.count))) for j, job in enumerate(jobs)
    ]


def write_failures(output: Path, splits: Sequence[SplitShards]) -> int:
    """Write ``failures.jsonl`` of all splits, or remove it if no item failed. Returns the number of failed items."""
    lines = [
        json.dumps({"config": s.config, "split": s.split, **asdict(failure)}, ensure_ascii=False) + "\n"
        for s in splits
        for failure in s.failures
    ]
    path = output / FAILURES_FILE
    try:
        if lines:
            write_text_atomically(path, "".join(lines))
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(output, error) from None
    return len(lines)


@contextmanager
def building(output: Path) -> Iterator[None]:
    """Lock the folder, so that no two builds write to it at once. The lock ends with the process.

    Raises:
        UsageError: another process has locked it.
    """
    from filelock import FileLock, Timeout

    refuse_unguarded_main()
    try:
        (output / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
        lock = FileLock(output / STATE_FOLDER / "lock")
        lock.acquire(timeout=LOCK_TIMEOUT_S)  # workers of a killed run end a moment later
    except Timeout:
        raise UsageError(f"{output}: another build is writing to this folder; wait for it or choose another") from None
    except OSError as error:
        raise cannot_write(output, error) from None
    try:
        yield
    finally:
        lock.release()


def remove_split(job: ShardJob) -> None:
    """Remove the shards and markers of one split, markers first."""
    for folder, suffix in (
        (job.output / STATE_FOLDER / job.config, "json"),
        (job.output / "data" / job.config, "parquet"),
    ):
        for path in files_matching(folder, f"{job.split}-*-of-*.{suffix}"):
            path.unlink()


def _refuse_other_cut(job: ShardJob) -> None:
    """Refuse a folder with another number of shards of this split: ``load_dataset`` would read both."""
    for marker in files_matching(job.output / STATE_FOLDER / job.config, f"{job.split}-*-of-*.json"):
        if not marker.name.endswith(f"-of-{job.count:05d}.json"):
            raise _other_build(job.output, job.config, f"{job.split} cut into other shards")


def _other_build(output: Path, config: str, what: str) -> UsageError:
    remedy = "choose another --output, say --update if the photos changed, or --fresh to replace it"
    return UsageError(f"{output} holds a build of {config}/{what}: {remedy}")


def _remove_leftovers(job: ShardJob) -> None:
    """Remove temporary files of a killed run. The folder is locked, so no process is writing them."""
    for folder in (job.output, job.output / STATE_FOLDER / job.config):
        sweep_temporaries(folder, exclusive=True)
    for path in files_matching(job.output / "data" / job.config, f".{job.split}-*.tmp"):
        path.unlink(missing_ok=True)


_ShardKey = tuple[int, int]
"""Index of a job, and number of a shard."""


def _in_pool(jobs: Sequence[ShardJob], keys: Sequence[_ShardKey], workers: int, bar: Any) -> dict[_ShardKey, Shard]:
    try:
        shards = run_in_pool(_write_in_worker, keys, shared=list(jobs), workers=workers, progress=bar.update)
    except WorkerKilled as error:
        raise DataError(
            f"{jobs[0].output}: {error}; finished shards are saved, run again, perhaps with fewer --workers"
        ) from None
    finally:
        for job in jobs:
            _remove_leftovers(job)
    return dict(zip(keys, shards, strict=True))


def _write_in_worker(jobs: Sequence[ShardJob], key: _ShardKey, tick: Callable[[], object]) -> Shard:
    job, number = key
    return write_shard(jobs[job], number, tick)
