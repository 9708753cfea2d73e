"""Statistics of the predictions of a probe, by fit and by photo. Readers of stored results use them, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmark.stats import LEVEL, Difference, Interval, is_gain, paired_difference, photo_interval


@dataclass(frozen=True, eq=False)
class FitStatistics:
    """What the predictions of S fits on V views of each of n photos say."""

    correct: np.ndarray
    """bool [S, V, n]"""
    accuracies: np.ndarray
    """float64 [S], of each fit over all views of all photos."""
    spread: float
    """Standard deviation of the accuracy over fits (divisor S - 1); 0 for one fit."""
    balanced_accuracy: float
    """Mean recall of the classes that the photos have, mean over fits."""
    by_photo: np.ndarray
    """float64 [n], share of each photo's views and fits that are correct."""

    def details(self) -> dict[str, Any]:
        """JSON values, for ``Score.details``."""
        return {
            "accuracy_by_seed": [round(float(a), 6) for a in self.accuracies],
            "spread": round(self.spread, 6),
            "balanced_accuracy": round(self.balanced_accuracy, 6),
        }


def fit_statistics(predicted: np.ndarray, expected: np.ndarray) -> FitStatistics:
    """Compare predictions with true classes.

    Args:
        predicted: integers [S, V, n].
        expected: integers [V, n], or of a shape that is broadcast to it.

    >>> fit_statistics(np.array([[[0, 1], [1, 1]]]), np.array([[0, 0], [1, 1]])).by_photo.tolist()
    [1.0, 0.5]
    """
    expected = np.broadcast_to(np.atleast_2d(expected), predicted.shape[1:])
    correct = predicted == expected
    accuracies, by_class = correct.mean(axis=(1, 2)), correct.mean(axis=0)
    spread = float(accuracies.std(ddof=1)) if len(accuracies) > 1 else 0.0
    balanced = float(np.mean([by_class[expected == c].mean() for c in np.unique(expected)]))
    return FitStatistics(correct, accuracies, spread, balanced, correct.mean(axis=(0, 1)))


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracies on the same test photos, from fewer to all train photos."""

    by_photo: np.ndarray
    """float64 [points, test photos], accuracy of each photo; the last point is all train photos."""
    assignments: int
    """Number of assignments of every point, the first of those of the probe; fewer than its where photos are many."""
    shares: tuple[float, ...] = ()
    """Shares of the train photos, rising to 1. Parts with equal numbers of photos appear once; none if unknown."""
    n_train: tuple[int, ...] = ()
    """Photos that each part was trained on, validation included; none if unknown."""
    clusters: np.ndarray | None = None
    """[test photos], the unit of each."""
    level: float = LEVEL
    """Coverage of the intervals."""

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """Accuracy of each part, with its interval over the test photos."""
        return tuple(photo_interval(row, clusters=self.clusters, level=self.level) for row in self.by_photo)

    @cached_property
    def gain(self) -> Difference | None:
        """All photos minus the part before, paired by test photo (by cluster) and over the same assignments; None if
        there is no part before."""
        if len(self.by_photo) < 2:
            return None
        return paired_difference(self.by_photo[-1], self.by_photo[-2], clusters=self.clusters, level=self.level)

    @property
    def accuracies(self) -> tuple[float, ...]:
        """Accuracy of each part."""
        return tuple(float(row.mean()) for row in self.by_photo)

    @property
    def rises(self) -> bool:
        """Whether the last step gained half a point or more, significantly: read the accuracy as "at least".

        False does not prove that more photos would not help: few test photos make a gain hard to detect.
        """
        return self.gain is not None and is_gain(self.gain)

    def arrays(self) -> dict[str, np.ndarray]:
        """As arrays of a task's answers, from which ``numbers`` can be computed again: its last point is the probe."""
        return {"curve": self.by_photo[:-1].astype(np.float32), "curve_fits": np.array(self.assignments)}

    def sizes(self) -> dict[str, Any]:
        """JSON values of what is known of the parts before they are tested."""
        return {"share": list(self.shares), "n_train": list(self.n_train)}

    def numbers(self) -> dict[str, Any]:
        """JSON values of what the accuracies determine."""
        gain = self.gain
        return {
            "accuracy": [round(i.value, 6) for i in self.intervals],
            "low": [round(i.low, 6) for i in self.intervals],
            "high": [round(i.high, 6) for i in self.intervals],
            "assignments": self.assignments,
            "gain": gain and {name: getattr(gain, name) for name in ("value", "low", "high", "p_value")},
            "rises": self.rises,
        }

    def details(self) -> dict[str, Any]:
        """As JSON values, for ``Score.details``."""
        return {**self.sizes(), **self.numbers()}
