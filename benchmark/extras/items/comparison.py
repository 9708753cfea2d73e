"""Paired comparison of any systems item by item: differences, ranks, plans and a gate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from benchmark.compare import Gate, GateRow, Loss, MissingScore
from benchmark.extras.items.alignment import AlignedTask, Missing, OnMissing, align_task
from benchmark.extras.items.scores import ItemScores, OnRepeated, ScoredRows, one_per_item
from benchmark.judgement import POINT, Answer, accepted_loss, checked_loss, decide_differences, judge_loss, loss_level
from benchmark.stats import (
    LEVEL,
    PairedDifference,
    detectable_effect,
    detectable_share,
    needed_units,
    paired_differences,
    ranks_of_pairs,
)
from builders.errors import DataError, UsageError

CHUNK_BYTES = 1 << 25
"""Of the differences that are computed at once."""


@dataclass(frozen=True)
class ItemRow:
    """One task of two systems."""

    task: str
    metric: str
    first: str
    second: str
    first_value: float
    second_value: float
    difference: PairedDifference
    bounds: tuple[float, float] | None
    """Range of a score: as declared, or 0 to 1 where all scores lie there; None where it is not known."""
    needed_items: int | None
    """Items with which a test would show the observed difference in 80 % of repeats, if it is the true one; None where
    no number would, or one unit shows no spread."""
    detectable: float | None
    """Smallest true difference that this number of items shows in 80 % of repeats; None beyond the range of scores."""
    holm_p: float = math.nan
    """The p-value after Holm's correction over the tasks of this pair."""
    answer: Answer = "undecided"
    """Whether the two differ, by the same correction; *no*: by less than a point, a hundredth of the range. There is no
    *no* where the range is not known."""
    judged: tuple[float, float] = (math.nan, math.nan)
    """Ends of the interval that ``answer`` follows from, which has the same correction."""

    @property
    def is_share(self) -> bool:
        """Whether scores lie between 0 and 1 and are shown in percent."""
        return self.bounds == (0.0, 1.0)

    @property
    def width(self) -> float:
        """Width of the range of a score, of which a hundredth is a point; 1 (the score's own unit) if not known."""
        return 1.0 if self.bounds is None else self.bounds[1] - self.bounds[0]


@dataclass(frozen=True)
class ItemRanks:
    """Ranks of the systems on one task."""

    task: str
    metric: str
    systems: tuple[str, ...]
    values: tuple[float, ...]
    rank: tuple[int, ...]
    low: tuple[int, ...]
    """One more than the number of systems that are significantly better."""
    high: tuple[int, ...]
    tied_with_best: tuple[bool, ...]
    is_share: bool
    """Whether scores lie between 0 and 1 and are shown in percent, as in the rows of the task."""


@dataclass(frozen=True)
class ComparedItems:
    """A comparison of systems on the same items."""

    systems: tuple[str, ...]
    rows: tuple[ItemRow, ...]
    """Every pair of systems on every task."""
    ranks: tuple[ItemRanks, ...]
    """By task, where there are three systems or more."""
    missing: tuple[Missing, ...]
    """What was dropped because not all systems have it."""
    repeats: tuple[tuple[str, int, int], ...]
    """Tasks whose scores are means of several rows, with the least and the most rows."""
    other_metrics: tuple[str, ...]
    """Scores of logs that were not compared."""


