"""Every question by name, and which of them photos can answer."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmark.tasks.acquisition import ACQUISITION_PROBES
from benchmark.tasks.adversary import ADVERSARY_TASKS
from benchmark.tasks.neighbours import NEIGHBOUR_TASKS
from benchmark.tasks.processing import PROCESSING_PROBES
from benchmark.tasks.retrieval import RETRIEVAL_TASKS
from benchmark.tasks.semantics import SEMANTICS_TASKS
from benchmark.tasks.task import Task
from builders.errors import DataError, unknown_name
from builders.photos import PhotoSet

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        **PROCESSING_PROBES,
        **ACQUISITION_PROBES,
        **NEIGHBOUR_TASKS,
        **ADVERSARY_TASKS,
        **RETRIEVAL_TASKS,
        **SEMANTICS_TASKS,
    }
)
"""Every task by name, in the order of reports. A new family is a file beside these and a name here."""


WATCHED = "probe/jpeg"
"""The task by which a training is watched unless others are asked for: few photos say much, and every file has it."""


def all_tasks() -> Mapping[str, Task]:
    """Every task by name, in the order of reports.

    >>> list(all_tasks())[:2]
    ['probe/jpeg', 'probe/sharpening']
    """
    return TASKS


def select_tasks(patterns: Sequence[str], tasks: Mapping[str, Task]) -> list[Task]:
    """Tasks whose names match one of some shell patterns, in registry order; all of them for no pattern.

    A task that wants its subject named (``Task.by_name``) is chosen by ``probe/jpeg-fine`` and ``*/jpeg-fine``, not by
    ``probe/*``.

    Raises:
        UsageError: a pattern matches nothing.
    """
    for pattern in patterns:
        if not fnmatch.filter(tasks, pattern):
            raise unknown_name("task", pattern, tasks)
    return [t for t in tasks.values() if not patterns or any(_chosen(t, pattern) for pattern in patterns)]


def _chosen(task: Task, pattern: str) -> bool:
    named = not task.by_name or not re.search(r"[*?\[]", pattern.rpartition("/")[2])
    return named and fnmatch.fnmatchcase(task.name, pattern)


def fitting_tasks(tasks: Sequence[Task], photos: PhotoSet, *, asked: bool) -> list[Task]:
    """The tasks that photos can answer.

    Args:
        tasks: candidates.
        photos: the photo set.
        asked: the user named the tasks. If not, photos that bring acquisition labels or pairs are asked about these
            alone: processing them in 14 ways as well would cost many times more than what they were made for. Tasks
            that want to be named are then left out too, unless photos store their views.

    Raises:
        DataError: there is none.
    """
    wanted = [task for task in tasks if asked or not task.by_name or photos.stored_views]
    fitting = [task for task in wanted if not task.unfit(photos)]
    if not fitting:
        reasons = "; ".join(f"{task.name}: {task.unfit(photos)}" for task in tasks[:3])
        raise DataError(f"{photos.name} cannot answer any of the tasks ({reasons})")
    special = [task for task in fitting if task.of_cameras]
    return special if special and not asked else fitting
