"""Projection of embeddings onto the span of a probe's training photos, if these are fewer than dimensions.

A penalised linear probe has zero weights in directions in which all its training photos are zero, and its predictions
do not depend on the orthonormal axes of the others. One factorisation (Householder's, float64) serves every fit on some
of these photos: the search, all strengths, shuffled labels, parts of the train photos. The axes are chosen so that
photo i has i + 2 coordinates that are not zero: a pass over the rows costs less than half of one over full rows.
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
from benchmark.probe.solver.design import PROJECTED_ROWS, Frame, design
from benchmark.probe.solver.products import in_one
from benchmark.probe.solver.rows import AsGiven, Rows, features, is_as_given, picked

FITS = 20
"""Number of full fits of a labelled probe on one view of its photos, the mean of three views: ten of the search and the
refit; one view has three times as many more (curve; spread; a hundred fits of shuffled labels, of six passes each)."""

PRODUCTS = 50
"""Number of passes of a fit over its rows (756 photos, 1280 dimensions: 50 to 120 in a search, 15 to 50 in a refit)."""

DEARER = 2
"""Time of a multiply-add of the factorisation, in float64, in units of that of a pass."""


def is_worthwhile(n: int, dimension: int, tested: int, n_classes: int) -> bool:
    """Whether a labelled probe saves more time than a projection of n train and val and ``tested`` test photos costs.

    >>> is_worthwhile(918, 1280, 459, 27), is_worthwhile(918, 1280, 100_000, 27), is_worthwhile(1100, 1280, 550, 2)
    (True, False, False)
    """
    if not PROJECTED_ROWS < n < dimension:
        return False
    work = n * n * (dimension - n / 3) + tested * n * (2 * dimension - n)
    saved = (2 * dimension - n) * n * n_classes * FITS * PRODUCTS
    return saved > DEARER * work


class Projected(NamedTuple):
    """Embeddings in n + 2 coordinates, for n training photos."""

    train: np.ndarray
    """float32 [n, n + 2]."""
    test: np.ndarray
    """float32 [m, n + 2]."""
    frame: Frame
    """Centre and axes that training sets of these rows share."""


def project(splits: LabelledSplits) -> LabelledSplits:
    """The same splits in n + 2 coordinates, for n train and val photos together (n < d); see ``_project_rows``.

    Raises:
        DataError: an embedding is not finite.

    >>> rng = np.random.default_rng(0)
    >>> splits = LabelledSplits(rng.normal(size=(4, 9)), range(4), None, None, rng.normal(size=(2, 9)), [0, 1], 4)
    >>> (np.abs(project(splits).train_x) > 1e-6).astype(int).tolist()
    [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]
    """
    parts = [splits.train_x] if splits.val_x is None else [splits.train_x, splits.val_x]
    projected = _project_rows(in_one([all_rows(part) for part in parts]), all_rows(splits.test_x))
    train = splits.train_x.shape[0]
    rows = np.arange(len(projected.train))
    return _in_coordinates(splits, projected, rows[:train], rows[train:], np.arange(len(projected.test)))


def _in_coordinates(
    splits: LabelledSplits, projected: Projected, train: np.ndarray, val: np.ndarray, test: np.ndarray
) -> LabelledSplits:
    """The splits with some of the projected rows, which are as given exactly if the splits' own are."""
    parts: list[Rows] = [projected.train[train], projected.train[val], projected.test[test]]
    if is_as_given(splits.train_x):
        parts = [AsGiven(np.asarray(part)) for part in parts]
    return replace(
        splits,
        train_x=parts[0],
        val_x=None if splits.val_x is None else parts[1],
        test_x=parts[2],
        frame=projected.frame,
    )


def _project_rows(rows: Tensor, tested: Tensor) -> Projected:
    """Project embeddings onto the span of the training photos.

    Coordinates from the last to the first: along the mean of these, along what photo 0 adds to it, what photo 1 adds to
    both, and so on. The first coordinate is the length of a test photo outside the span, so that all lengths stay.

    Args:
        rows: float64 [n, d], n < d, the training photos.
        tested: float64 [m, d], the test photos.
    """
    n, dimension = rows.shape
    with threads_of_work(n * dimension):
        columns = torch.cat([rows.mean(0, keepdim=True), rows]).mT.contiguous()
        reflectors, factors = torch.geqrf(columns)
        triangle = reflectors[: n + 1].triu()
        coordinates = torch.ormqr(reflectors, factors, tested.mT, transpose=True)
        train = _reversed(triangle[:, 1:], torch.zeros(n, dtype=torch.float64))
        test = _reversed(coordinates[: n + 1], torch.linalg.vector_norm(coordinates[n + 1 :], dim=0))
    return Projected(train, test, _frame(train, float(triangle[0, 0])))