def compare_rows(
    rows: Sequence[ScoredRows],
    *,
    on_missing: OnMissing = "fail",
    on_repeated: OnRepeated = "fail",
    score_range: tuple[float, float] | None = None,
    lower_is_better: bool = False,
) -> tuple[ComparedItems, list[AlignedTask]]:
    """Compare systems on the tasks and items that they share.

    Args:
        rows: scores of every system and task.
        on_missing: whether items or tasks that not all systems have are an error, or are dropped and recorded.
        on_repeated: whether several rows of an item are an error, or averaged; epochs always are.
        score_range: of a score; by default 0 to 1 where all scores of a task lie there, else it is not known.
        lower_is_better: whether ranks begin with the lowest score.

    Returns:
        The comparison, and the aligned scores for ``gate_items``.

    Raises:
        UsageError: there are fewer than two systems, or an argument is none of its choices.
        DataError: systems share no task, differ in items, or a score lies outside its range.
    """
    for name, given, choices in (("on_missing", on_missing, OnMissing), ("on_repeated", on_repeated, OnRepeated)):
        if given not in get_args(choices):
            raise UsageError(f"{name}={given!r}: give {' or '.join(map(repr, get_args(choices)))}")
    if score_range is not None and not -math.inf < score_range[0] < score_range[1] < math.inf:
        raise UsageError(f"score_range={score_range}: give two numbers, the lower one first")
    scores = [one_per_item(each, on_repeated) for each in rows]
    systems = tuple(dict.fromkeys(each.system for each in scores))
    if len(systems) < 2:
        raise UsageError(f"two systems are needed, there is only {', '.join(systems) or 'none'}")
    tasks, missing = _shared_tasks(scores, systems, on_missing)
    aligned = [align_task(members, on_missing) for members in tasks]
    compared, ranks = [], []
    for task in aligned:
        limits = score_range or _range(task.scores)
        if limits and (outside := task.scores[(task.scores < limits[0]) | (task.scores > limits[1])]).size:
            named = f"a score ({outside[0]:g}) is outside {limits[0]:g} to {limits[1]:g}"
            raise DataError(f"{task.task} {task.metric}: {named}".strip())
        of_task = _pairs(task, limits, len(aligned))
        compared += of_task
        if len(systems) > 2:
            ranks.append(_ranks(task, of_task, lower_is_better))
    in_widths = [_in_widths(row) for row in compared]
    bounds = [0.0 if row.bounds is None else POINT for row in compared]
    decisions = decide_differences(in_widths, [(row.first, row.second) for row in compared], bounds)
    decided = tuple(
        replace(row, holm_p=d.p_value, answer=d.answer, judged=(row.width * d.low, row.width * d.high))
        for row, d in zip(compared, decisions, strict=True)
    )
    repeats = tuple((task.task, *task.repeats) for task in aligned if task.repeats != (1, 1))
    others = tuple(dict.fromkeys(name for each in rows for name in each.other_metrics))
    missing += [each for task in aligned for each in task.missing]
    return ComparedItems(systems, decided, tuple(ranks), tuple(missing), repeats, others), aligned


def gate_items(
    compared: ComparedItems,
    aligned: Sequence[AlignedTask],
    *,
    worse_by: float | None = None,
    lower_is_better: bool = False,
) -> Gate:
    """Judge whether the second of two systems is worse than the first by more than a margin, on every task.

    Args:
        compared, aligned: from ``compare_rows``, of two systems.
        worse_by: loss that is accepted: points where the range of scores is known (0 by default), else a number in the
            score's own unit. The scores themselves never decide what it means.
        lower_is_better: whether a higher score is the worse one.

    Raises:
        UsageError: there are not two systems, or it is not clear what ``worse_by`` means.
    """
    if len(compared.systems) != 2:
        raise UsageError(f"a gate takes two systems, OLD and NEW, not {len(compared.systems)}")
    old, new = compared.systems
    margin = _margin(compared.rows, aligned, worse_by)
    coverage = loss_level(len(aligned))
    rows = []
    for row, task in zip(compared.rows, aligned, strict=True):
        apart = task.scores[1] - task.scores[0] if lower_is_better else task.scores[0] - task.scores[1]
        (difference,) = _differences(apart[None], task, row.bounds, level=coverage)
        loss = Loss(*(getattr(difference, name) / row.width for name in ("value", "low", "high")))
        start = 0.0 if row.bounds is None else row.bounds[0]
        values = (row.first_value - start) / row.width, (row.second_value - start) / row.width
        judgement = judge_loss(loss.low, loss.high, margin)
        counts = (difference.n, difference.units)
        in_points = row.bounds is not None
        names = ("items", task.task, task.metric, old, new)
        rows.append(GateRow(*names, *values, loss, *counts, judgement, in_points=in_points))
    lost = [
        MissingScore("items", each.task, "", f"{new} does not have it")
        for each in compared.missing
        if each.system == new and not each.count
    ]
    return Gate(margin, coverage, tuple(rows), tuple(lost))


def _margin(rows: Sequence[ItemRow], aligned: Sequence[AlignedTask], worse_by: float | None) -> float:
    """The margin as a share, or in the score's own unit.

    Raises:
        UsageError: it is not clear which.
    """
    unknown = [(row, task) for row, task in zip(rows, aligned, strict=True) if row.bounds is None]
    if not unknown:
        return accepted_loss(worse_by or 0.0)
    name = f"{unknown[0][0].task} {unknown[0][0].metric}".strip() or "the score"
    scores = unknown[0][1].scores
    outside = scores[(scores < 0) | (scores > 1)]
    remedy = "give --range LOW:HIGH, of which a hundredth is a point"
    if worse_by is None:
        raise UsageError(
            f"{name}: scores lie outside 0 to 1: {remedy}, or --worse-by with a loss in the score's own unit"
        )
    if outside.size <= scores.size / 2 and worse_by:
        raise UsageError(
            f"{name}: {outside.size:,} of {scores.size:,} scores lie outside 0 to 1 (such as {outside[0]:g}), so it is "
            f"not clear whether --worse-by {worse_by:g} means points: {remedy}"
        )
    if len(unknown) < len(rows) and worse_by:
        raise UsageError(
            f"{name} has scores outside 0 to 1 and other tasks have not, so --worse-by {worse_by:g} would mean two "
            f"things: judge them one by one with --tasks, or {remedy}"
        )
    return checked_loss(worse_by)


