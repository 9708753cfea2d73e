"""Erasers in closed form: the projection [d, d] that each method makes of the moments, about their mean."""

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
"""Singular values below this share of the largest are rounding, not directions: sums are float64."""

LEAST_ANGLE = 1e-4
"""Sine of the angle from which on a direction of the class counts as another than those of the trace."""


class Projected(NamedTuple):
    """A linear map about the mean, and how many directions it takes out."""

    projection: Tensor
    """float64 [d, d]: a row x becomes mean + projection (x - mean)."""
    rank: int


def identity(moments: Moments) -> Projected:
    """Nothing is erased: the control from below."""
    return Projected(_eye(moments), 0)


def random_projection(moments: Moments, *, seed: int = 0) -> Projected:
    """As many random orthogonal directions out as LEACE takes: what erasing costs where it aims at nothing."""
    rank = _most(moments)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn((moments.dimension, rank), generator=generator, dtype=torch.float64).to(moments.device)
    return _without(moments, torch.linalg.qr(drawn).Q)


def mean_projection(moments: Moments) -> Projected:
    """The directions between class means out, orthogonally: ``orth`` of concept-erasure."""
    return _without(moments, _basis(moments.cross, _most(moments)))


def leace(moments: Moments, *, shrinkage: float = 0.0) -> Projected:
    """Least-squares concept erasure (Belrose et al., NeurIPS 2023, arXiv 2306.03819, theorem 4.3).

    No linear reader of the fitting rows does better than a constant, and rows move as little as they can in the norm
    of the inverse covariance (and every other).

    Args:
        moments: of the fitting rows.
        shrinkage: in [0, 1], how far the covariance is drawn towards a multiple of the identity. The theorem on linear
            readers holds for each; more of it moves rows less along directions of which few rows tell much.
    """
    white, back = _whitening(moments, shrinkage)
    trace = _basis(white @ moments.cross, _most(moments))
    return Projected(_eye(moments) - back @ trace @ trace.mT @ white, trace.shape[1])


def splince(moments: Moments, *, shrinkage: float = 0.0) -> Projected:
    """SPLINCE (Holstege et al., arXiv 2506.10703): as LEACE, and the covariance with the kept class stays as it is.

    In whitened space, with A the directions of the trace and B those of the class: the least change among all maps
    with P A = 0 and P B = B is I - [A, 0] pinv([A, B]). Of B counts what is not in the span of A.

    Raises:
        DataError: the classes to keep were not given, or nothing of them lies outside the trace.
    """
    if not moments.kept_cross.shape[1]:
        raise DataError("splince keeps a class readable: give each photo's class")
    white, back = _whitening(moments, shrinkage)
    trace = _basis(white @ moments.cross, _most(moments))
    task = _basis(white @ moments.kept_cross, moments.kept_cross.shape[1] - 1)
    apart = torch.linalg.svd(task - trace @ (trace.mT @ task), full_matrices=False)
    own = apart.S > LEAST_ANGLE
    if not own.any():
        raise DataError("every direction that tells the class tells the trace too: splince cannot keep one without it")
    task = task @ apart.Vh.mT[:, own]
    both = torch.cat([trace, task], dim=1)
    change = torch.cat([trace, torch.zeros_like(task)], dim=1) @ torch.linalg.pinv(both)
    return Projected(_eye(moments) - back @ change @ white, trace.shape[1])


def inlp(moments: Moments, *, rounds: int = 10, ridge: float = 1e-3) -> Projected:
    """Iterative null-space projection (Ravfogel et al., ACL 2020) with least-squares classifiers, as a baseline.

    Each round fits a ridge classifier of the label to what is left, and takes the span of its weights out
    orthogonally. All rounds follow from the moments: no further pass over rows.

    Args:
        moments: of the fitting rows.
        rounds: at most; fewer where no linear classifier is left to find.
        ridge: penalty, as a share of the mean variance of a dimension.
    """
    covariance, basis = moments.covariance, moments.cross[:, :0]
    penalty = ridge * covariance.diagonal().mean() * _eye(moments)
    first = torch.linalg.matrix_norm(moments.cross)
    for _ in range(rounds):
        cross = _out(moments.cross, basis)
        if torch.linalg.matrix_norm(cross) <= RELATIVE_TOLERANCE * first:
            break
        left = _out(_out(covariance, basis).mT, basis)
        weights = torch.cholesky_solve(cross, torch.linalg.cholesky((left + left.mT) / 2 + penalty))
        basis = torch.cat([basis, _basis(_out(weights, basis), _most(moments))], dim=1)
    return _without(moments, basis)


