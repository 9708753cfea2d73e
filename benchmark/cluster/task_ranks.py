"""Cuts the tasks of a planned run into ranks: parts of kNN queries first, then tasks, each after the ranks it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.cluster.plan_form import TaskUnit
from benchmark.cluster.planned_run import PlannedRun
from benchmark.scoring import OpenedSet, task_times
from benchmark.tasks import Task, all_tasks
from builders.cluster import RankPlan, cut, ranks_text


@dataclass(frozen=True, eq=False)
class PlannedTask:
    """A task of one encoder on one photo set."""

    number: int
    """Of the photo set."""
    encoder: int
    """Position of the encoder among those of all groups."""
    task: Task
    seconds: float
    """Estimated; 0 if it could not be measured."""

    def units(self, parts: int = 0) -> list[str]:
        """Its name as a unit, or those of its parts."""
        return [TaskUnit(self.number, self.encoder, self.task.name, at, parts).text for at in range(parts or 1)]


def planned_tasks(run: PlannedRun, specs: Sequence[str], keys: Mapping[str, Any], device: str) -> list[PlannedTask]:
    """Every task of every encoder that ranks can compute, measured on made-up embeddings once for each dimension.

    Tasks that are not in the registry or read answers of models, and all of a run with an eraser, are left to
    ``finish``.

    Args:
        run: to be planned.
        specs: encoders of all groups, in order.
        keys: keys of their banks, by photo set and encoder.
        device: on which this machine measures.
    """
    tasks: list[PlannedTask] = []
    seconds: dict[tuple[int, int], dict[str, float]] = {}
    for number, job in enumerate(run.sets) if not getattr(run.args, "eraser", None) else ():
        shared = [task for task in job.tasks if all_tasks().get(task.name) == task and not task.reads_answers]
        for encoder, spec in enumerate(specs):
            dimension = int(keys[f"{number}/{spec}"]["encoder"]["dimension"])
            if (number, dimension) not in seconds:
                seconds[number, dimension] = _measured(replace(job, tasks=tuple(shared)), dimension, run, device)
            of_tasks = seconds[number, dimension]
            tasks += [PlannedTask(number, encoder, task, of_tasks.get(task.name, 0.0)) for task in shared]
    return tasks


def _measured(job: OpenedSet, dimension: int, run: PlannedRun, device: str) -> dict[str, float]:
    costs = task_times(job.tasks, job.photos, dimension, run.options, device)
    return {name: cost.seconds or 0.0 for name, cost in costs.items()}


def with_task_ranks(
    embedding: Sequence[RankPlan],
    tasks: Sequence[PlannedTask],
    groups: Sequence[Sequence[str]],
    rank_seconds: float,
    count: int | None,
) -> tuple[RankPlan, ...]:
    """Ranks of embedding, then of parts of kNN queries, then of tasks, each of about ``rank_seconds``.

    A kNN task that takes longer than a rank should is cut into parts of its queries. The rank of the task then merges
    them, and does what is not of single queries.

    Args:
        embedding: ranks that embed.
        tasks: all of them.
        groups: of encoders.
        rank_seconds: that a rank should take.
        count: of the ranks of each kind, at most; None for as many as ``rank_seconds`` gives.
    """
    total = sum(task.seconds for task in tasks)
    most = rank_seconds if count is None else total / count
    parts = {task: _parts(task, most) for task in tasks}
    group_of = [g for g, group in enumerate(groups) for _ in group]
    ranks = list(embedding)
    divided = [
        (unit, task, task.seconds / parts[task]) for task in tasks if parts[task] for unit in task.units(parts[task])
    ]
    whole = [(task.units()[0], task, 0.0 if parts[task] else task.seconds) for task in tasks]
    for units in (divided, whole):
        task_of, before = {unit: task for unit, task, _ in units}, list(ranks)
        for rank in cut([(unit, 1, cost) for unit, _, cost in units], rank_seconds, count) if units else ():
            needs = _needs(before, {task_of[unit] for unit in rank.units}, group_of)
            ranks.append(replace(rank, needs=ranks_text(needs)))
    return tuple(ranks)


def _parts(task: PlannedTask, most: float) -> int:
    """Number of parts of a task's queries, each of at most so many seconds; 0 for a task that is not divided."""
    if task.task.run_part is None or most <= 0 or task.seconds <= most:
        return 0
    return math.ceil(task.seconds / most)


def _needs(ranks: Sequence[RankPlan], tasks: set[PlannedTask], group_of: Sequence[int]) -> list[int]:
    """Numbers of the ranks that embed for these tasks, or compute parts of them."""
    blocks = {f"{task.number}/{group_of[task.encoder]}" for task in tasks}
    parts = {(task.number, task.encoder, task.task.name) for task in tasks}

    def is_needed(unit: str) -> bool:
        if not TaskUnit.names_one(unit):
            return unit.rpartition("/")[0] in blocks
        part = TaskUnit.of(unit)
        return (part.number, part.encoder, part.task) in parts

    return [number for number, rank in enumerate(ranks) if any(is_needed(unit) for unit in rank.units)]
