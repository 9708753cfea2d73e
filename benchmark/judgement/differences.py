"""Differences: what processing moves, extremes against jitter, and two runs on the same photos."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, Protocol

from benchmark.judgement.deciding import LEVEL, Comparison, Decision, decide
from benchmark.judgement.scores import units_of
from benchmark.judgement.traces import POINT
from benchmark.results import Questions, Result, Score, metric_of

JITTER = "jitter"
"""Detail of a score that is an extreme over processings: the same extreme over jitters of equal size (``value``,
``low``, ``high``, ``jitters``), and how much further processing goes (``beyond``, paired by photo). ``queries`` and
``units`` are those of a sample of the queries."""


class DifferenceLike(Protocol):
    """A paired difference, such as ``benchmark.stats.Difference``."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def p_value(self) -> float: ...
    @property
    def units(self) -> int: ...


def decide_differences(
    differences: Sequence[DifferenceLike], families: Sequence[Hashable], *, bound: float = POINT
) -> list[Decision]:
    """Whether paired differences are there, in their order.

    *Yes*: there is a difference, on the side of its value. *No*: it is shown to be smaller than ``bound`` on both
    sides.

    Args:
        differences: with two-sided p-values.
        families: the family of each; each family is corrected by itself.
        bound: below which a difference counts as none.
    """
    decisions: dict[int, Decision] = {}
    for family in dict.fromkeys(families):
        at = [i for i, other in enumerate(families) if other == family]
        members = [_compared(differences[i], bound) for i in at]
        decisions.update(zip(at, decide(members), strict=True))
    return [decisions[i] for i in range(len(differences))]


def _compared(d: DifferenceLike, bound: float) -> Comparison:
    return Comparison(d.value, d.low, d.high, d.units, bound, p_value=d.p_value, two_sided=True)


LossJudgement = Literal["worse", "not worse", "undecided"]
"""Whether a loss exceeds a margin."""


def judge_loss(low: float, high: float, margin: float) -> LossJudgement:
    """Whether a loss exceeds a margin, from its interval.

    Correct the interval for the number of losses that are judged together (``loss_level``).

    >>> [judge_loss(*ends, 0.02) for ends in ((0.03, 0.05), (-0.01, 0.02), (0.01, 0.03))]
    ['worse', 'not worse', 'undecided']
    """
    return "worse" if low > margin else "not worse" if high <= margin else "undecided"


def loss_level(count: int, *, level: float = LEVEL) -> float:
    """Coverage of each of ``count`` intervals so that all of their lower ends hold together (Bonferroni).

    Each end alone fails with probability ``level / count``, so that the probability that ``judge_loss`` finds any loss
    where none exceeds the margin is at most ``level``.

    >>> loss_level(1), loss_level(4)
    (0.9, 0.975)
    """
    return 1 - 2 * level / count


def moves(result: Result, questions: Questions) -> dict[tuple[str, str], Decision]:
    """Whether processing, or the camera, moves neighbours: the signed differences of a result, by task and metric.

    They are one family. *Yes* also needs every rule for ties to give the same sign; *no* is a difference that is shown
    to be smaller than a point.
    """
    scores = [s for s in result.scores if metric_of(questions, s.task, s.metric).if_positive]
    decisions = decide([_move(score) for score in scores])
    return {(s.task, s.metric): decision for s, decision in zip(scores, decisions, strict=True)}


def _move(score: Score) -> Comparison:
    ties = score.details.get("ties")
    choices = (float(ties["least"]), float(ties["greatest"])) if isinstance(ties, Mapping) else None
    ends = (score.value, score.low, score.high)
    return Comparison(*ends, units=units_of(score), bound=POINT, two_sided=True, choices=choices)


def jitter_of(score: Score) -> Mapping[str, Any] | None:
    """``details["jitter"]``, or None."""
    jitter = score.details.get(JITTER)
    return jitter if isinstance(jitter, Mapping) else None


def extremes(result: Result) -> dict[tuple[str, str], Decision]:
    """Whether an extreme over processings goes further than the same extreme over jitters, by task and metric.

    A minimum over 14 draws is low whatever is drawn. All extremes of a result that have jitters are one family.
    """
    scores = [s for s in result.scores if jitter_of(s) is not None]
    decisions = decide([_beyond(score) for score in scores])
    return {(s.task, s.metric): decision for s, decision in zip(scores, decisions, strict=True)}


def _beyond(score: Score) -> Comparison:
    jitter = jitter_of(score) or {}
    value, low, high, p = (float(jitter["beyond"][name]) for name in ("value", "low", "high", "p_value"))
    units = min(units_of(score), float(jitter.get("units", score.n)))  # of a sample of the queries
    return Comparison(value, low, high, units, POINT, p_value=p / 2 if value > 0 else 1 - p / 2)
