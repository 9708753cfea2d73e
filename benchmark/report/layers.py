"""Where in a network: scores over depth, semantics beside them, and where a trace is least at equal semantics."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.encoders import grid_cell
from benchmark.judgement import MARGIN, least_output
from benchmark.report.tables import interval, markdown_table, percent
from benchmark.results import Metric, OutputScores, Questions, Result, Score, score_label

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
    for task, metric in output_questions(result, questions):
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
    asked = list(output_questions(result, questions))
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


def output_questions(result: Result, questions: Questions) -> Iterator[tuple[str, Metric]]:
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


@dataclass(frozen=True)
class RegionMap:
    """One metric of one question by part of the picture, at one layer."""

    task: str
    metric: Metric
    layer: int
    kind: str
    """``block`` or ``stage``."""
    single: bool
    """Each part is read from one patch, not from the mean of its patches."""
    scores: tuple[tuple[Score | None, ...], ...]
    """By row and column; None where a part was not asked."""
    beside: tuple[tuple[str, Score], ...]
    """Of ``border`` and ``centre``, where they were scored, the ``mean`` of all patches, and the embedding."""

    @property
    def known(self) -> list[Score]:
        """Of all parts that were asked."""
        return [score for row in self.scores for score in row if score is not None]

    @property
    def values(self) -> np.ndarray:
        """[rows, columns]; NaN where a part was not asked."""
        return np.array([[score.value if score is not None else np.nan for score in row] for row in self.scores])

    def title(self, questions: Questions) -> str:
        """As people read it."""
        read = "one patch of each part" if self.single else "the mean of each part"
        counts = " or ".join(f"{n:,}" for n in sorted({score.n for score in self.known}))
        label = score_label(self.task, self.metric, questions)
        return f"{label} from {read}, {self.kind} {self.layer}, n = {counts}"


def region_maps(result: Result, questions: Questions) -> list[RegionMap]:
    """The maps of every question that parts of the picture were scored on: its traces, and plain kNN."""
    found = []
    cells = {output.pooling: cell for output in result.outputs if (cell := grid_cell(output.pooling)) is not None}
    asked = (output for output in result.outputs if output.pooling in cells)
    places = dict.fromkeys((o.layer, cells[o.pooling].single, cells[o.pooling].parts) for o in asked)
    for layer, single, parts in places:
        own = {o.pooling: o for o in result.outputs if o.layer == layer}
        for task, metric in output_questions(result, questions):
            table: list[list[Score | None]] = [[None] * parts for _ in range(parts)]
            for pooling, output in own.items():
                cell = cells.get(pooling)
                if cell is not None and (cell.single, cell.parts) == (single, parts):
                    table[cell.row][cell.column] = score_of(output.scores, task, metric.name)
            regions = [p for p in ("border", "centre", "mean") if p in own]
            beside: list[tuple[str, Score | None]] = [(p, score_of(own[p].scores, task, metric.name)) for p in regions]
            beside.append(("the embedding", score_of(result.scores, task, metric.name)))
            if any(score is not None for row in table for score in row):
                kind = next(iter(own.values())).title.partition(" ")[0]
                scores, told = tuple(map(tuple, table)), tuple((name, s) for name, s in beside if s is not None)
                found.append(RegionMap(task, metric, layer, kind, single, scores, told))
    return found


def maps_text(result: Result, questions: Questions) -> str:
    """A table for each map, from the top left of the picture; empty where no parts were scored."""
    parts = []
    for one in region_maps(result, questions):
        signed = one.metric.signed
        header = ["row", *(f"column {i}" for i in range(len(one.scores)))]
        rows = [[str(i), *(_map_text(score, signed) for score in row)] for i, row in enumerate(one.scores)]
        chance = "" if signed else f" Chance is {percent(one.known[0].chance)}."
        others = "; ".join(f"{name} {_map_text(score, signed)}" for name, score in one.beside)
        told = f"Each part is read alone, with its 95 % interval.{chance}" + (
            f" Beside it: {others}." if others else ""
        )
        parts.append(f"**{one.title(questions)}, %**\n\n{markdown_table(header, rows)}\n\n{told}")
    return "\n\n".join(parts)


def _map_text(score: Score | None, signed: bool) -> str:
    if score is None:
        return ""
    return f"{percent(score.value, signed)} ({interval(score.low, score.high, signed)})"


def draw_map(ax: Any, one: RegionMap, title: str) -> None:
    """A map over the picture: each part with its score and, where there is room, its 95 % interval.

    Colours run from chance, or the least score, to the highest end of an interval, over ``LEAST_SPAN`` at least: noise
    does not look like more.
    """
    values = 100 * one.values
    known = one.known
    chance = 100 * known[0].chance
    most = max(100 * score.high for score in known)
    least = min(chance, min(100 * score.value for score in known))
    image = ax.imshow(values, cmap="cividis", interpolation="nearest", vmin=least, vmax=max(most, least + LEAST_SPAN))
    parts = len(values)
    for (row, column), value in np.ndenumerate(values):
        score = one.scores[row][column]
        if score is not None and parts <= 8:
            colour = "white" if image.norm(value) < 0.55 else "black"
            text = f"{value:.0f}" + (f"\n{100 * score.low:.0f} to {100 * score.high:.0f}" if parts <= GRID_TOLD else "")
            ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=8 if parts <= GRID_TOLD else 7)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9)
    if not one.metric.signed:
        bar.ax.axhline(chance, color="#d55e00", linewidth=2)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title, fontsize=9, loc="left")
    ax.set_xlabel("\n".join(_line_labels(one, chance)), fontsize=8)


LEAST_SPAN = 10
"""Points that the colours of a map span at least."""

GRID_TOLD = 5
"""Parts of a side up to which intervals are written into them."""


def _line_labels(one: RegionMap, chance: float) -> list[str]:
    told = [f"{name} {100 * s.value:.0f} ({100 * s.low:.0f} to {100 * s.high:.0f})" for name, s in one.beside]
    ends = "with 95 % intervals" if len(one.scores) <= GRID_TOLD else "95 % intervals are in the report's tables"
    first = f"points, {ends}" if one.metric.signed else f"%, {ends}; chance {chance:.1f}"
    return [first, "; ".join(told)] if told else [first]


def map_panels(result: Result, questions: Questions) -> list[tuple[float, Any]]:
    """(inches, function that draws into axes) of every map."""
    return [
        (4.2, lambda ax, _, one=one: draw_map(ax, one, one.title(questions)))
        for one in _drawn(region_maps(result, questions))
    ]


def _drawn(maps: Sequence[RegionMap]) -> list[RegionMap]:
    """Traces; plain kNN where nothing else was asked."""
    return [one for one in maps if one.metric.summary != "SP"] or list(maps)


COLOURS = {"cls": "#0072B2", "mean": "#D55E00", "max": "#009E73", "gem": "#CC79A7"}
"""By pooling, of Okabe and Ito's palette."""

