"""Processing crossed with the class: does the score move because one class was saved otherwise?

Each processing is applied to both classes (robustness), to the real photos alone, and to the generated ones alone. If
the AUC with generated photos processed is higher than with real ones processed, the processing itself looks generated
to the detector; if it is lower, it looks real. That difference is the bias of the detector for the processing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmark.detection.two_classes import Statistic, auc, difference


class Cell(NamedTuple):
    """A detector on photos of which some are processed."""

    both: Statistic
    """AUC where all photos are processed."""
    real_only: Statistic
    """AUC where the real ones are."""
    generated_only: Statistic
    """AUC where the generated ones are."""

    @property
    def bias(self) -> Statistic:
        """``generated_only`` minus ``real_only``: above 0 where the processing looks generated to the detector."""
        return difference(self.generated_only, self.real_only)


def cross(processed: np.ndarray, original: np.ndarray, generated: np.ndarray) -> Cell:
    """The three cells of one processing.

    Args:
        processed: float [n], scores of the processed photos.
        original: float [n], scores of the same photos as they are.
        generated: bool [n].

    Raises:
        DataError: a class has no photo.

    >>> original, generated = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True])
    >>> cell = cross(original + 5, original, generated)  # processing adds 5 to every score
    >>> cell.both.value, cell.real_only.value, cell.generated_only.value, cell.bias.value
    (1.0, 0.0, 1.0, 1.0)
    """
    return Cell(
        auc(processed, generated),
        auc(np.where(generated, original, processed), generated),
        auc(np.where(generated, processed, original), generated),
    )
