"""Scores of the layers of a network: over depth as a table and a panel, and by region of the picture as maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.encoders import grid_cell
from benchmark.judgement import (
    DepthCurves,
    choose_outputs,
    depth_curves,
    find_score,
    output_questions,
    outputs_text,
)
from benchmark.report.tables import markdown_table, percent, score_cell
from benchmark.results import Metric, Questions, Result, Score, score_label

_REGION = re.compile(r"(grid|patch)(?:\[(\d{1,2})\])?-(\d{1,2})-(\d{1,2})")
"""Poolings of one region of the picture, by row and column. Wider than ``grid_cell``: an untrusted result may name a
grid that is too fine for a map; the table of layers leaves it out too."""

LEAST_SPAN = 10
"""Percentage points that the colours of a map span at least, so that noise does not look like a pattern."""

MAX_LABELLED = 5
"""Most parts of a side with which intervals are written into the map."""

COLOURS = {"cls": "#0072B2", "mean": "#D55E00", "max": "#009E73", "gem": "#CC79A7"}
"""By pooling, of Okabe and Ito's palette."""

MARKS = {"cls": "o", "mean": "s", "max": "^", "gem": "D"}

TITLES = {"cls": "class token", "mean": "mean of patches", "max": "maximum", "gem": "GeM"}

_GREY = "#6b6b6b"


def layers_text(result: Result, questions: Questions) -> str:
    """The outputs of a result as a table, and whether one has less of a trace; empty where no output was scored."""
    if not result.outputs:
        return ""
    metrics = list(output_questions(result, questions))
    whole = [output for output in result.outputs if not _REGION.fullmatch(output.pooling)]
    rows = [[o.title, str(o.dimension), *_cells(o.scores, metrics)] for o in whole]
    dimension = str(result.encoder.get("dimension", ""))
    rows.append(["final, the embedding", dimension, *_cells(result.scores, metrics)])
    header = ["output", "numbers", *(score_label(task, metric, questions) + ", %" for task, metric in metrics)]
    parts = ["Over the depth of the network, on the same photos:", markdown_table(header, rows)] if whole else []
    choices = choose_outputs(result, questions)
    sentences = outputs_text(choices, [score_label(c.task, c.metric, questions) for c in choices])
    read = " ".join(dict.fromkeys(f"Read by {output.read}." for output in result.outputs))
    return "\n\n".join(filter(None, [*parts, sentences, read]))


def _semantics(curves: Sequence[DepthCurves]) -> DepthCurves | None:
    """The curves of plain kNN."""
    return next((c for c in curves if c.of_semantics), None)


def _cells(scores: Sequence[Score], metrics: Sequence[tuple[str, Metric]]) -> list[str]:
    """Value and interval of each metric; empty where there is no score."""
    return [score_cell(find_score(scores, task, metric.name), metric.signed) for task, metric in metrics]


@dataclass(frozen=True)
class RegionMap:
    """One metric of one question by region of the picture, at one layer."""

    task: str
    metric: Metric
    layer: int
    kind: str
    """``block`` or ``stage``."""
    single: bool
    """Whether each region is read from one patch, not from the mean of its patches."""
    scores: tuple[tuple[Score | None, ...], ...]
    """By row and column; None where a region was not scored."""
    references: tuple[tuple[str, Score], ...]
    """Scores of ``border``, ``centre`` and ``mean`` (all patches), where there are any, and of the embedding."""

    @property
    def present(self) -> list[Score]:
        """The scores of all regions that have one."""
        return [score for row in self.scores for score in row if score is not None]

    @property
    def values(self) -> np.ndarray:
        """float64 [rows, columns]; NaN where a region was not scored."""
        return np.array([[score.value if score is not None else np.nan for score in row] for row in self.scores])

    def title(self, questions: Questions) -> str:
        """Title of the map, with the counts of test photos."""
        read = "one patch of each part" if self.single else "the mean of each part"
        counts = " or ".join(f"{n:,}" for n in sorted({score.n for score in self.present}))
        label = score_label(self.task, self.metric, questions)
        return f"{label} from {read}, {self.kind} {self.layer}, n = {counts}"


def region_maps(result: Result, questions: Questions) -> list[RegionMap]:
    """The maps of every question that regions of the picture were scored on: its traces, and plain kNN."""
    maps = []
    cells = {output.pooling: cell for output in result.outputs if (cell := grid_cell(output.pooling)) is not None}
    regions = (output for output in result.outputs if output.pooling in cells)
    grids = dict.fromkeys((o.layer, cells[o.pooling].single, cells[o.pooling].parts) for o in regions)
    for layer, single, parts in grids:
        outputs = {o.pooling: o for o in result.outputs if o.layer == layer}
        for task, metric in output_questions(result, questions):
            table: list[list[Score | None]] = [[None] * parts for _ in range(parts)]
            for pooling, output in outputs.items():
                cell = cells.get(pooling)
                if cell is not None and (cell.single, cell.parts) == (single, parts):
                    table[cell.row][cell.column] = find_score(output.scores, task, metric.name)
            if all(score is None for row in table for score in row):
                continue
            references: list[tuple[str, Score | None]] = [
                (name, find_score(outputs[name].scores, task, metric.name))
                for name in ("border", "centre", "mean")
                if name in outputs
            ]
            references.append(("the embedding", find_score(result.scores, task, metric.name)))
            kind = next(iter(outputs.values())).title.partition(" ")[0]
            scores = tuple(map(tuple, table))
            present = tuple((name, score) for name, score in references if score is not None)
            maps.append(RegionMap(task, metric, layer, kind, single, scores, present))
    return maps


