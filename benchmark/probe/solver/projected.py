"""Embeddings turned into the span of the photos that a probe learns from, where these are fewer than dimensions.

A penalised linear probe knows no direction in which no photo that it learns from differs from zero, and does not mind
which orthonormal axes the others have. One factorisation (Householder's, float64) serves every fit on some of these
photos: the search, all strengths, shuffled labels, parts of the train photos. It is chosen so that photo i has i + 2
coordinates that are not zero: a pass over the rows costs less than half of one over as many full ones.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import threads_of_work
from benchmark.probe.problem import LabelledSplits
from benchmark.probe.solver.design import TURNED_ROWS, Frame, design
from benchmark.probe.solver.products import in_one
from benchmark.probe.solver.rows import Rows, normalised, picked

FITS = 20
"""Full fits of a labelled probe on one view of its photos, the mean of three: ten of the search and the refit, in one
view as much again thrice (curve, spread; a hundred fits of shuffled labels, of six passes each)."""

PRODUCTS = 50
"""Passes of a fit over its rows (756 photos, 1280 dimensions: 50 to 120 in a search, 15 to 50 in a refit)."""

DEARER = 2
"""A multiply-add of the factorisation, in float64, takes as long as two of a pass."""


def is_worthwhile(n: int, dimension: int, tested: int, n_classes: int) -> bool:
    """Whether a labelled probe saves more than turning its n train and validation photos, and ``tested`` ones, takes.

    >>> is_worthwhile(918, 1280, 459, 27), is_worthwhile(918, 1280, 100_000, 27), is_worthwhile(1100, 1280, 550, 2)
    (True, False, False)
    """
    if not TURNED_ROWS < n < dimension:
        return False
    work = n * n * (dimension - n / 3) + tested * n * (2 * dimension - n)
    saved = (2 * dimension - n) * n * n_classes * FITS * PRODUCTS
    return saved > DEARER * work


class Projected(NamedTuple):
    """Embeddings in n + 2 coordinates, for n photos that are learnt from."""

    learnt: np.ndarray
    """float32 [n, n + 2]."""
    tested: np.ndarray
    """float32 [m, n + 2]."""
    frame: Frame


def project(splits: LabelledSplits) -> LabelledSplits:
    """The same splits in n + 2 coordinates, for n train and validation photos together (n < d); see ``turned_rows``.

    Raises:
        DataError: an embedding is not finite.

    >>> rng = np.random.default_rng(0)
    >>> splits = LabelledSplits(rng.normal(size=(4, 9)), range(4), None, None, rng.normal(size=(2, 9)), [0, 1], 4)
    >>> (np.abs(project(splits).train_x) > 1e-6).astype(int).tolist()
    [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    """
    parts = [splits.train_x] if splits.val_x is None else [splits.train_x, splits.val_x]
    found = turned_rows(in_one([all_rows(part) for part in parts]), all_rows(splits.test_x))
    train = splits.train_x.shape[0]
    return replace(
        splits,
        train_x=found.learnt[:train],
        val_x=None if splits.val_x is None else found.learnt[train:],
        test_x=found.tested,
        frame=found.frame,
    )


def turned_rows(rows: Tensor, tested: Tensor) -> Projected:
    """Embeddings turned into the span of those that are learnt from.

    Coordinates from the last to the first: along the mean of these, along what photo 0 adds to it, photo 1 to both, and
    so on; before them what is left of a test photo, so that all keep their length.

    Args:
        rows: float64 [n, d], n < d.
        tested: float64 [m, d].
    """
    n, dimension = rows.shape
    with threads_of_work(n * dimension):
        columns = torch.cat([rows.mean(0, keepdim=True), rows]).mT.contiguous()
        reflectors, factors = torch.geqrf(columns)
        spanned = reflectors[: n + 1].triu()
        along = torch.ormqr(reflectors, factors, tested.mT, transpose=True)
        learnt = _from_the_last(spanned[:, 1:], torch.zeros(n, dtype=torch.float64))
        others = _from_the_last(along[: n + 1], torch.linalg.vector_norm(along[n + 1 :], dim=0))
    return Projected(learnt, others, _frame(learnt, float(spanned[0, 0])))


def all_rows(rows: Rows) -> Tensor:
    """float64 [n, d], of unit length or zero.

    Raises:
        DataError: an embedding is not finite.
    """
    count, dimension = (int(side) for side in rows.shape)
    if not count:
        return torch.zeros((0, dimension), dtype=torch.float64)
    with threads_of_work(count * dimension):
        return torch.from_numpy(normalised(picked(rows, np.arange(count)))).to(torch.float64)


def _from_the_last(coordinates: Tensor, left: Tensor) -> np.ndarray:
    """float32 [n, k + 1] of coordinates [k, n] and, before them, what is left [n]."""
    return torch.cat([left[None], coordinates.flip(0)]).mT.to(torch.float32).contiguous().numpy()


def _frame(rows: np.ndarray, mean: float) -> Frame:
    """What all training sets of these rows are told: their centre lies along one coordinate, which spares the zeros."""
    n, dimension = rows.shape
    centre = torch.zeros(dimension, dtype=torch.float64)
    centre[-1] = mean
    whole = torch.from_numpy(rows)[None]
    features = design(
        lambda start, stop: whole[:, start:stop],
        1,
        n,
        dimension,
        device=centre.device,
        memory_bytes=8 * rows.nbytes,
        dtype=torch.float32,
        frame=Frame(centre, None),
    )
    return Frame(centre, None if features.basis is not None else features.axes)


SHARE = 3 / 4
"""Of the photos that all probes learn from, what a probe has at least to learn among them. Of 918, a probe of 306 took
five times as long as alone, of 612 half as long again (processor time of its fits, one run each on a busy machine)."""


class SharedRows:
    """Embeddings of which each probe has some.

    Rows keep the zeros of turned ones where a probe has not all of them. Photos that come first in ``order`` have most:
    those that searches learn from should.

    Args:
        learnt: [n, d], all that any of the probes learns from.
        tested: [m, d], all that any is tested on.
        order: int64 [n], the learnt photos as they are turned one after the other.
        n_classes: of all probes together.

    >>> rng = np.random.default_rng(0)
    >>> together = SharedRows(rng.normal(size=(4, 9)), rng.normal(size=(2, 9)), np.array([3, 1, 0, 2]), 4)
    >>> (np.abs(together.turned().learnt) > 1e-6).sum(axis=1).tolist()
    [4, 3, 4, 2]
    """

    def __init__(self, learnt: Rows, tested: Rows, order: np.ndarray, n_classes: int) -> None:
        self._learnt, self._tested, self._order, self._n_classes = learnt, tested, order, n_classes
        self._lock = threading.Lock()
        self._turned: Projected | None = None

    @property
    def values(self) -> int:
        """Of the embeddings that are learnt from."""
        n, dimension = self._learnt.shape
        return int(n * dimension)

    def pays(self, count: int) -> bool:
        """Whether a probe of so many of the photos learns among all of them, and all probes save more than it takes."""
        n, dimension = (int(side) for side in self._learnt.shape)
        return count >= SHARE * n and is_worthwhile(n, dimension, int(self._tested.shape[0]), self._n_classes)

    def turned(self) -> Projected:
        """Rows in the order they were given in. The first who asks makes them, others wait.

        Raises:
            DataError: an embedding is not finite.
        """
        with self._lock:
            if self._turned is None:
                found = turned_rows(all_rows(self._learnt)[self._order], all_rows(self._tested))
                learnt = np.empty_like(found.learnt)
                learnt[self._order] = found.learnt
                self._turned = found._replace(learnt=learnt)
            return self._turned


class Among(NamedTuple):
    """Where the photos of a probe are among those of several."""

    of: SharedRows
    learnt: np.ndarray
    """int64 [n + m], train photos and, after them, validation photos."""
    tested: np.ndarray
    """int64 [test photos]."""


@dataclass(frozen=True, eq=False)
class SharedSplits:
    """Splits whose photos other probes learn from too: they may be turned with the photos of all probes."""

    splits: LabelledSplits
    among: Among


def project_shared(shared: SharedSplits) -> LabelledSplits:
    """The same splits, their photos turned with those of other probes."""
    splits, (of, learnt, tested) = shared.splits, shared.among
    found = of.turned()
    train = splits.train_x.shape[0]
    return replace(
        splits,
        train_x=found.learnt[learnt[:train]],
        val_x=None if splits.val_x is None else found.learnt[learnt[train:]],
        test_x=found.tested[tested],
        frame=found.frame,
    )