def _out(columns: Tensor, basis: Tensor) -> Tensor:
    """Columns without what of them lies in the span of an orthonormal basis."""
    return columns - basis @ (basis.mT @ columns)


def _without(moments: Moments, basis: Tensor) -> Projected:
    return Projected(_eye(moments) - basis @ basis.mT, basis.shape[1])


def _eye(moments: Moments) -> Tensor:
    return torch.eye(moments.dimension, dtype=torch.float64, device=moments.device)


def _most(moments: Moments) -> int:
    """Directions that classes can differ in."""
    return max(0, min(moments.classes_present - 1, moments.dimension - 1))


def _basis(columns: Tensor, most: int) -> Tensor:
    """Orthonormal basis [d, r] of the span of columns, r at most ``most``."""
    left, values, _ = torch.linalg.svd(columns, full_matrices=False)
    count = min(most, int((values > RELATIVE_TOLERANCE * values.max()).sum())) if len(values) else 0
    return left[:, :count]


def _whitening(moments: Moments, shrinkage: float) -> tuple[Tensor, Tensor]:
    """The inverse square root of the covariance and the square root, both on its own span."""
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
"""Shares tried where a covariance is drawn towards a multiple of the identity."""

Fit = Callable[..., Eraser]
"""``(source, moments, **options) -> Eraser``."""


@dataclass(frozen=True)
class Method:
    """One way to make an eraser; everything that names or runs it asks this."""

    name: str
    summary: str
    """One line for people."""
    fit: Fit
    """Further keywords are its options."""
    search: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Values of each option that are tried on validation photos; the first of each is the default."""
    keeps_classes: bool = False
    """Whether it needs the class that is to stay readable."""
    labels_at_test: bool = False
    """Whether it can be applied only to rows whose label is known."""

    def candidates(self) -> list[dict[str, float]]:
        """Every combination of ``search``; one without options where there is nothing to choose.

        >>> METHODS["leace"].candidates()[1], METHODS["identity"].candidates()
        ({'shrinkage': 0.001}, [{}])
        """
        return [dict(zip(self.search, values, strict=True)) for values in itertools.product(*self.search.values())]


def _linear(method: str, form: Callable[..., Projected]) -> Fit:
    def fit(source: Source, moments: Moments, **options: Any) -> Eraser:
        return _eraser(method, form(moments, **options), source, moments)

    return fit


def _eraser(method: str, found: Projected, source: Source, moments: Moments) -> Eraser:
    mean, projection = (np.asarray(t.cpu().numpy(), np.float32) for t in (moments.mean, found.projection))
    return Eraser(method, mean, projection, found.rank, source.unit_rows)


def _standardised(source: Source, moments: Moments) -> Eraser:
    """Each group to the mean and the deviations of all rows (arXiv 2502.10195): its label must be known to apply it."""
    scales = moments.class_deviations
    every = moments.deviations
    scales = scales.where(scales > 0, every.where(every > 0, 1.0))
    mean, means, of_groups, of_all = (
        np.asarray(t.cpu().numpy(), np.float32) for t in (moments.mean, moments.class_means, scales, every)
    )
    return Eraser("standardise", mean, np.diag(of_all), 0, source.unit_rows, means, of_groups)


def _adversary(source: Source, moments: Moments, **options: Any) -> Eraser:
    found = adversary(source, moments, **options)
    made = _eraser("adversary", Projected(found.projection, 0), source, moments)
    training = {"losses": [round(loss, 6) for loss in found.losses if np.isfinite(loss)], "kept_round": found.best}
    return dataclasses.replace(made, provenance={"training": training})


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
"""By name, in the order of tables."""


def method_named(name: str) -> Method:
    """The method of a name.

    Raises:
        UsageError: there is none.
    """
    if name not in METHODS:
        raise unknown_name("method", name, METHODS)
    return METHODS[name]
