"""Paired comparison of any systems item by item: differences, ranks, plans and a gate."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.compare.items.alignment import AlignedTask, Missing, OnMissing, align_task
from benchmark.compare.items.scores import ItemScores, OnRepeated, ScoredRows, one_per_item
from benchmark.compare.judged import Gate, GateRow, Loss, MissingScore
from benchmark.judgement import Answer, decide_differences, judge_loss, loss_level
from benchmark.stats import (
    PairedDifference,
    detectable_effect,
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
    bounds: tuple[float, float]
    """Range of a score."""
    needed_items: int | None
    """Items with which a test would show the observed difference in 80 % of repeats, if it is the true one; None where
    no number would, or one unit shows no spread."""
    detectable: float | None
    """Smallest true difference that this number of items shows in 80 % of repeats; None beyond the range of scores."""
    holm_p: float = math.nan
    """The p-value after Holm's correction over the tasks of this pair."""
    answer: Answer = "undecided"
    """Whether the two differ, by the same correction; *no*: by less than a point, a hundredth of the range."""

    @property
    def is_share(self) -> bool:
        """Whether scores lie between 0 and 1 and are shown in percent."""
        return self.bounds == (0.0, 1.0)


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
        score_range: of a score; by default 0 to 1 where all scores of a task lie there, else the range of the scores.
        lower_is_better: whether ranks begin with the lowest score.

    Returns:
        The comparison, and the aligned scores for ``gate_items``.

    Raises:
        UsageError: there are fewer than two systems.
        DataError: systems share no task, differ in items, or a score lies outside its range.
    """
    scores = [one_per_item(each, on_repeated) for each in rows]
    systems = tuple(dict.fromkeys(each.system for each in scores))
    if len(systems) < 2:
        raise UsageError(f"two systems are needed, there is only {', '.join(systems) or 'none'}")
    tasks, missing = _shared_tasks(scores, systems, on_missing)
    aligned = [align_task(members, on_missing) for members in tasks]
    compared, ranks = [], []
    for task in aligned:
        limits = score_range or _range(task.scores)
        if task.scores.min() < limits[0] or task.scores.max() > limits[1]:
            raise DataError(f"{task.task} {task.metric}: a score is outside {limits[0]:g} to {limits[1]:g}".strip())
        of_task = _pairs(task, limits)
        compared += of_task
        if len(systems) > 2:
            ranks.append(_ranks(task, of_task, lower_is_better))
    in_widths = [_in_widths(row) for row in compared]
    decisions = decide_differences(in_widths, [(row.first, row.second) for row in compared])
    decided = tuple(
        replace(row, holm_p=decision.p_value, answer=decision.answer)
        for row, decision in zip(compared, decisions, strict=True)
    )
    repeats = tuple((task.task, *task.repeats) for task in aligned if task.repeats != (1, 1))
    others = tuple(dict.fromkeys(name for each in rows for name in each.other_metrics))
    missing += [each for task in aligned for each in task.missing]
    return ComparedItems(systems, decided, tuple(ranks), tuple(missing), repeats, others), aligned


def gate_items(
    compared: ComparedItems,
    aligned: Sequence[AlignedTask],
    *,
    margin: float = 0.0,
    lower_is_better: bool = False,
) -> Gate:
    """Judge whether the second of two systems is worse than the first by more than a margin, on every task.

    Args:
        compared, aligned: from ``compare_rows``, of two systems.
        margin: loss that is accepted, as a share of the range of scores.
        lower_is_better: whether a higher score is the worse one.

    Raises:
        UsageError: there are not two systems.
    """
    if len(compared.systems) != 2:
        raise UsageError(f"a gate takes two systems, OLD and NEW, not {len(compared.systems)}")
    old, new = compared.systems
    coverage = loss_level(len(aligned))
    rows = []
    for row, task in zip(compared.rows, aligned, strict=True):
        apart = task.scores[1] - task.scores[0] if lower_is_better else task.scores[0] - task.scores[1]
        width = row.bounds[1] - row.bounds[0]
        (difference,) = paired_differences(
            apart[None], clusters=task.clusters, width=width, binary=_is_binary(task.scores), level=coverage
        )
        loss = Loss(*(getattr(difference, name) / width for name in ("value", "low", "high")))
        values = (row.first_value - row.bounds[0]) / width, (row.second_value - row.bounds[0]) / width
        judgement = judge_loss(loss.low, loss.high, margin)
        counts = (difference.n, difference.units)
        rows.append(GateRow("items", task.task, task.metric, old, new, *values, loss, *counts, judgement))
    lost = [
        MissingScore("items", each.task, "", f"{new} does not have it")
        for each in compared.missing
        if each.system == new and not each.count
    ]
    return Gate(margin, coverage, tuple(rows), tuple(lost))


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


def _range(scores: np.ndarray) -> tuple[float, float]:
    low, high = float(scores.min()), float(scores.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high) if low < high else (low - 0.5, high + 0.5)


def _is_binary(scores: np.ndarray) -> bool:
    return bool(((scores == 0) | (scores == 1)).all())


def _pairs(task: AlignedTask, bounds: tuple[float, float]) -> list[ItemRow]:
    """Every pair of systems on one task."""
    values = task.scores.mean(axis=1)
    pairs = list(itertools.combinations(range(len(values)), 2))
    step = max(1, CHUNK_BYTES // task.scores[0].nbytes)
    options: dict[str, Any] = {"clusters": task.clusters, "width": bounds[1] - bounds[0]}
    binary = _is_binary(task.scores)
    differences: list[PairedDifference] = []
    for start in range(0, len(pairs), step):
        first, second = np.transpose(pairs[start : start + step])
        differences += paired_differences(task.scores[first] - task.scores[second], binary=binary, **options)
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
            *_plan(d, options["width"]),
        )
        for (i, j), d in zip(pairs, differences, strict=True)
    ]


def _plan(d: PairedDifference, width: float) -> tuple[int | None, float | None]:
    """Items that would show the difference, and the difference that these items show."""
    if d.units < 2:
        return None, None
    spread = d.standard_error * math.sqrt(d.units)
    units = needed_units(d.value / spread) if d.first_higher + d.second_higher else None
    detectable = detectable_effect(d.units) * spread
    return None if units is None else math.ceil(units * d.n / d.units), detectable if detectable <= width else None


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
    """A difference as a share of the range, so that a point is a hundredth of it."""
    width = row.bounds[1] - row.bounds[0]
    d = row.difference
    return replace(d, value=d.value / width, low=d.low / width, high=d.high / width)
