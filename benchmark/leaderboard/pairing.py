"""P-values of the pairs of rows in a column that have answers by photo: paired by photo, or by cluster.

Answers are untrusted: each is checked against its score whenever it is read. Two rows are paired only where question,
bytes of the photos, codec and error units are the same. Every other pair is compared by its two intervals
(``benchmark.stats.independent_p_values``).
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from weakref import WeakValueDictionary

import numpy as np

from benchmark.leaderboard.entries import Observation, Part
from benchmark.results import PhotoValues, Questions, ResultFile, task_answers
from benchmark.stats import Deviations, effective_number, joint_units, pair_p_values, unit_deviations

STORED_BYTES = 512 << 20
"""Limit of answers in memory. 200 encoders on one question with seven metrics and 50,000 photos take 70 MB."""


@dataclass(frozen=True, eq=False)
class PhotoList:
    """The photos of some values, and their error units."""

    key: bytes
    """Hash of the photos, their order and the names of their clusters."""
    photos: np.ndarray
    clusters: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return self.photos.nbytes + (0 if self.clusters is None else self.clusters.nbytes)


@dataclass(frozen=True, eq=False)
class CodedValues:
    """The values by photo of one score, in compact form."""

    photo_list: PhotoList
    bounds: tuple[float, float]
    codes: np.ndarray
    """uint8 or uint16 [n], indices into ``table``; without a table float64 [n], the values."""
    table: np.ndarray | None

    def values(self, at: np.ndarray | None = None) -> np.ndarray:
        """float64 [n], the values of all photos or of those at ``at``."""
        codes = self.codes if at is None else self.codes[at]
        values: np.ndarray = codes if self.table is None else self.table[codes]
        return values


class StoredAnswers:
    """Cache of answers by result file and task, read on demand; the least recently used are dropped first."""

    def __init__(self, questions: Questions, limit: int = STORED_BYTES) -> None:
        self._questions = questions
        self._limit = limit
        self._cache: OrderedDict[tuple[int, str], tuple[ResultFile, Mapping[str, CodedValues], int]] = OrderedDict()
        self._bytes = 0
        self._photo_lists: WeakValueDictionary[bytes, PhotoList] = WeakValueDictionary()

    def get(self, file: ResultFile, task: str, metric: str) -> CodedValues | None:
        """The values by photo of a score; None where there are none."""
        key = (id(file), task)  # the cache holds the file too, so that no other object gets its id
        if key in self._cache:
            self._cache.move_to_end(key)
        else:
            known = set(self._photo_lists)
            read = {name: self._coded(answers) for name, answers in task_answers(file, task, self._questions).items()}
            size = sum(values.codes.nbytes for values in read.values())
            size += sum(p.nbytes for p in {values.photo_list for values in read.values()} if p.key not in known)
            self._cache[key] = (file, read, size)
            self._bytes += size
            while self._bytes > self._limit and len(self._cache) > 1:
                self._bytes -= self._cache.popitem(last=False)[1][2]
        return self._cache[key][1].get(metric)

    def _coded(self, answers: PhotoValues) -> CodedValues:
        values = np.asarray(answers.values, dtype=np.float64)
        table, codes = np.unique(values, return_inverse=True)
        photos = self._photo_list(answers.photos, answers.clusters)
        if len(table) > 1 << 16:
            return CodedValues(photos, answers.bounds, values, None)
        return CodedValues(photos, answers.bounds, codes.astype(np.uint8 if len(table) <= 1 << 8 else np.uint16), table)

    def _photo_list(self, photos: np.ndarray, clusters: np.ndarray | None) -> PhotoList:
        """The same object for equal photos: all scores of a data set have one of a few lists."""
        digest = hashlib.sha256()
        for array in (photos, *(() if clusters is None else (clusters,))):
            digest.update(f"{array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        key = digest.digest()
        return self._photo_lists.setdefault(key, PhotoList(key, photos, clusters))


COMMON = 0.9
"""Least share of the photos of either row that both rows need to have: a few photos fail for one encoder alone."""

BLOCK_BYTES = 256 << 20
"""Limit of decoded float64 values on either side of a block of pairs."""


@dataclass(frozen=True, eq=False)
class _Row:
    """One cell with its answers: a score has one part, a mean over tasks several."""

    at: int
    """Index in the column."""
    value: float
    """The number that is ranked."""
    slopes: tuple[float, ...]
    """Derivative of ``value`` with respect to each part."""
    parts: tuple[CodedValues, ...]

    @property
    def width(self) -> float:
        """Length of the range of the value."""
        return sum(abs(slope) * (p.bounds[1] - p.bounds[0]) for slope, p in zip(self.slopes, self.parts, strict=True))


@dataclass(frozen=True, eq=False)
class _Units:
    """The error units of the photos of some rows."""

    at: tuple[np.ndarray | None, ...]
    """By part, indices of its photos; None for all."""
    codes: tuple[np.ndarray | None, ...]
    """By part, int64 unit of each of these photos; None where photo i is unit i."""
    count: int
    """Number of units."""


def paired_p_values(column: Sequence[Observation], answers: StoredAnswers, *, signed: bool) -> np.ndarray:
    """Two-sided p-values [E, E] of no difference between the rows of a column; NaN where two cannot be paired.

    Args:
        column: observations, one for each of E rows.
        answers: cache of their answers.
        signed: whether values are differences, which rank by their size: negative ones are multiplied by -1.
    """
    p_values = np.full((len(column), len(column)), np.nan)
    comparable: dict[object, list[int]] = {}
    for i, observation in enumerate(column):
        if (key := _comparable_key(observation)) is not None:
            comparable.setdefault(key, []).append(i)
    for members in comparable.values():
        if len(members) < 2:
            continue
        rows = [row for i in members if (row := _row(i, column[i], answers, signed)) is not None]
        _fill(p_values, rows)
    return p_values


def _comparable_key(observation: Observation) -> object | None:
    """Question, bytes of the photos and codec, which comparable rows share; None for a number without a result."""
    key = []
    for part in _parts(observation):
        photos, file = part.observation.photos, part.observation.file
        if file is None or not (photos.question_hash or photos.ids_hash):
            return None
        key.append((photos, str(file.result.data.get("bytes_hash"))))
    return tuple(key)


def _parts(observation: Observation) -> tuple[Part, ...]:
    return observation.parts or (Part(observation, 1.0),)


def _row(at: int, observation: Observation, answers: StoredAnswers, signed: bool) -> _Row | None:
    """The row of an observation; None where a part of it has no answers."""
    parts = []
    for part in _parts(observation):
        o = part.observation
        values = answers.get(o.file, o.task, o.metric) if o.file is not None else None
        if values is None:
            return None
        parts.append(values)
    sign = math.copysign(1.0, observation.value) if signed else 1.0
    slopes = tuple(sign * part.slope for part in _parts(observation))
    return _Row(at, sign * observation.value, slopes, tuple(parts))


def _fill(p_values: np.ndarray, rows: Sequence[_Row]) -> None:
    """Write the p-values of all pairs of comparable rows into [E, E]."""
    groups: dict[object, list[_Row]] = {}
    for row in rows:
        groups.setdefault(tuple((part.photo_list.key, part.bounds) for part in row.parts), []).append(row)
    for members in groups.values():
        units = _units(members[0])
        if units is not None and len(members) > 1:
            for first, second in _blocks(members, members, units):
                _put(p_values, first, second, units, units)
    for group, other in combinations(groups.values(), 2):
        common = _common(group[0], other[0])
        if common is not None:
            for first, second in _blocks(group, other, common[0]):
                _put(p_values, first, second, *common)


def _blocks(group: Sequence[_Row], other: Sequence[_Row], units: _Units) -> Iterator[tuple[list[_Row], list[_Row]]]:
    """Each pair of blocks of rows once, in blocks that fit ``BLOCK_BYTES``; a group with itself where both are one."""
    size = max(1, BLOCK_BYTES // (8 * max(units.count, 1)))
    left, right = ([list(rows[i : i + size]) for i in range(0, len(rows), size)] for rows in (group, other))
    for i, first in enumerate(left):
        for second in right[i:] if other is group else right:
            yield first, second


def _put(p_values: np.ndarray, first: list[_Row], second: list[_Row], units: _Units, other: _Units) -> None:
    """Write the p-values of two blocks of rows, whose error units are given, into [E, E]."""
    a = _deviations(first, units)
    b = a if second == first else _deviations(second, other)
    p = pair_p_values(a, b, max(row.width for row in (*first, *second)))
    # On their common photos two rows may have the opposite order than on all photos of each: no difference then.
    shown = np.sign(np.subtract.outer([row.value for row in first], [row.value for row in second]))
    p[np.sign(np.subtract.outer(a.value, b.value)) * shown < 0] = 1.0
    at_a, at_b = [row.at for row in first], [row.at for row in second]
    p_values[np.ix_(at_a, at_b)] = p
    p_values[np.ix_(at_b, at_a)] = p.T


def _deviations(rows: Sequence[_Row], units: _Units) -> Deviations:
    """Value and deviations by unit of each row, over the photos of the units."""
    value = np.array([row.value for row in rows])
    apart, weights, equal = np.zeros((len(rows), units.count)), np.zeros(units.count), True
    for t, (at, codes) in enumerate(zip(units.at, units.codes, strict=True)):
        slopes = np.array([row.slopes[t] for row in rows])
        part = unit_deviations(np.stack([row.parts[t].values(at) for row in rows]), codes, units.count)
        apart += slopes[:, None] * part.apart
        equal &= part.freedom == 0
        sizes = np.ones(units.count) if codes is None else np.bincount(codes, minlength=units.count)
        weights += abs(slopes[0]) * sizes / sizes.sum()
        if at is not None:
            whole = np.array([row.parts[t].values().mean() for row in rows])
            value = value + slopes * (part.value - whole)
    return Deviations(value, apart, 0.0 if equal else effective_number(weights) - 1)


def _units(row: _Row, at: Sequence[np.ndarray] | None = None) -> _Units | None:
    """Error units of a row's photos; None where its parts have different ones."""
    chosen = [None] * len(row.parts) if at is None else list(at)
    photos, names = [], []
    for part, chosen_photos in zip(row.parts, chosen, strict=True):
        ids, clusters = part.photo_list.photos, part.photo_list.clusters
        photos.append(ids if chosen_photos is None else ids[chosen_photos])
        names.append(clusters if clusters is None or chosen_photos is None else clusters[chosen_photos])
    if all(name is None for name in names) and all(np.array_equal(photos[0], other) for other in photos[1:]):
        return _Units(tuple(chosen), (None,) * len(photos), len(photos[0]))
    if len({array.dtype.kind for array in photos}) > 1:
        return None
    codes = joint_units(photos, names)
    if codes is None:
        return None
    ends = np.cumsum([len(part) for part in photos])[:-1]
    return _Units(tuple(chosen), tuple(np.split(codes, ends)), int(codes.max()) + 1)


