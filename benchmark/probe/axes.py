"""Principal axes of training sets, by which the solver of probes is preconditioned."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from benchmark.compute import side_by_side, threads_of_work
from benchmark.probe.products import ONCE, in_one, of_each, product

if TYPE_CHECKING:
    from benchmark.probe.design import Design

PRINCIPAL_AXES = 64
"""Principal axes found of a training set that is not rotated."""

SUBSPACE_PASSES = 3
"""Passes over the rows to find them."""


class Axes(NamedTuple):
    """Principal axes of each training set's features, which precondition the solver."""

    vectors: Tensor | None
    """float64 [G, d, k], orthonormal. ``None``: the features' own coordinates are the axes."""
    variances: Tensor
    """float64 [G, k], or [G, r]."""
    rest: Tensor
    """float64 [G], mean variance in the directions outside the k axes."""

    def of_first(self) -> Axes:
        """Those of the first training set alone."""
        return Axes(None if self.vectors is None else self.vectors[:1], self.variances[:1], self.rest[:1])

    def of_each(self, groups: int) -> Axes:
        """Those of one training set, for so many."""
        vectors = None if self.vectors is None else self.vectors.expand(groups, -1, -1)
        return Axes(vectors, self.variances.expand(groups, -1), self.rest.expand(groups))


def principal_axes(features: Design, count: int) -> Axes:
    """Leading eigenvectors of each training set's covariance by subspace iteration.

    They only precondition: close is enough, and the same random start makes it repeatable. (Halko, Martinsson and
    Tropp, SIAM Review 53, 2011.)
    """
    groups, threads = len(features.mean), torch.get_num_threads()
    if groups == 1 or features.mean.device.type != "cpu" or features.resident is None:
        return _principal_axes(features, count)
    # a set at a time, whatever the threads: bits do not depend on them
    each, work = [features.alone(g) for g in range(groups)], functools.partial(_principal_axes, count=count)
    beside = groups >= threads or len(each[0].pieces) == 1  # else their blocks go side by side
    found = side_by_side(work, each) if beside else [work(one) for one in each]
    return Axes(
        in_one([axes.vectors for axes in found if axes.vectors is not None]),
        in_one([axes.variances for axes in found]),
        in_one([axes.rest for axes in found]),
    )


def _principal_axes(features: Design, count: int) -> Axes:
    groups, dimension = features.mean.shape
    generator = torch.Generator().manual_seed(0)
    with threads_of_work(dimension * count):
        start = torch.randn((dimension, count), generator=generator, dtype=torch.float64).to(features.mean.device)
    image = start.expand(groups, -1, -1)
    pass_work = 2 * groups * features.n * dimension * count
    if len(features.pieces) == 1:  # none goes side by side
        pass_work //= ONCE
    for _ in range(SUBSPACE_PASSES):
        (vectors,) = of_each(lambda image: (torch.linalg.qr(image).Q,), 2 * image.numel() * count, image)
        with threads_of_work(vectors.numel()):
            image, total = torch.zeros_like(vectors), torch.zeros_like(features.mean[:, 0])
            work = functools.partial(_add_image, vectors.to(features.dtype))
        with threads_of_work(pass_work):
            features.add_up(work, image, total)
    with threads_of_work(2 * image.numel() * count):
        inner = torch.bmm(vectors.mT, image) / features.n
        variances, turn = torch.linalg.eigh((inner + inner.mT) / 2)
        variances = variances.clamp_min(0)
        outside = max(min(features.n - 1, dimension) - count, 1)
        rest = (total / features.n - variances.sum(1)).clamp_min(0) / outside
        return Axes(torch.bmm(vectors, turn), variances, rest)


def _add_image(vectors: Tensor, rows: slice, block: Tensor, image: Tensor, total: Tensor) -> None:
    """Of a block: features.T @ features @ vectors, and the sum of the squared features of each training set."""
    image += product(block.mT, product(block, vectors))
    total += torch.linalg.vector_norm(block, dim=(1, 2)).to(torch.float64).square()