MARKS = {"cls": "o", "mean": "s", "max": "^", "gem": "D"}

TITLES = {"cls": "class token", "mean": "mean of patches", "max": "maximum", "gem": "GeM"}

_GREY = "#6b6b6b"


def draw_depth(ax: Any, curves: DepthCurves, content: DepthCurves | None, label: str) -> None:
    """One metric over depth with 95 % intervals; the embedding's as a line across; plain kNN in grey."""
    if content is not None:
        for pooling, points in content.by_pooling.items():
            known = np.array([[p.output.layer, 100 * p.score.value] for p in points])
            ax.plot(
                known[:, 0],
                known[:, 1],
                color=_GREY,
                marker=MARKS[pooling],
                markersize=3,
                linewidth=0.9,
                linestyle=":",
                zorder=1,
            )
        ax.plot([], [], color=_GREY, linewidth=0.9, linestyle=":", label="plain kNN accuracy, %")
    for pooling, points in curves.by_pooling.items():
        x = [p.output.layer for p in points]
        y, low, high = (np.array([100 * getattr(p.score, n) for p in points]) for n in ("value", "low", "high"))
        colour = COLOURS[pooling]
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
        if len(x) == 1:
            ax.errorbar(x, y, [y - low, high - y], color=colour, capsize=2, linestyle="none")
        ax.plot(x, y, color=colour, marker=MARKS[pooling], markersize=4, linewidth=1.4, label=TITLES[pooling], zorder=3)
    first = next(iter(curves.by_pooling.values()))[0].output
    _embedding(ax, curves, content, first.layers)
    ax.set_xlim(-0.4, first.layers + 0.5)
    step = max(1, first.layers // 8)
    ticks = list(range(0, first.layers, step))
    ax.set_xticks([*ticks, first.layers], [*map(str, ticks), "final"])
    kind = first.title.partition(" ")[0]
    ax.set_xlabel(f"{kind} (from 0; bands: 95 % intervals)")
    ax.set_ylabel("points" if curves.metric.signed else "%")
    ax.set_title(f"{label} over depth, n = {_counts(curves)}", fontsize=9, loc="left")
    ax.grid(axis="y", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    style = {"fontsize": 7.5, "frameon": False, "ncols": 4, "columnspacing": 1.2}
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.19), **style)


def _embedding(ax: Any, curves: DepthCurves, content: DepthCurves | None, at: int) -> None:
    """The embedding's own scores at the right end, and chance across."""
    if curves.final is not None:
        value, low, high = (100 * n for n in (curves.final.value, curves.final.low, curves.final.high))
        error = [[max(0, value - low)], [max(0, high - value)]]
        ax.errorbar([at], [value], error, fmt="*", color="black", markersize=8, capsize=2, label="final", zorder=4)
    if content is not None and content.final is not None:
        ax.plot([at], [100 * content.final.value], marker="*", color=_GREY, markersize=7, linestyle="none", zorder=2)
    chance = next(iter(curves.by_pooling.values()))[0].score.chance
    ax.axhline(100 * chance, color="#a33", linewidth=0.8, linestyle="--", zorder=1, label=f"chance {100 * chance:.1f}")


def _counts(curves: DepthCurves) -> str:
    counts = sorted({p.score.n for points in curves.by_pooling.values() for p in points})
    return " or ".join(f"{n:,}" for n in counts)


def layer_panels(result: Result, questions: Questions) -> list[tuple[float, Any]]:
    """(inches, function that draws into axes) of every panel that a result's outputs give."""
    curves = depth_curves(result, questions)
    content = semantics(curves)
    panels: list[tuple[float, Any]] = []
    drawn = traces(curves) or ([content] if content is not None else [])
    for one in drawn:
        if any(len(points) > 1 for points in one.by_pooling.values()) or len(one.by_pooling) > 1:
            label = score_label(one.task, one.metric, questions)
            beside = content if content is not one else None
            panels.append((3.4, lambda ax, _, one=one, label=label, beside=beside: draw_depth(ax, one, beside, label)))
    return panels + map_panels(result, questions)
