"""The shards of a build as units of work for ranks: checks before a rank begins, and transfer of its shards."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from builders.cluster import ProgressCallback, RankResult, StorageFolder
from builders.dataset.shards import ShardJob, rows_of, write_shard
from builders.errors import DataError
from builders.files import scratch_prefix
from builders.pixels import codec_canary
from builders.processes import memory_budget
from builders.untrusted import list_folder

PROBED = 2
"""Items of each split that every rank makes before it begins: their hash covers bytes, code and codec."""


class ShardWork:
    """The shards of a build as units of work. Names of units are ``config/split/number``."""

    def __init__(self, jobs: Sequence[ShardJob], output: StorageFolder) -> None:
        """Index the jobs by name.

        Args:
            jobs: of the whole build, cut into shards. They write to a scratch folder if ``output`` is not local.
            output: folder of the build.
        """
        self._jobs = {f"{job.config}/{job.split}": job for job in jobs}
        self._output = output

    def units(self) -> list[tuple[str, int]]:
        """Name and number of items of each unit, in order."""
        return [
            (f"{name}/{number:05d}", len(job.items(number)))
            for name, job in self._jobs.items()
            for number in range(job.count)
        ]

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """Codec, photos, settings and hash of a few rows, of the splits of these units: the same on all ranks."""
        facts = {"the codec canary": codec_canary(), "the version of pyarrow": pa.__version__}
        for name in dict.fromkeys(unit.rpartition("/")[0] for unit in units):
            job = self._job(name)
            facts[f"the photos of {name}"] = f"{len(job.ids):,}, {_ids_hash(job.ids)}"
            facts[f"the settings of {name}"] = job.recipe_hash
            facts[f"the first and last rows of {name}"] = _probe(job)
        return facts

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Write these units. Finished shards stay if the run fails."""
        files: dict[str, str] = {}
        failures = 0
        with memory_budget():
            for unit in units:
                name, _, number = unit.rpartition("/")
                job = self._job(name)
                shard = write_shard(job, int(number), lambda: tick(1))
                files[shard.file] = shard.sha256
                failures += len(shard.failures)
                if self._output.folder is None:
                    self._hand_over(job, int(number))
        return RankResult(files, failures)

    def _hand_over(self, job: ShardJob, number: int) -> None:
        """Move a shard from the scratch folder to an object store, its marker last."""
        for path in (job.output / job.file(number), job.marker(number)):
            self._output.put(path, path.relative_to(job.output).as_posix())
            path.unlink()

    def _job(self, name: str) -> ShardJob:
        if name not in self._jobs:
            raise DataError(f"{name}: not a split of this build, which has {', '.join(self._jobs)}")
        return self._jobs[name]


def gather_shards(jobs: Sequence[ShardJob], output: StorageFolder, folder: Path) -> None:
    """Download the shards and markers of a build from an object store.

    Args:
        jobs: of the build, cut into shards.
        output: the object store.
        folder: local folder that receives them.
    """
    for job in jobs:
        for number in range(job.count):
            for path in (job.output / job.file(number), job.marker(number)):
                name = path.relative_to(job.output).as_posix()
                output.get(name, folder / name)


def hand_over_folder(folder: Path, output: StorageFolder) -> None:
    """Upload the files that the last step of a build wrote to the object store of its shards."""
    for name in list_folder(folder).files:
        if not name.startswith("."):
            output.put(folder / name, name)


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for shards that go to an object store."""
    return tempfile.TemporaryDirectory(prefix=scratch_prefix())


def _ids_hash(ids: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(ids).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _probe(job: ShardJob) -> str:
    """Hash of the rows of a few items, pixels included: 16 hex digits."""
    digest = hashlib.sha256()
    items = np.linspace(0, len(job.ids) - 1, min(PROBED, len(job.ids))).astype(int).tolist()
    failures: list[Any] = []
    for row in rows_of(job, items, failures, lambda: None):
        for name, value in sorted(row.items()):
            digest.update(name.encode() + b"\0" + _bytes_of(value))
    digest.update("".join(failure.reason for failure in failures).encode("utf-8", "replace"))
    return digest.hexdigest()[:16]


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return bytes(value["bytes"]) + str(value.get("path")).encode("utf-8", "replace")
    return json.dumps(value, default=str).encode()
