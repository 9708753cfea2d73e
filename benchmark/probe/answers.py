"""What a probe answers: the predicted class of every test view, which leaves any later statistic free, and its fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmark.probe.problem import VALIDATION_SHARE, Fit, Problem

if TYPE_CHECKING:
    from benchmark.probe.readers.registry import Read
    from benchmark.probe.solver.design import Design


@dataclass(frozen=True, eq=False)
class ProbeAnswers:
    """Predictions of S fits on V views of each of n test photos.

    A processing probe has one fit per class assignment and one view per class; a labelled probe has one of each.
    """

    protocol: str
    """``converged`` or ``iccv2025``."""
    predicted: np.ndarray
    """Unsigned integers [S, V, n]: the class that fit s gives to view v of photo i."""
    expected: np.ndarray
    """Unsigned integers [V, n]: the true class."""
    n_classes: int
    n_train: int
    """Photos that the reported fits learnt from, validation included."""
    n_validation: int
    """Photos of the search's validation part."""
    chosen: Mapping[str, float]
    """The hyper-parameters that the search chose, shared by all fits."""
    search: tuple[Mapping[str, float], ...]
    """Every candidate with its ``validation_accuracy``, in the order tried."""
    final_loss: np.ndarray
    """float64 [S]: the objective at the end of each fit, on its training rows."""
    gradient_norm: np.ndarray
    """float64 [S]: Euclidean norm of the objective's gradient at the end."""
    iterations: np.ndarray
    """int64 [S]: Newton steps, or epochs."""
    converged: np.ndarray
    """bool [S]: the gradient met the tolerance; for ``iccv2025``, which has none, whether the loss is finite."""
    constants: Mapping[str, Any]
    """Everything else that was fixed: tolerances, seeds, ranges, precision, how the search was done. JSON values."""
    search_s: float
    """Seconds in the search, gathering its features included."""
    fit_s: float
    """Seconds in the reported fits, gathering their features included."""
    features: Design | None = field(default=None, repr=False)
    """The fits' rotated training sets, where photos are few: parts are taken from them. Never kept or told."""

    @property
    def correct(self) -> np.ndarray:
        """bool [S, V, n]."""
        return self.predicted == self.expected

    @property
    def accuracies(self) -> np.ndarray:
        """float64 [S]: accuracy of each fit over all views of all photos."""
        return self.correct.mean(axis=(1, 2))

    @property
    def accuracy(self) -> float:
        """Mean over fits."""
        return float(self.accuracies.mean())

    @property
    def spread(self) -> float:
        """Standard deviation over fits (with S - 1); 0 for one fit."""
        return float(self.accuracies.std(ddof=1)) if len(self.accuracies) > 1 else 0.0

    @property
    def balanced_accuracy(self) -> float:
        """Mean over the classes present in the test set of the share of their views found, mean over fits."""
        correct = self.correct.mean(axis=0)
        classes = np.unique(self.expected)
        return float(np.mean([correct[self.expected == c].mean() for c in classes]))

    @property
    def photo_accuracy(self) -> np.ndarray:
        """float64 [n]: share of each photo's views and fits that are right; ``stats.photo_interval`` resamples it."""
        return self.correct.mean(axis=(0, 1))

    @property
    def chance(self) -> float:
        """Accuracy of a guess: one over the number of classes."""
        return 1 / self.n_classes

    def details(self) -> dict[str, Any]:
        """Everything but the predictions, as JSON values, for ``Score.details``."""
        return {
            "protocol": self.protocol,
            "n_train": self.n_train,
            "n_validation": self.n_validation,
            "accuracy_by_seed": [round(float(a), 6) for a in self.accuracies],
            "spread": round(self.spread, 6),
            "balanced_accuracy": round(self.balanced_accuracy, 6),
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
    found: Fit | Read,
    predicted: np.ndarray,
    n_train: int,
    problem: Problem,
    expected: np.ndarray,
    device: torch.device,
    seed: int,
) -> ProbeAnswers:
    """What a protocol found, with what it was asked: predicted and expected classes are [..., test photos]."""
    return ProbeAnswers(
        protocol=protocol,
        predicted=predicted,
        expected=expected.astype(predicted.dtype),
        n_classes=problem.n_classes,
        n_train=n_train,
        n_validation=len(problem.validation_rows),
        chosen=found.chosen,
        search=found.search,
        final_loss=found.final_loss,
        gradient_norm=found.gradient_norm,
        iterations=found.iterations,
        converged=found.converged,
        constants={"seed": seed, "validation_share": VALIDATION_SHARE, "device": str(device), **found.constants},
        search_s=found.search_s,
        fit_s=found.fit_s,
    )
