"""A board made of entries: columns, cells, means over tasks, and ranks over all rows, as values without behaviour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.judgement import FLAG_WORDS, Flag, chance_flags
from benchmark.leaderboard.columns import Meaning, column_order, meaning
from benchmark.leaderboard.datasets import DataSet, data_sets
from benchmark.leaderboard.entries import Entry, Observation
from benchmark.leaderboard.means import ScoreTable, means, whole_family
from benchmark.leaderboard.pairing import StoredAnswers, paired_p_values
from benchmark.results import MetricKind, Score, failed_encoder, families
from benchmark.stats import independent_p_values, ranks_of_pairs, standard_error
from benchmark.tasks import all_tasks
from builders.processes import step_bar


@dataclass(frozen=True)
class Cell:
    """One number of the board."""

    value: float
    low: float | None
    high: float | None
    n: int
    rank_low: int = 0
    """Best possible rank, the largest value first; 0 before ranking."""
    rank_high: int = 0
    """Worst possible rank."""
    paired: int = 0
    """Number of other rows of the column that it was compared with photo by photo."""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One task and metric on one data set."""

    id: str
    task: str
    metric: str
    data: str
    """Id of a ``DataSet``."""
    chance: float
    meaning: Meaning
    cells: Mapping[str, Cell]
    """By the key of the entry; entries without this score are absent."""
    settings: str = ""


@dataclass(frozen=True)
class Board:
    """Everything that the site shows."""

    entries: tuple[Entry, ...]
    data: tuple[DataSet, ...]
    columns: tuple[Column, ...]
    notes: Mapping[str, tuple[str, ...]]
    """By the key of the entry: incomplete families, conflicts and failures of the row."""
    left_out: tuple[str, ...]
    """A sentence for each reason why columns are left out."""


MAX_COLUMNS = 600
"""Most columns; the five data sets of the study have about 150. Those with the fewest encoders are left out."""

CELL_FLAGS = {
    **FLAG_WORDS,
    "conflict": "results of this encoder on these photos disagree; the newest is shown",
    "inconsistent": "SPD is not the difference of its two accuracies",
    "metadata": "a predictor that sees only the other labels does as well",
}
"""Meaning of each flag of a cell."""


def build_board(entries: Sequence[Entry]) -> Board:
    """The board of all scores of the entries, with means over tasks, each column ranked over all entries."""
    sets = data_sets(entries)
    data_of = {photos: data for data in sets for photos in data.members}
    cells: ScoreTable = defaultdict(dict)
    for entry in entries:
        for o in entry.observations:
            # Of two measured photo sets that joined one data set, an entry may hold the same score twice.
            cells[data_of[o.photos].id, o.task, o.metric, o.settings].setdefault(entry.key, o)
    for data in sets:
        cells.update(means(data.id, {key: column for key, column in cells.items() if key[0] == data.id}))
    order = {data.id: i for i, data in enumerate(sets)}
    several = _with_several_settings(cells)
    published = {entry.key for entry in entries if entry.origin == "published"}
    columns = [
        _column(key, observations, several.get(key[:3], set()))
        for key, observations in sorted(cells.items(), key=lambda item: _order(item[0], order))
    ]
    columns, left_out = _within_limit(columns, published)
    columns = _all_ranked(columns, cells)
    notes = {e.key: _notes(e, columns, sets) for e in entries}
    return Board(tuple(entries), sets, tuple(columns), notes, left_out)


def _within_limit(columns: list[Column], published: set[str]) -> tuple[list[Column], tuple[str, ...]]:
    """At most ``MAX_COLUMNS`` columns, those of the study and those of most encoders, and why others are left out."""
    if len(columns) <= MAX_COLUMNS:
        return columns, ()
    weights = [(bool(published & column.cells.keys()), len(column.cells)) for column in columns]
    first = sorted(range(len(columns)), key=lambda i: weights[i], reverse=True)[:MAX_COLUMNS]
    why = f"{len(columns) - MAX_COLUMNS} of {len(columns)} columns are left out: a board has at most {MAX_COLUMNS}"
    return [columns[i] for i in sorted(first)], (why,)


def _order(key: tuple[str, str, str, str], data_order: Mapping[str, int]) -> tuple[Any, ...]:
    """Sort key of a column: by family, data set, task, metric and settings."""
    data, task, metric, settings = key
    family, *rest = column_order(task, metric)
    return (family, data_order[data], *rest, settings)


def _column(key: tuple[str, str, str, str], observations: Mapping[str, Observation], several: Set[str]) -> Column:
    """The column of some observations by entry, not ranked yet."""
    data, task, metric, settings = key
    what = meaning(task, metric)
    if difference := _distinguishing(settings, several):
        what = replace(what, label=f"{what.label} ({difference})")
    chances = [o.chance for o in observations.values()]
    return Column(
        id="~".join(filter(None, (task, metric, data, settings.replace(" ", "")))),
        task=task,
        metric=metric,
        data=data,
        chance=max(set(chances), key=lambda c: (chances.count(c), -c)),
        meaning=what,
        cells={entry: Cell(o.value, o.low, o.high, o.n, flags=_flags(o, what)) for entry, o in observations.items()},
        settings=settings,
    )


