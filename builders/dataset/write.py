"""All shards of a job by a pool of processes on this machine, and what they will need of the disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

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
from builders.processes import WorkerKilled, memory_budget, run_in_pool

FAILURES_FILE = "failures.jsonl"
"""One JSON object per line: config, split, id, reason."""

LOCK_TIMEOUT_S = 5.0
"""How long a build waits for the folder."""


@dataclass(frozen=True)
class SplitShards:
    """Every shard of one split of one config."""

    config: str
    split: str
    shards: tuple[Shard, ...]
    paths: tuple[str, ...] = ()
    """Patterns that name its files below the folder, where they are not those of ``config`` and ``split``."""

    @property
    def data_files(self) -> tuple[str, ...]:
        """Patterns that name its files below the folder."""
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
    """Write every shard that is not there yet; a run that was killed goes on where it was.

    Args:
        job: what to write. With ``workers`` > 1 its ``make_rows`` must be picklable.
        workers: processes; 1 stays in this one.
        fresh: remove shards of this split first.
        progress: a bar on stderr, where that is a terminal.

    Raises:
        UsageError: the folder holds this split made by another recipe, or another build is writing to it.
        DataError: the disk is full, or a worker was killed. Finished shards are kept in both cases.
    """
    with building(job.output), memory_budget():
        return _written([job], f"{job.config}/{job.split}", workers, fresh, progress)[0]


def write_splits(jobs: Sequence[ShardJob], *, workers: int = 1, progress: bool = True) -> list[SplitShards]:
    """Write several splits of one folder, whichever configs they are of, as ``write_shards`` writes each.

    Workers take shards of whichever split: none waits until the last shard of a split is done.

    Args:
        jobs: in one folder.
        workers: processes.
        progress: a bar on stderr, where that is a terminal.

    Raises:
        as ``write_shards``.
    """
    if not jobs:
        return []
    with building(jobs[0].output), memory_budget():
        return _written(jobs, ", ".join(dict.fromkeys(job.config for job in jobs)), workers, False, progress)


def write_groups(jobs: Sequence[ShardJob], *, workers: int = 1, progress: bool = True) -> list[SplitShards]:
    """Write the splits of one config side by side; a run that was killed goes on where it was.

    Args:
        jobs: all splits of the config, in one folder.
        workers: processes, which take shards of whichever split.
        progress: a bar on stderr, where that is a terminal.

    Raises:
        UsageError: the folder holds splits of this config that are none of these, or as ``write_shards``.
        DataError: as ``write_shards``.
    """
    output, config, names = jobs[0].output, jobs[0].config, {job.split for job in jobs}
    with building(output), memory_budget():
        for marker in sorted((output / STATE_FOLDER / config).glob("*-of-*.json")):
            if marker.name.rsplit("-", 3)[0] not in names:
                raise _other_build(output, config, marker.name.rsplit("-", 3)[0])
        written = _written(jobs, config, workers, False, progress)
        ours = {shard.file for split in written for shard in split.shards}
        for path in (output / "data" / config).glob("*.parquet"):  # of a run that was killed before its marker
            if path.relative_to(output).as_posix() not in ours:
                path.unlink()
    return written


def _written(jobs: Sequence[ShardJob], label: str, workers: int, fresh: bool, progress: bool) -> list[SplitShards]:
    done: dict[_Place, Shard] = {}
    for j, job in enumerate(jobs):
        if fresh:
            remove_split(job)
        _refuse_other_cut(job)
        _remove_leftovers(job)
        done |= {(j, n): shard for n in range(job.count) if (shard := finished_shard(job, n)) is not None}
    missing = [(j, n) for j, job in enumerate(jobs) for n in range(job.count) if (j, n) not in done]
    total = sum(len(jobs[j].items(n)) for j, n in missing)
    with tqdm(total=total, desc=label, unit="item", disable=None if progress else True) as bar:
        if workers <= 1 or len(missing) <= 1:
            for j, n in missing:
                done[j, n] = write_shard(jobs[j], n, bar.update)
        elif missing:
            missing.sort(key=lambda place: -len(jobs[place[0]].items(place[1])))  # largest first: workers end together
            done |= _in_pool(jobs, missing, workers, bar)
    return [
        SplitShards(job.config, job.split, tuple(done[j, n] for n in range(job.count))) for j, job in enumerate(jobs)
    ]


def write_failures(output: Path, splits: Sequence[SplitShards]) -> int:
    """Write ``failures.jsonl`` of all splits (none if nothing failed). Returns how many items failed."""
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
    """Hold the folder: two builds never write to it at once. The lock goes with the process that holds it.

    Raises:
        UsageError: another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        (output / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
        lock = FileLock(output / STATE_FOLDER / "lock")
        lock.acquire(timeout=LOCK_TIMEOUT_S)  # workers of a killed run need a moment to notice
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
        for path in folder.glob(f"{job.split}-*-of-*.{suffix}"):
            path.unlink()


def _refuse_other_cut(job: ShardJob) -> None:
    """Shards of another cut (another number of them) would be read beside ours."""
    for marker in (job.output / STATE_FOLDER / job.config).glob(f"{job.split}-*-of-*.json"):
        if not marker.name.endswith(f"-of-{job.count:05d}.json"):
            raise _other_build(job.output, job.config, f"{job.split} cut into other shards")


def _other_build(output: Path, config: str, what: str) -> UsageError:
    remedy = "choose another --output, or say --fresh to replace it"
    return UsageError(f"{output} holds a build of {config}/{what}: {remedy}")


def _remove_leftovers(job: ShardJob) -> None:
    """Temporary files of a killed run. The lock is held, so nobody is writing them."""
    for folder in (job.output, job.output / STATE_FOLDER / job.config):
        sweep_temporaries(folder, exclusive=True)
    for path in (job.output / "data" / job.config).glob(f".{job.split}-*.tmp"):
        path.unlink(missing_ok=True)


_Place = tuple[int, int]
"""(job, number of the shard)."""


def _in_pool(jobs: Sequence[ShardJob], places: Sequence[_Place], workers: int, bar: Any) -> dict[_Place, Shard]:
    try:
        shards = run_in_pool(_write_in_worker, places, shared=list(jobs), workers=workers, progress=bar.update)
    except WorkerKilled as error:
        raise DataError(
            f"{jobs[0].output}: {error}; finished shards are kept, run again, perhaps with fewer --workers"
        ) from None
    finally:
        for job in jobs:
            _remove_leftovers(job)
    return dict(zip(places, shards, strict=True))


def _write_in_worker(jobs: Sequence[ShardJob], place: _Place, tick: Callable[[], object]) -> Shard:
    job, number = place
    return write_shard(jobs[job], number, tick)
