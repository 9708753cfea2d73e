"""Results of a probe: the predicted class of every test view, from which any statistic follows, and its fits."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmark.probe.problem import VALIDATION_SHARE, Fit, Problem
from benchmark.probe.statistics import FitStatistics, fit_statistics

if TYPE_CHECKING:
    from benchmark.probe.readers.registry import Read
    from benchmark.probe.solver.design import Design


@dataclass(frozen=True, eq=False)
class ProbeAnswers:
    """Predictions of S fits on V views of each of n test photos.

    A processing probe has one fit per class assignment and one view per class; a labelled probe has one of each.
    """

    protocol: str
    """Name of the protocol, or of the reader if it is not the linear one."""
    predicted: np.ndarray
    """Unsigned integers [S, V, n]: the class that fit s predicts for view v of photo i."""
    expected: np.ndarray
    """Unsigned integers [V, n]: the true class."""
    n_classes: int
    n_train: int
    """Photos that the reported fits were trained on, validation included."""
    n_validation: int
    """Photos that the search validated on."""
    chosen: Mapping[str, float]
    """Hyper-parameters that the search chose, shared by all fits."""
    search: tuple[Mapping[str, float], ...]
    """Every candidate with its ``validation_accuracy``, in the order of the search."""
    final_loss: np.ndarray
    """float64 [S]: the objective at the end of each fit, on its training rows."""
    gradient_norm: np.ndarray
    """float64 [S]: Euclidean norm of the objective's gradient at the end."""
    iterations: np.ndarray
    """int64 [S]: Newton steps, or epochs."""
    converged: np.ndarray
    """bool [S]: the gradient met the tolerance; for ``iccv2025``, which has none, whether the loss is finite."""
    constants: Mapping[str, Any]
    """All other settings: tolerances, seeds, ranges, precision, method of the search. JSON values."""
    search_s: float
    """Seconds in the search, gathering its features included."""
    fit_s: float
    """Seconds in the reported fits, gathering their features included."""
    features: Design | None = field(default=None, repr=False)
    """Rotated training sets of the fits, if photos are few; probes of parts reuse them. Not stored, not reported."""

    @functools.cached_property
    def statistics(self) -> FitStatistics:
        """Accuracy by fit and by photo, spread and balanced accuracy."""
        return fit_statistics(self.predicted, self.expected)

    @property
    def accuracy(self) -> float:
        """Mean accuracy of the fits."""
        return float(self.statistics.accuracies.mean())

    @property
    def photo_accuracy(self) -> np.ndarray:
        """float64 [n]: share of each photo's views and fits that are correct; ``stats.photo_interval`` resamples it."""
        return self.statistics.by_photo

    @property
    def chance(self) -> float:
        """Accuracy of guessing: one over the number of classes."""
        return 1 / self.n_classes

    def details(self) -> dict[str, Any]:
        """Everything but the predictions, as JSON values, for ``Score.details``."""
        return {
            "protocol": self.protocol,
            "n_train": self.n_train,
            "n_validation": self.n_validation,
            **self.statistics.details(),
            "chosen": dict(self.chosen),
            "search": [dict(candidate) for candidate in self.search],
            "final_loss": [float(x) if np.isfinite(x) else None for x in self.final_loss],
            "gradient_norm": [float(x) if np.isfinite(x) else None for x in self.gradient_norm],
            "iterations": [int(x) for x in self.iterations],
            "converged": bool(self.converged.all()),
            "search_s": round(self.search_s, 3),
            "fit_s": round(self.fit_s, 3),
            **self.constants,
        }


def to_answers(
    protocol: str,
    fit: Fit | Read,
    predicted: np.ndarray,
    n_train: int,
    problem: Problem,
    expected: np.ndarray,
    device: torch.device,
    seed: int,
) -> ProbeAnswers:
    """``ProbeAnswers`` from the fit of a protocol or reader; predicted and expected classes are [..., test photos]."""
    return ProbeAnswers(
        protocol=protocol,
        predicted=predicted,
        expected=expected.astype(predicted.dtype),
        n_classes=problem.n_classes,
        n_train=n_train,
        n_validation=len(problem.validation_rows),
        chosen=fit.chosen,
        search=fit.search,
        final_loss=fit.final_loss,
        gradient_norm=fit.gradient_norm,
        iterations=fit.iterations,
        converged=fit.converged,
        constants={"seed": seed, "validation_share": VALIDATION_SHARE, "device": str(device), **fit.constants},
        search_s=fit.search_s,
        fit_s=fit.fit_s,
    )
