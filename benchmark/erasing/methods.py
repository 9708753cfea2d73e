"""The methods of fitting an eraser; most give a projection [d, d] that follows from moments in closed form."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.erasing.adversary import adversary
from benchmark.erasing.eraser import Eraser
from benchmark.erasing.moments import Moments, Source
from builders.errors import DataError, unknown_name

RELATIVE_TOLERANCE = 1e-9
"""Singular values below this share of the largest are rounding errors of float64 sums, not directions."""

LEAST_ANGLE = 1e-4
"""Sine of the smallest angle at which a direction of the class counts as different from those of the trace."""


class Projected(NamedTuple):
    """A linear map about the mean."""

    projection: Tensor
    """float64 [d, d]: a row x becomes mean + projection (x - mean)."""
    rank: int
    """Number of directions that it removes."""


def identity(moments: Moments) -> Projected:
    """The identity, as a control that erases nothing."""
    return Projected(_eye(moments), 0)


def random_projection(moments: Moments, *, seed: int = 0) -> Projected:
    """Remove as many random orthogonal directions as LEACE, as a control for the cost of a removal without aim."""
    rank = _most(moments)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((moments.dimension, rank), generator=generator, dtype=torch.float64).to(moments.device)
    return _without(moments, torch.linalg.qr(drawn).Q)


def mean_projection(moments: Moments) -> Projected:
    """Remove the directions between class means orthogonally, as ``orth`` of concept-erasure."""
    return _without(moments, _basis(moments.cross, _most(moments)))


def leace(moments: Moments, *, shrinkage: float = 0.0) -> Projected:
    """Least-squares concept erasure (Belrose et al., NeurIPS 2023, arXiv 2306.03819, theorem 4.3).

    No linear reader of the fitted rows does better than a constant, and the rows move as little as possible in the norm
    of the inverse covariance (and in every other norm).

    Args:
        moments: of the fitted rows.
        shrinkage: in [0, 1], weight of a multiple of the identity in the covariance. The theorem on linear readers
            holds for every value; a larger one moves rows less along directions that few rows determine.
    """
    white, back = _whitening(moments, shrinkage)
    trace = _basis(white @ moments.cross, _most(moments))
    return Projected(_eye(moments) - back @ trace @ trace.mT @ white, trace.shape[1])


def splince(moments: Moments, *, shrinkage: float = 0.0) -> Projected:
    """SPLINCE (Holstege et al., arXiv 2506.10703): LEACE that leaves the covariance with a class unchanged.

    In whitened space, let A be the directions of the trace and B those of the class. The least change among all maps
    with P A = 0 and P B = B is I - [A, 0] pinv([A, B]). Directions of B in the span of A do not count.

    Args:
        moments: of the fitted rows, with the class that must stay readable.
        shrinkage: as of ``leace``.

    Raises:
        DataError: there is no such class, or all of its directions are directions of the trace.
    """
    if not moments.preserved_cross.shape[1]:
        raise DataError("splince keeps a class readable: give each photo's class")
    white, back = _whitening(moments, shrinkage)
    trace = _basis(white @ moments.cross, _most(moments))
    task = _basis(white @ moments.preserved_cross, moments.preserved_cross.shape[1] - 1)
    apart = torch.linalg.svd(task - trace @ (trace.mT @ task), full_matrices=False)
    distinct = apart.S > LEAST_ANGLE
    if not distinct.any():
        raise DataError("every direction that tells the class tells the trace too: splince cannot keep one without it")
    task = task @ apart.Vh.mT[:, distinct]
    both = torch.cat([trace, task], dim=1)
    change = torch.cat([trace, torch.zeros_like(task)], dim=1) @ torch.linalg.pinv(both)
    return Projected(_eye(moments) - back @ change @ white, trace.shape[1])


def inlp(moments: Moments, *, rounds: int = 10, ridge: float = 1e-3) -> Projected:
    """Iterative null-space projection (Ravfogel et al., ACL 2020) with least-squares classifiers, as a baseline.

    Each round fits a ridge classifier of the label to the remaining embeddings, and removes the span of its weights
    orthogonally. All rounds follow from the moments without a further pass over the rows.

    Args:
        moments: of the fitted rows.
        rounds: largest number; fewer if no linear classifier finds anything.
        ridge: penalty, as a share of the mean variance of a dimension.
    """
    covariance, basis = moments.covariance, moments.cross[:, :0]
    penalty = ridge * covariance.diagonal().mean() * _eye(moments)
    first = torch.linalg.matrix_norm(moments.cross)
    for _ in range(rounds):
        cross = _removed(moments.cross, basis)
        if torch.linalg.matrix_norm(cross) <= RELATIVE_TOLERANCE * first:
            break
        left = _removed(_removed(covariance, basis).mT, basis)
        weights = torch.cholesky_solve(cross, torch.linalg.cholesky((left + left.mT) / 2 + penalty))
        basis = torch.cat([basis, _basis(_removed(weights, basis), _most(moments))], dim=1)
    return _without(moments, basis)


def _removed(columns: Tensor, basis: Tensor) -> Tensor:
    """Columns minus their projections onto the span of an orthonormal basis."""
    return columns - basis @ (basis.mT @ columns)


def _without(moments: Moments, basis: Tensor) -> Projected:
    return Projected(_eye(moments) - basis @ basis.mT, basis.shape[1])


def _eye(moments: Moments) -> Tensor:
    return torch.eye(moments.dimension, dtype=torch.float64, device=moments.device)


def _most(moments: Moments) -> int:
    """Largest number of directions between the class means."""
    return max(0, min(moments.classes_present - 1, moments.dimension - 1))


def _basis(columns: Tensor, most: int) -> Tensor:
    """Orthonormal basis [d, r] of the span of columns, r at most ``most``."""
    left, values, _ = torch.linalg.svd(columns, full_matrices=False)
    count = min(most, int((values > RELATIVE_TOLERANCE * values.max()).sum())) if len(values) else 0
    return left[:, :count]


def _whitening(moments: Moments, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Inverse square root and square root of the covariance, both restricted to its span."""
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"shrinkage {shrinkage}: a share in [0, 1] is needed")
    covariance = moments.covariance
    mean = covariance.diagonal().mean()
    values, vectors = torch.linalg.eigh((1 - shrinkage) * covariance + shrinkage * mean * _eye(moments))
    known = values > values[-1] * len(values) * torch.finfo(values.dtype).eps
    values = values.clamp(min=0)
    inverse = torch.where(known, values.rsqrt(), 0.0)
    return vectors * inverse @ vectors.mT, vectors * torch.where(known, values.sqrt(), 0.0) @ vectors.mT


