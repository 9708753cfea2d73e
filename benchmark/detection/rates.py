"""What a detector is worth at a threshold: recall at a rate of false alarms, and calibration."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ALARMS_NEEDED = 5
"""False alarms that a rate must allow among the real photos of a test: with fewer the threshold is a single photo."""

BINS = 15
"""Bins of the calibration error (Guo et al., ICML 2017)."""


class Recall(NamedTuple):
    """The share of generated photos that are found at a rate of false alarms."""

    recall: float
    false_alarms: float
    """The rate that the threshold has among the real photos, at most the one asked for."""
    threshold: float


def recall_at(scores: np.ndarray, generated: np.ndarray, rate: float) -> Recall | None:
    """Recall at the lowest threshold whose rate of false alarms is at most ``rate``; an alarm lies above it.

    Args:
        scores: float [n].
        generated: bool [n].
        rate: of false alarms, in (0, 1).

    Returns:
        None if the real photos are too few for the rate (``ALARMS_NEEDED``).

    >>> real, fake = np.arange(1000) / 1000, np.arange(100) / 100 + 0.5
    >>> point = recall_at(np.r_[real, fake], np.r_[np.zeros(1000, bool), np.ones(100, bool)], 0.01)
    >>> point.recall, point.false_alarms
    (0.51, 0.01)
    """
    generated = np.asarray(generated, bool)
    real = np.sort(np.asarray(scores, np.float64)[~generated])
    allowed = int(np.floor(rate * len(real) + 1e-9))
    if allowed < ALARMS_NEEDED:
        return None
    threshold = real[len(real) - 1 - allowed]
    return Recall(float((scores[generated] > threshold).mean()), float((real > threshold).mean()), float(threshold))


def best_threshold(scores: np.ndarray, generated: np.ndarray) -> float:
    """The threshold with the highest balanced accuracy, halfway between two scores; of equal ones the lowest.

    Args:
        scores: float [n]; those above the threshold are called generated.
        generated: bool [n], of both classes.

    >>> best_threshold(np.array([0.1, 0.2, 0.6, 0.8, 0.9]), np.array([False, False, True, False, True]))
    0.4
    """
    scores, generated = np.asarray(scores, np.float64), np.asarray(generated, bool)
    values, at = np.unique(scores, return_inverse=True)
    below = [np.cumsum(np.bincount(at[of], minlength=len(values))) for of in (~generated, generated)]
    gains = below[0] * generated.sum() - below[1] * (~generated).sum()  # integers: equal ones are equal
    best = int(np.argmax(gains[:-1])) if len(values) > 1 else 0
    return float((values[best] + values[min(best + 1, len(values) - 1)]) / 2)


def calibration_error(probabilities: np.ndarray, generated: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: how far stated probabilities lie from shares, over bins of equal width.

    Args:
        probabilities: float [n], of "generated".
        generated: bool [n].
        bins: number of bins.

    >>> round(calibration_error(np.array([0.9, 0.9, 0.9, 0.1]), np.array([True, True, False, False])), 3)
    0.2
    """
    probabilities = np.asarray(probabilities, np.float64)
    at = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    apart = np.bincount(at, weights=np.asarray(generated, np.float64) - probabilities, minlength=bins)
    return float(np.abs(apart).sum() / len(probabilities))
