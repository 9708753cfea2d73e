"""Tasks by ranks: each computes tasks, or parts of kNN queries, on the embeddings of one encoder that ranks have made.

A rank merges the blocks of that encoder into a bank in its folder for temporary files. An outcome is stored in the
plan's folder as the cache stores it, and ``finish`` copies it to the cache.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.bank import Bank, key_hash, merge_blocks
from benchmark.cluster.plan_form import TaskUnit
from benchmark.cluster.planned_run import BANKS, PlannedRun, photo_facts
from benchmark.scoring import (
    OUTCOME,
    CachedOutcome,
    Computation,
    EncoderRun,
    Job,
    Pass,
    jobs_on,
    planned_passes,
    require_space,
    run_jobs,
)
from builders.cluster import Markers, Plan, ProgressCallback, RankFiles, RankResult, StorageFolder
from builders.errors import DataError
from builders.files import scratch_prefix, write_bytes_atomically
from builders.processes import memory_budget, notice
from builders.untrusted import files_below

OUTCOMES = "outcomes"
"""Folder of outcomes and their parts in the plan's folder."""

KEY = "key.json"


class TaskWork:
    """The tasks of a plan on this machine."""

    def __init__(self, plan: Plan, storage: StorageFolder, planned: PlannedRun) -> None:
        self._plan, self._storage, self._planned = plan, storage, planned
        self._specs = [spec for group in plan.notes["groups"] for spec in group]
        self._scratch = tempfile.TemporaryDirectory(prefix=scratch_prefix())
        self._folder = Path(self._scratch.name)
        self._merged = ""

    def facts(self, units: Sequence[str]) -> dict[str, str]:
        """Facts of the photo sets of units. Files of embeddings are compared with their hashes as they are read."""
        facts: dict[str, str] = {}
        for number in sorted({TaskUnit.of(unit).number for unit in units}):
            facts |= photo_facts(self._planned.sets[number].photos)
        return facts

    def run(self, units: Sequence[str], tick: ProgressCallback) -> RankResult:
        """Compute the units. A task that fails leaves no outcome, and ``finish`` tries it again."""
        files: dict[str, str] = {}
        made = RankFiles(self._plan, self._storage, Markers(self._storage, self._plan.name).all().done)
        chosen = [TaskUnit.of(unit) for unit in units]
        with memory_budget(self._planned.options.memory):
            for number, encoder in dict.fromkeys((unit.number, unit.encoder) for unit in chosen):
                job = self._planned.sets[number]
                for view_pass in planned_passes(job.tasks, job.photos, self._planned.options):
                    names = [task.name for task in view_pass.tasks]
                    of_pass = [u for u in chosen if (u.number, u.encoder) == (number, encoder) and u.task in names]
                    if of_pass:
                        files |= self._run_pass(of_pass, view_pass, made, tick)
        return RankResult(files, 0)

    def close(self) -> None:
        """Remove the bank."""
        self._scratch.cleanup()

    def _run_pass(
        self, units: Sequence[TaskUnit], view_pass: Pass, made: RankFiles, tick: ProgressCallback
    ) -> dict[str, str]:
        """SHA-256 by path of the files that units on one bank give."""
        name = f"{units[0].number}/{self._specs[units[0].encoder]}"
        key, photos = self._plan.notes["keys"][name], self._planned.sets[units[0].number].photos
        bank = self._bank(key, view_pass, made)
        device, size = str(self._plan.notes["device"]), self._plan.notes["inputs"][name]
        how = Computation(key["encoder"]["id"], key, device, None if size is None else (size[0], size[1]))
        chosen = [task for task in view_pass.tasks if task.name in {unit.task for unit in units}]
        options = replace(self._planned.options, cache=self._folder)
        jobs = {job.task.name: job for job, _ in jobs_on(bank, how, photos, chosen, options, EncoderRun({}))}
        files: dict[str, str] = {}
        whole = [unit for unit in units if not unit.parts and unit.task in jobs]
        for unit in units:
            if unit.parts and unit.task in jobs:
                files |= self._part(unit, jobs[unit.task], key)
                tick(1)
        for unit in whole:
            self._fetch_parts(unit, jobs[unit.task], key, made)
        for unit, done in zip(whole, run_jobs([jobs[unit.task] for unit in whole]), strict=True):
            if done.outcome is None:
                notice(f"{unit.task} of {how.name} failed ({done.reason}); 'finish' tries it again")
            else:
                files |= self._store(folder_of(key, unit.task), _cached(jobs[unit.task]).folder, (KEY, OUTCOME))
                _cached(jobs[unit.task]).forget()
            tick(1)
        return files

    def _part(self, unit: TaskUnit, job: Job, key: Mapping[str, Any]) -> dict[str, str]:
        """Compute a part of the queries of a task."""
        if job.task.run_part is None:
            raise DataError(f"{unit.task}: its queries cannot be divided; plan again")
        parts = _cached(job).parts
        job.task.run_part(job.task_input, unit.part, unit.parts)
        files = self._store(f"{folder_of(key, unit.task)}/parts", parts, files_below(parts, may_be_absent=True))
        _cached(job).forget()
        return files

    def _fetch_parts(self, unit: TaskUnit, job: Job, key: Mapping[str, Any], made: RankFiles) -> None:
        """Copy the parts that other ranks have computed to where the task takes them from."""
        below = f"{folder_of(key, unit.task)}/parts"
        for path in made.paths(below):
            write_bytes_atomically(_cached(job).parts / path.removeprefix(f"{below}/"), made.read(path))

    def _store(self, path: str, folder: Path, names: Sequence[str]) -> dict[str, str]:
        files = {}
        for name in names:
            data = (folder / name).read_bytes()
            self._storage.write(f"{path}/{name}", data)
            files[f"{path}/{name}"] = hashlib.sha256(data).hexdigest()
        return files

    def _bank(self, key: Mapping[str, Any], view_pass: Pass, made: RankFiles) -> Bank:
        """The bank of an encoder, merged from blocks; the one of another encoder is removed before."""
        root, views = self._folder / BANKS, view_pass.recipe.view_keys()
        if self._merged != key_hash(key):
            shutil.rmtree(root, ignore_errors=True)
            self._merged = key_hash(key)
        require_space([Bank.look(root, key, views)], root, lambda sentence: None)
        bank = Bank.open(root, key, views)
        merge_blocks(key, views, bank, lambda path: made.read(f"{BANKS}/{path}"))
        return bank


def folder_of(key: Mapping[str, Any], task: str) -> str:
    """Path of the outcome of a task on the bank of a key, below the plan's folder."""
    return f"{OUTCOMES}/{key_hash(key)}/{task.replace('/', '--')}"


def _cached(job: Job) -> CachedOutcome:
    assert job.cached is not None, "planned tasks are in the registry, and their encoders are identified"
    return job.cached