def _with_several_settings(keys: Iterable[tuple[str, str, str, str]]) -> dict[tuple[str, str, str], set[str]]:
    """The settings of each score that a data set has under more than one setting."""
    counted: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for data, task, metric, settings in keys:
        counted[data, task, metric].add(settings)
    return {key: settings for key, settings in counted.items() if len(settings) > 1}


def _distinguishing(settings: str, several: Set[str]) -> str:
    """The part of the settings that differs from the other settings of the score; empty without others.

    >>> _distinguishing("preset camtrace, k = 1", {"preset camtrace, k = 1", "preset camtrace, k = 10"})
    'k = 1'
    """
    parts = settings.split(", ")
    return ", ".join(part for part in parts if not all(part in other.split(", ") for other in several))


def _flags(o: Observation, what: Meaning) -> tuple[str, ...]:
    """Flags of an observation, with that of its interval against chance."""
    if what.kind not in ("trace", "accuracy") or o.low is None or o.high is None:
        return tuple(o.flags)
    flag = _flag_of_mean(o, "trace" if what.kind == "trace" else "accuracy") if o.parts else o.flag
    return (*o.flags, flag) if flag else tuple(o.flags)


def _flag_of_mean(o: Observation, kind: MetricKind) -> Flag:
    """Flag of a mean over tasks, which is a family of one."""
    assert o.low is not None
    assert o.high is not None
    score = Score(o.task, o.photos.name, o.metric, o.value, o.low, o.high, o.n, o.chance)
    return chance_flags([score], [kind])[0]


def _all_ranked(columns: Sequence[Column], cells: ScoreTable) -> list[Column]:
    """The columns with ranks, in the same order, computed by data set, whose columns share answers."""
    answers = StoredAnswers(all_tasks())
    ranked: dict[int, Column] = {}
    order = sorted(range(len(columns)), key=lambda i: columns[i].data)
    for i in step_bar(order, desc="ranks", unit="column"):
        column = columns[i]
        by_entry = cells[column.data, column.task, column.metric, column.settings]
        ranked[i] = replace(column, cells=_ranked(column, [by_entry[entry] for entry in column.cells], answers))
    return [ranked[i] for i in range(len(columns))]


def _ranked(column: Column, observations: Sequence[Observation], answers: StoredAnswers) -> dict[str, Cell]:
    """The cells with their rank intervals over the whole board, the largest first; a difference counts by its size.

    Rows with answers by photo are paired; every other pair is compared by its two intervals.
    """
    signed = column.meaning.kind == "difference"
    cells = list(column.cells.values())
    sizes = [abs(cell.value) if signed else cell.value for cell in cells]
    errors = [0.0 if cell.low is None or cell.high is None else standard_error(cell.low, cell.high) for cell in cells]
    paired = paired_p_values(observations, answers, signed=signed)
    is_paired = ~np.isnan(paired)
    ranks = ranks_of_pairs(sizes, np.where(is_paired, paired, independent_p_values(sizes, errors)))
    np.fill_diagonal(is_paired, False)
    return {
        key: replace(cell, rank_low=int(low), rank_high=int(high), paired=int(count))
        for (key, cell), low, high, count in zip(
            column.cells.items(), ranks.low, ranks.high, is_paired.sum(axis=1), strict=True
        )
    }


def _notes(entry: Entry, columns: Sequence[Column], sets: Sequence[DataSet]) -> tuple[str, ...]:
    """Incomplete families, conflicts, failures and smoke tests of a measured row."""
    if entry.origin == "published":
        return ()
    labels = {data.id: data.label for data in sets}
    named = {family.name: family for family in families(all_tasks())}
    on_board: dict[tuple[str, str], set[str]] = defaultdict(set)
    of_entry: dict[tuple[str, str], set[str]] = defaultdict(set)
    for column in columns:
        family = column.meaning.family
        if family in named:
            on_board[family, column.data].add(column.task)
            if entry.key in column.cells:
                of_entry[family, column.data].add(column.task)
    notes = []
    for (family, data), tasks in of_entry.items():
        whole = set(whole_family(named[family], on_board[family, data]))
        if whole - tasks:
            notes.append(f"Partial: {len(whole & tasks)} of {len(whole)} {family} tasks on {labels[data]}.")
    disputed = sum("conflict" in c.cells[entry.key].flags for c in columns if entry.key in c.cells)
    if disputed:
        notes.append(
            f"Conflicting results: {len(entry.files)} files disagree on {disputed} scores; the newest is shown."
        )
    failed = [f for file in entry.files for f in file.result.failures]
    for kind, plural in (("task", "tasks"), ("photo", "photos"), ("encoder", "encoders")):
        times = sum(f.kind == kind for f in failed)
        if times:
            notes.append(f"Recorded failures: {times} {plural if times > 1 else kind}.")
    if not_ranked := sum(bool(failed_encoder(file.result)) for file in entry.files):
        notes.append(f"Failed on its photos in {not_ranked} of {len(entry.files)} results: those are not ranked.")
    if any(file.result.data.get("smoke_test") for file in entry.files):
        notes.append("Holds a smoke test: bundled photos show that the installation works, nothing more.")
    return tuple(notes)
