"""The list of all tasks, and the selection of those that can be run on given photos."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import subject_of
from benchmark.tasks.acquisition_probe import ACQUISITION_PROBES, attribute_labels
from benchmark.tasks.adversary import ADVERSARY_TASKS
from benchmark.tasks.class_probe import SEMANTICS_TASKS
from benchmark.tasks.knn import NEIGHBOUR_TASKS
from benchmark.tasks.processing_probe import PROCESSING_PROBES
from benchmark.tasks.retrieval import RETRIEVAL_TASKS
from benchmark.tasks.task import Task
from builders.errors import DataError, unknown_name
from builders.exif import column_spelling
from builders.photos import UNLABELLED, PhotoSet
from builders.pixels import ALL_PARAMETERS

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
"""Every task by name, in the order of reports. A new family is a new module and a name here."""

WATCHED = "probe/jpeg"
"""The default task for watching a training: it needs few photos, and every file has the trace."""


def all_tasks() -> Mapping[str, Task]:
    """Every task by name, in the order of reports.

    >>> list(all_tasks())[:2]
    ['probe/jpeg', 'probe/sharpening']
    """
    return TASKS


def select_tasks(patterns: Sequence[str], tasks: Mapping[str, Task]) -> list[Task]:
    """Tasks whose names match one of some shell patterns, in registry order; all tasks if there is no pattern.

    A task whose subject must be named (``Task.by_name``) is selected by ``probe/jpeg-fine`` and ``*/jpeg-fine``, but
    not by ``probe/*``.

    Raises:
        UsageError: a pattern matches nothing.
    """
    for pattern in patterns:
        if not fnmatch.filter(tasks, pattern):
            raise unknown_name("task", pattern, tasks)
    return [t for t in tasks.values() if not patterns or any(_matches(t, pattern) for pattern in patterns)]


def _matches(task: Task, pattern: str) -> bool:
    named = not task.by_name or not re.search(r"[*?\[]", pattern.rpartition("/")[2])
    return named and fnmatch.fnmatchcase(task.name, pattern)


def fitting_tasks(tasks: Sequence[Task], photos: PhotoSet, *, named: bool) -> list[Task]:
    """The tasks that can be run on these photos.

    Args:
        tasks: candidates.
        photos: the photo set.
        named: whether the user named the tasks. If not, photos with acquisition labels or pairs are used only for tasks
            about these: processing them in 14 ways as well would cost many times more. Tasks whose subject must be
            named are then left out too, unless the photos store their views.

    Raises:
        DataError: no task can be run.
    """
    wanted = [task for task in tasks if named or not task.by_name or photos.stored_views]
    fitting = [task for task in wanted if not task.unfit(photos)]
    if not fitting:
        reasons = "; ".join(f"{task.name}: {task.unfit(photos)}" for task in tasks[:3])
        raise DataError(f"{photos.name} cannot answer any of the tasks ({reasons})")
    acquisition = [task for task in fitting if task.about_acquisition]
    return acquisition if acquisition and not named else fitting


@dataclass(frozen=True, eq=False)
class Trace:
    """A label of photos or views that embeddings may reveal."""

    task: Task
    """The probe that reads it."""
    views: tuple[str, ...]
    """Names of the views that show it."""
    classes: tuple[str, ...]
    labels: np.ndarray
    """int64 [V, photos], the class of each photo in each view; -1 if it is unknown."""
    column: str
    """Name of the photos' attribute; empty for a processing, which belongs to a view."""


def traces() -> Mapping[str, Task]:
    """Every trace by name, with the probe that reads it.

    >>> list(traces())[:2]
    ['jpeg', 'sharpening']
    """
    return {subject_of(task.name): task for task in TASKS.values() if any(m.summary == "MP" for m in task.metrics)}


def trace_of(name: str, photos: PhotoSet, options: RunOptions) -> Trace:
    """A trace on these photos.

    Args:
        name: of the trace, a key of ``traces()``.
        photos: the photo set.
        options: ``mask_ratio`` is read.

    Raises:
        UsageError: the trace does not exist.
        DataError: these photos cannot show it.
    """
    known = traces()
    if name not in known:
        raise unknown_name("trace", name, known)
    task = known[name]
    if reason := task.unfit(photos):
        raise DataError(f"{photos.name} cannot show {name}: {reason}")
    if name in ALL_PARAMETERS:
        parameter = ALL_PARAMETERS[name]
        labels = np.repeat(np.arange(len(parameter.classes))[:, None], len(photos), axis=1)
        return Trace(task, tuple(parameter.processings), tuple(parameter.classes), labels, "")
    column = attribute_labels(photos, name)
    assert column is not None
    spelling = name if name in photos.attributes else column_spelling(name)
    view = "masked" if options.mask_ratio else "whole"
    return Trace(task, (view,), column.names, np.where(column.values == UNLABELLED, -1, column.values)[None], spelling)
