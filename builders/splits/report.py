"""Validation of the splits of a data set: leaks, duplicates, imbalance, drift, and labels that other labels predict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, get_args

import numpy as np

from builders.exif import ATTRIBUTES, Acquisition, alias_groups, canonical_model, questionable_names, release_year
from builders.photos import SPLITS
from builders.splits.near_duplicates import MAX_DISTANCE, NO_HASH, near_duplicate_groups, near_pairs
from builders.splits.tables import SplitTable


def cramers_v(counts: np.ndarray, *, corrected: bool = True) -> float:
    """Cramer's V of a table of counts, 0 (no association) to 1.

    Corrected as in Bergsma, "A bias-correction for Cramer's V and Tschuprow's T", Journal of the Korean Statistical
    Society 42 (2013): phi2 less its expectation under independence, over the corrected number of rows and columns.

    Args:
        counts: [rows, columns], non-negative. Empty rows and columns are left out.
        corrected: False gives the usual, biased value.

    Returns:
        0 if the table has fewer than two rows or columns, or no counts: a constant is associated with nothing.

    >>> cramers_v(np.array([[10, 0], [0, 10]])), cramers_v(np.array([[5, 5], [5, 5]]))
    (1.0, 0.0)
    """
    table = without_empty(counts)
    n, (r, c) = table.sum(), table.shape
    if min(r, c) < 2:
        return 0.0
    phi2 = chi_square(table) / n
    if not corrected:
        return float(min(1.0, math.sqrt(phi2 / (min(r, c) - 1))))
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    largest = min(rows, columns) - 1
    return float(min(1.0, math.sqrt(phi2 / largest))) if largest > 0 else 0.0


def without_empty(counts: np.ndarray) -> np.ndarray:
    """A table of counts without its empty rows and columns."""
    table = np.asarray(counts)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    return np.asarray(table)


def chi_square(table: np.ndarray) -> float:
    """Pearson's chi-square of a table without empty rows and columns."""
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    return float((np.square(table - expected) / expected).sum())


Level = Literal["problem", "note", "ok"]

_LEVELS = get_args(Level)

TRAIN, VAL, TEST = range(3)

_PAIRS = ((TEST, TRAIN), (VAL, TRAIN), (TEST, VAL))

_SERVES_BOTH = "test photos in the other's train"

