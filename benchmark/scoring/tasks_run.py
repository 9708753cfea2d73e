"""Runs tasks on embeddings, on a CPU several in parallel, and caches their outcomes.

The key of an outcome contains everything that affects a score. A task that fails is a reason and does not end the run.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import io
import json
import math
import os
import shutil
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmark.bank import key_hash
from benchmark.compute import library_version, parallel_map
from benchmark.encoders import Output
from benchmark.options import RunOptions
from benchmark.results import Score, code_hash
from benchmark.scoring.reproduce import options_key
from benchmark.tasks import Task, TaskInput, TaskOutcome, all_tasks
from builders.errors import CamtraceError
from builders.files import write_bytes_atomically, write_text_atomically
from builders.photos import PhotoSet
from builders.plugins import plugins
from builders.processes import step_bar
from builders.untrusted import UntrustedInputError, error_text, parse_in_turn, read_untrusted_arrays

FOLDER = "outcomes"
"""Folder of outcomes in the cache."""

LIBRARIES = ("numpy", "scipy", "torch", "numba")
"""Libraries whose versions are in the key of an outcome, since they may affect a score."""

OUTCOME = "outcome.npz"

_SCORES = "scores.json"


@dataclass(frozen=True)
class CachedOutcome:
    """The cache entry of one task's outcome on one encoder's embeddings."""

    folder: Path
    key: Mapping[str, Any]

    @property
    def parts(self) -> Path:
        """Folder for what a task has done so far; removed when the task is done."""
        return self.folder / "parts"

    @property
    def is_stored(self) -> bool:
        """Whether there is an outcome."""
        return (self.folder / OUTCOME).exists()

    def load(self) -> TaskOutcome | None:
        """The cached outcome; None if there is none or it is damaged."""
        try:
            arrays = read_untrusted_arrays(self.folder / OUTCOME)
            os.utime(self.folder)  # last use, shown by 'camtrace cache list'
            raw = json.loads(arrays.pop(_SCORES).tobytes().decode("utf-8"))
            return TaskOutcome(tuple(Score(**score) for score in raw), arrays)
        except (UntrustedInputError, OSError, ValueError, KeyError, TypeError) as error:
            if os.path.lexists(self.folder / OUTCOME):
                print(f"camtrace: warning: {self.folder}: not whole ({error_text(error)}); made again", file=sys.stderr)
            return None

    def save(self, outcome: TaskOutcome) -> None:
        """Cache an outcome. If it cannot be written there is a warning, and the next run computes it again."""
        scores = json.dumps([dataclasses.asdict(score) for score in outcome.scores]).encode("utf-8")
        arrays = {**outcome.answers, _SCORES: np.frombuffer(scores, dtype=np.uint8)}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        try:
            write_text_atomically(self.folder / "key.json", json.dumps(self.key, indent=2, sort_keys=True) + "\n")
            write_bytes_atomically(self.folder / OUTCOME, buffer.getvalue())
            shutil.rmtree(self.parts, ignore_errors=True)
        except OSError as error:
            print(f"camtrace: warning: {self.folder}: cannot be written ({error.strerror})", file=sys.stderr)

    def forget(self) -> None:
        """Remove the entry."""
        shutil.rmtree(self.folder, ignore_errors=True)


OutcomesOfRanks = Mapping[tuple[str, str], CachedOutcome]
"""By (hash of the bank's key, task): outcomes that ranks of a plan have computed, perhaps on another device."""

NO_OUTCOMES: OutcomesOfRanks = MappingProxyType({})


def cached_outcome(
    task: Task,
    photos: PhotoSet,
    usable: np.ndarray,
    bank: Mapping[str, Any],
    options: RunOptions,
    device: str,
    output: Output | None,
) -> CachedOutcome | None:
    """The cache entry of a task's outcome; None for a task of a plug-in or of a caller, whose code is in no hash.

    Args:
        task: the task.
        photos: the photo set: ids, splits, labels and columns count.
        usable: bool [photos], those with embeddings.
        bank: key of the embeddings, photos' bytes included.
        options: of the run.
        device: of the computation.
        output: of the encoder; None for its embedding.
    """
    plugin = plugins("tasks").get(task.name.partition("/")[0])
    if all_tasks().get(task.name) != task or (plugin is not None and plugin.dist is not None):  # code outside the key
        return None
    key = {
        "task": task.name,
        "bank": bank,
        "views": task.recipe(photos, options).view_keys(),
        "question": photos.question_hash(),
        "usable": hashlib.sha256(np.packbits(usable).tobytes()).hexdigest()[:32],
        "options": options_key(options, photos),
        "device": device.partition(":")[0],
        "code": code_hash(),
        "libraries": {name: library_version(name) or "" for name in LIBRARIES},
        **({"output": {"name": output.name, "read": output.read}} if output else {}),
    }
    return outcome_entry(options.cache, key)


def outcome_entry(cache: Path, key: Mapping[str, Any]) -> CachedOutcome:
    """The entry of a key."""
    return CachedOutcome(cache / FOLDER / key_hash(key), key)


SIDE_BY_SIDE_BYTES = 256 << 20
"""Bytes of one encoder's embeddings up to which tasks run in parallel. Small solves gain nothing from a second thread:
four probes of 300 photos take 1.2 s in parallel on two cores, 3.4 s one after the other. Large ones use all cores, and
the memory, one by one."""

PACKAGES_OF_TASKS = (
    "benchmark.answers",
    "benchmark.audit",
    "benchmark.detection",
    "benchmark.erasing",
    "benchmark.knn",
    "benchmark.probe",
    "benchmark.retrieval",
    "benchmark.robustness",
    "benchmark.stats",
    "benchmark.views",
)
"""Packages that tasks import when they run. They are imported before there are two threads, since imports block each
other, and packages' stubs are parsed, which some Pythons cannot do in two threads (``builders/untrusted/parsing.py``).
"""


@dataclass(frozen=True)
class Job:
    """One task on one encoder's embeddings."""

    task: Task
    task_input: TaskInput
    cached: CachedOutcome | None = None
    """Cache entry of the outcome; None if it is not cached."""


@dataclass(frozen=True)
class Done:
    """The outcome of a job, or the reason why there is none."""

    outcome: TaskOutcome | None
    reason: str
    """Why there is no outcome; else empty."""
    seconds: float
    """The job's share of the time that all jobs took together."""
    internal: bool = False
    """Whether the error is one that this package does not raise on purpose."""
    retried: str = ""
    """Reason of a first failure after which the job succeeded; else empty."""


def run_jobs(jobs: Sequence[Job], *, silent: bool = False) -> list[Done]:
    """Run every job, the longest first if they run in parallel.

    A job that fails by an internal error is run once more by itself after the others, since a library may fail only
    when two threads use it at once. If it then succeeds, a line on standard error says so.

    Args:
        jobs: tasks on embeddings.
        silent: no progress bar.

    Returns:
        What became of each job, in order.
    """
    started = time.perf_counter()
    parse_in_turn()
    for package in PACKAGES_OF_TASKS:
        importlib.import_module(package)
    bar = step_bar(total=len(jobs), desc="scoring", unit="task", silent=silent)

    def run(job: Job) -> Done:
        bar.set_postfix_str(job.task.name, refresh=False)
        done = _run(job)
        bar.update()
        return done

    with bar:
        if _small(jobs):
            order = _longest_first(jobs)
            by_position = dict(zip(order, parallel_map(run, [jobs[i] for i in order]), strict=True))
            done_jobs = [by_position[i] for i in range(len(jobs))]
        else:
            done_jobs = [run(job) for job in jobs]
    done_jobs = [_run_again(job, done) if done.internal else done for job, done in zip(jobs, done_jobs, strict=True)]
    share = (time.perf_counter() - started) / max(sum(done.seconds for done in done_jobs), 1e-9)
    return [replace(done, seconds=done.seconds * share) for done in done_jobs]


def _longest_first(jobs: Sequence[Job]) -> list[int]:
    """Positions of the jobs, longest first, so that none runs alone at the end; those of unknown length come first."""
    effort = [math.inf if job.task.effort is None else job.task.effort(job.task_input.photos) for job in jobs]
    return sorted(range(len(jobs)), key=lambda i: -effort[i])


def _run(job: Job) -> Done:
    started = time.perf_counter()
    outcome, reason, internal = None, "", False
    try:
        outcome = job.task.run(job.task_input)
        if job.cached is not None:
            job.cached.save(outcome)
    except Exception as error:  # the other tasks are scored
        if os.environ.get("CAMTRACE_DEBUG"):
            traceback.print_exc()
        reason, internal = error_text(error), not isinstance(error, CamtraceError)
    return Done(outcome, reason, time.perf_counter() - started, internal)


def _run_again(job: Job, first: Done) -> Done:
    """Run a failed job by itself; if it fails again, the first reason stands."""
    again = _run(job)
    seconds = first.seconds + again.seconds
    if again.outcome is None:
        return replace(first, seconds=seconds)
    print(f"camtrace: {job.task.name} failed ({first.reason}); run once more, alone, it succeeded", file=sys.stderr)
    return replace(again, seconds=seconds, retried=first.reason)


def _small(jobs: Sequence[Job]) -> bool:
    """True if all jobs run on the CPU and are small."""
    inputs = {id(job.task_input): job.task_input for job in jobs}.values()
    return all(run_side_by_side(i.photos, len(i.bank.names), i.bank.dim, i.device) for i in inputs)


def run_side_by_side(photos: PhotoSet, views: int, dimension: int, device: str) -> bool:
    """Whether tasks on the embeddings of some views of these photos run in parallel, with one thread each."""
    return device == "cpu" and 4 * len(photos) * views * dimension <= SIDE_BY_SIDE_BYTES
