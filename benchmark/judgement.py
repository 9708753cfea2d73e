"""Is a trace there: the only module that compares a score with chance, or a p-value with a level.

Reports, figures, erasers' cards and the leaderboard show what these functions return. The rules are arguments, whose
defaults are the rules of a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from benchmark.results import Questions, Result, metric_of
from benchmark.stats import EffectSize, effect_size, holm

Trace = Literal["readable", "weak", "none"]
"""``none``: not told from chance; ``weak``: above chance, but by less than ``WEAK_BELOW``; ``readable``: by more."""

LEVEL = 0.05
"""Of a corrected p-value, and of the permutation test's."""

WEAK_BELOW = 0.05
"""Share of the way from chance to 1. Photos that are each asked in many views can tell 17.0 % from 16.7 %, which is no
trace to speak of."""

MARGIN = 0.01
"""Semantics are called equal where plain kNN is right for at most so much less of the photos than on the embedding."""

MATTERS = 1 / 3
"""Of the half width of the interval of test photos: a margin of train photos above it is stated."""

NORMAL = 1.959964
"""Standard deviations of a normal variable between which 95 % of it lie."""


class Judged(Protocol):
    """A score with its interval, as results have it."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def chance(self) -> float: ...
    @property
    def details(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Verdict:
    """What one probe says about its trace."""

    chance: float
    """What a guess gets: one over the number of classes, or the share of the most frequent class where that is more."""
    effect: EffectSize | None
    """The share of the way from ``chance`` to 1; ``None`` where chance is 1."""
    p_value: float | None
    """Of no better than chance, after Holm's correction over the probes judged together; ``None`` in older results."""
    trace: Trace
    most_frequent: bool = False
    """Whether ``chance`` is the share of the most frequent class."""


def chance_of(score: Judged) -> float:
    """What a guess gets: always the most frequent class, where that is right oftener than one over the classes.

    >>> from types import SimpleNamespace
    >>> chance_of(SimpleNamespace(chance=0.5, details={"most_frequent_class": 0.7}))
    0.7
    """
    return max(score.chance, float(score.details.get("most_frequent_class", 0.0)))


def judged(scores: Sequence[Judged], *, level: float = LEVEL, weak_below: float = WEAK_BELOW) -> list[Verdict]:
    """The verdicts on scores that are asked together, in order.

    Above chance is decided by ``details["p_chance"]`` (``benchmark.stats.against_chance`` over the test photos), which
    Holm corrects over all these scores. Where the task has a permutation test (shuffled labels), its p-value is a
    second condition: it asks another question, so it is not of Holm's family. A score without ``p_chance`` falls back
    to its interval lying above chance.

    Args:
        scores: of one result, for example.
        level: of the corrected p-value, and of the permutation test's.
        weak_below: share of the way from chance to 1 below which a trace is weak.
    """
    tested = [score for score in scores if "p_chance" in score.details]
    corrected = holm([float(score.details["p_chance"]) for score in tested])
    p_values = {id(score): float(p) for score, p in zip(tested, corrected, strict=True)}
    return [_verdict(score, p_values.get(id(score)), level, weak_below) for score in scores]


def _verdict(score: Judged, p_value: float | None, level: float, weak_below: float) -> Verdict:
    chance = chance_of(score)
    effect = effect_size(score.value, score.low, score.high, chance) if chance < 1 else None
    shuffled = score.details.get("controls", {}).get("shuffled", {})
    above = score.low > score.chance if p_value is None else p_value < level
    most_frequent = chance > score.chance
    if effect is None or not above or shuffled.get("p_value", 0.0) > level:
        return Verdict(chance, effect, p_value, "none", most_frequent)
    return Verdict(chance, effect, p_value, "weak" if effect.value < weak_below else "readable", most_frequent)


def still_read(low: float, chance: float) -> bool:
    """Whether a trace is still read after erasing: its interval does not reach down to chance.

    >>> still_read(0.18, 1 / 6), still_read(0.16, 1 / 6)
    (True, False)
    """
    return low > chance


