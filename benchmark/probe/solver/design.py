"""The design matrices of training sets: centred features within a memory bound, and the principal axes of each.

A small training set is rotated to its own axes, which are then all of its features; of a large one the leading axes are
found, to precondition the solver.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import parallel_map, threads_of_work, uploaded
from benchmark.probe.solver.products import ONCE, in_one, of_each, product
from benchmark.probe.solver.rows import GATHER_BYTES, RowSource

BLOCK_BYTES = 4 << 20
"""Rows are worked on in blocks of about this size: both products of a pass then read a block from cache."""

WAVE = 8
"""Blocks of each thread whose sums are held at a time."""

STACK_BYTES = 256 << 20
"""Training sets are solved in one stack up to this size together; larger ones fill the machine one by one."""

REDUCED_ROWS = 512
"""Training sets of fewer rows than dimensions are rotated up to so many rows; beyond, eigenvalues cost too much."""

TURNED_ROWS = 128
"""The same where they are turned already, half of their values zeros and their axes known (128, 256 and 384 took the
same time in the probes of ``simcams``, none 4 % more)."""

FLOAT64_ELEMENTS = 1 << 19
"""Fits of up to so many feature values run in float64 throughout; larger ones use float32 products."""

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


class Basis(NamedTuple):
    """Orthonormal columns ``rows.T @ combination``, in factors because that is cheaper."""

    rows: Tensor
    """[G, n, d], the centred rows."""
    combination: Tensor
    """float64 [G, n, r]."""

    def to_embedding(self, weights: Tensor) -> Tensor:
        """Weights [G, L, r, C] of rotated features -> [G, L, d, C] of embeddings."""
        return of_each(_to_embedding, self._work(weights), *self, weights)[0]

    def from_embedding(self, weights: Tensor) -> Tensor:
        """Weights [G, L, d, C] of embeddings -> [G, L, r, C] of rotated features: the inverse on the span."""
        return of_each(_from_embedding, self._work(weights), *self, weights)[0]

    def _work(self, weights: Tensor) -> int:
        return weights[..., 0, :].numel() * self.rows.shape[1] * (self.rows.shape[2] + self.combination.shape[2])


class Frame(NamedTuple):
    """What is known of the rows of training sets beforehand, see ``turned``."""

    centre: Tensor
    """float64 [d], near the mean of their rows."""
    axes: Axes | None
    """Of one training set that has all their photos; None if they are to be found."""


@dataclass(frozen=True)
class Design:
    """G training sets of n rows as a solver reads them: centred, and rotated to n dimensions where n is small.

    Centring changes no optimum, because the bias is free to absorb it; nor does the rotation, because it keeps every
    length and no weight outside the span of the rows can lower a loss with an L2 penalty.
    """

    n: int
    mean: Tensor
    """float64 [G, d], the subtracted mean."""
    basis: Basis | None
    """``None``: not reduced."""
    axes: Axes
    resident: Tensor | None
    """[G, n, r] in the product type, or ``None``: rows are gathered anew in every pass."""
    source: RowSource
    dtype: torch.dtype

    @property
    def dimension(self) -> int:
        """r: number of features the solver sees."""
        if self.axes.vectors is not None:
            return int(self.axes.vectors.shape[1])
        return int(self.axes.variances.shape[1])

    @property
    def block_rows(self) -> int:
        """Rows of a block, n at most."""
        step = max(1, BLOCK_BYTES // (self.dimension * self.dtype.itemsize * len(self.mean)))
        if self.mean.device.type != "cpu":
            step *= 64  # an accelerator wants fewer, larger products
        return min(self.n, step)

    @property
    def pieces(self) -> list[slice]:
        """The rows of each block, in order."""
        step = self.block_rows
        return [slice(start, min(start + step, self.n)) for start in range(0, self.n, step)]

    def block(self, rows: slice) -> Tensor:
        """Features [G, m, r] of some rows."""
        if self.resident is not None:
            return self.resident[:, rows]
        block = uploaded(self.source(rows.start, rows.stop), self.mean.device).to(self.dtype)
        return block - self.mean[:, None].to(self.dtype)

    def add_up(self, work: Callable[..., None], *totals: Tensor) -> None:
        """``work(rows, features [G, m, r], *sums)`` on every block of rows; ``totals`` grow by its sums.

        On a CPU as many blocks at a time as torch has threads, each on one of them. Sums of blocks are added in the
        order of the blocks, so that bits do not depend on how many threads there are.
        """
        pieces, threads = self.pieces, torch.get_num_threads()
        if self.mean.device.type != "cpu" or min(threads, len(pieces)) == 1:
            for rows in pieces:
                work(rows, self.block(rows), *totals)
            return

        def one(rows: slice) -> list[Tensor]:
            sums = [torch.zeros_like(total) for total in totals]
            work(rows, self.block(rows), *sums)
            return sums

        for wave in range(0, len(pieces), WAVE * threads):
            found = parallel_map(one, pieces[wave : wave + WAVE * threads])
            with threads_of_work(sum(total.numel() for total in totals)):
                for sums in found:
                    for total, part in zip(totals, sums, strict=True):
                        total += part

    def narrowed(self, members: Tensor) -> Design:
        """The training sets ``members`` alone (a copy of their features); only of a resident design."""
        if len(members) == len(self.mean):
            return self
        assert self.resident is not None
        return replace(
            self,
            mean=self.mean[members],
            basis=None if self.basis is None else Basis(self.basis.rows[members], self.basis.combination[members]),
            axes=Axes(
                None if self.axes.vectors is None else self.axes.vectors[members],
                self.axes.variances[members],
                self.axes.rest[members],
            ),
            resident=self.resident[members],
        )

    def alone(self, group: int) -> Design:
        """One training set, without a copy; only of a resident design that is not rotated."""
        assert self.resident is not None
        assert self.basis is None
        one, axes = slice(group, group + 1), self.axes
        vectors = None if axes.vectors is None else axes.vectors[one]
        return replace(
            self,
            mean=self.mean[one],
            axes=Axes(vectors, axes.variances[one], axes.rest[one]),
            resident=self.resident[one],
        )

    def part(self, groups: slice, rows: np.ndarray) -> Design:
        """Some rows of some training sets in the coordinates of all, axes that precondition included; resident."""
        assert self.resident is not None
        basis, axes = self.basis, self.axes
        vectors = None if axes.vectors is None else axes.vectors[groups]
        return replace(
            self,
            n=len(rows),
            mean=self.mean[groups],
            basis=None if basis is None else Basis(basis.rows[groups], basis.combination[groups]),
            axes=Axes(vectors, axes.variances[groups], axes.rest[groups]),
            resident=self.resident[groups][:, torch.from_numpy(rows)],
        )

    def to_embedding(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weights [G, L, r, C] and bias [G, L, C] of centred, reduced features -> of L2-normalised embeddings."""
        if self.basis is not None:
            weights = self.basis.to_embedding(weights)
        with threads_of_work(weights.numel()):
            return weights, bias - torch.einsum("gd,gldc->glc", self.mean, weights)

    def from_embedding(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of ``to_embedding`` on the span of the rows."""
        with threads_of_work(weights.numel()):
            bias = bias + torch.einsum("gd,gldc->glc", self.mean, weights)
        if self.basis is not None:
            weights = self.basis.from_embedding(weights)
        return weights, bias


def design(
    source: RowSource,
    groups: int,
    n: int,
    dimension: int,
    *,
    device: torch.device,
    memory_bytes: int,
    dtype: torch.dtype | None = None,
    axes: Axes | None = None,
    frame: Frame | None = None,
) -> Design:
    """Gather a group of training sets: resident if they fit into ``memory_bytes``, else read anew in each pass.

    ``axes`` of one training set of the same photos are taken for those of all: they only precondition. Those of a
    ``frame`` come first. Its rows are centred where it says: it spares their zeros.
    """
    if dtype is None:
        dtype = torch.float64 if n * dimension <= FLOAT64_ELEMENTS else torch.float32
    fits = groups * resident_bytes(n, dimension, dtype) <= memory_bytes
    step = max(1, GATHER_BYTES // (groups * dimension * 4))
    starts = range(0, n, step)
    resident = torch.empty((groups, n, dimension), dtype=dtype, device=device) if fits else None
    total = torch.zeros((groups, dimension), dtype=torch.float64, device=device)
    with threads_of_work(groups * min(step, n) * dimension):
        for start in starts:
            block = uploaded(source(start, min(start + step, n)), device)
            total += block.sum(1)  # any centre near the mean will do
            if resident is not None:
                resident[:, start : start + step] = block
        mean = total / n
    reduced = resident is not None and _is_reduced(n, dimension, REDUCED_ROWS if frame is None else TURNED_ROWS)
    if frame is not None and not reduced:
        mean, axes = frame.centre.expand(groups, -1), frame.axes or axes
    if resident is not None:
        with threads_of_work(resident.numel()):
            resident -= mean[:, None].to(dtype)
        if reduced:
            return _reduced(resident, mean, source)
    if axes is not None:
        return Design(n, mean, None, axes.of_each(groups), resident, source, dtype)
    unknown = Axes(None, torch.zeros((groups, dimension), dtype=torch.float64, device=device), total.new_zeros(groups))
    unrotated = Design(n, mean, None, unknown, resident, source, dtype)
    count = min(PRINCIPAL_AXES, dimension)
    return replace(unrotated, axes=principal_axes(unrotated, count))


def joined(designs: Sequence[Design | None]) -> Design | None:
    """Rotated training sets of as many rows in one stack; None where one is missing, or they are not alike."""
    all_of = [d for d in designs if d is not None and d.basis is not None and d.resident is not None]
    if len(all_of) < len(designs) or len({d.dimension for d in all_of}) != 1:
        return None
    return replace(
        all_of[0],
        mean=in_one([d.mean for d in all_of]),
        basis=Basis(
            in_one([d.basis.rows for d in all_of if d.basis]),
            in_one([d.basis.combination for d in all_of if d.basis]),
        ),
        axes=Axes(None, in_one([d.axes.variances for d in all_of]), in_one([d.axes.rest for d in all_of])),
        resident=in_one([d.resident for d in all_of if d.resident is not None]),
    )


def stack_size(fits: int, n: int, dimension: int, memory_bytes: int, dtype: torch.dtype | None = None) -> int:
    """How many of ``fits`` training sets to gather and solve together: at least one."""
    return max(1, min(fits, min(memory_bytes, STACK_BYTES) // resident_bytes(n, dimension, dtype)))


def resident_bytes(n: int, dimension: int, dtype: torch.dtype | None = None) -> int:
    """Memory for one resident training set: its features, and what a small one's rotation needs beside them."""
    if dtype is None:
        dtype = torch.float64 if n * dimension <= FLOAT64_ELEMENTS else torch.float32
    features = n * dimension * dtype.itemsize
    return features + (8 * n * (dimension + 4 * n) if _is_reduced(n, dimension) else 0)


def _is_reduced(n: int, dimension: int, most: int | None = None) -> bool:
    """Whether a training set is rotated: of ``most`` rows, or as many as any is."""
    return n < dimension and n <= (REDUCED_ROWS if most is None else most)


def _reduced(centred: Tensor, mean: Tensor, source: RowSource) -> Design:
    """Fewer rows than dimensions: the rows' own principal axes, at most n of them, hold all there is."""
    values, vectors = decomposed(centred.to(torch.float64))
    with threads_of_work(vectors.numel()):
        return _rotated(centred, mean, source, values, vectors)


def _rotated(centred: Tensor, mean: Tensor, source: RowSource, values: Tensor, vectors: Tensor) -> Design:
    """Rows [G, n, d] whose products with one another have these eigenvalues and eigenvectors."""
    n = centred.shape[1]
    # below this, an eigenvalue of the Gram matrix is rounding
    floor = values[:, -1:].clamp_min(1e-30) * n * torch.finfo(torch.float64).eps
    kept = values > floor
    lengths = torch.where(kept, values, torch.zeros_like(values)).sqrt()
    inverse = torch.where(kept, 1 / lengths.clamp_min(1e-30), torch.zeros_like(values))
    used = kept.any(0).cpu()  # one wait
    first = int(used.to(torch.int).argmax()) if bool(used.any()) else n - 1
    features = (vectors * lengths[:, None])[..., first:].contiguous()
    basis = Basis(centred, (vectors * inverse[:, None])[..., first:].contiguous())
    variances = (lengths**2 / n)[:, first:]
    return Design(
        n,
        mean,
        basis,
        Axes(None, variances, torch.zeros_like(variances[:, 0])),
        features.to(centred.dtype),
        source,
        centred.dtype,
    )


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
    found = parallel_map(work, each) if beside else [work(one) for one in each]
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


def decomposed(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [G, n], ascending, and eigenvectors [G, n, n] of the products with one another of rows [G, n, d]."""
    values, vectors = of_each(_decomposed, rows.numel() * rows.shape[1], rows)
    return values, vectors


def _decomposed(rows: Tensor) -> tuple[Tensor, Tensor]:
    products = torch.bmm(rows, rows.mT)
    with threads_of_work(products[0].numel()):  # eigh wakes threads for one reflection after the other
        values, vectors = torch.linalg.eigh(products)
    return values, vectors


def _to_embedding(rows: Tensor, combination: Tensor, weights: Tensor) -> tuple[Tensor]:
    mixed = torch.einsum("gnr,glrc->gnlc", combination, weights)
    return (torch.einsum("gnd,gnlc->gldc", rows.to(torch.float64), mixed).contiguous(),)


def _from_embedding(rows: Tensor, combination: Tensor, weights: Tensor) -> tuple[Tensor]:
    mixed = torch.einsum("gnd,gldc->gnlc", rows.to(torch.float64), weights)
    return (torch.einsum("gnr,gnlc->glrc", combination, mixed),)
