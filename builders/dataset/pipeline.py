"""One build from its jobs to its folder: measure a sample, check the space, cut into shards, write, finish.

Builders of processed photos and of pairs call ``build_data_set``; ranks of a cluster call ``plan_shards`` alone.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builders.cli import whole_number
from builders.dataset.disk_space import SAMPLE_BYTES, SAMPLE_ITEMS, SpaceEstimate, estimate_space, require_space
from builders.dataset.folder import prepare_folder
from builders.dataset.manifest import Build
from builders.dataset.shards import STATE_FOLDER, ShardJob, items_per_shard
from builders.dataset.update import previous_items, remove_previous, set_aside, with_previous_rows
from builders.dataset.write import SplitShards, write_splits
from builders.errors import DataError, UsageError
from builders.processes import default_workers, notice
from builders.untrusted import list_folder


@dataclass(frozen=True)
class BuildOptions:
    """How a build is run. None of it changes the bytes that are written."""

    output: Path
    """Folder of the data set."""
    workers: int = 1
    """Processes."""
    fresh: bool = False
    """Replace the build that is in ``output``."""
    ignore_space: bool = False
    """Start although the estimate says that the disk is too small."""
    progress: bool = True
    """Bars and an estimate on stderr."""
    update: bool = False
    """Replace the build that is in ``output``, but copy its rows of photos that are as they were."""

    def __post_init__(self) -> None:
        if self.fresh and self.update:
            raise UsageError("--fresh and --update exclude each other: --fresh makes every photo again")


def add_build_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``, ``--workers``, ``--fresh``, ``--update`` and ``--ignore-space`` to a build command."""
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR", help="folder of the data set")
    parser.add_argument(
        "--workers", type=whole_number(1), default=default_workers(), metavar="N", help="processes (default: all cores)"
    )
    parser.add_argument("--fresh", action="store_true", help="replace a build of other settings in --output")
    parser.add_argument(
        "--update", action="store_true", help="replace the build in --output; only photos that changed are made again"
    )
    parser.add_argument("--ignore-space", action="store_true", help="start although the disk looks too small")


def build_data_set(
    jobs: Sequence[ShardJob],
    options: BuildOptions,
    finish: Callable[[list[SplitShards], Mapping[str, int]], Build],
    *,
    name: str,
    item: str,
    sizes: Mapping[str, int] | None = None,
    sample: int = SAMPLE_ITEMS,
    estimate: bool = True,
    alike: bool = False,
    write: Callable[..., list[SplitShards]] = write_splits,
) -> Build:
    """Write a data set folder; a build that was killed goes on where it was.

    Args:
        jobs: the splits of all configs, not yet cut into shards.
        options: how the build is run.
        finish: from the written splits and their items per shard (by ``config/split``) to the finished folder:
            calls ``finish_folder``.
        name: of the photos, for errors.
        item: what a row is made of and what is done to it ("photo could be processed"), for errors.
        sizes: items per shard by ``config/split``, as another build had them; measured on a sample by default.
        sample: items of each job that are measured, at most.
        estimate: print the estimate, where ``options.progress`` is set.
        alike: the items of all jobs are of one kind: the largest job alone is measured, and all are cut by one number.
        write: ``write_splits``, or ``write_groups`` for the splits of one config that share their shards.

    Raises:
        UsageError: ``options.output`` holds something else.
        DataError: not enough space, or not one item gave a row.
    """
    planned = plan_shards(jobs, options, sizes=sizes, sample=sample, estimate=estimate, alike=alike)
    splits = write(planned, workers=options.workers, progress=options.progress)
    if not any(split.rows for split in splits):
        reason = next((failure.reason for split in splits for failure in split.failures), "none was given")
        raise DataError(f"{name}: not one {item} (the first: {reason})")
    build = finish(splits, {_key(job): job.items_per_shard for job in planned})
    remove_previous(options.output)
    return build


def plan_shards(
    jobs: Sequence[ShardJob],
    options: BuildOptions,
    *,
    sizes: Mapping[str, int] | None = None,
    sample: int = SAMPLE_ITEMS,
    estimate: bool = True,
    alike: bool = False,
) -> list[ShardJob]:
    """The jobs of a build, cut into shards, in a folder that is ready for them.

    Arguments and errors as in ``build_data_set``. If ``sizes`` names every job, nothing is measured and the space is
    not checked.
    """
    if options.update:
        # a folder with files that no build wrote is refused before anything is moved
        prepare_folder(options.output, list_folder(options.output / STATE_FOLDER, may_be_absent=True).folders)
        set_aside(options.output)
    prepare_folder(options.output, dict.fromkeys(job.config for job in jobs), fresh=options.fresh)
    if options.update:
        jobs = [with_previous_rows(job) for job in jobs]
        if options.progress:
            items = sum(len(job.ids) for job in jobs)
            notice(f"{previous_items(jobs):,} of {items:,} are in the earlier build; what is equal is copied")
    known = dict(sizes or {})
    if any(_key(job) not in known for job in jobs):
        measured = _measure(jobs, sample, alike)
        total_bytes = sum(space.total_bytes for space in measured)
        if estimate and options.progress:
            seconds = sum(space.seconds_per_item * len(space.job.ids) for space in measured)
            notice(
                f"about {total_bytes / 1e6:,.0f} MB and {seconds / max(options.workers, 1) / 60:.0f} minutes on "
                f"{options.workers} workers, measured on a sample"
            )
        if not options.ignore_space:
            require_space(options.output, total_bytes)
        items = sum(len(job.ids) for job in jobs)
        for space in measured:
            cut = items_per_shard(space.bytes_per_item, items if alike else len(space.job.ids))
            known.setdefault(_key(space.job), cut)
        jobs = [space.job for space in measured]  # they have the rows of the sample already
    return [dataclasses.replace(job, items_per_shard=known[_key(job)]) for job in jobs]


def _measure(jobs: Sequence[ShardJob], sample: int, alike: bool) -> list[SpaceEstimate]:
    if not alike:
        return [estimate_space(job, sample, keep_bytes=SAMPLE_BYTES // len(jobs)) for job in jobs]
    largest = max(jobs, key=lambda job: len(job.ids))
    space = estimate_space(largest, sample, keep_bytes=SAMPLE_BYTES)

    def scaled(job: ShardJob) -> SpaceEstimate:
        return dataclasses.replace(space, total_bytes=int(space.bytes_per_item * len(job.ids)), job=job)

    return [space if job is largest else scaled(job) for job in jobs]


def _key(job: ShardJob) -> str:
    return f"{job.config}/{job.split}"
