"""Counts of a scan: tables of values by class, moments and a sample, whose memory does not grow with the photos.

The sample is random but independent of order: the photos with the smallest hashes of their ids.
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
from builders.splits import near_duplicate_groups

SAMPLE = 20_000
"""Photos of the sample, for classifiers, permutations of numbers, and examples."""

MAX_CELLS = 1_000_000
"""Most cells of a table of values by classes."""

MAX_VALUES = 1024
"""Most values of a feature with separate counts; rarer ones are counted together as ``RARER``."""

MAX_SOURCES = 200
"""Most sources that are tested; more are like owners, too many for a table."""

MAX_FAILURES = 20
"""Failures whose reasons are recorded."""

RARER = "(rarer values)"


class Table:
    """Counts of values by classes, both added as they occur."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {RARER: 0}
        self._counts = np.zeros((16, 4), dtype=np.int64)

    def add(self, values: pa.DictionaryArray, groups: np.ndarray, group_count: int) -> None:
        """Count one block.

        Args:
            values: [photos].
            groups: int [photos], class of each photo; -1 for a photo that is not counted.
            group_count: number of classes so far.
        """
        codes, names = values.indices.to_numpy(zero_copy_only=False), values.dictionary.to_pylist()
        counted = groups >= 0
        block = np.bincount(codes[counted] * group_count + groups[counted], minlength=len(names) * group_count)
        block = block.reshape(len(names), group_count)
        indices = np.array([self.values.setdefault(name, len(self.values)) for name in names], dtype=np.int64)
        self._grow(len(self.values), group_count)
        self._counts[indices, :group_count] += block
        if len(self.values) > 2 * self._max_values(group_count):
            self._merge_rare(self._max_values(group_count))

    def counts(self, group_count: int) -> tuple[list[str], np.ndarray]:
        """(values, int64 [values, classes]), the rarest beyond ``MAX_VALUES`` as one."""
        self._grow(len(self.values), group_count)
        self._merge_rare(self._max_values(group_count))
        table = self._counts[: len(self.values), :group_count]
        occurring = table.sum(axis=1) > 0
        return [name for name, occurs in zip(self.values, occurring, strict=True) if occurs], table[occurring]

    @staticmethod
    def _max_values(group_count: int) -> int:
        return int(min(MAX_VALUES, max(32, MAX_CELLS // max(group_count, 1))))

    def _grow(self, values: int, groups: int) -> None:
        rows, columns = self._counts.shape
        if values > rows or groups > columns:
            shape = (2 * values if values > rows else rows, 2 * groups if groups > columns else columns)
            grown = np.zeros(shape, dtype=np.int64)
            grown[:rows, :columns] = self._counts
            self._counts = grown

    def _merge_rare(self, most: int) -> None:
        """Count the values beyond the ``most`` frequent ones as ``RARER``."""
        if len(self.values) <= most + 1:
            return
        table = self._counts[: len(self.values)]
        totals = table.sum(axis=1)
        totals[0] = np.iinfo(np.int64).max
        frequent = np.sort(np.argsort(-totals, kind="stable")[: most + 1])
        rest = table.sum(axis=0) - table[frequent].sum(axis=0)
        names = list(self.values)
        self.values = {names[old]: new for new, old in enumerate(frequent)}
        self._counts = table[frequent].copy()
        self._counts[0] += rest


class Moments:
    """Counts and sums of a feature by class, and its sum of squares."""

    def __init__(self) -> None:
        self.counts: np.ndarray = np.zeros(0)
        self.sums: np.ndarray = np.zeros(0)
        self.squares = 0.0

    def add(self, values: np.ndarray, groups: np.ndarray, group_count: int) -> None:
        """Count one block, as ``Table.add``; NaN is not counted."""
        counted = (groups >= 0) & np.isfinite(values)
        counts: np.ndarray = np.bincount(groups[counted], minlength=group_count).astype(float)
        sums: np.ndarray = np.bincount(groups[counted], weights=values[counted], minlength=group_count).astype(float)
        counts[: len(self.counts)] += self.counts
        sums[: len(self.sums)] += self.sums
        self.counts, self.sums = counts, sums
        self.squares += float(np.square(values[counted]).sum())


@dataclass
class Tally:
    """All counts that the audit is computed from."""

    names: dict[str, dict[str, int]] = field(default_factory=lambda: {target: {} for target in TARGETS})
    """Index of each class, split and source by name, in the order of their first photo."""
    totals: dict[str, np.ndarray] = field(default_factory=dict)
    """Number of photos of each class, split and source."""
    tables: dict[tuple[str, str], Table] = field(default_factory=dict)
    """By (target, feature); the feature may be another target."""
    moments: dict[tuple[str, str], Moments] = field(default_factory=dict)
    sample: pd.DataFrame = field(default_factory=pd.DataFrame)
    """At most ``SAMPLE`` photos: ``row`` in the subject, every column of a block."""
    pixels: dict[str, Any] = field(default_factory=dict)
    """``numbers``, ``whole`` and ``border`` of decoded photos, and ``frame``, their columns."""
    content: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    near: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Of every readable photo; empty where none was decoded."""
    label_codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """Class of every readable photo, for duplicates; -1 without a label."""
    split_codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    photos: int = 0
    unreadable: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)
    unit: str = "owner"
    """The word for what errs together, where photos share a value of the column ``owner``."""


def tally(scan: Scan) -> Tally:
    """The counts of a scan, block by block."""
    counts = Tally()
    samples: list[pd.DataFrame] = []
    parts: dict[str, list[Any]] = {name: [] for name in ("content", "near", "label", "split", "rows")}
    pixels: dict[str, list[Any]] = {name: [] for name in ("numbers", "whole", "border", "frame")}
    start = 0
    for block in scan.blocks():
        ids, failures = block.facts.column("id"), block.facts.column("failure").to_numpy(zero_copy_only=False)
        readable = failures == ""
        counts.unreadable += int((~readable).sum())
        for i in np.flatnonzero(~readable)[: MAX_FAILURES - len(counts.failures)]:
            counts.failures.append((str(ids[int(i)]), str(failures[i])))
        facts = block.facts.filter(pa.array(readable)).drop_columns(["failure"]).combine_chunks()
        rows = start + np.flatnonzero(readable)
        start += len(readable)
        codes = _count(counts, facts)
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
        counts.sample = _smallest(pd.concat(samples)).reset_index(drop=True)
    if parts["rows"]:
        counts.content, counts.rows = (np.concatenate(parts[name]) for name in ("content", "rows"))
        if any(near.any() for near in parts["near"]):
            counts.near = np.concatenate(parts["near"])
        counts.label_codes, counts.split_codes = (np.concatenate(parts[name]) for name in ("label", "split"))
    if pixels["frame"]:
        counts.pixels = {name: np.concatenate(values) for name, values in pixels.items() if name != "frame"}
        counts.pixels["frame"] = pd.concat(pixels["frame"]).reset_index(drop=True)
    if counts.near.any():
        for frame in (counts.sample, *([counts.pixels["frame"]] if counts.pixels else [])):
            frame["owner"] = _with_duplicates(counts, frame)
    return counts


def _with_duplicates(counts: Tally, frame: pd.DataFrame) -> np.ndarray:
    """Owners of sampled photos; near-duplicates without an owner have one that is the first of their group."""
    groups = np.unique(near_duplicate_groups(counts.near), return_inverse=True)[1]
    of_frame = groups[np.searchsorted(counts.rows, frame["row"].to_numpy())]
    shared = np.bincount(groups)[of_frame] > 1
    owners = frame["owner"].to_numpy(dtype=object)
    names = np.array([f"near-duplicates {group}" for group in of_frame], dtype=object)
    merged: np.ndarray = np.where((owners == UNKNOWN) & shared, names, owners)
    return merged


def _smallest(frame: pd.DataFrame) -> pd.DataFrame:
    """The ``SAMPLE`` photos with the smallest hashes; texts as objects, so that parts can be joined."""
    texts = [name for name in frame.columns if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    sampled = frame.nsmallest(SAMPLE, "hash") if len(frame) > SAMPLE else frame
    return sampled.astype(dict.fromkeys(texts, object))


def _count(counts: Tally, facts: pa.Table) -> dict[str, np.ndarray]:
    """Add one block to every table; returns the codes of its photos by target."""
    codes: dict[str, np.ndarray] = {}
    columns = {name: _one_chunk(facts, name) for name in (*TARGETS, *(n for n in FEATURES))}
    for target in TARGETS:
        codes[target] = _codes(counts.names[target], columns[target])
        size = len(counts.names[target])
        counted = np.bincount(codes[target][codes[target] >= 0], minlength=size)
        earlier = counts.totals.get(target, np.zeros(0, dtype=np.int64))
        counted[: len(earlier)] += earlier
        counts.totals[target] = counted
    counts.photos += int((codes["label"] >= 0).sum())
    for target in TARGETS:
        size = len(counts.names[target])
        if size < 1 or (target == "source" and size > MAX_SOURCES):
            continue
        for name, feature in FEATURES.items():
            if feature.kind == "number":
                moments = counts.moments.setdefault((target, name), Moments())
                moments.add(columns[name].to_numpy(zero_copy_only=False), codes[target], size)
            else:
                counts.tables.setdefault((target, name), Table()).add(columns[name], codes[target], size)
        if target != "source":
            counts.tables.setdefault((target, "source"), Table()).add(columns["source"], codes[target], size)
    return codes


def _one_chunk(facts: pa.Table, name: str) -> Any:
    column = facts.column(name)
    return column.chunk(0) if column.num_chunks else column.combine_chunks()


def _codes(names: dict[str, int], column: pa.DictionaryArray) -> np.ndarray:
    """int [photos], class of each photo. Classes of unreadable files alone are not counted."""
    indices = column.indices.to_numpy(zero_copy_only=False)
    lookup = np.full(max(1, len(column.dictionary)), -1, dtype=np.int32)
    for word in np.unique(indices):
        name = column.dictionary[int(word)].as_py()
        lookup[word] = names.setdefault(name, len(names)) if name != UNKNOWN else -1
    return lookup[indices]