SHRINKAGES = (0.0, 0.001, 0.01, 0.1)
"""Values of ``shrinkage`` that are tried."""

Fit = Callable[..., Eraser]
"""``(source, moments, **options) -> Eraser``."""


@dataclass(frozen=True)
class Method:
    """A method of fitting an eraser."""

    name: str
    summary: str
    """One line for lists."""
    fit: Fit
    """Fits an eraser; further keywords are its options."""
    search: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By option, the values that are tried on validation photos; the first is the default."""
    keeps_classes: bool = False
    """Whether it needs the class that must stay readable."""
    labels_at_test: bool = False
    """Whether it can be applied only to rows whose label is known."""

    def candidates(self) -> list[dict[str, float]]:
        """Every combination of ``search``; one without options if it is empty.

        >>> METHODS["leace"].candidates()[1], METHODS["identity"].candidates()
        ({'shrinkage': 0.001}, [{}])
        """
        return [dict(zip(self.search, values, strict=True)) for values in itertools.product(*self.search.values())]


def _linear(method: str, form: Callable[..., Projected]) -> Fit:
    def fit(source: Source, moments: Moments, **options: Any) -> Eraser:
        return _eraser(method, form(moments, **options), source, moments)

    return fit


def _eraser(method: str, projected: Projected, source: Source, moments: Moments) -> Eraser:
    mean, projection = (np.asarray(t.cpu().numpy(), np.float32) for t in (moments.mean, projected.projection))
    return Eraser(method, mean, projection, projected.rank, source.unit_rows)


def _standardised(source: Source, moments: Moments) -> Eraser:
    """Shift and scale each class to the mean and deviations of all rows (arXiv 2502.10195); needs labels to apply."""
    scales = moments.class_deviations
    every = moments.deviations
    scales = scales.where(scales > 0, every.where(every > 0, 1.0))
    mean, means, of_groups, of_all = (
        np.asarray(t.cpu().numpy(), np.float32) for t in (moments.mean, moments.class_means, scales, every)
    )
    return Eraser("standardise", mean, np.diag(of_all), 0, source.unit_rows, means, of_groups)


def _adversary(source: Source, moments: Moments, **options: Any) -> Eraser:
    trained = adversary(source, moments, **options)
    eraser = _eraser("adversary", Projected(trained.projection, 0), source, moments)
    training = {"losses": [round(loss, 6) for loss in trained.losses if np.isfinite(loss)], "kept_round": trained.best}
    return dataclasses.replace(eraser, provenance={"training": training})


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("identity", "nothing erased: the control", _linear("identity", identity)),
            Method(
                "random",
                "as many random directions out as leace takes: the control of equal rank",
                _linear("random", random_projection),
            ),
            Method("mean", "directions between class means out", _linear("mean", mean_projection)),
            Method(
                "inlp",
                "iterative null-space projection with least-squares classifiers: a baseline",
                _linear("inlp", inlp),
                search={"rounds": (10, 1, 3, 30)},
            ),
            Method(
                "leace",
                "least-squares concept erasure, closed form",
                _linear("leace", leace),
                search={"shrinkage": SHRINKAGES},
            ),
            Method(
                "splince",
                "as leace, and the covariance with the photo's class stays",
                _linear("splince", splince),
                search={"shrinkage": SHRINKAGES},
                keeps_classes=True,
            ),
            Method(
                "standardise",
                "each class of the trace to one mean and deviation; needs the label of what it is applied to",
                _standardised,
                labels_at_test=True,
            ),
            Method(
                "adversary",
                "a linear map trained against a linear classifier",
                _adversary,
                search={"rate": (1e-3, 1e-2, 1e-4)},
            ),
        )
    }
)
"""Every method by name, in the order of tables."""


def method_named(name: str) -> Method:
    """The method with a name.

    Raises:
        UsageError: it does not exist.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]
