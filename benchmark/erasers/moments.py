"""First and second moments of labelled embeddings, summed batch by batch: all that a closed-form eraser needs.

A fit keeps one d x d matrix and a row for each class, however many rows it has seen. Integer labels become one-hot
columns by construction: a class's column is the sum of its rows.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import exact_device
from builders.errors import DataError


class Moments:
    """Sums in float64 on a device, about the mean of the first batch, so that no digits are lost to a far origin.

    >>> rng = np.random.default_rng(0)
    >>> x, z = rng.normal(size=(100, 3)), rng.integers(0, 2, 100)
    >>> found = Moments(3, 2)
    >>> for start in range(0, 100, 30):
    ...     found.update(x[start : start + 30], z[start : start + 30])
    >>> np.allclose(found.covariance.numpy(), np.cov(x.T)), found.n
    (True, 100)
    """

    def __init__(self, dimension: int, n_classes: int, n_kept: int = 0, *, device: str | torch.device = "cpu") -> None:
        where = exact_device(device)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=where)

        self.device = where
        self.n = 0
        """Rows seen."""
        self._shift: Tensor | None = None
        self._scatter = zeros(dimension, dimension)
        self._sums, self._squares, self.counts = (
            zeros(n_classes, dimension),
            zeros(n_classes, dimension),
            zeros(n_classes),
        )
        self._kept_sums, self._kept_counts = zeros(n_kept, dimension), zeros(n_kept)

    def update(self, rows: np.ndarray, labels: np.ndarray, kept: np.ndarray | None = None) -> None:
        """Add rows [m, d] with int labels [m] and, where they are kept, int classes [m]."""
        if "mean" in self.__dict__:
            raise ValueError("these moments were read already: fit once all rows are there")
        x = torch.as_tensor(np.asarray(rows)).to(self.device, torch.float64)
        if self._shift is None:
            self._shift = x.mean(0)
        x = x - self._shift
        z = torch.as_tensor(np.asarray(labels, dtype=np.int64), device=self.device)
        self._scatter.addmm_(x.mT, x)
        self._sums.index_add_(0, z, x)
        self._squares.index_add_(0, z, x.square())
        self.counts += torch.bincount(z, minlength=len(self.counts))
        if kept is not None:
            y = torch.as_tensor(np.asarray(kept, dtype=np.int64), device=self.device)
            self._kept_sums.index_add_(0, y, x)
            self._kept_counts += torch.bincount(y, minlength=len(self._kept_counts))
        self.n += len(x)

    @cached_property
    def mean(self) -> Tensor:
        """float64 [d]."""
        return self._about() + self._sums.sum(0) / self.n

    @cached_property
    def covariance(self) -> Tensor:
        """float64 [d, d], over n - 1."""
        centre = self._sums.sum(0) / self.n
        found = (self._scatter - self.n * torch.outer(centre, centre)) / (self.n - 1)
        return (found + found.mT) / 2

    @cached_property
    def cross(self) -> Tensor:
        """float64 [d, C]: covariance of the rows with the one-hot label, over n - 1."""
        return self._cross(self._sums, self.counts)

    @cached_property
    def kept_cross(self) -> Tensor:
        """float64 [d, K]: the same with the class that is kept."""
        return self._cross(self._kept_sums, self._kept_counts)

    @cached_property
    def class_means(self) -> Tensor:
        """float64 [C, d]; of a class without a row the mean of all."""
        own = self._sums / self.counts.clamp(min=1)[:, None]
        return self._about() + torch.where(self.counts[:, None] > 0, own, self._sums.sum(0) / self.n)

    @cached_property
    def class_deviations(self) -> Tensor:
        """float64 [C, d], population standard deviations; of a class without a row those of all rows."""
        counts = self.counts.clamp(min=1)[:, None]
        own = (self._squares / counts - (self._sums / counts).square()).clamp(min=0).sqrt()
        return torch.where(self.counts[:, None] > 0, own, self.deviations)

    @cached_property
    def deviations(self) -> Tensor:
        """float64 [d], population standard deviations of all rows."""
        centre = self._sums.sum(0) / self.n
        return (self._squares.sum(0) / self.n - centre.square()).clamp(min=0).sqrt()

    @property
    def classes_present(self) -> int:
        return int((self.counts > 0).sum())

    @property
    def dimension(self) -> int:
        return len(self._scatter)

    def _about(self) -> Tensor:
        if self.n < 2 or self._shift is None:
            raise DataError(f"{self.n} embeddings: an eraser is fitted on two or more")
        return self._shift

    def _cross(self, sums: Tensor, counts: Tensor) -> Tensor:
        self._about()
        centre = self._sums.sum(0) / self.n
        return (sums - counts[:, None] * centre).mT / (self.n - 1)
