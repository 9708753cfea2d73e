"""Answers by photo of the board's rows, read one task at a time, small while they are held, and bounded together."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakValueDictionary

import numpy as np

from benchmark.results import PhotoValues, Questions, ResultFile, task_answers

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


class KeptAnswers:
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
