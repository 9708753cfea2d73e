"""Values by photo -> a score: its interval and its test against chance, for every task in one place.

Statistics are imported when a task runs, as all arithmetic (``task.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.tasks.task import TaskInput

if TYPE_CHECKING:
    from benchmark.stats import ErrorUnits, Interval

SHARES = (0.0, 1.0)
"""Range of a share of right answers."""


def score_of(
    task: str,
    metric: str,
    given: TaskInput,
    values: np.ndarray,
    units: ErrorUnits,
    *,
    chance: float,
    details: Mapping[str, Any],
    value: float | None = None,
    bounds: tuple[float, float] = SHARES,
) -> Score:
    """The score of one metric.

    Args:
        task, metric: names.
        given: what the task was given: its photo set and options.
        values: float64 [n], one value per photo (or pair).
        units: which of them err together.
        chance: what a guess would get.
        details: of the score, JSON values.
        value: the score, where a task has it to the last digit by another sum; by default the mean of ``values``.
        bounds: range of a photo's value.

    >>> from types import SimpleNamespace
    >>> from benchmark.stats import single_units
    >>> given = SimpleNamespace(photos=SimpleNamespace(name="toy"), options=RunOptions())
    >>> values = np.array([1.0, 1.0, 0.0, 1.0])
    >>> score = score_of("probe/x", "accuracy", given, values, single_units(4), chance=0.5, details={})
    >>> score.value, score.n, round(score.low, 2), round(score.high, 2)
    (0.75, 4, 0.29, 0.97)
    """
    ends = interval_of(values, units, given.options, bounds)
    return Score(
        task=task,
        data=given.photos.name,
        metric=metric,
        value=float(values.mean()) if value is None else value,
        low=ends.low,
        high=ends.high,
        n=len(values),
        chance=chance,
        details=details,
    )


def interval_of(
    values: np.ndarray, units: ErrorUnits, options: RunOptions, bounds: tuple[float, float] = SHARES
) -> Interval:
    """The interval of the mean of ``values`` over photos that come in ``units``."""
    from benchmark.stats import photo_interval

    return photo_interval(values, clusters=units.clusters, bounds=bounds, resamples=options.resamples)


def p_of_chance(values: np.ndarray, units: ErrorUnits, chance: float) -> float:
    """The p-value of values by photo that are no better than chance: ``details["p_chance"]``."""
    from benchmark.stats import against_chance

    return against_chance(values, chance, clusters=units.clusters)


def ungrouped(given: TaskInput, photos: np.ndarray) -> ErrorUnits:
    """Each photo as a unit. Acquisition probes differ: they group photos by scene or owner, which may err together."""
    from benchmark.stats import NO_COLUMNS, error_units

    return error_units(given.photos.columns, photos, candidates=NO_COLUMNS)
