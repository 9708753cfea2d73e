"""Build scores: values by photo -> mean, interval and test against chance. No other module of tasks builds a ``Score``.

Statistics are imported when a task runs, as all arithmetic (``task.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts, AnswersReader, FactsReader, Score, no_facts
from benchmark.tasks.task import TaskInput, TaskOutcome

if TYPE_CHECKING:
    from benchmark.robustness import Statistic
    from benchmark.stats import ErrorUnits, Interval

SHARES = (0.0, 1.0)
"""Range of a share of right answers."""

WIDE = (-1000.0, 1000.0)
"""Bounds of the values by photo of a statistic that is no mean: a small cluster has large ones."""


def score_of(
    task: str,
    metric: str,
    inputs: TaskInput,
    values: np.ndarray,
    units: ErrorUnits,
    *,
    chance: float,
    details: Mapping[str, Any],
    value: float | None = None,
    bounds: tuple[float, float] = SHARES,
    limits: tuple[float, float] | None = None,
) -> Score:
    """The score of one metric.

    Args:
        task: name of the task.
        metric: name of the metric.
        inputs: of the task; its photo set and options are used.
        values: float64 [n], one value per photo or pair.
        units: error units: which photos err together.
        chance: score of a guess.
        details: of the score, JSON values.
        value: the score, if the task computes it by a sum in another order; by default the mean of ``values``.
        bounds: range of a value.
        limits: range of a statistic that is no mean of photos; its interval is cut to it.

    >>> from types import SimpleNamespace
    >>> from benchmark.stats import single_units
    >>> inputs = SimpleNamespace(photos=SimpleNamespace(name="toy"), options=RunOptions())
    >>> values = np.array([1.0, 1.0, 0.0, 1.0])
    >>> score = score_of("probe/x", "accuracy", inputs, values, single_units(4), chance=0.5, details={})
    >>> score.value, score.n, round(score.low, 2), round(score.high, 2)
    (0.75, 4, 0.29, 0.97)
    """
    ends = interval_of(values, units, inputs.options, bounds)
    least, most = limits or bounds
    return Score(
        task=task,
        data=inputs.photos.name,
        metric=metric,
        value=float(values.mean()) if value is None else value,
        low=max(ends.low, least),
        high=min(ends.high, most),
        n=len(values),
        chance=chance,
        details={**unit_details(units), **details},
    )


def outcome_of(
    task: str,
    inputs: TaskInput,
    arrays: Mapping[str, np.ndarray],
    units: ErrorUnits,
    *,
    read_answers: AnswersReader,
    read_facts: FactsReader = no_facts,
    values: Mapping[str, float] = MappingProxyType({}),
    chances: Mapping[str, float] = MappingProxyType({}),
    details: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> TaskOutcome:
    """The scores that the answers of a task give, by the functions that read stored ones, and the answers.

    Args:
        task: its name.
        inputs: of the task.
        arrays: the answers, without their units.
        units: which photos err together.
        read_answers, read_facts: of the task.
        values: by metric, where the task computes it by a sum in another order.
        chances: by metric, where the answers give none, or a rounded one.
        details: by metric, what the answers do not determine; ``""`` is for all.
    """
    arrays = {**arrays, **unit_answers(units)}
    facts = read_facts(arrays)
    scores = []
    for name, by_photo in read_answers(arrays).items():
        known = facts.get(name, AnswerFacts(None, None, {}))
        tested = {} if known.guess is None else {"p_chance": p_of_chance(by_photo.values, units, known.guess)}
        scores.append(
            score_of(
                task,
                name,
                inputs,
                by_photo.values,
                units,
                value=values.get(name),
                chance=chances.get(name, known.chance or 0.0),
                details={**tested, **_merged({**details.get("", {}), **details.get(name, {})}, known.details)},
                bounds=by_photo.bounds,
            )
        )
    return TaskOutcome(tuple(scores), arrays)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both, also below a name that both have; where they differ the second."""
    both = {
        name: _merged(first[name], second[name])
        for name in first.keys() & second.keys()
        if isinstance(first[name], Mapping) and isinstance(second[name], Mapping)
    }
    return {**first, **second, **both}


class ScoredStatistic(NamedTuple):
    """A score of a statistic over clusters, and its values by photo."""

    score: Score
    values: np.ndarray
    """float64 [n]: their mean is the score, and their spread over clusters is its error."""
    freedom: int
    """Degrees of freedom of that error."""


def add_freedom(arrays: dict[str, np.ndarray], metric: str, freedom: int) -> None:
    """Add degrees of freedom to the arrays of a task: once for all its metrics, and for those that have others.

    A metric has fewer where it is not known without some cluster.
    """
    if int(arrays.setdefault("freedom", np.array(freedom))) != freedom:
        arrays[f"freedom-{metric}"] = np.array(freedom)


def freedom_of(arrays: Mapping[str, np.ndarray], metric: str) -> int:
    """What ``add_freedom`` has stored of a metric."""
    return int(arrays.get(f"freedom-{metric}", arrays["freedom"]))


def score_of_statistic(
    task: str,
    metric: str,
    inputs: TaskInput,
    statistic: Statistic,
    strata: np.ndarray,
    blocks: np.ndarray,
    *,
    details: Mapping[str, Any],
    bounds: tuple[float, float],
) -> ScoredStatistic:
    """The score of a statistic that depends on clusters as queries and as neighbours, by the jackknife.

    Args:
        task, metric: names.
        inputs: of the task.
        statistic: with its values without blocks of clusters.
        strata: int64 [blocks].
        blocks: int64 [n], the block of each query.
        details: of the score, JSON values.
        bounds: range of the statistic.

    Raises:
        DataError: no cell has two clusters.
    """
    from benchmark.stats import jackknife

    result = jackknife(statistic.value, statistic.left_out, strata, statistic.two_left_out)
    ends = result.interval(len(blocks), bounds)
    score = Score(
        task=task,
        data=inputs.photos.name,
        metric=metric,
        value=statistic.value,
        low=ends.low,
        high=ends.high,
        n=len(blocks),
        chance=statistic.chance,
        details={**details, "p_chance_two_sided": result.p_value(statistic.chance)},
    )
    return ScoredStatistic(score, result.photo_values(blocks), result.freedom)


def interval_of(
    values: np.ndarray, units: ErrorUnits, options: RunOptions, bounds: tuple[float, float] = SHARES
) -> Interval:
    """Confidence interval of the mean of ``values`` [n] by photo, resampled by error unit."""
    from benchmark.stats import photo_interval

    return photo_interval(values, clusters=units.clusters, bounds=bounds, resamples=options.resamples)


def p_of_chance(values: np.ndarray, units: ErrorUnits, chance: float) -> float:
    """p-value of the hypothesis that ``values`` [n] by photo are no better than chance: ``details["p_chance"]``."""
    from benchmark.stats import against_chance

    return against_chance(values, chance, clusters=units.clusters)


def units_of(inputs: TaskInput, photos: np.ndarray) -> ErrorUnits:
    """Error units of the photos at indices ``photos``: the same rule for every task."""
    from benchmark.stats import error_units

    return error_units(inputs.photos.columns, photos)


def unit_details(units: ErrorUnits) -> dict[str, Any]:
    """Details of a score about its error units; empty if each photo is one."""
    if units.clusters is None:
        return {}
    return {"resampled": units.rule, "units": units.count, "effective_units": round(units.effective, 3)}


def unit_answers(units: ErrorUnits) -> dict[str, np.ndarray]:
    """Answers of a task about its error units; empty if each photo is one."""
    return {} if units.clusters is None else {"clusters": units.clusters}
