"""Entries to a board: columns, cells, means over tasks, ranks over the whole board. Plain values, ready for JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from benchmark.judgement import chance_flag
from benchmark.leaderboard.columns import Meaning, column_order, meaning
from benchmark.leaderboard.datasets import DataSet, data_sets
from benchmark.leaderboard.entries import Entry, Observation
from benchmark.leaderboard.means import FoundScores, means, whole_family
from benchmark.leaderboard.pairing import StoredAnswers, pairs_at_hand
from benchmark.results import families
from benchmark.stats import independent_p_values, ranks_of_pairs, standard_error
from benchmark.tasks import all_tasks


@dataclass(frozen=True)
class Cell:
    """One number of the board."""

    value: float
    low: float | None
    high: float | None
    n: int
    rank_low: int = 0
    """Best possible rank if most comes first; 0 before ranking."""
    rank_high: int = 0
    """Worst possible rank if most comes first."""
    paired: int = 0
    """Other rows of the column that it was compared with photo by photo."""
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
    """By the entry's key; entries without this score are absent."""
    settings: str = ""


@dataclass(frozen=True)
class Board:
    """Everything that the site shows."""

    entries: tuple[Entry, ...]
    data: tuple[DataSet, ...]
    columns: tuple[Column, ...]
    notes: Mapping[str, tuple[str, ...]]
    """By the entry's key: what a reader must know about the row."""
    left_out: tuple[str, ...] = ()
    """Why columns are not shown, in one sentence each."""


MAX_COLUMNS = 600
"""The study's five data sets have about 150. Beyond this those with fewest encoders are left out, and that is said."""

CELL_FLAGS = {
    "at-chance": "cannot be told from chance",
    "below-chance": "below chance",
    "conflict": "results of this encoder on these photos disagree; the newest is shown",
    "inconsistent": "SPD is not the difference of its two accuracies",
    "metadata": "a predictor that sees only the other labels does as well",
}
"""What each mark beside a number means."""


def build_board(entries: Sequence[Entry]) -> Board:
    """Put every score of the entries into columns, add the means over tasks, rank each column over all entries."""
    sets = data_sets(entries)
    home = {photos: data for data in sets for photos in data.members}
    found: FoundScores = defaultdict(dict)
    for entry in entries:
        for o in entry.observations:
            # Of two measured photo sets that joined one data set, an entry may hold the same score twice.
            found[home[o.photos].id, o.task, o.metric, o.settings].setdefault(entry.key, o)
    for data in sets:
        found.update(means(data.id, {key: held for key, held in found.items() if key[0] == data.id}))
    order = {data.id: i for i, data in enumerate(sets)}
    several = _with_several_settings(found)
    published = {entry.key for entry in entries if entry.origin == "published"}
    columns = [
        _column(key, held, several.get(key[:3], set()))
        for key, held in sorted(found.items(), key=lambda item: _order(item[0], order))
    ]
    columns, left_out = _within_limit(columns, published)
    columns = _all_ranked(columns, found)
    notes = {e.key: _notes(e, columns, sets) for e in entries}
    return Board(tuple(entries), sets, tuple(columns), notes, left_out)


def _within_limit(columns: list[Column], published: set[str]) -> tuple[list[Column], tuple[str, ...]]:
    """At most ``MAX_COLUMNS``: those of the study first, then those that most encoders have."""
    if len(columns) <= MAX_COLUMNS:
        return columns, ()
    weights = [(bool(published & column.cells.keys()), len(column.cells)) for column in columns]
    first = sorted(range(len(columns)), key=lambda i: weights[i], reverse=True)[:MAX_COLUMNS]
    why = f"{len(columns) - MAX_COLUMNS} of {len(columns)} columns are left out: a board has at most {MAX_COLUMNS}"
    return [columns[i] for i in sorted(first)], (why,)


def _order(key: tuple[str, str, str, str], data_order: Mapping[str, int]) -> tuple[Any, ...]:
    data, task, metric, settings = key
    family, *rest = column_order(task, metric)
    return (family, data_order[data], *rest, settings)


