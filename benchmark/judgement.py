"""Whether a trace is there, and where it is least: the only module that compares a score with chance or a p-value with
a level.

Reports, figures, cards of erasers and the leaderboard show what these functions return. The rules are arguments; their
defaults are the rules of a report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from benchmark.results import Metric, OutputScores, Questions, Result, Score, metric_of
from benchmark.stats import EffectSize, effect_size, holm

Trace = Literal["readable", "weak", "none"]
"""``none``: not above chance; ``weak``: above chance by less than ``WEAK_BELOW``; ``readable``: by more."""

LEVEL = 0.05
"""Level of corrected p-values, and of the permutation test."""

WEAK_BELOW = 0.05
"""Share of the way from chance to 1. With many views of each photo, 17.0 % is significantly above 16.7 %, but such a
trace has no practical weight."""

MARGIN = 0.01
"""Semantics are called equal where the accuracy of plain kNN lies at most this far below that of the embedding."""

MATTERS = 1 / 3
"""Share of the half width of the interval over test photos. A margin over train photos above it is stated."""

NORMAL = 1.959964
"""95 % of a normal variable lie within so many standard deviations of its mean."""

WHOLE_VIEW = ("cls", "mean", "max", "gem")
"""Poolings of the whole picture: their scores form curves over depth. Poolings of regions form maps."""


class ScoreLike(Protocol):
    """A score with its interval and its details, such as ``benchmark.results.Score``."""

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
    """Whether the trace of one probe is there, and how strong it is."""

    chance: float
    """Accuracy of a guess: one over the number of classes, or the share of the most frequent class where that is
    more."""
    effect: EffectSize | None
    """The share of the way from ``chance`` to 1; ``None`` where chance is 1."""
    p_value: float | None
    """Of "no better than chance", after Holm's correction over the probes judged together; ``None`` in older
    results."""
    trace: Trace
    most_frequent: bool = False
    """Whether ``chance`` is the share of the most frequent class."""


def chance_of(score: ScoreLike) -> float:
    """Accuracy of a guess: one over the classes, or the share of the most frequent class where that is more.

    >>> from types import SimpleNamespace
    >>> chance_of(SimpleNamespace(chance=0.5, details={"most_frequent_class": 0.7}))
    0.7
    """
    return max(score.chance, float(score.details.get("most_frequent_class", 0.0)))


def judge(scores: Sequence[ScoreLike], *, level: float = LEVEL, weak_below: float = WEAK_BELOW) -> list[Verdict]:
    """Verdicts on scores whose p-values are corrected together, in the order of the scores.

    ``details["p_chance"]`` (``benchmark.stats.against_chance`` over the test photos), after Holm's correction over all
    these scores, decides whether a score is above chance. Where the task has a permutation test (shuffled labels), its
    p-value is a second condition: it tests another hypothesis, so it is not part of Holm's family. For a score without
    ``p_chance`` the interval has to lie above chance.

    Args:
        scores: those of one result, for example.
        level: of the corrected p-value and of the permutation test.
        weak_below: share of the way from chance to 1 below which a trace is weak.
    """
    tested = [score for score in scores if "p_chance" in score.details]
    corrected = holm([float(score.details["p_chance"]) for score in tested])
    p_values = {id(score): float(p) for score, p in zip(tested, corrected, strict=True)}
    return [_verdict(score, p_values.get(id(score)), level, weak_below) for score in scores]


def _verdict(score: ScoreLike, p_value: float | None, level: float, weak_below: float) -> Verdict:
    chance = chance_of(score)
    effect = effect_size(score.value, score.low, score.high, chance) if chance < 1 else None
    shuffled = score.details.get("controls", {}).get("shuffled", {})
    above = score.low > score.chance if p_value is None else p_value < level
    most_frequent = chance > score.chance
    if effect is None or not above or shuffled.get("p_value", 0.0) > level:
        return Verdict(chance, effect, p_value, "none", most_frequent)
    return Verdict(chance, effect, p_value, "weak" if effect.value < weak_below else "readable", most_frequent)


def still_read(low: float, chance: float) -> bool:
    """Whether a trace is still read after erasing: its interval lies above chance.

    >>> still_read(0.18, 1 / 6), still_read(0.16, 1 / 6)
    (True, False)
    """
    return low > chance


def chance_flag(low: float, high: float, chance: float, *, trace: bool, guess: float | None = None) -> str:
    """Flag of an interval on a board: ``below-chance``, ``at-chance`` for a trace that is not above it, or empty.

    Args:
        low, high: the interval.
        chance: chance as the column shows it, one over the number of classes.
        trace: whether the score is that of a trace.
        guess: what a trace has to exceed (``chance_of``); None for ``chance``. An interval between the two gets
            ``at-chance``: it is not below what the column shows, and not distinguishable from a guess.

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


def is_positive(difference: ScoreLike) -> bool:
    """Whether the interval of a difference lies above 0, which is its chance."""
    return difference.low > 0


def is_significant(p_value: float, *, level: float = LEVEL) -> bool:
    """Whether a p-value is below a level; correct p-values of several tests before.

    >>> is_significant(0.049), is_significant(0.049, level=0.01)
    (True, False)
    """
    return bool(p_value < level)


def is_confounded(p_value: float, effect: float, *, level: float, smallest: float) -> bool:
    """Whether an audit flags a question: its p-value is significant, and its effect is ``smallest`` or more."""
    return is_significant(p_value, level=level) and bool(effect >= smallest)


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


@dataclass(frozen=True)
class LeastOutput:
    """Position of the output with the least trace among those with the semantics of the embedding."""

    index: int
    candidates: int
    """Number of outputs with equal semantics, this one included."""


