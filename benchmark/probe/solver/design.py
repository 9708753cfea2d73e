"""Design matrices of training sets: centred features within a memory bound, and the principal axes of each set.

A small training set is rotated to its principal axes, which are then all its features. For a large one only the leading
axes are computed, to precondition the solver.
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
"""Approximate size of the blocks of rows in a pass: both products of a pass then read a block from cache."""

WAVE = 8
"""Blocks per thread whose sums are in memory at a time."""

STACK_BYTES = 256 << 20
"""Largest stack of training sets that are solved together; larger sets fill the machine one by one."""

REDUCED_ROWS = 512
"""Most rows of a rotated training set, which has fewer rows than dimensions: eigenvalues of more cost too much."""

PROJECTED_ROWS = 128
"""The same for projected rows, whose axes are known and half of whose values are zeros (128, 256 and 384 took the same
time in the probes of ``simcams``, no rotation 4 % more)."""

FLOAT64_ELEMENTS = 1 << 19
"""Most feature values of a fit that runs in float64 throughout; larger fits use float32 products."""

PRINCIPAL_AXES = 64
"""Number of principal axes computed for a training set that is not rotated."""

SUBSPACE_PASSES = 3
"""Passes over the rows to compute them."""


class Axes(NamedTuple):
    """Principal axes of the features of G training sets, which precondition the solver."""

    vectors: Tensor | None
    """float64 [G, d, k], orthonormal. ``None``: the features' own coordinates are the axes."""
    variances: Tensor
    """float64 [G, k], or [G, r] if the coordinates are the axes."""
    rest: Tensor
    """float64 [G], mean variance in the directions outside the k axes."""

    def select(self, groups: slice | Tensor) -> Axes:
        """Axes of some of the training sets."""
        vectors = None if self.vectors is None else self.vectors[groups]
        return Axes(vectors, self.variances[groups], self.rest[groups])

    def expand(self, groups: int) -> Axes:
        """Axes of one training set, shared by ``groups`` of them."""
        vectors = None if self.vectors is None else self.vectors.expand(groups, -1, -1)
        return Axes(vectors, self.variances.expand(groups, -1), self.rest.expand(groups))


class Basis(NamedTuple):
    """Orthonormal columns ``rows.T @ combination``, as two factors because that is cheaper."""

    rows: Tensor
    """[G, n, d], the centred rows."""
    combination: Tensor
    """float64 [G, n, r]."""

    def select(self, groups: slice | Tensor) -> Basis:
        """Bases of some of the training sets."""
        return Basis(self.rows[groups], self.combination[groups])

    def to_embedding(self, weights: Tensor) -> Tensor:
        """Weights [G, L, r, C] of rotated features -> [G, L, d, C] of embeddings."""
        return of_each(_to_embedding, self._work(weights), *self, weights)[0]

    def from_embedding(self, weights: Tensor) -> Tensor:
        """Weights [G, L, d, C] of embeddings -> [G, L, r, C] of rotated features: the inverse on the span."""
        return of_each(_from_embedding, self._work(weights), *self, weights)[0]

    def _work(self, weights: Tensor) -> int:
        return weights[..., 0, :].numel() * self.rows.shape[1] * (self.rows.shape[2] + self.combination.shape[2])


class Frame(NamedTuple):
    """Centre and axes of training sets of projected rows (``projected``)."""

    centre: Tensor
    """float64 [d], near the mean of the rows."""
    axes: Axes | None
    """Axes of one training set that has all the photos; None if each set's are to be computed."""