def chance_flag(low: float, high: float, chance: float, *, trace: bool, guess: float | None = None) -> str:
    """What a board says of an interval: ``below-chance``; of a trace that reaches down to it ``at-chance``; or nothing.

    Args:
        low, high: the interval.
        chance: that the column shows, one over the number of classes.
        trace: whether it is the score of a trace.
        guess: what a trace has to be above (``chance_of``); None for ``chance``. An interval between the two is not
            below what the column shows, and cannot be told from a guess.

    >>> chance_flag(0.1, 0.15, 0.2, trace=False), chance_flag(0.1, 0.3, 0.2, trace=True)
    ('below-chance', 'at-chance')
    >>> chance_flag(0.1, 0.3, 0.2, trace=False), chance_flag(0.3, 0.4, 0.2, trace=True)
    ('', '')
    >>> chance_flag(0.3, 0.4, 0.2, trace=True, guess=0.5)
    'at-chance'
    """
    if high < chance:
        return "below-chance"
    return "at-chance" if trace and low <= (chance if guess is None else guess) else ""


def is_positive(difference: Judged) -> bool:
    """Whether a difference is above its chance, which is 0: its interval does not reach down to it."""
    return difference.low > 0


def is_significant(p_value: float, *, level: float = LEVEL) -> bool:
    """Whether a p-value, corrected where several are asked together, is below a level.

    >>> is_significant(0.049), is_significant(0.049, level=0.01)
    (True, False)
    """
    return bool(p_value < level)


def is_confounded(p_value: float, effect: float, *, level: float, smallest: float) -> bool:
    """Whether an audit flags a question: significant, and by no smaller an effect than ``smallest``."""
    return is_significant(p_value, level=level) and bool(effect >= smallest)


@dataclass(frozen=True)
class LeastOutput:
    """The output with the least trace among those that know the content as well as the embedding does."""

    index: int
    candidates: int
    """Outputs with equal semantics, of which it is the least."""


def least_output(
    traces: Sequence[float], semantics: Sequence[float], final: float, final_semantics: float, *, margin: float = MARGIN
) -> LeastOutput | None:
    """Where a trace is least at equal semantics; None where nothing is less than on the embedding.

    Args:
        traces: [outputs], the score of the trace, or a difference, of which the size counts.
        semantics: [outputs], accuracy of plain kNN.
        final, final_semantics: of the embedding.
        margin: how much less accurate equal semantics may be.

    >>> least_output([0.5, 0.3, 0.2], [0.9, 0.895, 0.5], 0.4, 0.9)
    LeastOutput(index=1, candidates=2)
    """
    equal = [i for i, accuracy in enumerate(semantics) if accuracy >= final_semantics - margin - 1e-12]
    if not equal:
        return None
    best = min(equal, key=lambda i: abs(traces[i]))
    return None if abs(traces[best]) >= abs(final) else LeastOutput(best, len(equal))


def training_margin(score: Judged) -> float | None:
    """Within which 95 % of probes of other train photos lie, plus or minus; None where it does not matter.

    It matters where it is more than a third of what the test photos leave open.

    >>> from types import SimpleNamespace
    >>> details = {"training_spread": {"deviation": 0.01}}
    >>> round(training_margin(SimpleNamespace(low=0.45, high=0.55, details=details)), 4)
    0.0196
    """
    found = score.details.get("training_spread")
    if not isinstance(found, Mapping):
        return None
    margin = NORMAL * float(found["deviation"])
    return margin if margin > MATTERS * (score.high - score.low) / 2 else None


def at_least(score: Judged) -> bool:
    """Whether the accuracy still rose with the last part of the train photos, as its probe found."""
    curve = score.details.get("learning_curve")
    return isinstance(curve, Mapping) and bool(curve and curve["rises"])


def verdicts(result: Result, questions: Questions) -> dict[tuple[str, str], Verdict]:
    """The verdict on every main trace of a result, by task and metric; their p-values are corrected together."""
    scores = [s for s in result.scores if (m := metric_of(questions, s.task, s.metric)).main and m.kind == "trace"]
    return {(s.task, s.metric): verdict for s, verdict in zip(scores, judged(scores), strict=True)}
