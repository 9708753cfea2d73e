"""How far a score is above chance: an effect size that questions share, and a test against chance."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from benchmark.stats.resampling import LEVEL, checked, cluster_sums
from benchmark.stats.student import p_values, unit_means
from builders.errors import DataError


def holm(p_values: Sequence[float] | np.ndarray, families: Sequence[Hashable] | None = None) -> np.ndarray:
    """P-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), float64 [m].

    What belongs together is the caller's to say, because it is a matter of what somebody asked. The tests hold it to
    statsmodels' ``multipletests``, which collects garbage at every call: 0.1 to 0.2 s, and a board corrects hundreds of
    times.

    Args:
        p_values: [m].
        families: [m], the name of the family that each belongs to; each family is corrected by itself. All are one
            family by default.

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
    """What probes that know nothing score on the same test photos."""

    accuracy: float
    """Their mean."""
    low: float
    """95 % of them lie from here ..."""
    high: float
    """... to here (a normal prediction interval)."""
    mean_low: float
    """95 % interval of the mean (Student's t): holds chance where classes are balanced."""
    mean_high: float
    spread: float
    """Standard deviation of one of them."""
    permutations: int
    p_value: float
    """Share of them, the value itself counted in, that read at least as well: (1 + count) / (1 + permutations)."""


def null_range(accuracies: np.ndarray, value: float) -> NullRange:
    """Summarise the accuracies [P] of shuffled labels, P at least 2, beside the accuracy of the true ones.

    The p-value counts the true labels as one of the shufflings (Ojala and Garriga, JMLR 11, 2010).

    >>> null = null_range(np.array([0.2, 0.3, 0.4, 0.3]), 0.4)
    >>> round(null.accuracy, 3), round(null.mean_low, 3), round(null.high, 3), null.p_value
    (0.3, 0.17, 0.591, 0.4)
    """
    count, mean, spread = len(accuracies), float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))
    times = float(stdtrit(count - 1, 0.5 + LEVEL / 2))
    one, of_mean = times * spread * math.sqrt(1 + 1 / count), times * spread / math.sqrt(count)
    return NullRange(
        accuracy=mean,
        low=max(mean - one, 0.0),
        high=min(mean + one, 1.0),
        mean_low=mean - of_mean,
        mean_high=mean + of_mean,
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
