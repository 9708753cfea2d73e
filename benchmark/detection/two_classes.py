"""AUC and balanced accuracy with values by photo, from which intervals, differences and means follow.

A statistic of two classes is no mean over photos. It has an influence of each photo, though, and the statistic plus
these influences are values by photo: their mean is the statistic, and their spread over photos, or over clusters of
them, is its error (for the AUC: DeLong, DeLong and Clarke-Pearson, Biometrics 44, 1988; with clusters: Obuchowski,
Biometrics 53, 1997). The difference of two statistics on the same photos is the difference of their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builders.errors import DataError


@dataclass(frozen=True, eq=False)
class Statistic:
    """A statistic of photos of two classes."""

    value: float
    photo_values: np.ndarray
    """float64 [n]: the mean is ``value``, the spread over photos or clusters is its error."""
    bound: float
    """The values lie between minus and plus this."""


def auc(scores: np.ndarray, generated: np.ndarray) -> Statistic:
    """The probability that a generated photo has a higher score than a real one; a tie counts one half.

    Args:
        scores: float [n], higher for a photo that looks more generated.
        generated: bool [n].

    Raises:
        DataError: a class has no photo.

    >>> result = auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> result.value, float(result.photo_values.mean())
    (0.75, 0.75)
    """
    scores, generated = np.asarray(scores, np.float64), np.asarray(generated, bool)
    fake, real = np.flatnonzero(generated), np.flatnonzero(~generated)
    _need_both(len(real), len(fake))
    shares = np.empty(len(scores))
    shares[fake] = _share_below(np.sort(scores[real]), scores[fake])
    shares[real] = 1 - _share_below(np.sort(scores[fake]), scores[real])
    return _two_classes(shares, generated, float(shares[fake].mean()))


def balanced_accuracy(right: np.ndarray, generated: np.ndarray) -> Statistic:
    """The mean of the share of right answers among real photos and that among generated ones.

    Args:
        right: [n], whether each answer is right; or a share of several answers.
        generated: bool [n].

    Raises:
        DataError: a class has no photo.

    >>> balanced_accuracy(np.array([1, 1, 1, 0, 1]), np.array([False, False, False, True, True])).value
    0.75
    """
    right, generated = np.asarray(right, np.float64), np.asarray(generated, bool)
    _need_both(int((~generated).sum()), int(generated.sum()))
    recalls = [right[~generated].mean(), right[generated].mean()]
    whole = _two_classes(right, generated, float(np.mean(recalls)), recalls=(float(recalls[0]), float(recalls[1])))
    # half of each class's influence: the statistic is a mean of two shares, not their probability
    halved = whole.value + (whole.photo_values - whole.value) / 2
    return Statistic(whole.value, halved, whole.bound)


def mean_over(parts: Sequence[tuple[Statistic, np.ndarray]], n: int) -> Statistic:
    """The mean of statistics of some of n photos each.

    Args:
        parts: a statistic, and int64 [m], the positions of its photos among the n.
        n: number of photos.

    >>> classes = np.array([False, True])
    >>> one, other = auc(np.array([0.0, 1.0]), classes), auc(np.array([1.0, 0.0]), classes)
    >>> whole = mean_over([(one, np.array([0, 1])), (other, np.array([1, 2]))], 3)
    >>> whole.value, round(float(whole.photo_values.mean()), 12)
    (0.5, 0.5)
    """
    value = float(np.mean([part.value for part, _ in parts]))
    values, bound = np.full(n, value), abs(value)
    for part, at in parts:
        scale = n / (len(at) * len(parts))
        values[at] += (part.photo_values - part.value) * scale
        bound += (part.bound + abs(part.value)) * scale
    return Statistic(value, values, bound)


def difference(first: Statistic, second: Statistic) -> Statistic:
    """First minus second, statistics on the same photos in the same order."""
    return Statistic(first.value - second.value, first.photo_values - second.photo_values, first.bound + second.bound)


def _share_below(ordered: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """float64 [n]: the share of sorted values that lie below each score; equal ones count one half."""
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * len(ordered))


def _two_classes(
    shares: np.ndarray, generated: np.ndarray, value: float, recalls: tuple[float, float] | None = None
) -> Statistic:
    """Values by photo of a statistic that is the mean of ``shares`` over each class by itself."""
    of_real, of_generated = recalls or (value, value)
    counts = np.where(generated, generated.sum(), (~generated).sum())
    scale = len(generated) / counts
    influence = scale * (shares - np.where(generated, of_generated, of_real))
    return Statistic(value, value + influence, float(1 + scale.max()))


def _need_both(real: int, generated: int) -> None:
    if not real or not generated:
        raise DataError(f"{real} real and {generated} generated photos are left: a detector needs both to be tested")
