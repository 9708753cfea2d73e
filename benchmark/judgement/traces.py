"""Whether traces are there: the scores of one result against chance, judged together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.judgement.deciding import LEVEL, Answer, Comparison, Decision, decide
from benchmark.judgement.scores import ScoreLike, chance_of, units_of
from benchmark.judgement.training import rising
from benchmark.results import MetricKind, Questions, Result, metric_of
from benchmark.stats import EffectSize, effect_size

Trace = Literal["readable", "weak", "none", "undecided"]
"""``readable``: above chance; ``weak``: above chance, and shown to be so by less than ``WEAK_BELOW`` of the way to 1;
``none``: shown to be less than that above chance; ``undecided``: none of these was shown."""

WEAK_BELOW = 0.05
"""Share of the way from chance to 1. With many views of each photo, 17.0 % is significantly above 16.7 %, but such a
trace has no practical weight. The same share is the bound below which a trace counts as absent."""

POINT = 0.01
"""Bound of a difference: one that is shown to be smaller than one point counts as absent."""


@dataclass(frozen=True)
class Verdict:
    """Whether one trace is there, and how strong it is."""

    trace: Trace
    chance: float
    """Accuracy of a guess: one over the number of classes, or the share of the most frequent class where that is
    more."""
    effect: EffectSize | None
    """The share of the way from ``chance`` to 1; ``None`` where chance is 1."""
    p_value: float | None
    """Of "no better than chance", after Holm's correction over the probes judged together; ``None`` in older results,
    whose interval decides."""
    most_frequent: bool
    """Whether ``chance`` is the share of the most frequent class."""
    decision: Decision
    rises: bool = False
    """Whether the accuracy still rose when the last part of the train photos was added."""

    @property
    def answer(self) -> Answer:
        """*yes* (``readable`` or ``weak``), *no* or *undecided*."""
        return self.decision.answer


def _against_guess(score: ScoreLike, *, bound: float = WEAK_BELOW) -> Comparison:
    """The comparison of an accuracy with a guess.

    Args:
        score: of a trace.
        bound: share of the way from chance to 1 below which a trace counts as absent.
    """
    chance = chance_of(score)
    p_value, shuffled = score.details.get("p_chance"), (score.details.get("controls") or {}).get("shuffled", {})
    return Comparison(
        *(score.value, score.low, score.high),
        units=units_of(score),
        bound=bound * (1 - chance),
        reference=chance,
        p_value=None if p_value is None else float(p_value),
        permuted=shuffled.get("p_value"),
        needed=float(score.details.get("p_within_label", 0.0)),
    )


def judge(scores: Sequence[ScoreLike], *, level: float = LEVEL, weak_below: float = WEAK_BELOW) -> list[Verdict]:
    """Verdicts on scores that are one family, in their order.

    ``details["p_chance"]`` (``benchmark.stats.against_chance`` over the test photos), or the interval where an older
    result has none, after Holm's correction over all these scores, decides whether a score is above chance. Where the
    task has a permutation test (shuffled labels), its p-value is a second condition.

    Args:
        scores: those of one result, for example.
        level: of corrected p-values and of the permutation test.
        weak_below: share of the way from chance to 1: a trace that is shown to be smaller is weak, or absent.
    """
    decisions = decide([_against_guess(score, bound=weak_below) for score in scores], level=level)
    return [
        _verdict(score, decision, rises, level)
        for score, decision, rises in zip(scores, decisions, rising(scores), strict=True)
    ]


def _verdict(score: ScoreLike, decision: Decision, rises: bool, level: float) -> Verdict:
    chance = chance_of(score)
    effect = effect_size(score.value, score.low, score.high, chance) if chance < 1 else None
    trace: Trace = "undecided" if decision.answer == "undecided" else "none"
    if decision.answer == "yes" and effect is not None:
        trace = "weak" if decision.p_absent < level else "readable"
    p_value = decision.p_value if "p_chance" in score.details else None
    return Verdict(trace, chance, effect, p_value, chance > score.chance, decision, rises and decision.answer == "yes")


def verdicts(result: Result, questions: Questions) -> dict[tuple[str, str], Verdict]:
    """Verdict on every trace of a result, by task and metric. All readers of all probes are one family."""
    scores = [s for s in result.scores if metric_of(questions, s.task, s.metric).kind == "trace"]
    return {(s.task, s.metric): verdict for s, verdict in zip(scores, judge(scores), strict=True)}


Flag = Literal["", "below-chance", "at-chance", "undecided"]
"""Flag of a cell on a board."""


def chance_flags(scores: Sequence[ScoreLike], kinds: Sequence[MetricKind]) -> list[Flag]:
    """Flags of the scores of one encoder on one photo set against chance, in their order.

    A trace is ``below-chance`` (of a guess between the classes), ``at-chance`` where the answer is *no*, and
    ``undecided``. An accuracy of the content can only be ``below-chance``. A difference has no flag.

    Args:
        scores: of one encoder on one photo set. All traces are one family, all accuracies another.
        kinds: of their metrics.

    >>> from types import SimpleNamespace
    >>> score = SimpleNamespace(value=0.3, low=0.2, high=0.4, n=100, chance=0.5, details={})
    >>> chance_flags([score], ["accuracy"]), chance_flags([score], ["difference"])
    (['below-chance'], [''])
    """
    flags: list[Flag] = [""] * len(scores)
    for kind in ("trace", "accuracy"):
        at = [i for i, k in enumerate(kinds) if k == kind]
        compared = [scores[i] for i in at]
        below = decide([Comparison(s.value, s.low, s.high, units_of(s), 0, s.chance) for s in compared])
        for i, decision, verdict in zip(at, below, judge(compared), strict=True):
            if decision.below:
                flags[i] = "below-chance"
            elif kind == "trace" and verdict.answer != "yes":
                flags[i] = "at-chance" if verdict.answer == "no" else "undecided"
    return flags
