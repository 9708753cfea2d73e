"""Statistics of the predictions of a probe, by fit and by photo. Readers of stored results use them, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.stats import Difference, Interval, is_gain


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


def curve_details(intervals: Sequence[Interval], gain: Difference | None, assignments: int) -> dict[str, Any]:
    """Numbers of a learning curve, JSON values.

    Args:
        intervals: accuracy of each part.
        gain: of the last step; None if there is one part.
        assignments: of every point.
    """
    return {
        "accuracy": [round(i.value, 6) for i in intervals],
        "low": [round(i.low, 6) for i in intervals],
        "high": [round(i.high, 6) for i in intervals],
        "assignments": assignments,
        "gain": gain and {name: getattr(gain, name) for name in ("value", "low", "high", "p_value")},
        "rises": gain is not None and is_gain(gain),
    }