def least_output(
    traces: Sequence[float], semantics: Sequence[float], final: float, final_semantics: float, *, margin: float = MARGIN
) -> LeastOutput | None:
    """Output whose trace is least at equal semantics; None where no such output has less than the embedding.

    Args:
        traces: [outputs], scores of the trace, or differences, whose size counts.
        semantics: [outputs], accuracies of plain kNN.
        final, final_semantics: the same scores of the embedding.
        margin: how far equal semantics may lie below those of the embedding.

    >>> least_output([0.5, 0.3, 0.2], [0.9, 0.895, 0.5], 0.4, 0.9)
    LeastOutput(index=1, candidates=2)
    """
    equal = [i for i, accuracy in enumerate(semantics) if accuracy >= final_semantics - margin - 1e-12]
    if not equal:
        return None
    best = min(equal, key=lambda i: abs(traces[i]))
    return None if abs(traces[best]) >= abs(final) else LeastOutput(best, len(equal))


@dataclass(frozen=True)
class CurvePoint:
    """One output on a curve over depth."""

    output: OutputScores
    score: Score

    @property
    def depth(self) -> float:
        """In (0, 1]."""
        return (self.output.layer + 1) / self.output.layers


@dataclass(frozen=True)
class DepthCurves:
    """One metric of one question over the depth of a network."""

    task: str
    metric: Metric
    by_pooling: dict[str, list[CurvePoint]]
    """Points in the order of layers."""
    final: Score | None
    """Score of the embedding."""

    @property
    def of_semantics(self) -> bool:
        """Whether the metric is the accuracy of plain kNN."""
        return self.metric.summary == "SP"


@dataclass(frozen=True)
class LeastTrace:
    """The output with the least trace among those with the semantics of the embedding."""

    output: OutputScores
    score: Score
    semantics: Score
    final: Score
    final_semantics: Score
    candidates: int
    """Number of outputs with equal semantics, this one included."""
    outputs: int
    """Number of outputs on the curves."""


def output_questions(result: Result, questions: Questions) -> Iterator[tuple[str, Metric]]:
    """Tasks that outputs were scored on, with each metric that is a trace or plain kNN, in the order of reports."""
    scored = {(s.task, s.metric) for output in result.outputs for s in output.scores}
    for task, question in questions.items():
        for metric in question.metrics:
            is_trace = metric.kind != "accuracy" and metric.main
            if (task, metric.name) in scored and (is_trace or metric.summary == "SP"):
                yield task, metric


def depth_curves(result: Result, questions: Questions) -> list[DepthCurves]:
    """The curves of every question that outputs were scored on: its traces, and the accuracy of plain kNN."""
    curves = []
    for task, metric in output_questions(result, questions):
        by_pooling: dict[str, list[CurvePoint]] = {}
        for output in result.outputs:
            score = find_score(output.scores, task, metric.name)
            if score is not None and output.pooling in WHOLE_VIEW:
                by_pooling.setdefault(output.pooling, []).append(CurvePoint(output, score))
        for points in by_pooling.values():
            points.sort(key=lambda point: point.depth)
        if by_pooling:
            curves.append(DepthCurves(task, metric, by_pooling, find_score(result.scores, task, metric.name)))
    return curves


def least_trace(curves: DepthCurves, semantics: DepthCurves | None) -> LeastTrace | None:
    """Output where a trace is least at equal semantics (``MARGIN``).

    None where no such output has less of it than the embedding, or where a score that decides it is absent.
    """
    if semantics is None or semantics.final is None or curves.final is None:
        return None
    accuracies = {p.output.name: p.score for points in semantics.by_pooling.values() for p in points}
    points = [p for line in curves.by_pooling.values() for p in line if p.output.name in accuracies]
    values = [p.score.value for p in points]
    equal = [accuracies[p.output.name].value for p in points]
    least = least_output(values, equal, curves.final.value, semantics.final.value)
    if least is None:
        return None
    best = points[least.index]
    content = accuracies[best.output.name]
    return LeastTrace(
        best.output, best.score, content, curves.final, semantics.final, least.candidates, outputs=len(points)
    )


def find_score(scores: Sequence[Score], task: str, metric: str) -> Score | None:
    """The score of a task and metric; None where there is none."""
    return next((s for s in scores if (s.task, s.metric) == (task, metric)), None)


def training_margin(score: ScoreLike) -> float | None:
    """Half width of the range of 95 % of probes with other train photos; None where it does not matter.

    It matters where it is more than a third of the half width of the interval over test photos.

    >>> from types import SimpleNamespace
    >>> details = {"training_spread": {"deviation": 0.01}}
    >>> round(training_margin(SimpleNamespace(low=0.45, high=0.55, details=details)), 4)
    0.0196
    """
    spread = score.details.get("training_spread")
    if not isinstance(spread, Mapping):
        return None
    margin = NORMAL * float(spread["deviation"])
    return margin if margin > MATTERS * (score.high - score.low) / 2 else None


def learning_curve(score: ScoreLike) -> Mapping[str, Any] | None:
    """``details["learning_curve"]``, or None."""
    curve = score.details.get("learning_curve")
    return curve if isinstance(curve, Mapping) else None


def at_least(score: ScoreLike) -> bool:
    """Whether the accuracy still rose when the last part of the train photos was added."""
    curve = learning_curve(score)
    return bool(curve and curve["rises"])


def verdicts(result: Result, questions: Questions) -> dict[tuple[str, str], Verdict]:
    """Verdict on every main trace of a result, by task and metric. Their p-values are corrected together."""
    scores = [s for s in result.scores if (m := metric_of(questions, s.task, s.metric)).main and m.kind == "trace"]
    return {(s.task, s.metric): verdict for s, verdict in zip(scores, judge(scores), strict=True)}
