"""First and second moments of labelled embeddings, summed batch by batch, from which closed-form erasers follow.

The sums are one d x d matrix and one row per class, for any number of embeddings. They are those of one-hot labels: the
column of a class is the sum of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import exact_device
from builders.errors import DataError

BATCH_BYTES = 32 << 20
"""Bytes of the float32 rows of a batch."""


class Rows(Protocol):
    """Embeddings [n, d]: an array, a memory map, or an object that reads rows when it is sliced or indexed."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Any) -> Any: ...


class Batch(NamedTuple):
    """Embeddings of some photos in all of their views."""

    rows: np.ndarray
    """float32 [m, d]."""
    labels: np.ndarray
    """int64 [m], the class of the trace."""
    preserved: np.ndarray | None
    """int64 [m], the class that must stay readable; None if there is none."""


@dataclass(frozen=True, eq=False)
class Source:
    """Labelled embeddings of n photos in V views. A matrix of embeddings is one view."""

    views: Sequence[Rows]
    """V arrays [n, d]."""
    labels: np.ndarray
    """int [V, n], the class of the trace of each view of each photo."""
    n_classes: int
    preserved: np.ndarray | None = None
    """int [n], the class of each photo that must stay readable; None if there is none."""
    n_preserved: int = 0
    unit_rows: bool = False
    """Whether rows are scaled to unit length when they are read."""

    def __post_init__(self) -> None:
        shapes = {tuple(int(side) for side in view.shape) for view in self.views}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"views must be [n, d] and alike, not {sorted(shapes)}")
        n = shapes.pop()[0]
        if np.shape(self.labels) != (len(self.views), n):
            raise ValueError(f"labels of shape {np.shape(self.labels)} for {len(self.views)} views of {n} photos")
        for name, values, count in (
            ("labels", self.labels, self.n_classes),
            ("preserved", self.preserved, self.n_preserved),
        ):
            if values is not None and np.size(values) and not 0 <= np.min(values) <= np.max(values) < count:
                raise ValueError(f"{name} hold a class outside 0..{count - 1}")

    @property
    def photos(self) -> int:
        """Number of photos."""
        return int(self.views[0].shape[0])

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return int(self.views[0].shape[1])

    def batches(self, seed: int | None = None, rows: int | None = None) -> Iterator[Batch]:
        """Batches that contain every view of every photo once; the views of a photo are in one batch.

        Args:
            seed: of a random order of photos; by default they keep their order.
            rows: of a batch, about; by default ``BATCH_BYTES``.

        Raises:
            DataError: an embedding is not finite.
        """
        batch_rows = rows or BATCH_BYTES // (4 * max(1, self.dimension))
        step = max(1, batch_rows // len(self.views))
        order = np.arange(self.photos) if seed is None else np.random.default_rng(seed).permutation(self.photos)
        for start in range(0, self.photos, step):
            photos = order[start : start + step] if seed is None else np.sort(order[start : start + step])
            at: Any = slice(start, start + len(photos)) if seed is None else photos
            x = np.concatenate([np.asarray(view[at], dtype=np.float32) for view in self.views])
            if not np.isfinite(x).all():
                raise DataError("an embedding holds a value that is not finite: embed the photos again")
            preserved = None if self.preserved is None else np.tile(np.asarray(self.preserved)[photos], len(self.views))
            yield Batch(unit_length(x) if self.unit_rows else x, np.asarray(self.labels)[:, photos].ravel(), preserved)


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Rows scaled to unit Euclidean length, as float32; a zero row stays zero.

    >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    wide = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    return (wide / np.where(length > 0, length, 1)).astype(np.float32)


class Moments:
    """Moments of labelled embeddings in float64 on a device.

    Sums are taken about the mean of the first batch, so that a large mean costs no digits.

    >>> rng = np.random.default_rng(0)
    >>> x, z = rng.normal(size=(100, 3)), rng.integers(0, 2, 100)
    >>> moments = Moments(3, 2)
    >>> for start in range(0, 100, 30):
    ...     moments.update(x[start : start + 30], z[start : start + 30])
    >>> np.allclose(moments.covariance.numpy(), np.cov(x.T)), moments.n
    (True, 100)
    """

    def __init__(
        self, dimension: int, n_classes: int, n_preserved: int = 0, *, device: str | torch.device = "cpu"
    ) -> None:
        exact = exact_device(device)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=exact)

        self.device = exact
        self.n = 0
        """Number of rows."""
        self._shift: Tensor | None = None
        self._scatter = zeros(dimension, dimension)
        self._sums, self._squares, self.counts = (
            zeros(n_classes, dimension),
            zeros(n_classes, dimension),
            zeros(n_classes),
        )
        self._preserved_sums, self._preserved_counts = zeros(n_preserved, dimension), zeros(n_preserved)

    def update(self, rows: np.ndarray, labels: np.ndarray, preserved: np.ndarray | None = None) -> None:
        """Add embeddings.

        Args:
            rows: [m, d].
            labels: int [m], the class of the trace.
            preserved: int [m], the class that must stay readable; None if there is none.
        """
        if "mean" in self.__dict__:
            raise ValueError("these moments were read already: add all rows before the first fit")
        x = torch.as_tensor(np.asarray(rows)).to(self.device, torch.float64)
        if self._shift is None:
            self._shift = x.mean(0)
        x = x - self._shift
        z = torch.as_tensor(np.asarray(labels, dtype=np.int64), device=self.device)
        self._scatter.addmm_(x.mT, x)
        self._sums.index_add_(0, z, x)
        self._squares.index_add_(0, z, x.square())
        self.counts += torch.bincount(z, minlength=len(self.counts))
        if preserved is not None:
            y = torch.as_tensor(np.asarray(preserved, dtype=np.int64), device=self.device)
            self._preserved_sums.index_add_(0, y, x)
            self._preserved_counts += torch.bincount(y, minlength=len(self._preserved_counts))
        self.n += len(x)

    @cached_property
    def mean(self) -> Tensor:
        """float64 [d], mean of all rows."""
        return self._origin() + self._sums.sum(0) / self.n

    @cached_property
    def covariance(self) -> Tensor:
        """float64 [d, d], covariance of the rows, with divisor n - 1."""
        centre = self._sums.sum(0) / self.n
        covariance = (self._scatter - self.n * torch.outer(centre, centre)) / (self.n - 1)
        return (covariance + covariance.mT) / 2

    @cached_property
    def cross(self) -> Tensor:
        """float64 [d, C], covariance of the rows with the one-hot label, with divisor n - 1."""
        return self._cross(self._sums, self.counts)

    @cached_property
    def preserved_cross(self) -> Tensor:
        """float64 [d, K], covariance of the rows with the one-hot class that must stay readable."""
        return self._cross(self._preserved_sums, self._preserved_counts)

    @cached_property
    def class_means(self) -> Tensor:
        """float64 [C, d], mean of each class; for a class without rows, the mean of all rows."""
        means = self._sums / self.counts.clamp(min=1)[:, None]
        return self._origin() + torch.where(self.counts[:, None] > 0, means, self._sums.sum(0) / self.n)

    @cached_property
    def class_deviations(self) -> Tensor:
        """float64 [C, d], population standard deviations of each class; for a class without rows, those of all rows."""
        counts = self.counts.clamp(min=1)[:, None]
        deviations = (self._squares / counts - (self._sums / counts).square()).clamp(min=0).sqrt()
        return torch.where(self.counts[:, None] > 0, deviations, self.deviations)

    @cached_property
    def deviations(self) -> Tensor:
        """float64 [d], population standard deviations of all rows."""
        centre = self._sums.sum(0) / self.n
        return (self._squares.sum(0) / self.n - centre.square()).clamp(min=0).sqrt()

    @property
    def classes_present(self) -> int:
        """Number of classes with rows."""
        return int((self.counts > 0).sum())

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return len(self._scatter)

    def _origin(self) -> Tensor:
        """The vector that was subtracted from all rows; checks that there are enough rows."""
        if self.n < 2 or self._shift is None:
            raise DataError(f"{self.n} embeddings: an eraser is fitted on two or more")
        return self._shift

    def _cross(self, sums: Tensor, counts: Tensor) -> Tensor:
        self._origin()
        centre = self._sums.sum(0) / self.n
        return (sums - counts[:, None] * centre).mT / (self.n - 1)
