"""Before and after on unseen photos: every number of the tasks asked, with the paired interval of its difference."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.judgement import chance_of, still_read
from benchmark.results import PhotoValues, Score, metric_of
from benchmark.scoring import Scored
from benchmark.stats import Difference, paired_difference
from benchmark.tasks import Task, all_tasks, traces
from builders.photos import PhotoSet


@dataclass(frozen=True)
class Row:
    """One number before and after, on the same photos."""

    task: str
    metric: str
    data: str
    kind: str
    """``trace``, ``accuracy`` (of the content) or ``difference``."""
    reader: str
    """Who read it."""
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    difference: float
    """After minus before."""
    low: float | None
    """Of its paired interval; None, as ``high`` and ``p_value``, where the answers of the two cannot be paired."""
    high: float | None
    p_value: float | None
    n: int
    chance: float
    """What a guess gets; the share of the most frequent class where that is more than one over the classes."""

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            name: round(value, 6) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @property
    def still_read(self) -> bool:
        """Of a trace: after erasing the interval does not reach down to chance."""
        return still_read(self.after_low, self.chance)


def tasks_of(trace: str, photos: PhotoSet, *, every: bool) -> list[Task]:
    """What is asked of these photos: the trace (or every one), semantics, what the trace distracts, pairs.

    Args:
        trace: what is erased.
        photos: who is asked.
        every: all traces that these photos can show, but for those that want to be named: for a transfer matrix.
    """
    probes, own = traces(), []
    of_trace = {name for name, task in probes.items() if name == trace or (every and not task.by_name)}
    for task in all_tasks().values():
        subject = task.name.partition("/")[2]
        wanted = (
            (probes.get(subject) is task and subject in of_trace)
            or task.family.name == "plain"
            or task.family.counts == "pairs"
            or (subject == trace and any(m.summary == "SPD" for m in task.metrics))
        )
        if wanted and not task.unfit(photos):
            own.append(task)
    return own


def rows_of(before: Scored, after: Scored) -> list[Row]:
    """Every score that both have."""
    questions, found = all_tasks(), []
    later = {(s.task, s.metric): s for s in after.result.scores}
    for first in before.result.scores:
        second = later.get((first.task, first.metric))
        if second is None:
            continue
        metric = metric_of(questions, first.task, first.metric)
        if not metric.summary and metric.kind != "trace" and not metric.headline and metric.name != "same":
            continue
        found.append(_row(first, second, before, after, metric.kind))
    return found


def _row(first: Score, second: Score, before: Scored, after: Scored, kind: str) -> Row:
    task = all_tasks()[first.task]
    values = [task.read_answers(_kept(one, task)).get(first.metric) for one in (before, after)]
    pair = _paired(*values)
    reader = first.metric.rpartition("-")[2] if kind == "trace" and "-" in first.metric else ""
    return Row(
        first.task,
        first.metric,
        before.result.data["name"],
        kind,
        reader or ("linear" if kind == "trace" else ""),
        *(first.value, first.low, first.high),
        *(second.value, second.low, second.high),
        second.value - first.value if pair is None else pair.value,
        None if pair is None else pair.low,
        None if pair is None else pair.high,
        None if pair is None else pair.p_value,
        first.n,
        chance_of(first),
    )


def _paired(before: PhotoValues | None, after: PhotoValues | None) -> Difference | None:
    """After minus before, photo by photo; None where one kept no values by photo, or they are not of the same photos.

    >>> one = PhotoValues(np.array([3, 5]), np.array([1.0, 0.0]), (0.0, 1.0))
    >>> _paired(one, None) is None
    True
    """
    if before is None or after is None or not np.array_equal(before.photos, after.photos):
        return None
    return paired_difference(after.values, before.values, clusters=before.clusters, bounds=before.bounds)


def _kept(scored: Scored, task: Task) -> dict[str, Any]:
    prefix = f"{task.name}/"
    return {name.removeprefix(prefix): kept for name, kept in scored.answers.items() if name.startswith(prefix)}


def trace_rows(rows: Sequence[Row], trace: str) -> list[Row]:
    """Of one trace, by reader."""
    return [row for row in rows if row.kind == "trace" and row.task.partition("/")[2] == trace]
