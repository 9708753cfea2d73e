"""Builds of data sets by ranks: each writes whole shards. The plain build finishes them, since it finds all shards."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmark.cluster.request import Request
from builders.cluster import Finished, FinishOptions, Plan, StorageFolder, cut
from builders.dataset import (
    ShardJob,
    ShardWork,
    claim_folder,
    estimate_space,
    gather_shards,
    hand_over_folder,
    require_space,
    scratch_folder,
)
from builders.errors import UsageError
from builders.processes import notice
from builders.publish import push_built_folder
from builders.splits import RECORD


class ShardRanks:
    """How a build that writes shards is cut into ranks."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def planned(self, storage: StorageFolder, rank_seconds: float, count: int | None) -> dict[str, Any]:
        """Fields of the plan. Shards are measured on a few photos."""
        output = StorageFolder.of(self._request.output)
        folder = output.folder or Path(tempfile.gettempdir()) / "camtrace-plan"
        args = self._request.parsed(folder)
        jobs = _jobs(args, None)
        guarded = getattr(args, "guarded", None)
        estimates = [estimate_space(job) for job in jobs]
        total = sum(estimate.total_bytes for estimate in estimates)
        if output.folder is not None:
            require_space(output.folder, total)
            claim_folder(output.folder)
        each = {f"{j.config}/{j.split}": e.seconds_per_item for j, e in zip(jobs, estimates, strict=True)}
        work = ShardWork(jobs, output)
        units = [(name, items, items * each[name.rpartition("/")[0]]) for name, items in work.units()]
        return {
            "ranks": tuple(cut(units, rank_seconds, count)),
            "facts": work.facts([name for name, _, _ in units]),
            "notes": {"sizes": {f"{job.config}/{job.split}": job.items_per_shard for job in jobs}},
            "estimate": {"seconds": round(sum(cost for _, _, cost in units), 1), "bytes": total, "items": "photos"},
            "files": {} if guarded is None else {RECORD: guarded},
        }

    def open(self, plan: Plan, storage: StorageFolder) -> BuildWork:
        return BuildWork(self._request, plan, storage)

    def finish(self, plan: Plan, done: Mapping[int, Finished], storage: StorageFolder, how: FinishOptions) -> int:
        """Verify every shard and write the card by the plain command, which writes no shard again."""
        output = StorageFolder.of(plan.output)
        if output.folder is not None and how.output is None:
            return _run(_parsed(self._request, output.folder, storage), how)
        with scratch_folder() as scratch:
            folder = how.output or Path(scratch)
            args = _parsed(self._request, folder, storage)
            gather_shards(_jobs(args, plan.notes["sizes"]), output, folder)
            status = _run(args, how)
            if how.output is None:
                hand_over_folder(folder, output)
        return status


class BuildWork:
    """The build work of a plan on this machine."""

    device = "cpu"

    def __init__(self, request: Request, plan: Plan, storage: StorageFolder) -> None:
        self._output = StorageFolder.of(plan.output)
        self._scratch = None if self._output.folder is not None else scratch_folder()
        folder = self._output.folder or Path(str(self._scratch and self._scratch.name))
        work = ShardWork(_jobs(_parsed(request, folder, storage), plan.notes["sizes"]), self._output)
        self.facts, self.run = work.facts, work.run

    def close(self) -> None:
        """Remove the scratch folder."""
        if self._scratch is not None:
            self._scratch.cleanup()


def _parsed(request: Request, folder: Path, storage: StorageFolder) -> argparse.Namespace:
    """The options of the command, with the duplicates that were found when the plan was made."""
    args = request.parsed(folder)
    if hasattr(args, "guarded"):
        args.guarded = storage.read(RECORD)
    return args


def _run(args: argparse.Namespace, how: FinishOptions) -> int:
    started = time.perf_counter()
    status = int(args.run(args))
    notice(f"every shard was verified in {time.perf_counter() - started:.0f} s")
    if how.push_to is not None and not status:
        push_built_folder(args.output, how.push_to, public=how.public)
    return status


def _jobs(args: argparse.Namespace, sizes: Mapping[str, int] | None) -> list[ShardJob]:
    jobs: Callable[..., list[ShardJob]] | None = getattr(args, "jobs", None)
    if jobs is None:
        raise UsageError("this build is not made of shards that ranks could write; run it on one machine")
    return jobs(args, sizes)