def all_rows(rows: Rows) -> Tensor:
    """Features of all rows of a bank: float64 [n, d].

    Raises:
        DataError: an embedding is not finite.
    """
    count, dimension = (int(side) for side in rows.shape)
    if not count:
        return torch.zeros((0, dimension), dtype=torch.float64)
    with threads_of_work(count * dimension):
        return torch.from_numpy(features(rows, picked(rows, np.arange(count)))).to(torch.float64)


def _reversed(coordinates: Tensor, outside: Tensor) -> np.ndarray:
    """float32 [n, k + 1]: the lengths [n] outside the span, then the coordinates [k, n] in reverse order."""
    return torch.cat([outside[None], coordinates.flip(0)]).mT.to(torch.float32).contiguous().numpy()


def _frame(rows: np.ndarray, mean: float) -> Frame:
    """Frame of all training sets of these rows: a centre along one coordinate, so that zeros stay zeros."""
    n, dimension = rows.shape
    centre = torch.zeros(dimension, dtype=torch.float64)
    centre[-1] = mean
    stack = torch.from_numpy(rows)[None]
    features = design(
        lambda start, stop: stack[:, start:stop],
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
"""Least share of the training photos of all probes that a probe must have to be projected together with them. Among
918 photos, a probe of 306 took five times as long as by itself, one of 612 half as long again (processor time of its
fits, one run each on a busy machine)."""


class SharedRows:
    """Embeddings that several probes share, projected once for all of them.

    A probe that has only some of the photos keeps the zeros of their projected rows. Photos that come first in
    ``order`` have most zeros: the training photos of searches should come first.

    Args:
        train: [n, d], all training photos of any of the probes.
        test: [m, d], all test photos of any of the probes.
        order: int64 [n], training photos in the order of their projection.
        n_classes: number of classes of all probes together.

    >>> rng = np.random.default_rng(0)
    >>> shared = SharedRows(rng.normal(size=(4, 9)), rng.normal(size=(2, 9)), np.array([3, 1, 0, 2]), 4)
    >>> (np.abs(shared.projected().train) > 1e-6).sum(axis=1).tolist()
    [4, 3, 4, 2]
    """

    def __init__(self, train: Rows, test: Rows, order: np.ndarray, n_classes: int) -> None:
        self._train, self._test, self._order, self._n_classes = train, test, order, n_classes
        self._lock = threading.Lock()
        self._projected: Projected | None = None

    @property
    def values(self) -> int:
        """Number of values in the embeddings of the training photos."""
        n, dimension = self._train.shape
        return int(n * dimension)

    def is_worthwhile(self, count: int) -> bool:
        """Whether a probe of ``count`` training photos should use these rows.

        It must have most of the photos, and all probes together must save more time than the projection costs.
        """
        n, dimension = (int(side) for side in self._train.shape)
        return count >= SHARE * n and is_worthwhile(n, dimension, int(self._test.shape[0]), self._n_classes)

    def projected(self) -> Projected:
        """The projected rows, in the order of ``train`` and ``test``. Computed by the first call; other threads wait.

        Raises:
            DataError: an embedding is not finite.
        """
        with self._lock:
            if self._projected is None:
                ordered = _project_rows(all_rows(self._train)[self._order], all_rows(self._test))
                train = np.empty_like(ordered.train)
                train[self._order] = ordered.train
                self._projected = ordered._replace(train=train)
            return self._projected


class Among(NamedTuple):
    """Positions of a probe's photos among those of several probes."""

    shared: SharedRows
    train_rows: np.ndarray
    """int64 [n + m], train photos, then val photos."""
    test_rows: np.ndarray
    """int64 [test photos]."""


@dataclass(frozen=True, eq=False)
class SharedSplits:
    """Splits that share photos with other probes, and may be projected together with the photos of all of them."""

    splits: LabelledSplits
    among: Among


def project_shared(shared: SharedSplits) -> LabelledSplits:
    """The same splits, projected together with the photos of other probes."""
    splits, (rows, train_rows, test_rows) = shared.splits, shared.among
    projected = rows.projected()
    train = splits.train_x.shape[0]
    return _in_coordinates(splits, projected, train_rows[:train], train_rows[train:], test_rows)
