"""Means over pairs of units, such as a query and its neighbour: pairs that share a unit err together.

A photo is a neighbour of many queries, and a query itself. Errors over queries alone leave out that the collection is a
sample too. The variance over dyads sums the products of all pairs of pairs that share a unit (Fafchamps and Gubert,
Journal of Development Economics 83, 2007; Aronow, Samii and Assenova, Political Analysis 23, 2015).
"""

from __future__ import annotations

import numpy as np

from benchmark.stats.leave_one_out import Jackknife
from benchmark.stats.units import effective_number


def dyad_mean(values: np.ndarray, first: np.ndarray, second: np.ndarray) -> Jackknife:
    """The mean of values of pairs, with its error over the units of both sides.

    The difference of two means over as many pairs is the mean of ``2 a`` of the pairs of one and ``-2 b`` of the
    others, and so is paired by unit.

    Args:
        values: float64 [pairs].
        first, second: int64 [pairs], the unit of each side; a pair of one unit counts as any other.

    Returns:
        The mean; its degrees of freedom are those of the effective number of units.

    >>> rng = np.random.default_rng(0)
    >>> units = np.arange(400).reshape(2, 200)
    >>> result = dyad_mean(rng.normal(size=200), *units)  # no unit is in two pairs: the usual error of a mean
    >>> round(result.error * 200**0.5, 1)
    1.0
    """
    count = len(values)
    numbered = np.unique(np.concatenate([first, second]), return_inverse=True)[1].reshape(2, -1)
    units = int(numbered.max(initial=-1)) + 1
    mean = float(values.mean())
    apart = values - mean
    of_unit = np.bincount(numbered[0], apart, units) + np.bincount(numbered[1], apart, units)
    dyads = np.unique(numbered.min(axis=0) * units + numbered.max(axis=0), return_inverse=True)[1].reshape(-1)
    twice = float(np.square(np.bincount(dyads, apart)).sum())  # both units of a dyad count it
    total = float(np.square(of_unit).sum())
    pairs = np.bincount(numbered.ravel(), minlength=units)
    effective = effective_number(pairs)
    variance = max(total - twice, twice) / count**2 * effective / max(effective - 1, 1)
    scale = np.sqrt(variance * units * (units - 1) / total) if total else 0.0
    return Jackknife(mean, float(np.sqrt(variance)), max(1, int(effective) - 1), of_unit * scale)
