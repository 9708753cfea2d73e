"""What of a trace an eraser is fitted on: the views of photos that show it, and the class of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import subject_of
from benchmark.tasks.attribute_photos import attribute_labels
from benchmark.tasks.registry import TASKS
from benchmark.tasks.task import Task
from builders.errors import DataError, unknown_name
from builders.exif import column_spelling
from builders.photos import UNLABELLED, PhotoSet
from builders.pixels import ALL_PARAMETERS


@dataclass(frozen=True, eq=False)
class Trace:
    """One label that embeddings may tell, on some photos."""

    task: Task
    """The probe that reads it."""
    views: tuple[str, ...]
    """Names of the views that show it."""
    classes: tuple[str, ...]
    labels: np.ndarray
    """int64 [V, photos]: the class of each photo in each view; -1 where it is not known."""
    column: str
    """Name of the photos' attribute; empty for a processing, which is a view's."""


def traces() -> Mapping[str, Task]:
    """Every trace by name, with the probe that reads it.

    >>> list(traces())[:2]
    ['jpeg', 'sharpening']
    """
    return {subject_of(task.name): task for task in TASKS.values() if any(m.summary == "MP" for m in task.metrics)}


def trace_of(name: str, photos: PhotoSet, options: RunOptions) -> Trace:
    """One trace on these photos.

    Raises:
        UsageError: there is no such trace.
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
