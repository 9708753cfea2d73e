"""Tasks at work on embeddings: on a CPU several side by side, each on one core; what fails is a reason, not the end."""

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
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from benchmark.bank import key_hash
from benchmark.compute import library_version, parallel_map
from benchmark.encoders import Output
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring.code_hash import code_hash
from benchmark.scoring.reproduce import options_key
from benchmark.tasks import Task, TaskInput, TaskOutcome, all_tasks
from builders.errors import CamtraceError
from builders.files import write_bytes_atomically, write_text_atomically
from builders.photos import PhotoSet
from builders.untrusted import UntrustedInputError, error_text, parse_in_turn, read_untrusted_arrays

FOLDER = "outcomes"
"""Of the cache."""

LIBRARIES = ("numpy", "scipy", "torch", "numba")
"""Whose versions may."""

OUTCOME = "outcome.npz"

_SCORES = "scores.json"


@dataclass(frozen=True)
class CachedOutcome:
    """The place of one task's outcome on one encoder's embeddings."""

    folder: Path
    key: Mapping[str, Any]

    @property
    def parts(self) -> Path:
        """Where a task may keep what it has done so far; gone when it is done."""
        return self.folder / "parts"

    def load(self) -> TaskOutcome | None:
        """What was kept; None if there is nothing, or nothing whole."""
        try:
            arrays = read_untrusted_arrays(self.folder / OUTCOME)
            os.utime(self.folder)  # when it was last used, for those who make space
            raw = json.loads(arrays.pop(_SCORES).tobytes().decode("utf-8"))
            return TaskOutcome(tuple(Score(**score) for score in raw), arrays)
        except (UntrustedInputError, OSError, ValueError, KeyError, TypeError) as error:
            if os.path.lexists(self.folder / OUTCOME):
                print(f"camtrace: warning: {self.folder}: not whole ({error_text(error)}); made again", file=sys.stderr)
            return None

    def save(self, outcome: TaskOutcome) -> None:
        """Keep an outcome; a disk that does not take it costs the next run the work, with a warning, and no score."""
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
        """Take it for not done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def cached_outcome(
    task: Task,
    photos: PhotoSet,
    usable: np.ndarray,
    bank: Mapping[str, Any],
    options: RunOptions,
    device: str,
    output: Output | None = None,
) -> CachedOutcome | None:
    """Where the outcome of a task belongs; None for a task that is not of the registry, whose code nobody can name.

    Args:
        task: the question.
        photos: who is asked: ids, splits, labels and columns count.
        usable: bool [photos], those with embeddings.
        bank: key of the embeddings, photos' bytes included.
        options: of the run.
        device: where the arithmetic runs.
        output: of the encoder; None for its embedding.
    """
    if all_tasks().get(task.name) != task:
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
    return CachedOutcome(options.cache / FOLDER / key_hash(key), key)


SIDE_BY_SIDE_BYTES = 256 << 20
"""Embeddings of one encoder up to which tasks run side by side: small solves gain nothing from a second thread (four
probes of 300 photos take 1.2 s side by side on two cores, 3.4 s one after the other); large ones fill the machine, and
memory, one by one."""

ROOMS_OF_TASKS = ("benchmark.knn", "benchmark.probe", "benchmark.retrieval", "benchmark.stats", "benchmark.views")
"""What tasks import when they run. It is imported before there are two threads: imports wait for each other, and
packages' stubs are parsed, which some Pythons cannot do in two threads (``builders/untrusted/parsing.py``)."""


@dataclass(frozen=True)
class Job:
    """One task on one encoder's embeddings."""

    task: Task
    given: TaskInput
    slot: CachedOutcome | None = None
    """Where the outcome is kept; None where it is not."""


@dataclass(frozen=True)
class Done:
    """What became of a job."""

    outcome: TaskOutcome | None
    reason: str
    """Why there is no outcome; else empty."""
    seconds: float
    """Its part of the time that all jobs took together."""
    internal: bool = False
    """Whether it failed by an error that no code of this package raises on purpose."""
    retried: str = ""
    """Where there is an outcome although the job failed at first: the reason of that failure."""


def run_jobs(jobs: Sequence[Job], *, silent: bool = False) -> list[Done]:
    """Run every job, those that take longest first where they go side by side; answers in order.

    A job that fails by an internal error is run once more after the others, by itself: what two threads do to a library
    at once is not the task's failure. Where it then succeeds, a line on standard error says so.
    """
    started = time.perf_counter()
    parse_in_turn()
    for room in ROOMS_OF_TASKS:
        importlib.import_module(room)
    bar = tqdm(total=len(jobs), desc="scoring", unit="task", delay=2, leave=False, disable=silent or None)

    def run(job: Job) -> Done:
        bar.set_postfix_str(job.task.name, refresh=False)
        done = _run(job)
        bar.update()
        return done

    with bar:
        if _small(jobs):
            order = _longest_first(jobs)
            by_place = dict(zip(order, parallel_map(run, [jobs[i] for i in order]), strict=True))
            found = [by_place[i] for i in range(len(jobs))]
        else:
            found = [run(job) for job in jobs]
    found = [_run_again(job, done) if done.internal else done for job, done in zip(jobs, found, strict=True)]
    share = (time.perf_counter() - started) / max(sum(done.seconds for done in found), 1e-9)
    return [replace(done, seconds=done.seconds * share) for done in found]


def _longest_first(jobs: Sequence[Job]) -> list[int]:
    """Places of the jobs as they begin, so that none is left alone at the end; unknown ones keep theirs, before all."""
    effort = [math.inf if job.task.effort is None else job.task.effort(job.given.photos) for job in jobs]
    return sorted(range(len(jobs)), key=lambda i: -effort[i])


def _run(job: Job) -> Done:
    started = time.perf_counter()
    outcome, reason, internal = None, "", False
    try:
        outcome = job.task.run(job.given)
        if job.slot is not None:
            job.slot.save(outcome)
    except Exception as error:  # the other tasks' scores are worth keeping
        if os.environ.get("CAMTRACE_DEBUG"):
            traceback.print_exc()
        reason, internal = error_text(error), not isinstance(error, CamtraceError)
    return Done(outcome, reason, time.perf_counter() - started, internal)


def _run_again(job: Job, first: Done) -> Done:
    """A job that failed, by itself; if it fails again, for the first reason."""
    again = _run(job)
    seconds = first.seconds + again.seconds
    if again.outcome is None:
        return replace(first, seconds=seconds)
    print(f"camtrace: {job.task.name} failed ({first.reason}); run once more, alone, it succeeded", file=sys.stderr)
    return replace(again, seconds=seconds, retried=first.reason)


def _small(jobs: Sequence[Job]) -> bool:
    """Whether the jobs are for the CPU, and small."""
    inputs = {id(job.given): job.given for job in jobs}.values()
    bytes_each = [4 * len(given.photos) * len(given.bank.names) * given.bank.dim for given in inputs]
    return all(given.device == "cpu" for given in inputs) and max(bytes_each, default=0) <= SIDE_BY_SIDE_BYTES