EARLY_YEARS = 2
"""A photo this many years older than the release of its camera is an error; one year may be a wrong clock."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    table: str
    """The attribute, or "a -> b" for a check of two attributes."""
    check: str
    """Name of the check, for example "test ids also in train"."""
    value: float
    """A count, or a share between 0 and 1."""
    n: int
    """Number of rows that were checked: the denominator."""
    level: Level
    chance: float | None = None
    """The accuracy of guessing, if the value is an accuracy."""
    detail: str = ""


@dataclass(frozen=True)
class ValidationReport:
    """All findings about a set of split tables."""

    findings: tuple[Finding, ...]
    """Problems first, beginning with leaks between splits; then notes, then passed checks."""

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.level == "problem")

    def find(self, table: str, check: str) -> Finding:
        """The finding of one check. Raises ``KeyError`` if the check was not made."""
        for finding in self.findings:
            if (finding.table, finding.check) == (table, check):
                return finding
        raise KeyError((table, check))

    def to_text(self) -> str:
        """The findings as a table of text, with one line for all pairs of attributes that share photos."""
        rows = [("", "attribute", "check", "value", "of", "chance", "")]
        serving = [f for f in self.findings if f.check == _SERVES_BOTH and f.value]
        most = max(serving, key=lambda f: f.value / f.n, default=None)
        for f in self.findings:
            if f in serving:
                if f is not most:
                    continue
                f = replace(f, detail=f"the most of {len(serving)} pairs of attributes") if len(serving) > 1 else f
            value = f"{f.value:.3f}" if isinstance(f.value, float) else str(f.value)
            chance = "" if f.chance is None else f"{f.chance:.3f}"
            mark = {"ok": "", "note": "note", "problem": "PROBLEM"}[f.level]
            rows.append((mark, f.table, f.check, value, str(f.n), chance, f.detail))
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        on_left = (0, 1, 2)
        lines = [
            "  ".join(
                c.ljust(w) if i in on_left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=False))
            )
            + (f"  {row[6]}" if row[6] else "")
            for row in rows
        ]
        notes = sum(f.level == "note" for f in self.findings)
        return "\n".join(line.rstrip() for line in lines) + f"\n{len(self.problems)} problems, {notes} notes"


def validate(tables: SplitTable | Sequence[SplitTable], max_distance: int = MAX_DISTANCE) -> ValidationReport:
    """Check splits for leaks, duplicates, imbalance, drift, labels that predict each other, and alias classes.

    Args:
        tables: the splits of one or more attributes of one data set. If a table has no ``metadata``, labels of the
            same photos in the other tables are used.
        max_distance: most differing bits between the perceptual hashes of near-duplicates.

    Checks that need a missing column are not made. A photo in the test split of one attribute and in the train split
    of another is a note: a probe of one attribute has not seen it, a model that learns both has.
    """
    listed = [tables] if isinstance(tables, SplitTable) else list(tables)
    listed = [table if table.metadata else replace(table, metadata=_other_labels(table, listed)) for table in listed]
    near = partial(_near_duplicates, max_distance=max_distance)
    leaks = (_shared_ids, _duplicates, near, _shared_owners)
    checks = (*leaks, _classes, _balance, _years, _predictability)
    findings = [finding for check in checks for table in listed for finding in check(table)]
    findings += _between_attributes(listed)
    return ValidationReport(tuple(sorted(findings, key=lambda f: _LEVELS.index(f.level))))


def _shared_ids(table: SplitTable) -> Iterator[Finding]:
    repeated = sum(len(table.rows(s)) - len(np.unique(table.ids[table.rows(s)])) for s in range(len(SPLITS)))
    yield _count(table.name, "ids repeated within a split", repeated, len(table.ids))
    for split, other in _PAIRS:
        rows = table.rows(split)
        shared = rows[np.isin(table.ids[rows], table.ids[table.rows(other)])]
        detail = ""
        if table.labels is not None and len(shared):
            common = Counter(table.labels[shared].tolist()).most_common(3)
            detail = ", ".join(f"{count} {name}" for name, count in common)
        yield _count(table.name, f"{SPLITS[split]} ids also in {SPLITS[other]}", len(shared), len(rows), detail)


def _shared_owners(table: SplitTable) -> Iterator[Finding]:
    if table.owners is None:
        return
    for split, other in _PAIRS:
        rows = table.rows(split)
        rows = rows[table.owners[rows] != ""]
        shared = rows[np.isin(table.owners[rows], table.owners[table.rows(other)])]
        detail = f"{len(np.unique(table.owners[shared]))} owners" if len(shared) else ""
        yield _count(table.name, f"{SPLITS[split]} photos of owners in {SPLITS[other]}", len(shared), len(rows), detail)


def _duplicates(table: SplitTable) -> Iterator[Finding]:
    if table.digests is None:
        return
    for split, other in _PAIRS:
        rows = _rows_not_shared(table, split, other)
        rows = rows[table.digests[rows] != table.digests.dtype.type()]
        shared = int(np.isin(table.digests[rows], table.digests[table.rows(other)]).sum())
        yield _count(table.name, f"{SPLITS[split]} files also in {SPLITS[other]} (other id)", shared, len(rows))


def _near_duplicates(table: SplitTable, max_distance: int) -> Iterator[Finding]:
    if table.near is not None:
        for split, other in _PAIRS:
            rows = _rows_not_shared(table, split, other)
            names = table.near[rows][table.near[rows] != ""]
            count = int(np.isin(names, table.near[table.rows(other)]).sum())
            check = f"{SPLITS[split]} near-duplicates of {SPLITS[other]} (other id)"
            yield _count(table.name, check, count, len(rows), "groups of the column near_duplicates")
        return
    if table.hashes is None:
        return
    hashed = np.flatnonzero(table.hashes != NO_HASH)
    every = table.hashes[hashed]
    # Many alike photos make very many pairs. Only groups that are in several splits matter.
    groups = np.unique(near_duplicate_groups(every, max_distance), return_inverse=True)[1]
    in_split = np.zeros((int(groups.max(initial=-1)) + 1, len(SPLITS)), dtype=bool)
    in_split[groups, table.splits[hashed]] = True
    hashed = hashed[in_split[groups].sum(axis=1) > 1]
    pairs = near_pairs(table.hashes[hashed], max_distance)
    position = np.searchsorted(pairs.values, table.hashes[hashed])
    present = np.zeros((len(pairs.values), len(SPLITS)), dtype=bool)
    present[position, table.splits[hashed]] = True
    near = present.copy()
    np.logical_or.at(near, pairs.first, present[pairs.second])
    np.logical_or.at(near, pairs.second, present[pairs.first])
    for split, other in _PAIRS:
        rows = _rows_not_shared(table, split, other)
        count = int(near[position[np.isin(hashed, rows)], other].sum())
        check = f"{SPLITS[split]} near-duplicates of {SPLITS[other]} (other id)"
        checked = int((table.hashes[rows] != NO_HASH).sum())
        yield _count(table.name, check, count, checked, f"at most {max_distance} bits")


def _balance(table: SplitTable) -> Iterator[Finding]:
    if table.labels is None:
        return
    names = np.unique(table.labels[table.labels != ""])
    for split, word in enumerate(SPLITS):
        rows = table.rows(split)
        if not len(rows):
            continue
        photos_of = Counter(table.labels[rows].tolist())
        counts = [photos_of[name] for name in names.tolist()]
        low, high = min(counts, default=0), max(counts, default=0)
        missing = [name for name in names.tolist() if not photos_of[name]]
        detail = f"{low} to {high} photos per class" + (f"; none of {', '.join(missing[:3])}" if missing else "")
        level: Level = "ok" if low == high else "problem" if missing else "note"
        yield Finding(table.name, f"{word}: rarest over commonest class", low / high if high else 0.0, len(rows), level,
                      detail=detail)  # fmt: skip


def _classes(table: SplitTable) -> Iterator[Finding]:
    attribute = ATTRIBUTES.get(table.name)
    if table.labels is None or attribute is None or attribute.find_any is None:
        return  # the classes are not names of makers or bodies
    names = tuple(np.unique(table.labels[table.labels != ""]).tolist())
    aliases, wrong = alias_groups(names), questionable_names(names)
    detail = "; ".join(" = ".join(group) for group in aliases)
    yield _count(table.name, "classes that are one device or maker", len(aliases), len(names), detail)
    yield _count(table.name, "classes that are no camera body", len(wrong), len(names), ", ".join(wrong))


def _years(table: SplitTable) -> Iterator[Finding]:
    if table.years is None:
        return
    known = {s: table.years[table.rows(s)][table.years[table.rows(s)] > 0] for s in range(len(SPLITS))}
    for split, other in _PAIRS[:2]:
        if len(known[split]) and len(known[other]):
            span = max(int(known[split].max()), int(known[other].max())) + 1
            first, second = (np.bincount(known[s], minlength=span) / len(known[s]) for s in (split, other))
            distance = float(np.abs(first - second).sum() / 2)
            detail = f"total variation; median {np.median(known[split]):g} against {np.median(known[other]):g}"
            check = f"years of {SPLITS[split]} against {SPLITS[other]}"
            yield Finding(table.name, check, distance, len(known[split]), "note" if distance > 0.1 else "ok",
                          detail=detail)  # fmt: skip
    models = table.labels if table.name in ("model", "smartphone_model") else table.metadata.get("model")
    if models is None:
        return
    names, inverse = np.unique(models, return_inverse=True)
    released = np.array([release_year(canonical_model(Acquisition(model=n or None))) or 0 for n in names.tolist()])
    checkable = np.flatnonzero((table.years > 0) & (released[inverse] > 0))
    early = int((table.years[checkable] <= released[inverse][checkable] - EARLY_YEARS).sum())
    check = f"photos {EARLY_YEARS} years or more older than their camera"
    yield _count(table.name, check, early, len(checkable))


def _predictability(table: SplitTable) -> Iterator[Finding]:
    if table.labels is None:
        return
    classes = len(np.unique(table.labels[table.labels != ""]))
    for name, column in table.metadata.items():
        if name == table.name:
            continue
        known = (table.labels != "") & (column != "")
        train, test = np.flatnonzero(known & (table.splits == TRAIN)), np.flatnonzero(known & (table.splits == TEST))
        if not len(train) or not len(test):
            continue
        guesses = _majority_by_value(column[train], table.labels[train], column[test])
        accuracy = float(np.mean(guesses == table.labels[test]))
        chance = 1 / classes
        level: Level = "note" if accuracy > 2 * chance or accuracy > (1 + chance) / 2 else "ok"
        yield Finding(f"{name} -> {table.name}", "accuracy of a majority lookup", accuracy, len(test), level, chance)


def _between_attributes(tables: Sequence[SplitTable]) -> Iterator[Finding]:
    for table in tables:
        test = table.ids[table.rows(TEST)]
        for other in tables:
            if other is not table:
                shared = int(np.isin(test, other.ids[other.rows(TRAIN)]).sum())
                level: Level = "note" if shared else "ok"
                yield Finding(f"{other.name} -> {table.name}", _SERVES_BOTH, shared, len(test), level)


def _majority_by_value(values: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """For each query, the most frequent label of its value among (values, labels); of all labels for a new value."""
    names, coded = np.unique(labels, return_inverse=True)
    known, at = np.unique(values, return_inverse=True)
    counts = np.zeros((len(known) + 1, len(names)), dtype=np.int64)
    np.add.at(counts, (at, coded), 1)
    counts[-1] = counts[:-1].sum(axis=0)
    row = np.minimum(np.searchsorted(known, queries), len(known) - 1)
    row = np.where(known[row] == queries, row, len(known))
    return names[counts.argmax(axis=1)[row]]


def _other_labels(table: SplitTable, tables: Sequence[SplitTable]) -> Mapping[str, np.ndarray]:
    """Labels of a table's photos in the other tables."""
    columns: dict[str, np.ndarray] = {}
    for other in tables:
        if other is not table and other.labels is not None and len(other.ids):
            order = np.argsort(other.ids, kind="stable")
            row = np.minimum(np.searchsorted(other.ids[order], table.ids), len(order) - 1)
            same = other.ids[order][row] == table.ids
            columns[other.name] = np.where(same, other.labels[order][row], "")
    return columns


def _rows_not_shared(table: SplitTable, split: int, other: int) -> np.ndarray:
    rows = table.rows(split)
    return rows[~np.isin(table.ids[rows], table.ids[table.rows(other)])]


def _count(table: str, check: str, count: int, n: int, detail: str = "") -> Finding:
    return Finding(table, check, count, n, "problem" if count else "ok", detail=detail if count else "")
