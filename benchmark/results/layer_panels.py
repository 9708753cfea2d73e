"""Panels of ``report.png`` over the depth of a network: a curve for each pooling, semantics beside, maps of regions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.results.layers import DepthCurves, depth_curves, semantics, traces
from benchmark.results.questions import Questions, metric_of, score_label
from benchmark.results.schema import Result, Score

COLOURS = {"cls": "#0072B2", "mean": "#D55E00", "max": "#009E73", "gem": "#CC79A7"}
"""By pooling, of Okabe and Ito's palette."""
MARKS = {"cls": "o", "mean": "s", "max": "^", "gem": "D"}
TITLES = {"cls": "class token", "mean": "mean of patches", "max": "maximum", "gem": "GeM"}
_GREY = "#6b6b6b"
_CELL = re.compile(r"grid-(\d)-(\d)")


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


def region_maps(result: Result) -> dict[tuple[str, str, int], np.ndarray]:
    """Scores by part of the picture: {(task, metric, layer): [4, 4]}; parts that are not there are NaN."""
    found: dict[tuple[str, str, int], np.ndarray] = {}
    for output in result.outputs:
        if cell := _CELL.fullmatch(output.pooling):
            for score in output.scores:
                where = found.setdefault((score.task, score.metric, output.layer), np.full((4, 4), np.nan))
                where[int(cell[1]), int(cell[2])] = score.value
    return found


def draw_map(ax: Any, values: np.ndarray, title: str, beside: Sequence[tuple[str, Score]]) -> None:
    """Scores of the parts of the picture, each with its number; ``beside`` names those of border and centre."""
    ax.imshow(100 * values, cmap="cividis", interpolation="nearest")
    middle = np.nanmean(100 * values)
    for row, column in np.ndindex(values.shape):
        value = 100 * values[row, column]
        if np.isfinite(value):
            colour = "white" if value <= middle else "black"
            ax.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
    told = "; ".join(f"{name} {100 * s.value:.0f} ({100 * s.low:.0f} to {100 * s.high:.0f})" for name, s in beside)
    ax.set_title(f"{title}, %", fontsize=9, loc="left")
    ax.set_xlabel(told, fontsize=8)


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
    asked = {(one.task, one.metric.name) for one in curves} | _asked_regions(result, questions)
    for (task, metric, layer), values in region_maps(result).items():
        if (task, metric) in asked:
            label = score_label(task, metric_of(questions, task, metric), questions)
            title = f"{label} by part of the picture, layer {layer}"
            beside_it = _regions(result, task, metric, layer)
            panels.append((3.4, lambda ax, _, v=values, t=title, b=beside_it: draw_map(ax, v, t, b)))
    return panels


def _asked_regions(result: Result, questions: Questions) -> set[tuple[str, str]]:
    return {
        (task, metric.name)
        for task, question in questions.items()
        for metric in question.metrics
        if metric.main and metric.kind != "accuracy"
    }


def _regions(result: Result, task: str, metric: str, layer: int) -> list[tuple[str, Score]]:
    return [
        (output.pooling, score)
        for output in result.outputs
        if output.layer == layer and output.pooling in ("border", "centre")
        for score in output.scores
        if (score.task, score.metric) == (task, metric)
    ]