def _column(key: tuple[str, str, str, str], held: Mapping[str, Observation], several: Set[str]) -> Column:
    data, task, metric, settings = key
    what = meaning(task, metric)
    if own := _distinguishing(settings, several):
        what = replace(what, label=f"{what.label} ({own})")
    chances = [o.chance for o in held.values()]
    return Column(
        id="~".join(filter(None, (task, metric, data, settings.replace(" ", "")))),
        task=task,
        metric=metric,
        data=data,
        chance=max(set(chances), key=lambda c: (chances.count(c), -c)),
        meaning=what,
        cells={entry: Cell(o.value, o.low, o.high, o.n, flags=_flags(o, what)) for entry, o in held.items()},
        settings=settings,
    )


def _with_several_settings(found: Iterable[tuple[str, str, str, str]]) -> dict[tuple[str, str, str], set[str]]:
    """Scores of one data set that stand there under more than one setting, with their settings."""
    counted: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for data, task, metric, settings in found:
        counted[data, task, metric].add(settings)
    return {key: settings for key, settings in counted.items() if len(settings) > 1}


def _distinguishing(settings: str, several: Set[str]) -> str:
    """What tells settings from the others of their score; empty where there are no others.

    >>> _distinguishing("preset camtrace, k = 1", {"preset camtrace, k = 1", "preset camtrace, k = 10"})
    'k = 1'
    """
    parts = settings.split(", ")
    return ", ".join(part for part in parts if not all(part in other.split(", ") for other in several))


def _flags(o: Observation, what: Meaning) -> tuple[str, ...]:
    if what.kind not in ("trace", "accuracy") or o.low is None or o.high is None:
        return tuple(o.flags)
    flag = chance_flag(o.low, o.high, o.chance, trace=what.kind == "trace", guess=o.guess)
    return (*o.flags, flag) if flag else tuple(o.flags)


def _all_ranked(columns: Sequence[Column], found: FoundScores) -> list[Column]:
    """The columns with ranks, in their order; those of one data set share the answers that are read for them."""
    kept = StoredAnswers(all_tasks())
    ranked: dict[int, Column] = {}
    order = sorted(range(len(columns)), key=lambda i: columns[i].data)
    for i in tqdm(order, desc="ranks", unit="column", delay=2, leave=False, disable=None):
        column = columns[i]
        held = found[column.data, column.task, column.metric, column.settings]
        ranked[i] = replace(column, cells=_ranked(column, [held[entry] for entry in column.cells], kept))
    return [ranked[i] for i in range(len(columns))]


def _ranked(column: Column, observations: Sequence[Observation], kept: StoredAnswers) -> dict[str, Cell]:
    """Rank interval of each cell over the whole board, most first; a difference counts by its size.

    Rows whose answers by photo are at hand are paired; every other pair is compared by its two intervals.
    """
    signed = column.meaning.kind == "difference"
    cells = list(column.cells.values())
    sized = [abs(cell.value) if signed else cell.value for cell in cells]
    errors = [0.0 if cell.low is None or cell.high is None else standard_error(cell.low, cell.high) for cell in cells]
    paired = pairs_at_hand(observations, kept, signed=signed)
    at_hand = ~np.isnan(paired)
    ranks = ranks_of_pairs(sized, np.where(at_hand, paired, independent_p_values(sized, errors)))
    np.fill_diagonal(at_hand, False)
    return {
        key: replace(cell, rank_low=int(low), rank_high=int(high), paired=int(count))
        for (key, cell), low, high, count in zip(
            column.cells.items(), ranks.low, ranks.high, at_hand.sum(axis=1), strict=True
        )
    }


def _notes(entry: Entry, columns: Sequence[Column], sets: Sequence[DataSet]) -> tuple[str, ...]:
    """What a reader must know of a measured row: what is missing of a family that it has begun, and what failed."""
    if entry.origin == "published":
        return ()
    labels = {data.id: data.label for data in sets}
    named = {family.name: family for family in families(all_tasks())}
    asked: dict[tuple[str, str], set[str]] = defaultdict(set)
    answered: dict[tuple[str, str], set[str]] = defaultdict(set)
    for column in columns:
        family = column.meaning.family
        if family in named:
            asked[family, column.data].add(column.task)
            if entry.key in column.cells:
                answered[family, column.data].add(column.task)
    notes = []
    for (family, data), tasks in answered.items():
        whole = set(whole_family(named[family], asked[family, data]))
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
    if any(file.result.data.get("smoke_test") for file in entry.files):
        notes.append("Holds a smoke test: bundled photos show that the line runs, nothing more.")
    return tuple(notes)