def _shared_tasks(
    scores: Sequence[ItemScores], systems: Sequence[str], on_missing: OnMissing
) -> tuple[list[list[ItemScores]], list[Missing]]:
    """Scores by task, of the tasks that all systems have, and those that some lack."""
    by_task: dict[str, dict[str, ItemScores]] = {}
    for each in scores:
        by_task.setdefault(each.task, {})[each.system] = each
    missing = [
        Missing(task, system, 0, (), f"{system} lacks the task {task}")
        for task, members in by_task.items()
        for system in systems
        if system not in members
    ]
    shared = [[members[system] for system in systems] for members in by_task.values() if len(members) == len(systems)]
    if missing and (on_missing == "fail" or not shared):
        remedy = f"; --on-missing drop compares the {len(shared)} that all have" if shared else "; none is in all"
        sentences = "; ".join(each.sentence for each in missing[:10]) + ("; ..." if len(missing) > 10 else "")
        raise DataError(f"the systems do not have the same tasks: {sentences}{remedy}")
    return shared, missing


def _range(scores: np.ndarray) -> tuple[float, float] | None:
    return (0.0, 1.0) if scores.min() >= 0 and scores.max() <= 1 else None


def _differences(
    apart: np.ndarray, task: AlignedTask, bounds: tuple[float, float] | None, *, level: float = LEVEL
) -> list[PairedDifference]:
    """Paired differences [K, n] of a task."""
    binary = bool(((task.scores == 0) | (task.scores == 1)).all())
    options: dict[str, Any] = {"clusters": task.clusters, "binary": binary, "level": level}
    if bounds is not None:
        return paired_differences(apart, width=bounds[1] - bounds[0], **options)
    # Differences themselves bound a pair of an unknown range, so that an outlier of another system changes nothing.
    widths = [float(np.abs(row).max()) or 1.0 for row in apart]
    return [d for row, w in zip(apart, widths, strict=True) for d in paired_differences(row[None], width=w, **options)]


def _pairs(task: AlignedTask, bounds: tuple[float, float] | None, tasks: int) -> list[ItemRow]:
    """Every pair of systems on one of some tasks."""
    values = task.scores.mean(axis=1)
    pairs = list(itertools.combinations(range(len(values)), 2))
    step = max(1, CHUNK_BYTES // task.scores[0].nbytes)
    differences: list[PairedDifference] = []
    for start in range(0, len(pairs), step):
        first, second = np.transpose(pairs[start : start + step])
        differences += _differences(task.scores[first] - task.scores[second], task, bounds)
    names = task.systems
    return [
        ItemRow(
            task.task,
            task.metric,
            names[i],
            names[j],
            float(values[i]),
            float(values[j]),
            d,
            bounds,
            *_plan(d, math.inf if bounds is None else bounds[1] - bounds[0], tasks),
        )
        for (i, j), d in zip(pairs, differences, strict=True)
    ]


def _plan(d: PairedDifference, width: float, tasks: int) -> tuple[int | None, float | None]:
    """Items that would show the difference, and the difference that these items show, both after Holm's correction.

    The plan is for the first step of the correction, at which one difference among tasks without any is decided.
    """
    if d.units < 2:
        return None, None
    level, spread = 1 - (1 - LEVEL) / tasks, d.standard_error * math.sqrt(d.units)
    differing = (d.first_higher + d.second_higher) / d.n
    units = needed_units(d.value / spread, level=level) if differing else None
    if d.test == "exact McNemar" and differing:
        detectable = detectable_share(differing, d.n, level=level)
    else:
        detectable = detectable_effect(d.units, level=level) * spread
    shown = detectable if detectable is not None and detectable <= width else None
    return None if units is None else math.ceil(units * d.n / d.units), shown


def _ranks(task: AlignedTask, rows: Sequence[ItemRow], lower_is_better: bool) -> ItemRanks:
    count = len(task.systems)
    p_values = np.ones((count, count))
    p_values[np.triu_indices(count, 1)] = [row.difference.p_value for row in rows]
    values = task.scores.mean(axis=1)
    ranks = ranks_of_pairs(-values if lower_is_better else values, p_values)
    return ItemRanks(
        task.task,
        task.metric,
        task.systems,
        tuple(values.tolist()),
        tuple(ranks.rank.tolist()),
        tuple(ranks.low.tolist()),
        tuple(ranks.high.tolist()),
        tuple(ranks.tied_with_best.tolist()),
        rows[0].is_share,
    )


def _in_widths(row: ItemRow) -> PairedDifference:
    """A difference as a share of the range, so that a point is a hundredth of it; else in the score's own unit."""
    d = row.difference
    return replace(d, value=d.value / row.width, low=d.low / row.width, high=d.high / row.width)