@dataclass(frozen=True)
class Design:
    """G training sets of n rows as a solver reads them: centred, and rotated to n dimensions if n is small.

    Centring changes no optimum, because the bias absorbs it. Nor does the rotation, because it preserves lengths, and
    weights outside the span of the rows cannot lower a loss with an L2 penalty.
    """

    n: int
    """Rows of each training set."""
    mean: Tensor
    """float64 [G, d], the subtracted mean."""
    basis: Basis | None
    """``None``: not rotated."""
    axes: Axes
    resident: Tensor | None
    """[G, n, r] in the product type; ``None``: rows are gathered again in every pass."""
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
        """Number of rows of a block, at most n."""
        step = max(1, BLOCK_BYTES // (self.dimension * self.dtype.itemsize * len(self.mean)))
        if self.mean.device.type != "cpu":
            step *= 64  # an accelerator is faster with fewer, larger products
        return min(self.n, step)

    @property
    def pieces(self) -> list[slice]:
        """Rows of each block, in order."""
        return [slice(start, min(start + self.block_rows, self.n)) for start in range(0, self.n, self.block_rows)]

    def block(self, rows: slice) -> Tensor:
        """Features [G, m, r] of some rows."""
        if self.resident is not None:
            return self.resident[:, rows]
        block = uploaded(self.source(rows.start, rows.stop), self.mean.device).to(self.dtype)
        return block - self.mean[:, None].to(self.dtype)

    def add_up(self, work: Callable[..., None], *totals: Tensor) -> None:
        """Call ``work(rows, features [G, m, r], *sums)`` for every block of rows, and add its sums to ``totals``.

        On a CPU as many blocks run at a time as torch has threads, one thread each. Sums of blocks are added in the
        order of the blocks, so that the result does not depend on the number of threads.
        """
        pieces, threads = self.pieces, torch.get_num_threads()
        if self.mean.device.type != "cpu" or min(threads, len(pieces)) == 1:
            for rows in pieces:
                work(rows, self.block(rows), *totals)
            return

        def block_sums(rows: slice) -> list[Tensor]:
            sums = [torch.zeros_like(total) for total in totals]
            work(rows, self.block(rows), *sums)
            return sums

        for wave in range(0, len(pieces), WAVE * threads):
            wave_sums = parallel_map(block_sums, pieces[wave : wave + WAVE * threads])
            with threads_of_work(sum(total.numel() for total in totals)):
                for sums in wave_sums:
                    for total, part in zip(totals, sums, strict=True):
                        total += part

    def select(self, groups: slice | Tensor) -> Design:
        """Some of the training sets; their features are copied unless ``groups`` is a slice. It must be resident."""
        assert self.resident is not None
        return replace(
            self,
            mean=self.mean[groups],
            basis=None if self.basis is None else self.basis.select(groups),
            axes=self.axes.select(groups),
            resident=self.resident[groups],
        )

    def part(self, groups: slice, rows: np.ndarray) -> Design:
        """Some rows of some training sets in the same coordinates, with the same axes. The design must be resident."""
        sets = self.select(groups)
        assert sets.resident is not None
        return replace(sets, n=len(rows), resident=sets.resident[:, torch.from_numpy(rows)])

    def to_embedding(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weights [G, L, r, C] and bias [G, L, C] of centred, rotated features -> of L2-normalised embeddings."""
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
    """Gather training sets: resident if they fit into ``memory_bytes``, else read again in each pass.

    Args:
        source: rows of the training sets.
        groups, n, dimension: G training sets of n rows of d features.
        device: where products run.
        memory_bytes: bound of the resident features.
        dtype: of the features; by default float64 for small training sets, else float32.
        axes: those of one training set of the same photos, for all sets (they only precondition).
        frame: of projected rows. Its axes take precedence, and its centre is subtracted, which keeps zeros.
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
    reduced = resident is not None and _is_reduced(n, dimension, REDUCED_ROWS if frame is None else PROJECTED_ROWS)
    if frame is not None and not reduced:
        mean, axes = frame.centre.expand(groups, -1), frame.axes or axes
    if resident is not None:
        with threads_of_work(resident.numel()):
            resident -= mean[:, None].to(dtype)
        if reduced:
            return _reduced(resident, mean, source)
    if axes is not None:
        return Design(n, mean, None, axes.expand(groups), resident, source, dtype)
    unknown = Axes(None, torch.zeros((groups, dimension), dtype=torch.float64, device=device), total.new_zeros(groups))
    unrotated = Design(n, mean, None, unknown, resident, source, dtype)
    count = min(PRINCIPAL_AXES, dimension)
    return replace(unrotated, axes=principal_axes(unrotated, count))


def joined(designs: Sequence[Design | None]) -> Design | None:
    """Several rotated designs in one stack; None if one is missing or their dimensions differ."""
    parts = [d for d in designs if d is not None and d.basis is not None and d.resident is not None]
    if len(parts) < len(designs) or len({d.dimension for d in parts}) != 1:
        return None
    return replace(
        parts[0],
        mean=in_one([d.mean for d in parts]),
        basis=Basis(
            in_one([d.basis.rows for d in parts if d.basis]),
            in_one([d.basis.combination for d in parts if d.basis]),
        ),
        axes=Axes(None, in_one([d.axes.variances for d in parts]), in_one([d.axes.rest for d in parts])),
        resident=in_one([d.resident for d in parts if d.resident is not None]),
    )


def stack_size(fits: int, n: int, dimension: int, memory_bytes: int, dtype: torch.dtype | None = None) -> int:
    """Number of training sets, of ``fits``, to gather and solve together: at least one."""
    return max(1, min(fits, min(memory_bytes, STACK_BYTES) // resident_bytes(n, dimension, dtype)))


def resident_bytes(n: int, dimension: int, dtype: torch.dtype | None = None) -> int:
    """Memory for one resident training set: its features, and the rotation of a small one."""
    if dtype is None:
        dtype = torch.float64 if n * dimension <= FLOAT64_ELEMENTS else torch.float32
    features = n * dimension * dtype.itemsize
    return features + (8 * n * (dimension + 4 * n) if _is_reduced(n, dimension) else 0)


def _is_reduced(n: int, dimension: int, most: int | None = None) -> bool:
    """Whether a training set is rotated; ``most``: rows, by default ``REDUCED_ROWS``."""
    return n < dimension and n <= (REDUCED_ROWS if most is None else most)


def _reduced(centred: Tensor, mean: Tensor, source: RowSource) -> Design:
    """A design rotated to the rows' principal axes, at most n of them, which span the rows."""
    values, vectors = decomposed(centred.to(torch.float64))
    with threads_of_work(vectors.numel()):
        return _rotated(centred, mean, source, values, vectors)


def _rotated(centred: Tensor, mean: Tensor, source: RowSource, values: Tensor, vectors: Tensor) -> Design:
    """The same, from the eigenvalues and eigenvectors of the Gram matrix of rows [G, n, d]."""
    n = centred.shape[1]
    # below this, an eigenvalue of the Gram matrix is rounding
    threshold = values[:, -1:].clamp_min(1e-30) * n * torch.finfo(torch.float64).eps
    is_nonzero = values > threshold
    lengths = torch.where(is_nonzero, values, torch.zeros_like(values)).sqrt()
    inverse = torch.where(is_nonzero, 1 / lengths.clamp_min(1e-30), torch.zeros_like(values))
    any_nonzero = is_nonzero.any(0).cpu()  # the only wait for the device
    first = int(any_nonzero.to(torch.int).argmax()) if bool(any_nonzero.any()) else n - 1
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

    They only precondition, so approximate axes are enough; the fixed random start makes them repeatable. (Halko,
    Martinsson and Tropp, SIAM Review 53, 2011.)
    """
    groups, threads = len(features.mean), torch.get_num_threads()
    if groups == 1 or features.mean.device.type != "cpu" or features.resident is None:
        return _principal_axes(features, count)
    # one set at a time, so that the result does not depend on the number of threads
    sets, work = (
        [features.select(slice(g, g + 1)) for g in range(groups)],
        functools.partial(_principal_axes, count=count),
    )
    sets_in_parallel = groups >= threads or len(sets[0].pieces) == 1  # else the blocks of a set run in parallel
    all_axes = parallel_map(work, sets) if sets_in_parallel else [work(one_set) for one_set in sets]
    return Axes(
        in_one([axes.vectors for axes in all_axes if axes.vectors is not None]),
        in_one([axes.variances for axes in all_axes]),
        in_one([axes.rest for axes in all_axes]),
    )


def _principal_axes(features: Design, count: int) -> Axes:
    groups, dimension = features.mean.shape
    generator = torch.Generator().manual_seed(0)
    with threads_of_work(dimension * count):
        start = torch.randn((dimension, count), generator=generator, dtype=torch.float64).to(features.mean.device)
    image = start.expand(groups, -1, -1)
    pass_work = 2 * groups * features.n * dimension * count
    if len(features.pieces) == 1:  # blocks do not run in parallel
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
        variances, rotation = torch.linalg.eigh((inner + inner.mT) / 2)
        variances = variances.clamp_min(0)
        outside = max(min(features.n - 1, dimension) - count, 1)
        rest = (total / features.n - variances.sum(1)).clamp_min(0) / outside
        return Axes(torch.bmm(vectors, rotation), variances, rest)


def _add_image(vectors: Tensor, rows: slice, block: Tensor, image: Tensor, total: Tensor) -> None:
    """Add a block's features.T @ features @ vectors, and the sum of the squared features of each training set."""
    image += product(block.mT, product(block, vectors))
    total += torch.linalg.vector_norm(block, dim=(1, 2)).to(torch.float64).square()


def decomposed(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [G, n], ascending, and eigenvectors [G, n, n] of the Gram matrices of rows [G, n, d]."""
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
