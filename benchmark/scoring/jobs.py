"""Tasks at work on embeddings: on a CPU several side by side, each on one core; what fails is a reason, not the end."""

from __future__ import annotations

import importlib
import math
import os
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm.auto import tqdm

from benchmark.compute import side_by_side
from benchmark.scoring.kept import Slot
from benchmark.tasks import Task, TaskInput, TaskOutcome
from builders.outside import sentence

SIDE_BY_SIDE_BYTES = 256 << 20
"""Embeddings of one encoder up to which tasks run side by side: small solves gain nothing from a second thread (four
probes of 300 photos take 1.2 s side by side on two cores, 3.4 s one after the other); large ones fill the machine, and
memory, one by one."""

ROOMS_OF_TASKS = ("benchmark.knn", "benchmark.probe", "benchmark.retrieval", "benchmark.stats", "benchmark.views")
"""What tasks import when they run. Rooms' faces are parsed, and so is what numba compiles; where two threads parse at
once, some Pythons (3.11.7) may raise ``SystemError: AST constructor recursion depth mismatch`` (cpython gh-106905). So
rooms are imported before there are two."""


@dataclass(frozen=True)
class Job:
    """One task on one encoder's embeddings."""

    task: Task
    given: TaskInput
    slot: Slot | None = None
    """Where the outcome is kept; None where it is not."""


@dataclass(frozen=True)
class Done:
    """What became of a job."""

    outcome: TaskOutcome | None
    reason: str
    """Why there is no outcome; else empty."""
    seconds: float
    """Its part of the time that all jobs took together."""


def run_jobs(jobs: Sequence[Job], *, silent: bool = False) -> list[Done]:
    """Run every job, those that take longest first where they go side by side; answers in order."""
    started = time.perf_counter()
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
            by_place = dict(zip(order, side_by_side(run, [jobs[i] for i in order]), strict=True))
            found = [by_place[i] for i in range(len(jobs))]
        else:
            found = [run(job) for job in jobs]
    share = (time.perf_counter() - started) / max(sum(done.seconds for done in found), 1e-9)
    return [Done(done.outcome, done.reason, done.seconds * share) for done in found]


def _longest_first(jobs: Sequence[Job]) -> list[int]:
    """Places of the jobs as they begin, so that none is left alone at the end; unknown ones keep theirs, before all."""
    effort = [math.inf if job.task.effort is None else job.task.effort(job.given.photos) for job in jobs]
    return sorted(range(len(jobs)), key=lambda i: -effort[i])


def _run(job: Job) -> Done:
    started = time.perf_counter()
    outcome, reason = None, ""
    try:
        outcome = job.task.run(job.given)
        if job.slot is not None:
            job.slot.save(outcome)
    except Exception as error:  # the other tasks' scores are worth keeping
        if os.environ.get("CAMTRACE_DEBUG"):
            traceback.print_exc()
        reason = sentence(error)
    return Done(outcome, reason, time.perf_counter() - started)


def _small(jobs: Sequence[Job]) -> bool:
    """Whether the jobs are for the CPU, and small."""
    inputs = {id(job.given): job.given for job in jobs}.values()
    bytes_each = [4 * len(given.photos) * len(given.bank.names) * given.bank.dim for given in inputs]
    return all(given.device == "cpu" for given in inputs) and max(bytes_each, default=0) <= SIDE_BY_SIDE_BYTES
