"""How strong an association an audit would find: from classes, values and independent photos of each test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import chdtri, chndtrinc, ndtri

from benchmark.audit.questions import owner_units
from benchmark.audit.result import ALPHA, SMALLEST_EFFECT, Question
from benchmark.audit.tally import Tally

POWER = 0.95
"""Share of data sets with the smallest effect that would be flagged, by a formula for large tables: permutation tests
of 2 to 1,000 classes flagged 85 to 97 % of simulated ones."""

NORMAL_FROM = 200
"""Degrees of freedom above which a noncentral chi-square variable counts as normal."""


def smallest_effect(n: int, tests: int, *, values: int = 2, classes: int = 2) -> float:
    """Cramer's V that is flagged in ``POWER`` of such data sets, at most 1.

    Pearson's statistic has a noncentral chi-square distribution with noncentrality ``n V^2 (smaller side - 1)`` (Cohen,
    Statistical Power Analysis, 1988, chapter 7). Its p-value has to stay below ``ALPHA`` after the strictest step of
    Holm's correction, and the V of the sample, which scatters by about ``1 / sqrt(n)``, at ``SMALLEST_EFFECT`` or more.

    Args:
        n: independent photos of the test.
        tests: number of tests that are corrected together.
        values: different values of the feature.
        classes: of the label.

    >>> round(smallest_effect(2000, 25), 3), round(smallest_effect(2000, 25, classes=100), 3)
    (0.116, 0.214)
    """
    freedom, side = (values - 1) * (classes - 1), min(values, classes) - 1
    if n < 2 or side < 1:
        return 1.0
    critical = chdtri(freedom, ALPHA / max(1, tests))
    noncentrality = _noncentrality(float(critical), freedom)
    seen = SMALLEST_EFFECT + float(ndtri(POWER)) / math.sqrt(n * side)
    return min(1.0, max(math.sqrt(noncentrality / (n * side)), seen))


def _noncentrality(critical: float, freedom: int) -> float:
    """Noncentrality with which a chi-square variable exceeds ``critical`` with probability ``POWER``."""
    if freedom <= NORMAL_FROM:
        return float(chndtrinc(critical, freedom, 1 - POWER))
    # (critical - freedom - x)^2 = 2 z^2 (freedom + 2 x): a normal variable of the same mean and variance
    z2, below = float(ndtri(POWER)) ** 2, freedom - critical
    half = below - 2 * z2
    return math.sqrt(max(half**2 - below**2 + 2 * z2 * freedom, 0.0)) - half


def least_effect(tally: Tally, questions: Sequence[Question], tests: int) -> float:
    """The smallest effect of the feature where it is least."""
    return min(smallest_effects(tally, questions, tests), key=lambda effect: effect[1])[1]


def untestable_titles(tally: Tally, questions: Sequence[Question], tests: int) -> list[str]:
    """Titles of features whose association with the label could not be found, however strong."""
    classes = len(tally.names["label"])
    return [q.title for q in _of_label(questions) if _effect(q, classes, tests) >= 1]


def smallest_effects(tally: Tally, questions: Sequence[Question], tests: int) -> list[tuple[int, float]]:
    """(values, smallest effect) of each feature with values; of one with two values where there is none."""
    classes = len(tally.names["label"])
    requested = [(q.distinct, _effect(q, classes, tests)) for q in _of_label(questions)]
    units = owner_units(tally)
    independent = tally.photos if units.alone else units.count
    return requested or [(2, smallest_effect(independent, tests, classes=classes))]


def _of_label(questions: Sequence[Question]) -> list[Question]:
    """The questions about the label whose features have values; sources are no trait of a file."""
    return [q for q in questions if q.target == "label" and q.measure == "V" and not q.content]


def _effect(question: Question, classes: int, tests: int) -> float:
    return smallest_effect(question.tested, tests, values=question.distinct, classes=classes)
