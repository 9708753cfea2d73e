"""Every finding of the validator, compared with plain loops over drawn tables; its text, compared with one by hand."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from builders.exif import alias_groups, questionable_names
from builders.photos import SPLITS
from builders.splits import SplitTable, validate
from builders.splits.report import Finding

PAIRS = (("test", "train"), ("val", "train"), ("test", "val"))
RELEASED = {"Canon EOS 600D": 2011, "Canon EOS Rebel T3i": 2011, "NIKON D90": 2008, "no such camera": None, "": None}


def drawn(rng: np.random.Generator, name: str, n: int) -> SplitTable:
    """A table with every kind of fault; each column but ids and splits may be missing."""

    def words(*choices: str) -> np.ndarray | None:
        return rng.choice(np.array(choices), n) if rng.random() < 0.8 else None

    def known(*choices: str) -> np.ndarray:
        return rng.choice(np.array(choices), n)

    hashes = rng.choice(np.array([0, 0xF0F0 << 20, 0xAAAA << 30], dtype=np.uint64), n)
    for _ in range(3):
        hashes = np.where(
            (hashes != 0) & (rng.random(n) < 0.5), hashes ^ (1 << rng.integers(0, 5, n)).astype(np.uint64), hashes
        )
    return SplitTable(
        name,
        rng.choice(np.array([f"p{i}" for i in range(2 * n + 1)]), n),
        rng.choice(np.array(rng.choice([[0, 1, 2], [0, 2, 2], [0, 0, 1]]), dtype=np.int8), n),
        words(*RELEASED) if name == "model" else words("", "x", "y", "z"),
        words("", "ann", "ben", "cleo", "dora"),
        words("", *(f"d{i}" for i in range(n))),
        hashes if rng.random() < 0.7 else None,
        rng.choice([0, 2005, 2006, 2007, 2008, 2009, 2010], n) if rng.random() < 0.8 else None,
        {"model": known(*RELEASED), "iso": known("", "100", "200")} if rng.random() < 0.5 else {},
        words("", "a", "b", "c") if rng.random() < 0.3 else None,
    )


class Rows:
    """The rows of a table as tuples of plain values."""

    def __init__(self, table: SplitTable) -> None:
        self.table, self.n = table, len(table.ids)
        self.split = [SPLITS[i] for i in table.splits]
        self.id = table.ids.tolist()

    def of(self, split: str) -> list[int]:
        return [i for i in range(self.n) if self.split[i] == split]

    def unshared(self, split: str, other: str) -> list[int]:
        there = {self.id[i] for i in self.of(other)}
        return [i for i in self.of(split) if self.id[i] not in there]


def counted(table, check, count, n, detail=""):
    return Finding(table, check, count, n, "problem" if count else "ok", detail=detail if count else "")


def ids_of(rows):
    name, labels = rows.table.name, rows.table.labels
    repeated = sum(len(rows.of(s)) - len({rows.id[i] for i in rows.of(s)}) for s in SPLITS)
    yield counted(name, "ids repeated within a split", repeated, rows.n)
    for split, other in PAIRS:
        shared = [i for i in rows.of(split) if i not in rows.unshared(split, other)]
        common = Counter(str(labels[i]) for i in shared).most_common(3) if labels is not None else []
        detail = ", ".join(f"{count} {label}" for label, count in common)
        yield counted(name, f"{split} ids also in {other}", len(shared), len(rows.of(split)), detail)


def files_of(rows):
    digests = rows.table.digests
    for split, other in PAIRS if digests is not None else ():
        known = [i for i in rows.unshared(split, other) if digests[i]]
        there = {digests[i] for i in rows.of(other)}
        check = f"{split} files also in {other} (other id)"
        yield counted(rows.table.name, check, sum(digests[i] in there for i in known), len(known))


def near_of(rows, bits):
    table = rows.table
    for split, other in PAIRS if table.near is not None or table.hashes is not None else ():
        mine = rows.unshared(split, other)
        check = f"{split} near-duplicates of {other} (other id)"
        if table.near is not None:
            there = {table.near[i] for i in rows.of(other)}
            count = sum(table.near[i] in there for i in mine if table.near[i])
            yield counted(table.name, check, count, len(mine), "groups of the column near_duplicates")
            continue
        hashed = [i for i in mine if table.hashes[i]]
        there = [int(table.hashes[j]) for j in rows.of(other) if table.hashes[j]]
        count = sum(any((int(table.hashes[i]) ^ h).bit_count() <= bits for h in there) for i in hashed)
        yield counted(table.name, check, count, len(hashed), f"at most {bits} bits")


def owners_of(rows):
    owners = rows.table.owners
    for split, other in PAIRS if owners is not None else ():
        known, there = [i for i in rows.of(split) if owners[i]], {owners[i] for i in rows.of(other)}
        shared = [i for i in known if owners[i] in there]
        detail = f"{len({owners[i] for i in shared})} owners"
        check = f"{split} photos of owners in {other}"
        yield counted(rows.table.name, check, len(shared), len(known), detail)


def classes_of(rows):
    if rows.table.labels is None or rows.table.name != "model":
        return
    names = tuple(sorted({str(label) for label in rows.table.labels} - {""}))
    aliases, wrong = alias_groups(names), questionable_names(names)
    detail = "; ".join(" = ".join(group) for group in aliases)
    yield counted("model", "classes that are one device or maker", len(aliases), len(names), detail)
    yield counted("model", "classes that are no camera body", len(wrong), len(names), ", ".join(wrong))


def balance_of(rows):
    labels = rows.table.labels
    for split in SPLITS if labels is not None else ():
        if mine := rows.of(split):
            names = sorted({str(label) for label in labels} - {""})
            counts = {name: sum(labels[i] == name for i in mine) for name in names}
            low, high = min(counts.values(), default=0), max(counts.values(), default=0)
            none = [name for name in names if not counts[name]]
            detail = f"{low} to {high} photos per class" + (f"; none of {', '.join(none[:3])}" if none else "")
            level = "ok" if low == high else "problem" if none else "note"
            value = low / high if high else 0.0
            yield Finding(
                rows.table.name, f"{split}: rarest over commonest class", value, len(mine), level, None, detail
            )


def years_of(rows):
    table = rows.table
    if table.years is None:
        return
    known = {s: [int(table.years[i]) for i in rows.of(s) if table.years[i]] for s in SPLITS}
    for split, other in PAIRS[:2]:
        a, b = known[split], known[other]
        if a and b:
            distance = sum(abs(a.count(y) / len(a) - b.count(y) / len(b)) for y in {*a, *b}) / 2
            detail = f"total variation; median {statistics.median(a):g} against {statistics.median(b):g}"
            level = "note" if distance > 0.1 else "ok"
            yield Finding(table.name, f"years of {split} against {other}", distance, len(a), level, None, detail)
    models = table.labels if table.name == "model" else table.metadata.get("model")
    if models is not None:
        dated = [i for i in range(rows.n) if table.years[i] and RELEASED.get(str(models[i]))]
        early = sum(table.years[i] <= RELEASED[str(models[i])] - 2 for i in dated)
        yield counted(table.name, "photos 2 years or more older than their camera", early, len(dated))


def predicted(rows):
    labels, name = rows.table.labels, rows.table.name
    for other, column in rows.table.metadata.items() if labels is not None else ():
        train, test = ([i for i in rows.of(s) if labels[i] and column[i]] for s in ("train", "test"))
        if other == name or not train or not test:
            continue

        def commonest(of):
            counts = Counter(str(label) for label in sorted(labels[of]))
            return counts.most_common(1)[0][0]  # among equals, the first by name

        right = sum(
            labels[i] == commonest([j for j in train if column[j] == column[i]] or train) for i in test
        )  # a value that train does not have: the commonest label of all
        value, chance = right / len(test), 1 / len({str(label) for label in labels} - {""})
        level = "note" if value > 2 * chance or value > (1 + chance) / 2 else "ok"
        yield Finding(f"{other} -> {name}", "accuracy of a majority lookup", value, len(test), level, chance)


def across(every):
    for rows in every:
        for other in every:
            if other is not rows:
                there = {other.id[i] for i in other.of("train")}
                test = rows.of("test")
                count = sum(rows.id[i] in there for i in test)
                name = f"{other.table.name} -> {rows.table.name}"
                yield Finding(name, "test photos in the other's train", count, len(test), "note" if count else "ok")


def with_labels_of_others(table, tables):
    """A table without metadata gets the labels of its photos in other tables, of repeated photos the first."""
    metadata = {}
    for other in tables:
        if other is not table and other.labels is not None and len(other.ids):
            first = {}
            for photo, label in zip(other.ids.tolist(), other.labels.tolist(), strict=True):
                first.setdefault(photo, label)
            metadata[other.name] = np.array([first.get(photo, "") for photo in table.ids.tolist()], dtype=str)
    return table if table.metadata else replace(table, metadata=metadata)


@pytest.mark.parametrize("seed", range(12))
def test_validate__equals_plain_loops(seed):
    rng, bits = np.random.default_rng(seed), (4, 1)[seed % 2]
    sizes = rng.choice([0, 1, 5, 12, 30], rng.integers(1, 4))
    tables = [drawn(rng, name, int(n)) for name, n in zip(("model", "iso", "aperture"), sizes, strict=False)]
    every = [Rows(with_labels_of_others(table, tables)) for table in tables]
    checks = (ids_of, files_of, lambda r: near_of(r, bits), owners_of, classes_of, balance_of, years_of, predicted)
    expected = [finding for check in checks for rows in every for finding in check(rows)] + list(across(every))
    findings = validate(tables if len(tables) > 1 else tables[0], bits).findings
    expected.sort(key=lambda finding: ("problem", "note", "ok").index(finding.level))
    assert [replace(f, value=round(f.value, 9)) for f in findings] == [
        replace(f, value=round(f.value, 9)) for f in expected
    ]
