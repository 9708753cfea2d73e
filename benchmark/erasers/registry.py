"""The methods by name. A new one is a function of the moments (or of the source) and one entry here."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmark.erasers import closed_forms
from benchmark.erasers.adversary import adversary
from benchmark.erasers.eraser import Eraser
from benchmark.erasers.moments import Moments
from benchmark.erasers.source import Source
from builders.errors import unknown_name

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


def _linear(method: str, form: Callable[..., closed_forms.Projected]) -> Fit:
    def fit(source: Source, moments: Moments, **options: Any) -> Eraser:
        return _eraser(method, form(moments, **options), source, moments)

    return fit


def _eraser(method: str, found: closed_forms.Projected, source: Source, moments: Moments) -> Eraser:
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
    made = _eraser("adversary", closed_forms.Projected(found.projection, 0), source, moments)
    training = {"losses": [round(loss, 6) for loss in found.losses if np.isfinite(loss)], "kept_round": found.best}
    return dataclasses.replace(made, provenance={"training": training})


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("identity", "nothing erased: the control", _linear("identity", closed_forms.identity)),
            Method(
                "random",
                "as many random directions out as leace takes: the control of equal rank",
                _linear("random", closed_forms.random_projection),
            ),
            Method("mean", "directions between class means out", _linear("mean", closed_forms.mean_projection)),
            Method(
                "inlp",
                "iterative null-space projection with least-squares classifiers: a baseline",
                _linear("inlp", closed_forms.inlp),
                search={"rounds": (10, 1, 3, 30)},
            ),
            Method(
                "leace",
                "least-squares concept erasure, closed form",
                _linear("leace", closed_forms.leace),
                search={"shrinkage": SHRINKAGES},
            ),
            Method(
                "splince",
                "as leace, and the covariance with the photo's class stays",
                _linear("splince", closed_forms.splince),
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
