"""All statements of judgement about one result, as data and as sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.judgement.deciding import Answer, Decision, Reason
from benchmark.judgement.differences import extremes, moves
from benchmark.judgement.outputs import choose_outputs
from benchmark.judgement.scores import units_of
from benchmark.judgement.traces import Trace, verdicts
from benchmark.judgement.words import extreme_text, move_text, output_text, trace_text
from benchmark.results import Questions, Result, Score, metric_of, score_label, subject_of

Kind = Literal["trace", "distraction", "detection", "extreme", "output"]
"""``trace``: can it be read; ``distraction``: does it move neighbours; ``detection``: what a detector of generated
photos rests on; ``extreme``: does processing that is chosen to mislead go further than jitter; ``output``: does an
output of the network have less of it at equal semantics."""


@dataclass(frozen=True)
class Statement:
    """One answer about one result, with its numbers and its sentence."""

    kind: Kind
    task: str
    metric: str
    subject: str
    """What it is about: ``jpeg``."""
    answer: Answer
    level: Trace | Literal[""]
    """Of traces: how strong; empty for other kinds."""
    value: float
    low: float
    high: float
    """Ends of the interval that decides: 95 %, corrected over the family, and over every rule for ties."""
    reference: float
    """Chance, or 0."""
    bound: float
    """*No* says that ``value`` lies above ``reference`` by less than this."""
    n: int
    """Number of photos."""
    units: float
    """Number of independent units."""
    p_value: float
    """Of "not above the reference", corrected over ``family`` comparisons."""
    p_absent: float
    """Of "above it by the bound or more", corrected."""
    family: int
    reason: Reason
    """Why it is undecided; empty where it is not, or where the interval holds both."""
    words: str
    """The sentence."""


def statements(result: Result, questions: Questions) -> tuple[Statement, ...]:
    """Every statement about a result, in the order of reports: traces, distractions, extremes, outputs.

    Traces of readers besides the main one are judged in the family, but are no statements.
    """
    made: list[Statement] = []
    judged, moved, further = verdicts(result, questions), moves(result, questions), extremes(result)
    for score in result.scores:
        key, metric = (score.task, score.metric), metric_of(questions, score.task, score.metric)
        if (verdict := judged.get(key)) and metric.main:
            words = trace_text(score, verdict)
            made.append(_statement("trace", score, verdict.decision, words, verdict.chance, verdict.trace))
        if decision := moved.get(key):
            kind: Kind = "detection" if is_detection(score.task, questions) else "distraction"
            made.append(_statement(kind, score, decision, move_text(score, metric, decision)))
        if decision := further.get(key):
            made.append(_statement("extreme", score, decision, extreme_text(score, metric, decision)))
    made.sort(key=lambda statement: _ORDER.index(statement.kind))
    for choice in choose_outputs(result, questions):
        label = score_label(choice.task, choice.metric, questions)
        score = choice.final if choice.best is None else choice.best.score
        decision = Decision(
            choice.answer,
            choice.p_value,
            1.0,
            False,
            choice.bound,
            units_of(score),
            choice.family,
            score.low,
            score.high,
        )
        made.append(_statement("output", score, decision, output_text(choice, label), choice.final.value))
    return tuple(made)


_ORDER: tuple[Kind, ...] = ("trace", "distraction", "detection", "extreme", "output")


def is_detection(task: str, questions: Questions) -> bool:
    """Whether a task is about generated photos."""
    return task in questions and questions[task].family.about == "detection"


def _statement(
    kind: Kind,
    score: Score,
    decision: Decision,
    words: str,
    reference: float = 0.0,
    level: Trace | Literal[""] = "",
) -> Statement:
    return Statement(
        kind,
        score.task,
        score.metric,
        subject_of(score.task),
        decision.answer,
        level,
        *(score.value, decision.low, decision.high),
        reference,
        decision.bound,
        score.n,
        decision.units,
        decision.p_value,
        decision.p_absent,
        decision.family,
        decision.reason,
        words,
    )
