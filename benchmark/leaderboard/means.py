"""Means over the tasks of one data set, only for entries that have all tasks of the family."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from statistics import fmean
from typing import NamedTuple

from benchmark.leaderboard.columns import SUMMARY
from benchmark.leaderboard.entries import Observation, Part
from benchmark.results import (
    Family,
    Score,
    Summary,
    families,
    log_odds_over_chance,
    metric_of,
    published_tasks,
    summarise,
)
from benchmark.tasks import all_tasks

ScoreTable = dict[tuple[str, str, str, str], dict[str, Observation]]
"""Observations by (data, task, metric, settings) and by the key of the entry."""


def means(data: str, scores: ScoreTable) -> ScoreTable:
    """The summary columns of one data set, under each of its settings.

    Values are those of ``benchmark.results.summarise``. The ends of an interval are the means of the ends over tasks,
    which is never too narrow, whatever the correlation of their errors.
    """
    tasks = {task for _, task, _, _ in scores}
    mp = {about: _parts("MP", about, tasks) for about in ("processing", "acquisition")}
    spd = {about: _parts("SPD", about, tasks) for about in ("processing", "acquisition")}
    plain = _parts("SP", "processing", tasks)
    all_same = _parts("all-same", "processing", tasks)
    wanted: tuple[tuple[str, list[tuple[str, str]], _Scale, _Number], ...] = (
        ("mp-processing", mp["processing"], _AS_IT_IS, lambda s: s.mp_processing),
        ("mp-acquisition", mp["acquisition"], _AS_IT_IS, lambda s: s.mp_acquisition),
        ("sp", plain, _AS_IT_IS, lambda s: s.sp),
        ("all-same", all_same, _AS_IT_IS, lambda s: s.all_same),
        ("spd-processing", spd["processing"], _SIZE, lambda s: s.spd_processing),
        ("spd-acquisition", spd["acquisition"], _SIZE, lambda s: s.spd_acquisition),
        ("spd-processing-signed", spd["processing"], _AS_IT_IS, lambda s: s.spd_processing_signed),
        ("log-odds-processing", mp["processing"], _LOG_ODDS, lambda s: s.log_odds_processing),
        ("log-odds-acquisition", mp["acquisition"], _LOG_ODDS, lambda s: s.log_odds_acquisition),
    )
    columns: ScoreTable = {}
    for name, parts, scale, number in wanted:
        for settings in sorted({key[3] for key in scores}):
            needed = [scores.get((data, task, metric, settings), {}) for task, metric in parts]
            complete = [entry for entry in (needed[0] if needed else ()) if all(entry in part for part in needed)]
            if complete:
                columns[data, f"{SUMMARY}/{name}", "mean", settings] = {
                    entry: _mean(f"{SUMMARY}/{name}", [part[entry] for part in needed], scale, number)
                    for entry in complete
                }
    return columns


def whole_family(family: Family, scored: Set[str]) -> list[str]:
    """The tasks that a mean over a family needs on a data set.

    They are those of the study, so that a further task does not make other entries incomplete. Where the questions of
    a family depend on the labels of the data set (``Family.whole``), they are those of them that any encoder was scored
    on; without any of the study, all that any encoder was scored on.

    Args:
        family: of the tasks.
        scored: tasks that any encoder was scored on.
    """
    members = [name for name, task in all_tasks().items() if task.family == family]
    of_study = [name for name in members if name in published_tasks()]
    if family.whole == "study":
        return of_study
    return [name for name in of_study if name in scored] or [name for name in members if name in scored]


def _parts(role: str, about: str, scored: Set[str]) -> list[tuple[str, str]]:
    """(task, metric) of all scores of a summary number; for a difference also of its two metrics."""
    tasks = all_tasks()
    wanted = [f for f in families(tasks) if f.about == about]
    parts = []
    for task in (tasks[name] for family in wanted for name in whole_family(family, scored)):
        for metric in task.metrics:
            if metric.summary == role:
                parts += [(task.name, name) for name in (metric.name, *(metric.difference_of or ()))]
    return parts


_Number = Callable[[Summary], float | None]


class _Scale(NamedTuple):
    """Interval and derivative of the number that a mean takes from each score."""

    ends: Callable[[Observation], tuple[float, float] | None]
    slope: Callable[[Observation], float]
    """Derivative of the number with respect to the score."""


def _mean(task: str, parts: Sequence[Observation], scale: _Scale, number: _Number) -> Observation:
    """The mean of one entry over its parts."""
    value = number(summarise((_score(o) for o in parts), all_tasks()))
    assert value is not None  # every part is there
    # The interval of a mean of differences comes from the differences, not from the accuracies that they subtract.
    bearing = [o for o in parts if metric_of(all_tasks(), o.task, o.metric).signed] or list(parts)
    intervals = [scale.ends(o) for o in bearing]
    known = [interval for interval in intervals if interval is not None]
    whole = len(known) == len(intervals)
    return Observation(
        task=task,
        metric="mean",
        photos=parts[0].photos,
        value=value,
        low=min(value, fmean(low for low, _ in known)) if whole else None,
        high=max(value, fmean(high for _, high in known)) if whole else None,
        n=min(o.n for o in parts),
        chance=fmean(o.chance for o in bearing) if scale is not _LOG_ODDS else 0.0,
        parts=tuple(Part(o, scale.slope(o) / len(bearing)) for o in bearing),
    )


def _score(o: Observation) -> Score:
    return Score(o.task, o.photos.name, o.metric, o.value, o.value, o.value, o.n, o.chance)


def _ends(o: Observation) -> tuple[float, float] | None:
    return None if o.low is None or o.high is None else (o.low, o.high)


def _sizes(o: Observation) -> tuple[float, float] | None:
    ends = _ends(o)
    return None if ends is None else folded(*ends)


def _log_odds(o: Observation) -> tuple[float, float] | None:
    ends = _ends(o)
    if ends is None:
        return None
    low, high = (log_odds_over_chance(end, o.n, o.chance) for end in ends)
    return low, high


def _log_odds_slope(o: Observation) -> float:
    return o.n / (o.n * o.value + 0.5) + o.n / (o.n * (1 - o.value) + 0.5)


def folded(low: float, high: float) -> tuple[float, float]:
    """Interval of the size of a signed number.

    >>> folded(-0.2, 0.1), folded(-0.3, -0.1)
    ((0.0, 0.2), (0.1, 0.3))
    """
    if low <= 0 <= high:
        return 0.0, max(-low, high)
    sizes = sorted((math.fabs(low), math.fabs(high)))
    return sizes[0], sizes[1]


_AS_IT_IS = _Scale(_ends, lambda o: 1.0)
_SIZE = _Scale(_sizes, lambda o: math.copysign(1.0, o.value))
_LOG_ODDS = _Scale(_log_odds, _log_odds_slope)
