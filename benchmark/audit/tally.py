"""Counts of a scan, in memory that does not grow with the photos: tables of values by class, moments, one sample.

The sample is the photos with the smallest hashes of their ids: the same whatever the order, and a random one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmark.audit.features import FEATURES
from benchmark.audit.result import TARGETS
from benchmark.audit.scan import Scan
from benchmark.audit.subjects import UNKNOWN

SAMPLE = 20_000
"""Photos whose facts are kept for classifiers, permutations of numbers, and examples."""

MAX_CELLS = 1_000_000
"""Cells of one table of values by classes."""

MAX_VALUES = 1024
"""Values of a feature that are counted by themselves; the rarer ones are ``RARER`` together."""

MAX_SOURCES = 200
"""More different sources than this are owners: nobody reads a table of them."""

MAX_FAILURES = 20
"""Failures whose reason is kept."""

RARER = "(rarer values)"


class Table:
    """Counts of values by classes, both discovered as they come."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {RARER: 0}
        self._counts = np.zeros((16, 4), dtype=np.int64)

    def add(self, values: pa.DictionaryArray, groups: np.ndarray, group_count: int) -> None:
        """Count one block.

        Args:
            values: [photos].
            groups: int [photos], number of the class, or -1 for a photo that is not counted.
            group_count: classes so far.
        """
        codes, names = values.indices.to_numpy(zero_copy_only=False), values.dictionary.to_pylist()
        counted = groups >= 0
        block = np.bincount(codes[counted] * group_count + groups[counted], minlength=len(names) * group_count)
        block = block.reshape(len(names), group_count)
        places = np.array([self.values.setdefault(name, len(self.values)) for name in names], dtype=np.int64)
        self._grow(len(self.values), group_count)
        self._counts[places, :group_count] += block
        if len(self.values) > 2 * self._room(group_count):
            self._forget_rare(self._room(group_count))

    def counts(self, group_count: int) -> tuple[list[str], np.ndarray]:
        """(values, int64 [values, classes]), the rarest beyond ``MAX_VALUES`` as one."""
        self._grow(len(self.values), group_count)
        self._forget_rare(self._room(group_count))
        table = self._counts[: len(self.values), :group_count]
        kept = table.sum(axis=1) > 0
        return [name for name, k in zip(self.values, kept, strict=True) if k], table[kept]

    @staticmethod
    def _room(group_count: int) -> int:
        return int(min(MAX_VALUES, max(32, MAX_CELLS // max(group_count, 1))))

    def _grow(self, values: int, groups: int) -> None:
        rows, columns = self._counts.shape
        if values > rows or groups > columns:
            shape = (2 * values if values > rows else rows, 2 * groups if groups > columns else columns)
            grown = np.zeros(shape, dtype=np.int64)
            grown[:rows, :columns] = self._counts
            self._counts = grown

    def _forget_rare(self, room: int) -> None:
        if len(self.values) <= room + 1:
            return
        table = self._counts[: len(self.values)]
        totals = table.sum(axis=1)
        totals[0] = np.iinfo(np.int64).max
        kept = np.sort(np.argsort(-totals, kind="stable")[: room + 1])
        rest = table.sum(axis=0) - table[kept].sum(axis=0)
        names = list(self.values)
        self.values = {names[old]: new for new, old in enumerate(kept)}
        self._counts = table[kept].copy()
        self._counts[0] += rest


class Moments:
    """Number, sum and squares of a feature by classes."""

    def __init__(self) -> None:
        self.counts: np.ndarray = np.zeros(0)
        self.sums: np.ndarray = np.zeros(0)
        self.squares = 0.0

    def add(self, values: np.ndarray, groups: np.ndarray, group_count: int) -> None:
        """As ``Table.add``; NaN is not counted."""
        kept = (groups >= 0) & np.isfinite(values)
        counts: np.ndarray = np.bincount(groups[kept], minlength=group_count).astype(float)
        sums: np.ndarray = np.bincount(groups[kept], weights=values[kept], minlength=group_count).astype(float)
        counts[: len(self.counts)] += self.counts
        sums[: len(self.sums)] += self.sums
        self.counts, self.sums = counts, sums
        self.squares += float(np.square(values[kept]).sum())


@dataclass
class Tally:
    """Everything that questions are answered from."""

    names: dict[str, dict[str, int]] = field(default_factory=lambda: {target: {} for target in TARGETS})
    """Number of each class, split and source by name, in the order in which they came."""
    totals: dict[str, np.ndarray] = field(default_factory=dict)
    """Photos of each class, split and source."""
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    """By (target, feature); the feature may be another target."""
    moments: dict[tuple[str, str], Moments] = field(default_factory=dict)
    sample: pd.DataFrame = field(default_factory=pd.DataFrame)
    """At most ``SAMPLE`` photos: ``row`` in the subject, every column of a block."""
    pixels: dict[str, Any] = field(default_factory=dict)
    """``numbers``, ``whole``, ``border`` of the photos that were decoded, and ``frame``, their columns."""
    content: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    near: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Of every photo that could be read; empty where none was decoded."""
    label_codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """Of every photo that could be read, for duplicates; -1 without a label."""
    split_codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    photos: int = 0
    unreadable: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    owners: int = 0
    """Different owners in the sample."""


def tally(scan: Scan) -> Tally:
    """Count a scan block by block."""
    found = Tally()
    samples: list[pd.DataFrame] = []
    parts: dict[str, list[Any]] = {name: [] for name in ("content", "near", "label", "split", "rows")}
    pixels: dict[str, list[Any]] = {name: [] for name in ("numbers", "whole", "border", "frame")}
    start = 0
    for block in scan.blocks():
        ids, failures = block.facts.column("id"), block.facts.column("failure").to_numpy(zero_copy_only=False)
        readable = failures == ""
        found.unreadable += int((~readable).sum())
        for i in np.flatnonzero(~readable)[: MAX_FAILURES - len(found.failures)]:
            found.failures.append((str(ids[int(i)]), str(failures[i])))
        facts = block.facts.filter(pa.array(readable)).drop_columns(["failure"]).combine_chunks()
        rows = start + np.flatnonzero(readable)
        start += len(readable)
        codes = _count(found, facts)
        for name, values in (
            ("content", facts.column("content").to_numpy()),
            ("label", codes["label"]),
            ("split", codes["split"]),
            ("rows", rows.astype(np.int32 if start < 2**31 else np.int64)),
        ):
            parts[name].append(values)
        near = facts.column("near").to_numpy()
        parts["near"].append(near if near.any() else np.broadcast_to(np.uint64(0), len(near)))
        frame = facts.to_pandas()
        frame["row"] = rows
        if len(block.pixels["rows"]):
            at = np.searchsorted(np.flatnonzero(readable), block.pixels["rows"])
            pixels["frame"].append(frame.iloc[at].astype(dict.fromkeys(("label", "split", "source", "owner"), object)))
            for name in ("numbers", "whole", "border"):
                pixels[name].append(block.pixels[name])
        samples.append(_smallest(frame.assign(hash=pd.util.hash_array(frame["id"].to_numpy(dtype=object)))))
        if sum(map(len, samples)) > 4 * SAMPLE:
            samples = [_smallest(pd.concat(samples))]
    if samples:
        found.sample = _smallest(pd.concat(samples)).reset_index(drop=True)
    if parts["rows"]:
        found.content, found.rows = (np.concatenate(parts[name]) for name in ("content", "rows"))
        if any(near.any() for near in parts["near"]):
            found.near = np.concatenate(parts["near"])
        found.label_codes, found.split_codes = (np.concatenate(parts[name]) for name in ("label", "split"))
    if pixels["frame"]:
        found.pixels = {name: np.concatenate(values) for name, values in pixels.items() if name != "frame"}
        found.pixels["frame"] = pd.concat(pixels["frame"]).reset_index(drop=True)
    owners = found.sample["owner"] if len(found.sample) else pd.Series(dtype=object)
    found.owners = int(owners[owners != UNKNOWN].nunique())
    return found


def _smallest(frame: pd.DataFrame) -> pd.DataFrame:
    """The ``SAMPLE`` photos with the smallest hashes; texts as objects, so that parts can be joined."""
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    kept = frame.nsmallest(SAMPLE, "hash") if len(frame) > SAMPLE else frame
    return kept.astype(dict.fromkeys(texts, object))


def _count(found: Tally, facts: pa.Table) -> dict[str, np.ndarray]:
    """Add one block to every table; the codes of its photos by target."""
    codes: dict[str, np.ndarray] = {}
    columns = {name: _one_chunk(facts, name) for name in (*TARGETS, *(n for n in FEATURES))}
    for target in TARGETS:
        codes[target] = _codes(found.names[target], columns[target])
        size = len(found.names[target])
        counted = np.bincount(codes[target][codes[target] >= 0], minlength=size)
        earlier = found.totals.get(target, np.zeros(0, dtype=np.int64))
        counted[: len(earlier)] += earlier
        found.totals[target] = counted
    found.photos += int((codes["label"] >= 0).sum())
    for target in TARGETS:
        size = len(found.names[target])
        if size < 1 or (target == "source" and size > MAX_SOURCES):
            continue
        for name, feature in FEATURES.items():
            if feature.kind == "number":
                moments = found.moments.setdefault((target, name), Moments())
                moments.add(columns[name].to_numpy(zero_copy_only=False), codes[target], size)
            else:
                found.tables.setdefault((target, name), Table()).add(columns[name], codes[target], size)
        if target != "source":
            found.tables.setdefault((target, "source"), Table()).add(columns["source"], codes[target], size)
    return codes


def _one_chunk(facts: pa.Table, name: str) -> Any:
    column = facts.column(name)
    return column.chunk(0) if column.num_chunks else column.combine_chunks()


def _codes(names: dict[str, int], column: pa.DictionaryArray) -> np.ndarray:
    """Numbers of the photos' classes; a class that only files that could not be read have is not counted."""
    indices = column.indices.to_numpy(zero_copy_only=False)
    lookup = np.full(max(1, len(column.dictionary)), -1, dtype=np.int32)
    for word in np.unique(indices):
        name = column.dictionary[int(word)].as_py()
        lookup[word] = names.setdefault(name, len(names)) if name != UNKNOWN else -1
    return lookup[indices]