def _common(a: _Row, b: _Row) -> tuple[_Units, _Units] | None:
    """Error units of the common photos of two rows; None where these are too few, or clustered differently."""
    chosen_a, chosen_b = [], []
    for part_a, part_b in zip(a.parts, b.parts, strict=True):
        photos_a, photos_b = part_a.photo_list.photos, part_b.photo_list.photos
        if photos_a.dtype.kind != photos_b.dtype.kind or part_a.bounds != part_b.bounds:
            return None
        common, at_a, at_b = np.intersect1d(photos_a, photos_b, assume_unique=True, return_indices=True)
        if len(common) < COMMON * max(len(photos_a), len(photos_b)):
            return None
        chosen_a.append(at_a)
        chosen_b.append(at_b)
    units_a, units_b = _units(a, chosen_a), _units(b, chosen_b)
    if units_a is None or units_b is None or units_a.count != units_b.count:
        return None
    same = all(_equal(x, y) for x, y in zip(units_a.codes, units_b.codes, strict=True))
    return (units_a, units_b) if same else None


def _equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
    """Whether two arrays of unit codes are equal; None stands for a separate unit for each photo."""
    if a is None or b is None:
        codes = a if b is None else b
        return codes is None or np.array_equal(codes, np.arange(len(codes)))
    return np.array_equal(a, b)
