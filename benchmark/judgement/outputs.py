"""Outputs of a network: curves over depth, and whether one has less of a trace than the embedding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmark.judgement.deciding import Answer, Comparison, decide, p_of_less, p_of_more
from benchmark.judgement.scores import chance_of, find_score, units_of
from benchmark.judgement.traces import POINT, WEAK_BELOW
from benchmark.results import Metric, OutputScores, Questions, Result, Score, in_order
from benchmark.stats import Ends, independent_difference

MARGIN = POINT
"""Semantics are equal where the accuracy of plain kNN is shown to lie less than this below that of the embedding."""

WHOLE_VIEW = ("cls", "mean", "max", "gem")
"""Poolings of the whole picture: their scores form curves over depth. Poolings of regions form maps."""

AGAINST_FINAL = "against_final"
"""Detail of an output's score: output minus embedding, paired by photo (``value``, ``low``, ``high``, ``p_value``)."""


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


def output_questions(result: Result, questions: Questions) -> Iterator[tuple[str, Metric]]:
    """Tasks that outputs were scored on, with each metric that is a trace or plain kNN, in the order of reports."""
    scored = dict.fromkeys((s.task, s.metric) for output in result.outputs for s in output.scores)
    for task in in_order((task for task, _ in scored), questions):
        for metric in questions[task].metrics if task in questions else ():
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


@dataclass(frozen=True)
class Candidate:
    """An output with its score of a trace and of plain kNN."""

    output: OutputScores
    score: Score
    semantics: Score


@dataclass(frozen=True)
class OutputChoice:
    """Whether any output has less of a trace than the embedding, at the semantics of the embedding."""

    task: str
    metric: Metric
    answer: Answer
    final: Score
    final_semantics: Score
    best: Candidate | None
    """Of the outputs that are shown to have less at equal semantics, the one with the least; None if there is none."""
    less: int
    """Number of outputs that are shown to have less of the trace, whatever their semantics."""
    outputs: int
    """Number of outputs that were compared."""
    family: int
    """Number of comparisons that were decided together: outputs, of all traces."""
    bound: float
    """*No*: every output is shown to have less of the trace by less than this, or to have worse semantics."""
    p_value: float
    """Least of the corrected p-values."""


def choose_outputs(result: Result, questions: Questions) -> list[OutputChoice]:
    """For each trace, whether an output has less of it than the embedding at equal semantics (``MARGIN``).

    Every output with both scores is a candidate, those of regions too. An output needs two proofs: less of the trace,
    and plain kNN not worse by ``MARGIN``. All outputs of all traces are one family, so that choosing among many equal
    ones finds a winner in 5 % of cases at most.
    """
    kinds = list(output_questions(result, questions))
    plain = next((key for key in kinds if key[1].summary == "SP"), None)
    if plain is None or (final_semantics := find_score(result.scores, plain[0], plain[1].name)) is None:
        return []
    traces: list[tuple[str, Metric, Score, list[Candidate]]] = []
    for task, metric in kinds:
        final = find_score(result.scores, task, metric.name)
        if metric.summary != "SP" and final is not None:
            traces.append((task, metric, final, _candidates(result, task, metric, plain[0], plain[1])))
    pairs = [
        (_less(c.score, final, metric), _worse(c.semantics, final_semantics))
        for _, metric, final, candidates in traces
        for c in candidates
    ]
    chosen = iter(
        zip(
            decide([_both(less, worse) for less, worse in pairs]),
            decide([less for less, _ in pairs]),
            strict=True,
        )
    )
    choices = []
    for task, metric, final, candidates in traces:
        decisions = [(c, *next(chosen)) for c in candidates]
        if not decisions:
            continue
        yes = [c for c, both, _ in decisions if both.answer == "yes"]
        is_no = all(both.answer == "no" for _, both, _ in decisions)
        choices.append(
            OutputChoice(
                task,
                metric,
                "yes" if yes else "no" if is_no else "undecided",
                final,
                final_semantics,
                min(yes, key=lambda c: abs(c.score.value), default=None),
                sum(less.answer == "yes" for _, _, less in decisions),
                len(decisions),
                len(pairs),
                decisions[0][1].bound,
                min(both.p_value for _, both, _ in decisions),
            )
        )
    return choices


def _candidates(result: Result, task: str, metric: Metric, plain_task: str, plain: Metric) -> list[Candidate]:
    candidates = []
    for output in result.outputs:
        score = find_score(output.scores, task, metric.name)
        semantics = find_score(output.scores, plain_task, plain.name)
        if score is not None and semantics is not None:
            candidates.append(Candidate(output, score, semantics))
    return candidates


def _both(less: Comparison, worse: Comparison) -> Comparison:
    """*Yes*: less of the trace, and not worse by the margin. *No*: not less by the bound, or worse by the margin."""
    beyond = Comparison(worse.value, worse.low, worse.high, worse.units, 0.0, reference=worse.bound)
    return Comparison(
        *(less.value, less.low, less.high, less.units, less.bound),
        p_value=p_of_more(less),
        needed=p_of_less(worse),
        excused=p_of_more(beyond),
    )


def _less(score: Score, final: Score, metric: Metric) -> Comparison:
    """How much less of a trace an output has than the embedding; of differences the size counts."""
    bound = POINT if metric.signed else WEAK_BELOW * (1 - chance_of(final))
    return _drop(score, final, bound)


def _worse(score: Score, final: Score) -> Comparison:
    """By how much the plain kNN of an output is worse than that of the embedding."""
    return _drop(score, final, MARGIN)


def _drop(score: Score, final: Score, bound: float) -> Comparison:
    """Size of the embedding's score minus size of the output's.

    Paired by photo where the result has the paired difference and both have one sign; else from the two intervals as
    if they were independent, which makes the interval too long, since both are of the same photos.
    """
    sign = -1.0 if final.value < 0 else 1.0
    units = min(units_of(score), units_of(final))
    paired = score.details.get(AGAINST_FINAL)
    if isinstance(paired, Mapping) and score.value * sign >= 0:
        value, low, high = (float(paired[name]) for name in ("value", "low", "high"))
        low, high = (-high, -low) if sign > 0 else (low, high)
        return Comparison(-sign * value, low, high, units, bound)
    first, second = (_size(s) for s in (final, score))
    ends = independent_difference(abs(final.value), first, abs(score.value), second)
    return Comparison(abs(final.value) - abs(score.value), ends.low, ends.high, units, bound)


def _size(score: Score) -> Ends:
    """Interval of the size of a score, on its side of zero."""
    return Ends(score.low, score.high) if score.value >= 0 else Ends(-score.high, -score.low)
