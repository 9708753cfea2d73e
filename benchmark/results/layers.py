"""Where in a network: scores over depth, semantics beside them, and where a trace is least at equal semantics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.judgement import MARGIN, least_output
from benchmark.results.questions import Metric, Questions, score_label
from benchmark.results.schema import OutputScores, Result, Score
from benchmark.results.tables import interval, markdown_table, percent

WHOLE_VIEW = ("cls", "mean", "max", "gem")
"""Poolings of the whole picture, whose scores are drawn over depth; regions are drawn as maps."""

PART = re.compile(r"(grid|patch)(?:\[(\d{1,2})\])?-(\d{1,2})-(\d{1,2})")
"""Poolings of one of so many parts of a side, by row and column; 4 by default."""


@dataclass(frozen=True)
class Point:
    """One output on a curve."""

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
    by_pooling: dict[str, list[Point]]
    """By layer."""
    final: Score | None
    """Of the embedding."""


def depth_curves(result: Result, questions: Questions) -> list[DepthCurves]:
    """The curves of every question that outputs were scored on: its traces, and the accuracy of plain kNN (``SP``)."""
    found = []
    for task, metric in asked_of_outputs(result, questions):
        curves: dict[str, list[Point]] = {}
        for output in result.outputs:
            score = score_of(output.scores, task, metric.name)
            if score is not None and output.pooling in WHOLE_VIEW:
                curves.setdefault(output.pooling, []).append(Point(output, score))
        for points in curves.values():
            points.sort(key=lambda point: point.depth)
        if curves:
            found.append(DepthCurves(task, metric, curves, score_of(result.scores, task, metric.name)))
    return found


def semantics(curves: Sequence[DepthCurves]) -> DepthCurves | None:
    """The curves of plain kNN among them."""
    return next((one for one in curves if one.metric.summary == "SP"), None)


def traces(curves: Sequence[DepthCurves]) -> list[DepthCurves]:
    """The others."""
    return [one for one in curves if one.metric.summary != "SP"]


@dataclass(frozen=True)
class Least:
    """The output with the least trace among those that know the content as well as the embedding does."""

    output: OutputScores
    score: Score
    semantics: Score
    final: Score
    final_semantics: Score
    candidates: int
    """Outputs with equal semantics, of which it is the least."""
    outputs: int


def least_trace(curves: DepthCurves, content: DepthCurves | None) -> Least | None:
    """Where a trace is least at equal semantics (``MARGIN``); None where nothing is less than on the embedding, or it
    is not known."""
    if content is None or content.final is None or curves.final is None:
        return None
    known = {p.output.name: p.score for points in content.by_pooling.values() for p in points}
    points = [p for own in curves.by_pooling.values() for p in own if p.output.name in known]
    accuracies = [known[p.output.name].value for p in points]
    found = least_output([p.score.value for p in points], accuracies, curves.final.value, content.final.value)
    if found is None:
        return None
    best = points[found.index]
    of_content = known[best.output.name]
    return Least(best.output, best.score, of_content, curves.final, content.final, found.candidates, len(points))


def least_told(least: Least, label: str) -> str:
    """In one sentence."""
    change = least.semantics.value - least.final_semantics.value
    signed = least.score.value < 0 or least.final.value < 0
    return (
        f"{label} is least at equal semantics in {least.output.title}: {percent(least.score.value, signed)} % "
        f"({interval(least.score.low, least.score.high, signed)}) instead of {percent(least.final.value, signed)} % "
        f"({interval(least.final.low, least.final.high, signed)}), at {percent(change, True)} points of kNN accuracy "
        f"(n = {least.score.n} and {least.semantics.n})."
    )


def layers_text(result: Result, questions: Questions) -> str:
    """The outputs of a result as a table with its sentences; empty where none was scored."""
    if not result.outputs:
        return ""
    asked = list(asked_of_outputs(result, questions))
    whole = [output for output in result.outputs if not PART.fullmatch(output.pooling)]
    rows = [[o.title, str(o.dimension), *_cells(o.scores, asked)] for o in whole]
    dimension = str(result.encoder.get("dimension", ""))
    rows.append(["final, the embedding", dimension, *_cells(result.scores, asked)])
    header = ["output", "numbers", *(score_label(task, metric, questions) + ", %" for task, metric in asked)]
    parts = ["Over the depth of the network, on the same photos:", markdown_table(header, rows)] if whole else []
    curves = depth_curves(result, questions)
    content = semantics(curves)
    told = []
    for one in traces(curves):
        least = least_trace(one, content)
        label = score_label(one.task, one.metric, questions)
        if least is not None:
            told.append(f"**{least_told(least, label)}**")
        elif content is not None and one.final is not None:
            told.append(f"{label}: no output has less of it than the embedding at equal semantics.")
    if told:
        compared = sum(output.pooling in WHOLE_VIEW for output in whole)
        told.append(
            f"Equal semantics: plain kNN accuracy at most {100 * MARGIN:g} point below the embedding's. The least of "
            f"{compared} outputs on these photos flatters itself: score it on others before you use it."
        )
    read = " ".join(dict.fromkeys(f"Read by {output.read}." for output in result.outputs))
    return "\n\n".join([*parts, *told, read])


def asked_of_outputs(result: Result, questions: Questions) -> Iterator[tuple[str, Metric]]:
    """The questions that outputs answered, with the metrics that are traces or plain kNN, in the order of reports."""
    there = {(s.task, s.metric) for output in result.outputs for s in output.scores}
    for task, question in questions.items():
        for metric in question.metrics:
            traced = metric.kind != "accuracy" and metric.main
            if (task, metric.name) in there and (traced or metric.summary == "SP"):
                yield task, metric


def _cells(scores: Sequence[Score], asked: Sequence[tuple[str, Metric]]) -> list[str]:
    cells = []
    for task, metric in asked:
        score = score_of(scores, task, metric.name)
        signed = metric.signed
        cells.append(
            f"{percent(score.value, signed)} ({interval(score.low, score.high, signed)})" if score is not None else ""
        )
    return cells


def score_of(scores: Sequence[Score], task: str, metric: str) -> Score | None:
    return next((s for s in scores if (s.task, s.metric) == (task, metric)), None)
