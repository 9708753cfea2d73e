"""Two encoders on the same photos: their difference with interval and p-value. The rule is ``student``'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.stats.intervals import difference_intervals
from benchmark.stats.resampling import LEVEL, checked
from benchmark.stats.student import p_values
from builders.errors import DataError


@dataclass(frozen=True)
class Difference:
    """First minus second, on the same photos."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, of no difference."""
    n: int
    """Photos."""
    standard_error: float
    units: int
    """What stands alone: photos, or clusters of photos that err together."""


def paired_difference(
    first: Any,
    second: Any,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    level: float = LEVEL,
) -> Difference:
    """The mean of ``first`` minus the mean of ``second`` on the same photos, with interval and p-value.

    Student's t over the differences of photos (of clusters, where these are given), corrected where the differences
    lean to one side: ``benchmark.stats.student``. Interval and p-value agree: zero lies outside exactly where the
    p-value is below ``1 - level``.

    Args:
        first, second: [n], one value per photo, in ``bounds``.
        clusters: [n], as in ``photo_intervals``.
        bounds: range of a photo's value; a difference then lies between minus and plus its width.
        level: coverage.

    Raises:
        DataError: as ``photo_intervals``, or the two are not of the same photos.

    >>> found = paired_difference([1, 1, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0])
    >>> found.value, round(found.p_value, 4)  # scipy.stats.ttest_rel
    (0.5, 0.0756)
    >>> same = paired_difference([1, 0, 1, 1] * 10, [1, 0, 1, 1] * 10)
    >>> same.value, same.p_value, round(same.high, 3)
    (0.0, 1.0, 0.088)
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise DataError(f"{one.size} and {other.size} photos: a paired difference needs the same ones")
    width = bounds[1] - bounds[0]
    (found,), means = difference_intervals(*checked(one - other, None, (-width, width)), clusters, width, level)
    p_value = float(p_values(means)[0])
    return Difference(found.value, found.low, found.high, p_value, found.n, found.standard_error, found.units)
