"""How far a score is above chance: an effect size that questions share, and a test against chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.stats.resampling import checked, cluster_sums
from benchmark.stats.student import p_values, unit_means
from builders.errors import DataError


@dataclass(frozen=True)
class EffectSize:
    """A share of the way from chance to 1; negative below chance."""

    value: float
    low: float
    high: float


def effect_size(value: float, low: float, high: float, chance: float) -> EffectSize:
    """The share of the way from chance (0) to always right (1), so that questions with 2 and 88 classes compare.

    ``(accuracy - chance) / (1 - chance)``, Cohen's kappa (Educational and Psychological Measurement 20, 1960) where
    chance is what a guess would get. A difference has chance 0 and stays as it is.

    Args:
        value, low, high: a score with its interval.
        chance: what a guess would get, below 1.

    Raises:
        DataError: chance is 1 or more: there is nowhere to go.

    >>> effect_size(0.75, 0.7, 0.85, 0.5)
    EffectSize(value=0.5, low=0.3999999999999999, high=0.7)
    """
    if not chance < 1:
        raise DataError(f"chance is {chance:g}: a question with one possible answer has no effect size")
    return EffectSize(*((x - chance) / (1 - chance) for x in (value, low, high)))


def against_chance(
    values: Any,
    chance: float,
    trials: Any | None = None,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    two_sided: bool = False,
) -> float:
    """The p-value of a score that is no better than chance, by the rule of ``benchmark.stats.student``.

    Ask ``holm`` about all questions of one report together. Where classes of test photos are not equally many, a probe
    that always gives the same answer beats one over the number of classes: give the share of the largest class then.

    Args:
        values, trials, clusters, bounds: as in ``photo_intervals``, of one statistic.
        chance: what a guess would get; 0 for a difference.
        two_sided: whether below chance is a finding too, as with differences.

    Raises:
        DataError: as ``photo_intervals``.

    >>> right = [1.0] * 51 + [0.0] * 249  # 17.0 % of 300 photos, where one in six is chance
    >>> round(against_chance(right, 1 / 6), 2)
    0.44
    >>> against_chance([1.0] * 60 + [0.0] * 60, 1 / 6) < 1e-10
    True
    """
    sums, rows = checked(values, trials, bounds)
    if clusters is not None:
        sums, rows = cluster_sums(sums, rows, clusters)
    means = unit_means(sums - chance * rows, rows, max(chance - bounds[0], bounds[1] - chance))
    return float(np.squeeze(p_values(means, greater=not two_sided, far=True)))
