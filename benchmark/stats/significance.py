"""Scores against chance, and answers that only one of two has right: p-values, null ranges, effect sizes."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr, ndtr, stdtr, stdtrit

from benchmark.stats.intervals import Difference
from benchmark.stats.resampling import LEVEL, checked, cluster_sums, clustered_tail
from benchmark.stats.student import cluster_means, p_values, unit_means
from builders.errors import DataError

SMALLEST_GAIN = 0.005
"""Gain of the last step of a learning curve below which the curve does not rise, however certain the gain is."""


def is_gain(gain: Difference) -> bool:
    """Whether a gain is half a point or more and its interval lies above 0.

    >>> is_gain(Difference(0.02, 0.01, 0.03, 0.001, 100, 0.02, 100))
    True
    """
    return gain.low > 0 and gain.value >= SMALLEST_GAIN


def holm(p_values: Sequence[float] | np.ndarray, families: Sequence[Hashable] | None = None) -> np.ndarray:
    """P-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), float64 [m].

    The caller chooses the families, because they depend on the question of the analysis. Tests compare this with
    statsmodels' ``multipletests``, which is not used because it runs garbage collection at every call: 0.1 to 0.2 s,
    and a leaderboard corrects hundreds of times.

    Args:
        p_values: [m].
        families: [m], the family of each p-value; each family is corrected by itself. By default all p-values are
            one family.

    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    >>> holm([0.01, 0.04, 0.03], ["a", "a", "b"]).round(3).tolist()
    [0.02, 0.04, 0.03]
    """
    p = np.asarray(p_values, dtype=np.float64)
    members: dict[Hashable, list[int]] = {}
    for i, family in enumerate([None] * len(p) if families is None else families):
        members.setdefault(family, []).append(i)
    adjusted = np.empty_like(p)
    for at in members.values():
        falling = np.argsort(p[at], kind="stable")
        stepped = np.maximum.accumulate(p[at][falling] * np.arange(len(at), 0, -1))
        adjusted[np.array(at)[falling]] = np.minimum(stepped, 1.0)
    return adjusted


@dataclass(frozen=True)
class NullRange:
    """Accuracies of probes trained on shuffled labels, on the same test photos."""

    accuracy: float
    """Mean accuracy."""
    low: float
    """Lower end of the range of 95 % of them (a normal prediction interval)."""
    high: float
    """Upper end of that range."""
    mean_low: float
    """Lower end of the 95 % interval of the mean (Student's t), which contains chance if classes are balanced."""
    mean_high: float
    """Upper end of that interval."""
    spread: float
    """Standard deviation of the accuracies."""
    permutations: int
    """Number of shufflings."""
    p_value: float
    """Share of accuracies, the true one included, that are at least as high: (1 + count) / (1 + permutations)."""


def null_range(accuracies: np.ndarray, value: float) -> NullRange:
    """Summarise the accuracies [P] of shuffled labels, P at least 2, and compare the accuracy of the true ones.

    The p-value counts the true labels as one of the shufflings (Ojala and Garriga, JMLR 11, 2010).

    >>> null = null_range(np.array([0.2, 0.3, 0.4, 0.3]), 0.4)
    >>> round(null.accuracy, 3), round(null.mean_low, 3), round(null.high, 3), null.p_value
    (0.3, 0.17, 0.591, 0.4)
    """
    count, mean, spread = len(accuracies), float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    quantile = float(stdtrit(count - 1, 0.5 + LEVEL / 2))
    half_range, half_mean = quantile * spread * math.sqrt(1 + 1 / count), quantile * spread / math.sqrt(count)
    return NullRange(
        accuracy=mean,
        low=max(mean - half_range, 0.0),
        high=min(mean + half_range, 1.0),
        mean_low=mean - half_mean,
        mean_high=mean + half_mean,
        spread=spread,
        permutations=count,
        p_value=(1 + int((accuracies >= value - 1e-12).sum())) / (1 + count),
    )


@dataclass(frozen=True)
class EffectSize:
    """A share of the way from chance to 1; negative below chance."""

    value: float
    low: float
    high: float


def effect_size(value: float, low: float, high: float, chance: float) -> EffectSize:
    """A score rescaled from chance (0) to perfect (1), so that tasks with 2 and with 88 classes are comparable.

    ``(accuracy - chance) / (1 - chance)``, Cohen's kappa (Educational and Psychological Measurement 20, 1960) where
    chance is the accuracy of guessing. A difference has chance 0 and stays as it is.

    Args:
        value, low, high: a score with its interval.
        chance: score of guessing, below 1.

    Raises:
        DataError: chance is 1 or more.

    >>> effect_size(0.75, 0.7, 0.85, 0.5)
    EffectSize(value=0.5, low=0.3999999999999999, high=0.7)
    """
    if not chance < 1:
        raise DataError(f"chance is {chance:g}: a question with one possible answer has no effect size")
    return EffectSize(*((x - chance) / (1 - chance) for x in (value, low, high)))


def upper_p_value(distance: float, freedom: float | None = None) -> float:
    """P-value of a value so many standard errors above what it would be: Student's t, or the normal distribution.

    Args:
        distance: in standard errors.
        freedom: degrees of freedom of the standard error, at least 1 is used; None if it is known.

    >>> round(upper_p_value(2.0), 3), round(upper_p_value(2.0, 5), 3)
    (0.023, 0.051)
    """
    return float(ndtr(-distance) if freedom is None else stdtr(max(freedom, 1), -distance))


def against_chance(
    values: Any,
    chance: float,
    trials: Any | None = None,
    *,
    clusters: Any | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    two_sided: bool = False,
) -> float:
    """P-value of a score under the hypothesis that it is no better than chance, by ``benchmark.stats.student``.

    Correct the p-values of one report together by ``holm``. If the classes of the test photos differ in size, a
    constant prediction beats one over the number of classes: pass the share of the largest class then. With clusters
    and a chance above one half, the p-value of a one-sided test is at least that of ``clustered_tail``: a few clusters
    have most errors then, and Student's t rejected a true chance of 90 % in up to 35 of 100 simulated sets
    (``scripts/checks/heavy_tails.py``).

    Args:
        values, trials, clusters, bounds: as in ``photo_intervals``, of one statistic.
        chance: score of guessing; 0 for a difference.
        two_sided: whether scores below chance count too, as with differences.

    Raises:
        DataError: as ``photo_intervals``.

    >>> right = [1.0] * 51 + [0.0] * 249  # 17.0 % of 300 photos, where one in six is chance
    >>> round(against_chance(right, 1 / 6), 2)
    0.44
    >>> against_chance([1.0] * 60 + [0.0] * 60, 1 / 6) < 1e-10
    True
    """
    table, rows = checked(values, trials, bounds)
    less_chance, width = table - chance * rows, max(chance - bounds[0], bounds[1] - chance)
    if clusters is None:
        means = unit_means(less_chance, rows, width)
        return float(np.squeeze(p_values(means, greater=not two_sided, far=True)))
    sums, of_clusters = cluster_sums(table, rows, clusters)
    means = cluster_means(sums - chance * of_clusters, of_clusters, len(rows), width)
    p_value = float(np.squeeze(p_values(means, greater=not two_sided, far=True)))
    if two_sided or chance <= (bounds[0] + bounds[1]) / 2:
        return p_value
    return max(p_value, clustered_tail(sums[0], of_clusters, len(rows), chance, bounds=bounds))


def mcnemar(only_first: int, only_second: int) -> float:
    """Exact two-sided p-value of McNemar's test (Psychometrika 12, 1947): the sign test on the items that differ.

    Items on which both are right, or both wrong, say nothing. It assumes that items are independent; of items that err
    together ``paired_difference`` over clusters gives the p-value.

    Args:
        only_first: number of items that only the first has right.
        only_second: number of items that only the second has right.

    Raises:
        DataError: a number is negative.

    >>> round(mcnemar(1, 9), 6), mcnemar(0, 0), mcnemar(4, 4)  # 22 of 1,024 draws of ten coins
    (0.021484, 1.0, 1.0)
    """
    if min(only_first, only_second) < 0:
        raise DataError(f"{only_first} and {only_second} items: numbers of items are not negative")
    differing = only_first + only_second
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), differing, 0.5))) if differing else 1.0
