"""P-values of the pairs of a column whose answers by photo are at hand: photo by photo, or cluster by cluster.

Answers come from strangers, so each is held to its score again when it is read, and two rows are paired only where they
were asked the same question of the same bytes and say the same of what photos err together in. Wherever that does not
hold, the pair is left to the intervals (``benchmark.stats.independent_p_values``).
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
from benchmark.stats import Deviations, joint_units, pair_p_values, unit_deviations

KEPT_BYTES = 512 << 20
"""Of answers held at once: those of 200 encoders to one question with seven metrics about 50,000 photos are 70 MB."""


@dataclass(frozen=True, eq=False)
class Where:
    """Which photos values belong to, and what photos err together in."""

    key: bytes
    """Equal where photos, their order and the names of their clusters are."""
    photos: np.ndarray
    clusters: np.ndarray | None

    @property
    def nbytes(self) -> int:
        return self.photos.nbytes + (0 if self.clusters is None else self.clusters.nbytes)


@dataclass(frozen=True, eq=False)
class Held:
    """The values by photo of one score."""

    where: Where
    bounds: tuple[float, float]
    codes: np.ndarray
    """uint8 or uint16 [n] into ``table``; the values themselves where these are too many."""
    table: np.ndarray | None

    def values(self, at: np.ndarray | None = None) -> np.ndarray:
        """float64 [n], or of some of the photos."""
        codes = self.codes if at is None else self.codes[at]
        values: np.ndarray = codes if self.table is None else self.table[codes]
        return values


class StoredAnswers:
    """Answers of results by file and task: read when they are asked for, the longest unused given up first."""

    def __init__(self, questions: Questions, limit: int = KEPT_BYTES) -> None:
        self._questions = questions
        self._limit = limit
        self._held: OrderedDict[tuple[int, str], tuple[ResultFile, Mapping[str, Held], int]] = OrderedDict()
        self._bytes = 0
        self._where: WeakValueDictionary[bytes, Where] = WeakValueDictionary()

    def get(self, file: ResultFile, task: str, metric: str) -> Held | None:
        """The values by photo of a score; None where they are not at hand."""
        key = (id(file), task)  # the file is held beside its answers, so that its id stays its own
        if key in self._held:
            self._held.move_to_end(key)
        else:
            known = set(self._where)
            read = {name: self._held_form(found) for name, found in task_answers(file, task, self._questions).items()}
            size = sum(held.codes.nbytes for held in read.values())
            size += sum(where.nbytes for where in {held.where for held in read.values()} if where.key not in known)
            self._held[key] = (file, read, size)
            self._bytes += size
            while self._bytes > self._limit and len(self._held) > 1:
                self._bytes -= self._held.popitem(last=False)[1][2]
        return self._held[key][1].get(metric)

    def _held_form(self, found: PhotoValues) -> Held:
        table, codes = np.unique(np.asarray(found.values, dtype=np.float64), return_inverse=True)
        where = self._one(found.photos, found.clusters)
        if len(table) > 1 << 16:
            return Held(where, found.bounds, np.asarray(found.values, dtype=np.float64), None)
        return Held(where, found.bounds, codes.astype(np.uint8 if len(table) <= 1 << 8 else np.uint16), table)

    def _one(self, photos: np.ndarray, clusters: np.ndarray | None) -> Where:
        """One object for equal photos: all scores of a data set are of a few lists."""
        digest = hashlib.sha256()
        for array in (photos, *(() if clusters is None else (clusters,))):
            digest.update(f"{array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        key = digest.digest()
        return self._where.setdefault(key, Where(key, photos, clusters))


COMMON = 0.9
"""Share of the photos of either row that both must have answered: a few photos fail for one encoder alone."""

BLOCK_BYTES = 256 << 20
"""Of float64 values decoded at once on either side of a block of pairs."""


@dataclass(frozen=True, eq=False)
class _Row:
    """One cell with its answers: a score has one part, a mean over tasks several."""

    at: int
    """Its place in the column."""
    value: float
    """What is ranked."""
    slopes: tuple[float, ...]
    """How far that moves with each part."""
    parts: tuple[Held, ...]

    @property
    def width(self) -> float:
        """What the value may be at most."""
        return sum(abs(slope) * (p.bounds[1] - p.bounds[0]) for slope, p in zip(self.slopes, self.parts, strict=True))


@dataclass(frozen=True, eq=False)
class _Units:
    """What stands alone on the photos of some rows."""

    at: tuple[np.ndarray | None, ...]
    """Of each part: which of its photos; None for all."""
    codes: tuple[np.ndarray | None, ...]
    """Of each part: int64 unit of each of these photos; None where photo i is unit i."""
    count: int


def pairs_at_hand(column: Sequence[Observation], kept: StoredAnswers, *, signed: bool) -> np.ndarray:
    """Two-sided p-values [E, E] of no difference between the rows of a column; NaN where two cannot be paired.

    Args:
        column: its observations.
        kept: where their answers are.
        signed: whether values are differences, which rank by their size: each is turned to its positive side.
    """
    found = np.full((len(column), len(column)), np.nan)
    comparable: dict[object, list[int]] = {}
    for i, observation in enumerate(column):
        if (asked := _asked(observation)) is not None:
            comparable.setdefault(asked, []).append(i)
    for members in comparable.values():
        if len(members) < 2:
            continue
        rows = [row for i in members if (row := _row(i, column[i], kept, signed)) is not None]
        _fill(found, rows)
    return found


def _asked(observation: Observation) -> object | None:
    """What rows must have in common: questions, bytes of the photos, codec. None of a number without a result."""
    asked = []
    for part in _parts(observation):
        photos, file = part.observation.photos, part.observation.file
        if file is None or not (photos.question_hash or photos.ids_hash):
            return None
        asked.append((photos, str(file.result.data.get("bytes_hash"))))
    return tuple(asked)


def _parts(observation: Observation) -> tuple[Part, ...]:
    return observation.parts or (Part(observation, 1.0),)


def _row(at: int, observation: Observation, kept: StoredAnswers, signed: bool) -> _Row | None:
    held = []
    for part in _parts(observation):
        o = part.observation
        answers = kept.get(o.file, o.task, o.metric) if o.file is not None else None
        if answers is None:
            return None
        held.append(answers)
    sign = math.copysign(1.0, observation.value) if signed else 1.0
    slopes = tuple(sign * part.slope for part in _parts(observation))
    return _Row(at, sign * observation.value, slopes, tuple(held))


def _fill(found: np.ndarray, rows: Sequence[_Row]) -> None:
    groups: dict[object, list[_Row]] = {}
    for row in rows:
        groups.setdefault(tuple((part.where.key, part.bounds) for part in row.parts), []).append(row)
    for members in groups.values():
        units = _units(members[0])
        if units is not None and len(members) > 1:
            for first, second in _blocks(members, members, units):
                _put(found, first, second, units, units)
    for ours, theirs in combinations(groups.values(), 2):
        both = _common(ours[0], theirs[0])
        if both is not None:
            for first, second in _blocks(ours, theirs, both[0]):
                _put(found, first, second, *both)


def _blocks(ours: Sequence[_Row], theirs: Sequence[_Row], units: _Units) -> Iterator[tuple[list[_Row], list[_Row]]]:
    """Rows in blocks that fit the memory, each pair of blocks once."""
    size = max(1, BLOCK_BYTES // (8 * max(units.count, 1)))
    left, right = ([list(rows[i : i + size]) for i in range(0, len(rows), size)] for rows in (ours, theirs))
    for i, first in enumerate(left):
        for second in right[i:] if theirs is ours else right:
            yield first, second


def _put(found: np.ndarray, first: list[_Row], second: list[_Row], own: _Units, other: _Units) -> None:
    one = _deviations(first, own)
    two = one if second == first else _deviations(second, other)
    p = pair_p_values(one, two, max(row.width for row in (*first, *second)))
    # On their common photos two rows may stand the other way round than on all photos of each: that is no finding.
    shown = np.sign(np.subtract.outer([row.value for row in first], [row.value for row in second]))
    p[np.sign(np.subtract.outer(one.value, two.value)) * shown < 0] = 1.0
    at, to = [row.at for row in first], [row.at for row in second]
    found[np.ix_(at, to)] = p
    found[np.ix_(to, at)] = p.T


def _deviations(rows: Sequence[_Row], units: _Units) -> Deviations:
    value = np.array([row.value for row in rows])
    apart = np.zeros((len(rows), units.count))
    for t, (at, codes) in enumerate(zip(units.at, units.codes, strict=True)):
        slopes = np.array([row.slopes[t] for row in rows])
        values = np.stack([row.parts[t].values(at) for row in rows])
        apart += slopes[:, None] * unit_deviations(values, codes, units.count)
        if at is not None:
            whole = np.array([row.parts[t].values().mean() for row in rows])
            value = value + slopes * (values.mean(axis=1) - whole)
    return Deviations(value, apart)


def _units(row: _Row, at: Sequence[np.ndarray] | None = None) -> _Units | None:
    """The units of a row's photos; None where its parts do not agree about them."""
    chosen = [None] * len(row.parts) if at is None else list(at)
    photos, names = [], []
    for part, places in zip(row.parts, chosen, strict=True):
        where = part.where
        photos.append(where.photos if places is None else where.photos[places])
        names.append(where.clusters if where.clusters is None or places is None else where.clusters[places])
    if all(name is None for name in names) and all(np.array_equal(photos[0], other) for other in photos[1:]):
        return _Units(tuple(chosen), (None,) * len(photos), len(photos[0]))
    if len({array.dtype.kind for array in photos}) > 1:
        return None
    codes = joint_units(photos, names)
    if codes is None:
        return None
    ends = np.cumsum([len(part) for part in photos])[:-1]
    return _Units(tuple(chosen), tuple(np.split(codes, ends)), int(codes.max()) + 1)


def _common(one: _Row, other: _Row) -> tuple[_Units, _Units] | None:
    """The units of the photos that two rows have in common; None where these are too few, or cluster differently."""
    ours, theirs = [], []
    for mine, yours in zip(one.parts, other.parts, strict=True):
        a, b = mine.where.photos, yours.where.photos
        if a.dtype.kind != b.dtype.kind or mine.bounds != yours.bounds:
            return None
        both, at, to = np.intersect1d(a, b, assume_unique=True, return_indices=True)
        if len(both) < COMMON * max(len(a), len(b)):
            return None
        ours.append(at)
        theirs.append(to)
    units, others = _units(one, ours), _units(other, theirs)
    if units is None or others is None or units.count != others.count:
        return None
    same = all(_equal(a, b) for a, b in zip(units.codes, others.codes, strict=True))
    return (units, others) if same else None


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether photos are in the same units; None is every photo in its own."""
    if one is None or other is None:
        given = one if other is None else other
        return given is None or np.array_equal(given, np.arange(len(given)))
    return np.array_equal(one, other)