def maps_text(result: Result, questions: Questions) -> str:
    """A table for each map, from the top left of the picture; empty where no regions were scored."""
    parts = []
    for region_map in region_maps(result, questions):
        signed = region_map.metric.signed
        header = ["row", *(f"column {i}" for i in range(len(region_map.scores)))]
        rows = [[str(i), *(score_cell(score, signed) for score in row)] for i, row in enumerate(region_map.scores)]
        chance = "" if signed else f" Chance is {percent(region_map.present[0].chance)}."
        references = "; ".join(f"{name} {score_cell(score, signed)}" for name, score in region_map.references)
        note = f"Each part is read alone, with its 95 % interval.{chance}"
        note += f" For comparison: {references}." if references else ""
        parts.append(f"**{region_map.title(questions)}, %**\n\n{markdown_table(header, rows)}\n\n{note}")
    return "\n\n".join(parts)


def draw_map(ax: Any, region_map: RegionMap, title: str) -> None:
    """Draw a map over the picture: each region with its score and, up to ``MAX_LABELLED`` a side, its 95 % interval.

    Colours run from chance, or from the least score, to the highest end of an interval, over ``LEAST_SPAN`` at least.
    """
    values = 100 * region_map.values
    present = region_map.present
    chance = 100 * present[0].chance
    most = max(100 * score.high for score in present)
    least = min(chance, min(100 * score.value for score in present))
    image = ax.imshow(values, cmap="cividis", interpolation="nearest", vmin=least, vmax=max(most, least + LEAST_SPAN))
    parts = len(values)
    for (row, column), value in np.ndenumerate(values):
        score = region_map.scores[row][column]
        if score is not None and parts <= 8:
            colour = "white" if image.norm(value) < 0.55 else "black"
            text = f"{value:.0f}" + (
                f"\n{100 * score.low:.0f} to {100 * score.high:.0f}" if parts <= MAX_LABELLED else ""
            )
            ax.text(
                column, row, text, ha="center", va="center", color=colour, fontsize=8 if parts <= MAX_LABELLED else 7
            )
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.9)
    if not region_map.metric.signed:
        bar.ax.axhline(chance, color="#d55e00", linewidth=2)
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_title(title, fontsize=9, loc="left")
    ax.set_xlabel("\n".join(_line_labels(region_map, chance)), fontsize=8)


def _line_labels(region_map: RegionMap, chance: float) -> list[str]:
    references = [
        f"{name} {100 * s.value:.0f} ({100 * s.low:.0f} to {100 * s.high:.0f})" for name, s in region_map.references
    ]
    ends = (
        "with 95 % intervals" if len(region_map.scores) <= MAX_LABELLED else "95 % intervals are in the report's tables"
    )
    first = f"points, {ends}" if region_map.metric.signed else f"%, {ends}; chance {chance:.1f}"
    return [first, "; ".join(references)] if references else [first]


def _map_panels(result: Result, questions: Questions) -> list[tuple[float, Any]]:
    """(height in inches, function that draws into axes) of every map of a trace; of plain kNN where there is none."""
    maps = region_maps(result, questions)
    maps = [m for m in maps if m.metric.summary != "SP"] or maps
    return [(4.2, lambda ax, _, m=m: draw_map(ax, m, m.title(questions))) for m in maps]


def _draw_depth(ax: Any, curves: DepthCurves, semantics: DepthCurves | None, label: str) -> None:
    """Draw one metric over depth with 95 % intervals, the embedding's score at the right end, plain kNN in grey."""
    if semantics is not None:
        for pooling, points in semantics.by_pooling.items():
            line = np.array([[p.output.layer, 100 * p.score.value] for p in points])
            ax.plot(
                line[:, 0],
                line[:, 1],
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
            ax.errorbar(x, y, np.array([y - low, high - y]), color=colour, capsize=2, linestyle="none")
        ax.plot(x, y, color=colour, marker=MARKS[pooling], markersize=4, linewidth=1.4, label=TITLES[pooling], zorder=3)
    first = next(iter(curves.by_pooling.values()))[0].output
    _draw_embedding(ax, curves, semantics, first.layers)
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


def _draw_embedding(ax: Any, curves: DepthCurves, semantics: DepthCurves | None, at: int) -> None:
    """The scores of the embedding at the right end, and chance as a line across."""
    if curves.final is not None:
        value, low, high = (100 * n for n in (curves.final.value, curves.final.low, curves.final.high))
        error = [[max(0, value - low)], [max(0, high - value)]]
        ax.errorbar([at], [value], error, fmt="*", color="black", markersize=8, capsize=2, label="final", zorder=4)
    if semantics is not None and semantics.final is not None:
        ax.plot([at], [100 * semantics.final.value], marker="*", color=_GREY, markersize=7, linestyle="none")
    chance = next(iter(curves.by_pooling.values()))[0].score.chance
    ax.axhline(100 * chance, color="#a33", linewidth=0.8, linestyle="--", zorder=1, label=f"chance {100 * chance:.1f}")


def _counts(curves: DepthCurves) -> str:
    counts = sorted({p.score.n for points in curves.by_pooling.values() for p in points})
    return " or ".join(f"{n:,}" for n in counts)


def layer_panels(result: Result, questions: Questions) -> list[tuple[float, Any]]:
    """(height in inches, function that draws into axes) of every panel of a result's outputs."""
    curves = depth_curves(result, questions)
    content = _semantics(curves)
    panels: list[tuple[float, Any]] = []
    for drawn in [c for c in curves if not c.of_semantics] or curves[:1]:
        if any(len(points) > 1 for points in drawn.by_pooling.values()) or len(drawn.by_pooling) > 1:
            label = score_label(drawn.task, drawn.metric, questions)
            grey = content if content is not drawn else None
            panels.append((3.4, lambda ax, _, c=drawn, label=label, grey=grey: _draw_depth(ax, c, grey, label)))
    return panels + _map_panels(result, questions)
